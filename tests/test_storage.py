import h5py
import numpy as np
import pytest

from mnist_hpc import storage
from mnist_hpc.errors import UserError


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "file"

    def write(fail):
        with storage.atomic(path) as temporary:
            temporary.write_text("half")
            assert not path.exists()
            if fail:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(fail=True)
    assert list(path.parent.iterdir()) == []
    write(fail=False)
    assert [item.name for item in path.parent.iterdir()] == ["file"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.h5"
    with storage.writing(path, {"version": 1}):
        pass
    with pytest.raises(KeyboardInterrupt), storage.writing(path, {"version": 2}):
        raise KeyboardInterrupt
    with storage.reading(path) as file:
        assert file.attrs["version"] == 1


def test_models_survive_a_round_trip(tmp_path):
    weights = {"02_dense/kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "02_dense/bias": np.zeros(3)}
    models = {10: storage.Model({"status": "ok"}, weights), 9: storage.Model({"status": "failed"}, {})}
    storage.write_models(tmp_path / "models.h5", {"layers": [{"Flatten": {}}]}, models)
    specification, found = storage.read_models(tmp_path / "models.h5")
    assert specification == {"layers": [{"Flatten": {}}]}
    assert list(found) == [9, 10]
    assert found[9] == models[9]
    assert all(np.array_equal(found[10].weights[name], value) for name, value in weights.items())


def test_files_hold_no_time_so_the_same_content_is_the_same_bytes(tmp_path):
    with storage.writing(tmp_path / "file.h5", {"a": 1}) as file:
        storage.write_split(file.create_group("train"), storage.Split(np.zeros((2, 28, 28), np.uint8), np.zeros(2)))
    with storage.reading(tmp_path / "file.h5") as file:
        for name in (b".", b"train", b"train/images"):
            assert h5py.h5g.get_objinfo(file.id, name).mtime == 0


def test_a_missing_truncated_or_foreign_file_is_refused_with_its_name(tmp_path):
    path = tmp_path / "file.h5"

    def read():
        with storage.reading(path) as file:
            return file["images"][()]

    with pytest.raises(UserError, match=r"file\.h5: not found"):
        read()
    with h5py.File(path, "w") as file:
        file["images"] = np.zeros((100, 28, 28))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(UserError, match=r"file\.h5: .*truncated"):
        read()
    with h5py.File(path, "w") as file:
        file["features"] = np.zeros(3)
    with pytest.raises(UserError, match=r"file\.h5: .*images"):
        read()
