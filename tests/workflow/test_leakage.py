"""The test images decide nothing: whatever is trained, tuned or chosen is the same without them."""

import json
import re
import shutil

import pandas as pd
import pytest
from planner import dry_run

from conftest import TUNED, copy_project, snakemake

RESULTS = "results/digits"
DATA = (f"{RESULTS}/data/train.h5", f"{RESULTS}/data/test.h5")
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
def test_training_sweeps_and_choice_are_the_same_without_the_test_images(tmp_path):
    converted = copy_project(tmp_path / "converted", TUNED)
    assert snakemake(converted, *DATA, trains=False).returncode == 0
    found = []
    for case in ("whole", "unreadable"):
        project = shutil.copytree(converted, tmp_path / case)
        if case == "unreadable":
            (project / DATA[1]).write_bytes(b"no HDF5")
        result = snakemake(project, *CHOSEN)
        assert result.returncode == 0, result.stdout
        assert "started: convert" not in result.stdout
        found.append([without_times(project / file) for file in CHOSEN])
        if case == "unreadable":
            result = snakemake(project)
            assert result.returncode != 0
            assert f"{DATA[1]}: " in result.stdout
    assert found[0] == found[1]


def test_no_rule_but_those_that_write_and_evaluate_it_names_the_test_file(tmp_path):
    project = copy_project(tmp_path / "study", TUNED)
    printed = dry_run(project, "-p").stdout
    # Each job from its rule's line to the next one's, with its files and its command.
    jobs = re.findall(r"^(?:local)?rule (\w+):(.*?)(?=^(?:local)?rule |^Job stats)", printed, re.MULTILINE | re.DOTALL)
    assert {"convert", "train", "sweep", "rank", "evaluate", "perturb", "tabulate"} <= {rule for rule, _ in jobs}
    assert {rule for rule, text in jobs if "test.h5" in text} == {"convert", "evaluate", "perturb"}
