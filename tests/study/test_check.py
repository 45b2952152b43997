"""Configs that are wrong in what they mean: refused on one line with place, found and expected."""

import copy
import json
import math
import re

import pytest
import yaml

from conftest import ROOT, SWEEP, TUNED, as_yaml
from mnist_hpc.errors import UserError
from mnist_hpc.study import check, spaces
from mnist_hpc.study.config import DATASETS_FILE

CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
MNIST = yaml.safe_load(DATASETS_FILE.read_text())["mnist"]


def study(path, changes=None, text=None):
    """Return the study of the shipped config with changes, each a dotted path and its new value."""
    content = copy.deepcopy(CONFIG)
    for place, value in (changes or {}).items():
        *parents, last = place.split(".")
        level = content
        for parent in parents:
            level = level.setdefault(parent, {})
        level[last] = value
    (path / "config.yaml").write_text(text or as_yaml(content))
    return check.load(path / "config.yaml")


def refused(path, changes=None, text=None):
    with pytest.raises(UserError) as error:
        study(path, changes, text)
    line = str(error.value)
    assert "\n" not in line
    assert line.startswith(str(path / "config.yaml"))
    return line.removeprefix(str(path / "config.yaml")).lstrip(":, ")


def test_the_shipped_config_is_a_study(tmp_path):
    shipped = study(tmp_path)
    assert shipped.dataset == "mnist"
    assert shipped.datasets == ["circle", "mnist", "spirals"]
    assert shipped.variants["cnn"].keys["loss"] == {"CategoricalCrossentropy": {}}


# A recipe of its own, compared with what it beats.
RECIPES = {"linear-best", "mlp-noise", "cnn-best"}


@pytest.mark.parametrize("name", [name for name, keys in CONFIG["variants"].items() if "base" in keys])
def test_a_shipped_comparison_changes_one_thing(name):
    assert len(set(CONFIG["variants"][name]) - {"base"}) == 1 or name in RECIPES


# Whole numbers as YAML's floats, by where they are: JSON Schema would take them for integers.
FLOATS = {
    "seeds": 2.0,
    "seeds_per_job": 2.0,
    "max_seeds": 1.0,
    "datasets.mnist.validation": 5000.0,
    "datasets.mnist.files.test_images.shape": [10000, 28.0, 28],
    "variants.regression.batch_size": 100.0,
    "variants.regression.steps": 1000.0,
    "variants.regression.threads": 1.0,
    "variants.regression.layers": ["Flatten", {"Dense": {"units": 10.0}}],
    "variants.cnn.layers": [{"Conv2D": {"filters": 8, "kernel_size": 5.0}}, "Flatten", {"Dense": {"units": 10}}],
    "variants.circle-3.snapshots": 4.0,
    "sweeps.hidden-optimizers.points": 54.0,
    "sweeps.regression-same-budget.images": 1.0e5,
    "sweeps.regression-same-budget.space.batch_size": [10, 50.0],
    "sweeps.regression-same-budget.space.batch_size ": {"integers": [10.0, 50]},
    "sweeps.regression-same-budget.halving": {"factor": 3.0},
    "sweeps.rates": {"variant": "regression", "grid": {"steps": [10, 20.0]}},
}


@pytest.mark.parametrize("place", FLOATS)
def test_a_float_is_not_a_whole_number(place, tmp_path):
    line = refused(tmp_path, {place.strip(): FLOATS[place]})
    assert line.startswith(place.strip())
    assert ".0 (a number), expected a whole number" in line


# Changes on top of a variant with from_sweep, and what the sweep, over learning rate and batch size, decides of them.
ON_TOP = [
    ({"batch_size": 10}, "batch_size"),
    ({"optimizer": {"SGD": {"learning_rate": 0.001, "momentum": 0.9}}}, "optimizer.SGD.learning_rate"),
    ({"optimizer": {"SGD": {"momentum": 0.9}}}, None),
    ({"optimizer": {"SGD": {"learning_rate": {"OneCycle": {"maximal_learning_rate": 0.1}}}}}, None),
    ({"l2": 0.001, "seeds": 3}, None),
    ({"epochs": 2}, "epochs"),  # the sweep has images, from which the steps follow
    ({"steps": 2}, "steps"),
]


@pytest.mark.parametrize("inherited", [False, True])
@pytest.mark.parametrize(("keys", "ignored"), ON_TOP)
def test_what_a_sweep_decides_is_not_set_on_top_of_its_choice(keys, ignored, inherited, tmp_path):
    own = {"base": "regression-tuned"} if inherited else {"base": "regression", "from_sweep": "regression-same-budget"}
    changes = {"variants.regression-tuned": {"base": "regression", "from_sweep": "regression-same-budget"}}
    changes["variants.new"] = own | keys
    if not ignored:
        study(tmp_path, changes)
        return
    assert refused(tmp_path, changes) == (
        f"variants.new.{ignored}: would have no effect, as the sweep regression-same-budget decides it (from_sweep); "
        "remove it, or choose a base without from_sweep"
    )


def test_a_schedule_or_an_optimizer_that_a_sweep_replaces_is_not_set(tmp_path):
    schedule = {"CosineDecay": {"initial_learning_rate": 0.1}}
    changes = {
        "sweeps.schedules": {"variant": "regression", "grid": {"learning_rate": [schedule]}},
        "variants.new": {
            "base": "regression",
            "from_sweep": "schedules",
            "optimizer": {"SGD": {"learning_rate": schedule}},
        },
    }
    assert refused(tmp_path, changes).startswith("variants.new.optimizer.SGD.learning_rate: would have no effect")
    changes["sweeps.schedules"]["grid"] = {"optimizer": ["SGD", "Adam"]}
    assert refused(tmp_path, changes).startswith("variants.new.optimizer: would have no effect")


@pytest.mark.parametrize("time", ["2:00:00", "1-00:00:00", "30:00"])
def test_a_time_limit_as_slurm_writes_it_is_refused_with_the_unit(time, tmp_path):
    text = f"dataset: digits\nseeds: 1\nvariants: {{a: {{runtime: {time}}}}}\n"
    assert refused(tmp_path, text=text) == (
        f"variants.a.runtime: found {time!r} (text), expected a whole number; write a time in minutes, such as 120"
    )


def test_an_octal_number_is_refused(tmp_path):
    assert refused(tmp_path, text="dataset: digits\nseeds: 010\nvariants: {a: {}}\n") == (
        "seeds: found '010' (text), expected a whole number; write digits alone, without quotes, exponent or leading "
        "zeros, such as 1000"
    )


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"seeds": {"a\nb": 1}}, "seeds: found the keys a b"),
        ({"sweeps.hidden-optimizers.space": {"a\nb": 1}}, "sweeps.hidden-optimizers.space.a b: found 1"),
        ({"variants.cnn.a\nb": float("nan")}, "variants.cnn.a b: found nan"),
    ],
)
def test_a_key_of_several_lines_is_refused_on_one(changes, place, tmp_path):
    assert refused(tmp_path, changes).startswith(place)


REFUSED = {
    "unequal strides of a depthwise convolution": (
        {"variants.regression.layers": [{"DepthwiseConv2D": {"kernel_size": 3, "strides": [1, 2]}}]},
        "variants.regression.layers[0].DepthwiseConv2D.strides: found [1, 2], expected the same number for rows and",
    ),
    "unequal strides of a separable convolution": (
        {"variants.regression.layers": [{"SeparableConv2D": {"filters": 2, "kernel_size": 3, "strides": [2, 1]}}]},
        "variants.regression.layers[0].SeparableConv2D.strides: found [2, 1], expected the same number for rows and",
    ),
    "orthogonal biases": (
        {"variants.regression.layers": ["Flatten", {"Dense": {"units": 10, "bias_initializer": "orthogonal"}}]},
        "variants.regression.layers[1].Dense.bias_initializer: found 'orthogonal' (text), expected one of zeros, ",
    ),
    "more dimensions than TensorFlow drops out of": (
        {"variants.regression.layers": [{"Reshape": {"target_shape": [2, 2, 7, 2, 2, 7, 1, 1]}}]},
        "variants.regression.layers[0].Reshape.target_shape: found [2, 2, 7, 2, 2, 7, 1, 1]",
    ),
    "a base without a name": ({"variants.cnn.base": ""}, "variants.cnn.base: found '', expected one of"),
    "a whole number with an exponent": (
        {"variants.regression.steps": 1.0e3},
        "variants.regression.steps: found 1000.0 (a number), expected a whole number; write 1000",
    ),
    "a whole number with an exponent, as text": (
        {"variants.regression.steps": "1e3"},
        "variants.regression.steps: found '1e3' (text), expected a whole number; write digits alone, without quotes, "
        "exponent or leading zeros, such as 1000",
    ),
    "number as text": (
        {"variants.regression.optimizer": {"SGD": {"learning_rate": "1e-3"}}},
        "variants.regression.optimizer.SGD.learning_rate: found '1e-3' (text), expected a number; write it without "
        "quotes, and 1.0e-3 or 1.0e+3 instead of 1e-3 or 1e3, which are text in YAML",
    ),
    "unknown key": (
        {"variants.regression.batchsize": 10},
        "variants.regression: found the unknown key 'batchsize', expected one of",
    ),
    "unknown key, near one": ({"variants.regression.epoch": 10}, "(did you mean 'epochs'?)"),
    "unknown key at the top": ({"sead": 10}, "top level: found the unknown key 'sead'"),
    "unknown layer group": (
        {"variants.cnn-fast.layers": ["norm-rleu", {"Dense": {"units": 10}}]},
        "(did you mean 'norm-relu'?)",
    ),
    "layer group with the name of a layer": (
        {"layer_groups": {"ReLU": ["ELU"]}, "variants": {"regression": CONFIG["variants"]["regression"]}},
        "layer_groups.ReLU: the name is that of a layer",
    ),
    "without a layer that is not there": (
        {"variants.cnn-no-dropout.without": ["Dropuot"]},
        "variants.cnn-no-dropout.without: found 'Dropuot', expected one of",
    ),
    "without all layers": (
        {"variants.regression-batch50.without": ["Flatten", "Dense"]},
        "variants.regression-batch50.without: leaves no layer of regression",
    ),
    "unknown layer": (
        {"variants.regression.layers": ["Flaten", {"Dense": {"units": 10}}]},
        "variants.regression.layers[0]: found 'Flaten' (text), expected one of",
    ),
    "unknown layer with arguments": (
        {"variants.regression.layers": ["Flatten", {"Lambda": {"function": "x"}}]},
        "variants.regression.layers[1]: found the unknown key 'Lambda', expected one of",
    ),
    "unknown argument": (
        {"variants.regression.layers": ["Flatten", {"Dense": {"unit": 10}}]},
        "variants.regression.layers[1].Dense: found the unknown key 'unit', expected one of units, activation, "
        "use_bias, kernel_initializer, bias_initializer (did you mean 'units'?)",
    ),
    "missing argument": (
        {"variants.regression.layers": ["Flatten", {"Dense": {"activation": "relu"}}]},
        "variants.regression.layers[1].Dense: the key 'units' is missing",
    ),
    "two layers in one": (
        {"variants.regression.layers": [{"Flatten": {}, "Dense": {"units": 10}}]},
        "variants.regression.layers[0]: found the keys",
    ),
    "normalisation behind another layer": (
        {"variants.regression.layers": ["Flatten", "Normalization", {"Dense": {"units": 10}}]},
        "variants.regression.layers: found Normalization after other layers, expected it first",
    ),
    "snapshots of a net that reads images": (
        {"variants.regression.snapshots": 40},
        "variants.regression.snapshots: found images of mnist, expected a data set of points of the plane",
    ),
    "snapshots of a base, on images": (
        {
            "variants.circle-2.dataset": "digits",
            "variants.circle-2.layers": ["Flatten", {"Dense": {"units": 10}}],
        },
        "variants.circle-2.snapshots: found images of digits, expected a data set of points of the plane",
    ),
    "more snapshots than anybody looks at": (
        {"variants.circle-3.snapshots": 101},
        "variants.circle-3.snapshots: found 101 (a whole number), expected 100 or less",
    ),
    "augmentation of points": (
        {"variants.circle-3.augmentation": [{"RandomRotation": {"factor": 0.1}}]},
        "variants.circle-3.augmentation[0].RandomRotation: found an input of shape (2,), expected (rows, columns, ",
    ),
    "a flip": (
        {"variants.regression.augmentation": [{"RandomFlip": {}}]},
        "variants.regression.augmentation[0]: found the unknown key 'RandomFlip', expected one of RandomTranslation, ",
    ),
    "unknown schedule": (
        {"variants.regression.optimizer": {"SGD": {"learning_rate": {"OneCicle": {}}}}},
        "found the unknown key 'OneCicle', expected one of OneCycle, CosineDecay, ExponentialDecay (did you mean",
    ),
    "ensemble of nothing known": ({"ensembles.all": ["cn"]}, "ensembles.all: found 'cn', expected one of"),
    "ensemble of two data sets": (
        {"ensembles.all": ["cnn", "circle-3"]},
        "ensembles.all: found variants of circle and mnist, expected those of one data set",
    ),
    "ensemble of two kinds of outputs": (
        {"ensembles.all": ["hidden-sigmoid", "hidden-sigmoid-mse"]},
        "ensembles.all: found variants with CategoricalCrossentropy and SquaredError, expected one loss: the",
    ),
    "drawings for nothing known": (
        {"draw": ["regression", "hidden-rleu"]},
        "draw: found 'hidden-rleu', expected one of",
    ),
    "drawings for nothing known, near one": ({"draw": ["regresion"]}, "(did you mean 'regression'?)"),
    "drawings for a variant on another data set": ({"draw": ["circle-3"]}, "draw: found 'circle-3', expected one of"),
    "drawings for a variant twice": ({"draw": ["cnn", "cnn"]}, "draw: found"),
    "a success that nothing reaches": (
        {"variants.circle-3.success": 1.5},
        "variants.circle-3.success: found 1.5 (a number), expected 1 or less",
    ),
    "no seed per job": (
        {"variants.circle-3.seeds_per_job": 0},
        "variants.circle-3.seeds_per_job: found 0 (a whole number), expected 1 or more",
    ),
    "unknown optimiser": (
        {"variants.regression.optimizer": "adam"},
        "variants.regression.optimizer: found 'adam' (text), expected one of SGD, RMSprop, Adagrad, Adam, AdamW "
        "(did you mean 'Adam'?)",
    ),
    "unknown argument of an optimiser": (
        {"variants.regression.optimizer": {"SGD": {"lr": 0.1}}},
        "variants.regression.optimizer.SGD: found the unknown key 'lr'",
    ),
    "unknown loss": (
        {"variants.regression.loss": "MSE"},
        "variants.regression.loss: found 'MSE' (text), expected one of CategoricalCrossentropy, SquaredError",
    ),
    "learning rate zero": (
        {"variants.regression.optimizer": {"SGD": {"learning_rate": 0}}},
        "learning_rate: found 0 (a whole number), expected more than 0",
    ),
    "dropout of everything": (
        {"variants.regression.layers": ["Flatten", {"Dropout": {"rate": 1}}, {"Dense": {"units": 10}}]},
        "variants.regression.layers[1].Dropout.rate: found 1 (a whole number), expected less than 1",
    ),
    "true for a number": ({"seeds": True}, "seeds: found True (true or false), expected a whole number"),
    "too few logits": (
        {"variants.regression.layers": ["Flatten", {"Dense": {"units": 9}}]},
        "variants.regression.layers: found a last layer Dense {'units': 9} with output (9,), expected one logit per "
        "class of mnist: a Dense layer of 10 units without activation on flat inputs",
    ),
    "no flat input": ({"variants.regression.layers": [{"Dense": {"units": 10}}]}, "with output (28, 28, 10)"),
    "probabilities instead of logits": (
        {"variants.regression.layers": ["Flatten", {"Dense": {"units": 10, "activation": "sigmoid"}}]},
        "expected one logit per class",
    ),
    "a window larger than the image": (
        {"variants.regression.layers": ["MaxPooling2D"] * 5 + ["Flatten", {"Dense": {"units": 10}}]},
        "variants.regression.layers[4].MaxPooling2D: found an input of 1×1 pixels, expected at least 2×2",
    ),
    "steps and epochs": (
        {"variants.regression.epochs": 3},
        "variants.regression: found both steps and epochs, expected one of the two",
    ),
    "neither steps nor epochs": (
        {"variants.new": {"layers": ["Flatten", {"Dense": {"units": 10}}], "optimizer": "SGD", "batch_size": 10}},
        "variants.new: found neither steps nor epochs",
    ),
    "no layers": ({"variants.new": {"optimizer": "SGD"}}, "variants.new: the key 'layers' is missing"),
    "validation as large as the data": (
        {"datasets.mnist.validation": 60000},
        "datasets.mnist.validation: found 60000, expected fewer than the 60000 images of the training file",
    ),
    "images and labels differ": (
        {"datasets.mnist.files.test_labels.shape": [9999]},
        "datasets.mnist.files: found 10000 test_images and 9999 test_labels",
    ),
    "unknown data set": (
        {"dataset": "mnits"},
        "dataset: found 'mnits', expected one of mnist, digits, circle, spirals",
    ),
    "unknown data set of a variant": ({"variants.cnn.dataset": "x"}, "variants.cnn.dataset: found 'x'"),
    "a data set for another net": ({"variants.cnn.dataset": "circle"}, "variants.cnn.layers[0].Conv2D: found an input"),
    "a name with a slash": (
        {"variants.a/b": CONFIG["variants"]["regression"]},
        "variants: found 'a/b' (text), expected",
    ),
    "a data set named like a folder of results": (
        {"datasets.state": MNIST},
        "datasets.state: the name is taken",
    ),
    "unknown base": ({"variants.cnn.base": "ccn"}, "variants.cnn.base: found 'ccn', expected one of"),
    "a cycle of bases": ({"variants.regression.base": "regression-batch50"}, "found a cycle: "),
    "batch larger than the data": (
        {"variants.regression.batch_size": 60000},
        "variants.regression.batch_size: found 60000, expected at most the 55000 training examples of mnist",
    ),
    "batch in words": ({"variants.regression.batch_size": "all"}, "variants.regression.batch_size: found 'all'"),
    "batch misspelt": (
        {"variants.regression.batch_size": "ful"},
        "found 'ful' (text), expected a whole number from 1 or full (did you mean 'full'?)",
    ),
    "two limits on the gradient": (
        {"variants.regression.optimizer": {"SGD": {"clipnorm": 1.0, "global_clipnorm": 1.0}}},
        "variants.regression: optimizer.SGD: found clipnorm and global_clipnorm, expected one of them",
    ),
    "two limits on the gradient in a point of a grid": (
        {"sweeps.hidden-optimizers": {"variant": "hidden-relu", "grid": {"clipvalue": [0.1], "clipnorm": [1.0]}}},
        "sweeps.hidden-optimizers.grid at clipvalue 0.1, clipnorm 1.0: optimizer.SGD: found ",
    ),
    "a limit of nothing": ({"variants.regression.optimizer": {"SGD": {"clipnorm": 0}}}, "clipnorm: found 0"),
    "base misspelt": ({"variants.cnn.base": "hidden-sigmod"}, "(did you mean 'hidden-sigmoid'?)"),
    "a mirror on disk": ({"datasets.mnist.mirrors": ["file:///etc"]}, "datasets.mnist.mirrors[0]: found 'file:///etc'"),
    "no seeds": ({"seeds": 0}, "seeds: found 0 (a whole number), expected 1 or more"),
    "nothing for a variant": ({"variants.new": None}, "variants.new: found nothing, expected keys with values"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_config_is_refused_with_place_found_and_expected(case, tmp_path):
    changes, message = REFUSED[case]
    assert message in refused(tmp_path, changes)


@pytest.mark.parametrize("strides", [1, 2, [2, 2]])
@pytest.mark.parametrize("layer", ["DepthwiseConv2D", "SeparableConv2D", "Conv2D"])
def test_equal_strides_may_be_written_as_one_number_or_two(layer, strides, tmp_path):
    more = {} if layer == "DepthwiseConv2D" else {"filters": 2}
    layers = [{layer: {"kernel_size": 3, "strides": strides} | more}, "Flatten", {"Dense": {"units": 10}}]
    assert study(tmp_path, {"variants.regression.layers": layers})


@pytest.mark.parametrize("name", ["../evil", "..", ".hidden", "a b", "$(reboot)", "a\nb", "", "x" * 65])
def test_a_name_that_is_not_safe_as_a_folder_is_refused(name, tmp_path):
    content = copy.deepcopy(CONFIG)
    content["variants"][name] = content["variants"]["regression"]
    assert f"variants: found {name!r} (text), expected" in refused(tmp_path, text=as_yaml(content))


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ("{learning_rat: [1]}", "sweeps.rates.grid: found 'learning_rat', expected one of optimizer, batch_size, "),
        ("{learning_rate: [-1]}", "optimizer.SGD.learning_rate: found -1 (a whole number), expected more than 0"),
        ("{batch_size: [2000]}", "found 2000, expected at most the 1257 training examples of digits"),
        ("{width: [10]}", "sweeps.rates.grid.width: regression has no Dense layer but the last"),
        ("{steps: [10], epochs: [1]}", "sweeps.rates.grid: found both steps and epochs"),
        ("{optimizer: [Sgd]}", "sweeps.rates.grid: optimizer: found the unknown key 'Sgd', expected one of SGD, "),
        ("{optimizer: [SGD, Adam], momentum: [0.5]}", "sweeps.rates.grid: found 'momentum', expected one of"),
        ("{}", "sweeps.rates.grid: found nothing"),
        ("{steps: []}", "sweeps.rates.grid.steps: found []"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(tmp_path, grid, said):
    path = tmp_path / "config.yaml"
    path.write_text(SWEEP.replace("{learning_rate: [0.001, 0.01, 0.1], steps: [10, 20], batch_size: [20, 100]}", grid))
    with pytest.raises(UserError) as caught:
        check.load(path)
    assert said in str(caught.value)


SEARCHED = """
dataset: digits
seeds: 2
variants:
  regression:
    layers: [Flatten, {Dense: {units: 10}}]
    optimizer: {SGD: {learning_rate: 0.5}}
    batch_size: 100
    steps: 90
  hidden:
    base: regression
    layers: [Flatten, {Dense: {units: 16, activation: relu}}, {Dense: {units: 10}}]
  cycle:
    base: regression
    optimizer: {Adam: {learning_rate: {OneCycle: {maximal_learning_rate: 0.01}}}}
sweeps: {rates: {%s}}
"""
RATE = "{log_uniform: [0.001, 1]}"
SPACE = f"variant: regression, points: 9, space: {{learning_rate: {RATE}}}, "
GRID = "variant: regression, grid: {learning_rate: [0.1, 0.2]}, "


def searched(path, keys):
    """Return the sweep of a study that has these keys."""
    (path / "config.yaml").write_text(SEARCHED % keys)
    return check.load(path / "config.yaml").sweeps["rates"]


def not_searched(path, keys):
    with pytest.raises(UserError) as caught:
        searched(path, keys)
    line = str(caught.value)
    assert "\n" not in line
    return line.removeprefix(f"{path / 'config.yaml'}: ")


@pytest.mark.parametrize(
    ("dimension", "said"),
    [
        ("learning_rate: {log_uniform: [1, 0.1]}", ".learning_rate.log_uniform: found 1 and 0.1, expected the lowest"),
        ("learning_rate: {uniform: [0.1, 0.1]}", ".learning_rate.uniform: found 0.1 and 0.1, expected the lowest"),
        ("learning_rate: {log_uniform: [-1, 1]}", ".log_uniform[0]: found -1 (a whole number), expected 1e-30 or more"),
        ("learning_rate: {log_uniform: [0, 1]}", ".log_uniform[0]: found 0 (a whole number), expected 1e-30 or more"),
        ("learning_rate: {log_uniform: [1.0e-320, 1]}", ".log_uniform[0]: found 1e-320 (a number), expected 1e-30 or"),
        ("l2: {uniform: [0.9999, 0.99992]}", "points: found 2, expected at most the 1 points of the space; sampled nu"),
        (
            "optimizer: [{SGD: {momentum: 0.5}}, SGD], momentum: [0.1, 0.2]",
            "sweeps.rates.space.optimizer: found momentum of SGD, which has no effect as values of momentum are tried",
        ),
        (
            "optimizer: [SGD, {Adam: {learning_rate: {OneCycle: {maximal_learning_rate: 0.1}}}}], "
            "learning_rate: [{OneCycle: {maximal_learning_rate: 0.1}}, {OneCycle: {maximal_learning_rate: 0.2}}]",
            "sweeps.rates.space.optimizer: found learning_rate of Adam, which has no effect",
        ),
        ("learning_rate: {log_uniform: [1e-4, 1]}", ".log_uniform[0]: found '1e-4' (text), expected a number; write"),
        ("learning_rate: {uniform: [0, 1]}", ".learning_rate: optimizer.SGD.learning_rate: found 0 (a whole number)"),
        ("learning_rate: {log_uniform: [0.1]}", ".learning_rate.log_uniform: found [0.1] (a list)"),
        ("learning_rate: {log_uniform: [1, 2, 3]}", ".learning_rate.log_uniform: found [1, 2, 3] (a list)"),
        ("learning_rate: {log_uniform: 0.1}", ".learning_rate.log_uniform: found 0.1 (a number), expected a list"),
        ("learning_rate: {log: [0.1, 1]}", "found the unknown key 'log', expected one of uniform, log_uniform, in"),
        ("learning_rate: 0.1", ".learning_rate: found 0.1 (a number), expected a list or keys with values"),
        ("learning_rate: null", ".learning_rate: found nothing, expected a list or keys with values"),
        ("learning_rate: {}", ".learning_rate: found nothing"),
        ("learning_rate: []", ".learning_rate: found []"),
        ("learning_rate: [0.1, 0.1]", ".learning_rate: found [0.1, 0.1]"),
        ("learning_rate: {uniform: [1, 2], integers: [1, 2]}", ".learning_rate: found the keys uniform, integers"),
        ("learning_rate: {uniform: [0.1, .inf]}", ".learning_rate.uniform[1]: found inf, expected a finite number"),
        (
            "learning_rat: [0.1, 0.2]",
            "sweeps.rates.space: found 'learning_rat', expected one of optimizer, batch_size, ",
        ),
        ("", "sweeps.rates.space: found nothing"),
        ("batch_size: {integers: [1.5, 20]}", ".batch_size.integers[0]: found 1.5 (a number), expected a whole number"),
        ("batch_size: {integers: [0, 20]}", ".batch_size: batch_size: found 0 (a whole number), expected a whole nu"),
        ("batch_size: {integers: [10, 2000]}", "found 2000, expected at most the 1257 training examples of digits"),
        ("batch_size: {uniform: [10, 20]}", ".batch_size: found uniform, which tries numbers such as 14.14, expected "),
        ("width: {log_uniform: [10, 20]}", ".width: found log_uniform, which tries numbers such as 13.33, expected "),
        ("optimizer: {integers: [1, 2]}", "space: optimizer: found 1 (a whole number), expected text or keys with"),
        ("optimizer: {Adam: {}}", ".optimizer: found the unknown key 'Adam', expected one of uniform, log_uniform, "),
        ("momentum: {uniform: [0.9, 1]}", ".momentum: optimizer.SGD.momentum: found 1 (a whole number), expected l"),
        ("steps: {integers: [9, 90]}, epochs: [1, 2]", "space: found both steps and epochs, expected one of the two"),
    ],
)
def test_a_space_that_cannot_be_is_refused(tmp_path, dimension, said):
    assert said in not_searched(tmp_path, f"variant: hidden, points: 2, space: {{{dimension}}}")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("variant: regression", "sweeps.rates: found neither grid nor space, expected one of the two"),
        (f"{GRID} space: {{l2: [0.1]}}", "sweeps.rates: found both grid and space, expected one of the two"),
        (f"variant: regression, space: {{learning_rate: {RATE}}}", "sweeps.rates: the key 'points' is missing: how"),
        (SPACE.replace("9", "0"), "sweeps.rates.points: found 0 (a whole number), expected 1 or more"),
        (SPACE.replace("9", "1000000"), "points: found 1000000 (a whole number), expected 100000 or less"),
        (SPACE.replace(RATE, "[1, 2]"), "sweeps.rates.points: found 9, expected at most the 2 points of the space"),
        (
            "variant: cycle, points: 101, space: {beta_2: {uniform: [0.99, 0.9999]}}",
            "sweeps.rates.points: found 101, expected at most the 100 points of the space; sampled numbers have 4",
        ),
        (f"{GRID} points: 2", "sweeps.rates.points: expected a space"),
        (f"{SPACE} max_images: 1000", "sweeps.rates.max_images: expected a grid"),
        (f"{GRID} max_images: 900, images: 900", "sweeps.rates: found both images and max_images, expected one of"),
        (f"{SPACE} images: 0", "sweeps.rates.images: found 0 (a whole number), expected 1 or more"),
        (f"{SPACE} images: 50", "steps 1: images: found 50, expected at least a batch of 100"),
        (f"{GRID.replace('}', ', batch_size: [10, full]}')} images: 900", "images: found batch_size full, expected n"),
        (f"{GRID.replace('}', ', steps: [9]}')} images: 900", "sweeps.rates: found both images and steps, expected"),
        (f"{GRID.replace('}', ', steps: [9]}')} halving: {{}}", "sweeps.rates: found steps in a sweep that is halved"),
        (f"{GRID.replace('}', ', epochs: [9]}')} halving: {{}}", "sweeps.rates: found epochs in a sweep that is hal"),
        (f"{SPACE} images: 800, halving: {{}}", "steps 8: halving.first: found 1/9 of 8 steps, expected a whole step"),
        (f"{SPACE} halving: {{}}, jobs: 10", "sweeps.rates.jobs: found 10, expected at most 9: each halves points of"),
        (f"{SPACE} halving: {{factor: 1}}", "sweeps.rates.halving.factor: found 1 (a whole number), expected 2 or mo"),
        (f"{SPACE} halving: {{finalists: 0}}", "sweeps.rates.halving.finalists: found 0 (a whole number), expected 1"),
        (f"{SPACE} halving: {{fresh_seeds: 0}}", "sweeps.rates.halving.fresh_seeds: found 0 (a whole number), expec"),
        (f"{SPACE} halving: {{rungs: 3}}", "found the unknown key 'rungs', expected one of factor, first, finalists, "),
        (f"{SPACE} halving: true", "sweeps.rates.halving: found True (true or false), expected keys with values"),
        (
            f"{SPACE.replace('regression', 'cycle')} halving: {{first: 1/9}}",
            "at learning_rate 0.001: halving.first: found 1/9 of 90 steps, within the warm-up of 27 steps",
        ),
    ],
)
def test_a_sweep_whose_keys_do_not_go_together_is_refused(tmp_path, keys, said):
    assert said in not_searched(tmp_path, keys)


@pytest.mark.parametrize(
    "dimension",
    [
        "beta_2: {uniform: [0.99, 0.9999]}",
        "beta_2: {log_uniform: [0.9, 0.9999]}",
        "l2: {log_uniform: [0.0985, 1.005]}",
        "l2: {uniform: [1.0e-320, 1.0]}",  # hardly one is below a thousandth
        # The ends have more digits than a sample; what would be rounded to less or more is one of them.
        "beta_2: {uniform: [0.99991, 0.99999]}",
        "l2: {log_uniform: [0.00012342, 0.00012398]}",
        "l2: {uniform: [9.9991, 9.9999]}",
        "l2: {uniform: [0.12341, 0.12344]}",
    ],
)
def test_as_many_points_as_a_space_may_have_can_be_sampled(tmp_path, dimension):
    keys = f"variant: cycle, points: %d, space: {{{dimension}}}"
    most = int(re.search(r"at most the (\d+) points", not_searched(tmp_path, keys % 99999))[1])
    # Of many, nearly all: nobody draws until the last one has come.
    asked = most if most < 1000 else int(0.9 * most) if most < 10000 else 3000
    sweep = searched(tmp_path, keys % asked)
    assert len({str(point.values) for point in spaces.tried(json.loads(sweep.json))}) == asked
    if most < 1000:
        drawn = {spaces.value_at(*sweep.dimensions.values(), place / 1e5) for place in range(100_000)}
        assert len(drawn) == most


def test_of_a_space_with_more_combinations_than_can_be_listed_the_ends_are_checked(tmp_path):
    lists = {
        key: [value / 1000 for value in range(1, 100)] for key in ("l2", "momentum", "initial_scale", "learning_rate")
    }
    space = json.dumps({"batch_size": [*range(1, 100)], **lists})
    assert searched(tmp_path, f"variant: regression, points: 9, images: 99, space: {space}").count == 9
    line = not_searched(tmp_path, f"variant: regression, points: 9, images: 98, space: {space}")
    assert "images: found 98, expected at least a batch of 99" in line


@pytest.mark.parametrize("kind", ["grid", "space"])
def test_what_does_not_fit_into_the_command_of_a_job_is_refused(tmp_path, kind):
    values = [0.1 + place * math.pi / 1e5 for place in range(3000)]  # of 17 digits or more
    keys = "variant: regression, points: 9, space" if kind == "space" else "variant: regression, grid"
    assert searched(tmp_path, f"{keys}: {{l2: {values}}}").kind == kind
    line = not_searched(tmp_path, f"{keys}: {{l2: {values + [value + 0.2 for value in values]}}}")
    assert re.match(
        r"sweeps.rates: its points take \d{6} bytes in the command of a job, expected at most 120000; ", line
    )


@pytest.mark.parametrize("first", ["0", "2", "1/0", "abc", "-1/3", "''", "0/3"])
def test_a_first_rung_is_a_share_of_the_steps(tmp_path, first):
    line = not_searched(tmp_path, f"{SPACE} halving: {{first: {first}}}")
    shown = first if first in "02" else repr(first.strip("'"))
    assert line == f"sweeps.rates.halving.first: found {shown}, expected a share such as 1/9, at most 1"


@pytest.mark.parametrize("first", ["[1]", "true", ".inf", "null"])
def test_a_first_rung_is_text_or_a_number(tmp_path, first):
    assert "sweeps.rates.halving.first: found " in not_searched(tmp_path, f"{SPACE} halving: {{first: {first}}}")


@pytest.mark.parametrize(
    ("keys", "first"),
    [
        (f"{SPACE} halving: {{}}", "1/9"),
        (f"{SPACE} halving: {{first: 0.25}}", "1/4"),
        (f"{SPACE} halving: {{first: 1/90}}", "1/90"),
        (f"{SPACE.replace('regression', 'cycle')} halving: {{}}", "1/3"),
        (
            "variant: regression, grid: {learning_rate: [0.1, {CosineDecay: {initial_learning_rate: 1}}]}, halving: {}",
            "1/3",
        ),
        ("variant: cycle, grid: {optimizer: [Adam, SGD], learning_rate: [0.1, 0.2]}, halving: {}", "1/9"),
    ],
    ids=["constant", "a number", "a single step", "a schedule", "a schedule among the values", "without the schedule"],
)
def test_the_first_rung_is_longer_if_a_learning_rate_follows_a_schedule(tmp_path, keys, first):
    assert searched(tmp_path, keys).halving["first"] == first


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("from_sweep: rates", "from_sweep: rate", "variants.tuned.from_sweep: found 'rate', expected rates (did you"),
        ("variant: regression", "variant: tuned", "sweeps.rates.variant: tuned itself depends on a sweep"),
        ("jobs: 1", "max_images: 100", "sweeps.rates.max_images: found 100, expected 200 or more"),
        ("from_sweep: rates", "from_sweep: rates\n    dataset: circle", "variants.tuned"),
    ],
)
def test_a_variant_that_cannot_take_over_is_refused(tmp_path, old, new, said):
    path = tmp_path / "config.yaml"
    path.write_text(TUNED.replace(old, new))
    with pytest.raises(UserError) as caught:
        check.load(path)
    assert said in str(caught.value)


@pytest.mark.parametrize("batch", ["full", "1000"])
def test_a_variant_takes_the_steps_of_a_choice_whatever_its_batches(tmp_path, batch):
    # Of 600 images in batches of 100, which is no whole batch of the variant.
    path = tmp_path / "config.yaml"
    space = "sweeps:\n  rates:\n    variant: regression\n    space: {learning_rate: [0.1, 0.2]}\n    points: 2\n"
    taking = TUNED.split("sweeps:")[0].replace("from_sweep: rates", f"from_sweep: rates\n    batch_size: {batch}")
    path.write_text(f"{taking}{space}    images: 600\n")
    assert check.load(path).variants["tuned"].from_sweep == "rates"
