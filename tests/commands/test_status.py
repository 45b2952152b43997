"""What `make status` says about results that it cannot read, and about what is under way."""

import shutil

import pytest

from conftest import SMALL_STUDY, call
from mnist_hpc.commands import status
from mnist_hpc.files.provenance import specification_hash
from mnist_hpc.study.specification import Study
from mnist_hpc.tables import collect
from mnist_hpc.training.checkpoint import Checkpoint, folder


@pytest.fixture
def study(tmp_path, monkeypatch):
    (tmp_path / "config.yaml").write_text(SMALL_STUDY)
    monkeypatch.chdir(tmp_path)
    return Study.read(tmp_path / "config.yaml", {})


@pytest.mark.parametrize("content", ["not a table\n", "", "dataset,variant,seed,checksum\ndigits,other,0,1\n"])
def test_a_damaged_result_is_a_line_and_the_others_follow(study, tmp_path, content):
    sweep = "sweeps: {rates: {variant: regression, grid: {learning_rate: [0.1, 0.2]}}}\n"  # its time is not known
    (tmp_path / "config.yaml").write_text(SMALL_STUDY + sweep)
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
    assert "sweep rates: 2 points with 2 seeds, 24,000 images\n" in found.stdout
    assert "4 of 4 runs are left to do." in found.stdout


@pytest.mark.usefixtures("study")
def test_without_damage_there_is_no_such_column():
    assert "damaged" not in call("status").stdout


def test_a_run_is_under_way_on_whatever_kind_of_device_it_began(study, tmp_path, digits):
    shutil.copytree(digits, tmp_path / "digits/data")
    identities = collect.identities(study, tmp_path, "trained", "evaluated")
    found = identities["regression"]
    hashed = specification_hash({key: found[key] for key in ("spec_hash", "data_hash", "code_hash")})
    place = folder(tmp_path, "digits", "regression") / hashed
    for kind, step in (("cpu", 10), ("gpu", 30)):
        Checkpoint(place / kind / "seed-1.h5").save({"step": step, "steps": 60}, {})
    Checkpoint(place.with_name("of-other-code") / "cpu/seed-0.h5").save({"step": 10, "steps": 60}, {})
    row = status.overview(study, tmp_path, identities).set_index("variant").loc["regression"]
    assert (row["under way"], row["missing"]) == (1, 1)
    # The furthest counts for the time that is left.
    assert status._progress(place.parent, found, {0, 1}) == {1: 0.5}
