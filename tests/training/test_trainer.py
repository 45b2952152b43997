"""One state machine for all trainings: the lecture's numbers, and the same bits in any company and after any stop."""

import random
import time

import numpy as np
import pytest

from conftest import specification, trainer_of, without_times
from mnist_hpc.data.splits import Split
from mnist_hpc.errors import Interrupted
from mnist_hpc.training.batches import batch_indices
from mnist_hpc.training.checkpoint import Checkpoint

pytestmark = pytest.mark.usefixtures("tensorflow")

CNN = [
    {"Conv2D": {"filters": 4, "kernel_size": 3, "activation": "relu"}},
    {"MaxPooling2D": {}},
    {"BatchNormalization": {}},
    {"Flatten": {}},
    {"Dropout": {"rate": 0.5}},
    {"Dense": {"units": 10}},
]
DENSE = [{"Flatten": {}}, {"Dense": {"units": 32, "activation": "relu"}}, {"Dense": {"units": 10}}]


def quiet(_):
    pass


def train(splits, seeds=(0,), **changes):
    """Return (run, weights) by seed."""
    trainer = trainer_of(splits, **changes)
    return {seed: trainer.train(seed, quiet) for seed in seeds}


def same(a, b):
    """Compare two (run, weights) but for times."""
    (run, weights), (other, others) = a, b
    assert weights.keys() == others.keys()
    return all(np.array_equal(weights[name], others[name]) for name in weights) and (
        without_times(run.history()) == without_times(other.history())
    )


@pytest.fixture(scope="module")
def regression(digit_splits):
    """Return run and weights of the lecture's softmax regression."""
    return trainer_of(digit_splits).train(0, quiet)


def test_the_lectures_loop_in_numpy_gives_the_same_weights(digit_splits, regression):
    """Softmax regression from zeros by plain gradient descent, written out, sees the same batches."""
    images, labels = digit_splits[0].inputs.reshape(-1, 784) / 255.0, np.eye(10)[digit_splits[0].labels]
    kernel, bias = np.zeros((784, 10)), np.zeros(10)
    for batch in batch_indices(0, len(labels), 100, 0, 60):
        exponentials = np.exp(images[batch] @ kernel + bias)
        slope = (exponentials / exponentials.sum(axis=1, keepdims=True) - labels[batch]) / 100
        kernel -= 0.5 * images[batch].T @ slope
        bias -= 0.5 * slope.sum(axis=0)
    # float32 against float64 over 60 steps
    _, weights = regression
    assert weights["02_dense/kernel"] == pytest.approx(kernel, abs=1e-5)
    assert weights["02_dense/bias"] == pytest.approx(bias, abs=1e-5)


@pytest.mark.parametrize("layers", [specification()["layers"], CNN], ids=["dense", "cnn"])
@pytest.mark.parametrize("optimizer", [{"SGD": {"learning_rate": 0.1}}, {"Adam": {"learning_rate": 0.01}}])
def test_a_seed_gives_the_same_bits_in_any_company(digit_splits, layers, optimizer):
    changes = {"layers": layers, "optimizer": optimizer, "steps": 15}
    together = train(digit_splits, seeds=(0, 1, 2), **changes)
    alone = train(digit_splits, seeds=(2,), **changes)
    assert same(together[2], alone[2])
    assert not same(together[1], alone[2])


@pytest.mark.parametrize(
    "optimizer",
    [
        {"SGD": {"learning_rate": 0.02, "momentum": 0.9}},
        {"SGD": {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}},
        {"RMSprop": {"learning_rate": 0.001}},
        {"Adagrad": {"learning_rate": 0.05}},
        {"Adam": {"learning_rate": 0.003}},
        {"AdamW": {"learning_rate": 0.003, "weight_decay": 0.001}},
    ],
    ids="-".join,
)
@pytest.mark.parametrize("loss", ["CategoricalCrossentropy", "SquaredError"])
def test_every_optimizer_learns_with_every_loss(digit_splits, optimizer, loss):
    ((run, _),) = train(digit_splits, optimizer=optimizer, loss={loss: {}}, steps=150).values()
    assert run.facts["status"] == "ok"
    rows = run.history()
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    # Ten classes: chance is 0.1.
    assert run.facts["validation_accuracy"] > 0.6


def test_full_batch_sees_all_images_in_every_step(digit_splits):
    ((run, _),) = train(digit_splits, batch_size="full", steps=None, epochs=3).values()
    assert run.facts["batch_size"] == len(digit_splits[0].labels)
    assert run.facts["steps"] == 3


def test_epochs_are_passes_over_the_training_images(digit_splits):
    ((run, _),) = train(digit_splits, steps=None, epochs=2).values()
    assert run.facts["steps"] == 2 * 1257 // 100
    assert run.history()[-1]["epoch"] == pytest.approx(2, abs=100 / 1257)


def test_the_last_row_of_the_history_is_the_validation_of_the_final_weights(digit_splits, regression):
    from mnist_hpc.training import models

    run, weights = regression
    network = models.build(specification()["layers"], (28, 28, 1), seed=0)
    models.set_weights(network, weights)
    validation = digit_splits[1]
    found = network(models.inputs(validation.inputs)).numpy().argmax(axis=1)
    last = run.history()[-1]
    assert last["step"] == 60
    assert last["validation_accuracy"] == pytest.approx(np.mean(found == validation.labels))


def test_validation_covers_all_examples_of_an_incomplete_last_batch(digit_splits, regression, monkeypatch):
    from mnist_hpc.training import models

    whole, _ = regression
    monkeypatch.setattr(models, "PREDICTION_BATCH", 50)
    ((parts, _),) = train(digit_splits).values()
    assert parts.facts["validation_accuracy"] == pytest.approx(whole.facts["validation_accuracy"])
    assert parts.facts["validation_loss"] == pytest.approx(whole.facts["validation_loss"], rel=1e-5)


def test_a_run_that_explodes_is_failed_with_its_step_and_the_next_seed_goes_on(digit_splits):
    runs = train(digit_splits, seeds=(0, 1), layers=DENSE, optimizer={"SGD": {"learning_rate": 1e6}})
    for run, weights in runs.values():
        assert run.facts["status"] == "failed"
        assert 1 < run.facts["failed_step"] <= 60
        assert weights == {}
        assert all(row["step"] < run.facts["failed_step"] for row in run.history())


def test_a_nan_in_the_data_fails_at_the_step_that_meets_it():
    numbers = np.random.default_rng(0)
    split = Split(numbers.normal(size=(1000, 2)).astype(np.float32), np.arange(1000, dtype=np.uint8) % 2)
    split.inputs[batch_indices(0, 1000, 100, 4, 5)[0, 0]] = np.nan
    ((run, _),) = train(
        (split, split), layers=[{"Dense": {"units": 2}}], optimizer={"SGD": {"learning_rate": 0.1}}
    ).values()
    assert run.facts["failed_step"] == 5


ADAM = {"Adam": {"learning_rate": 0.002}}
NETS = {
    "dense": {"layers": DENSE, "optimizer": {"SGD": {"learning_rate": 0.1}}},
    "adam": {"layers": DENSE, "optimizer": ADAM},
    "cnn": {"layers": CNN, "optimizer": ADAM},
    "cnn in bfloat16": {"layers": CNN, "optimizer": ADAM, "dtype_policy": "mixed_bfloat16"},
    # A schedule, averaged weights and images moved at random: what depends on the number of the step.
    "cnn recipe": {
        "layers": [{"Normalization": {"mean": 0.13, "variance": 0.1}}, *CNN],
        "loss": {"CategoricalCrossentropy": {"label_smoothing": 0.1}},
        "optimizer": {"Adam": {"learning_rate": {"OneCycle": {"maximal_learning_rate": 0.01}}, "use_ema": True}},
        "augmentation": [{"RandomRotation": {"factor": 0.1}}, {"RandomZoom": {"height_factor": 0.1}}],
    },
    "dense by XLA": {"layers": DENSE, "optimizer": ADAM, "threads": 2},
}


@pytest.mark.parametrize("net", NETS)
def test_a_run_stopped_after_any_step_ends_in_the_same_bits(net, digit_splits, tmp_path, monkeypatch):
    from mnist_hpc.training import trainer

    undisturbed = trainer_of(digit_splits, **NETS[net], steps=20).train(0, quiet)
    monkeypatch.setattr(trainer, "FIRST_CALL", 1)
    monkeypatch.setattr(trainer, "CALL_SECONDS", 1e-9)  # one step a call: every moment is a moment to stop
    stopped = trainer_of(digit_splits, **NETS[net], steps=20)
    draw = random.Random(0)
    lines = []
    while True:
        calls = iter(range(draw.randint(1, 6), -1, -1))
        try:
            result = stopped.train(0, lines.append, Checkpoint(tmp_path / "seed.h5"), stop=lambda: not next(calls))  # noqa: B023
            break
        except Interrupted:
            continue
    assert same(result, undisturbed)
    assert result[0].facts["windows"] > 3
    assert sum(": continues at step" in line for line in lines) == result[0].facts["windows"] - 1


def test_the_time_of_the_processes_of_a_training_adds_up_without_what_lies_between(digit_splits, tmp_path):
    trainer, checkpoint, seconds = trainer_of(digit_splits, steps=2000), Checkpoint(tmp_path / "seed.h5"), []
    while True:
        begin = time.perf_counter()
        try:
            run, _ = trainer.train(0, quiet, checkpoint, stop=lambda: len(seconds) < 2)
            break
        except Interrupted:
            continue
        finally:
            seconds.append(time.perf_counter() - begin)
        trainer_of(digit_splits)  # something else
    assert run.facts["windows"] == 3
    # All but the writing of checkpoints.
    assert run.facts["train_seconds"] < run.facts["process_seconds"] < sum(seconds)


def test_a_training_with_a_damaged_checkpoint_starts_over(digit_splits, regression, tmp_path):
    (tmp_path / "seed.h5").write_text("no checkpoint")
    lines = []
    result = trainer_of(digit_splits).train(0, lines.append, Checkpoint(tmp_path / "seed.h5"))
    assert same(result, regression)
    assert "warning: damaged checkpoint ignored, starting over" in lines[0]


def test_a_stop_without_a_checkpoint_says_that_the_run_is_lost(digit_splits):
    with pytest.raises(Interrupted, match=r"seed 0: step \d+ of 60, lost"):
        trainer_of(digit_splits).train(0, quiet, stop=lambda: True)


def test_a_finished_training_is_found_and_an_interrupted_one_is_not(digit_splits, regression, tmp_path):
    from mnist_hpc.training.trainer import finished

    checkpoint = Checkpoint(tmp_path / "seed.h5")
    assert finished(checkpoint, quiet) is None
    trainer = trainer_of(digit_splits)
    with pytest.raises(Interrupted):
        trainer.train(0, quiet, checkpoint, stop=lambda: True)
    assert finished(checkpoint, quiet) is None
    done = trainer.train(0, quiet, checkpoint)
    found = finished(checkpoint, quiet)
    assert found[0] == done[0]
    assert same(found, regression)
