"""Calibration, against hand calculations, scikit-learn and simulated nets."""

import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import brier_score_loss

from conftest import SMALL_STUDY
from mnist_hpc.files import hdf5
from mnist_hpc.study.specification import Study
from mnist_hpc.tables import calibration
from mnist_hpc.tables.calibration import Reliability


@pytest.fixture
def random():
    """Return a generator that draws the same in a test whatever ran before it."""
    return np.random.default_rng(7)


def confidences(random, images):
    """Return confidences as those of a good net: most of them near 1."""
    return (1 - 0.9 * random.beta(0.3, 8, images)).astype(np.float32)


def test_with_one_image_a_bin_the_error_is_the_mean_distance_between_confidence_and_outcome():
    confidence = np.linspace(0.3, 0.98, 15)
    correct = np.arange(15) % 2 == 0
    found = Reliability(confidence, correct)
    assert found.images.tolist() == [1] * 15
    assert found.error == pytest.approx(np.mean(np.abs(correct - confidence)))


def test_within_a_bin_mistakes_and_doubts_cancel():
    # 15 bins of two images each, with confidences 0.70 and 0.90, 0.701 and 0.901, ...: of two images, one is right.
    # The lower half of the images (confidences 0.700 to 0.714) is in other bins than the upper.
    low, high = 0.7 + np.arange(15) / 1000, 0.9 + np.arange(15) / 1000
    correct = np.concatenate([np.arange(15) % 2 == 0, np.ones(15, bool)])
    found = Reliability(np.concatenate([low, high]), correct)
    assert found.images.tolist() == [2] * 15
    # Bins 0 to 6: images 0 and 1, 2 and 3, ... of the lower half, accuracy 1/2. Bin 7: its last image (right) and the
    # first of the upper half. Bins 8 to 14: accuracy 1.
    assert found.accuracy.tolist() == [0.5] * 7 + [1.0] * 8
    means = [*(low[0:14:2] + low[1:14:2]) / 2, (low[14] + high[0]) / 2, *(high[1::2] + high[2::2]) / 2]
    assert found.confidence == pytest.approx(means)
    assert found.error == pytest.approx(np.mean(np.abs(found.accuracy - means)))


def test_bins_have_equal_mass_whatever_the_distribution(random):
    confidence, correct = confidences(random, 10_000), random.random(10_000) < 0.9
    found = Reliability(confidence, correct)
    assert len(found.images) == 15
    assert set(found.images) <= {666, 667}
    # Pandas' quantile bins.
    table = pd.DataFrame({"confidence": confidence.astype(float), "correct": correct})
    means = table.groupby(pd.qcut(table["confidence"], 15), observed=True).mean()
    assert found.error == pytest.approx(np.mean(np.abs(means["correct"] - means["confidence"])), abs=1e-4)


def test_equal_confidences_share_a_bin_and_the_order_of_the_images_does_not_matter(random):
    # 900 of 1,000 images at exactly 1, of which 9 are wrong and come first; 100 others, all of them right.
    confidence = np.concatenate([np.ones(900), np.linspace(0.5, 0.9, 100)]).astype(np.float32)
    correct = np.arange(1000) >= 9
    found = Reliability(confidence, correct)
    assert found.images.tolist()[-1] == 900
    assert found.accuracy[-1] == pytest.approx(0.99)
    assert found.error == pytest.approx(0.9 * 0.01 + 0.1 * (1 - 0.7))
    order = random.permutation(1000)
    mixed = Reliability(confidence[order], correct[order])
    assert mixed.error == pytest.approx(found.error, abs=1e-12)
    assert mixed.calibrated()[0] == pytest.approx(found.calibrated()[0], abs=1e-12)


@pytest.mark.parametrize("value", [1.0, 0.5])
def test_a_net_that_is_always_as_sure_has_a_single_bin(value):
    found = Reliability(np.full(40, value, np.float32), np.arange(40) < 30)
    assert found.images.tolist() == [40]
    assert found.error == pytest.approx(abs(0.75 - value))
    quantile, low, high = found.calibrated()
    # At confidence 1 a calibrated net makes no mistake; at 1/2 it is right 20 ± 6 times of 40 (binomial).
    assert quantile == pytest.approx(0 if value == 1 else 6 / 40, abs=1 / 40)
    assert (low[0], high[0]) == ((1, 1) if value == 1 else pytest.approx((14 / 40, 26 / 40), abs=1 / 40))


def test_calibrated_nets_stay_below_the_quantile_in_95_of_100_cases_and_overconfident_ones_do_not(random):
    confidence = confidences(random, 2000)
    quantile = Reliability(confidence, np.ones(2000, bool)).calibrated()[0]

    def below(probability, nets=600):
        errors = [Reliability(confidence, random.random(2000) < probability).error for _ in range(nets)]
        return np.mean(np.array(errors) < quantile)

    # The share of 600 nets has a standard error of 0.009, that of the quantile's own 1,000 simulations is 0.007.
    assert below(confidence) == pytest.approx(0.95, abs=0.035)
    assert below(1 - 2 * (1 - confidence)) < 0.05
    # Half as many mistakes stand out less: other confidences give shares from 0.04 to 0.09.
    assert below(1 - (1 - confidence) / 2) < 0.15


def test_the_band_of_a_bin_holds_95_of_100_calibrated_nets(random):
    confidence = confidences(random, 1500)
    _, low, high = Reliability(confidence, np.ones(1500, bool)).calibrated()
    accuracies = np.array([Reliability(confidence, random.random(1500) < confidence).accuracy for _ in range(500)])
    # Counts are whole, so the band holds a little more than 95 % in bins where mistakes are rare.
    inside = ((accuracies >= low - 1e-9) & (accuracies <= high + 1e-9)).mean(axis=0)
    assert (inside > 0.92).all()
    assert inside[:5].mean() < 0.985


def test_the_brier_score_is_the_sum_of_those_of_the_classes(random):
    probabilities = random.dirichlet(np.full(10, 0.3), 500).astype(np.float32)
    labels = random.integers(10, size=500)
    # scikit-learn, one class against the rest.
    expected = sum(brier_score_loss(labels == label, probabilities[:, label].clip(0, 1)) for label in range(10))
    assert calibration.brier(probabilities, labels) == pytest.approx(expected, rel=1e-6)
    certain = np.eye(3)[[0, 1, 2]]
    assert calibration.brier(certain, np.array([0, 1, 2])) == 0
    assert calibration.brier(certain, np.array([1, 2, 0])) == 2


def study_of(tmp_path, **changes):
    """Return a study with a softmax and a sigmoid variant, two seeds each."""
    text = SMALL_STUDY[: SMALL_STUDY.index("  circle:")] + "  squared: {base: regression, loss: SquaredError}\n"
    (tmp_path / "config.yaml").write_text(text)
    return Study.read(tmp_path / "config.yaml", changes)


def runs_of(*rows):
    columns = ["variant", "seed", "status", "test_loss"]
    return pd.DataFrame([dict(zip(columns, row, strict=True)) for row in rows], columns=columns)


def predictions(results, study, variant, seeds):
    """Write predictions as the evaluation does: 30 images of two classes, of which the first 6 are misclassified."""
    (block,) = study.blocks_of(variant)
    labels = np.repeat(np.array([0, 1], np.uint8), 15)
    with hdf5.writing(results / block.folder / "predictions.h5", {"dataset": "digits", "variant": variant}) as file:
        file["labels"] = labels
        for seed in seeds:
            confidence = 0.75 + 0.2 * seed
            predicted = np.where(np.arange(30) < 6, 1 - labels, labels)
            own = np.where(predicted == 1, confidence, 1 - confidence).astype(np.float32)
            file[f"seed-{seed}/probabilities"] = np.stack([1 - own, own], axis=1)
    return block


def test_a_row_has_the_means_over_the_seeds_that_are_ok_and_sigmoid_outputs_have_none(tmp_path):
    study = study_of(tmp_path)
    predictions(tmp_path, study, "regression", (0, 1))
    runs = runs_of(("regression", 0, "ok", 0.5), ("regression", 1, "ok", 0.7), ("squared", 0, "ok", 0.1))
    table, bins = calibration.tables(study, tmp_path, runs)
    assert list(table.columns) == calibration.COLUMNS
    assert list(bins.columns) == calibration.RELIABILITY_COLUMNS
    (row,) = table.to_dict("records")
    assert (row["dataset"], row["variant"], row["n"], row["images"]) == ("digits", "regression", 2, 30)
    # Accuracy 0.8 at confidences 0.75 and 0.95: errors 0.05 and 0.15; of 30 draws at 0.95, 28.5 ± 1.2 are right.
    assert row["ece_mean"] == pytest.approx(0.1)
    assert row["ece_sd"] == pytest.approx(0.1 / math.sqrt(2))
    assert row["seeds_above"] == 1
    assert row["overconfidence_mean"] == pytest.approx(0.05)
    # Two classes: twice (0.25)² for an image that is right, twice (0.75)² for one that is not.
    briers = [2 * (0.8 * (1 - sure) ** 2 + 0.2 * sure**2) for sure in (0.75, 0.95)]
    assert row["brier_mean"] == pytest.approx(np.mean(briers))
    assert row["brier_sd"] == pytest.approx(np.std(briers, ddof=1))
    assert bins[["seed", "bin", "images"]].to_numpy().tolist() == [[0, 0, 30], [1, 0, 30]]
    assert bins["confidence"].tolist() == pytest.approx([0.75, 0.95])
    assert bins["accuracy"].tolist() == pytest.approx([0.8, 0.8])


def test_the_interval_of_the_loss_is_that_of_a_table_of_t_on_the_logarithmic_scale(tmp_path):
    study = study_of(tmp_path, seeds=4, seeds_per_job=4)
    predictions(tmp_path, study, "regression", range(4))
    losses = (1.0, 1.2, 1.4, 1.2)
    runs = runs_of(*(("regression", seed, "ok", loss) for seed, loss in enumerate(losses)))
    row = calibration.tables(study, tmp_path, runs)[0].iloc[0]
    # Deviations -2, 0, 2, 0 tenths: sd √(8/3) tenths; t(0.975, 3) = 3.1824 of any table.
    sd = math.sqrt(8 / 3) / 10
    factor = math.exp(3.1824 * sd / 1.2 / 2)
    assert row["test_loss_mean"] == pytest.approx(1.2)
    assert row["test_loss_sd"] == pytest.approx(sd)
    assert row["test_loss_ci95_low"] == pytest.approx(1.2 / factor, abs=1e-5)
    assert row["test_loss_ci95_high"] == pytest.approx(1.2 * factor, abs=1e-5)


@pytest.mark.parametrize("seeds", [2, 5, 10])
@pytest.mark.parametrize("spread", [0.03, 0.2])
def test_the_interval_of_the_loss_holds_the_mean_in_95_of_100_studies_and_stays_above_0(random, seeds, spread):
    studies = [calibration._loss(0.05 * (1 + spread * random.standard_normal(seeds))) for _ in range(3000)]
    low, high = (np.array([found[f"test_loss_ci95_{side}"] for found in studies]) for side in ("low", "high"))
    assert (low > 0).all()
    # The share of 3,000 studies has a standard error of 0.004.
    assert np.mean((low < 0.05) & (high > 0.05)) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("losses", [(), (0.5,), (0.5, 0.5)])
def test_without_two_different_losses_there_is_no_interval(losses, tmp_path):
    study = study_of(tmp_path)
    predictions(tmp_path, study, "regression", (0, 1))
    rows = [("regression", seed, "ok", loss) for seed, loss in enumerate(losses)]
    rows += [("regression", 1, "failed", math.nan)] if len(losses) < 2 else []
    row = calibration.tables(study, tmp_path, runs_of(*rows))[0].iloc[0]
    assert row["n"] == len(losses)
    assert math.isnan(row["test_loss_ci95_low"])
    assert math.isnan(row["test_loss_mean"]) == (not losses)
    assert pd.isna(row["images"]) == (not losses)
