"""Studies that are run once for all tests of a session, however many processes share them."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT, SMALL_STUDY, copy_project, make_tiny, snakemake, tiny_entry

# Every kind of dependency: a base and its heir, a sweep and a variant that takes over its choice, and three data sets,
# one of them described in the config alone.
WIDE_STUDY = f"""
# A study.
dataset: tiny
seeds: 2
seeds_per_job: 2
search_path: []
datasets: {{tiny: {tiny_entry()!r}}}
variants:
  regression:
    layers: [Flatten, {{Dense: {{units: 10}}}}]
    optimizer: {{SGD: {{learning_rate: 0.5, momentum: 0.25}}}}
    batch_size: 10
    steps: 20
  child:
    base: regression
    steps: 15
  tuned:
    base: regression
    from_sweep: rates
  circle:
    dataset: circle
    layers: [{{Dense: {{units: 3, activation: tanh}}}}, {{Dense: {{units: 2}}}}]
    optimizer: {{Adam: {{learning_rate: 0.03}}}}
    batch_size: 100
    steps: 20
  spiral:
    base: circle
    dataset: spirals
sweeps:
  rates:
    variant: regression
    grid: {{learning_rate: [0.1, 0.5]}}
    seeds: 1
"""
STUDIES = {"small": SMALL_STUDY, "wide": WIDE_STUDY}


def make(root: Path, target: str, code: int = 0) -> str:
    """Run a command of the Makefile in the environment of the tests, expect an exit code, and return what it says."""
    shutil.copy(ROOT / "Makefile", root)
    done = subprocess.run(
        ["make", "--no-print-directory", target, "ENV="],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        check=False,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def finished(factory: pytest.TempPathFactory, name: str, target: Path) -> Path:
    """Return a new copy of a finished study, with what its run printed in ``output.txt``.

    The folder ``source`` beside it holds the raw files of its data set ``tiny``.

    Args:
        factory: The session's factory of temporary folders.
        name: A study of ``STUDIES``.
        target: Folder to create.
    """
    base = factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    # Its name needs quoting.
    origin, whole = base / f"finished-{name}" / "a user's study", base / f"finished-{name}" / "whole"
    with (base / f"finished-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            shutil.rmtree(origin.parent, ignore_errors=True)
            copy_project(origin, STUDIES[name])
            make_tiny(origin.with_name("source"))
            result = snakemake(origin, "-p", TINY_DIR=str(origin.with_name("source")))
            assert result.returncode == 0, result.stdout
            (origin / "output.txt").write_text(result.stdout)
            whole.touch()
    shutil.copytree(origin, target, symlinks=True)
    if not target.with_name("source").exists():
        shutil.copytree(origin.with_name("source"), target.with_name("source"))
    return target
