"""Every reader against damaged files: refused in one line, or read as what was written; no crash, hang or wrong data.

FUZZ=100000 says how many damaged files each reader gets (`make trust`). The number of a failure makes its file again,
whatever else runs, but for the records of attempts, which hold the time.
"""

import gzip
import os
import resource
import signal
import traceback
from pathlib import Path

import numpy as np
import pytest

from conftest import SMALL_STUDY, specification
from mnist_hpc.cluster import attempts
from mnist_hpc.data import idx
from mnist_hpc.data.splits import Split, read_split, write_split
from mnist_hpc.errors import UserError
from mnist_hpc.files import csv_table, hdf5
from mnist_hpc.study import check
from mnist_hpc.study.layout import RUN_COLUMNS, Block, point_columns
from mnist_hpc.tables import collect, mistakes, ranking
from mnist_hpc.tables.choice import choose
from mnist_hpc.training import checkpoint, evaluation
from mnist_hpc.training.models_file import Model, read_models, write_models

CASES = int(os.environ.get("FUZZ", "200"))
# Files that one child process reads: a crash loses no more than these.
BATCH = 1000
# What a read may take: seconds, and bytes beyond what the process has.
SECONDS, MEMORY = 20, 2**31
# Numbers that break arithmetic, as bytes of an integer and as words of a text.
EDGES = [value for bits in (8, 16, 32, 64) for value in (0, 1, 2 ** (bits - 1), 2**bits - 1)]
WORDS = [
    "",
    "nan",
    "inf",
    "-1",
    "1e999",
    "9" * 400,
    "null",
    "[]",
    "{}",
    '"',
    ",",
    "\n",
    "\t",
    "\0",
    "é",
    "../..",
    "*a",
    "!!x",
]


def damaged(content: bytes, random: np.random.Generator) -> bytes:  # noqa: C901  a case each
    """Return a file with one to three things done to it that disks, transfers, editors and enemies do."""
    data = bytearray(content)
    for _ in range(random.integers(1, 4)):
        place = int(random.integers(len(data) + 1))
        end = min(len(data), place + int(2 ** random.uniform(0, 12)))
        match random.integers(9):
            case 0:
                for _ in range(random.integers(1, 9)):
                    if data:
                        data[random.integers(len(data))] ^= 1 << random.integers(8)
            case 1:
                data[place:end] = random.bytes(end - place)
            case 2:
                del data[place:]
            case 3:
                del data[place:end]
            case 4:
                data[place:place] = random.bytes(int(2 ** random.uniform(0, 10)))
            case 5:
                data[place:end] = bytes(end - place)
            case 6:
                value = EDGES[random.integers(len(EDGES))]
                size = max(1, (value.bit_length() + 7) // 8)
                data[place : place + size] = value.to_bytes(size, "little")
            case 7:
                data[place:place] = data[place:end]
            case 8:
                data[place : place + int(random.integers(4))] = WORDS[random.integers(len(WORDS))].encode()
    return bytes(data)


def drawn() -> np.random.Generator:
    """Return what a file is drawn with before it is damaged: the same for every reader, whatever ran before."""
    return np.random.default_rng(0)


def raw(path):
    images = drawn().integers(0, 256, (20, 28, 28), dtype=np.uint8)
    path.write_bytes(gzip.compress(idx.encode(images), mtime=0))
    return lambda: idx.read(path, {"shape": [20, 28, 28]})[0]


def payload(path):
    path.write_bytes(idx.encode(np.zeros((20, 4), np.uint8)))
    return lambda: idx.decode(path.read_bytes(), (20, 4)).shape


def data(path):
    random = drawn()
    split = Split(random.integers(0, 256, (20, 28, 28), dtype=np.uint8), np.arange(20, dtype=np.uint8))
    plane = Split(random.normal(size=(20, 2)).astype(np.float32), np.arange(20, dtype=np.uint8))
    with hdf5.writing(path, {"dataset": "x", "classes": 20, "data_hash": "0123"}) as file:
        write_split(file.create_group("train"), split)
        write_split(file.create_group("validation"), plane)

    def read():
        with hdf5.reading(path) as file:
            parts = [read_split(file[name]) for name in ("train", "validation")]
            return [dict(file.attrs), *(array for part in parts for array in (part.inputs, part.labels))]

    return read


def models(path):
    weights = {"01_dense/kernel": drawn().normal(size=(4, 3)).astype(np.float32), "01_dense/bias": np.zeros(3)}
    trained = {seed: Model({"status": "ok", "steps": 10}, weights) for seed in (0, 1)}
    write_models(path, specification(), trained)

    def read():
        header, found = read_models(path)
        return [header, sorted(found), *((model.facts, model.weights) for model in found.values())]

    return read


def predictions(path):
    random = drawn()
    test = Split(random.integers(0, 256, (30, 28, 28), dtype=np.uint8), np.arange(30, dtype=np.uint8) % 10)
    probabilities = random.dirichlet(np.ones(10), 30).astype(np.float32)
    matrix = evaluation.confusion(test.labels, probabilities.argmax(axis=1), 10)
    with hdf5.writing(path, {"classes": 10}) as file:
        evaluation.write_predictions(file, {0: {"probabilities": probabilities, "confusion": matrix}}, test)

    def read():
        hard, *counts = mistakes.hardest([path], 30)
        with hdf5.reading(path) as file:
            return [[vars(image) for image in hard], counts, file["seed-0/confusion"][()]]

    return read


def saved(path):
    place = checkpoint.Checkpoint(path)
    arrays = {"weights/kernel": drawn().normal(size=(4, 3)), "step": np.int64(7), "none": np.zeros((0, 3))}
    place.save({"step": 7, "rows": [{"loss": 0.5}]}, arrays)
    return place.load


def block_metrics(path):
    identity = {"spec_hash": "0123", "data_hash": "1", "code_hash": "2"}
    row = {"dataset": "x", "variant": "y", "status": "ok", "test_accuracy": 0.9, **identity}
    csv_table.write(path, RUN_COLUMNS, [row | {"seed": seed} for seed in (0, 1)])
    block = Block("x", "y", 0, 1)
    place = path.parent / block.folder / "metrics.csv"
    place.parent.mkdir(parents=True)
    place.symlink_to(path)

    def read():
        table = collect.runs([block], path.parent, {"y": identity})
        if set(table["status"]) == {"stale"}:  # not in any table
            raise UserError("stale")
        return table.to_csv()

    return read


def points(path):
    columns = point_columns(["learning_rate"])
    row = {"dataset": "x", "sweep": "s", "status": "ok", "validation_loss": 0.5, "validation_accuracy": 0.5}
    row |= {"seed": 0, "rung": 1, "steps": 1, "images": 100, "train_seconds": 0.5}
    csv_table.write(path, columns, [row | {"point": point} for point in (0, 1)])
    return lambda: ranking.read(path)


def choice(path):
    points(path.with_name("points.csv"))
    sweep = {"specification": specification(), "grid": [["learning_rate", [0.1, 0.2]]], "points": [0, 1]}
    choose([path.with_name("points.csv")], path.with_name("points.csv"), path, sweep, [])
    return lambda: ranking.read_best(path)


def record(path):
    with attempts.recorded(path, "train", 100):
        pass

    def read():
        attempts.hopeless(path, 1, "2026", "1", "FAILED")
        attempts.memory(path, 100)

    return read


def study(path):
    path.write_text(SMALL_STUDY)
    return lambda: check.load(path) and None


READERS = [raw, payload, data, models, predictions, saved, block_metrics, points, choice, record, study]


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
def test_a_damaged_file_is_refused_in_one_line_or_read_as_it_was(reader, tmp_path):
    path = tmp_path / "identity/kind/file"  # a checkpoint holds these three words
    path.parent.mkdir(parents=True)
    read = reader(path)
    content, expected = path.read_bytes(), read()
    failures = []
    for begin in range(0, CASES, BATCH):
        failures += in_a_child(path, content, read, expected, range(begin, min(begin + BATCH, CASES)))
    assert not failures, f"{len(failures)} of {CASES}:\n" + "\n".join(failures[:20])


def in_a_child(path: Path, content: bytes, read, expected, numbers: range) -> list[str]:
    """Return what went wrong with these damaged files, read by a process that may die of them."""
    outcome, place, output = (path.with_name(name) for name in ("failures", "place", "output"))
    outcome.write_text("")
    place.write_text("none")
    child = os.fork()
    if not child:
        code = 1
        try:
            os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
            size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
            with outcome.open("w") as failures:
                for number in numbers:
                    place.write_text(str(number))
                    signal.alarm(SECONDS)
                    if wrong := verdict(path, damaged(content, np.random.default_rng([1, number])), read, expected):
                        print(f"file {number}: {wrong}", file=failures, flush=True)
            code = 0
        except BaseException:  # noqa: BLE001  of this test, not of a reader
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    found = outcome.read_text().splitlines()
    if code:  # negative: a signal
        said = output.read_text(errors="replace")[-2000:]
        found.append(f"file {place.read_text()}: the process ended with {code}: {said}")
    return found


def verdict(path: Path, content: bytes, read, expected) -> str | None:
    """Return what is wrong with how a damaged file was read; None if nothing is."""
    path.write_bytes(content)
    try:
        found = read()
    except UserError as error:
        return f"a refusal of several lines: {error}" if "\n" in str(error) else None
    except BaseException as error:  # noqa: BLE001  whatever it is, no reader may raise it
        return f"{type(error).__name__}: {error}"
    return None if same(found, expected) else "read as something else than what was written"


def same(one, other) -> bool:
    """Return whether two nests of arrays and plain values are equal."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, Model):
        return same([one.facts, one.weights], [other.facts, other.weights])
    return bool(np.array_equal(one, other))
