"""Run jobs in a container instead of the environment of the lock file; docs/slurm.md describes it for users."""

import os
import shutil
from pathlib import Path

from mnist_hpc.errors import UserError

VARIABLE = "MNIST_HPC_CONTAINER"
ROOT = Path(__file__).parents[3]


def image() -> Path | None:
    """Return the image that the environment variable names, if any; raise UserError if it does not exist."""
    name = os.environ.get(VARIABLE)
    if name and not Path(name).is_file():
        raise UserError(f"{VARIABLE}: {name} does not exist; correct the variable, or unset it")
    return Path(name) if name else None


def python(default: str) -> list[str]:
    """Return the command that starts Python in a job: the default, or that of the container with this package.

    The container must have Python 3.11 to 3.13, TensorFlow with Keras 3, NumPy, h5py and, for spaces, SciPy.
    """
    path = image()
    if path is None:
        return [default]
    runner = shutil.which("apptainer") or shutil.which("singularity") or "apptainer"
    environment = {"PYTHONPATH": str(ROOT / "workflow"), "PYTHONNOUSERSITE": "1"}
    options = [word for name, value in environment.items() for word in ("--env", f"{name}={value}")]
    return [runner, "exec", "--nv", "--bind", str(ROOT), "--bind", str(Path.cwd()), *options, str(path), "python"]
