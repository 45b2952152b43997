"""Are nets as sure as they are right? Calibration error, Brier score and loss on the test images.

Only softmax outputs are probabilities of the classes; variants with sigmoid outputs are left out.
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from mnist_hpc.files import hdf5
from mnist_hpc.study.specification import Study

# Bins of equal mass: with equal width, nearly all images of a good net fall into the last one.
BINS = 15
# Calibrated nets that are simulated for a quantile, and the seed of their random numbers.
SIMULATIONS = 1000
SEED = 0
SOFTMAX = "CategoricalCrossentropy"

COLUMNS = [
    *("dataset", "variant", "n", "images", "ece_mean", "ece_sd", "ece_calibrated_q95", "seeds_above"),
    *("overconfidence_mean", "brier_mean", "brier_sd"),
    *("test_loss_mean", "test_loss_sd", "test_loss_ci95_low", "test_loss_ci95_high"),
]
RELIABILITY_COLUMNS = [
    *("dataset", "variant", "seed", "bin", "images", "confidence", "accuracy"),
    *("calibrated_q025", "calibrated_q975"),
]


class Reliability:
    """Confidences of one net in bins of equal mass, beside what would be found if it were calibrated.

    Confidence is the probability of the predicted class. Equal confidences share a bin, so that the order of the
    images does not matter; there are fewer bins than ``BINS`` then.

    Attributes:
        images: Number of images of each bin, int (bins,).
        confidence: Mean confidence of each bin, lowest first, float64 (bins,).
        accuracy: Fraction of each bin's images that are classified correctly, float64 (bins,).
    """

    def __init__(self, confidence: np.ndarray, correct: np.ndarray) -> None:
        """Take the confidence of each image, float (N,), and whether its class is the predicted one, bool (N,)."""
        order = np.argsort(confidence, kind="stable")
        self._sorted = confidence[order].astype(np.float64)
        cuts = np.arange(BINS) * len(order) // BINS
        self._starts = np.unique(np.searchsorted(self._sorted, self._sorted[cuts], side="left"))
        self.images = np.diff([*self._starts, len(order)])
        self.confidence = np.add.reduceat(self._sorted, self._starts) / self.images
        self.accuracy = np.add.reduceat(correct[order], self._starts, dtype=int) / self.images

    @property
    def error(self) -> float:
        """Expected calibration error: mean over images of |accuracy - confidence| of their bin (arXiv 1706.04599)."""
        return float(self._errors(self.accuracy))

    def calibrated(self) -> tuple[float, np.ndarray, np.ndarray]:
        """Return the 95 % quantile of the error, and the 2.5 and 97.5 % quantiles of each bin's accuracy, (bins,).

        They are those of a net that is perfectly calibrated and has the same confidences: each of its predictions is
        correct with the probability that it states (``SIMULATIONS`` draws with a fixed seed).
        """
        correct = _draws(len(self._sorted)) < self._sorted.astype(np.float32)
        accuracy = np.add.reduceat(correct, self._starts, axis=1, dtype=np.int32) / self.images
        low, high = np.quantile(accuracy, [0.025, 0.975], axis=0)
        return float(np.quantile(self._errors(accuracy), 0.95)), low, high

    def _errors(self, accuracy: np.ndarray) -> np.ndarray:
        return np.abs(accuracy - self.confidence) @ self.images / self.images.sum()


@lru_cache(maxsize=2)
def _draws(images: int) -> np.ndarray:
    """Return random numbers from 0 to 1, float32 (``SIMULATIONS``, images); the same for all nets."""
    return np.random.default_rng(SEED).random((SIMULATIONS, images), np.float32)


def brier(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean over images of Σ (p - y)² over the classes, from 0 to 2 (G. W. Brier, Monthly Weather Review 78).

    ``probabilities`` are float (N, classes), ``labels`` integers (N,).
    """
    wanted = np.arange(probabilities.shape[1]) == labels[:, np.newaxis]
    return float(np.square(probabilities.astype(np.float64) - wanted).sum(axis=1).mean())


def tables(study: Study, results: Path, runs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return one row per variant with softmax outputs (``COLUMNS``), and one per bin (``RELIABILITY_COLUMNS``).

    Means are over the ``n`` seeds that are ok, each with bins and a quantile of its own.
    """
    good = runs[runs["status"] == "ok"]
    rows, parts = [], []
    for name, variant in study.variants.items():
        if SOFTMAX not in variant.keys["loss"]:
            continue
        keys = {"dataset": variant.dataset, "variant": name}
        own = good[good["variant"] == name]
        seeds = []
        for seed, probabilities, labels in _predictions(study, results, name, set(own["seed"])):
            seeds.append(_of_seed(probabilities, labels))
            parts.append(pd.DataFrame(keys | {"seed": seed} | seeds[-1].pop("bins")))
        losses = _loss(own["test_loss"].to_numpy(float))
        rows.append({**keys, "n": len(seeds), **_over_seeds(pd.DataFrame(seeds)), **losses})
    bins = pd.concat(parts) if parts else pd.DataFrame()
    whole = pd.DataFrame(rows, columns=COLUMNS).astype({"images": "Int64", "seeds_above": "Int64"})
    return whole, bins.reindex(columns=RELIABILITY_COLUMNS)


def _predictions(
    study: Study, results: Path, variant: str, seeds: set[int]
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield seed, probabilities and labels of the runs of a variant."""
    for block in study.blocks_of(variant):
        if wanted := [seed for seed in block.seeds if seed in seeds]:
            place = results / block.folder / "predictions.h5"
            with hdf5.reading(place, dataset=block.dataset, variant=block.variant) as file:
                labels = file["labels"][()]
                read = [(seed, file[f"seed-{seed}/probabilities"][()], labels) for seed in wanted]
            yield from read


def _of_seed(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Return the numbers of one run, and its bins."""
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    reliability = Reliability(confidence, correct)
    quantile, low, high = reliability.calibrated()
    return {
        "images": len(labels),
        "ece": reliability.error,
        "quantile": quantile,
        "overconfidence": confidence.mean(dtype=np.float64) - correct.mean(),
        "brier": brier(probabilities, labels),
        "bins": {
            "bin": np.arange(len(low)),
            "images": reliability.images,
            "confidence": reliability.confidence,
            "accuracy": reliability.accuracy,
            "calibrated_q025": low,
            "calibrated_q975": high,
        },
    }


def _over_seeds(seeds: pd.DataFrame) -> dict[str, Any]:
    """Return the numbers of a variant but its loss from those of its runs; none if there is no run."""
    if seeds.empty:
        return {}
    return {
        "images": seeds["images"].iloc[0],
        "ece_mean": seeds["ece"].mean(),
        "ece_sd": seeds["ece"].std(ddof=1),
        "ece_calibrated_q95": seeds["quantile"].mean(),
        "seeds_above": (seeds["ece"] > seeds["quantile"]).sum(),
        "overconfidence_mean": seeds["overconfidence"].mean(),
        "brier_mean": seeds["brier"].mean(),
        "brier_sd": seeds["brier"].std(ddof=1),
    }


def _loss(losses: np.ndarray) -> dict[str, float]:
    """Return mean, standard deviation and 95 % interval of the mean of the losses of runs, which are above 0.

    The interval is Student's for the logarithm of the mean (delta method), so that it stays above 0. It is empty for
    fewer than two different values.
    """
    mean = losses.mean() if len(losses) else np.nan
    sd = losses.std(ddof=1) if len(losses) > 1 else np.nan
    half = stats.t.ppf(0.975, len(losses) - 1) * sd / mean / np.sqrt(len(losses)) if sd > 0 else np.nan
    limits = {"test_loss_ci95_low": mean * np.exp(-half), "test_loss_ci95_high": mean * np.exp(half)}
    return {"test_loss_mean": mean, "test_loss_sd": sd} | limits
