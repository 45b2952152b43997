"""The figures of sweeps over spaces and of those that were halved, ``figures/searches.py``."""

import json
import re
import warnings
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from drawn import texts

from conftest import call
from mnist_hpc.figures import searches, style
from mnist_hpc.files import csv_table, hdf5
from mnist_hpc.study import grids, halving, spaces
from mnist_hpc.study.layout import point_columns
from mnist_hpc.study.specification import Study
from mnist_hpc.tables import choice

STUDY = {
    "dataset": "digits",
    "seeds": 2,
    "variants": {
        "regression": {
            "layers": ["Flatten", {"Dense": {"units": 10}}],
            "optimizer": {"SGD": {"learning_rate": 0.5}},
            "batch_size": 100,
            "steps": 20,
        }
    },
}
HASHES = {"spec_hash": "a", "data_hash": "b", "code_hash": "c"}
SHARE = {"validation_accuracy": 0.5}
RATES = {"log_uniform": [0.001, 10]}


def swept(folder, loss, **sweeps):
    """Write the results of sweeps as jobs do, without training.

    ``loss`` returns that of a point by its values, the share of its steps, and the seed; None if the training failed.
    """
    sweeps = {name: {"variant": "regression", **keys} for name, keys in sweeps.items()}
    (folder / "config.yaml").write_text(json.dumps(STUDY | {"sweeps": sweeps}))
    study = Study.read(folder / "config.yaml")
    for name, sweep in study.sweeps.items():
        content, rules = json.loads(sweep.json), sweep.halving
        points = spaces.tried(content)
        shares = halving.shares(rules) if rules else [1]
        # How many points go on after each rung.
        kept = [*halving.sizes(rules, len(points))[1:], rules["finalists"]] if rules else [0]
        keys = {"dataset": "digits", "sweep": name, "variant": "regression", **HASHES}

        def row(point, rung, seed, keys=keys, shares=shares):
            ends = [int(point.specification["steps"] * share) for share in shares]
            fresh = rung > len(ends)
            found = loss(point.values, 1 if fresh else float(shares[rung - 1]), seed)
            done = ends[-1] if fresh else ends[rung - 1] - (ends[rung - 2] if rung > 1 else 0)
            batch = point.specification["batch_size"]
            reached = {"point": point.place, "rung": rung, "seed": seed, "steps": ends[-1] if fresh else ends[rung - 1]}
            cost = {"images": done * (1257 if batch == "full" else batch), "train_seconds": 0.1}
            values = {key: grids.text(value) for key, value in point.values.items()}
            result = {"status": "failed"} if found is None else {"status": "ok", "validation_loss": found, **SHARE}
            return keys | values | reached | cost | result

        rows, left, files = [], points, []
        for rung, going in enumerate(kept, start=1):
            there = [row(point, rung, seed) for point in left for seed in range(sweep.seeds)]
            rows += there
            left = [point for point in left if point.place in halving.best(there, going)]
        (folder / sweep.folder).mkdir(parents=True)
        if rules:
            seeds = range(7, 7 + rules["fresh_seeds"])
            rows += [row(point, len(shares) + 1, seed) for point in left for seed in seeds]
            files = [folder / sweep.folder / "losses.h5"]
            with hdf5.writing(files[0], HASHES) as file:
                for point in left:
                    file[str(point.place)] = np.array([[loss(point.values, 1, seed)] * 5 for seed in seeds], "f4")
        part = folder / sweep.folder / "part.csv"
        csv_table.write(part, point_columns(sweep.dimensions), rows)
        choice.choose([part], *(folder / file for file in sweep.files), content, files)
    return study


def bowl(values, share, seed):
    """Return a loss that is lowest at a learning rate of 0.3, and falls; some trainings fail, a few of them late."""
    rate = values["learning_rate"]
    away = abs(np.log10(rate / 0.3))
    return (
        None
        if rate > 3 or (share > 0.2 and 0.3 < rate < 0.8)
        else 0.2 + 0.3 * away + 0.5 / (1 + 9 * share) + 0.01 * (seed % 3)
    )


def draw(folder):
    """Draw the sweeps of a study, without a warning, and return the texts of each figure."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done = call("draw", "--figure", "sweeps", "--config", folder / "config.yaml", "--results", folder)
    assert done.returncode == 0, done.stderr
    return {path.stem: texts(path) for path in (folder / "digits/figures/sweeps").glob("*.svg")}


def lines(path, colour, width):
    """Return the corners of each line of a colour and width in an SVG, in the order of the file."""
    wanted = [f"stroke: {colour.lower()}", f"stroke-width: {width}"]
    drawn = [element for element in ET.parse(path).iter() if element.tag.endswith("path")]
    found = [element.get("d") for element in drawn if all(part in element.get("style", "") for part in wanted)]
    corners = [re.findall(r"[ML] ([\d.]+) ([\d.]+)", line) for line in found]
    return [np.array(line, float) for line in corners if len(line) > 1]


def on_a_line(places, values):
    """Return whether places in an SVG, in points, are a linear function of values."""
    slope, start = np.polyfit(values, places, 1)
    return np.abs(slope * np.asarray(values) + start - places).max() < 0.01


HALVED = {"space": {"learning_rate": RATES, "batch_size": [10, 100]}, "points": 12, "images": 2000}
HALVED |= {"halving": {"fresh_seeds": 3}}
GRID = {"grid": {"learning_rate": [0.003, 0.01, 0.03, 0.1, 1.0]}}


def test_rungs_and_costs_are_those_of_the_points(tmp_path):
    study = swept(tmp_path, bowl, halved=HALVED, grid=GRID)
    found, path = draw(tmp_path)["halved"], tmp_path / "digits/figures/sweeps/halved.svg"
    folder = tmp_path / study.sweeps["halved"].folder
    points, best = pd.read_csv(folder / "points.csv"), json.loads((folder / "best.json").read_text())
    points["seen"] = points["steps"] * points["batch_size"]
    means = points.groupby(["rung", "point"], as_index=False).agg(
        loss=("validation_loss", lambda losses: losses.mean(skipna=False)),
        images=("images", "sum"),
        seen=("seen", "max"),
    )

    reached = means.drop_duplicates("point", keep="last").set_index("point")["loss"].sort_index()
    assert (means["loss"].isna() & (means["rung"] == 2)).any()
    shown = searches.found(study, tmp_path, "halved").reached["loss"].sort_index()
    assert shown.to_dict() == pytest.approx(reached.to_dict(), nan_ok=True)

    colours = (style.BLUE, style.GREEN, style.ORANGE)
    paths = [lines(path, colour, 1.5)[0] for colour in colours]
    finalists = [row["point"] for row in best["finalists"]]
    assert len(finalists) == 3
    rows = [means[means["point"] == point].sort_values("rung") for point in finalists]
    assert on_a_line(np.concatenate(paths)[:, 1], np.log(pd.concat(rows)["loss"]))
    x = np.concatenate([line[:-1, 0] for line in paths])
    assert on_a_line(x, np.log(pd.concat([of_point[:-1] for of_point in rows])["seen"]))
    assert all(line[-1, 0] > x.max() for line in paths)  # fresh seeds stand beyond the last rung

    means["total"] = means.sort_values(["rung", "point"])["images"].cumsum()
    means["lowest"] = means.sort_values(["rung", "point"])["loss"].cummin().ffill()
    steps = means.dropna(subset="lowest").drop_duplicates("lowest")
    cost = lines(path, style.BLUE, 1.5)[1]
    corners = cost[np.append(True, np.diff(cost[:, 1]) != 0)]  # where the line has come down
    assert len(corners) == len(steps)
    assert on_a_line(corners[:, 0], np.log(steps["total"]))
    assert on_a_line(corners[:, 1], np.log(steps["lowest"]))

    assert "halved: regression on digits, 12 points, n = 2, finalists n = 3" in found
    assert "grey: dropped" in found
    assert "×: failed" in found
    for row in best["finalists"]:
        values = ", ".join(f"{key} {value}" for key, value in row["values"].items())
        assert f"wins {100 * row['wins']:.0f} %: {values}" in found
    assert all(word in found for word in ("learning_rate", "batch_size", "fresh seeds", "grid"))


OPTIMIZERS = ["SGD", {"SGD": {"momentum": 0.9}}, "RMSprop", "Adagrad", "Adam"]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"space": {"learning_rate": RATES}, "points": 1, "halving": {}}, ["1 point, n = 2", "wins 100 %"]),
        (
            {"space": {"optimizer": OPTIMIZERS, "learning_rate": RATES}, "points": 64, "halving": {"fresh_seeds": 3}},
            ["SGD momentum 0.9", "RMSprop", "Adagrad", "Adam"],
        ),
        (
            {
                "space": {
                    "learning_rate": RATES,
                    "l2": [0, 0.0001, 0.01],
                    "batch_size": [20, "full"],
                    "steps": {"integers": [5, 50]},
                },
                "points": 16,
            },
            ["0.0001", "full", "steps"],
        ),
        (
            {**GRID, "images": 1000, "halving": {"finalists": 7, "first": "1/2", "factor": 2, "fresh_seeds": 3}},
            ["wins", "learning_rate"],
        ),
        (
            {"space": {"learning_rate": RATES, "nesterov": [True, False]}, "points": 8},
            ["nesterov", "True", "False"],
        ),
        (
            {"grid": {**GRID["grid"], "nesterov": [True, False]}, "halving": {"fresh_seeds": 3}},
            ["wins", "nesterov True", "False"],
        ),
    ],
    ids=["one point", "five optimisers", "one rung", "a grid that is halved", "flags", "flags that are halved"],
)
def test_any_sweep_is_drawn_and_named(tmp_path, keys, words):
    swept(tmp_path, bowl, search=keys)
    (found,) = draw(tmp_path).values()
    assert [word for word in words if word not in found] == []
