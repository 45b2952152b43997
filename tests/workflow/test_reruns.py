"""What an edit makes run again, over one finished study: exactly what depends on it, and nothing stale is left."""

import contextlib
import gzip
import os
import re
import shutil
import subprocess

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml

from conftest import ROOT, make_tiny, run, snakemake, tiny_entry

DRAW = {"draw"}
TABULATE = {"tabulate"} | DRAW
REGRESSION = {"train regression 0-1", "evaluate regression 0-1"}
CHILD = {"train child 0-1", "evaluate child 0-1"}
CIRCLE = {"train circle 0-1", "evaluate circle 0-1"}
ALL = REGRESSION | CHILD | CIRCLE | TABULATE
EVALUATIONS = {job for job in ALL if job.startswith("evaluate")}

CONFIG = """
# A study.
dataset: tiny
seeds: 2
seeds_per_job: 2
search_path: []
datasets: {}
variants:
  regression:
    layers: [Flatten, {Dense: {units: 10}}]
    optimizer: {SGD: {learning_rate: 0.5, momentum: 0.25}}
    batch_size: 10
    steps: 20
  child:
    base: regression
    steps: 15
  circle:
    dataset: circle
    layers: [{Dense: {units: 3, activation: tanh}}, {Dense: {units: 2}}]
    optimizer: {Adam: {learning_rate: 0.03}}
    batch_size: 100
    steps: 20
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Return a finished study with a copy of the package of its own, under git."""
    base = tmp_path_factory.mktemp("reruns")
    root, source = base / "study", base / "source"
    for name in ("workflow", "profiles"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", root)
    (root / ".gitignore").write_text("results\nlogs\n.snakemake\n__pycache__\n")
    (root / "config.yaml").write_text(CONFIG.replace("datasets: {}", f"datasets: {{tiny: {tiny_entry()!r}}}"))
    make_tiny(source)
    with in_study(root):
        result = snakemake(root, TINY_DIR=str(source))
        assert result.returncode == 0, result.stdout
        git(root, "init", "-q", "-b", "main")
        git(root, "add", "-A")
        git(root, "commit", "-q", "-m", "study")
        yield root


@contextlib.contextmanager
def in_study(root):
    """Use the study's own copy of the package."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(root / "workflow")
    yield
    os.environ.pop("PYTHONPATH")
    if before is not None:
        os.environ["PYTHONPATH"] = before


def git(root, *arguments):
    identity = ("-c", "user.name=t", "-c", "user.email=t@localhost")
    subprocess.run(["git", "-C", root, *identity, *arguments], check=True, capture_output=True)


def jobs(root, *arguments, **environment):
    """Return what a dry run would run: ``train <variant> <first>-<last>``, the name of the rule, or draw."""
    return {"draw" if job.startswith(("draw", "report")) else job for job in every_job(root, *arguments, **environment)}


def every_job(root, *arguments, **environment):
    """Return the same with the name of each rule that draws, and of the one that writes the report's pages."""
    result = snakemake(root, "-n", *arguments, **environment)
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


@contextlib.contextmanager
def edited(path, change):
    """Change a text file for a while."""
    before = path.read_text()
    after = change(before)
    assert after != before
    path.write_text(after)
    try:
        yield
    finally:
        path.write_text(before)


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
    return lambda text: text.replace(old, new)


def reordered(text):
    """Turn every mapping of the config around."""

    def turn(value):
        return {key: turn(value[key]) for key in reversed(value)} if isinstance(value, dict) else value

    return yaml.safe_dump(turn(yaml.safe_load(text)), sort_keys=False)


def test_a_finished_study_has_nothing_to_do(study):
    assert jobs(study) == set()


@pytest.mark.parametrize("arguments", [("--cores", "1"), ("--cores", "16")])
def test_another_number_of_cores_reruns_nothing(study, arguments):
    assert jobs(study, *arguments) == set()


def test_another_profile_reruns_nothing(study):
    shutil.copytree(study / "profiles/local", study / "profiles/other", dirs_exist_ok=True)
    assert jobs(study, profile="other") == set()
    shutil.rmtree(study / "profiles/other")


def test_touching_any_file_reruns_nothing(study):
    for path in study.rglob("*"):
        if path.is_file() and ".git" not in path.parts and ".snakemake" not in path.parts:
            path.touch()
    assert jobs(study) == set()


def test_a_moved_tree_reruns_nothing(study):
    moved = study.with_name("moved")
    study.rename(moved)
    try:
        assert jobs(moved, PYTHONPATH=str(moved / "workflow")) == set()
    finally:
        moved.rename(study)


CONFIG_EDITS = {
    "a comment": (replaced("# A study.", "# The study.\n# Another line."), set()),
    "another order of keys": (reordered, set()),
    "limits of a job": (config(variants__regression__runtime=7, variants__regression__mem_mb=9000), set()),
    "a learning rate": (config(variants__circle__optimizer__Adam__learning_rate=0.02), CIRCLE | TABULATE),
    "a key of a base that its heir overrides": (config(variants__regression__steps=21), REGRESSION | TABULATE),
    "a key of a base": (config(variants__regression__batch_size=11), REGRESSION | CHILD | TABULATE),
    "two values swapped": (
        config(variants__regression__optimizer={"SGD": {"learning_rate": 0.25, "momentum": 0.5}}),
        REGRESSION | CHILD | TABULATE,
    ),
    "batch size and steps swapped": (
        config(variants__regression__batch_size=20, variants__regression__steps=10),
        REGRESSION | CHILD | TABULATE,
    ),
    "more seeds": (
        config(seeds=4),
        {f"{job.rsplit(' ', 1)[0]} 2-3" for job in ALL - TABULATE} | TABULATE,
    ),
    "more seeds of one variant": (
        config(variants__circle__seeds=3),
        {"train circle 2-2", "evaluate circle 2-2"} | TABULATE,
    ),
    "fewer seeds per job": (
        config(seeds_per_job=1),
        {f"{job.rsplit(' ', 1)[0]} {seed}-{seed}" for job in ALL - TABULATE for seed in (0, 1)} | TABULATE,
    ),
    "a new variant": (
        config(variants__new={"base": "circle", "steps": 5}),
        {"train new 0-1", "evaluate new 0-1"} | TABULATE,
    ),
    "a removed variant": (config(variants__child=None), TABULATE),
    "another search path": (config(search_path=["/data"]), set()),
    "another validation part": (
        config(datasets__tiny__validation=12),
        {"fetch tiny", "convert tiny"} | REGRESSION | CHILD | TABULATE,
    ),
}


@pytest.mark.parametrize("case", CONFIG_EDITS)
def test_an_edit_of_the_config_reruns_what_depends_on_it(case, study):
    change, expected = CONFIG_EDITS[case]
    with edited(study / "config.yaml", change):
        assert jobs(study) == expected
    assert jobs(study) == set()


CODE_EDITS = {
    "a comment in every module": (None, set()),
    "a docstring": (("evaluation", '"""Return what each seed', '"""Return all that each seed'), set()),
    "evaluation": (("evaluation", "HARDEST = 200", "HARDEST = 100"), EVALUATIONS | TABULATE),
    "tables": (("comparisons", "0.975", "0.95"), TABULATE),
    "figures": (("figures/style", "WIDTH = 5.2", "WIDTH = 5.3"), DRAW),
    "training": (("training", "HISTORY_POINTS = 20", "HISTORY_POINTS = 10"), ALL),
    "models": (("models", "PREDICTION_BATCH = 1000", "PREDICTION_BATCH = 500"), ALL),
    "download": (
        ("download", "PATIENCE = 30", "PATIENCE = 31"),
        {"fetch tiny", "convert tiny"} | REGRESSION | CHILD | TABULATE,
    ),
}


@pytest.mark.parametrize("case", CODE_EDITS)
def test_an_edit_of_the_code_reruns_the_stages_that_use_it(case, study):
    edit, expected = CODE_EDITS[case]
    package = study / "workflow/mnist_hpc"
    with contextlib.ExitStack() as stack:
        if edit is None:
            for path in package.glob("*.py"):
                stack.enter_context(edited(path, lambda text: f"# A comment.\n{text}\n# Another.\n"))
        else:
            module, old, new = edit
            stack.enter_context(edited(package / f"{module}.py", replaced(old, new)))
        assert jobs(study) == expected
    assert jobs(study) == set()


@pytest.mark.parametrize(
    ("module", "old", "new", "expected"),
    [
        ("digits", "ROWS = 6, 5", "ROWS = 6, 4", {"draw_digits"}),
        ("accuracy", "of the net", "of the model", {"draw_accuracy", "draw_accuracy_time", "draw_accuracy_parameters"}),
        ("pages", "POINTS = 10", "POINTS = 9", set()),
    ],
)
def test_an_edit_of_one_figures_code_draws_that_one_and_the_pages_that_show_it(study, module, old, new, expected):
    with edited(study / f"workflow/mnist_hpc/figures/{module}.py", replaced(old, new)):
        assert every_job(study) - {"report_pages"} == expected
        assert ("report_pages" in every_job(study)) == (module != "digits")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tiny/runs/regression/seeds-0-1/models.h5", REGRESSION | TABULATE),
        ("tiny/runs/regression/seeds-0-1/history.csv", REGRESSION | TABULATE),
        ("tiny/runs/regression/seeds-0-1/metrics.csv", {"evaluate regression 0-1"} | TABULATE),
        ("tiny/runs/regression/seeds-0-1/predictions.h5", {"evaluate regression 0-1"} | TABULATE),
        ("tiny/tables/variants.csv", TABULATE),
        ("tiny/tables/provenance.json", TABULATE),
        ("tiny/figures/accuracy-time.svg", DRAW),
    ],
)
def test_a_deleted_result_is_made_again(study, name, expected):
    path = study / "results" / name
    aside = path.with_suffix(".aside")
    path.rename(aside)
    assert jobs(study) == expected
    aside.rename(path)
    assert jobs(study) == set()


def test_another_payload_reruns_the_conversion_and_what_follows(study):
    raw = study / "results/tiny/data/train-labels-idx1-ubyte.gz"
    before = raw.read_bytes()
    payload = bytearray(gzip.decompress(before))
    payload[-1] = (payload[-1] + 1) % 10
    raw.write_bytes(gzip.compress(bytes(payload)))
    assert jobs(study) == {"convert tiny"} | REGRESSION | CHILD | TABULATE
    raw.write_bytes(before)
    assert jobs(study) == set()


def test_there_and_back_with_git_reruns_nothing(study):
    config_file = study / "config.yaml"
    config_file.write_text(config_file.read_text().replace("steps: 20", "steps: 30"))
    git(study, "stash")
    assert jobs(study) == set()
    git(study, "stash", "drop")
    git(study, "checkout", "-q", "-b", "other")
    code = study / "workflow/mnist_hpc/training.py"
    code.write_text(code.read_text().replace("HISTORY_POINTS = 20", "HISTORY_POINTS = 5"))
    git(study, "commit", "-qam", "other")
    assert jobs(study) == ALL
    git(study, "checkout", "-q", "main")
    assert jobs(study) == set()


def status(root):
    result = run("status", cwd=root)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    rows = [line.split() for line in lines[1 : lines.index("")]]
    return {variant: state for _, variant, state, *_ in rows}, result.stdout


def test_what_reran_is_new_and_status_says_what_is_stale_until_then(study):
    before = pd.read_csv(study / "results/tiny/tables/runs.csv").set_index(["variant", "seed"])
    untouched = (study / "results/tiny/runs/regression/seeds-0-1/models.h5").stat().st_mtime_ns
    assert status(study)[0] == {"regression": "ok", "child": "ok", "circle": "ok"}
    with edited(study / "config.yaml", config(variants__child__steps=16)):
        found, text = status(study)
        assert found == {"regression": "ok", "child": "stale", "circle": "ok"}
        assert "2 of 6 runs are left to do." in text
        result = snakemake(study)
        assert result.returncode == 0, result.stdout
        after = pd.read_csv(study / "results/tiny/tables/runs.csv").set_index(["variant", "seed"])
        assert after.loc["child", "steps"].tolist() == [16, 16]
        assert (after.loc["child", "spec_hash"] != before.loc["child", "spec_hash"]).all()
        pd.testing.assert_frame_equal(after.loc["regression"], before.loc["regression"], check_dtype=False)
        assert (study / "results/tiny/runs/regression/seeds-0-1/models.h5").stat().st_mtime_ns == untouched
        assert status(study)[0] == {"regression": "ok", "child": "ok", "circle": "ok"}
    assert snakemake(study).returncode == 0
    again = pd.read_csv(study / "results/tiny/tables/runs.csv").set_index(["variant", "seed"])
    same = ["test_accuracy", "test_loss", "validation_loss", "spec_hash", "code_hash"]
    pd.testing.assert_frame_equal(again.loc["child", same], before.loc["child", same])


def test_data_and_models_that_cannot_be_read_are_stale_or_missing_and_status_says_so(study, tmp_path):
    root = tmp_path / "study"
    shutil.copytree(study, root, ignore=shutil.ignore_patterns(".git"))
    data, block = root / "results/tiny/data/train.h5", root / "results/tiny/runs/child/seeds-0-1"
    data.write_bytes(data.read_bytes()[:-1])
    assert status(root)[0] == {"regression": "stale", "child": "stale", "circle": "ok"}
    (block / "models.h5").write_bytes(b"")
    (block / "metrics.csv").unlink()
    assert status(root)[0]["child"] == "missing"


def test_blocks_of_another_size_and_another_directory_give_the_same_bits(study, tmp_path):
    with edited(study / "config.yaml", config(seeds_per_job=1)):
        result = snakemake(study, "--directory", tmp_path, "--cores", "1", TINY_DIR=str(study.with_name("source")))
        assert result.returncode == 0, result.stdout
    ours, theirs = (
        pd.read_csv(root / "results/tiny/tables/runs.csv").sort_values(["variant", "seed"], ignore_index=True)
        for root in (study, tmp_path)
    )
    differ = [
        "train_seconds",
        "images_per_second",
        "startup_seconds",
        "compile_seconds",
        "started",
        "finished",
        "commit",
    ]
    pd.testing.assert_frame_equal(ours.drop(columns=differ), theirs.drop(columns=differ))
    for seed in (0, 1):
        name = f"results/tiny/runs/regression/seeds-{seed}-{seed}/predictions.h5"
        with (
            h5py.File(study / "results/tiny/runs/regression/seeds-0-1/predictions.h5") as a,
            h5py.File(tmp_path / name) as b,
        ):
            key = f"seed-{seed}/probabilities"
            assert np.array_equal(a[key], b[key])


def test_clean_shows_and_removes_what_no_variant_claims(study, tmp_path):
    root = tmp_path / "study"
    shutil.copytree(study, root, ignore=shutil.ignore_patterns(".git", "workflow"))
    assert run("clean", cwd=root).stdout.startswith("Nothing to remove")
    (root / "config.yaml").write_text(
        config(variants__child=None, variants__circle__seeds=1)((root / "config.yaml").read_text())
    )
    shown = run("clean", cwd=root)
    assert "results/tiny/runs/child" in shown.stdout
    assert "results/circle/runs/circle" in shown.stdout
    assert "regression" not in shown.stdout
    assert "Nothing was removed" in shown.stdout
    assert (root / "results/tiny/runs/child").exists()
    # What links lead to is another study's.
    precious = tmp_path / "precious/runs/any/seeds-0-1/models.h5"
    precious.parent.mkdir(parents=True)
    precious.touch()
    (root / "results/old").symlink_to(tmp_path / "precious")
    (root / "results/tiny/runs/link").symlink_to(precious.parent)
    assert "Removed." in run("clean", "--yes", cwd=root).stdout
    assert not (root / "results/tiny/runs/child").exists()
    assert not (root / "results/circle/runs/circle").exists()
    assert not (root / "results/tiny/runs/link").exists()
    assert precious.exists()
    assert (root / "results/tiny/runs/regression/seeds-0-1/models.h5").exists()
