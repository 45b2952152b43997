"""Which figures a study has."""

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


def test_an_unknown_figure_is_refused(tmp_path):
    (tmp_path / "config.yaml").write_text(SMALL_STUDY)
    assert "accuracy-time" in error_line(call("draw", "--config", tmp_path / "config.yaml", "--figure", "acuracy"))
