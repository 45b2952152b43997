"""Schedules of the learning rate: Keras' own at every step, and those that make no sense refused before a job is."""

import inspect

import keras
import numpy as np
import pytest
import yaml

from mnist_hpc.errors import UserError
from mnist_hpc.study import check, schedules
from mnist_hpc.study.grids import RATES
from mnist_hpc.study.schema import SCHEMA

pytestmark = pytest.mark.usefixtures("tensorflow")

STEPS = 97
KERAS = keras.optimizers.schedules
# What a config says, and what a person would write in Keras for a training of 97 steps.
SAME = {
    "cosine": (
        {"CosineDecay": {"initial_learning_rate": 0.4}},
        lambda: KERAS.CosineDecay(0.4, 97),
    ),
    "cosine, alpha": (
        {"CosineDecay": {"initial_learning_rate": 0.4, "alpha": 0.1}},
        lambda: KERAS.CosineDecay(0.4, 97, alpha=0.1),
    ),
    "cosine, decay_steps": (
        {"CosineDecay": {"initial_learning_rate": 1, "decay_steps": 60}},
        lambda: KERAS.CosineDecay(1.0, 60),
    ),
    "cosine, warm-up": (
        {"CosineDecay": {"initial_learning_rate": 0.1, "warmup_target": 1, "warmup_steps": 30, "alpha": 0.01}},
        lambda: KERAS.CosineDecay(0.1, 67, warmup_target=1.0, warmup_steps=30, alpha=0.01),
    ),
    "exponential": (
        {"ExponentialDecay": {"initial_learning_rate": 0.4, "decay_rate": 0.1}},
        lambda: KERAS.ExponentialDecay(0.4, 97, 0.1),
    ),
    "exponential, staircase": (
        {"ExponentialDecay": {"initial_learning_rate": 0.4, "decay_rate": 0.5, "decay_steps": 20, "staircase": True}},
        lambda: KERAS.ExponentialDecay(0.4, 20, 0.5, staircase=True),
    ),
    "one cycle": (
        {"OneCycle": {"maximal_learning_rate": 1}},
        lambda: KERAS.CosineDecay(1 / 25, 68, warmup_target=1.0, warmup_steps=29),
    ),
    "one cycle without warm-up": (
        {"OneCycle": {"maximal_learning_rate": 0.5, "warmup": 0}},
        lambda: KERAS.CosineDecay(0.5, 97),
    ),
}


@pytest.mark.parametrize("case", SAME)
def test_every_step_has_the_rate_of_keras(case):
    from mnist_hpc.training import optimizers

    schedule, keras_own = SAME[case]
    expected = [float(keras_own()(step)) for step in range(STEPS)]
    trained = optimizers.optimizer({"optimizer": {"SGD": {"learning_rate": schedule}}}, STEPS)
    keras_name, arguments = schedules.of_keras(schedule, STEPS)
    found, checked = [], []
    for step in range(STEPS):
        trained.iterations.assign(step)
        found.append(float(trained.learning_rate))
        checked.append(schedules.rate(keras_name, arguments, step))
    # A graph may compute a cosine by another approximation than Keras called step by step: float32 in both.
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-7)
    assert checked == pytest.approx(expected, rel=1e-4, abs=1e-6)  # float32 there
    schedules.check(schedule, STEPS)
    assert np.ptp(found) > 0.1


def test_every_schedule_that_a_config_can_have_is_compared_with_all_its_arguments():
    known = yaml.safe_load(SCHEMA.read_text())["$defs"]["learning_rate"]["properties"]
    assert set(known) == set(RATES) == {name for schedule, _ in SAME.values() for name in schedule}
    for name, entry in known.items():
        seen = {key for schedule, _ in SAME.values() for key in schedule.get(name, {})}
        assert seen == set(entry["properties"])
        if name != "OneCycle":
            assert seen == set(inspect.signature(getattr(KERAS, name)).parameters) - {"name"}


COSINE = {"initial_learning_rate": 0.4}
WARM = {"warmup_target": 0.8, "warmup_steps": 30}
STAIRS = {"initial_learning_rate": 0.4, "decay_rate": 0.5, "staircase": True}
REFUSED = {
    "a warm-up without target": (
        {"CosineDecay": COSINE | {"warmup_steps": 30}},
        "CosineDecay: found warmup_steps alone",
    ),
    "a target without warm-up": (
        {"CosineDecay": COSINE | {"warmup_target": 1}},
        "CosineDecay: found warmup_target alone",
    ),
    "a warm-up as long as the training": (
        {"CosineDecay": COSINE | WARM | {"warmup_steps": 100}},
        "does not fall within the 100 steps",
    ),
    "at zero too early": (
        {"CosineDecay": COSINE | {"decay_steps": 40}},
        "a learning rate of 0 in 60% of the 100 steps",
    ),
    "at zero too early after a warm-up": ({"CosineDecay": COSINE | WARM | {"decay_steps": 10}}, "0 in 60% of the 100"),
    "a cosine that has hardly begun": (
        {"CosineDecay": COSINE | {"decay_steps": 10000}},
        "does not fall within the 100",
    ),
    "stairs without steps": ({"ExponentialDecay": STAIRS}, "does not fall within the 100 steps"),
    "stairs with too wide steps": ({"ExponentialDecay": STAIRS | {"decay_steps": 100}}, "does not fall within the 100"),
    "gone at once": (
        {"ExponentialDecay": {"initial_learning_rate": 0.4, "decay_rate": 0}},
        "a learning rate of 0 in 99% of the 100 steps",
    ),
    "gone soon": (
        {"ExponentialDecay": {"initial_learning_rate": 0.4, "decay_rate": 0.11, "decay_steps": 2}},
        "a learning rate of 0 in 87% of the 100 steps",
    ),
    "all rise": ({"OneCycle": {"maximal_learning_rate": 1, "warmup": 0.999}}, "does not fall within the 100 steps"),
}
STUDY = """
dataset: digits
seeds: 1
variants:
  scheduled:
    layers: [Flatten, {Dense: {units: 10}}]
    optimizer: {Adam: {learning_rate: %s}}
    batch_size: 100
    %s
"""


def refusal(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        check.load(path)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("case", REFUSED)
def test_a_schedule_that_makes_no_sense_is_refused_with_the_reason(case, tmp_path):
    schedule, said = REFUSED[case]
    line = refusal(tmp_path, STUDY % (schedule, "steps: 100"))
    assert said in line
    assert "variants.scheduled: optimizer.Adam.learning_rate." in line


def test_passes_over_the_data_are_counted_in_steps(tmp_path):
    """12 steps an epoch: 1,257 training images in batches of 100."""
    schedule = {"CosineDecay": COSINE | {"decay_steps": 40}}
    text = STUDY % (schedule, "epochs: 10")
    assert "a learning rate of 0 in 68% of the 125 steps" in refusal(tmp_path, text)
    (tmp_path / "config.yaml").write_text(text.replace("epochs: 10", "epochs: 4"))
    check.load(tmp_path / "config.yaml")


def test_a_sweep_is_refused_for_the_combination_that_makes_no_sense_if_it_is_tried(tmp_path):
    schedules_ = [0.1, {"CosineDecay": COSINE | {"decay_steps": 100}}]
    text = STUDY % (0.1, "steps: 100") + (
        f"sweeps:\n  rates:\n    variant: scheduled\n    grid: {{learning_rate: {schedules_}, steps: [100, 1000]}}\n"
    )
    line = refusal(tmp_path, text)
    assert "sweeps.rates.grid at learning_rate " in line
    assert (
        "steps 1000: optimizer.Adam.learning_rate.CosineDecay: found a learning rate of 0 in 90% of the 1000 s" in line
    )
    (tmp_path / "config.yaml").write_text(text + "    max_images: 50000\n")
    check.load(tmp_path / "config.yaml")
