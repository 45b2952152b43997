"""What accounting says of jobs, as numbers."""

import os

import pandas as pd
import pytest

from conftest import SMALL_STUDY, call
from mnist_hpc.cluster import accounting
from mnist_hpc.study.layout import Block


@pytest.mark.parametrize(
    ("text", "megabytes"), [("4000M", 4194.304), ("123456K", 126.418944), ("2G", 2147.483648), ("", 0)]
)
def test_sizes_of_sacct_are_megabytes(text, megabytes):
    assert accounting.megabytes(text) == pytest.approx(megabytes)


def test_a_log_tells_what_its_job_worked_on(tmp_path):
    (tmp_path / "rule_train").mkdir()
    command = "snakemake --target-jobs 'train:dataset=mnist,variant=cnn,first=5,last=9'\n"
    (tmp_path / "rule_train/12.log").write_text(f"host: n1\n{command}")
    (tmp_path / "rule_train/13.log").write_text("something else\n")
    assert accounting.numbers(tmp_path) == {"12": Block("mnist", "cnn", 5, 9)}


def test_where_slurm_counts_no_gpus_they_are_those_of_the_nodes(tmp_path, monkeypatch):
    (tmp_path / "config.yaml").write_text(SMALL_STUDY)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/12.log").write_text("'train:dataset=digits,variant=regression,first=0,last=1'\n")
    tables = tmp_path / "digits/tables"
    tables.mkdir(parents=True)
    runs = pd.DataFrame({"variant": ["regression"], "train_seconds": [900], "device": ["GPU NVIDIA GH200 120GB"]})
    runs.to_csv(tables / "runs.csv", index=False)
    sacct = tmp_path / "bin/sacct"
    sacct.parent.mkdir()
    # Two nodes for half an hour.
    sacct.write_text("#!/bin/sh\necho '12|COMPLETED|2026-01-01T10:00:00|2026-01-01T10:01:00|1800|2|144|node=2|'\n")
    sacct.chmod(0o755)
    monkeypatch.setenv("PATH", f"{sacct.parent}:{os.environ['PATH']}")
    resources = ("resources", "--config", tmp_path / "config.yaml", "--results", tmp_path, "--logs", tmp_path / "logs")
    assert "1 job, 1.00 node-hours (Slurm does not count the GPUs of this site; with GPUS=4" in call(*resources).stdout
    assert pd.read_csv(tables / "resources.csv")["gpu_hours"].isna().all()
    assert "1 job, 4.00 GPU-hours" in call(*resources, "--gpus-per-node", "4").stdout
    assert pd.read_csv(tables / "resources.csv")["gpu_hours"].tolist() == [4]
