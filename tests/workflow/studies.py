"""Studies that are run once for all tests of a session, however many processes share them."""

import shutil
from pathlib import Path

import pytest

from conftest import SMALL_STUDY, TUNED, UNTIL_TABLES, copy_project, made_once, make_tiny, snakemake, tiny_entry

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
# With the arguments of their runs, and the name of the folder in which they run.
QUOTED = "a user's study"
ODD = """a;touch owned; "b" 'c' $(touch owned) `touch owned` {input} %s \\\n-n"""
STUDIES = {"small": (SMALL_STUDY, (), QUOTED), "wide": (WIDE_STUDY, (), ODD), "tuned": (TUNED, UNTIL_TABLES, QUOTED)}


def finished(factory: pytest.TempPathFactory, name: str, target: Path) -> Path:
    """Return a new copy of a finished study, with what its run printed in ``output.txt``.

    The folder ``source`` beside it holds the raw files of its data set ``tiny``.

    Args:
        factory: The session's factory of temporary folders.
        name: A study of ``STUDIES``.
        target: Folder to create.
    """
    origin = ran(factory, name)
    shutil.copytree(origin, target, symlinks=True)
    if not target.with_name("source").exists():
        shutil.copytree(origin.with_name("source"), target.with_name("source"))
    return target


def ran(factory: pytest.TempPathFactory, name: str) -> Path:
    """Return the folder in which a study has run, which no test must change."""
    config, arguments, called = STUDIES[name]

    def build(folder: Path) -> None:
        origin = folder / called
        copy_project(origin, config)
        make_tiny(folder / "source")
        result = snakemake(origin, "-p", *arguments, TINY_DIR=str(folder / "source"))
        assert result.returncode == 0, result.stdout
        (origin / "output.txt").write_text(result.stdout)

    return made_once(factory, f"finished-{name}", build) / called
