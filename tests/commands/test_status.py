"""Status: what a study still has to do."""

import shutil

from conftest import SMALL_STUDY
from mnist_hpc.commands import status
from mnist_hpc.files.provenance import specification_hash
from mnist_hpc.study.specification import Study
from mnist_hpc.tables import collect
from mnist_hpc.training.checkpoint import Checkpoint, folder


def test_a_run_is_under_way_on_whatever_kind_of_device_it_began(tmp_path, digits):
    (tmp_path / "config.yaml").write_text(SMALL_STUDY)
    study = Study.read(tmp_path / "config.yaml")
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
