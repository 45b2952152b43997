"""Which figures a study has."""

import pytest

from conftest import SMALL_STUDY, call, error_line
from mnist_hpc import figures
from mnist_hpc.study.specification import Study


def test_a_study_has_the_figures_that_its_variants_allow(tmp_path):
    (tmp_path / "config.yaml").write_text(SMALL_STUDY)
    study = Study.read(tmp_path / "config.yaml")
    assert figures.kinds(study, tmp_path) == [
        *("accuracy", "accuracy-time", "accuracy-parameters", "reliability", "robustness", "learning-curves"),
        *("confusions", "digits", "activations", "templates", "boundaries", "hidden-space"),
        "job-times",
    ]
    assert figures.files(study, "digits") == {"regression": "digits/figures/digits/regression.svg"}
    assert figures.files(study, "boundaries") == {"circle": "digits/figures/boundaries/circle.svg"}
    jobs = tmp_path / "digits/tables/jobs.csv"
    jobs.parent.mkdir(parents=True)
    jobs.touch()
    assert "slurm" in figures.kinds(study, tmp_path)


THREE, OUTPUT = "{Dense: {units: 3}}", "{Dense: {units: 2}}"


@pytest.mark.parametrize(
    ("layers", "drawn"),
    [
        (f"[{THREE}, {OUTPUT}]", True),
        (f"[{THREE}, BatchNormalization, ReLU, {{Dropout: {{rate: 0.1}}}}, {OUTPUT}]", True),
        (f"[{THREE}, {{Reshape: {{target_shape: [1, 3]}}}}, Flatten, {OUTPUT}]", True),
        (f"[{THREE}, {{Dense: {{units: 8}}}}, {OUTPUT}]", False),
        (f"[{{Dense: {{units: 8}}}}, {THREE}, {OUTPUT}]", False),
        (
            f"[{THREE}, {{Reshape: {{target_shape: [1, 3, 1]}}}}, {{Conv2D: {{filters: 2, kernel_size: 1}}}}, "
            f"Flatten, {OUTPUT}]",
            False,
        ),
        (f"[{OUTPUT}]", False),
    ],
)
def test_the_hidden_space_is_drawn_where_three_units_feed_the_output(tmp_path, layers, drawn):
    config = SMALL_STUDY.replace("[{Dense: {units: 3, activation: tanh}}, {Dense: {units: 2}}]", layers)
    (tmp_path / "config.yaml").write_text(config)
    assert figures.of_three_units(Study.read(tmp_path / "config.yaml")) == ["circle"] * drawn


def test_the_hidden_space_is_not_drawn_if_a_sweep_chooses_its_width(tmp_path):
    sweep = "sweeps: {widths: {variant: circle, grid: {width: [3, 8]}}}"
    tuned = "  tuned: {base: circle, from_sweep: widths}"
    (tmp_path / "config.yaml").write_text(f"{SMALL_STUDY}{tuned}\n{sweep}\n")
    assert figures.of_three_units(Study.read(tmp_path / "config.yaml")) == ["circle"]


def test_an_unknown_figure_is_refused(tmp_path):
    (tmp_path / "config.yaml").write_text(SMALL_STUDY)
    assert "accuracy-time" in error_line(call("draw", "--config", tmp_path / "config.yaml", "--figure", "acuracy"))
