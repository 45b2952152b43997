"""containers/mnist-hpc.def: what it installs from exists and has what jobs need. Apptainer is not needed."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from conftest import ROOT
from mnist_hpc.cluster import container

DEFINITION = ROOT / "containers/mnist-hpc.def"
# Notes its arguments, and fails if a file that it is told to read does not exist.
STAND_IN = """#!/bin/sh
echo "$(basename "$0") $@" >> "{calls}"
while [ $# -gt 0 ]; do
    if [ "$1" = -r ]; then [ -s "$2" ] || exit 1; fi
    shift
done
"""
# What the stages of a job import of this package, as paths of modules.
MODULES = """
import importlib, sys
for name in (
    *("__main__", "stages.train", "stages.evaluate", "stages.perturb", "stages.sweep"),
    *("training.engine", "training.perturbation", "training.trainer"),
):
    importlib.import_module(f"mnist_hpc.{name}")
print(*(module.__file__ for name, module in sys.modules.items() if name.startswith("mnist_hpc.")), sep="\\n")
"""


def section(name):
    """Return the lines of a section of the definition."""
    found = re.search(rf"^%{name}\n(.*?)(?=^%|\Z)", DEFINITION.read_text(), re.MULTILINE | re.DOTALL)
    return [line.strip() for line in found[1].strip().splitlines()]


@pytest.fixture
def python_version():
    """Return the version of Python in the container, from the name of the image it starts from."""
    return re.search(r"^From: \S*python:(3\.\d+)-", DEFINITION.read_text(), re.MULTILINE)[1]


@pytest.fixture
def locked(python_version):
    """Return the version of each package that the lock file installs with that Python on x86-64."""
    (lock,) = [line.split()[0] for line in section("files") if "gpu" in line]
    lines = [line.rstrip(" \\") for line in (ROOT / lock).read_text().splitlines() if re.match(r"[a-z]", line)]
    place = {"python_full_version": f"{python_version}.0", "python_version": python_version}
    place |= {"sys_platform": "linux", "platform_machine": "x86_64"}
    found = [Requirement(line) for line in lines]
    return {r.name: str(r.specifier)[2:] for r in found if not r.marker or r.marker.evaluate(place)}


def test_its_files_are_installed_with_their_hashes(tmp_path):
    copies = tmp_path / "image"
    for line in section("files"):
        source, target = line.split()
        place = copies / target.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes((ROOT / source).read_bytes())
    programs, calls = tmp_path / "bin", tmp_path / "calls"
    programs.mkdir()
    for name in ("python", "uv"):
        (programs / name).write_text(STAND_IN.format(calls=calls))
        (programs / name).chmod(0o755)
    script = "\n".join(section("post")).replace("/opt/", f"{copies}/opt/")
    environment = os.environ | {"PATH": f"{programs}:/usr/bin:/bin"}
    subprocess.run(["sh", "-ex", "-c", script], check=True, env=environment)
    made = calls.read_text().splitlines()
    assert [line.split()[0] for line in made] == ["python", "uv"]
    for line, name in zip(made, ("uv.lock", "gpu.lock"), strict=True):
        assert "--require-hashes" in line
        assert line.endswith(f"-r {name}")
    # What jobs start is the Python that the packages are installed into.
    assert f"--python {programs}/python " in made[1]
    assert container.python("python")[-1] == "python"


def imported():
    """Return the packages of others that the modules of a job import."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow")}
    printed = subprocess.check_output([sys.executable, "-c", MODULES], text=True, env=environment)
    found = set()
    for path in printed.splitlines():
        for node in ast.walk(ast.parse(Path(path).read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"mnist_hpc"}


def test_it_has_what_jobs_import(locked):
    assert imported() == {"tensorflow", "keras", "numpy", "h5py", "scipy"}  # docs/slurm.md names them
    assert {"tensorflow", "keras", "numpy", "h5py", "scipy"} <= locked.keys()
    assert locked["keras"].startswith("3.")
    assert locked["nvidia-cudnn-cu12"].startswith("9.10.")  # the last that supports the V100


def test_its_python_is_one_that_the_package_supports(python_version):
    assert python_version in ("3.11", "3.12", "3.13")
