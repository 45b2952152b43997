import numpy as np
import pytest

from conftest import specification
from mnist_hpc.data.splits import Split

pytestmark = pytest.mark.usefixtures("tensorflow")

CNN = [
    {"Conv2D": {"filters": 4, "kernel_size": 3, "activation": "relu"}},
    {"MaxPooling2D": {}},
    {"BatchNormalization": {}},
    {"Flatten": {}},
    {"Dropout": {"rate": 0.5}},
    {"Dense": {"units": 10}},
]


def train(splits, seeds=(0,), **changes):
    """Return (model, rows) by seed."""
    from mnist_hpc.training import trainer

    trainer = trainer.Trainer(specification(**changes), *splits, threads=1)
    return {seed: trainer.train(seed, report=lambda _: None) for seed in seeds}


def same(a, b):
    return all(np.array_equal(a.weights[name], b.weights[name]) for name in a.weights)


def without_times(rows):
    return [{key: value for key, value in row.items() if key != "train_seconds"} for row in rows]


def test_the_lectures_loop_in_numpy_gives_the_same_weights(digit_splits):
    """Softmax regression from zeros by plain gradient descent, written out, sees the same batches."""
    from mnist_hpc.training import loop

    ((model, _),) = train(digit_splits).values()
    images, labels = digit_splits[0].inputs.reshape(-1, 784) / 255.0, np.eye(10)[digit_splits[0].labels]
    kernel, bias = np.zeros((784, 10)), np.zeros(10)
    for batch in loop.batch_indices(0, len(labels), 100, 0, 60):
        exponentials = np.exp(images[batch] @ kernel + bias)
        slope = (exponentials / exponentials.sum(axis=1, keepdims=True) - labels[batch]) / 100
        kernel -= 0.5 * images[batch].T @ slope
        bias -= 0.5 * slope.sum(axis=0)
    # float32 against float64 over 60 steps
    assert model.weights["02_dense/kernel"] == pytest.approx(kernel, abs=1e-5)
    assert model.weights["02_dense/bias"] == pytest.approx(bias, abs=1e-5)


@pytest.mark.parametrize("layers", [specification()["layers"], CNN], ids=["dense", "cnn"])
@pytest.mark.parametrize("optimizer", [{"SGD": {"learning_rate": 0.1}}, {"Adam": {"learning_rate": 0.01}}])
def test_a_seed_gives_the_same_bits_in_any_company(digit_splits, layers, optimizer):
    changes = {"layers": layers, "optimizer": optimizer, "steps": 25}
    together = train(digit_splits, seeds=(0, 1, 2), **changes)
    alone = train(digit_splits, seeds=(2,), **changes)
    assert same(together[2][0], alone[2][0])
    assert without_times(together[2][1]) == without_times(alone[2][1])
    assert not same(together[1][0], alone[2][0])


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
)
@pytest.mark.parametrize("loss", ["CategoricalCrossentropy", "SquaredError"])
def test_every_optimizer_learns_with_every_loss(digit_splits, optimizer, loss):
    ((model, rows),) = train(digit_splits, optimizer=optimizer, loss={loss: {}}, steps=200).values()
    assert model.facts["status"] == "ok"
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    # Ten classes: chance is 0.1.
    assert model.facts["validation_accuracy"] > 0.6


def test_full_batch_sees_all_images_in_every_step(digit_splits):
    ((model, _),) = train(digit_splits, batch_size="full", steps=None, epochs=3).values()
    assert model.facts["batch_size"] == len(digit_splits[0].labels)
    assert model.facts["steps"] == 3


def test_epochs_are_passes_over_the_training_images(digit_splits):
    ((model, rows),) = train(digit_splits, steps=None, epochs=2).values()
    assert model.facts["steps"] == 2 * 1257 // 100
    assert rows[-1]["epoch"] == pytest.approx(2, abs=100 / 1257)


def test_the_last_row_of_the_history_is_the_validation_of_the_final_weights(digit_splits):
    from mnist_hpc.training import models

    ((model, rows),) = train(digit_splits).values()
    network = models.build(specification()["layers"], (28, 28, 1), seed=0)
    models.set_weights(network, model.weights)
    validation = digit_splits[1]
    found = network(models.inputs(validation.inputs)).numpy().argmax(axis=1)
    assert rows[-1]["step"] == 60
    assert rows[-1]["validation_accuracy"] == pytest.approx(np.mean(found == validation.labels))


def test_validation_covers_all_examples_of_an_incomplete_last_batch(digit_splits, monkeypatch):
    from mnist_hpc.training import models

    ((whole, _),) = train(digit_splits).values()
    monkeypatch.setattr(models, "PREDICTION_BATCH", 50)
    ((parts, _),) = train(digit_splits).values()
    assert parts.facts["validation_accuracy"] == pytest.approx(whole.facts["validation_accuracy"])
    assert parts.facts["validation_loss"] == pytest.approx(whole.facts["validation_loss"], rel=1e-5)


def test_a_run_that_explodes_is_failed_with_its_step_and_the_next_seed_goes_on(digit_splits):
    layers = [{"Flatten": {}}, {"Dense": {"units": 32, "activation": "relu"}}, {"Dense": {"units": 10}}]
    runs = train(digit_splits, seeds=(0, 1), layers=layers, optimizer={"SGD": {"learning_rate": 1e6}})
    for model, rows in runs.values():
        assert model.facts["status"] == "failed"
        assert 1 < model.facts["failed_step"] <= 60
        assert model.weights == {}
        assert all(row["step"] < model.facts["failed_step"] for row in rows)


def test_a_nan_in_the_data_fails_at_the_step_that_meets_it():
    from mnist_hpc.training import loop

    random = np.random.default_rng(0)
    train_split = Split(random.normal(size=(1000, 2)).astype(np.float32), np.arange(1000, dtype=np.uint8) % 2)
    train_split.inputs[loop.batch_indices(0, 1000, 100, 4, 5)[0, 0]] = np.nan
    ((model, _),) = train(
        (train_split, train_split), layers=[{"Dense": {"units": 2}}], optimizer={"SGD": {"learning_rate": 0.1}}
    ).values()
    assert model.facts["failed_step"] == 5
