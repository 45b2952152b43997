"""Tables as readers of the CSV files have them."""

from pathlib import Path
from typing import TextIO

import pandas as pd

from mnist_hpc.cluster.accounting import JOB_COLUMNS
from mnist_hpc.errors import UserError, reason
from mnist_hpc.study.layout import TEXTS

# Names that a user chooses, and which may look like a number or like a missing value: 64, null.
NAMES = ("dataset", "variant", "reference", "ensemble", "sweep")


def read_table(source: Path | TextIO, *, made_by: str = "run the workflow again") -> pd.DataFrame:
    """Return a table of ``results/<dataset>/tables`` with its types; an empty cell is a missing value.

    Raise UserError, with ``made_by`` as what makes the table, if it is damaged.
    """
    texts = dict.fromkeys([*NAMES, *TEXTS], str)
    try:
        return pd.read_csv(source, dtype=texts, keep_default_na=False, na_values=[""])
    except ValueError as error:  # what pandas raises is one
        raise UserError(f"{source}: {reason(error)}; {made_by}") from None


def read_jobs(path: Path) -> pd.DataFrame:
    """Return jobs.csv, which ``make resources`` makes; raise UserError if it is damaged or of an older version."""
    made_by = "run make resources again"
    table = read_table(path, made_by=made_by)
    if missing := [name for name in JOB_COLUMNS if name not in table]:
        raise UserError(f"{path}: the column {missing[0]} is missing; {made_by}")
    return table
