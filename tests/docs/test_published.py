"""The published numbers are those of the tables in docs/results; the tables are those of the code and the config."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

from conftest import ROOT
from mnist_hpc.files.code_hash import code_hash
from mnist_hpc.study.specification import Study

RESULTS = ROOT / "docs/results"
PAGES = ("README.md", "docs/benchmarks.md")
# Columns with the code hash of a stage.
STAGES = {"train": "code_hash", "evaluate": "evaluation_code_hash"}


@pytest.fixture(scope="module")
def runs():
    return pd.read_csv(RESULTS / "runs.csv", dtype=dict.fromkeys((*STAGES.values(), "spec_hash"), str))


@pytest.fixture(scope="module")
def study():
    return Study.read(ROOT / "config.yaml")


def test_the_pages_are_generated_from_the_tables(tmp_path):
    for name in ("README.md", "config.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "workflow", tmp_path / "workflow", ignore=shutil.ignore_patterns("__pycache__"))
    run(tmp_path, "docs/published.py")
    run(tmp_path, "-m", "cogapp", "-r", "-I", "docs", *PAGES)
    for page in (*PAGES, "docs/lecture.rst"):
        assert (tmp_path / page).read_text() == (ROOT / page).read_text(), f"{page}: run make docs"


def run(folder, *command):
    done = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES)
def test_means_and_intervals_are_those_of_the_seeds(runs, page):
    """Rows such as | `cnn` | 5 | 0.9918 | ...; the README has no standard deviation."""
    number = r"(0\.\d{4})"
    row = re.compile(rf"^\| `([\w-]+)` \| (\d+) \| {number} (?:\| {number} )?\| {number} to {number} \|", re.MULTILINE)
    found = row.findall((ROOT / page).read_text())
    assert len(found) >= 5
    for variant, n, mean, _, low, high in found:
        accuracies = runs.loc[(runs["variant"] == variant) & (runs["status"] == "ok"), "test_accuracy"]
        assert len(accuracies) == int(n), variant
        assert f"{accuracies.mean():.4f}" == mean, variant
        # That of the tables is on the logit scale, which differs from Student's by less than a tenth of its width.
        student = stats.t.interval(0.95, len(accuracies) - 1, accuracies.mean(), stats.sem(accuracies))
        assert [float(low), float(high)] == pytest.approx(student, abs=0.1 * (student[1] - student[0]) + 1e-4), variant


def test_the_study_is_that_of_the_config(runs, study):
    seeds = {name: list(range(variant.seeds)) for name, variant in study.variants.items()}
    assert runs.groupby("variant")["seed"].apply(list).to_dict() == seeds
    assert set(runs["status"]) <= {"ok", "failed"}
    for name, variant in study.variants.items():
        if "from_sweep" in variant.keys:
            continue  # depends on what the sweep found
        digest = hashlib.sha256(json.dumps(variant.specification, sort_keys=True).encode()).hexdigest()
        (published,) = set(runs.loc[runs["variant"] == name, "spec_hash"])
        assert digest.startswith(published), f"{name}: its results are of another recipe"


@pytest.mark.parametrize("stage", STAGES)
def test_where_the_code_of_a_result_is_not_that_of_this_commit_the_tables_say_so(runs, stage):
    (published,) = set(runs[STAGES[stage]])
    now = code_hash(f"stages.{stage}")
    said = Path(RESULTS / "README.md").read_text()
    assert published == now or (published in said and now in said), f"{stage}: {published} was published, now {now}"
