"""What tests of figures share: the text of an SVG, and tables of studies of all kinds."""

import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd


def texts(path):
    """Return all text of an SVG, as one line."""
    found = ("".join(element.itertext()).strip() for element in ET.parse(path).iter() if element.tag.endswith("text"))
    return " ".join(" ".join(found).split())


def tables(count, seeds=5, failed=(), dataset="mnist", mean=None):
    """Return variants and runs as tabulate writes them; seeds of the variants in ``failed`` diverged."""
    rows, runs = [], []
    for number in range(count):
        name = f"variant-{number}"
        center = 0.9 + 0.099 * number / count if mean is None else mean
        done = 0 if name in failed else seeds
        keys = {"dataset": dataset, "variant": name}
        half = 0.001 if done > 1 and center < 1 else np.nan
        values = {
            "validation_accuracy_mean": center - 0.002 if done else np.nan,
            "test_accuracy_mean": center if done else np.nan,
            "test_accuracy_ci95_low": center - half,
            "test_accuracy_ci95_high": center + half / 2,
            "train_seconds_mean": 0.1 * (number + 1) ** 2 if done else np.nan,
            "parameters": 1000 * (number + 1) if done else np.nan,
            **dict.fromkeys(("success", "successes", "trials", "success_ci95_low", "success_ci95_high"), np.nan),
        }
        rows.append(keys | {"status": "ok" if done else "failed", "n": done} | values)
        for seed in range(seeds):
            state = {"status": "ok", "test_accuracy": center} if done else {"status": "failed", "test_accuracy": np.nan}
            moments = {"started": "2026-01-01T00:00:00+00:00", "finished": "2026-01-01T00:00:10+00:00"}
            times = {"startup_seconds": 2.0, "compile_seconds": 1.0, "train_seconds": 7.0, "host": "node"}
            times |= {"process_seconds": 9.5, "windows": 1}
            runs.append(keys | {"seed": seed} | state | moments | times)
    return pd.DataFrame(rows), pd.DataFrame(runs)


STUDIES = {
    "one variant": tables(1),
    "forty variants": tables(40),
    "one seed": tables(3, seeds=1),
    "nothing wrong": tables(2, mean=1.0),
    "a failed variant": tables(3, failed=["variant-1"]),
}
