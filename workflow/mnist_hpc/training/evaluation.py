"""Evaluate trained models on the test set: predictions, accuracy, loss and confusion matrix of every seed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import h5py
import numpy as np
import tensorflow as tf

from mnist_hpc.data.splits import Split, write_split
from mnist_hpc.training import models
from mnist_hpc.training.losses import LOSSES, one_hot
from mnist_hpc.training.models_file import Model

Predictor = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
# Number of hardest images per seed that are stored with the predictions, for figures that need no test file.
HARDEST = 200
# Number of test images that are stored whatever was predicted for them, and the seed that draws them: the same for all
# variants of a data set.
SAMPLE, SAMPLE_SEED = 100, 0


def evaluate(
    specification: Mapping[str, Any], trained: Mapping[int, Model], test: Split, classes: int
) -> dict[int, dict[str, Any]]:
    """Return the results of each seed on the test set; failed seeds are left out.

    These are ``test_accuracy`` (fraction), ``test_loss`` (mean per example), ``probabilities`` float32 (N, classes)
    and ``confusion`` int64 (classes, classes). For SquaredError the probabilities are independent sigmoid outputs.
    """
    model = models.build(specification["layers"], specification["input_shape"], seed=0)
    (name,) = specification["loss"]
    predict, loss = models.predictor(model, name), LOSSES[name]
    results = {}
    for seed, run in trained.items():
        if not run.weights:
            continue
        models.set_weights(model, run.weights)
        logits, probabilities = in_batches(predict, test.inputs)
        results[seed] = {
            **scores(logits, test.labels, classes, loss),
            "probabilities": probabilities,
            "confusion": confusion(test.labels, logits.argmax(axis=1), classes),
        }
    return results


def in_batches(predict: Predictor, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the logits and the outputs between 0 and 1 of all examples, both float32 (N, classes)."""
    batches = [
        predict(tf.constant(inputs[begin : begin + models.PREDICTION_BATCH]))
        for begin in range(0, len(inputs), models.PREDICTION_BATCH)
    ]
    logits, outputs = zip(*batches, strict=True)
    return np.concatenate(logits), np.concatenate(outputs)


def scores(logits: np.ndarray, labels: np.ndarray, classes: int, loss: Loss) -> dict[str, float]:
    """Return ``test_accuracy`` (fraction) and ``test_loss`` (mean per example) of logits, float32 (N, classes)."""
    return {
        "test_accuracy": float(np.mean(logits.argmax(axis=1) == labels)),
        "test_loss": float(np.mean(loss(one_hot(labels, classes), logits), dtype=np.float64)),
    }


def confusion(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Return how often class i (row) was classified as class j (column), int64 (classes, classes)."""
    pairs = labels.astype(np.int64) * classes + predicted
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def write_predictions(file: h5py.File, results: Mapping[int, Mapping[str, Any]], test: Split) -> None:
    """Write predictions into a new file: ``labels``, one group per seed, and some examples with their index.

    These are the hardest examples of all seeds in ``examples``, and some drawn at random in ``sample``. The hardest
    of a seed are those whose true class has the lowest probability, lowest first.
    """
    file.create_dataset("labels", data=test.labels, compression="gzip")
    hardest: set[int] = set()
    for seed, result in results.items():
        group = file.create_group(f"seed-{seed}")
        probabilities = result["probabilities"]
        group.create_dataset("probabilities", data=probabilities, compression="gzip", shuffle=True)
        group.create_dataset("confusion", data=result["confusion"])
        own = probabilities[np.arange(len(test.labels)), test.labels]
        order = np.argsort(own, kind="stable")[:HARDEST]
        group.create_dataset("hardest", data=order.astype(np.int32))
        hardest.update(order.tolist())
    _write_examples(file.create_group("examples"), sorted(hardest), test)
    _write_examples(file.create_group("sample"), sample(len(test.labels)), test)


def sample(count: int) -> list[int]:
    """Return which of ``count`` test examples are stored whatever was predicted for them, in their order."""
    drawn = np.random.default_rng(SAMPLE_SEED).choice(count, min(SAMPLE, count), replace=False)
    return sorted(drawn.tolist())


def _write_examples(group: h5py.Group, places: Sequence[int], test: Split) -> None:
    index = np.array(places, dtype=np.int32)
    group.create_dataset("index", data=index)
    write_split(group, Split(test.inputs[index], test.labels[index]))
