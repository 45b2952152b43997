import h5py
import numpy as np
import pytest

from mnist_hpc.data.splits import Split, read_split, write_split
from mnist_hpc.errors import UserError
from mnist_hpc.files import hdf5
from mnist_hpc.files.atomic import atomic
from mnist_hpc.training.models_file import Model, read_models, write_models


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "file"

    def write(fail):
        with atomic(path) as temporary:
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
    with hdf5.writing(path, {"version": 1}):
        pass
    with pytest.raises(KeyboardInterrupt), hdf5.writing(path, {"version": 2}):
        raise KeyboardInterrupt
    with hdf5.reading(path) as file:
        assert file.attrs["version"] == 1


def test_a_link_in_the_place_of_the_temporary_file_leads_nowhere(tmp_path):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / ".table.csv.tmp").symlink_to(tmp_path / "precious")
    with atomic(tmp_path / "table.csv") as temporary:
        temporary.write_text("table")
    assert (tmp_path / "precious").read_text() == "precious"
    assert (tmp_path / "table.csv").read_text() == "table"
    assert not (tmp_path / "table.csv").is_symlink()


def test_models_survive_a_round_trip(tmp_path):
    weights = {"02_dense/kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "02_dense/bias": np.zeros(3)}
    models = {10: Model({"status": "ok"}, weights), 9: Model({"status": "failed"}, {})}
    write_models(tmp_path / "models.h5", {"layers": [{"Flatten": {}}]}, models)
    specification, found = read_models(tmp_path / "models.h5")
    assert specification == {"layers": [{"Flatten": {}}]}
    assert list(found) == [9, 10]
    assert found[9] == models[9]
    assert all(np.array_equal(found[10].weights[name], value) for name, value in weights.items())


def test_files_hold_no_time_so_the_same_content_is_the_same_bytes(tmp_path):
    with hdf5.writing(tmp_path / "file.h5", {"a": 1}) as file:
        write_split(file.create_group("train"), Split(np.zeros((2, 28, 28), np.uint8), np.zeros(2)))
    with hdf5.reading(tmp_path / "file.h5") as file:
        for name in (b".", b"train", b"train/images"):
            assert h5py.h5g.get_objinfo(file.id, name).mtime == 0


def test_a_missing_truncated_or_foreign_file_is_refused_with_its_name(tmp_path):
    path = tmp_path / "file.h5"

    def read():
        with hdf5.reading(path) as file:
            return file["images"][()]

    with pytest.raises(UserError, match=r"file\.h5: not found"):
        read()
    with hdf5.writing(path, {}) as file:
        file["images"] = np.zeros((100, 28, 28))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(UserError, match=r"file\.h5: the file is damaged"):
        read()
    with h5py.File(path, "w") as file:
        file["images"] = np.zeros(3)
    with pytest.raises(UserError, match=r"file\.h5: the file is damaged, or was not written by this project"):
        read()
    with hdf5.writing(path, {}) as file:
        file["features"] = np.zeros(3)
    with pytest.raises(UserError, match=r"file\.h5: .*images"):
        read()


def link_to_a_file(file):
    file["images"] = h5py.ExternalLink("/etc/other.h5", "/images")


def link_to_another_place(file):
    file["images"] = h5py.SoftLink("/elsewhere")


def array_in_another_file(file):
    file.create_dataset("images", (10,), "u1", external=[("/etc/passwd", 0, 10)])


def array_put_together_from_other_files(file):
    layout = h5py.VirtualLayout((10,), "u1")
    layout[:] = h5py.VirtualSource("/etc/other.h5", "images", (10,))
    file.create_virtual_dataset("images", layout)


def array_larger_than_any_memory(file):
    file.create_dataset("images", (2**40, 28, 28), "u1", chunks=(1, 28, 28))


def text(file):
    file["images"] = "cat"


def references(file):
    file.create_dataset("images", data=[file.ref], dtype=h5py.ref_dtype)


def one_array_under_many_names(file):
    file.create_dataset("images", data=np.zeros(10**7, np.uint8), compression="gzip", chunks=(10**7,))
    for number in range(50):
        file[f"image-{number}"] = file["images"]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (one_array_under_many_names, "arrays of "),
        (link_to_a_file, "images lies elsewhere (ExternalLink)"),
        (link_to_another_place, "images lies elsewhere (SoftLink)"),
        (array_in_another_file, "images lies in other files"),
        (array_put_together_from_other_files, "images lies in other files"),
        (array_larger_than_any_memory, "images is said to have 862017116176384 bytes and has 0"),
        (text, "images holds object, expected numbers"),
        (references, "images holds object, expected numbers"),
    ],
)
def test_a_strangers_file_can_neither_reach_others_nor_fill_the_memory(make, said, tmp_path):
    path = tmp_path / "file.h5"
    with hdf5.writing(path, {}) as file:
        make(file)
    with pytest.raises(UserError) as caught, hdf5.reading(path) as file:
        file["images"][()]
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("inputs", "labels"),
    [
        (np.zeros((3, 28, 28), np.float32), np.zeros(3, np.uint8)),
        (np.zeros((3, 28, 27), np.uint8), np.zeros(3, np.uint8)),
        (np.zeros((3, 28, 28), np.uint8), np.zeros(2, np.uint8)),
        (np.zeros((3, 28, 28), np.uint8), np.zeros(3, np.int64)),
        (np.zeros((0, 28, 28), np.uint8), np.zeros(0, np.uint8)),
        (np.zeros((3, 3), np.float32), np.zeros(3, np.uint8)),
        (np.full((3, 2), np.nan, np.float32), np.zeros(3, np.uint8)),
    ],
)
def test_examples_of_another_shape_or_type_are_refused(inputs, labels, tmp_path):
    path = tmp_path / "file.h5"
    with hdf5.writing(path, {}) as file:
        write_split(file.create_group("train"), Split(inputs, labels))
    with pytest.raises(UserError, match=r"file\.h5: /train: found "), hdf5.reading(path) as file:
        read_split(file["train"])


def test_weights_that_are_not_finite_are_refused(tmp_path):
    weights = {"01_dense/kernel": np.array([1.0, np.inf])}
    write_models(tmp_path / "models.h5", {}, {0: Model({}, weights)})
    with pytest.raises(UserError, match="seed 0: 01_dense/kernel is not finite"):
        read_models(tmp_path / "models.h5")
