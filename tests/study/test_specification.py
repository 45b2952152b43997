"""From a config to what runs: inheritance, blocks of seeds, and what a result depends on."""

import copy
import json

import pytest
import yaml

from conftest import ROOT, TUNED, as_yaml
from mnist_hpc.study.config import DATASETS_FILE
from mnist_hpc.study.specification import Study

CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
DATASETS = yaml.safe_load(DATASETS_FILE.read_text())


@pytest.fixture
def study(tmp_path):
    """Return a function that gives the shipped study with changed keys of variants, and of the study."""

    def changed(variants=None, **keys):
        content = copy.deepcopy(CONFIG) | keys
        for name, own in (variants or {}).items():
            content["variants"][name] = content["variants"].get(name, {}) | own
        (tmp_path / "config.yaml").write_text(as_yaml(content))
        return Study.read(tmp_path / "config.yaml")

    return changed


def test_a_variant_takes_over_the_keys_of_its_base(study):
    variants = study().variants
    assert variants["regression-batch50"].specification == variants["regression"].specification | {"batch_size": 50}
    assert variants["circle-2"].dataset == "circle"


def test_a_layer_group_stands_for_its_layers_in_every_variant_that_names_it(study):
    dense = {"Dense": {"units": 10}}
    groups = {"noisy": [{"GaussianNoise": {"stddev": 0.5}}, "ReLU"]}
    changed = study({"new": {"base": "regression", "layers": ["Flatten", "noisy", dense]}}, layer_groups=groups)
    spelt_out = study({"new": {"base": "regression", "layers": ["Flatten", *groups["noisy"], dense]}})
    assert changed.variants["new"].json == spelt_out.variants["new"].json


def test_without_drops_layers_of_the_base_by_name(study):
    variants = study().variants
    with_it, without = (variants[name].specification["layers"] for name in ("cnn", "cnn-no-dropout"))
    assert [layer for layer in with_it if layer not in without] == [{"Dropout": {"rate": 0.5}}]
    assert len(without) == len(with_it) - 1


def test_own_steps_replace_the_epochs_of_the_base(study):
    changed = study({"new": {"base": "hidden-relu", "steps": 7}}).variants["new"]
    assert changed.specification["steps"] == 7
    assert "epochs" not in changed.specification


def test_more_seeds_add_blocks_and_keep_the_old_ones(study):
    def blocks(**changes):
        return [block.folder for block in study(**changes).blocks_of("cnn")]

    assert blocks() == ["mnist/runs/cnn/seeds-0-4"]
    assert blocks(seeds=12) == [f"mnist/runs/cnn/seeds-{seeds}" for seeds in ("0-4", "5-9", "10-11")]
    assert blocks(seeds=2, seeds_per_job=1) == ["mnist/runs/cnn/seeds-0-0", "mnist/runs/cnn/seeds-1-1"]
    assert blocks(max_seeds=1) == ["mnist/runs/cnn/seeds-0-0"]


def test_a_trial_has_few_epochs_and_few_seeds_also_of_sweeps(study):
    sweeps = {"rates": {"variant": "cnn", "grid": {"learning_rate": [0.1, 0.2]}, "seeds": 3}}
    whole, look, trial = (
        study(sweeps=sweeps, **caps) for caps in ({}, {"max_seeds": 1}, {"max_seeds": 1, "max_epochs": 2})
    )
    # A quick look keeps the results of the study; a trial replaces them.
    assert look.sweeps["rates"].json == whole.sweeps["rates"].json
    assert look.variants["cnn"].json == whole.variants["cnn"].json
    assert trial.sweeps["rates"].seeds == 1
    for name, variant in trial.variants.items():
        before, after = whole.variants[name].specification, variant.specification
        assert after.get("epochs") == (min(before["epochs"], 2) if "epochs" in before else None)
        assert after.get("steps") == before.get("steps")
    assert any(variant.specification.get("epochs") == 2 for variant in trial.variants.values())


def test_a_variant_has_blocks_of_its_own_size(study):
    def blocks(seeds, per_job, **changes):
        keys = {"seeds": seeds, "seeds_per_job": per_job}
        return [block.folder.rpartition("/")[2] for block in study({"circle-3": keys}, **changes).blocks_of("circle-3")]

    # The shipped study adds one job for forty seeds, and a quick look or a demo has one of them.
    assert blocks(40, 40) == ["seeds-0-39"]
    assert [str(block) for block in study().blocks_of("circle-2")] == ["circle circle-2 seeds 0 to 39"]
    assert blocks(40, 40, max_seeds=1) == ["seeds-0-0"]
    # What exists is kept as long as the boundaries stay.
    assert blocks(5, 5) == blocks(5, 40) == ["seeds-0-4"]
    assert blocks(10, 5) == ["seeds-0-4", "seeds-5-9"]
    assert blocks(10, 40) == ["seeds-0-9"]
    # Other variants, also those without the key, are not concerned.
    assert len(study({"circle-3": {"seeds_per_job": 7}}).blocks_of("regression")) == 1


def test_success_is_counted_for_toy_problems_and_where_it_is_asked_for(study):
    variants = study({"cnn": {"success": 0.995}, "toy": {"base": "regression", "dataset": "spirals"}}).variants
    assert {name: variants[name].success for name in ("regression", "cnn", "cnn-no-dropout", "circle-2", "toy")} == {
        "regression": None,
        "cnn": 0.995,
        "cnn-no-dropout": 0.995,
        "circle-2": 0.99,
        "toy": 0.99,
    }


def test_what_reaches_the_training_holds_what_decides_its_numbers(study):
    def trained(**keys):
        return study({"regression": keys}).variants["regression"].json

    before = trained()
    assert trained(runtime=5, mem_mb=9000, seeds=3, seeds_per_job=2, success=0.9, device="cpu") == before
    assert trained(steps=999) != before
    assert trained(threads=2) != before


def test_snapshots_reach_the_training_and_are_inherited_and_no_sweep_has_them(study):
    rates = {"variant": "circle-2", "grid": {"learning_rate": [0.01, 0.1]}}
    more, fewer = (study({"circle-3": {"snapshots": count}}, sweeps={"rates": rates}) for count in (40, 7))
    for name in ("circle-3", "circle-2"):
        assert json.loads(fewer.variants[name].json) == json.loads(more.variants[name].json) | {"snapshots": 7}
    assert fewer.variants["spirals-wide"].json == more.variants["spirals-wide"].json
    assert fewer.sweeps["rates"].json == more.sweeps["rates"].json
    assert "snapshots" not in json.loads(more.sweeps["rates"].json)["specification"]


def test_a_value_that_a_sweep_finds_is_no_part_of_what_reaches_the_training(tmp_path):
    def study(text):
        (tmp_path / "config.yaml").write_text(text)
        return Study.read(tmp_path / "config.yaml")

    before, after = study(TUNED), study(TUNED.replace("learning_rate: 0.5", "learning_rate: 0.7"))
    assert before.variants["tuned"].json == after.variants["tuned"].json
    assert before.sweeps["rates"].json == after.sweeps["rates"].json
    assert before.variants["regression"].json != after.variants["regression"].json
    assert set(json.loads(before.variants["tuned"].json)) == {"layers", "loss", "optimizer", "threads"}
    assert before.choice("tuned") == ["digits/sweeps/rates/best.json"]
    assert before.choice("regression") == []


def test_the_tables_depend_on_what_they_list_in_any_order(study):
    before = study().hash
    assert Study(CONFIG | {"datasets": DATASETS, "variants": dict(reversed(CONFIG["variants"].items()))}).hash == before
    assert study({"regression": {"seeds": 3}}).hash != before
    assert study({"regression": {"seeds_per_job": 3}}).hash != before
    assert study({"regression": {"success": 0.9}}).hash != before
    assert study({"regression": {"mem_mb": 9000}}).hash == before


def test_a_data_set_is_known_by_its_entry_or_built_in(study):
    shipped = study()
    assert shipped.facts("mnist") == (10, (28, 28, 1), 55000)
    assert shipped.source("mnist") == "idx_files"
    assert shipped.source("circle") == "circle"
    assert len(shipped.raw_files("mnist")) == 4
    assert shipped.raw_files("circle") == []
    assert json.loads(shipped.entry("circle"))["classes"] == 2


def test_what_a_variant_computes_on_is_inherited_and_that_of_its_sweeps(study):
    changed = study({"regression": {"device": "cpu"}, "cnn": {"device": "gpu"}})
    slots = {name: variant.gpu_slots for name, variant in changed.variants.items()}
    assert slots["regression"] == slots["linear-best"] == slots["regression-same-budget"] == 0
    assert slots["cnn"] == slots["hidden-relu"] == 1
    assert changed.sweeps["regression-same-budget"].variant.gpu_slots == 0
    assert changed.sweeps["hidden-optimizers"].variant.gpu_slots == 1
