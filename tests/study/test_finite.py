"""NaN and infinity, which YAML and JSON have and which pass every comparison: refused wherever a number is read."""

import json

import pytest
import yaml
from planner import dry_run

from conftest import SWEEP, call, copy_project, error_line, specification
from mnist_hpc.errors import UserError
from mnist_hpc.study import check, finite, grids, schema
from mnist_hpc.study.schema import SCHEMA

NUMBERS = [".nan", ".inf", "-.inf", "1.0e+39", "1" + "0" * 400]


def numbers(node, definitions, place=()):
    """Yield the place of every number of a schema: keys of mappings, and 0 for an item of a list."""
    node = dict(node)
    while "$ref" in node:
        node |= definitions[node.pop("$ref").rpartition("/")[2]]
    kinds = node.get("type", ())
    if {"integer", "number"} & set([kinds] if isinstance(kinds, str) else kinds):
        yield place
    if isinstance(node.get("const"), int):
        yield place
    for key, value in node.get("properties", {}).items():
        yield from numbers(value, definitions, (*place, key))
    if isinstance(node.get("additionalProperties"), dict):
        yield from numbers(node["additionalProperties"], definitions, (*place, "x"))
    for part in [*node.get("anyOf", ()), *filter(None, [node.get("else")])]:
        yield from numbers(part, definitions, place)
    for index, value in enumerate(node.get("prefixItems", ())):
        yield from numbers(value, definitions, (*place, index))
    if isinstance(node.get("items"), dict):
        yield from numbers(node["items"], definitions, (*place, 0))


SCHEMA_ITSELF = yaml.safe_load(SCHEMA.read_text())
PLACES = sorted(set(numbers(SCHEMA_ITSELF, SCHEMA_ITSELF["$defs"])), key=str)
ARGUMENTS = {key for name in ("SGD", "RMSprop", "Adagrad", "Adam") for key in schema.optimizer_arguments(name)}
GRID = [("sweeps", "x", "grid", key, 0) for key in sorted({*grids.VARIED, "width", *ARGUMENTS})]


def content_of(place, value):
    """Return a config with a value at a place and nothing else."""
    for key in reversed(place):
        value = {key: value} if isinstance(key, str) else [0] * key + [value]
    return value


def written(place):
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in place).lstrip(".")


def test_the_numbers_of_the_schema_are_all_found():
    # A few of each kind: top level, layers, schedules of each optimiser, data sets.
    names = set(map(written, PLACES))
    assert len(names) > 150
    for name in ("seeds", "datasets.x.files.test_images.shape[0]", "variants.x.layers[0].Conv2D.kernel_size[0]"):
        assert name in names
    for name in ("RMSprop.learning_rate", "Adam.learning_rate.OneCycle.maximal_learning_rate", "SGD.clipnorm"):
        assert f"variants.x.optimizer.{name}" in names


@pytest.mark.parametrize("number", NUMBERS, ids=["nan", "inf", "-inf", "float32", "integer"])
def test_no_number_of_a_config_may_be_infinite_or_not_a_number(number, tmp_path):
    path = tmp_path / "config.yaml"
    for place in [*PLACES, *GRID]:
        path.write_text(json.dumps(content_of(place, "PROBE")).replace('"PROBE"', number))
        with pytest.raises(UserError) as error:
            check.load(path)
        line = str(error.value)
        assert line.startswith(f"{path}: {written(place)}: found "), (place, line)
        assert line.endswith("expected a finite number of at most 3.4e+38")


def test_parts_that_yaml_repeats_are_looked_at_once():
    content = [float("inf")]
    for _ in range(100):
        content = [content, content]
    with pytest.raises(UserError, match="found inf"):
        finite.check(content)
    content = []
    for _ in range(100):
        content = [content, content]
    finite.check(content)


def test_the_largest_number_of_a_training_may_be():
    import numpy as np

    assert np.finfo(np.float32).max == finite.LARGEST
    finite.check({"a": [0, -1, True, finite.LARGEST, -finite.LARGEST, None, "nan"]})


@pytest.mark.parametrize("value", ["seeds=.nan", "max_seeds=.inf", "variants={regression: {l2: .nan}}"])
def test_no_override_may_be(value, tmp_path):
    (tmp_path / "config.yaml").write_text(SWEEP)
    line = error_line(call("status", "--config", tmp_path / "config.yaml", "--set", value))
    assert "expected a finite number" in line


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("option", ["--specification", "--sweep"])
def test_no_json_option_may_be(option, number, tmp_path):
    given = json.dumps(specification(optimizer={"SGD": {"learning_rate": "PROBE"}})).replace('"PROBE"', number)
    common = ("--data", tmp_path / "train.h5", "--variant", "x", option, given, "--state", tmp_path)
    more = {
        "--specification": ("train", "--seeds", "0", "--models", tmp_path / "m", "--history", tmp_path / "h"),
        "--sweep": ("sweep", "--name", "x", "--points", tmp_path / "p", "--losses", tmp_path / "l"),
    }
    assert "optimizer.SGD.learning_rate: found " in error_line(call(*more[option], *common))


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "soon"])
def test_no_time_may_be(text):
    line = error_line(call("train", "--checkpoint-seconds", text))
    assert line == f"mnist_hpc: error: found {text!r}, expected seconds, such as 60"


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--config", "--configfile"])
def test_snakemake_refuses_it_before_it_plans(option, tmp_path):
    project = copy_project(tmp_path / "study", SWEEP)
    (tmp_path / "more.yaml").write_text("sweeps: {rates: {grid: {learning_rate: [0.1, .nan]}}}")
    planned = dry_run(project, option, "seeds=nan" if option == "--config" else tmp_path / "more.yaml")
    assert planned.returncode != 0
    assert "found nan, expected a finite number" in planned.stdout
