"""Which point of a sweep is best, and the files that say so."""

import json
import math

import pytest

from conftest import specification
from mnist_hpc.errors import UserError
from mnist_hpc.files import csv_table
from mnist_hpc.study import spaces
from mnist_hpc.study.halving import rank
from mnist_hpc.study.layout import point_columns
from mnist_hpc.tables import choice, ranking


def row(point, seed, loss, status="ok", rung=1):
    costs = {"steps": 10, "images": 1000, "train_seconds": 0.5}
    reached = {"point": point, "seed": seed, "rung": rung, "status": status, **costs}
    return reached | {"validation_loss": loss, "validation_accuracy": 0.5}


def test_points_rank_by_mean_validation_loss_and_those_with_a_failed_seed_last():
    rows = [row(0, 0, 0.5), row(0, 1, 0.3), row(1, 0, 0.1), row(1, 1, "", "failed"), row(2, 0, 0.2), row(2, 1, 0.4)]
    assert [found["point"] for found in rank(rows)] == [2, 0, 1]
    assert rank(rows)[0]["validation_loss_mean"] == pytest.approx(0.3)


def test_values_in_a_table_have_the_types_of_the_config():
    tried = {"nesterov": True, "momentum": 0.9, "batch_size": 100, "optimizer": "Adam", "l2": 1e-05}
    written = {key: str(value) for key, value in tried.items()}
    assert ranking.values([{"point": "3", **written}], tried) == {3: tried}
    assert ranking.values([{"point": "3", "nesterov": "False"}], ["nesterov"])[3]["nesterov"] is False


GRID = {"learning_rate": [0.1, 0.2, 0.3], "steps": [10, 20]}


def choose(tmp_path, *parts, grid=None, **space):
    """Write parts of a sweep of a grid, or of what ``space`` says; return its choice and its table of points."""
    columns = point_columns(list(GRID))
    keys = {"dataset": "digits", "sweep": "rates", "variant": "regression"}
    paths = [tmp_path / f"part-{number}.csv" for number in range(len(parts))]
    for path, rows in zip(paths, parts, strict=True):
        csv_table.write(path, columns, [keys | one for one in rows])
    tried = grid or GRID
    places = list(range(math.prod(map(len, tried.values()))))
    searched = space or {"grid": list(tried.items()), "points": places}
    sweep = {"specification": specification(), **searched}
    chosen = choice.choose(paths, tmp_path / "points.csv", tmp_path / "best.json", sweep, [])
    return chosen, ranking.read(tmp_path / "points.csv")


ROWS = [row(point, seed, loss) for point, loss in enumerate([0.9, 0.8, 0.7, 0.3, 0.6, 0.5]) for seed in (0, 1)]


def test_the_choice_is_written_with_the_values_of_the_best_point(tmp_path):
    chosen, _ = choose(tmp_path, ROWS)
    assert chosen["values"] == {"learning_rate": 0.2, "steps": 20}
    assert chosen["at_the_edge"] == []
    assert (chosen["point"], chosen["points"], chosen["n"]) == (3, 6, 2)
    resolved = ranking.resolve(specification(), tmp_path / "best.json")
    assert (resolved["optimizer"], resolved["steps"]) == ({"SGD": {"learning_rate": 0.2}}, 20)


def test_parts_make_the_same_table_however_a_sweep_is_shared(tmp_path):
    tables = []
    for number, parts in enumerate([[ROWS], [ROWS[::2], ROWS[1::2]], [ROWS[::-1][:5], ROWS[::-1][5:]]]):
        (tmp_path / str(number)).mkdir()
        tables.append(choose(tmp_path / str(number), *parts))
    assert tables[0] == tables[1] == tables[2]


def test_a_value_at_the_edge_of_the_grid_is_said(tmp_path):
    rows = [row(point, 0, loss) for point, loss in enumerate([0.1, 0.8, 0.7, 0.3, 0.6, 0.5])]
    # Two values have no middle.
    assert choose(tmp_path, rows)[0]["at_the_edge"] == ["learning_rate"]


OPTIMIZERS = {"optimizer": ["SGD", {"SGD": {"momentum": 0.9}}, "Adam"], "learning_rate": [0.1, 0.2, 0.3]}


def test_every_optimiser_has_edges_of_its_own(tmp_path):
    # SGD still improves at its last rate, though Adam is better; with momentum one seed failed there.
    losses = [0.5, 0.4, 0.3, 0.6, 0.4, "", 0.3, 0.2, 0.3]
    rows = [row(point, 0, loss, "ok" if loss else "failed") for point, loss in enumerate(losses)]
    chosen, _ = choose(tmp_path, rows, grid=OPTIMIZERS)
    assert chosen["values"] == {"optimizer": "Adam", "learning_rate": 0.2}
    assert chosen["at_the_edge"] == ["learning_rate with optimizer SGD"]
    losses[4:6] = [0.4, 0.35]
    rows = [row(point, 0, loss) for point, loss in enumerate(losses)]
    edges = ["learning_rate with optimizer SGD", "learning_rate with optimizer SGD momentum 0.9"]
    assert choose(tmp_path, rows, grid=OPTIMIZERS)[0]["at_the_edge"] == edges


@pytest.mark.parametrize(
    ("values", "best", "edge"),
    [
        ([50, 100, "full"], 0, ["batch_size"]),
        ([50, 100, "full"], 1, []),
        ([50, 100, "full"], 2, []),  # there is no larger batch
        ([100, 50, 200], 0, []),
        ([100, 50, 200], 2, ["batch_size"]),
        ([True, False, True], 0, []),
        ([0.1, 0.2, {"OneCycle": {"maximal_learning_rate": 0.1}}], 0, []),
        ([1, 1.0e-3, 1.0e-4], 0, ["batch_size"]),
        ([0, 0.5, 0.9], 0, []),  # there is nothing below 0
        ([0, 0.5, 0.9], 2, ["batch_size"]),
    ],
    ids=str,
)
def test_only_numbers_have_an_edge(tmp_path, values, best, edge):
    rows = [row(point, 0, 0.1 + (point != best)) for point in range(3)]
    assert choose(tmp_path, rows, grid={"batch_size": values})[0]["at_the_edge"] == edge


@pytest.mark.parametrize(
    ("key", "dimension", "lowest", "highest"),
    [
        ("momentum", {"uniform": [0.0, 0.9]}, False, True),  # there is nothing below 0
        ("momentum", {"uniform": [0.1, 0.9]}, True, True),
        ("learning_rate", {"log_uniform": [0.001, 1.0]}, True, True),
        ("batch_size", {"integers": [10, 200]}, True, True),
    ],
)
def test_the_outer_twentieth_of_a_range_is_an_edge(tmp_path, key, dimension, lowest, highest):
    space = {"space": [[key, dimension]], "points": 64}
    values = [point.values[key] for point in spaces.tried({"specification": specification(), **space})]
    order = sorted(range(64), key=values.__getitem__)  # evenly spread, on the scale of the range
    for place, edge in ((0, lowest), (1, lowest), (5, False), (32, False), (58, False), (62, highest), (63, highest)):
        rows = [row(point, 0, 0.1 + (point != order[place])) for point in range(64)]
        chosen, _ = choose(tmp_path, rows, **space)
        assert chosen["values"] == {key: values[order[place]]}
        assert chosen["at_the_edge"] == [key] * edge


def test_the_shipped_grid_of_optimisers_reports_what_its_measured_losses_show(tmp_path):
    # Mean validation losses of the study of 0.1.0 at the best rates: SGD's was the largest one tried.
    grid = {"optimizer": ["SGD", "Adagrad"], "learning_rate": [0.03, 0.1, 0.3]}
    rows = [row(point, 0, loss) for point, loss in enumerate([0.2, 0.1, 0.0710, 0.08, 0.0696, 0.09])]
    assert choose(tmp_path, rows, grid=grid)[0]["at_the_edge"] == ["learning_rate with optimizer SGD"]


def test_a_sweep_in_which_every_point_failed_has_no_choice(tmp_path):
    with pytest.raises(UserError, match="in every point of the sweep a training failed"):
        choose(tmp_path, [row(point, 0, "", "failed") for point in range(6)])
    assert not (tmp_path / "best.json").exists()


def test_points_of_a_larger_grid_are_refused(tmp_path):
    with pytest.raises(UserError, match="not the points of this sweep"):
        choose(tmp_path, ROWS, grid={"learning_rate": [0.1], "steps": [10, 20]})


def test_a_job_that_is_one_too_many_changes_nothing(tmp_path):
    assert choose(tmp_path, ROWS, []) == choose(tmp_path, ROWS)


def test_parts_without_all_points_are_refused(tmp_path):
    with pytest.raises(UserError, match="not the points of this sweep"):
        choose(tmp_path, ROWS[:-2])
    with pytest.raises(UserError, match=r"part-0\.csv: not the points of this sweep; delete them"):
        choose(tmp_path, [])


@pytest.mark.parametrize("text", ["", "[]", "{}"])
def test_a_damaged_choice_is_named(tmp_path, text):
    best = tmp_path / "best.json"
    best.write_text(text)
    with pytest.raises(UserError, match=r"best\.json: .*; delete the file and run the workflow again"):
        ranking.resolve(specification(), best)


def test_a_choice_that_was_changed_by_hand_is_refused(tmp_path):
    choose(tmp_path, ROWS)
    content = json.loads((tmp_path / "best.json").read_text())
    content["values"]["steps"] = 10
    (tmp_path / "best.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"best\.json: it was changed after it had been written; delete the file"):
        ranking.read_best(tmp_path / "best.json")
