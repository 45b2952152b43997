"""One state machine for all trainings: the lecture's numbers, and the same bits in any company and after any stop."""

import random
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from conftest import of_keras, specification, trainer_of, without_times
from mnist_hpc.data.splits import Split
from mnist_hpc.errors import Interrupted
from mnist_hpc.training import device
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


@pytest.mark.parametrize("average", [{}, {"use_ema": True}], ids=["last weights", "averaged"])
def test_the_reported_validation_is_that_of_the_evaluation_whatever_the_precision(digit_splits, average):
    from mnist_hpc.training.engine import Engine
    from mnist_hpc.training.loop import Loop
    from mnist_hpc.training.trainer import Trainer

    changed = specification(layers=CNN, optimizer={"Adam": {"learning_rate": 0.01, **average}}, steps=20)
    engine = Engine(whole=False, update=False, dtype_policy="mixed_bfloat16")
    trainer = Trainer(Loop(changed, digit_splits[0], engine), digit_splits[1])
    run, weights = trainer.train(0, quiet)
    loss, accuracy = of_keras(CNN, weights, digit_splits[1])
    assert run.facts["validation_loss"] == run.history()[-1]["validation_loss"] == pytest.approx(loss, rel=1e-6)
    assert run.facts["validation_accuracy"] == pytest.approx(accuracy, abs=1e-6)
    # The precision of the training has other digits: 8 bits.
    rough, _ = trainer.loop.validate(digit_splits[1], exact=False)
    assert abs(rough[0] - loss) > 1e-5 * loss


@pytest.mark.parametrize("packed", [False, True], ids=["alone", "packed"])
@pytest.mark.parametrize("loss", ["CategoricalCrossentropy", "SquaredError"])
def test_the_train_loss_is_without_smoothing_and_l2_which_training_does_minimise(digit_splits, packed, loss):
    """Against Keras on the same logits, and against a training step that Keras takes with the same loss."""
    from mnist_hpc.training import models
    from mnist_hpc.training.packed_loop import PackedLoop

    arguments = {"label_smoothing": 0.3} if loss == "CategoricalCrossentropy" else {}
    changes = {"layers": DENSE, "loss": {loss: arguments}, "l2": 0.1, "optimizer": {"SGD": {"learning_rate": 0.1}}}
    changed = specification(**changes)
    loop = PackedLoop([changed], digit_splits[0]) if packed else trainer_of(digit_splits, **changed).loop
    batch = batch_indices(0, 1257, 100, 0, 2)
    network = models.build(DENSE, (28, 28, 1), seed=0)
    loop.start(0)
    for step in range(2):
        images = digit_splits[0].inputs[batch[step]][..., np.newaxis] / np.float32(255)
        labels = np.eye(10, dtype=np.float32)[digit_splits[0].labels[batch[step]]]
        with tf.GradientTape() as tape:
            logits = network(images)
            kernels = [weight for weight in network.trainable_variables if weight.name == "kernel"]
            penalty = 0.1 * sum(tf.reduce_sum(kernel**2) for kernel in kernels)
            if arguments:
                plain = keras.losses.CategoricalCrossentropy(from_logits=True)(labels, logits)
                minimised = keras.losses.CategoricalCrossentropy(from_logits=True, **arguments)(labels, logits)
            else:  # ½ Σ over ten classes is five times Keras' mean
                plain = 5 * tf.reduce_mean(keras.losses.MeanSquaredError()(labels, tf.sigmoid(logits)))
                minimised = plain
            minimised += penalty
        (found,) = loop.run(step, step + 1)[0][0]
        assert found == pytest.approx(float(plain), rel=1e-5)
        gradients = tape.gradient(minimised, network.trainable_variables)
        keras.optimizers.SGD(0.1).apply(gradients, network.trainable_variables)


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


@pytest.mark.parametrize("rate", [1e6, 1e25, 1e38])
@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("average", [{}, {"use_ema": True}], ids=["last weights", "averaged"])
def test_a_run_that_explodes_in_its_last_step_is_failed(digit_splits, rate, steps, average):
    """The loss of the last batch is from before the step that ruins the net: only what it leaves behind tells."""
    jump = {"CosineDecay": {"initial_learning_rate": 1e-3, "warmup_target": rate, "warmup_steps": 1}}
    optimizer = {"SGD": {"learning_rate": rate if steps == 1 else jump, **average}}
    lines = []
    trainer = trainer_of(digit_splits, layers=DENSE, steps=steps, optimizer=optimizer)
    run, weights = trainer.train(0, lines.append)
    assert (run.facts["status"], run.facts["failed_step"], run.facts["steps"]) == ("failed", steps, steps)
    assert weights == {}
    assert "validation_loss" not in run.facts
    assert [row["step"] for row in run.history()] == list(range(1, steps))
    assert sum(f"diverged at step {steps} of {steps}" in line for line in lines) == 1


def test_a_first_loss_that_is_infinite_is_no_measure_for_the_others():
    split = Split(np.full((100, 2), 1e30, np.float32), np.arange(100, dtype=np.uint8) % 2)
    ((run, _),) = train((split, split), layers=[{"Dense": {"units": 2}}], initial_scale=1e10, steps=3).values()
    assert run.facts["failed_step"] == 1


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


@pytest.mark.parametrize(("net", "gpu"), [*((net, False) for net in NETS), ("adam", True), ("cnn recipe", True)])
def test_a_run_stopped_after_any_call_ends_in_the_same_bits(net, gpu, digit_splits, tmp_path, monkeypatch):
    """Also compiled as for a GPU, where calls have fixed lengths, here of two or three steps."""
    from mnist_hpc.training import trainer

    monkeypatch.setattr(device, "has_gpu", lambda: gpu)
    steps = 50 if gpu else 20
    stopped = trainer_of(digit_splits, **NETS[net], steps=steps)
    undisturbed = stopped.train(0, quiet)
    monkeypatch.setattr(trainer, "FIRST_CALL", 1)
    monkeypatch.setattr(trainer, "CALL_SECONDS", 1e-9)  # one step a call: every moment is a moment to stop
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


@pytest.mark.parametrize(("steps", "most"), [(1, 200), (7, 3), (100, 200), (1000, 20), (4297, 156), (25781, 156)])
def test_programs_of_fixed_length_are_few_and_end_where_a_run_is_validated(digit_splits, monkeypatch, steps, most):
    """Each length is compiled on its own, before the first seed."""
    from mnist_hpc.training import loop
    from mnist_hpc.training.run import history_steps

    monkeypatch.setattr(device, "has_gpu", lambda: True)
    monkeypatch.setattr(loop, "IMAGES_PER_CALL", most * 4)
    calls = []
    monkeypatch.setattr(
        loop.Loop, "run", lambda _, first, last: calls.append((first, last)) or never_diverges(last - first)
    )
    trainer = trainer_of(digit_splits, steps=steps, batch_size=4)
    compiled = {last - first for first, last in calls}
    assert len(compiled) <= 3
    calls.clear()
    trainer.train(0, quiet)
    assert [first for first, _ in calls] == [0, *(last for _, last in calls[:-1])]
    assert {last - first for first, last in calls} == compiled
    assert max(compiled) <= most
    assert {*history_steps(steps)} <= {last for _, last in calls}


def never_diverges(steps):
    return np.ones((steps, 1), np.float32), np.ones((steps, 1), np.float32)


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


TANH = [{"Dense": {"units": 3, "activation": "tanh"}}, {"Dense": {"units": 2}}]
OF_POINTS = {"layers": TANH, "optimizer": {"Adam": {"learning_rate": 0.03}}, "steps": 200}


@pytest.fixture(scope="module")
def points():
    """Return training and validation points of the plane: a disc inside a ring."""
    inputs = np.random.default_rng(0).normal(size=(1000, 2)).astype(np.float32)
    split = Split(inputs, (np.linalg.norm(inputs, axis=1) > 1).astype(np.uint8))
    return split, split


@pytest.fixture(scope="module")
def with_snapshots(points):
    """Return the lines that a training with snapshots reports, its run and its weights."""
    lines = []
    return lines, *trainer_of(points, **OF_POINTS, snapshots=12).train(3, lines.append)


def without_speed(lines):
    return [line.rpartition(", ")[0] for line in lines]


def test_snapshots_begin_with_keras_initial_weights_and_end_with_the_trained_ones(with_snapshots):
    from mnist_hpc.training import models

    _, run, weights = with_snapshots
    steps = run.snapshots["steps"]
    assert (steps.dtype, steps[0], steps[-1], len(steps)) == (np.int64, 0, 200, 13)
    random.seed(3)  # from which Keras draws the seeds of its initialisers
    fresh = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, "tanh"), keras.layers.Dense(2)])
    for (name, trained), initial in zip(weights.items(), fresh.get_weights(), strict=True):
        values = run.snapshots[name]
        assert (values.dtype, values.shape) == (np.float32, (13, *trained.shape))
        assert np.array_equal(values[0], initial)
        assert np.array_equal(values[-1], trained)
    assert run.snapshots.keys() == {"steps", *models.weights(models.build(TANH, (2,), seed=0))}


def test_each_snapshot_is_what_a_training_of_so_many_steps_ends_in(points, with_snapshots):
    _, run, _ = with_snapshots
    for place in (1, 5, 9):
        shorter = OF_POINTS | {"steps": int(run.snapshots["steps"][place])}
        _, weights = trainer_of(points, **shorter).train(3, quiet)
        assert all(np.array_equal(run.snapshots[name][place], value) for name, value in weights.items())


def test_snapshots_change_neither_numbers_nor_lines(points, with_snapshots):
    said, *snapped = with_snapshots
    lines = []
    plain = trainer_of(points, **OF_POINTS).train(3, lines.append)
    assert same(snapped, plain)
    assert without_speed(said) == without_speed(lines)
    assert plain[0].snapshots == {}


def test_programs_of_fixed_length_end_where_a_snapshot_is_taken(points):
    """Compiled by XLA, as on a GPU. The validations alone have five steps between them."""
    trainer = trainer_of(points, **OF_POINTS | {"threads": 2, "steps": 100}, snapshots=3)
    assert trainer.loop.most_steps
    run, weights = trainer.train(3, quiet)
    assert run.snapshots["steps"].tolist() == [0, 10, 32, 100]
    assert all(np.array_equal(run.snapshots[name][-1], value) for name, value in weights.items())
    assert [row["step"] for row in run.history()] == list(range(5, 101, 5))


def test_the_first_snapshot_of_averaged_weights_is_the_initial_weights(points, with_snapshots):
    """Before the first step there is no average."""
    averaged = OF_POINTS | {"optimizer": {"Adam": {"learning_rate": 0.03, "use_ema": True}}}
    run, weights = trainer_of(points, **averaged, snapshots=12).train(3, quiet)
    for name, trained in weights.items():
        assert np.array_equal(run.snapshots[name][0], with_snapshots[1].snapshots[name][0])
        assert np.array_equal(run.snapshots[name][-1], trained)


def test_a_run_stopped_after_any_call_has_the_same_snapshots(points, with_snapshots, tmp_path, monkeypatch):
    from mnist_hpc.training import trainer
    from mnist_hpc.training.trainer import finished

    monkeypatch.setattr(trainer, "FIRST_CALL", 3)
    monkeypatch.setattr(trainer, "CALL_SECONDS", 1e-9)  # one step a call
    _, *undisturbed = with_snapshots
    draw, checkpoint = random.Random(0), Checkpoint(tmp_path / "seed.h5")
    stopped = trainer_of(points, **OF_POINTS, snapshots=12)
    while True:
        calls = iter(range(draw.randint(1, 20), -1, -1))
        try:
            result = stopped.train(3, quiet, checkpoint, stop=lambda: not next(calls))  # noqa: B023
            break
        except Interrupted:
            continue
    assert result[0].facts["windows"] > 5
    for found in (result, finished(checkpoint, quiet)):
        assert same(found, undisturbed)
        assert found[0].snapshots.keys() == undisturbed[0].snapshots.keys()
        for name, values in undisturbed[0].snapshots.items():
            assert np.array_equal(found[0].snapshots[name], values)


def test_a_run_that_explodes_has_no_snapshots_and_the_next_seed_has_its_own(points):
    rate = {"SGD": {"learning_rate": 1e38}}
    trainer = trainer_of(points, **OF_POINTS | {"optimizer": rate, "steps": 20}, snapshots=5)
    for seed in (0, 1):
        run, weights = trainer.train(seed, quiet)
        assert (run.facts["status"], weights, run.snapshots) == ("failed", {}, {})
    calm = trainer_of(points, **OF_POINTS | {"steps": 20}, snapshots=5)
    starts = [calm.train(seed, quiet)[0].snapshots["01_dense/kernel"] for seed in (0, 1)]
    assert len(starts[0]) == len(starts[1]) == 6
    assert not np.array_equal(starts[0][0], starts[1][0])
