"""Reading config.yaml: strict YAML, and what the command line and the known data sets add."""

import argparse
import json

import pytest
import yaml
from snakemake.cli import parse_config

from conftest import ROOT, SMALL_STUDY
from mnist_hpc import options
from mnist_hpc.errors import UserError
from mnist_hpc.study import check, config


@pytest.fixture
def path(tmp_path):
    (tmp_path / "config.yaml").write_text(SMALL_STUDY)
    return tmp_path / "config.yaml"


def test_the_command_line_changes_only_what_it_names(path):
    before = config.read(path)
    after = config.read(path, {"dataset": "circle", "variants": {"regression": {"steps": 1}}})
    assert after["dataset"] == "circle"
    assert after["variants"]["regression"] == before["variants"]["regression"] | {"steps": 1}
    assert after["variants"]["circle"] == before["variants"]["circle"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{regression: {steps: 30, l2: 1.0e-5}}", {"regression": {"steps": 30, "l2": 0.00001}}),
        ('{"regression": {"steps": 30, "l2": 1e-05}}', {"regression": {"steps": 30, "l2": 0.00001}}),
        ("{cnn: {layers: [Flatten, {Dense: {units: 10, use_bias: false}}]}}", None),
        ("{regression: {optimizer: {SGD: {nesterov: true, learning_rate: .5}}, seeds: -3}}", None),
        ("{regression: {base: null, dataset: mnist-2, runtime: '5'}}", None),
    ],
)
def test_nested_values_are_the_same_with_config_and_set(text, value):
    expected = json.dumps(value or yaml.safe_load(text.replace("'", "")))
    parser = argparse.ArgumentParser()
    options.add_results(parser)
    of_package = dict(parser.parse_args(["--set", f"variants={text}"]).overrides)
    of_snakemake = config.changes([], parse_config([f"variants={text}"]))
    assert json.dumps(of_package["variants"]) == json.dumps(of_snakemake["variants"]) == expected
    passed_on = json.dumps(of_package["variants"])
    assert json.dumps(dict(parser.parse_args(["--set", f"variants={passed_on}"]).overrides)["variants"]) == expected


def test_pairs_of_the_command_line_come_after_its_files_which_are_read_strictly(path):
    first, second = path.with_name("1.yaml"), path.with_name("2.yaml")
    first.write_text("seeds: 1\nvariants: {regression: {steps: 1, l2: 1.0e-5}}\n")
    second.write_text("variants: {regression: {steps: 2, batch_size: 2}}\n")
    changed = config.changes([first, second], {"variants": {"regression": {"batch_size": "3"}}})
    assert changed == {"seeds": 1, "variants": {"regression": {"steps": 2, "l2": 0.00001, "batch_size": 3}}}
    second.write_text("seeds: 1\nseeds: 2\n")
    with pytest.raises(UserError, match=r"2\.yaml, line 2, column 1: duplicate key 'seeds'"):
        config.changes([first, second], {})


def test_known_data_sets_need_no_entry_and_an_entry_changes_only_what_it_names(path):
    known = yaml.safe_load(config.DATASETS_FILE.read_text())
    assert config.read(path)["datasets"] == known
    path.write_text(SMALL_STUDY + "datasets: {mnist: {mirrors: [https://example.org/]}}\n")
    changed = config.read(path)["datasets"]["mnist"]
    assert changed == known["mnist"] | {"mirrors": ["https://example.org/"]}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("2:00:00", "2:00:00"), ("1:30", "1:30"), ("1:30.5", "1:30.5"), ("010", "010"), ("-010", "-010")),
        *(("0x10", "0x10"), ("0", 0), ("10", 10), ("-10", -10), ("+10", 10), ("1_000", 1000)),
        *(("1.5", 1.5), ("-1.5", -1.5), (".5", 0.5), ("1.", 1.0), ("1.0e-3", 0.001), ("1.5e+3", 1500.0)),
        *(("1e-3", "1e-3"), ("-.inf", float("-inf")), ("1-2", "1-2"), ("1.2.3", "1.2.3")),
    ],
)
def test_numbers_are_decimal(text, value, path):
    path.write_text(f"a: {text}\n")
    found = config.read_yaml(path)["a"]
    assert (type(found), found) == (type(value), value)


def test_a_missing_config_is_named(tmp_path):
    with pytest.raises(UserError, match=r"config\.yaml: .*No such file"):
        config.read(tmp_path / "config.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dataset: mnist\nseeds: 1\nseeds: 2\n", ", line 3, column 1: duplicate key 'seeds'"),
        ("dataset: mnist\n\tseeds: 1\n", ", line 2, column 1: found a tab character that violates indentation"),
        ("variants: {a: {base: b}, a: {base: c}}\n", ", line 1, column 26: duplicate key 'a'"),
        ("dataset: !!python/object/apply:os.system ['touch owned']\n", "constructor for the tag"),
        ("seeds: !!python/name:os.system\n", "constructor for the tag"),
        ("seeds: *unknown\n", "undefined alias"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", ", line 3, column 3: found the merge key <<, which is not supported here; "),
        ("seeds: [3\n", "expected"),
        ("seeds: 3 4: 5\n", "mapping values are not allowed"),
        ("dataset: 2026-13-45\n", "month must be in"),
        ("- dataset\n", ": found list, expected keys with values"),
        (" ", ": found NoneType, expected keys with values"),
    ],
)
def test_a_file_that_is_no_config_is_refused_with_line_and_reason(text, message, path, monkeypatch):
    monkeypatch.chdir(path.parent)
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        config.read(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (path.parent / "owned").exists()


def test_the_shipped_config_is_right():
    assert check.load(ROOT / "config.yaml").dataset == "mnist"
