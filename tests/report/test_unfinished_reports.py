"""Reports of studies that are unfinished, stale, failed, large or damaged, made from copies of a finished one."""

import json
import math
import re
import shutil

import pandas as pd
import pytest
import yaml
from in_browser import CHANGED, reading, wide_study

from conftest import call, error_line, make
from mnist_hpc.files import csv_table, hdf5
from mnist_hpc.training.models_file import read_models, write_models

pytestmark = pytest.mark.slow

NARROW = {"viewport": {"width": 360, "height": 800}}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return wide_study(tmp_path_factory, tmp_path_factory.mktemp("unfinished") / "study")


@pytest.fixture
def project(finished, tmp_path):
    """Return a folder with a copy of the config and the results of the finished study, without its report."""
    shutil.copy(finished / "config.yaml", tmp_path)
    shutil.copytree(finished / "results", tmp_path / "results")
    (tmp_path / "results/digits/report.html").unlink()
    return tmp_path


def report(project, *changes):
    options = ("--config", project / "config.yaml", "--results", project / "results", "--set", CHANGED)
    return call("report", *options, *changes)


def edit(project, change):
    """Change the config by a function of its content."""
    config = yaml.safe_load((project / "config.yaml").read_text())
    change(config)
    (project / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))


def reading_report(browser, project, address="", **options):
    done = report(project)
    assert done.returncode == 0, done.stderr
    return reading(browser, project / "results/digits/report.html", address, **options)


def state(page):
    """Return what the page says that failed, is stale or missing."""
    return page.locator("#state li").all_inner_texts()


def best(page):
    return page.locator("#overview tbody th").all_inner_texts()


def empty(page):
    """Return the charts that say that they have nothing to show."""
    return {
        figure.get_attribute("data-chart")
        for figure in page.locator("[data-chart]").all()
        if figure.locator(".empty").is_visible()
    }


MISSING = [f"sweep missing (run again): {name}" for name in ("regression-same-budget", "halved")]
DIVERGED = "1 failed (diverged: the loss grew beyond all bounds): wild (1)"


def test_a_variant_without_evaluation_is_missing(browser, project):
    for path in project.glob("results/digits/runs/cnn/*/*"):
        if path.name in ("metrics.csv", "predictions.h5", "perturbed.csv"):
            path.unlink()
    with reading_report(browser, project, **NARROW) as (page, _):
        assert state(page) == [DIVERGED, "2 missing (not trained and evaluated yet): cnn (2)"]
        assert best(page) == ["regression", "regression-same-budget"]
        assert "7 of 9 trainings done" in page.locator("#overview").inner_text()
        assert "nets together" not in page.locator("#overview").inner_text()
        page.evaluate("location.hash = '#variant=cnn'")
        page.wait_for_function("document.querySelector('[data-chart=accuracy] .view').hidden")
        assert empty(page) == {
            *("accuracy", "cost", "comparisons", "curves", "confusions", "reliability", "robustness", "times")
        }
        assert page.locator("#gallery output").inner_text() == "cnn has no results."
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_sweep_that_has_not_run_is_missing_and_so_is_what_depends_on_it(browser, project):
    shutil.rmtree(project / "results/digits/sweeps")
    with reading_report(browser, project) as (page, _):
        assert state(page) == [
            DIVERGED,
            "2 stale (made from another configuration, other data or other code than today's): "
            "regression-same-budget (2)",
            *MISSING,
        ]
        assert empty(page) == {"sweep", "rungs", "searches"}
        assert "0 of 0 rows" in page.locator("[data-table=sweeps]").inner_text()


def test_a_single_training_has_a_report(browser, project):
    for path in project.glob("results/*/runs/*"):
        if path.name != "circle-3":
            shutil.rmtree(path)
    shutil.rmtree(project / "results/digits/sweeps")
    shutil.rmtree(project / "results/digits/figures")
    with reading_report(browser, project, **NARROW) as (page, _):
        missing = (
            "7 missing (not trained and evaluated yet): regression (2), regression-same-budget (2), wild (1), cnn (2)"
        )
        assert state(page) == [missing, *MISSING]
        text = page.locator("#overview").inner_text()
        assert "2 of 9 trainings done" in text
        assert "No variant has results yet." in text
        assert "Nothing can be compared yet." in text
        assert page.locator("#draw").count() == 0
        assert {"accuracy", "curves", "times"}.isdisjoint(empty(page))
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_nothing_but_a_sweep_has_a_report(browser, project):
    (project / "results/digits/sweeps/halved/best.json").unlink()
    for path in project.glob("results/*/runs"):
        shutil.rmtree(path)
    with reading_report(browser, project) as (page, _):
        assert "0 of 9 trainings done" in page.locator("#overview").inner_text()
        assert state(page) == [
            "9 missing (not trained and evaluated yet): regression (2), regression-same-budget (2), wild (1), cnn (2), "
            "circle-3 (2)",
            MISSING[1],
        ]
        tables = set()
        for name in ("regression-same-budget", "halved"):
            page.locator("[data-chart=sweep] select[name=sweep]").select_option(name)
            assert {"sweep", "rungs", "searches"}.isdisjoint(empty(page))
            assert page.locator("[data-table=sweeps]").get_by_text("12 of 12 rows").is_visible()
            tables.add(page.locator("[data-table=sweeps]").inner_text())
        assert len(tables) == 2


def test_results_of_another_configuration_are_stale_and_show_nothing_as_current(browser, project):
    edit(project, lambda config: config["variants"]["regression"].update(steps=25))
    with reading_report(browser, project) as (page, _):
        (stale,) = state(page)
        assert stale.startswith("5 stale (made from another configuration, other data or other code than today's): ")
        assert stale.endswith("regression (2), wild (1), cnn (2)")
        assert best(page) == ["regression-same-budget"]
        rows = page.locator("[data-table=runs] tbody tr").filter(has_text="stale")
        assert rows.count() == 5
        assert page.locator("#gallery option", has_text="cnn").count() == 1
        page.locator("#gallery [name=variant]").select_option("cnn")
        assert page.locator("#gallery output").inner_text() == "cnn has no results."


def test_a_training_that_is_not_evaluated_yet_is_not_shown_as_the_one_before(browser, project):
    # Trained again under another config, which was then set back: metrics and predictions are those of today's config.
    for name in ("regression", "circle-3"):
        (path,) = project.glob(f"results/*/runs/{name}/*/models.h5")
        header, models = read_models(path)
        write_models(path, header | {"spec_hash": "another"}, models)
    with reading_report(browser, project) as (page, _):
        assert state(page) == [DIVERGED]
        assert set(best(page)) == {"cnn", "regression", "regression-same-budget"}
        found = page.evaluate("JSON.parse(document.getElementById('contents').textContent)")
        assert found["curves"].keys() == {"regression-same-budget", "wild", "cnn"}
        assert found["planes"] == {}
        assert found["mistakes"]["seeds"]["regression"] == 2
        assert page.locator("#draw").count() == 0


def test_a_study_whose_only_variant_diverged_has_a_report(browser, project):
    def alone(config):
        regression, wild = config["variants"]["regression"], config["variants"]["wild"]
        config["variants"] = {"wild": {**regression, **{key: wild[key] for key in wild if key != "base"}}}
        for key in ("sweeps", "ensembles", "draw"):
            del config[key]

    edit(project, alone)
    with reading_report(browser, project, **NARROW) as (page, _):
        assert state(page) == [DIVERGED]
        text = page.locator("#overview").inner_text()
        assert "No variant has results yet." in text
        assert "1, of 1 seed each" in text
        assert "of processes for 1 training," in text
        assert page.locator("#sweeps").count() == page.locator("#draw").count() == 0
        assert "times" not in empty(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_forty_variants_can_be_overseen(browser, project):
    runs = project / "results/digits/runs"
    names = [f"variant-{number:02d}" for number in range(40)]
    for number, name in enumerate(names):
        block = shutil.copytree(runs / "regression/seeds-0-1", runs / name / "seeds-0-1")
        for path in block.glob("*.csv"):
            rows = [row | {"variant": name} for row in csv_table.read(path)]
            if path.name == "metrics.csv":  # the higher its number, the better a variant
                rows = [row | {"validation_accuracy": 0.5 + number / 100} for row in rows]
            csv_table.write(path, [key for key in rows[0] if key != csv_table.CHECKSUM], rows)
        with hdf5.reading(block / "predictions.h5") as old:
            attributes = {**old.attrs, "variant": name}
            with hdf5.writing(block / "predictions.h5", attributes) as new:
                for key in old:
                    old.copy(key, new)

    def many(config):
        config["variants"] = {"regression": config["variants"]["regression"]} | {
            name: {"base": "regression"} for name in names
        }
        config.pop("ensembles")

    edit(project, many)
    with reading_report(browser, project, **NARROW) as (page, _):
        assert best(page)[0] == "variant-39"
        assert len(best(page)) == 5
        assert "82 of 82 trainings done" in page.locator("#overview").inner_text()
        assert "Nothing. 82 trainings and 2 sweeps, all there and current." in page.locator("#state").inner_text()
        place = page.locator("[data-table=variants]")
        assert place.locator("tbody tr").count() == 12
        place.get_by_role("button", name="Show all 41 rows").click()
        assert place.locator("tbody tr").count() == 41
        labels = page.locator("[data-chart=accuracy] .role-axis-label text").all_text_contents()
        assert labels.count("variant-00") == labels.count("variant-39") == 1
        legend = page.locator("[data-chart=curves] .role-legend-label text").all_text_contents()
        assert legend[0] == "variant-39"
        assert len(legend) == 6
        page.locator("#chooser summary").click()
        assert page.locator("#chooser li").count() == 41
        page.get_by_role("button", name="Best 6").click()
        assert page.locator("#chooser summary").inner_text() == "Variants: 6 of 41"
        assert place.locator("tbody tr").count() == 6
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_errors_of_jobs_are_shown_as_text(browser, project):
    texts = {"regression": "<img src=x onerror=alert(1)>", "regression-same-budget": "a'\"&amp;b"}
    texts["cnn"] = "</script><script>alert(1)</script>"
    last = {"stage": "train", "job": "", "host": "node", "started": "2026-01-01T00:00:00", "mem_mb": 0}
    for name, text in texts.items():
        record = project / f"results/state/digits/{name}/seeds-0-1.json"
        record.parent.mkdir(parents=True)
        record.write_text(json.dumps([last | {"end": "error", "reason": text}]))
    with reading_report(browser, project) as (page, bad):
        for name, text in texts.items():
            assert f"error (last attempt of a job): digits {name} seeds 0 to 1: {text} (node)" in state(page)
        assert page.locator("#state img, #state script").count() == 0
        assert not bad


def test_texts_that_look_like_numbers_stay_texts(browser, project):
    path = next(project.glob("results/digits/runs/regression/*/metrics.csv"))
    rows = [row | {"commit": "123456789e12", "driver": "570.10"} for row in csv_table.read(path)]
    csv_table.write(path, [key for key in rows[0] if key != csv_table.CHECKSUM], rows)
    edit(project, lambda config: [config["variants"].pop(name) for name in ("regression-same-budget", "wild", "cnn")])
    edit(project, lambda config: [config.pop(name) for name in ("sweeps", "ensembles")])
    edit(project, lambda config: config["variants"].pop("circle-3"))
    with reading_report(browser, project) as (page, _):
        place = page.locator("[data-table=runs]")
        place.get_by_label("all columns").check()
        assert place.get_by_role("cell", name="123456789e12", exact=True).count() == 2
        assert place.get_by_role("cell", name="570.10", exact=True).count() == 2


def test_nothing_is_made_twice(finished):
    path = finished / "results/digits/report.html"
    before = path.stat().st_mtime_ns
    said = make(finished, "report", f"CONFIG={CHANGED}")  # after a run of the workflow
    assert said.splitlines()[-1] == "results/digits/report.html: nothing has changed since it was made"
    assert path.stat().st_mtime_ns == before


def test_a_change_of_the_results_makes_the_report_again(project):
    assert report(project).stderr == f"Report: {project}/results/digits/report.html\n"
    assert report(project).stderr.endswith("nothing has changed since it was made\n")
    next(project.glob("results/digits/figures/filters/*.svg")).unlink()
    assert report(project).stderr.startswith("Report: ")
    edit(project, lambda config: config.update(draw=["cnn"]))
    assert report(project).stderr.startswith("Report: ")
    assert report(project).stderr.endswith("nothing has changed since it was made\n")


def test_other_data_make_the_report_again(project):
    assert report(project).stderr.startswith("Report: ")
    path = project / "results/digits/data/train.h5"
    with hdf5.reading(path) as old, hdf5.writing(path, {**old.attrs, "data_hash": "another"}) as new:
        for key in old:
            old.copy(key, new)
    assert report(project).stderr.startswith("Report: ")
    assert "7 stale" in (project / "results/digits/report.html").read_text()


@pytest.mark.parametrize("path", ["sweeps/regression-same-budget/best.json", "data/train.h5"])
def test_a_damaged_choice_or_data_file_leaves_a_report(project, path):
    (project / "results/digits" / path).write_text("{")
    assert report(project).stderr.startswith("Report: ")
    page = (project / "results/digits/report.html").read_text()
    assert re.search("sweep damaged.*regression-same-budget" if "best" in path else "7 stale", page, re.DOTALL)


def test_transformed_images_that_some_seeds_lack_are_missing(project):
    def one_seed_a_job(config):
        config["variants"]["cnn"]["seeds_per_job"] = 1

    edit(project, one_seed_a_job)
    runs = project / "results/digits/runs/cnn"
    for seed in (0, 1):
        block = shutil.copytree(runs / "seeds-0-1", runs / f"seeds-{seed}-{seed}")
        for name in ("metrics.csv", "history.csv", "perturbed.csv"):
            rows = [row for row in csv_table.read(block / name) if row["seed"] == str(seed)]
            csv_table.write(block / name, [key for key in rows[0] if key != csv_table.CHECKSUM], rows)
    (runs / "seeds-1-1/perturbed.csv").unlink()
    assert report(project).stderr.startswith("Report: ")
    page = (project / "results/digits/report.html").read_text()
    assert re.search(r"robustness.*not measured, or stale.*: cnn \(1\)<", page)


def jobs(project, **columns):
    """Write jobs.csv with two jobs."""
    table = {"dataset": "digits", "variant": "cnn", "job": ["1", "2"], "state": "COMPLETED", "queue_seconds": [60, 120]}
    table |= {"wall_seconds": 1800, "nodes": 1, "cpus": 2, "gpus": 1, "node_hours": 0.5, "cpu_hours": 1.0}
    table |= {"gpu_hours": 0.25, "memory_peak_mb": 100}
    pd.DataFrame(table | columns).to_csv(project / "results/digits/tables/jobs.csv", index=False)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({}, "Slurm: 0.5 GPU-hours in 2 jobs, each 1 min 30 s in the queue (median)."),
        (
            {"state": "PENDING", "queue_seconds": math.nan, **dict.fromkeys(("node_hours", "gpu_hours"), 0)},
            "Slurm: 0 GPU-hours in 2 jobs.",
        ),
    ],
    ids=["GPUs", "pending"],
)
def test_what_slurm_counted_is_in_the_overview(project, columns, words):
    jobs(project, **columns)
    assert report(project).stderr.startswith("Report: ")
    assert words in (project / "results/digits/report.html").read_text()


def test_names_that_are_numbers_stand_in_the_order_of_the_page(browser, project):
    def numbered(config):
        config["variants"]["16"] = {"base": "regression"}
        config["sweeps"]["16"] = {**config["sweeps"]["halved"]}

    edit(project, numbered)
    with reading_report(browser, project) as (page, _):
        offered = [text.strip() for text in page.locator("#chooser li").all_text_contents()]
        assert offered[-2:] == ["16", "circle-3 (circle)"]
        assert offered[:3] == best(page)
        sweeps = page.locator("[data-chart=sweep] select[name=sweep] option").all_text_contents()
        assert sweeps == ["regression-same-budget", "halved", "16"]


def test_without_results_one_line_says_what_to_do(project):
    shutil.rmtree(project / "results")
    line = error_line(report(project))
    assert f"{project}/results/digits: there are no results yet; make run" in line


@pytest.mark.parametrize("name", ["metrics.csv", "predictions.h5"])
def test_a_damaged_file_is_named(project, name):
    path = next(project.glob(f"results/digits/runs/cnn/*/{name}"))
    content = path.read_bytes()
    path.write_bytes(content[:300] + b"7" + content[301:])
    line = error_line(report(project))
    assert str(path) in line
    assert re.search("damaged|changed", line)
    assert not (project / "results/digits/report.html").exists()
