"""From the four gzip files to HDF5, and from HDF5 into memory."""

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from mnist_hpc.data.splits import read_split
from mnist_hpc.files import hdf5
from mnist_hpc.stages import convert
from mnist_hpc.study.layout import RAW_FILES
from mnist_hpc.study.specification import Study

ROUNDS = 5
ROOT = Path(__file__).parents[2]
# Mean and standard deviation of MNIST's pixels, from 0 to 1.
MEAN, DEVIATION = 0.1307, 0.3081


def measure(data: Path, _peers: Path, _threads: int) -> list[dict[str, Any]]:
    """Return one row a measurement: decompress, verify and write; read; read and standardise all 60,000 images."""
    study = Study.read(ROOT / "config.yaml")
    source, entry = study.source("mnist"), study.entries["mnist"]
    rows: list[dict[str, Any]] = []

    def timed(name: str, round_: int, work: Any) -> None:
        begin = time.perf_counter()
        work()
        rows.append({"work": name, "round": round_, "seconds": time.perf_counter() - begin})
        print(f"{name:28} {rows[-1]['seconds']:6.3f} s", flush=True)

    def read() -> list[np.ndarray]:
        with hdf5.reading(data / "train.h5") as file:
            return [read_split(file[part]).inputs for part in ("train", "validation")]

    table = ((np.arange(256, dtype=np.float32) / 255 - MEAN) / DEVIATION).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        for name in RAW_FILES.values():
            shutil.copy(data / name, folder)
        for round_ in range(ROUNDS):
            timed("convert", round_, lambda: convert.run("mnist", source, entry, Path(folder)))
            timed("read", round_, read)
            timed("read and standardise", round_, lambda: [np.take(table, images) for images in read()])
    return rows
