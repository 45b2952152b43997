"""What Snakemake's logger plugin says during a run: one line for each job that starts or ends."""

import logging
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from mnist_hpc.files import csv_table
from mnist_hpc.plugins.logger import LogHandler

SNAKEFILE = """
rule all:
    input: "mnist-cnn-0-4.txt"
rule fetch:
    output: touch("{dataset}.raw")
rule train:
    input: "{dataset}.raw"
    output: "{dataset}-{variant}-{first}-{last}.txt"
    shell: "exit {config[code]} > {output}"
"""


def snakemake(folder, *arguments):
    """Run Snakemake with the plugin on two jobs that take no time; return what it says."""
    (folder / "Snakefile").write_text(SNAKEFILE)
    program = Path(sys.executable).parent / "snakemake"
    command = [program, "--cores", "1", "--logger", "mnist", "--config", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stderr


def test_a_run_has_a_line_for_each_job_that_starts_or_ends(tmp_path):
    said = snakemake(tmp_path, "code=0")
    found = [line.partition("] ")[2] for line in said.splitlines() if re.match(r"\[\d\d:\d\d:\d\d\] ", line)]
    assert [re.sub(r"\d+ s$", "0 s", line) for line in found] == [
        "started: fetch mnist",
        "1 of 2 done: fetch mnist, 0 s",
        "started: train mnist cnn seeds 0 to 4",
        "2 of 2 done: train mnist cnn seeds 0 to 4, 0 s",
    ]
    assert "Select jobs to execute" not in said
    assert "jobid:" not in said


def test_a_job_that_fails_is_told_in_snakemakes_words(tmp_path):
    said = snakemake(tmp_path, "code=3")
    assert "Error in rule train" in said
    assert "2 of 2 done" not in said


def test_a_dry_run_is_told_in_snakemakes_words(tmp_path):
    said = snakemake(tmp_path, "code=0", "--dry-run")
    assert "rule train:" in said
    assert "started:" not in said


@pytest.fixture
def said(capsys):
    """Return a function that gives a new handler some records, and returns the lines that it writes."""

    def handle(*records):
        handler = LogHandler(SimpleNamespace(dryrun=False, verbose=False), None)
        for keys in records:
            handler.emit(logging.makeLogRecord({"msg": "", **keys}))
        return capsys.readouterr().err.splitlines()

    return handle


def test_a_record_that_the_handler_does_not_understand_is_shown_as_it_is(said):
    damaged = {"event": LogEvent.JOB_INFO, "msg": "a job without a name"}
    assert said(damaged, {"msg": "Error: disk full"}) == ["a job without a name", "Error: disk full"]


def test_on_a_cluster_the_executor_says_what_it_has_submitted(said):
    job = {"event": LogEvent.JOB_INFO, "rule_name": "tabulate", "jobid": 1, "wildcards": {}}
    here, there = job | {"local": True}, job | {"local": False}
    cluster = {"event": LogEvent.RESOURCES_INFO, "msg": "remote", "nodes": 100}
    accepted = {"msg": "Job 5d5c-8d1c has been submitted with SLURM jobid 8 (log: 8.log)."}
    assert said(cluster, here)[-1].endswith("started: tabulate")
    assert said(cluster, there, accepted) == ["remote"]
    assert said({"event": LogEvent.RESOURCES_INFO, "msg": "local", "cores": 2}, there)[-1].endswith("started: tabulate")


def test_the_end_of_a_job_that_nobody_started_is_not_told(said):
    assert said({"event": LogEvent.JOB_FINISHED, "job_id": 7}) == []


def test_the_line_of_an_evaluation_has_the_mean_test_accuracy_of_its_seeds(said, tmp_path):
    accuracies = [0.5, 0.75, None]  # the last training diverged
    csv_table.write(tmp_path / "metrics.csv", ["test_accuracy"], [{"test_accuracy": value} for value in accuracies])
    job = {"rule_name": "tabulate", "jobid": 1, "wildcards": {}, "local": True}
    outputs = [str(tmp_path / "metrics.csv"), str(tmp_path / "predictions.h5")]
    begun = {"event": LogEvent.JOB_INFO, **job, "output": outputs}
    assert said(begun, {"event": LogEvent.JOB_FINISHED, "job_id": 1})[-1].endswith(
        "done: tabulate, 0 s, test accuracy 62.50 %, mean of 2 seeds"
    )
