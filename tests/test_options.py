"""Values of command-line options."""

import argparse

import pytest

from mnist_hpc import options
from mnist_hpc.errors import UserError


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (options.seeds, "0-4", range(5)),
        (options.seeds, "7", range(7, 8)),
        (options.part, "2/3", (2, 3)),
        (options.count, "4", 4),
        (options.json_value, '{"a": [1]}', {"a": [1]}),
    ],
)
def test_a_value_is_what_it_says(kind, text, value):
    assert kind(text) == value


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        (options.seeds, ["", "4-0", "a-b", "-1", "1-", "1.5"]),
        (options.part, ["", "0/2", "3/2", "1", "1/", "a/b"]),
        (options.count, ["", "0", "-1", "1.5", "two"]),
        (options.json_value, ["", "{", "{'a': 1}"]),
    ],
)
def test_what_is_no_value_is_refused_on_one_line(kind, texts):
    for text in texts:
        with pytest.raises(UserError, match=rf"found {text!r}, expected .*") as caught:
            kind(text)
        assert "\n" not in str(caught.value)


def test_config_keys_are_changed_with_yaml_values():
    parser = argparse.ArgumentParser()
    options.add_results(parser)
    found = parser.parse_args(["--set", "dataset=digits", "max_seeds=1", "search_path=[/data]"])
    assert dict(found.overrides) == {"dataset": "digits", "max_seeds": 1, "search_path": ["/data"]}
    for wrong in ("max_seeds", "max_seeds=*x", "max_seeds={", "max_seeds=" + "[" * 5000):
        with pytest.raises(UserError) as caught:
            parser.parse_args(["--set", wrong])
        assert str(caught.value) == f"--set: found {wrong!r}, expected KEY=VALUE, such as max_seeds=1"
