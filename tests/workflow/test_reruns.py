"""What an edit makes run again, over one finished study: exactly what depends on it, and nothing stale is left."""

import contextlib
import gzip
import io
import os
import re
import shutil
import subprocess

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml
from planner import dry_run
from studies import finished

from conftest import DIFFER, UNTIL_TABLES, call_in, snakemake
from mnist_hpc.cluster import attempts
from mnist_hpc.files import csv_table

DRAW = {"draw"}
REPORT = {"write_report"}
TABULATE = {"tabulate"} | DRAW | REPORT
REGRESSION = {"train regression 0-1", "evaluate regression 0-1", "perturb regression 0-1"}
CHILD = {"train child 0-1", "evaluate child 0-1", "perturb child 0-1"}
SWEEP = {"sweep tiny rates 1 1", "rank tiny rates"}
TUNED = {"train tuned 0-1", "evaluate tuned 0-1", "perturb tuned 0-1"}
CIRCLE = {"train circle 0-1", "evaluate circle 0-1"}
SPIRAL = {"train spiral 0-1", "evaluate spiral 0-1"}
TINY = REGRESSION | CHILD | SWEEP | TUNED
RUNS = REGRESSION | CHILD | TUNED | CIRCLE | SPIRAL
PERTURBATIONS = {job for job in RUNS if job.startswith("perturb")}
EVALUATIONS = {job for job in RUNS if job.startswith("evaluate")} | PERTURBATIONS  # one after the other


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Return a finished study with a copy of the package of its own, under git."""
    root = finished(tmp_path_factory, "wide", tmp_path_factory.mktemp("reruns") / "study")
    (root / ".gitignore").write_text("results\nlogs\n.snakemake\n__pycache__\noutput.txt\n")
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "study")
    yield root
    assert jobs(root) == set()


@pytest.fixture(autouse=True)
def restored(study, monkeypatch):
    """Use the study's own copy of the package, and check that a test leaves the study as it was."""
    monkeypatch.setenv("PYTHONPATH", str(study / "workflow"))
    yield
    left = git(study, "status", "--porcelain")
    git(study, "checkout", "-qf", "main")
    git(study, "clean", "-qfd")
    assert not left, "the test left the study changed"


def git(root, *arguments):
    identity = ("-c", "user.name=t", "-c", "user.email=t@localhost")
    done = subprocess.run(["git", "-C", root, *identity, *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def jobs(root, *arguments, command=dry_run, **environment):
    """Return what a dry run would run: ``train <variant> <first>-<last>``, the name of the rule, or draw."""
    found = every_job(root, *arguments, command=command, **environment)
    return {"draw" if job.startswith("draw") else job for job in found}


def every_job(root, *arguments, command=dry_run, **environment):
    """Return the same with the name of each rule that draws."""
    result = command(root, *arguments, **environment)
    assert result.returncode == 0, result.stdout
    found = set()
    for rule, body in re.findall(r"^(?:local)?rule (\w+):\n((?:    .*\n)*)", result.stdout, re.MULTILINE):
        wildcards = dict(re.findall(r"(\w+)=([\w-]+)", (re.findall(r"wildcards: (.*)", body) or [""])[0]))
        if "variant" in wildcards:
            found.add(f"{rule} {wildcards['variant']} {wildcards['first']}-{wildcards['last']}")
        elif rule != "all":
            found.add(" ".join([rule, *wildcards.values()]))
    assert bool(found) != ("Nothing to be done" in result.stdout)
    return found


def real_dry_run(root, *arguments, **environment):
    """Return what the command prints that people type."""
    return snakemake(root, "-n", *arguments, **environment)


@contextlib.contextmanager
def edited(path, change):
    """Change a text file for a while; its time stamp too is what it was afterwards."""
    before, times = path.read_text(), path.stat()
    after = change(before)
    assert after != before
    try:
        path.write_text(after)
        yield
    finally:
        path.write_text(before)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@contextlib.contextmanager
def renamed(path, other):
    """Give a file or folder another name for a while."""
    path.rename(other)
    try:
        yield
    finally:
        other.rename(path)


def config(**changes):
    """Return an edit of the config: dotted keys (``__`` for the dot) and their new values, None to delete."""

    def change(text):
        content = yaml.safe_load(text)
        for place, value in changes.items():
            *parents, last = place.split("__")
            level = content
            for parent in parents:
                level = level[parent]
            if value is None:
                del level[last]
            else:
                level[last] = value
        return yaml.safe_dump(content)

    return change


def replaced(old, new):
    def change(text):
        assert text.count(old) == 1
        return text.replace(old, new)

    return change


def reordered(text):
    """Turn every mapping of the config around."""

    def turn(value):
        return {key: turn(value[key]) for key in reversed(value)} if isinstance(value, dict) else value

    return yaml.safe_dump(turn(yaml.safe_load(text)), sort_keys=False)


def blocks(jobs, *others):
    """Return jobs of the blocks of seeds 0 to 1 as jobs of other blocks."""
    return {f"{job.rsplit(' ', 1)[0]} {block}" for job in jobs for block in others}


def test_a_finished_study_has_nothing_to_do(study):
    assert jobs(study, command=real_dry_run) == set()


@pytest.mark.parametrize("arguments", [("--cores", "1"), ("--cores", "16")])
def test_another_number_of_cores_reruns_nothing(study, arguments):
    assert jobs(study, *arguments) == set()


def test_another_profile_reruns_nothing(study):
    try:
        shutil.copytree(study / "profiles/local", study / "profiles/other")
        assert jobs(study, profile="other") == set()
    finally:
        shutil.rmtree(study / "profiles/other")


def test_touching_any_file_reruns_nothing(study):
    for path in study.rglob("*"):
        if path.is_file() and ".git" not in path.parts and ".snakemake" not in path.parts:
            path.touch()
    assert jobs(study) == set()


def test_a_moved_tree_reruns_nothing(study):
    moved = study.with_name("moved")
    with renamed(study, moved):
        assert jobs(moved) == set()


CONFIG_EDITS = {
    "a comment": (replaced("# A study.", "# The study.\n# Another line."), set()),
    "another order of keys": (reordered, set()),
    "limits of a job": (config(variants__regression__runtime=7, variants__regression__mem_mb=9000), set()),
    "a learning rate": (config(variants__spiral__optimizer={"Adam": {"learning_rate": 0.02}}), SPIRAL | TABULATE),
    "a learning rate that a sweep replaces": (
        config(variants__regression__optimizer__SGD__learning_rate=0.4),
        REGRESSION | CHILD | TABULATE,
    ),
    "a key of a base that one heir overrides": (
        config(variants__regression__steps=21),
        REGRESSION | SWEEP | TUNED | TABULATE,
    ),
    "a key of a base": (config(variants__regression__batch_size=11), TINY | TABULATE),
    "two values swapped": (
        config(variants__regression__optimizer={"SGD": {"learning_rate": 0.25, "momentum": 0.5}}),
        TINY | TABULATE,
    ),
    "batch size and steps swapped": (
        config(variants__regression__batch_size=20, variants__regression__steps=10),
        TINY | TABULATE,
    ),
    "another grid": (config(sweeps__rates__grid__learning_rate=[0.1, 0.4]), SWEEP | TUNED | TABULATE),
    "more seeds": (config(seeds=4), blocks(RUNS, "2-3") | TABULATE),
    "more seeds of one variant": (config(variants__spiral__seeds=3), blocks(SPIRAL, "2-2") | TABULATE),
    "fewer seeds per job": (config(seeds_per_job=1), blocks(RUNS, "0-0", "1-1") | TABULATE),
    "fewer seeds per job of one variant": (
        config(variants__spiral__seeds_per_job=1),
        blocks(SPIRAL, "0-0", "1-1") | TABULATE,
    ),
    "more seeds per job of one variant, in the same blocks": (config(variants__spiral__seeds_per_job=40), TABULATE),
    "when a seed has succeeded": (config(variants__spiral__success=0.9), TABULATE),
    "a new variant": (
        config(variants__new={"base": "circle", "steps": 5}),
        {"train new 0-1", "evaluate new 0-1"} | TABULATE,
    ),
    "a removed variant": (config(variants__child=None), TABULATE),
    "another search path": (config(search_path=["/data"]), set()),
    "other variants that read drawings": (config(draw=["regression", "child"]), REPORT),
    "another validation part": (
        config(datasets__tiny__validation=12),
        {"fetch tiny", "convert tiny"} | TINY | TABULATE,
    ),
}


@pytest.mark.parametrize("case", CONFIG_EDITS)
def test_an_edit_of_the_config_reruns_what_depends_on_it(case, study):
    change, expected = CONFIG_EDITS[case]
    with edited(study / "config.yaml", change):
        assert jobs(study) == expected


def reworded(text):
    """Add a word to every message that a module raises or reports."""
    after, count = re.subn(r'((?:raise \w+|\breport|\bsay)\(\s*f?")', r"\1Alas, ", text)
    assert count
    return after


CODE_EDITS = {
    "docstrings": ("training/evaluation", lambda text: text.replace('"""Return', '"""Do return'), set()),
    "the stage of training": (
        "stages/train",
        replaced('specification = specification | {"layers": adapted(specification["layers"], train)}', "pass"),
        RUNS | TABULATE,
    ),
    "the check of labels": ("data/splits", replaced(">= classes:", "> classes:"), RUNS | SWEEP | TABULATE),
    "a column of learning curves": (
        "study/layout",
        replaced('"validation_accuracy", "train_seconds"),\n]\n', '"validation_accuracy", "x"),\n]\n'),
        RUNS | TABULATE,
    ),
    "a column of runs": (
        "study/layout",
        replaced('"dtype_policy", "startup', '"x", "startup'),
        EVALUATIONS | TABULATE,
    ),
    "a built-in data set": (
        "data/sources/spirals",
        replaced("0.03, len", "0.04, len"),
        {"convert spirals"} | SPIRAL | TABULATE,
    ),
    "evaluation": ("training/evaluation", replaced("HARDEST = 200", "HARDEST = 100"), EVALUATIONS | TABULATE),
    "a transform": ("training/perturbation", replaced("10.0, 20.0,", "15.0, 20.0,"), PERTURBATIONS | TABULATE),
    "the stage of transformed images": (
        "stages/perturb",
        replaced("header | {", "{} | header | {"),
        PERTURBATIONS | TABULATE,
    ),
    "accuracy and loss": (
        "training/evaluation",
        replaced("np.mean(logits.argmax(axis=1) == labels)", "np.mean(labels == logits.argmax(axis=1))"),
        EVALUATIONS | TABULATE,
    ),
    "a column of transformed images": (
        "study/layout",
        replaced('"transform", "level", "test_accuracy", "test_loss"),', '"transform", "level", "test_accuracy"),'),
        PERTURBATIONS | TABULATE,
    ),
    "calibration": ("tables/calibration", replaced("BINS = 15", "BINS = 10"), TABULATE),
    "tables": ("tables/statistics", replaced("0.975, freedom) * error\n", "0.95, freedom) * error\n"), TABULATE),
    "figures": ("figures/style", replaced("WIDTH = 5.2", "WIDTH = 5.3"), DRAW | REPORT),
    "training": ("training/run", replaced("HISTORY_POINTS = 20", "HISTORY_POINTS = 10"), RUNS | SWEEP | TABULATE),
    "models": (
        "training/models",
        replaced("PREDICTION_BATCH = 1000", "PREDICTION_BATCH = 500"),
        RUNS | SWEEP | TABULATE,
    ),
    "download": (
        "data/download",
        replaced("TIMEOUT = 20.0", "TIMEOUT = 30.0"),
        {"fetch tiny", "convert tiny"} | TINY | TABULATE,
    ),
    **{
        f"messages of {module}": (module, reworded, set())
        for module in ("files/hdf5", "data/idx", "training/device", "training/trainer", "training/checkpoint")
    },
}


@pytest.mark.parametrize("case", CODE_EDITS)
def test_an_edit_of_the_code_reruns_the_stages_that_use_it(case, study):
    module, change, expected = CODE_EDITS[case]
    with edited(study / f"workflow/mnist_hpc/{module}.py", change):
        assert jobs(study) == expected


def test_a_comment_in_every_module_reruns_nothing(study):
    with contextlib.ExitStack() as stack:
        for path in (study / "workflow/mnist_hpc").rglob("*.py"):
            stack.enter_context(edited(path, lambda text: f"# A comment.\n{text}\n# Another.\n"))
        assert jobs(study) == set()


@pytest.mark.parametrize("case", ["training", "a column of learning curves", "messages of files/hdf5"])
def test_the_command_plans_the_same(case, study):
    module, change, expected = CODE_EDITS[case]
    with edited(study / f"workflow/mnist_hpc/{module}.py", change):
        assert jobs(study, command=real_dry_run) == expected


@pytest.mark.parametrize(
    ("module", "old", "new", "expected"),
    [
        ("digits", "ROWS = 6, 5", "ROWS = 6, 4", {"draw_digits"}),
        ("accuracy", "of the net", "of the model", {"draw_accuracy", "draw_accuracy_time", "draw_accuracy_parameters"}),
        # These the report shows.
        ("activations", "NOISE = 0.3, 0.5", "NOISE = 0.3, 0.4", {"draw_activations", "write_report"}),
        ("weights", "weights of each class", "weights", {"draw_templates", "write_report"}),
    ],
)
def test_an_edit_of_one_figures_code_draws_it_and_writes_the_report_if_that_shows_it(study, module, old, new, expected):
    with edited(study / f"workflow/mnist_hpc/figures/{module}.py", replaced(old, new)):
        assert every_job(study) == expected


@pytest.mark.parametrize("name", ["charts.js", "report.css", "report.html", "lecture.rst.jinja", "columns.py"])
def test_an_edit_of_the_reports_files_writes_it_and_nothing_else(study, name):
    change = replaced("of its seeds", "of all its seeds") if name == "columns.py" else lambda text: f"{text}\n"
    with edited(study / f"workflow/mnist_hpc/report/{name}", change):
        assert jobs(study) == REPORT


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tiny/runs/regression/seeds-0-1/models.h5", REGRESSION | TABULATE),
        ("tiny/runs/regression/seeds-0-1/history.csv", REGRESSION | TABULATE),
        ("tiny/runs/regression/seeds-0-1/metrics.csv", REGRESSION - {"train regression 0-1"} | TABULATE),
        ("tiny/runs/regression/seeds-0-1/perturbed.csv", {"perturb regression 0-1"} | TABULATE),
        ("tiny/runs/regression/seeds-0-1/predictions.h5", REGRESSION - {"train regression 0-1"} | TABULATE),
        ("tiny/tables/variants.csv", TABULATE),
        ("tiny/tables/provenance.json", TABULATE),
        ("tiny/figures/accuracy-time.svg", DRAW),
        ("tiny/figures/templates/regression.svg", DRAW | REPORT),
        ("tiny/report.html", REPORT),
    ],
)
def test_a_deleted_result_is_made_again(study, name, expected):
    path = study / "results" / name
    with renamed(path, path.with_suffix(".aside")):
        assert jobs(study) == expected


def test_another_payload_reruns_the_conversion_and_what_follows(study):
    raw = study / "results/tiny/data/train-labels-idx1-ubyte.gz"
    before = raw.read_bytes()
    payload = bytearray(gzip.decompress(before))
    payload[-1] = (payload[-1] + 1) % 10
    try:
        raw.write_bytes(gzip.compress(bytes(payload)))
        assert jobs(study) == {"convert tiny"} | TINY | TABULATE
    finally:
        raw.write_bytes(before)


def test_there_and_back_with_git_reruns_nothing(study):
    change = config(variants__regression__steps=30)
    (study / "config.yaml").write_text(change((study / "config.yaml").read_text()))
    git(study, "stash")
    assert jobs(study) == set()
    git(study, "stash", "drop")
    git(study, "checkout", "-q", "-b", "other")
    try:
        module, change, expected = CODE_EDITS["training"]
        code = study / f"workflow/mnist_hpc/{module}.py"
        code.write_text(change(code.read_text()))
        git(study, "commit", "-qam", "other")
        assert jobs(study) == expected
    finally:
        git(study, "checkout", "-qf", "main")


def status(root):
    result = call_in(root, "status")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    rows = [line.split() for line in lines[1 : lines.index("")]]
    return {variant: state for _, variant, state, *_ in rows}, result.stdout


@pytest.fixture
def copy(study, tmp_path):
    """Return a copy of the finished study whose results a test may change."""
    return shutil.copytree(study, tmp_path / "study", symlinks=True, ignore=shutil.ignore_patterns(".git"))


def runs(root):
    return pd.read_csv(root / "results/tiny/tables/runs.csv").set_index(["variant", "seed"])


def test_what_reran_is_new_and_status_says_what_is_stale_until_then(copy):
    before = runs(copy)
    untouched = copy / "results/tiny/runs/regression/seeds-0-1/models.h5"
    written = untouched.stat().st_mtime_ns
    ok = dict.fromkeys(("regression", "child", "tuned", "circle", "spiral"), "ok")
    assert status(copy)[0] == ok
    with edited(copy / "config.yaml", config(variants__child__steps=16)):
        found, text = status(copy)
        assert found == ok | {"child": "stale"}
        assert "2 of 10 runs are left to do." in text
        result = snakemake(copy, *UNTIL_TABLES)
        assert result.returncode == 0, result.stdout
        after = runs(copy)
        assert after.loc["child", "steps"].tolist() == [16, 16]
        assert (after.loc["child", "spec_hash"] != before.loc["child", "spec_hash"]).all()
        pd.testing.assert_frame_equal(after.loc["regression"], before.loc["regression"], check_dtype=False)
        assert untouched.stat().st_mtime_ns == written
        assert status(copy)[0] == ok
    assert snakemake(copy, *UNTIL_TABLES).returncode == 0
    pd.testing.assert_frame_equal(runs(copy).drop(columns=DIFFER), before.drop(columns=DIFFER))


def test_data_and_models_that_cannot_be_read_are_stale_or_missing_and_status_says_so(copy):
    data, block = copy / "results/tiny/data/train.h5", copy / "results/tiny/runs/child/seeds-0-1"
    data.write_bytes(data.read_bytes()[:-1])
    stale = dict.fromkeys(("regression", "child", "tuned"), "stale")
    assert status(copy)[0] == stale | {"circle": "ok", "spiral": "ok"}
    (block / "models.h5").write_bytes(b"")
    (block / "metrics.csv").unlink()
    assert status(copy)[0]["child"] == "missing"


@pytest.mark.slow
def test_blocks_of_another_size_and_another_directory_give_the_same_bits(study, tmp_path):
    """Of images and of points: the rows of runs.csv, and the learning curves."""
    folders = ("tiny/runs/regression", "circle/runs/circle")
    with edited(study / "config.yaml", config(seeds_per_job=1)):
        source = str(study.with_name("source"))
        targets = [f"results/{folder}/seeds-{seed}-{seed}/metrics.csv" for folder in folders for seed in (0, 1)]
        targets += ["results/tiny/runs/regression/seeds-0-0/perturbed.csv"]
        result = snakemake(study, "--directory", tmp_path, "--cores", "1", *targets, TINY_DIR=source)
        assert result.returncode == 0, result.stdout
    # Until the tables are made, each job has a record of its stages.
    entries = attempts.read(tmp_path / "results/state/tiny/regression/seeds-0-0.json")
    assert {(entry["stage"], entry["end"]) for entry in entries} == {
        (stage, "ok") for stage in ("train", "evaluate", "perturb")
    }

    def rows(path):
        differ = {*DIFFER, csv_table.CHECKSUM}
        return [{key: value for key, value in row.items() if key not in differ} for row in csv_table.read(path)]

    for folder in folders:
        for name in ("metrics.csv", "history.csv"):
            ours = rows(study / f"results/{folder}/seeds-0-1/{name}")
            theirs = [rows(tmp_path / f"results/{folder}/seeds-{seed}-{seed}/{name}") for seed in (0, 1)]
            assert ours == [*theirs[0], *theirs[1]]
    for seed in (0, 1):
        name = f"results/tiny/runs/regression/seeds-{seed}-{seed}/predictions.h5"
        with (
            h5py.File(study / "results/tiny/runs/regression/seeds-0-1/predictions.h5") as a,
            h5py.File(tmp_path / name) as b,
        ):
            key = f"seed-{seed}/probabilities"
            assert np.array_equal(a[key], b[key])


def test_clean_shows_and_removes_what_no_variant_claims(copy, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())  # nobody answers
    assert call_in(copy, "clean").stdout.startswith("Nothing to remove")
    (copy / "config.yaml").write_text(
        config(variants__child=None, variants__circle__seeds=1)((copy / "config.yaml").read_text())
    )
    shown = call_in(copy, "clean")
    assert "results/tiny/runs/child" in shown.stdout
    assert "results/circle/runs/circle" in shown.stdout
    assert "regression" not in shown.stdout
    assert "Nothing was removed" in shown.stdout
    assert (copy / "results/tiny/runs/child").exists()
    # What links lead to is another study's.
    precious = tmp_path / "precious/runs/any/seeds-0-1/models.h5"
    precious.parent.mkdir(parents=True)
    precious.touch()
    (copy / "results/old").symlink_to(tmp_path / "precious")
    (copy / "results/tiny/runs/link").symlink_to(precious.parent)
    assert "Removed." in call_in(copy, "clean", "--yes").stdout
    assert not (copy / "results/tiny/runs/child").exists()
    assert not (copy / "results/circle/runs/circle").exists()
    assert not (copy / "results/tiny/runs/link").exists()
    assert precious.exists()
    assert (copy / "results/tiny/runs/regression/seeds-0-1/models.h5").exists()
