"""Files that appear whole or not at all, and folders that go when they are empty."""

import pytest

from mnist_hpc.files.atomic import atomic, remove_empty


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


def test_a_link_in_the_place_of_the_temporary_file_leads_nowhere(tmp_path):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / ".table.csv.tmp").symlink_to(tmp_path / "precious")
    with atomic(tmp_path / "table.csv") as temporary:
        temporary.write_text("table")
    assert (tmp_path / "precious").read_text() == "precious"
    assert (tmp_path / "table.csv").read_text() == "table"
    assert not (tmp_path / "table.csv").is_symlink()


def test_folders_are_removed_up_to_the_first_that_is_not_empty(tmp_path):
    (tmp_path / "a/b/c").mkdir(parents=True)
    (tmp_path / "a/file").touch()
    remove_empty(tmp_path / "a/b/c", levels=3)
    assert [item.name for item in (tmp_path / "a").iterdir()] == ["file"]
    (tmp_path / "a/b/c").mkdir(parents=True)
    remove_empty(tmp_path / "a/b/c", levels=1)
    assert (tmp_path / "a/b").is_dir()
