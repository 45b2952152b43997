"""What `make status` says about results that it cannot read."""

import pytest

from conftest import SMALL_STUDY, call
from mnist_hpc.study.specification import Study


@pytest.fixture
def study(tmp_path, monkeypatch):
    (tmp_path / "config.yaml").write_text(SMALL_STUDY)
    monkeypatch.chdir(tmp_path)
    return Study.read(tmp_path / "config.yaml", {})


@pytest.mark.parametrize("content", ["not a table\n", "", "dataset,variant,seed,checksum\ndigits,other,0,1\n"])
def test_a_damaged_result_is_a_line_and_the_others_follow(study, tmp_path, content):
    (block, *_) = study.blocks
    path = tmp_path / "results" / block.folder / "metrics.csv"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    found = call("status")
    assert found.returncode == 0, found.stderr
    assert f"{path.relative_to(tmp_path)}: " in found.stdout
    rows = {line.split()[1]: line.split() for line in found.stdout.splitlines()[1:3]}
    assert rows["regression"] == "digits regression damaged 0 0 0 0 0 0 2".split()
    assert rows["circle"] == "circle circle missing 0 0 0 0 0 2 0".split()
    assert "4 of 4 runs are left to do." in found.stdout


@pytest.mark.usefixtures("study")
def test_without_damage_there_is_no_such_column():
    assert "damaged" not in call("status").stdout
