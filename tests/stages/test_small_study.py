"""What all stages of a small study leave, and what status and clean say of it."""

import json
import shutil

import pandas as pd
import pytest
import studies

from conftest import REGRESSION_STUDY, SMALL_STUDY, call, run
from mnist_hpc import figures
from mnist_hpc.files import csv_table
from mnist_hpc.files.code_hash import code_hash
from mnist_hpc.study.layout import PERTURBED_COLUMNS, RUN_COLUMNS
from mnist_hpc.study.specification import Study


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the folder of the finished study, and the study."""
    folder = studies.finished(tmp_path_factory, "small", tmp_path_factory.mktemp("small") / "study")
    return folder, Study.read(folder / "config.yaml")


def test_every_file_of_the_study_is_there_and_no_checkpoint_is(finished):
    folder, study = finished
    declared = [*study.files, "digits/report.html"]
    declared += [file for kind in figures.kinds(study, folder) for file in figures.files(study, kind).values()]
    assert [file for file in declared if not (folder / "results" / file).exists()] == []
    assert not (folder / "results/state").exists()


def test_the_tables_are_about_all_runs(finished):
    folder, _ = finished
    tables = folder / "results/digits/tables"
    runs = pd.read_csv(tables / "runs.csv")
    assert list(runs.columns) == RUN_COLUMNS
    assert runs[["variant", "seed", "status"]].to_numpy().tolist() == [
        [variant, seed, "ok"] for variant in ("regression", "circle") for seed in (0, 1)
    ]
    assert (runs["test_accuracy"] > 0.5).all()
    assert pd.read_csv(tables / "variants.csv")["n"].tolist() == [2, 2]
    confusions = pd.read_csv(tables / "confusions.csv")
    assert confusions.groupby(["variant", "seed"])["images"].sum().to_dict() == {
        **{("regression", seed): 360 for seed in (0, 1)},
        **{("circle", seed): 1000 for seed in (0, 1)},
    }
    assert json.loads((tables / "provenance.json").read_text())["runs"] == {"ok": 4}
    calibration = pd.read_csv(tables / "calibration.csv")
    assert calibration[["variant", "n", "images"]].to_numpy().tolist() == [["regression", 2, 360], ["circle", 2, 1000]]
    robustness = pd.read_csv(tables / "robustness.csv")
    assert set(robustness["variant"]) == {"regression"}  # the points of the circle are no images
    assert (robustness["n"] == 2).all()
    still = robustness[robustness["transform"] == "none"]
    assert still["test_accuracy_mean"].tolist() == [runs["test_accuracy"][runs["variant"] == "regression"].mean()]


def test_status_says_that_everything_is_there(finished):
    folder, _ = finished
    done = call("status", "--config", folder / "config.yaml", "--results", folder / "results")
    assert done.returncode == 0, done.stderr
    assert "Everything is there" in done.stdout


def test_status_says_that_measurements_on_transformed_images_are_missing_or_stale(finished, tmp_path):
    folder, study = finished
    results = shutil.copytree(folder / "results", tmp_path / "results")
    (block,) = study.blocks_of_images
    rows = csv_table.read(results / block.perturbed)
    csv_table.write(
        results / block.perturbed, PERTURBED_COLUMNS, [row | {"perturbation_code_hash": "old"} for row in rows]
    )
    options = ("--config", folder / "config.yaml", "--results", results)
    text = call("status", *options).stdout
    assert "Stale measurements on transformed images: 1 block; the next run repeats them." in text
    assert "Everything is there" not in text
    (results / block.perturbed).write_text("edited by hand")
    text = call("status", *options).stdout
    assert f"{results / block.perturbed}: " in text
    assert "Everything is there" not in text
    (results / block.perturbed).unlink()
    assert f"Missing files: 1, first {block.perturbed}; run again." in call("status", *options).stdout


def test_clean_finds_what_a_smaller_study_no_longer_claims_and_removes_it_after_a_yes(finished, tmp_path, monkeypatch):
    results = shutil.copytree(finished[0] / "results", tmp_path / "results")
    options = ("--config", tmp_path / "config.yaml", "--results", results)
    (tmp_path / "config.yaml").write_text(SMALL_STUDY)
    assert "circle" not in call("clean", *options).stdout
    (tmp_path / "config.yaml").write_text(REGRESSION_STUDY)
    answers = iter(["n", "y"])
    monkeypatch.setattr("builtins.input", lambda _: next(answers))
    for removed in (False, True):
        assert "circle/runs/circle" in call("clean", *options).stdout
        assert (results / "circle/runs/circle").exists() is not removed

    (tmp_path / "config.yaml").write_text(SMALL_STUDY)
    assert "Nothing to remove" in call("clean", *options, "--set", "max_seeds=1").stdout


@pytest.mark.parametrize("name", ["models.h5", "predictions.h5", "history.csv"])
def test_status_names_every_damaged_file(finished, tmp_path, name):
    results = shutil.copytree(finished[0] / "results", tmp_path / "results")
    options = ("--config", finished[0] / "config.yaml", "--results", results)
    damaged = [results / finished[1].blocks[0].folder / name, results / "digits/data/train.h5"]
    for path in damaged:
        path.write_bytes(path.read_bytes()[:-10])
        text = call("status", *options).stdout
        assert f"{path}: " in text
        assert "Everything is there" not in text


def test_the_keras_settings_of_the_user_change_no_result(finished, tmp_path):
    folder, study = finished
    place = folder / "results" / study.blocks_of("regression")[0].folder
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras/keras.json").write_text('{"image_data_format": "channels_first", "floatx": "float16"}')
    evaluated = run(
        *("evaluate", "--models", place / "models.h5", "--data", folder / "results/digits/data/test.h5"),
        *("--code-hash", code_hash("stages.evaluate")),
        *("--metrics", tmp_path / "metrics.csv", "--predictions", tmp_path / "predictions.h5"),
        HOME=str(tmp_path),
    )
    assert evaluated.returncode == 0, evaluated.stderr
    for own, known in zip(csv_table.read(tmp_path / "metrics.csv"), csv_table.read(place / "metrics.csv"), strict=True):
        # Of another number of threads.
        assert float(own["test_loss"]) == pytest.approx(float(known["test_loss"]), rel=1e-4)
