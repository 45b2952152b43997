"""The time limits of jobs follow what earlier jobs took, and grow again if that was too little."""

import contextlib
import re

import pandas as pd
import pytest
from planner import dry_run

from conftest import ROOT
from mnist_hpc.cluster import attempts, times
from mnist_hpc.errors import Interrupted
from mnist_hpc.study.layout import Block, Part
from mnist_hpc.study.specification import Study

BLOCK = Block("digits", "plain", 0, 4)
NET = {"layers": ["Flatten", {"Dense": {"units": 10}}], "optimizer": "SGD", "batch_size": 10, "steps": 5}


@pytest.fixture
def study():
    variants = {"plain": NET, "given": NET | {"runtime": 90}, "derived": {"base": "given", "steps": 6}}
    sweeps = {"rates": {"variant": "plain", "grid": {"learning_rate": [0.1, 0.2]}, "runtime": 15}}
    return Study({"dataset": "digits", "seeds": 5, "datasets": {}, "variants": variants, "sweeps": sweeps})


def took(results, variant, *seconds):
    """Record the training times of a variant's seeds, as the evaluation does."""
    path = results / f"digits/runs/{variant}/seeds-5-9/metrics.csv"
    path.parent.mkdir(parents=True)
    path.write_text("seed,train_seconds\n" + "".join(f"{seed},{value}\n" for seed, value in enumerate(seconds)))


def interrupted(results, block, stage):
    with contextlib.suppress(Interrupted), attempts.recorded(results / block.record, stage, 100):
        raise Interrupted("saved at step 3")


def test_the_time_of_a_block_is_expected_from_other_seeds_of_its_variant(tmp_path):
    took(tmp_path, "plain", 10, 20, "")
    assert times.expected_seconds(BLOCK, tmp_path) == 75
    assert times.expected_seconds(Block("digits", "given", 0, 4), tmp_path) is None
    assert times.expected_seconds(Part("digits", "rates", 1, 1), tmp_path) is None


@pytest.mark.parametrize("content", [b"seed,train_seconds\n0,abc\n", b"seed,train_seconds\n0,\xff\n", b'"\0"\n'])
def test_a_damaged_table_of_times_is_left_out(study, tmp_path, content):
    took(tmp_path, "plain", 10)
    damaged = tmp_path / "digits/runs/plain/seeds-0-4/metrics.csv"
    damaged.parent.mkdir()
    damaged.write_bytes(content)
    assert times.expected_seconds(BLOCK, tmp_path) == 50
    assert times.training_limit(study, BLOCK, tmp_path) == 5


@pytest.mark.parametrize(("seconds", "minutes"), [(0.1, 5), (19, 5), (21, 10), (100, 30), (10_000, 60)])
def test_a_limit_is_some_times_the_recorded_time_up_to_the_default(study, tmp_path, seconds, minutes):
    assert times.training_limit(study, BLOCK, tmp_path) == 60
    times._seconds_per_seed.cache_clear()
    took(tmp_path, "plain", seconds)
    limit = times.training_limit(study, BLOCK, tmp_path)
    assert limit == minutes
    assert limit == 60 or limit * 60 >= 2.5 * 5 * seconds


@pytest.mark.parametrize("variant", ["given", "derived"])
def test_a_limit_of_the_config_is_never_replaced(study, tmp_path, variant):
    took(tmp_path, variant, 1)
    assert times.training_limit(study, Block("digits", variant, 0, 4), tmp_path) == 90
    assert times.training_limit(study, Part("digits", "rates", 1, 1), tmp_path) == 15


def test_a_block_whose_limit_was_too_short_gets_the_default_again(study, tmp_path):
    took(tmp_path, "plain", 1)
    other = Block("digits", "plain", 10, 14)
    for block in (BLOCK, other):
        assert times.training_limit(study, block, tmp_path) == 5
        assert times.evaluation_limit(study, block, tmp_path) == 10
    interrupted(tmp_path, BLOCK, "train")
    assert times.training_limit(study, BLOCK, tmp_path) == 60
    assert times.evaluation_limit(study, BLOCK, tmp_path) == 10
    interrupted(tmp_path, BLOCK, "evaluate")
    assert times.evaluation_limit(study, BLOCK, tmp_path) == 30
    assert times.evaluation_limit(study, BLOCK, tmp_path, "perturb") == 10
    interrupted(tmp_path, BLOCK, "perturb")
    assert times.evaluation_limit(study, BLOCK, tmp_path, "perturb") == 30
    assert times.training_limit(study, other, tmp_path) == 5


def planned(project):
    """Return the time limit of each job that Snakemake plans, by rule and variant."""
    found = dry_run(project).stdout
    job = r"^rule (train|evaluate|perturb):.*?variant=(\w+),.*? runtime=(\d+)"
    jobs = re.findall(job, found, re.MULTILINE | re.DOTALL)
    return {(rule, variant): int(minutes) for rule, variant, minutes in jobs}


def test_snakemake_plans_with_these_limits(project):
    others = {("evaluate", "regression"): 10, ("train", "circle"): 60, ("evaluate", "circle"): 10}
    others |= {("perturb", "regression"): 10}  # the points of the circle are no images
    assert planned(project) == others | {("train", "regression"): 60}
    took(project / "results", "regression", 1)
    assert planned(project) == others | {("train", "regression"): 5}
    interrupted(project / "results", Block("digits", "regression", 0, 1), "train")
    assert planned(project) == others | {("train", "regression"): 60}


def test_the_limits_of_the_shipped_study_fit_its_measured_times(tmp_path):
    study = Study.read(ROOT / "config.yaml")
    measured = pd.read_csv(ROOT / "docs/results/variants.csv", index_col="variant")["train_seconds_mean"]
    assert set(measured.index) == study.variants.keys()
    for block in study.blocks:
        seconds = len(block.seeds) * measured[block.variant]
        minutes = times.training_limit(study, block, tmp_path)
        assert 2.5 * seconds < 60 * minutes < 5 * seconds + 900, block
