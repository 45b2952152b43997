import copy

import pytest
import yaml

from conftest import ROOT
from mnist_hpc.errors import UserError
from mnist_hpc.study.specification import Study

CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())


def study(path, changes=None, text=None):
    """Return the study of the shipped config with changes, each a dotted path and its new value."""
    content = copy.deepcopy(CONFIG)
    for place, value in (changes or {}).items():
        *parents, last = place.split(".")
        level = content
        for parent in parents:
            level = level.setdefault(parent, {})
        level[last] = value
    (path / "config.yaml").write_text(text or yaml.safe_dump(content, sort_keys=False))
    return Study(path / "config.yaml")


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


REFUSED = {
    "number as text": (
        {"variants.regression.optimizer": {"SGD": {"learning_rate": "1e-3"}}},
        "variants.regression.optimizer.SGD.learning_rate: found '1e-3' (text), expected a number; write it without "
        "quotes, and 1.0e-3 rather than 1e-3, which YAML takes for text",
    ),
    "unknown key": (
        {"variants.regression.batchsize": 10},
        "variants.regression: found the unknown key 'batchsize', expected one of",
    ),
    "unknown key, near one": ({"variants.regression.epoch": 10}, "(did you mean 'epochs'?)"),
    "unknown key at the top": ({"sead": 10}, "top level: found the unknown key 'sead'"),
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
        "variants.regression.layers: found Normalization behind other layers, expected it as the first",
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
        {"datasets.state": CONFIG["datasets"]["mnist"]},
        "datasets.state: the name is taken",
    ),
    "unknown base": ({"variants.cnn.base": "ccn"}, "variants.cnn.base: found 'ccn', expected one of"),
    "a circle of bases": ({"variants.regression.base": "regression-batch50"}, "found a circle: "),
    "batch larger than the data": (
        {"variants.regression.batch_size": 60000},
        "variants.regression.batch_size: found 60000, expected at most the 55000 training examples of mnist",
    ),
    "batch in words": ({"variants.regression.batch_size": "all"}, "variants.regression.batch_size: found 'all'"),
    "batch misspelt": (
        {"variants.regression.batch_size": "ful"},
        "found 'ful' (text), expected a whole number from 1 or full (did you mean 'full'?)",
    ),
    "base misspelt": ({"variants.cnn.base": "hidden-sigmod"}, "(did you mean 'hidden-sigmoid'?)"),
    "a mirror on disk": ({"datasets.mnist.mirrors": ["file:///etc"]}, "datasets.mnist.mirrors[0]: found 'file:///etc'"),
    "no seeds": ({"seeds": 0}, "seeds: found 0 (a whole number), expected 1 or more"),
    "nothing for a variant": ({"variants.new": None}, "variants.new: found nothing, expected keys with values"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_config_is_refused_with_place_found_and_expected(case, tmp_path):
    changes, message = REFUSED[case]
    assert message in refused(tmp_path, changes)


@pytest.mark.parametrize("name", ["../evil", "..", ".hidden", "a b", "$(reboot)", "a\nb", "", "x" * 65])
def test_a_name_that_is_not_safe_as_a_folder_is_refused(name, tmp_path):
    content = copy.deepcopy(CONFIG)
    content["variants"][name] = content["variants"]["regression"]
    assert f"variants: found {name!r} (text), expected" in refused(tmp_path, text=yaml.safe_dump(content))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dataset: mnist\nseeds: 1\nseeds: 2\n", "line 3, column 1: duplicate key 'seeds'"),
        ("dataset: mnist\n\tseeds: 1\n", "line 2, column 1: found a tab character that violates indentation"),
        ("variants: {a: {base: b}, a: {base: c}}\n", "line 1, column 26: duplicate key 'a'"),
        ("- dataset\n", "found ['dataset'] (a list), expected keys with values"),
        ("dataset: !!python/object/apply:os.system ['true']\n", "found the tag "),
        (" ", "found nothing, expected keys with values"),
    ],
)
def test_a_file_that_is_not_a_config_is_refused(text, message, tmp_path):
    assert message in refused(tmp_path, text=text)


def test_a_missing_config_is_named(tmp_path):
    with pytest.raises(UserError, match=r"config\.yaml: .*No such file"):
        Study(tmp_path / "config.yaml")


def test_a_variant_takes_over_the_keys_of_its_base(tmp_path):
    variants = study(tmp_path).variants
    assert variants["regression-batch50"].specification == variants["regression"].specification | {"batch_size": 50}
    assert variants["circle-2"].dataset == "circle"


def test_own_steps_replace_the_epochs_of_the_base(tmp_path):
    changed = study(tmp_path, {"variants.new": {"base": "hidden-relu", "steps": 7}}).variants["new"]
    assert changed.specification["steps"] == 7
    assert "epochs" not in changed.specification


def test_more_seeds_add_blocks_and_keep_the_old_ones(tmp_path):
    def blocks(**changes):
        return [block.folder for block in study(tmp_path, changes).blocks if block.variant == "cnn"]

    assert blocks() == ["mnist/runs/cnn/seeds-0-4"]
    assert blocks(seeds=12) == [f"mnist/runs/cnn/seeds-{seeds}" for seeds in ("0-4", "5-9", "10-11")]
    assert blocks(seeds=2, seeds_per_job=1) == ["mnist/runs/cnn/seeds-0-0", "mnist/runs/cnn/seeds-1-1"]
    assert blocks(max_seeds=1) == ["mnist/runs/cnn/seeds-0-0"]


def test_the_command_line_changes_only_what_it_names(tmp_path):
    study(tmp_path)
    overridden = Study(tmp_path / "config.yaml", {"dataset": "digits", "variants": {"cnn": {"epochs": 1}}})
    assert overridden.dataset == overridden.variants["cnn"].dataset == "digits"
    assert overridden.variants["cnn"].keys["epochs"] == 1
    assert len(overridden.variants) == len(CONFIG["variants"])


def test_the_hash_is_that_of_what_is_trained(tmp_path):
    before = study(tmp_path).variants["regression"].hash
    assert study(tmp_path, {"variants.regression.runtime": 5, "seeds": 3}).variants["regression"].hash == before
    assert study(tmp_path, {"variants.regression.steps": 999}).variants["regression"].hash != before


def test_every_key_of_the_schema_is_described():
    schema = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())

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
