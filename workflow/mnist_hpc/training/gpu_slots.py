"""Spread processes over the GPUs of a machine: each takes one, and the next process takes the one with the fewest.

A *slot* is a place on a GPU. Whoever has it holds a lock on a file, which ends with the process, however that ends.
Snakemake's resource ``gpu_slot`` limits how many processes there are; this module decides where they compute.
"""

import fcntl
import itertools
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from mnist_hpc.console import say

DEVICES = Path("/dev")
# The locked file of this process, which must stay open.
_HELD: list[TextIO] = []


def take() -> None:
    """Narrow ``CUDA_VISIBLE_DEVICES`` to one of several visible GPUs, and report it; call it before CUDA starts."""
    gpus = visible()
    if len(gpus) < 2 or _HELD:
        return
    try:
        gpu, slot = _lock(gpus)
    except OSError as error:  # no locks on that file system, or no room
        say(f"GPU slots: {error}; all GPUs stay visible")
        return
    os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    say(f"GPU {gpu} of {','.join(gpus)}, slot {slot}")


def visible() -> list[str]:
    """Return the GPUs that CUDA would see, as entries of ``CUDA_VISIBLE_DEVICES``: numbers, UUIDs or MIG devices."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        entries = [entry.strip() for entry in named.split(",")]
        return list(itertools.takewhile(lambda entry: entry and not entry.startswith("-"), entries))
    devices = [path for path in DEVICES.glob("nvidia*") if re.fullmatch(r"nvidia\d+", path.name)]
    return [str(number) for number in range(len(devices))]  # CUDA counts from 0 whatever the files are called


def folder() -> Path:
    """Return the folder of the locked files, which the user's processes on this machine and in this job share."""
    job = os.environ.get("SLURM_JOB_ID", "local")
    return Path(tempfile.gettempdir(), f"mnist-hpc-{os.getuid()}-{job}")


def _lock(gpus: Sequence[str]) -> tuple[str, int]:
    """Lock the first free slot, first slots of all GPUs first; return its GPU and its number."""
    place = folder()
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    for slot in itertools.count():
        for gpu in gpus:
            file = (place / f"{gpu.replace('/', '_')}.{slot}").open("a")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
            else:
                _HELD.append(file)
                return gpu, slot
    raise AssertionError
