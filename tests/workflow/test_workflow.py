"""The workflow as people run it: real Snakemake, real training, a small study."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from planner import dry_run
from studies import ODD, finished, ran

from conftest import (
    SMALL_STUDY,
    UNTIL_TABLES,
    call,
    call_in,
    copy_project,
    error_line,
    make,
    snakemake,
    tiny_entry,
)
from mnist_hpc import figures
from mnist_hpc.study.datasets import BUILT_IN
from mnist_hpc.study.specification import Study

TABLES = ("runs", "variants", "comparisons", "ensembles", "sweeps", "classes", "confusions")
TABLES += ("calibration", "reliability", "robustness")
BLOCKS = ["digits/runs/regression/seeds-0-1", "circle/runs/circle/seeds-0-1"]


def change(project, **keys):
    """Change keys of the project's config."""
    content = yaml.safe_load((project / "config.yaml").read_text())
    (project / "config.yaml").write_text(yaml.safe_dump(content | keys))


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def table(project, name):
    return pd.read_csv(project / f"results/digits/tables/{name}.csv")


@pytest.fixture
def done(tmp_path_factory, tmp_path):
    """Return a copy of the finished small study."""
    return finished(tmp_path_factory, "small", tmp_path / "a user's study")


def test_a_study_ends_in_tables_and_running_it_again_does_nothing(done):
    project = done
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

    assert {f"results/{file}" for file in files(project / "results")} == results(project)
    assert "Nothing to be done" in snakemake(project, trains=False).stdout
    assert "Nothing to be done" in dry_run(project).stdout


@pytest.mark.parametrize("option", ["--config", "--configfile"])
def test_nested_numbers_of_the_command_line_reach_the_commands_of_jobs(option, tmp_path):
    project = copy_project(tmp_path / "study", SMALL_STUDY)
    (tmp_path / "more.yaml").write_text("variants: {regression: {steps: 30, l2: 1.0e-5}}")
    given = "variants={regression: {steps: 30, l2: 1.0e-5}}" if option == "--config" else tmp_path / "more.yaml"
    planned = dry_run(project, "-p", option, given).stdout
    (command,) = re.findall(r"python -m mnist_hpc tabulate .*", planned)
    passed_on = shlex.split(command)[shlex.split(command).index("--set") + 1]
    assert call("status", "--config", project / "config.yaml", "--set", passed_on).returncode == 0
    (job,) = re.findall(r"python -m mnist_hpc train .*--variant regression .*", planned)
    assert '"l2": 1e-05' in job
    assert '"steps": 30' in job


def test_short_trainings_come_before_long_ones_and_their_evaluations_before_both(tmp_path):
    """So that the first numbers are there within a minute; by the priorities that Snakemake prints."""
    content = yaml.safe_load(SMALL_STUDY)
    content["variants"]["regression"]["runtime"], content["variants"]["circle"]["runtime"] = 5, 500
    planned = dry_run(copy_project(tmp_path / "study", yaml.safe_dump(content))).stdout
    found = {
        (rule, variant): int(number)
        for rule, variant, number in re.findall(
            r"^rule (train|evaluate):.*?runs/([\w-]+)/.*?priority: (\d+)", planned, re.MULTILINE | re.DOTALL
        )
    }
    assert found["train", "regression"] > found["train", "circle"] > 0
    assert min(found["evaluate", name] for name in ("regression", "circle")) > found["train", "regression"]


def results(project):
    """Return the files that the small study ends in."""
    made = {f"results/{block}/{name}" for block in BLOCKS for name in ("models.h5", "history.csv")}
    made |= {f"results/{block}/{name}" for block in BLOCKS for name in ("metrics.csv", "predictions.h5")}
    made |= {f"results/{block}/perturbed.csv" for block in BLOCKS if "circle" not in block}
    made |= {f"results/digits/tables/{name}.csv" for name in TABLES}
    study = Study.read(project / "config.yaml")
    made |= {f"results/{file}" for kind in kinds(project) for file in figures.files(study, kind).values()}
    made |= {"results/digits/tables/provenance.json", "results/digits/report.html"}
    return made | {f"results/{name}/data/{part}.h5" for name in ("digits", "circle") for part in ("train", "test")}


def kinds(project):
    return figures.kinds(Study.read(project / "config.yaml"), project / "results")


@pytest.mark.slow
def test_every_printed_command_runs_by_itself(done):
    """From nothing, in an activated shell, for one data set; of the figures, which differ in a name only, one."""
    commands = re.findall(r"^Shell command: (python .+)$", (done / "output.txt").read_text(), re.MULTILINE)
    assert len(commands) == 2 + 2 + 2 + 1 + 1 + len(kinds(done)) + 1
    order = ["convert", "train", "evaluate", "perturb", "tabulate", "draw", "report"]
    commands.sort(key=lambda command: order.index(command.split()[3]))
    drawn = [command for command in commands if command.split()[3] == "draw"]
    commands = [command for command in commands if command not in drawn[1:] and "results/circle" not in command]
    assert [command.split()[3] for command in commands] == order
    (kind,) = re.findall(r"--figure (\S+)", drawn[0])
    study = Study.read(done / "config.yaml")
    others = {
        f"results/{file}" for other in kinds(done) if other != kind for file in figures.files(study, other).values()
    }
    made = {path for path in results(done) - others if not path.startswith("results/circle")}
    for path in made:
        (done / path).unlink()
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for command in commands:
        result = subprocess.run(["bash", "-c", command], cwd=done, env=environment, check=False)
        assert result.returncode == 0, command
    assert all((done / path).exists() for path in made)
    assert set(table(done, "runs")["status"]) == {"ok"}


def test_a_finished_run_has_made_the_report_and_it_is_made_once(done):
    printed = (done / "output.txt").read_text()
    assert "1 of 1 variants have results; by validation accuracy, highest first" in printed
    assert "Report: results/digits/report.html, " in printed
    path = done / "results/digits/report.html"
    before = path.stat().st_mtime_ns
    assert "results/digits/report.html: nothing has changed since it was made" in make(done, "report")
    assert path.stat().st_mtime_ns == before


@pytest.mark.slow
def test_a_variant_that_explodes_is_failed_and_the_study_ends_well(project):
    content = yaml.safe_load(SMALL_STUDY)
    layers = ["Flatten", {"Dense": {"units": 8, "activation": "relu"}}, {"Dense": {"units": 10}}]
    content["variants"]["wild"] = {"base": "regression", "layers": layers, "optimizer": {"SGD": {"learning_rate": 1e9}}}
    del content["variants"]["circle"]
    (project / "config.yaml").write_text(yaml.safe_dump(content))
    result = snakemake(project, *UNTIL_TABLES)
    assert result.returncode == 0, result.stdout
    runs = table(project, "runs").set_index(["variant", "seed"])
    assert runs.loc["wild", "status"].tolist() == ["failed", "failed"]
    assert runs.loc["wild", "failed_step"].between(2, 60).all()
    assert table(project, "variants").set_index("variant")["status"].to_dict() == {"regression": "ok", "wild": "failed"}


def test_a_missing_run_is_named_by_tabulate(project):
    result = call_in(project, "tabulate", "--train-hash", "0", "--evaluate-hash", "0", "--perturb-hash", "0")
    assert result.returncode == 0, result.stderr
    assert set(table(project, "runs")["status"]) == {"missing"}
    assert table(project, "variants")["status"].tolist() == ["missing", "missing"]


def test_a_wrong_config_ends_before_any_job_with_one_line_and_code_2(project):
    change(project, seeds="five")
    result = snakemake(project, trains=False)
    assert result.returncode == 2
    assert "mnist_hpc: error: " in result.stdout
    assert "config.yaml: seeds: found 'five' (text), expected a whole number" in result.stdout
    assert "Traceback" not in result.stdout
    assert not (project / "results").exists()


def test_a_wrong_value_on_the_command_line_is_refused(project):
    result = dry_run(project, "--config", "dataset=digit")
    assert result.returncode == 2
    expected = "expected one of mnist, digits, circle, spirals (did you mean 'digits'?)"
    assert f"dataset: found 'digit', {expected}" in result.stdout


def test_data_that_cannot_be_had_ends_the_workflow_with_the_line(project, tiny):
    content = tiny_study() | {"search_path": [str(tiny)]}
    content["variants"]["circle"] = yaml.safe_load(SMALL_STUDY)["variants"]["circle"]
    (project / "config.yaml").write_text(yaml.safe_dump(content))
    (tiny / "train-images.gz").write_text("<html>Please log in</html>")
    result = snakemake(project, *UNTIL_TABLES, TINY_DIR="")
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


@pytest.mark.parametrize("folder", ["results", "results/digits"])
def test_results_that_cannot_be_written_are_an_error_of_one_line(project, folder):
    path = project / folder
    path.parent.mkdir(exist_ok=True)
    path.write_text("a file where a folder should be")
    arguments = ("--dataset", "digits", "--source", "digits", "--entry", json.dumps(BUILT_IN["digits"]))
    assert folder in error_line(call_in(project, "convert", *arguments, "--folder", "results/digits/data"))
    assert snakemake(project, "results/digits/data/train.h5", trains=False).returncode == 1
    assert path.read_text() == "a file where a folder should be"


@pytest.mark.slow
def test_a_folder_may_have_any_name_and_reaches_no_shell(tmp_path_factory):
    odd = ran(tmp_path_factory, "wide")
    assert odd.name == ODD
    assert (odd / "results/tiny/report.html").exists()
    assert not list(odd.parent.rglob("owned"))
