"""The Makefile's variables, as the commands that it would run show them."""

import pytest

from conftest import make

SNAKEMAKE = "--config dataset=digits max_seeds=2"
COMMAND = "--set dataset=digits max_seeds=2"
COMMANDS = ["node", "report", "status", "clean", "doctor", "resources"]


@pytest.mark.parametrize(
    ("target", "expected"), [("run", SNAKEMAKE), ("resume", SNAKEMAKE), *((name, COMMAND) for name in COMMANDS)]
)
def test_every_command_takes_keys_and_seeds(target, expected, tmp_path):
    assert expected in make(tmp_path, "-n", target, "CONFIG=dataset=digits", "SEEDS=2")
    assert "max_seeds=2" in make(tmp_path, "-n", target, "SEEDS=2")
    assert not {"--set", "--config"} & set(make(tmp_path, "-n", target).split())
