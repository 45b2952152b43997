"""Confusions show counts and shares."""

import pandas as pd
import yaml
from drawn import texts

from mnist_hpc.figures import confusions
from mnist_hpc.study.specification import Study


def test_confusions_show_counts_and_the_share_that_is_right(tmp_path):
    rows = pd.DataFrame(
        [
            {"seed": seed, "label": label, "predicted": predicted, "images": images}
            for seed in (0, 1)
            for (label, predicted), images in {(0, 0): 90, (0, 1): 10, (1, 0): 0, (1, 1): 50}.items()
        ]
    )
    confusions.matrix(rows, "net", "mnist", tmp_path / "figure.svg")
    found = texts(tmp_path / "figure.svg")
    assert "(n = 2)" in found
    assert "90.0 %" in found
    assert " 10 " in found
    confusions.matrix(rows.assign(images=rows["images"] * rows["label"]), "net", "mnist", tmp_path / "without.svg")
    assert "–" in texts(tmp_path / "without.svg")
    assert "0.0 %" not in texts(tmp_path / "without.svg").replace("100.0 %", "")
    confusions.matrix(rows.iloc[:0], "net", "mnist", tmp_path / "empty.svg")
    assert "no results yet" in texts(tmp_path / "empty.svg")


def test_a_variant_may_have_a_number_or_null_as_its_name(tmp_path):
    net = {
        "dataset": "digits",
        "layers": ["Flatten", {"Dense": {"units": 10}}],
        "optimizer": "SGD",
        "batch_size": 10,
        "steps": 5,
    }
    config = {"dataset": "digits", "seeds": 1, "variants": {"64": net, "null": net}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    study = Study.read(tmp_path / "config.yaml")
    rows = [
        {"dataset": "digits", "variant": name, "seed": 0, "label": label, "predicted": predicted, "images": 7}
        for name in study.variants
        for label in (0, 1)
        for predicted in (0, 1)
    ]
    tables = tmp_path / "digits/tables"
    tables.mkdir(parents=True)
    pd.DataFrame(rows).to_csv(tables / "confusions.csv", index=False)
    confusions.draw(study, tmp_path, "confusions")
    drawn = list(tmp_path.rglob("*.svg"))
    assert len(drawn) == 2
    assert all("50.0 %" in texts(path) for path in drawn)
