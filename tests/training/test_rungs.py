"""Halved sweeps: a point that survives is the variant trained alone, and nothing depends on how often it was killed."""

import numpy as np
import pytest
from nets import CNN, HIDDEN, NOISY

from conftest import of_keras, specification
from mnist_hpc.errors import Interrupted
from mnist_hpc.study import grids
from mnist_hpc.study.layout import point_columns
from mnist_hpc.training import device

pytestmark = pytest.mark.usefixtures("tensorflow")

CYCLE = {"OneCycle": {"maximal_learning_rate": 0.01}}
BATCH, STEPS = 50, 12
# The best third of the points goes on from step 6 to step 12, and is trained once more from fresh seeds.
RULES = {"factor": 3, "first": "1/2", "finalists": 1, "fresh_seeds": 1}
ENDS = [6, 12]
FINAL = 3  # the rung of finalists


class KilledError(Exception):
    """Ends a training as SIGKILL does: nothing is saved on the way out."""


def quiet(_):
    pass


def variant(**changes):
    return specification(**{"layers": HIDDEN, "batch_size": BATCH, "steps": STEPS, **changes})


def tuned(keys, rates=(0.02, 0.1, 0.05), **others):
    return grids.points(variant(**keys), {"learning_rate": list(rates), **others})


def halved(splits, folder, points, report=quiet, stop=lambda: False, seeds=1, pack_mb=1000, threads=1, **rules):
    """Return the rows of a halved sweep, without times and what no table has, and the losses of its finalists."""
    from mnist_hpc.training import rungs, sweep

    settings = {"seeds": seeds, "pack_mb": pack_mb, "halving": RULES | rules}
    rows, losses = rungs.halve(points, settings, sweep.Trainings(*splits, folder, report, stop, threads))
    assert all(row["train_seconds"] >= 0 for row in rows)
    columns = set(point_columns(points[0].values)) - {"train_seconds"}
    return [{key: row[key] for key in row.keys() & columns} for row in rows], losses


def same(one, other):
    """Check that two halved sweeps are the same to the last bit."""
    assert one[0] == other[0]
    assert one[1].keys() == other[1].keys()
    for point, losses in one[1].items():
        assert np.array_equal(losses, other[1][point], equal_nan=True)


def places(rows, rung):
    """Return the points of a rung."""
    return {row["point"] for row in rows if row["rung"] == rung}


def lowest(rows, rung, count):
    """Return the points of a rung with the lowest losses, mean over seeds."""
    of_rung = {}
    for row in rows:
        if row["rung"] == rung:
            of_rung.setdefault(row["point"], []).append(row["validation_loss"])
    ranked = sorted(of_rung, key=lambda point: np.mean(of_rung[point]))
    return set(ranked[:count])


def alone(splits, point):
    """Return a trainer of the variant with the values of a point, validated where rungs end."""
    from mnist_hpc.training.engine import choose
    from mnist_hpc.training.loop import Loop
    from mnist_hpc.training.trainer import Trainer

    return Trainer(Loop(point.specification, splits[0], choose(point.specification, 1)), splits[1], ENDS)


KINDS = {
    "momenta": ({"optimizer": {"SGD": {"nesterov": True}}}, {"momentum": [0.0, 0.9]}),
    "adam": ({"optimizer": {"Adam": {}}}, {"l2": [0.0, 0.01]}),
    "noisy": ({"layers": NOISY, "optimizer": {"Adam": {}}}, {}),
    "not packed: cnn": ({"layers": CNN, "optimizer": {"Adam": {}}}, {}),
    "not packed: schedule, averaged": ({"optimizer": {"Adam": {"learning_rate": CYCLE, "use_ema": True}}}, {}),
}


RARE = {"packs, compiled as for a GPU"}


def kinds(names):
    """Return the names as parameters; those of RARE are run by ``make test-all`` alone."""
    return [pytest.param(name, marks=pytest.mark.slow) if name in RARE else name for name in names]


@pytest.mark.parametrize("kind", kinds(KINDS))
def test_a_survivor_is_the_variant_trained_alone_and_the_better_points_survive(digit_splits, tmp_path, kind):
    keys, others = KINDS[kind]
    points = tuned(keys, (0.002, 0.03) if "not packed" in kind else (0.002, 0.1, 0.03), **others)
    rows, losses = halved(digit_splits, tmp_path, points)
    assert places(rows, 1) == set(range(len(points)))
    assert places(rows, 2) == lowest(rows, 1, max(1, len(points) // 3))
    assert places(rows, FINAL) == lowest(rows, 2, 1) == losses.keys()
    (winner,) = losses
    trainer = alone(digit_splits, points[winner])
    run, _ = trainer.train(grids.FIRST_SEED, quiet)
    fresh, weights = trainer.train(grids.FRESH_SEED, quiet)
    expected = [row["validation_loss"][0] for row in [*run.rows, fresh.rows[-1]]]
    found = [row for row in rows if row["point"] == winner]
    # Other orders of the same float32 sums, over all the steps.
    assert [row["validation_loss"] for row in found] == pytest.approx(expected, rel=2e-3)
    assert [row["steps"] for row in found] == [*ENDS, STEPS]
    assert losses[winner].mean() == pytest.approx(found[-1]["validation_loss"], rel=1e-5)
    by_keras, _ = of_keras(points[winner].specification["layers"], weights, digit_splits[1])
    assert losses[winner].mean() == pytest.approx(by_keras, rel=2e-3)


def test_the_losses_of_a_finalist_are_those_of_each_image(digit_splits, tmp_path):
    import keras

    from mnist_hpc.training import models

    points = tuned({"layers": CNN, "optimizer": {"Adam": {}}}, (0.02,))
    _, losses = halved(digit_splits, tmp_path, points, fresh_seeds=2, first="1")
    trainer = alone(digit_splits, points[0])
    for place in (0, 1):
        _, weights = trainer.train(grids.FRESH_SEED + place, quiet)
        model = models.build(CNN, (28, 28, 1), seed=0)
        models.set_weights(model, weights)
        logits = model.predict(digit_splits[1].inputs[..., np.newaxis] / np.float32(255), verbose=0)
        by_keras = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")
        assert losses[0][place] == pytest.approx(by_keras(digit_splits[1].labels, logits).numpy(), rel=1e-5, abs=1e-6)


def test_points_with_other_batches_are_compared_after_the_same_images_and_all_images_are_counted(
    digit_splits, tmp_path
):
    """Of 600 images, 30 batches of 20 or 12 of 50: a quarter is 7 or 3 whole batches, with the images of 140 or 150."""
    points = [
        grids.Point(place, {"batch_size": batch, "steps": 600 // batch}, variant(batch_size=batch, steps=600 // batch))
        for place, batch in enumerate([20, 50])
    ]
    rules = {"first": "1/4", "factor": 4, "finalists": 2, "fresh_seeds": 1}
    rows, _ = halved(digit_splits, tmp_path, points, seeds=2, **rules)
    counted = {(row["rung"], row["point"], row["seed"]): (row["steps"], row["images"]) for row in rows}
    seeds = (1_000_000, 1_000_001)
    expected = {(1, point, seed): [(7, 140), (3, 150)][point] for point in (0, 1) for seed in seeds}
    expected |= {(2, point, seed): [(30, 460), (12, 450)][point] for point in (0, 1) for seed in seeds}
    assert counted == expected | {(3, 0, 2_000_000): (30, 600), (3, 1, 2_000_000): (12, 600)}


# After how many calls of the compiled loop a process ends, and how: with a signal, or killed. One call is a step here:
# six of each rung, then twelve of the finalists.
STOPS = [
    (1, "signal"),
    (2, "kill"),
    (5, "signal"),
    (4, "kill"),
    (3, "signal"),
    (3, "signal"),
    (5, "kill"),
    (9, "signal"),
]
SEEN = ["rung 1 of 2"] * 3 + ["rung 2 of 2"] * 3 + ["finalists"] * 2
FEW = [(2, "signal"), (6, "kill"), (3, "signal"), (5, "kill")]
SEEN_FEW = ["rung 1 of 2", "rung 2 of 2", "rung 2 of 2", "finalists"]
# Both kinds of random numbers, and little to compile.
DRAWN = [{"Dropout": {"rate": 0.1}}, {"Flatten": {}}, {"GaussianNoise": {"stddev": 0.5}}, {"Dense": {"units": 10}}]
INTERRUPTED = {
    "packs": (NOISY, False, STOPS, SEEN),
    "packs, compiled as for a GPU": (DRAWN, True, FEW, SEEN_FEW),
    "each alone": (CNN, False, FEW, SEEN_FEW),
}


@pytest.mark.parametrize("kind", kinds(INTERRUPTED))
def test_a_sweep_that_is_killed_and_interrupted_everywhere_ends_in_the_same_bits(
    digit_splits, tmp_path, kind, monkeypatch
):
    layers, gpu, stops, expected = INTERRUPTED[kind]
    monkeypatch.setattr(device, "has_gpu", lambda: gpu)
    rates = (0.03,) if kind == "each alone" else (0.002, 0.1, 0.03)
    points = tuned({"layers": layers, "optimizer": {"Adam": {}}}, rates)
    whole = halved(digit_splits, tmp_path / "whole", points)
    seen = []
    for calls, how in stops:
        left = iter(range(calls - 1))

        def stop(left=left, how=how):
            ends = next(left, None) is None
            if ends and how == "kill":
                raise KilledError
            return ends

        lines = []
        with pytest.raises((Interrupted, KilledError)):
            halved(digit_splits, tmp_path / "parts", points, lines.append, stop)
        seen.append(lines[-1].partition(", pack")[0])
    assert seen == expected
    same(halved(digit_splits, tmp_path / "parts", points), whole)


def test_a_damaged_checkpoint_of_any_pack_changes_nothing(digit_splits, tmp_path):
    points = tuned({"layers": NOISY, "optimizer": {"Adam": {}}})
    whole = halved(digit_splits, tmp_path, points)
    # Of the three points, of the one that went on, and of that with a fresh seed.
    first, *others = saved = sorted(tmp_path.glob("*/*.h5"), key=lambda path: -path.stat().st_size)
    assert len(saved) == 3
    for damaged in ([first], others, saved):
        for path in damaged:
            path.write_bytes(path.read_bytes()[:-100])
        lines = []
        same(halved(digit_splits, tmp_path, points, lines.append), whole)
        assert len({line for line in lines if "damaged checkpoint ignored" in line}) == len(damaged)


def test_on_another_kind_of_device_all_rungs_start_over_and_go_on_when_it_is_back(digit_splits, tmp_path):
    points = tuned({})
    whole = halved(digit_splits, tmp_path / "whole", points)
    answers = iter([False] * 8)
    with pytest.raises(Interrupted, match="rung 2 of 2, pack 1 of 1, seed 1000000: step"):
        halved(digit_splits, tmp_path / "parts", points, stop=lambda: next(answers, True))
    lines = []
    same(halved(digit_splits, tmp_path / "parts", points, lines.append, threads=2), whole)
    assert any(line.startswith("rung 1 of 2, pack 1 of 1 starts over on") for line in lines)
    lines = []
    same(halved(digit_splits, tmp_path / "parts", points, lines.append), whole)
    assert lines[1].startswith("rung 2 of 2, pack 1 of 1, seed 1000000: continues at step")


def test_a_sweep_in_which_every_point_diverges_ends_in_the_first_rung_and_says_the_same_each_time(
    digit_splits, tmp_path
):
    points = tuned({}, (1e20, 1e25))
    whole = halved(digit_splits, tmp_path, points)
    assert [(row["point"], row["rung"], row["status"]) for row in whole[0]] == [(0, 1, "failed"), (1, 1, "failed")]
    # What both have seen until the second one diverges too.
    assert whole[0][0]["images"] == whole[0][1]["images"] < 6 * BATCH
    assert whole[1] == {}
    same(halved(digit_splits, tmp_path / "again", points), whole)
    same(halved(digit_splits, tmp_path, points), whole)


def test_a_point_that_diverges_is_dropped_and_the_others_go_on_as_without_it(digit_splits, tmp_path):
    rows, losses = halved(digit_splits, tmp_path / "three", tuned({}, (0.1, 1e25, 0.05)), finalists=3)
    assert [row["point"] for row in rows if row["status"] == "failed"] == [1]
    assert losses.keys() == {0, 2}
    without, _ = halved(digit_splits, tmp_path / "two", tuned({}, (0.1, 0.05)), finalists=3)
    found = [row["validation_loss"] for row in rows if row["status"] == "ok"]
    assert found == pytest.approx([row["validation_loss"] for row in without], rel=2e-3)


def test_points_that_do_not_fit_the_memory_of_a_pack_are_trained_alone_and_end_alike(digit_splits, tmp_path):
    points, lines = tuned({}), []
    rows, losses = halved(digit_splits, tmp_path / "one", points)
    cut, of_cut = halved(digit_splits, tmp_path / "cut", points, lines.append, pack_mb=1e-6)
    assert lines[0].startswith("rung 1 of 2, pack 1 of 3")
    for key in ("point", "rung", "images", "status"):
        assert [row[key] for row in cut] == [row[key] for row in rows]
    (winner,) = losses
    assert of_cut[winner] == pytest.approx(losses[winner], rel=2e-3, abs=1e-4)


@pytest.mark.parametrize(
    ("rules", "reached"),
    [({"factor": 50, "first": "0.95", "finalists": 9}, [3, 3, 3]), ({"factor": 50, "first": "0.95"}, [3, 1, 1])],
    ids=["fewer points than finalists", "nearly all steps before the only choice"],
)
def test_a_sweep_of_few_points_ends_all_the_same(digit_splits, tmp_path, rules, reached):
    rows, losses = halved(digit_splits, tmp_path, tuned({}), **rules)
    assert [len(places(rows, rung)) for rung in (1, 2, FINAL)] == reached
    assert losses.keys() == places(rows, FINAL)
    assert [sorted({row["steps"] for row in rows if row["rung"] == rung}) for rung in (1, 2)] == [[11], [12]]


def test_points_that_are_one_setting_go_on_together(digit_splits, tmp_path):
    """SGD and SGD without arguments are two values of a grid, and one training."""
    points = grids.points(variant(), {"optimizer": ["SGD", {"SGD": {}}], "learning_rate": [0.1, 0.01]})
    rows, losses = halved(digit_splits, tmp_path, points, finalists=2)
    assert {0, 2} == losses.keys() == places(rows, FINAL)
    assert np.array_equal(losses[0], losses[2])
