"""Hundreds of broken configs, each a slip in one place of a config that has every kind of key.

A slip is refused before anything runs, in one line that names its place and, where a word is misspelt, the right one.
"""

import copy
import re

import pytest
import yaml

from conftest import as_yaml
from mnist_hpc.errors import UserError
from mnist_hpc.study import check
from mnist_hpc.study.layers import LAYERS
from mnist_hpc.study.schema import SCHEMA, _validator
from mnist_hpc.study.specification import DEFAULTS

CONFIG = yaml.safe_load(
    """
dataset: mine
seeds: 3
seeds_per_job: 2
max_seeds: 4
search_path: [/data]
datasets:
  mine:
    classes: 10
    validation: 100
    files:
      train_images:
        name: a.gz
        shape: [1000, 28, 28]
        sha256: "abababababababababababababababababababababababababababababababab"
      train_labels: {name: b.gz, shape: [1000]}
      test_images: {name: c.gz, shape: [500, 28, 28]}
      test_labels: {name: d.gz, shape: [500]}
    mirrors: [https://example.org/]
variants:
  regression:
    layers: [Flatten, {Dense: {units: 10, kernel_initializer: zeros, use_bias: false}}]
    loss: {CategoricalCrossentropy: {label_smoothing: 0.1}}
    optimizer: {SGD: {learning_rate: 0.5, momentum: 0.9, nesterov: true, weight_decay: 0.001, use_ema: true}}
    batch_size: 100
    steps: 10
    l2: 0.001
    threads: 2
    device: cpu
    runtime: 30
    mem_mb: 2000
  scheduled:
    base: regression
    optimizer: {Adam: {learning_rate: {OneCycle: {maximal_learning_rate: 0.01, warmup: 0.25}}, beta_1: 0.9}}
    augmentation: [{RandomRotation: {factor: 0.03}}, {RandomZoom: {height_factor: 0.1, width_factor: 0.1}}]
    epochs: 2
    seeds: 4
  net:
    base: regression
    layers:
      - Normalization
      - {Conv2D: {filters: 8, kernel_size: 3, strides: 1, padding: same, activation: relu}}
      - {MaxPooling2D: {pool_size: 2}}
      - {BatchNormalization: {momentum: 0.9}}
      - {GaussianNoise: {stddev: 0.5}}
      - {LeakyReLU: {negative_slope: 0.3}}
      - {Dropout: {rate: 0.5}}
      - Flatten
      - {Dense: {units: 10}}
    dtype_policy: mixed_bfloat16
  circle: {dataset: circle, base: regression, layers: [{Dense: {units: 2}}], batch_size: full, snapshots: 5}
  tuned: {base: regression, from_sweep: rates}
sweeps:
  rates:
    variant: regression
    grid: {learning_rate: [0.1, 0.2], batch_size: [50, 100], optimizer: [SGD, {SGD: {momentum: 0.5}}]}
    seeds: 2
    jobs: 2
    pack_mb: 100
    max_images: 5000
    runtime: 10
ensembles: {both: [regression, net]}
draw: [regression, net]
"""
)
# Names that a user chooses: another spelling is another name, and only wrong where something refers to it.
NAMED = re.compile(r"(variants|datasets|sweeps|ensembles)\.[\w-]+")


def places(node, place=()):
    """Yield every place of a config: the keys and positions that lead there."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        yield (*place, key)
        if isinstance(value, dict | list):
            yield from places(value, (*place, key))


def written(place):
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in place).lstrip(".")


def level_of(content, place):
    for key in place[:-1]:
        content = content[key]
    return content


def misspelt(place, level):
    """A letter too few in the key, or in a word."""
    key, value = place[-1], level[place[-1]]
    if isinstance(key, str):
        return {place: (lambda: level.update({key[:-2] + key[-1]: level.pop(key)}), key[:-2] + key[-1], key)}
    if isinstance(value, str) and value.isalnum():
        return {place: (lambda: level.__setitem__(key, value[:-2] + value[-1]), value[:-2] + value[-1], value)}
    return {}


PLACES = list(places(CONFIG))
WRONG = {
    "text": "many",
    "minus": -7.5,
    "list": [[["x"]]],
    "nothing": None,
    "mapping": {"what": {"is": "this"}},
    "yes": True,
}


def refusal(content, tmp_path):
    """Return the line that a config is refused with, or None."""
    path = tmp_path / "config.yaml"
    path.write_text(as_yaml(content))
    try:
        check.load(path)
    except UserError as error:
        line = str(error)
        assert "\n" not in line
        assert line.startswith(f"{path}: ")
        return line.removeprefix(f"{path}: ")
    return None


def test_the_config_that_slips_are_made_in_is_right(tmp_path):
    assert refusal(CONFIG, tmp_path) is None
    assert len(PLACES) * len(WRONG) > 800


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_value_anywhere_is_refused_with_its_place(kind, tmp_path):
    accepted = []
    for place in PLACES:
        content = copy.deepcopy(CONFIG)
        level = level_of(content, place)
        if level[place[-1]] == WRONG[kind]:
            continue
        level[place[-1]] = WRONG[kind]
        line = refusal(content, tmp_path)
        if line is None:
            accepted.append(written(place))
        else:
            # Where it stands, or where it is looked for: some name of the way there.
            assert any(str(key) in line for key in place if isinstance(key, str)), (written(place), line)
    assert accepted == ACCEPTED.get(kind, [])


# What may be so: texts that are names or paths, no optional part, a flag.
ACCEPTED = {
    "text": [
        "search_path[0]",
        *(
            f"datasets.mine.files.{part}.name"
            for part in ("train_images", "train_labels", "test_images", "test_labels")
        ),
    ],
    "yes": ["variants.regression.layers[1].Dense.use_bias"],
}


def test_a_misspelt_key_or_word_is_refused_with_the_right_one(tmp_path):
    silent = []
    for place in PLACES:
        content = copy.deepcopy(CONFIG)
        level = level_of(content, place)
        for change, wrong, right in misspelt(place, level).values():
            change()
            line = refusal(content, tmp_path)
            if NAMED.fullmatch(written(place)):
                assert line is None or wrong in line or right in line
            elif line is None or f"did you mean {right!r}" not in line:
                silent.append((written(place), wrong, line))
    assert silent == []


def test_a_key_on_the_wrong_level_is_refused_with_its_name(tmp_path):
    for place in PLACES:
        if isinstance(place[-1], str) and len(place) > 1 and not NAMED.fullmatch(written(place)):
            content = copy.deepcopy(CONFIG)
            level = level_of(content, place)
            key = place[-1]
            if key in content or place[0] == "max_seeds":
                continue
            content[key] = level.pop(key)
            line = refusal(content, tmp_path)
            assert line, written(place)
            assert key in line or str(place[-2]) in line, (written(place), line)


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "a b", "$(x)", "a;b", "", "-x", "état", "x" * 300, "a\nb", "a\n", "con.fig"]
)
@pytest.mark.parametrize("kind", ["variants", "datasets", "sweeps", "ensembles"])
def test_a_name_that_could_leave_its_folder_or_reach_a_shell_is_refused(kind, name, tmp_path):
    content = copy.deepcopy(CONFIG)
    first = next(iter(content[kind]))
    content[kind][name] = copy.deepcopy(content[kind][first])
    assert refusal(content, tmp_path)


MANY = [value / 1000 for value in range(1, 400)]


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("seeds", 10**9, "seeds: found 1000000000 (a whole number), expected 100000 or less"),
        ("sweeps.rates.jobs", 10**9, "sweeps.rates.jobs: found 1000000000 (a whole number), expected 10000 or less"),
        ("sweeps.rates.grid.l2", MANY, "points, expected at most"),
        ("datasets.mine.mirrors", ["http://localhost:x@example.org/"], "datasets.mine.mirrors[0]"),
        ("variants.net.layers", [{"Lambda": {"function": "os.system"}}], "found the unknown key 'Lambda'"),
        ("variants.net.layers", [{"TorchModuleWrapper": {}}], "found the unknown key 'TorchModuleWrapper'"),
    ],
)
def test_what_no_study_needs_is_refused(place, value, said, tmp_path):
    content = copy.deepcopy(CONFIG)
    content["sweeps"]["rates"]["grid"]["learning_rate"] = MANY
    *parents, last = place.split(".")
    level = content
    for parent in parents:
        level = level[parent]
    level[last] = value
    assert said in refusal(content, tmp_path)


def test_every_key_of_the_schema_is_described():
    schema = yaml.safe_load(SCHEMA.read_text())

    def check(node, place):
        if not isinstance(node, dict):
            return
        if "properties" in node:
            assert node.get("additionalProperties") is False, f"{place} is open"
            for key, value in node["properties"].items():
                target = value
                while "$ref" in target and "description" not in target:
                    target = schema["$defs"][target["$ref"].rpartition("/")[2]]
                described = "description" in target or set(target) & {"properties", "if"}
                assert described, f"{place}.{key} has no description"
        for key, value in node.items():
            check(value, f"{place}.{key}")

    check(schema, "schema")


def test_the_schema_and_the_table_of_layers_name_the_same_layers():
    definitions = yaml.safe_load(SCHEMA.read_text())["$defs"]
    layers = set(definitions["layer"]["else"]["properties"])
    augmentation = set(definitions["augmentation"]["properties"])
    assert layers == {name for name, layer in LAYERS.items() if not layer.augmentation}
    assert augmentation == {name for name, layer in LAYERS.items() if layer.augmentation}


def test_a_layer_may_be_named_alone_if_keras_makes_it_without_arguments():
    import keras

    short = _validator().schema["$defs"]["layer"]["then"]["enum"]
    for name in short:
        getattr(keras.layers, name)()
    needy = {name for name, layer in LAYERS.items() if not layer.augmentation} - set(short)
    for name in needy:
        with pytest.raises(TypeError):
            getattr(keras.layers, name)()


def test_defaults_are_those_that_the_schema_documents():
    variant = yaml.safe_load(SCHEMA.read_text())["$defs"]["variant"]["properties"]
    documented = {name: keys["default"] for name, keys in variant.items() if "default" in keys and name in DEFAULTS}
    assert documented == {name: DEFAULTS[name] for name in documented}
    assert {"threads", "device", "runtime", "mem_mb"} <= documented.keys()
