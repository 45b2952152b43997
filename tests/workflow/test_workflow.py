"""The workflow as people run it: real Snakemake, real training, a small study."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from conftest import SMALL_STUDY, copy_project, error_line, run, snakemake, tiny_entry
from mnist_hpc import figures
from mnist_hpc.study.specification import Study

TABLES = ("runs", "variants", "comparisons", "ensembles", "sweeps", "classes", "confusions")
BLOCKS = ["digits/runs/regression/seeds-0-1", "circle/runs/circle/seeds-0-1"]


def change(project, **keys):
    """Change keys of the project's config."""
    content = yaml.safe_load((project / "config.yaml").read_text())
    (project / "config.yaml").write_text(yaml.safe_dump(content | keys))


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def table(project, name):
    return pd.read_csv(project / f"results/digits/tables/{name}.csv")


def test_a_study_ends_in_tables_and_running_it_again_does_nothing(project):
    before = files(project)
    first = snakemake(project, "-p")
    assert first.returncode == 0, first.stdout

    runs = table(project, "runs")
    keys = ["dataset", "variant", "seed", "status"]
    assert runs[keys].to_numpy().tolist() == [
        ["digits", "regression", 0, "ok"],
        ["digits", "regression", 1, "ok"],
        ["circle", "circle", 0, "ok"],
        ["circle", "circle", 1, "ok"],
    ]
    # The columns that others rely on, in their order.
    assert list(runs)[:19] == (
        "dataset variant seed status test_accuracy test_loss validation_accuracy validation_loss parameters steps "
        "batch_size loss train_seconds images_per_second device threads spec_hash data_hash code_hash".split()
    )
    assert runs.loc[runs["variant"] == "regression", "test_accuracy"].between(0.6, 0.999).all()
    variants = table(project, "variants")
    assert list(variants)[:8] == (
        "dataset variant status n test_accuracy_mean test_accuracy_sd test_accuracy_ci95_low "
        "test_accuracy_ci95_high".split()
    )
    assert variants["n"].tolist() == [2, 2]
    assert table(project, "confusions").groupby(["variant", "seed"])["images"].sum().tolist() == [1000, 1000, 360, 360]
    assert len(table(project, "classes")) == 2 * 2 + 2 * 10

    made = {f"results/{block}/{name}" for block in BLOCKS for name in ("models.h5", "history.csv")}
    made |= {f"results/{block}/{name}" for block in BLOCKS for name in ("metrics.csv", "predictions.h5")}
    made |= {f"results/digits/tables/{name}.csv" for name in TABLES}
    study = Study.read(project / "config.yaml")
    kinds = figures.kinds(study, project / "results")
    made |= {f"results/{file}" for kind in kinds for file in figures.files(study, kind).values()}
    made |= {f"results/{file}" for file in (figures.home_file(study), *figures.page_files(study).values())}
    made |= {"results/digits/tables/provenance.json"}
    made |= {f"results/{name}/data/{part}.h5" for name in ("digits", "circle") for part in ("train", "test")}
    left = {path for path in files(project) - before if not path.startswith((".snakemake/", "logs/"))}
    assert left == made

    assert "Nothing to be done" in snakemake(project).stdout
    assert "Nothing to be done" in snakemake(project, "-n").stdout

    paste_every_command(project, first.stdout, made, drawn=len(kinds))


def paste_every_command(project, printed, made, drawn):
    """Run every printed command by itself, from nothing, in an activated shell."""
    commands = re.findall(r"^Shell command: (python .+)$", printed, re.MULTILINE)
    assert len(commands) == 2 + 2 + 2 + 1 + drawn + 1
    order = ["convert", "train", "evaluate", "tabulate", "draw", "pages"]
    commands.sort(key=lambda command: order.index(command.split()[3]))
    for path in made:
        (project / path).unlink()
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for command in commands:
        result = subprocess.run(["bash", "-c", command], cwd=project, env=environment, check=False)
        assert result.returncode == 0, command
    assert all((project / path).exists() for path in made)
    assert set(table(project, "runs")["status"]) == {"ok"}


def test_a_variant_that_explodes_is_failed_and_the_study_ends_well(project):
    content = yaml.safe_load(SMALL_STUDY)
    layers = ["Flatten", {"Dense": {"units": 8, "activation": "relu"}}, {"Dense": {"units": 10}}]
    content["variants"]["wild"] = {"base": "regression", "layers": layers, "optimizer": {"SGD": {"learning_rate": 1e9}}}
    del content["variants"]["circle"]
    (project / "config.yaml").write_text(yaml.safe_dump(content))
    result = snakemake(project)
    assert result.returncode == 0, result.stdout
    runs = table(project, "runs").set_index(["variant", "seed"])
    assert runs.loc["wild", "status"].tolist() == ["failed", "failed"]
    assert runs.loc["wild", "failed_step"].between(2, 60).all()
    assert table(project, "variants").set_index("variant")["status"].to_dict() == {"regression": "ok", "wild": "failed"}


def test_a_missing_run_is_named_by_tabulate(project):
    result = run("tabulate", cwd=project)
    assert result.returncode == 0, result.stderr
    assert set(table(project, "runs")["status"]) == {"missing"}
    assert table(project, "variants")["status"].tolist() == ["missing", "missing"]


def test_a_wrong_config_ends_before_any_job_with_one_line_and_code_2(project):
    change(project, seeds="five")
    result = snakemake(project)
    assert result.returncode == 2
    assert "mnist_hpc: error: " in result.stdout
    assert "config.yaml: seeds: found 'five' (text), expected a whole number" in result.stdout
    assert "Traceback" not in result.stdout
    assert not (project / "results").exists()


def test_a_wrong_value_on_the_command_line_is_refused(project):
    result = snakemake(project, "--config", "dataset=digit")
    assert result.returncode == 2
    assert "dataset: found 'digit', expected one of digits, circle, spirals (did you mean 'digits'?)" in result.stdout


def test_data_that_cannot_be_had_ends_the_workflow_with_the_line(project, tiny):
    content = tiny_study() | {"search_path": [str(tiny)]}
    content["variants"]["circle"] = yaml.safe_load(SMALL_STUDY)["variants"]["circle"]
    (project / "config.yaml").write_text(yaml.safe_dump(content))
    (tiny / "train-images.gz").write_text("<html>Please log in</html>")
    result = snakemake(project, TINY_DIR="")
    assert result.returncode == 1
    assert "expected a gzip file, found one that starts with b'<html>" in result.stdout
    assert "Ways out: (1) set TINY_DIR" in result.stdout
    assert not files(project / "results/tiny/data")
    # The circle needs none of it: its results are there.
    assert (project / "results/circle/runs/circle/seeds-0-0/metrics.csv").exists()


def tiny_study():
    """Return a study of one regression on the data set of ``tiny``."""
    content = yaml.safe_load(SMALL_STUDY)
    variants = {"regression": content["variants"]["regression"] | {"batch_size": 10}}
    return content | {"dataset": "tiny", "datasets": {"tiny": tiny_entry()}, "seeds": 1, "variants": variants}


def test_an_idx_data_set_needs_an_entry_in_the_config_and_no_code(project, tiny):
    (project / "config.yaml").write_text(yaml.safe_dump(tiny_study()))
    result = snakemake(project, TINY_DIR=str(tiny))
    assert result.returncode == 0, result.stdout
    runs = pd.read_csv(project / "results/tiny/tables/runs.csv")
    assert runs[["dataset", "status"]].to_numpy().tolist() == [["tiny", "ok"]]


@pytest.mark.parametrize("folder", ["results", "results/digits"])
def test_results_that_cannot_be_written_are_an_error_of_one_line(project, folder):
    path = project / folder
    path.parent.mkdir(exist_ok=True)
    path.write_text("a file where a folder should be")
    line = error_line(run("convert", "--dataset", "digits", "--folder", "results/digits/data", cwd=project))
    assert folder in line
    assert snakemake(project).returncode == 1
    assert path.read_text() == "a file where a folder should be"


def test_a_folder_may_have_any_name_and_reaches_no_shell(tmp_path):
    odd = tmp_path / """a;touch owned; "b" 'c' $(touch owned) `touch owned` {input} %s \\\n-n"""
    project = copy_project(odd / "study", SMALL_STUDY)
    change(project, seeds=1)
    result = snakemake(project, "--directory", odd / "elsewhere")
    assert result.returncode == 0, result.stdout
    assert (odd / "elsewhere/results/digits/tables/runs.csv").exists()
    assert not (project / "results").exists()
    assert not list(tmp_path.rglob("owned"))
