"""Whether sweeps are done, where they are not; ``tests/workflow/test_sweeps.py`` has finished ones."""

import pytest

from conftest import SWEEP
from mnist_hpc.study.specification import Study
from mnist_hpc.tables import sweep_status


@pytest.mark.parametrize(("content", "status"), [(None, "missing"), ("{", "damaged: ")])
def test_a_sweep_without_a_choice_that_can_be_read(tmp_path, content, status):
    (tmp_path / "config.yaml").write_text(SWEEP)
    study = Study.read(tmp_path / "config.yaml")
    if content is not None:
        path = tmp_path / study.sweeps["rates"].folder / "best.json"
        path.parent.mkdir(parents=True)
        path.write_text(content)
    (found,) = sweep_status.by_sweep(study, tmp_path, {"regression": {}}, "").values()
    assert found.startswith(status)
