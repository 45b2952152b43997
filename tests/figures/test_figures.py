"""Figures: what a person must find in them, whatever the study is like."""

import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from conftest import SMALL_STUDY, TUNED, error_line, run
from mnist_hpc import figures
from mnist_hpc.files import hdf5
from mnist_hpc.data.splits import Split, write_split
from mnist_hpc.training.models_file import Model, write_models
from mnist_hpc.figures import accuracy, confusions, cost, curves, digits, grids, plane, weights
from mnist_hpc.study.specification import Study


def texts(path):
    """Return all text of an SVG, as one line."""
    found = ("".join(element.itertext()).strip() for element in ET.parse(path).iter() if element.tag.endswith("text"))
    return " ".join(" ".join(found).split())


def tables(count, seeds=5, failed=(), dataset="mnist", mean=None):
    """Return variants and runs as tabulate writes them; seeds of the variants in ``failed`` diverged."""
    rows, runs = [], []
    for number in range(count):
        name = f"variant-{number}"
        center = 0.9 + 0.099 * number / count if mean is None else mean
        done = 0 if name in failed else seeds
        keys = {"dataset": dataset, "variant": name}
        half = 0.001 if done > 1 else np.nan
        values = {
            "test_accuracy_mean": center if done else np.nan,
            "test_accuracy_ci95_low": center - half,
            "test_accuracy_ci95_high": center + half,
            "train_seconds_mean": 0.1 * (number + 1) ** 2 if done else np.nan,
            "parameters": 1000 * (number + 1) if done else np.nan,
        }
        rows.append(keys | {"status": "ok" if done else "failed", "n": done} | values)
        for seed in range(seeds):
            state = {"status": "ok", "test_accuracy": center} if done else {"status": "failed", "test_accuracy": np.nan}
            moments = {"started": "2026-01-01T00:00:00+00:00", "finished": "2026-01-01T00:00:10+00:00"}
            times = {"startup_seconds": 2.0, "compile_seconds": 1.0, "train_seconds": 7.0, "host": "node"}
            runs.append(keys | {"seed": seed} | state | moments | times)
    return pd.DataFrame(rows), pd.DataFrame(runs)


STUDIES = {
    "one variant": tables(1),
    "forty variants": tables(40),
    "one seed": tables(3, seeds=1),
    "nothing wrong": tables(2, mean=1.0),
    "a failed variant": tables(3, failed=["variant-1"]),
}


@pytest.mark.parametrize("case", STUDIES)
def test_every_variant_has_its_row_with_its_accuracy(case, tmp_path):
    variants, runs = STUDIES[case]
    accuracy.accuracy(variants, runs, tmp_path / "figure.svg")
    found = texts(tmp_path / "figure.svg")
    for row in variants.to_dict("records"):
        assert row["variant"] in found
        if row["n"]:
            assert f"{100 * row['test_accuracy_mean']:.2f}" in found
    assert f"n = {variants.loc[variants['n'] > 0, 'n'].iloc[0]}" in found
    assert ("without a finished run: variant-1" in found) == (case == "a failed variant")


@pytest.mark.parametrize("case", STUDIES)
@pytest.mark.parametrize("kind", accuracy.COSTS)
def test_accuracy_against_a_cost_names_every_point(kind, case, tmp_path):
    variants, _ = STUDIES[case]
    other = variants.iloc[:1].assign(variant="circle", dataset="circle")
    accuracy.against(pd.concat([variants, other]), "mnist", *accuracy.COSTS[kind], tmp_path / "figure.svg")
    found = texts(tmp_path / "figure.svg")
    for row in variants[variants["n"] > 0].to_dict("records"):
        assert f"{row['variant']} {100 * row['test_accuracy_mean']:.2f}" in found
    assert accuracy.COSTS[kind][1] in found
    assert "the lecture: 91.83 %" in found
    assert "circle" not in found
    assert ("variant-1" in found) == (len(variants) > 1 and case != "a failed variant")


def test_the_lecture_is_marked_where_its_model_is_and_nowhere_else(tmp_path):
    variants, runs = tables(2)
    accuracy.accuracy(variants, runs, tmp_path / "without.svg")
    assert "lecture" not in texts(tmp_path / "without.svg")
    named = [table.replace("variant-0", "regression") for table in (variants, runs)]
    accuracy.accuracy(*named, tmp_path / "with.svg")
    assert "the lecture: 91.83 %" in texts(tmp_path / "with.svg")
    digits_too = [table.assign(dataset="digits") for table in named]
    accuracy.accuracy(*digits_too, tmp_path / "digits.svg")
    assert "lecture" not in texts(tmp_path / "digits.svg")


def test_a_figure_of_the_same_table_has_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        accuracy.accuracy(*tables(3), tmp_path / f"{name}.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_a_study_without_a_run_has_an_empty_figure(tmp_path):
    variants, runs = tables(2, failed=["variant-0", "variant-1"])
    accuracy.accuracy(variants, runs, tmp_path / "a.svg")
    accuracy.against(variants, "mnist", *accuracy.COSTS["accuracy-time"], tmp_path / "b.svg")
    assert "no results yet" in texts(tmp_path / "a.svg")
    assert "no results yet" in texts(tmp_path / "b.svg")


@pytest.mark.parametrize("seeds", [0, 1, 3])
def test_learning_curves_say_how_many_seeds_they_are_of(seeds, tmp_path):
    rows = [
        {"seed": seed, "epoch": epoch, "train_loss": 1 / (epoch + seed + 1), "validation_loss": 1.1}
        | {"train_accuracy": 0.5, "validation_accuracy": 0.6}
        for seed in range(seeds)
        for epoch in (1, 2, 3)
    ]
    columns = ["seed", "epoch", "train_loss", "validation_loss", "train_accuracy", "validation_accuracy"]
    curves.curves(pd.DataFrame(rows, columns=columns), "cnn", "mnist", "cross entropy, nats", tmp_path / "figure.svg")
    found = texts(tmp_path / "figure.svg")
    assert f"cnn on mnist: learning curves (n = {seeds})" in found
    assert ("validation" in found.replace("first validation", "")) == bool(seeds)
    assert ("failed before its first validation" in found) == (not seeds)


def sweep_of(grid, tmp_path):
    """Return a sweep over a grid, and its points with a loss that is lowest at the last values."""
    study = TUNED.replace("{learning_rate: [0.001, 0.01, 0.1], steps: [10, 20], batch_size: [20, 100]}", str(grid))
    (tmp_path / "config.yaml").write_text(study)
    sweep = Study(tmp_path / "config.yaml").sweeps["rates"]
    count = int(np.prod([len(values) for values in grid.values()]))
    rows = [
        {"point": point, "seed": seed, "status": "ok", "validation_loss": 1 / (point + 1)}
        for point in range(count)
        for seed in (0, 1)
    ]
    return sweep, pd.DataFrame(rows)


@pytest.mark.parametrize(
    "grid",
    [
        {"learning_rate": [0.1, 0.2, 0.4]},
        {"learning_rate": [0.1, 0.2, 0.4], "steps": [10, 20]},
        {"learning_rate": [0.1, 0.2, 0.4], "steps": [10, 20], "batch_size": [20, 50, 100]},
        {"learning_rate": [0.1], "optimizer": ["Adam", {"SGD": {"momentum": 0.9}}]},
        {"learning_rate": [0.1, 0.2], "steps": [5, 10], "batch_size": [20, 50], "l2": [0.0, 0.1]},
    ],
    ids=lambda grid: f"{len(grid)} keys",
)
def test_a_sweep_of_any_grid_names_all_values_and_the_edge(grid, tmp_path):
    sweep, points = sweep_of(grid, tmp_path)
    points.loc[0, ["status", "validation_loss"]] = ["failed", np.nan]
    table = grids.losses(points, sweep)
    assert table["loss"].isna().tolist() == [True] + [False] * (len(table) - 1)
    best = {"values": {key: values[-1] for key, values in grid.items()}, "at_the_edge": ["learning_rate"]}
    grids.heat_maps(table, best, sweep, tmp_path / "figure.svg")
    found = texts(tmp_path / "figure.svg")
    assert "chosen value at the edge of the grid: learning_rate" in found
    for key, values in grid.items():
        if len(values) > 1:
            assert key in found
            assert all(grids._name(value) in found for value in values)


def test_confusions_show_counts_and_the_share_that_is_right(tmp_path):
    rows = pd.DataFrame(
        [
            {"seed": seed, "label": label, "predicted": predicted, "images": images}
            for seed in (0, 1)
            for (label, predicted), images in {(0, 0): 90, (0, 1): 10, (1, 0): 0, (1, 1): 50}.items()
        ]
    )
    confusions.matrix(rows, "net", "mnist", tmp_path / "figure.svg")
    found = texts(tmp_path / "figure.svg")
    assert "(n = 2)" in found
    assert "90.0 %" in found
    assert " 10 " in found
    confusions.matrix(rows.iloc[:0], "net", "mnist", tmp_path / "empty.svg")
    assert "no results yet" in texts(tmp_path / "empty.svg")


def predictions(path, probabilities, labels, index):
    """Write predictions of one seed as evaluation does, with these examples."""
    with hdf5.writing(path, {}) as file:
        file.create_dataset("labels", data=np.array(labels, np.uint8))
        file.create_group("seed-0").create_dataset("probabilities", data=np.array(probabilities, np.float32))
        examples = file.create_group("examples")
        examples.create_dataset("index", data=np.array(index, np.int32))
        write_split(examples, Split(np.zeros((len(index), 28, 28), np.uint8), np.array(index)))


def test_the_surest_mistakes_come_first_and_all_seeds_are_asked(tmp_path):
    labels = [0, 0, 1, 1]
    predictions(tmp_path / "a.h5", [[0.9, 0.1], [0.2, 0.8], [0.45, 0.55], [0.7, 0.3]], labels, [1, 3])
    predictions(tmp_path / "b.h5", [[0.8, 0.2], [0.1, 0.9], [0.3, 0.7], [0.2, 0.8]], labels, [1, 2])
    hard, seeds, wrong, total = digits.hardest([tmp_path / "a.h5", tmp_path / "b.h5"])
    assert (seeds, wrong, total) == (2, 1, 4)
    # Image 1 is read wrongly by both, image 3 by one of them; 2 is right, with less confidence than 3.
    assert [(image.index, image.predicted, image.wrong) for image in hard] == [(1, 1, 2), (3, 1, 1), (2, 1, 0)]
    assert hard[0].confidence == pytest.approx(0.85)
    digits.gallery(hard, "title", seeds, tmp_path / "figure.svg", errors_known=False)
    assert "0 → 1 85% 2 of 2" in texts(tmp_path / "figure.svg")


def test_label_errors_are_framed_only_where_the_test_set_is_that_of_mnist(tmp_path):
    image = digits.Hard(947, np.zeros((28, 28), np.uint8), 8, 9, 0.9, 1)
    digits.gallery([image], "title", 1, tmp_path / "mnist.svg", errors_known=True)
    digits.gallery([image], "title", 1, tmp_path / "other.svg", errors_known=False)
    assert "known label error" in texts(tmp_path / "mnist.svg")
    assert "known label error" not in texts(tmp_path / "other.svg")


def test_weights_become_one_image_a_class_or_filter():
    dense = np.arange(784 * 10, dtype=np.float32).reshape(784, 10)
    pictures = weights.images({"02_dense/bias": np.zeros(10), "02_dense/kernel": dense}, [28, 28, 1])
    assert len(pictures) == 10
    assert pictures[3][1, 2] == dense[28 + 2, 3]
    pictures = weights.images({"01_conv2d/kernel": np.zeros((5, 5, 1, 32))}, [28, 28, 1])
    assert (len(pictures), pictures[0].shape) == (32, (5, 5))


@pytest.mark.usefixtures("tensorflow")
def test_the_plane_is_drawn_for_the_seeds_that_did_not_fail(tmp_path):
    from mnist_hpc.training import models

    layers = [{"Dense": {"units": 3, "activation": "tanh"}}, {"Dense": {"units": 2}}]
    trained = {
        seed: Model({"validation_accuracy": 0.75}, models.weights(models.build(layers, (2,), seed)))
        for seed in (0, 2)
    }
    header = {"layers": layers, "input_shape": [2], "classes": 2, "variant": "net", "dataset": "circle"}
    write_models(tmp_path / "models.h5", header, {1: Model({}, {}), **trained})
    points = Split(np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32), np.arange(50) % 2)
    plane.boundaries(tmp_path / "models.h5", points, tmp_path / "boundaries.svg")
    found = texts(tmp_path / "boundaries.svg")
    assert "seed 0: validation accuracy 75.0 %" in found
    assert "seed 2: validation accuracy 75.0 %" in found
    assert "seed 1" not in found
    plane.hidden_space(tmp_path / "models.h5", points, tmp_path / "space.svg")
    assert "unit 3" in texts(tmp_path / "space.svg")
    write_models(tmp_path / "failed.h5", header, {0: Model({}, {})})
    for drawing in (plane.boundaries, plane.hidden_space):
        drawing(tmp_path / "failed.h5", points, tmp_path / "failed.svg")
        assert "no training of this variant succeeded" in texts(tmp_path / "failed.svg")


def test_time_is_split_into_what_it_was_spent_on():
    _, runs = tables(1, seeds=2)
    (row,) = cost.parts(runs).to_dict("records")
    # One job of two seeds: start-up and compiling once, ten seconds a seed of which seven are training.
    assert row == {"start-up": 2.0, "compiling": 1.0, "training": 14.0, "validation, saving": 6.0}


@pytest.mark.parametrize("case", STUDIES)
def test_times_of_any_study_are_drawn(case, tmp_path):
    _, runs = STUDIES[case]
    cost.job_times(cost.parts(runs), "mnist", tmp_path / "figure.svg")
    found = texts(tmp_path / "figure.svg")
    assert all(variant in found for variant in set(runs["variant"]))
    assert all(part in found for part in cost.PARTS)


def test_slurm_jobs_show_hours_and_what_was_cut_off(tmp_path):
    jobs = pd.DataFrame(
        {
            "variant": ["cnn", "cnn", "mlp"],
            "job": ["1", "1", "2"],
            "state": ["TIMEOUT", "COMPLETED", "COMPLETED"],
            "queue_seconds": [10, 0, 3600],
            "wall_seconds": [3600, 60, 30],
            "gpu_hours": [1.0, 1 / 60, 0.5],
        }
    )
    cost.slurm_jobs(jobs, tmp_path / "figure.svg")
    found = texts(tmp_path / "figure.svg")
    assert "2 Slurm jobs, 1.52 GPU-hours" in found
    assert "1.02 GPU-h" in found
    cost.slurm_jobs(jobs.iloc[:0], tmp_path / "empty.svg")
    assert "has no job" in texts(tmp_path / "empty.svg")


def test_a_study_has_the_figures_that_its_variants_allow(tmp_path):
    (tmp_path / "config.yaml").write_text(SMALL_STUDY)
    study = Study(tmp_path / "config.yaml")
    assert figures.kinds(study, tmp_path) == [
        *("accuracy", "accuracy-time", "accuracy-parameters", "learning-curves", "confusions", "digits", "activations"),
        *("templates", "boundaries", "hidden-space", "job-times"),
    ]
    assert figures.files(study, "digits") == {"regression": "digits/figures/digits/regression.svg"}
    assert figures.files(study, "boundaries") == {"circle": "digits/figures/boundaries/circle.svg"}
    jobs = tmp_path / "digits/tables/jobs.csv"
    jobs.parent.mkdir(parents=True)
    jobs.touch()
    assert "slurm" in figures.kinds(study, tmp_path)


def test_an_unknown_figure_is_refused(tmp_path):
    (tmp_path / "config.yaml").write_text(SMALL_STUDY)
    assert "accuracy-time" in error_line(run("draw", "--figure", "acuracy", cwd=tmp_path))
