"""What accounting says of jobs, as numbers."""

import pytest

from mnist_hpc.cluster import accounting
from mnist_hpc.study.layout import Block


@pytest.mark.parametrize(
    ("text", "megabytes"), [("4000M", 4194.304), ("123456K", 126.418944), ("2G", 2147.483648), ("", 0)]
)
def test_sizes_of_sacct_are_megabytes(text, megabytes):
    assert accounting.megabytes(text) == pytest.approx(megabytes)


def test_a_log_tells_what_its_job_worked_on(tmp_path):
    (tmp_path / "rule_train").mkdir()
    command = "snakemake --target-jobs 'train:dataset=mnist,variant=cnn,first=5,last=9'\n"
    (tmp_path / "rule_train/12.log").write_text(f"host: n1\n{command}")
    (tmp_path / "rule_train/13.log").write_text("something else\n")
    assert accounting.numbers(tmp_path) == {"12": Block("mnist", "cnn", 5, 9)}
