"""What a result was made from."""

import hashlib
import json
import subprocess

from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_hpc.files import provenance

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@settings(max_examples=50)
@given(st.dictionaries(st.text(), JSON))
def test_the_order_of_keys_changes_no_hash(value):
    turned = {key: value[key] for key in reversed(value)}
    assert provenance.specification_hash(value) == provenance.specification_hash(turned)


def test_another_value_has_another_hash():
    assert provenance.specification_hash({"a": 1, "b": 2}) != provenance.specification_hash({"a": 2, "b": 1})
    assert provenance.specification_hash({"a": 1}) != provenance.specification_hash({"a": 1.0})


def test_a_result_is_bound_to_specification_data_and_code():
    bound = provenance.identity({"a": 1}, "d", "c")
    assert bound == {"spec_hash": provenance.specification_hash({"a": 1}), "data_hash": "d", "code_hash": "c"}


def test_facts_are_written_with_those_of_the_process(tmp_path):
    path = tmp_path / "provenance.json"
    provenance.write(path, {"dataset": "digits", "host": "replaced"})
    found = json.loads(path.read_text())
    assert found["dataset"] == "digits"
    assert found["host"] != "replaced"
    assert {"finished", "commit", "command", "python", "version"} <= set(found)
    assert provenance.file_hash(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert provenance.file_hash(tmp_path / "absent") is None


def test_the_commit_says_whether_files_differ_from_it(tmp_path, monkeypatch):
    module = tmp_path / "provenance.py"
    module.touch()
    monkeypatch.setattr(provenance, "__file__", str(module))

    def git(*arguments):
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", "-C", tmp_path, *identity, *arguments], check=True, capture_output=True)

    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.commit() == ""
    git("init")
    git("add", ".")
    git("commit", "-m", "one")
    commit = provenance.commit()
    assert len(commit) == provenance.HASH_DIGITS
    module.write_text("# changed\n")
    assert provenance.commit() == f"{commit}+changes"
