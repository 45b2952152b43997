"""Quotas, as `lfs` and `quota` print them where they exist."""

import os

import pytest

from mnist_hpc.cluster import room
from mnist_hpc.cluster.findings import Level


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Return a maker of commands that print a text."""

    def make(name, text):
        (tmp_path / "text").write_text(text)
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\ncat {tmp_path / 'text'}\nexit 1\n")  # `quota` fails above a limit
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    return make


def test_quotas_of_the_file_system_are_what_is_left(tmp_path, commands):
    device, _ = room.mount(tmp_path)
    commands(
        "quota",
        f"Disk quotas for user a (uid 1):\n  {device} 20000000* 0 24000000 0 990 1000 0 0\n  /other 1 2 3 0 1 2 3 0\n",
    )
    ((owner, gigabytes, files),) = room.quotas(tmp_path)
    assert owner == "you"
    assert gigabytes == pytest.approx(4000000 * 1024 / 1e9)
    assert files == 10
    (finding,) = [found for found in room.examine(tmp_path) if found.subject == "quota"]
    assert finding.level is Level.FIX
    assert "4 GB and 10 files left for you" in finding.text
    assert "expected 5 GB and 10000 files: move the folder" in finding.text


@pytest.mark.parametrize("path", ["/scratch", "/ocean/projects/abc123p/user"])
def test_quotas_of_lustre_are_those_of_user_and_group(tmp_path, commands, monkeypatch, path):
    monkeypatch.setattr(room, "mount", lambda _: ("10.0.0.1@o2ib:/scratch", "lustre"))
    end = "\n" if len(path) > 15 else ""  # a longer path has a line of its own
    commands("lfs", f"{path}{end} 40000000 90000000 100000000 - 5 0 0 -\n")
    found = list(room.quotas(tmp_path))
    assert [owner for owner, _, _ in found] == ["you", "your group"]
    assert found[0][1:] == (pytest.approx(50000000 * 1024 / 1e9), None)
    assert all(finding.level is Level.OK for finding in room.examine(tmp_path) if finding.subject == "quota")


def test_a_command_that_hangs_or_limits_nothing_is_no_quota(tmp_path, commands, monkeypatch):
    device, _ = room.mount(tmp_path)
    commands("quota", f"{device} 20000000 0 0 0 990 0 0 0\n")
    assert list(room.quotas(tmp_path)) == []
    (tmp_path / "quota").write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(room, "PATIENCE", 0.1)
    assert list(room.quotas(tmp_path)) == []
