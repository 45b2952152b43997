"""Tables that jobs write: read only as they were written."""

import pytest

from mnist_hpc.errors import UserError
from mnist_hpc.files import csv_table

ROWS = [{"seed": 0, "test_accuracy": 0.9, "device": 'a "quoted", name'}, {"seed": 1, "test_accuracy": None}]
COLUMNS = ["seed", "test_accuracy", "device"]


@pytest.fixture
def path(tmp_path):
    csv_table.write(tmp_path / "metrics.csv", COLUMNS, ROWS)
    return tmp_path / "metrics.csv"


def test_rows_are_read_as_text_and_what_a_row_lacks_is_empty(path):
    first, second = csv_table.read(path)
    assert {key: first[key] for key in COLUMNS} == {"seed": "0", "test_accuracy": "0.9", "device": 'a "quoted", name'}
    assert {key: second[key] for key in COLUMNS} == {"seed": "1", "test_accuracy": "", "device": ""}


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace("0.9", "0.99"),
        lambda text: text[: text.index("\n1,") + 1],
        lambda text: text.replace(",", ";"),
        lambda text: text + text.splitlines(keepends=True)[-1],
        lambda text: text[:-3],
        lambda _: "",
    ],
    ids=["a number", "a row gone", "semicolons", "a row twice", "cut short", "empty"],
)
def test_a_table_edited_by_hand_is_named(path, edit):
    path.write_text(edit(path.read_text()))
    with pytest.raises(UserError, match=r"metrics\.csv: .*delete the file and run the workflow again"):
        csv_table.read(path)
