"""The command line: every command has its help, known errors take one line, and attempts are recorded."""

import re

import pytest

from conftest import SMALL_STUDY, call, error_line, run
from mnist_hpc.__main__ import COMMANDS, STAGES
from mnist_hpc.cluster import attempts
from mnist_hpc.errors import Interrupted
from mnist_hpc.stages import tabulate


@pytest.mark.parametrize("command", [*STAGES, *COMMANDS])
def test_every_command_describes_itself(command):
    with pytest.raises(SystemExit) as end:
        call(command, "--help")
    assert end.value.code == 0


def test_all_commands_are_listed_with_what_they_do():
    result = run("--help")
    assert result.returncode == 0
    assert set(re.findall(r"(?m)^    (\w+)\b", result.stdout)) >= {*STAGES, *COMMANDS}


def test_a_wrong_config_is_one_line_and_exit_code_2(tmp_path):
    (tmp_path / "config.yaml").write_text(SMALL_STUDY.replace("seeds: 2", "seed: 2"))
    line = error_line(run("status", "--config", tmp_path / "config.yaml"))
    assert "found the unknown key 'seed'" in line


def test_a_missing_file_is_one_line_and_exit_code_2(tmp_path):
    outputs = ("--metrics", tmp_path / "metrics.csv", "--predictions", tmp_path / "predictions.h5")
    line = error_line(call("evaluate", "--models", "nowhere.h5", "--data", "test.h5", *outputs))
    assert "nowhere.h5: not found" in line


@pytest.mark.parametrize(
    ("error", "code", "said"), [(Interrupted("step 5"), 75, "interrupted: step 5"), (KeyboardInterrupt(), 130, "")]
)
def test_an_interruption_has_an_exit_code_of_its_own(error, code, said, tmp_path, monkeypatch):
    def interrupted(**_):
        raise error

    monkeypatch.setattr(tabulate, "run", interrupted)
    (tmp_path / "config.yaml").write_text(SMALL_STUDY)
    hashes = ("--train-hash", "a", "--evaluate-hash", "b", "--perturb-hash", "c")
    done = call("tabulate", "--config", tmp_path / "config.yaml", *hashes)
    assert done.returncode == code
    assert f"mnist_hpc: {said or 'interrupted'}" in done.stderr


def test_an_attempt_of_a_job_is_recorded(tmp_path):
    outputs = ("--metrics", tmp_path / "metrics.csv", "--predictions", tmp_path / "predictions.h5")
    record = ("--attempts", tmp_path / "seeds-0-4.json", "--mem-mb", "4000")
    call("evaluate", "--models", "nowhere.h5", "--data", "test.h5", *outputs, *record)
    (entry,) = attempts.read(tmp_path / "seeds-0-4.json")
    assert (entry["stage"], entry["mem_mb"], entry["end"]) == ("evaluate", 4000, "error")
    assert "nowhere.h5: not found" in entry["reason"]
