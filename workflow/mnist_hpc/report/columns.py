"""The columns of the tables on the page: label, how numbers are shown, and what they mean."""

from typing import NamedTuple


class Column(NamedTuple):
    """A column of a table that is shown at once; the others are shown on demand, under their own names."""

    name: str
    label: str
    kind: str  # how tables.js shows a value: text, count, number, percent, points or seconds
    meaning: str = ""


VARIANT = Column("variant", "variant", "text")
N = Column("n", "n", "count", "seeds with a result")
STATUS = Column("status", "status", "text", "ok, failed, stale, missing, or incomplete-seeds: the worst of its seeds")
NEW_IMAGES = "95 % interval of the mean for more seeds and other test images"
SEEDS = "95 % interval of the mean for more seeds, on these test images"

COLUMNS: dict[str, list[Column]] = {
    "variants": [
        *(VARIANT, STATUS, N),
        Column("validation_accuracy_mean", "validation, %", "percent", "accuracy on the validation images, mean"),
        Column("test_accuracy_mean", "test, %", "percent", "accuracy on the test images, mean over the seeds"),
        Column("test_accuracy_sd", "± sd", "percent", "standard deviation over the seeds"),
        Column("test_accuracy_ci95_low", "95 % from", "percent", SEEDS),
        Column("test_accuracy_ci95_high", "to", "percent", SEEDS),
        Column("test_loss_mean", "test loss", "number", "mean per image; cross entropies in nats"),
        Column("parameters", "parameters", "count", "trainable ones"),
        Column("train_seconds_mean", "training, s", "seconds", "time of the compiled training loop of one seed"),
        Column("successes", "solved", "count", "seeds of a toy problem that reach the test accuracy `success`"),
    ],
    "comparisons": [
        *(VARIANT, Column("relation", "compared with", "text", "its base, or the best variant by validation accuracy")),
        *(Column("reference", "which is", "text"), N),
        Column("difference_mean", "difference, points", "points", "of test accuracy, paired by seed"),
        Column("difference_ci95_low", "95 % from", "points", SEEDS),
        Column("difference_ci95_high", "to", "points", SEEDS),
        Column("difference_new_images_ci95_low", "other images from", "points", NEW_IMAGES),
        Column("difference_new_images_ci95_high", "to", "points", NEW_IMAGES),
        Column(
            *("committee_mcnemar_p_holm", "p (committees)", "number"),
            "McNemar's exact test of what all seeds predict together, with Holm's correction for all rows of one kind",
        ),
    ],
    "runs": [
        *(VARIANT, Column("seed", "seed", "count"), STATUS),
        Column("validation_accuracy", "validation, %", "percent"),
        Column("test_accuracy", "test, %", "percent"),
        Column("test_loss", "test loss", "number", "mean per image; cross entropies in nats"),
        Column("steps", "steps", "count"),
        Column("batch_size", "batch", "count"),
        Column("train_seconds", "training, s", "seconds"),
        Column("images_per_second", "images/s", "count"),
        Column("device", "device", "text"),
        Column("commit", "commit", "text", "+changes: with uncommitted changes"),
    ],
    "ensembles": [
        *(Column("ensemble", "ensemble", "text"), Column("variants", "variants", "text"), STATUS),
        Column("members", "members", "count", "all seeds of its variants, never a selection"),
        Column("test_accuracy", "test, %", "percent", "the class with the highest mean output over all members"),
        Column("test_accuracy_ci95_low", "95 % from", "percent", "Wilson: these members, other test images"),
        Column("test_accuracy_ci95_high", "to", "percent", "Wilson: these members, other test images"),
        Column("wrong", "wrong", "count", "misclassified test images"),
        Column("member_accuracy_mean", "a member, %", "percent", "mean test accuracy of the members alone"),
    ],
    "sweeps": [
        Column("rank", "rank", "count", "1: lowest mean validation loss; variants with from_sweep use it"),
        Column("rung", "rung", "count", "how far the point came; finalists have the rung after the last"),
        *(N, Column("failed", "failed", "count", "seeds that diverged in that rung")),
        Column("validation_loss_mean", "validation loss", "number", "in that rung, mean over its seeds"),
        Column("validation_loss_sd", "± sd", "number"),
        Column("validation_accuracy_mean", "validation, %", "percent"),
        Column("loss_difference_mean", "to rank 1", "number", "of validation loss, paired by seed"),
        Column("loss_difference_ci95_low", "95 % from", "number", "if it holds 0, not shown to differ from rank 1"),
        Column("loss_difference_ci95_high", "to", "number", "if it holds 0, not shown to differ from rank 1"),
        Column("images", "images", "count", "that all trainings of the point have seen, counting repetitions"),
        Column("train_seconds", "training, s", "seconds", "of all trainings of the point"),
    ],
    "finalists": [
        Column("wins", "wins, %", "percent", "share of resampled sweeps in which it has the lowest mean loss"),
        Column("n", "n", "count", "fresh seeds with a result"),
        Column("validation_loss_mean", "validation loss", "number", "mean over the fresh seeds"),
        Column("validation_loss_sd", "± sd", "number"),
        Column("validation_accuracy_mean", "validation, %", "percent"),
    ],
    "calibration": [
        *(VARIANT, N),
        Column("ece_mean", "calibration error", "number", "expected calibration error in 15 bins of equal size"),
        Column("ece_calibrated_q95", "by chance", "number", "its 95 % quantile in a calibrated net"),
        Column("seeds_above", "seeds above", "count", "seeds whose error is above that quantile"),
        Column("overconfidence_mean", "overconfidence", "number", "mean confidence minus accuracy"),
        Column("brier_mean", "Brier score", "number"),
        Column("test_loss_mean", "test loss, nats", "number"),
    ],
    "robustness": [
        *(VARIANT, Column("transform", "transform", "text"), Column("level", "level", "number"), N),
        Column("test_accuracy_mean", "test, %", "percent"),
        Column("test_accuracy_sd", "± sd", "percent"),
        Column("test_loss_mean", "test loss", "number"),
    ],
    "classes": [
        *(VARIANT, Column("seed", "seed", "count"), Column("class", "class", "count")),
        Column("recall", "recall, %", "percent", "share of the images of the class that are classified as it"),
        Column("precision", "precision, %", "percent", "share of the images classified as the class that are of it"),
        Column("images", "images", "count"),
    ],
    "times": [
        VARIANT,
        Column("start-up", "start-up, s", "seconds", "import of TensorFlow and loading of data, once per job"),
        Column("compiling", "compiling, s", "seconds", "first calls of the training loop, once per job"),
        Column("training", "training, s", "seconds"),
        Column("validation, saving", "validation, saving, s", "seconds"),
        Column("waiting", "waiting, s", "seconds", "between the processes of trainings that were interrupted"),
    ],
    "jobs": [
        *(VARIANT, Column("job", "job", "count"), Column("state", "state", "text")),
        Column("queue_seconds", "in the queue, s", "seconds"),
        Column("wall_seconds", "running, s", "seconds"),
        Column("gpu_hours", "GPU-hours", "number"),
        Column("memory_peak_mb", "memory, MB", "count"),
    ],
}
