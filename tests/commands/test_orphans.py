"""Waiting for the jobs that a lost main process left, with a Slurm that fails for a moment."""

from mnist_hpc.cluster.main_process import MainProcess
from mnist_hpc.commands import orphans


def test_waiting_survives_a_query_that_fails_and_says_why_jobs_wait(tmp_path, monkeypatch, capsys):
    works = {"7": {"dataset": "digits", "variant": "cnn", "first": "0", "last": "4"}}
    MainProcess(works=works).write(tmp_path)
    held = f"7|PENDING||JobHeldUser|{tmp_path}|run"
    answers = [f"echo '{held}'", "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1"]
    answers += [answers[0], ":"]  # the last one: no job is left
    cases = "".join(f"{number}) {answer};;\n" for number, answer in enumerate(answers, 1))
    squeue = tmp_path / "bin/squeue"
    squeue.parent.mkdir()
    squeue.write_text(f"#!/bin/sh\necho >>{tmp_path}/calls\ncase $(wc -l <{tmp_path}/calls) in\n{cases}esac\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", str(squeue.parent), prepend=":")
    orphans._await(tmp_path, 0)
    said = capsys.readouterr().err
    assert "job 7 will not start (JobHeldUser): it was held; `scontrol release` lets it go" in said
    assert "Slurm does not answer, asked again until it does: " in said
    assert (tmp_path / "calls").read_text() == "\n" * len(answers)
