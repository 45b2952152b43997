import shutil

import pytest

from mnist_hpc.files import provenance


@pytest.fixture
def package(tmp_path):
    """Return a copy of the package that a test may edit."""
    return shutil.copytree(provenance.PACKAGE, tmp_path / "mnist_hpc", ignore=shutil.ignore_patterns("__pycache__"))


def hashes(package):
    provenance.code_hash.cache_clear()
    provenance._syntax_tree.cache_clear()
    return {stage: provenance.code_hash(stage, package) for stage in provenance.STAGES}


def changed(package, module, old, new):
    """Return the stages whose hash an edit changes."""
    before = hashes(package)
    path = package / f"{module}.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    after = hashes(package)
    return {stage for stage in before if before[stage] != after[stage]}


def test_comments_docstrings_and_layout_change_no_hash(package):
    assert changed(package, "losses", "\ndef one_hot", "\n# A comment.\n\n\ndef one_hot") == set()
    assert changed(package, "losses", '"""Return integer labels', '"""Give integer labels') == set()


def test_an_edit_changes_the_stages_that_use_the_module(package):
    assert changed(package, "losses", "0.5 *", "0.25 *") == {"train", "evaluate", "sweep"}
    assert changed(package, "training", "HISTORY_POINTS = 20", "HISTORY_POINTS = 10") == {"train", "sweep"}
    assert changed(package, "evaluation", "HARDEST = 200", "HARDEST = 100") == {"evaluate"}
    assert changed(package, "comparisons", "0.975", "0.95") == {"tabulate"}
    assert changed(package, "idx", "0x08", "0x09") >= {"fetch", "convert"}


def test_an_import_inside_a_function_is_followed(package):
    (package / "extra.py").write_text("VALUE = 1\n")
    old = "kind, dtype ="
    new = f"from mnist_hpc.extra import VALUE as _\n    {old}"
    assert "train" in changed(package, "storage", old, new)
    assert "train" in changed(package, "extra", "1", "2")


def test_a_new_import_and_a_renamed_module_are_noticed(package):
    (package / "extra.py").write_text("VALUE = 1\n")
    assert changed(package, "losses", "import tensorflow as tf", "import tensorflow as tf\nimport mnist_hpc.extra") == {
        "train",
        "evaluate",
        "sweep",
    }
    assert changed(package, "extra", "1", "2") == {"train", "evaluate", "sweep"}
    before = hashes(package)
    (package / "losses.py").rename(package / "objectives.py")
    for module in ("models", "loop", "packed", "evaluation"):
        path = package / f"{module}.py"
        path.write_text(path.read_text().replace("mnist_hpc.losses", "mnist_hpc.objectives"))
    after = hashes(package)
    assert {stage for stage in before if before[stage] != after[stage]} == {"train", "evaluate", "sweep"}
    assert "objectives" in provenance.imported("training", package)
    assert "losses" not in provenance.imported("training", package)


def test_a_data_stage_does_not_depend_on_the_code_of_training(package):
    assert "training" not in provenance.imported("datasets", package)
    assert "tables" not in provenance.imported("training", package)
    assert "config" not in provenance.imported("training", package)


def test_the_order_of_keys_makes_no_difference():
    assert provenance.specification_hash({"a": 1, "b": [2]}) == provenance.specification_hash({"b": [2], "a": 1})
    assert provenance.specification_hash({"a": 1, "b": 2}) != provenance.specification_hash({"a": 2, "b": 1})
