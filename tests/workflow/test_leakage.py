"""The test images decide nothing: whatever is trained, tuned or chosen is the same without them."""

import json
import re
import shutil

import pandas as pd
import pytest
from planner import dry_run
from studies import finished

from conftest import TUNED, copy_project, snakemake

RESULTS = "results/digits"
TEST_IMAGES = f"{RESULTS}/data/test.h5"
CHOSEN = (
    f"{RESULTS}/sweeps/rates/points.csv",
    f"{RESULTS}/sweeps/rates/best.json",
    f"{RESULTS}/runs/regression/seeds-0-1/history.csv",
    f"{RESULTS}/runs/tuned/seeds-0-1/history.csv",
)

TIMES = ["train_seconds", "checksum"]


def without_times(path):
    """Return what a file says, without times and checksum."""
    if path.suffix == ".json":
        return {key: value for key, value in json.loads(path.read_text()).items() if key not in TIMES}
    return pd.read_csv(path).drop(columns=TIMES).to_dict()


@pytest.mark.slow
def test_training_sweeps_and_choice_are_the_same_without_the_test_images(tmp_path_factory, tmp_path):
    whole = finished(tmp_path_factory, "tuned", tmp_path / "whole")
    project = shutil.copytree(whole, tmp_path / "unreadable")
    for path in [*(project / "results").iterdir(), *(project / RESULTS).iterdir()]:
        if path not in (project / RESULTS, project / RESULTS / "data"):
            shutil.rmtree(path)
    (project / TEST_IMAGES).write_bytes(b"no HDF5")
    result = snakemake(project, *CHOSEN)
    assert result.returncode == 0, result.stdout
    assert "started: convert" not in result.stdout
    assert result.stdout.count("started: ") == 4  # the sweep, its choice, and the trainings of two variants
    for file in CHOSEN:
        assert without_times(project / file) == without_times(whole / file)
    result = snakemake(project, f"{RESULTS}/runs/regression/seeds-0-1/metrics.csv")
    assert result.returncode != 0
    assert f"{TEST_IMAGES}: " in result.stdout


def test_no_rule_but_those_that_write_and_evaluate_it_names_the_test_file(tmp_path):
    project = copy_project(tmp_path / "study", TUNED)
    printed = dry_run(project, "-p").stdout
    # Each job from its rule's line to the next one's, with its files and its command.
    jobs = re.findall(r"^(?:local)?rule (\w+):(.*?)(?=^(?:local)?rule |^Job stats)", printed, re.MULTILINE | re.DOTALL)
    assert {"convert", "train", "sweep", "rank", "evaluate", "perturb", "tabulate"} <= {rule for rule, _ in jobs}
    assert {rule for rule, text in jobs if "test.h5" in text} == {"convert", "evaluate", "perturb"}
