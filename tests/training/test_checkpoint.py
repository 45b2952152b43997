"""Checkpoints: what is saved is loaded, nothing foreign or damaged is ever used, and what is finished goes."""

import h5py
import numpy as np
import pytest

from mnist_hpc.errors import UserError
from mnist_hpc.study.layout import Block
from mnist_hpc.training import checkpoint
from mnist_hpc.training.checkpoint import Checkpoint


@pytest.fixture
def saved(tmp_path):
    """Return a checkpoint with something in it."""
    checkpoint = Checkpoint(tmp_path / "seed.h5")
    checkpoint.save({"step": 3}, {"model/0": np.arange(5.0), "optimizer/0": np.array(7)})
    return checkpoint


def test_what_is_saved_is_loaded(saved):
    record, arrays = saved.load()
    assert record == {"step": 3}
    assert {name: value.tolist() for name, value in arrays.items()} == {
        "model/0": [0, 1, 2, 3, 4],
        "optimizer/0": 7,
    }
    assert Checkpoint(saved.path.with_name("other.h5")).load() is None


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    position = content.index(np.arange(5.0).tobytes()) + 12
    content[position] ^= 1
    path.write_bytes(content)


def drop_an_array(path):
    with h5py.File(path, "a") as file:
        del file["arrays/model"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("no checkpoint"),
        flip_a_bit,
        drop_an_array,
    ],
    ids=["cut short", "empty", "text", "one bit", "an array missing"],
)
def test_a_damaged_checkpoint_is_ignored_with_a_warning_and_replaced(saved, damage):
    damage(saved.path)
    with pytest.raises(UserError, match=r"seed\.h5: the file is damaged"):
        saved.load()
    lines = []
    assert saved.found(lines.append) is None
    assert lines[0].startswith("warning: damaged checkpoint ignored, starting over")
    saved.save({"step": 4}, {})
    assert saved.found(lines.append) == ({"step": 4}, {})
    assert len(lines) == 1


def test_a_checkpoint_of_another_seed_or_training_is_not_taken(saved, tmp_path):
    for place in ("seed-1.h5", "other/seed.h5", f"other/{tmp_path.name}/seed.h5"):
        copied = Checkpoint(tmp_path / place)
        copied.path.parent.mkdir(exist_ok=True, parents=True)
        copied.path.write_bytes(saved.path.read_bytes())
        with pytest.raises(UserError, match="place"):
            copied.load()
    assert saved.load()


def test_checkpoints_of_finished_seeds_go_and_those_of_others_stay(tmp_path):
    blocks = [Block("mnist", "cnn", 0, 1), Block("mnist", "cnn", 2, 3)]
    folders = [tmp_path / f"state/mnist/cnn/{identity}/{kind}" for identity in "ab" for kind in ("gpu", "cpu")]
    places = [folder / f"seed-{seed}.h5" for folder in folders for seed in (0, 1, 2, 10)]
    for place in places:
        Checkpoint(place).save({}, {})
    for block in blocks:
        (tmp_path / block.record).touch()
    checkpoint.remove_finished(tmp_path, blocks, {("cnn", 0), ("cnn", 1), ("cnn", 2), ("mlp", 10)})
    assert {place for place in places if place.exists()} == {place for place in places if place.stem == "seed-10"}
    assert [(tmp_path / block.record).exists() for block in blocks] == [False, True]  # seed 3 is not finished
    checkpoint.remove_finished(tmp_path, [Block("mnist", "cnn", 2, 3), Block("mnist", "cnn", 10, 10)], {("cnn", 10)})
    assert not list((tmp_path / "state").rglob("*.h5"))


def test_an_empty_folder_of_checkpoints_is_removed(tmp_path):
    Checkpoint(tmp_path / "state/mnist/cnn/a/cpu/seed-0.h5").save({}, {})
    checkpoint.remove_finished(tmp_path, [Block("mnist", "cnn", 0, 0)], {("cnn", 0)})
    assert list(tmp_path.iterdir()) == []
