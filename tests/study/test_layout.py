"""Where results lie, and which job a command of Snakemake's is about."""

import pytest

from mnist_hpc.study.layout import Block, Part, find, of_wildcards, point_columns

BLOCK, PART = Block("mnist", "cnn", 5, 9), Part("mnist", "rates", 1, 2)


def test_a_block_knows_its_seeds_and_its_files():
    assert list(BLOCK.seeds) == [5, 6, 7, 8, 9]
    assert BLOCK.files[0] == "mnist/runs/cnn/seeds-5-9/models.h5"
    assert BLOCK.record == "state/mnist/cnn/seeds-5-9.json"
    assert PART.files == ["mnist/sweeps/rates/part-1-of-2.csv", "mnist/sweeps/rates/part-1-of-2.h5"]


@pytest.mark.parametrize(
    ("text", "work"),
    [
        ("snakemake --target-jobs 'train:dataset=mnist,variant=cnn,first=5,last=9' --cores all", BLOCK),
        ("--target-jobs evaluate:dataset=mnist,variant=cnn,first=5,last=9", BLOCK),
        ("--target-jobs 'perturb:dataset=mnist,variant=cnn,first=5,last=9'", BLOCK),
        ("--target-jobs 'sweep:dataset=mnist,sweep=rates,part=1,parts=2'", PART),
        ("snakemake --cores all", None),
        ("--target-jobs 'tabulate:dataset=mnist'", None),
    ],
)
def test_a_job_is_found_in_its_command_line(text, work):
    assert find(text) == work


def test_wildcards_name_a_block_or_a_part():
    assert of_wildcards({"dataset": "mnist", "variant": "cnn", "first": "5", "last": "9"}) == BLOCK
    assert of_wildcards({"dataset": "mnist", "sweep": "rates", "part": "1", "parts": "2"}) == PART


def test_a_table_of_points_has_each_column_once():
    columns = point_columns(["learning_rate", "steps"])
    assert len(columns) == len(set(columns))
    assert columns[:6] == ["point", "dataset", "sweep", "variant", "learning_rate", "steps"]
