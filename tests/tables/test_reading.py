"""Tables are read as they were written, whatever names a user has chosen."""

import numpy as np
import pandas as pd
import pytest

from mnist_hpc.cluster.accounting import JOB_COLUMNS
from mnist_hpc.errors import UserError
from mnist_hpc.tables.reading import read_jobs, read_table


def test_names_stay_names_and_empty_cells_are_missing(tmp_path):
    table = pd.DataFrame(
        {
            "dataset": "1e3",
            "variant": ["64", "null", "NA", "007"],
            "seed": [0, 1, 2, 3],
            "test_accuracy": [0.5, np.nan, 1.0, np.nan],
        }
    )
    table.to_csv(tmp_path / "runs.csv", index=False)
    pd.testing.assert_frame_equal(read_table(tmp_path / "runs.csv"), table)


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2,3\n4\n", b"\xff\xfe\n"], ids=["empty", "torn", "no text"])
def test_a_damaged_table_is_an_error_that_names_it(tmp_path, content):
    (tmp_path / "jobs.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"jobs\.csv: .*; run make resources again"):
        read_jobs(tmp_path / "jobs.csv")


def test_costs_of_an_older_version_are_an_error(tmp_path):
    pd.DataFrame(columns=JOB_COLUMNS).drop(columns="gpu_hours").to_csv(tmp_path / "jobs.csv", index=False)
    with pytest.raises(UserError, match=r"jobs\.csv: the column gpu_hours is missing; run make resources again"):
        read_jobs(tmp_path / "jobs.csv")
