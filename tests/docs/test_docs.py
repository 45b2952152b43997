"""The documentation is true: links resolve, commands exist and accept their arguments, snippets are valid configs."""

import os
import platform
import re
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image, ImageDraw
from planner import dry_run

from conftest import ROOT, copy_project, specification
from mnist_hpc import __main__ as program
from mnist_hpc.cluster import accounting
from mnist_hpc.study import check, layout
from mnist_hpc.tables import study_tables
from mnist_hpc.training.models_file import Model, write_models

PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", "docs/*.rst", "docs/results/README.md", "results/README.md")
    for path in ROOT.glob(pattern)
)
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Programs in `sh` blocks that are not ours to check.
OTHERS = {"git", "cd", "nano", "tmux", "source", "cp", "ruff", "export", "curl", "uv", "apptainer"}
ENVIRONMENT = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page, *kinds):
    """Return the fenced blocks of these kinds."""
    return [body for kind, body in FENCE.findall(text_of(page)) if kind in kinds]


def code(page):
    """Return everything that a page shows as code: fenced blocks and code spans."""
    text = text_of(page)
    spans = re.findall(r"(`+)(.+?)\1", FENCE.sub("", text), re.DOTALL)
    return [*(body for _, body in FENCE.findall(text)), *(span for _, span in spans)]


def commands(kind="sh"):
    """Return all commands of the `sh` blocks as lists of words, without comments, variables and folder of programs."""
    found = []
    for line in (line for page in PAGES for body in blocks(page, kind) for line in body.splitlines()):
        words = shlex.split(line, comments=True)
        while words:
            end = words.index("&&") if "&&" in words else len(words)
            command, words = words[:end], words[end + 1 :]
            while command and re.match(r"\w+=", command[0]):
                del command[0]
            command = [word.removeprefix(".venv/bin/") for word in command]
            if command and command not in found:
                found.append(command)
    return found


def commands_of(*programs):
    return [words for words in commands() if words[0] in programs]


def anchors(page):
    """Return the anchors that a code host makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text_of(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page):
    text = FENCE.sub("", text_of(page))
    if page.endswith(".rst"):
        return re.findall(r"^\.\. image:: (\S+)", text, re.MULTILINE) + re.findall(r"`[^`]+<(\S+)>`_", text)
    return re.findall(r"\]\(([^)\s]+)\)", text)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings(page):
    for link in links(page):
        if re.match(r"https?://", link):
            continue
        file, _, anchor = link.partition("#")
        target = (ROOT / page).parent / file if file else ROOT / page
        assert target.exists(), f"{page}: {link}"
        assert not anchor or anchor in anchors(target.resolve().relative_to(ROOT).as_posix()), f"{page}: {link}"


@pytest.mark.parametrize("page", PAGES)
def test_paths_in_code_spans_exist(page):
    for span in code(page):
        for path in re.findall(r"(?:^|\s)((?:workflow|tests|profiles|requirements|docs)/[\w./-]*)(?![\w./<*-])", span):
            assert "mysite" in path or (ROOT / path).exists(), f"{page}: {path}"


def test_every_page_is_reached_from_the_readme():
    reached, todo = set(), ["README.md"]
    while todo:
        page = todo.pop()
        if page in reached:
            continue
        reached.add(page)
        files = {link.partition("#")[0] for link in links(page) if not link.startswith("http")} - {""}
        targets = [((ROOT / page).parent / file).resolve().relative_to(ROOT).as_posix() for file in files]
        todo += [target for target in targets if target in PAGES]
    assert reached >= set(PAGES) - {"results/README.md"}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the named glibc is that of x86-64")
def test_the_named_glibc_is_the_oldest_that_the_installed_packages_work_with():
    """Each wheel says the oldest glibc it works with: manylinux_2_27, or by an older name."""
    old = {"manylinux1": "5", "manylinux2010": "12", "manylinux2014": "17"}
    needed = {}
    for package in metadata.distributions():
        tags = " ".join(re.findall(r"^Tag: .*(manylinux.*)_x86_64$", package.read_text("WHEEL") or "", re.MULTILINE))
        versions = [int(old.get(tag, tag.rpartition("_")[2])) for tag in tags.split()]
        needed |= {package.name: min(versions)} if versions else {}
    assert needed
    named = int(re.search(r"glibc 2\.(\d+) or newer", text_of("docs/sites.md"))[1])
    # RHEL 8 has 2.28, and what came before had 2.17.
    assert named == 28
    assert 17 < max(needed.values()) <= named, needed


def test_the_readme_is_short():
    assert len(text_of("README.md").splitlines()) <= 150


def test_make_targets_exist():
    named = {target for page in PAGES for text in code(page) for target in re.findall(r"\bmake ([a-z][a-z-]+)", text)}
    named |= {"demo", "run", "test", "test-all"}
    printed = subprocess.run(["make", "-npq", "ENV="], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    targets = {name for names in re.findall(r"^\.PHONY: (.+)$", printed, re.MULTILINE) for name in names.split()}
    targets -= {"FORCE"}
    assert named <= targets
    assert targets - named == set(), "targets that no page mentions"


def test_make_commands_are_understood():
    for words in commands_of("make"):
        done = subprocess.run([*words, "-n", "ENV="], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{shlex.join(words)}: {done.stderr}"


def test_commands_of_the_package_accept_their_arguments():
    for words in [*commands_of("python"), *(words for words in commands("sh run") if words[0] == "python")]:
        if words[1:3] == ["-m", "mnist_hpc"] and "--help" not in words:
            program._parser(words[3]).parse_args(words[3:])


def test_every_command_of_the_package_is_named_in_the_reference():
    spans = " ".join(code("docs/config.md"))
    for name in (*program.STAGES, *program.COMMANDS):
        assert re.search(rf"\b{name}\b", spans), name
    named = {name for page in PAGES for text in code(page) for name in re.findall(r"-m mnist_hpc ([a-z]\w*)", text)}
    assert named <= {*program.STAGES, *program.COMMANDS}


def test_python_one_liners_run():
    for words in commands_of("python"):
        if words[1] == "-c":
            done = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr


def test_only_known_programs_are_used():
    assert {words[0] for words in commands()} <= OTHERS | {"make", "python", "snakemake"}


def test_snakemake_commands_plan_the_shipped_study(tmp_path):
    project = copy_project(tmp_path / "study", (ROOT / "config.yaml").read_text())
    # Commands that differ in their targets alone are one dry run.
    targets = {}
    for words in commands_of("snakemake"):
        files = [word for word in words if word.startswith("results/")]
        options = tuple(word for word in words[1:] if word not in (*files, "-n", "-p"))
        targets.setdefault(options, set()).update(files or ["all"])

    for options, files in targets.items():
        if options == ("--unlock",):
            streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
            done = subprocess.run(["snakemake", *options], cwd=project, env=ENVIRONMENT, check=False, **streams)
        else:
            first, profile, *others = options
            assert (first, Path(profile).parent) == ("--profile", Path("profiles"))
            done = dry_run(project, *others, "--quiet", "--", *files, profile=Path(profile).name)
        assert done.returncode == 0, f"{shlex.join(options)}: {done.stdout}"


@pytest.mark.parametrize("body", [pytest.param(body, id=page) for page in PAGES for body in blocks(page, "yaml")])
def test_config_snippets_are_valid(body):
    check.load(ROOT / "config.yaml", yaml.safe_load(body))


def test_blocks_marked_as_run_do_run(tmp_path):
    """One small model stands for the trained one that the page names."""
    models = tmp_path / "results/mnist/runs/cnn/seeds-0-4/models.h5"
    header = specification() | {"dataset": "mnist", "variant": "cnn", "classes": 10, "input_shape": [28, 28, 1]}
    weights = {"02_dense/kernel": np.zeros((784, 10), np.float32), "02_dense/bias": np.zeros(10, np.float32)}
    write_models(models, header, {0: Model({}, weights)})
    picture = Image.new("L", (60, 60))
    ImageDraw.Draw(picture).line([(30, 10), (30, 50)], fill=255, width=6)
    picture.save(tmp_path / "picture.png")
    for body in (body for page in PAGES for body in blocks(page, "sh run")):
        done = subprocess.run(
            ["bash", "-euc", body], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "cnn.keras").exists()


def sections(page):
    """Return the text below each heading of the second level, by heading."""
    return dict(re.findall(r"^## (.+)\n((?:(?!## ).*\n?)*)", text_of(page), re.MULTILINE))


@pytest.fixture(scope="module")
def columns(tmp_path_factory):
    """Return the columns of every table of a study; without results its tables have them too."""
    study, results = check.load(ROOT / "config.yaml"), tmp_path_factory.mktemp("results")
    jobs = pd.DataFrame([dict.fromkeys(accounting.JOB_COLUMNS, 1)])
    tables = study_tables.computed(study, results, "", "", "")
    tables |= {"jobs": jobs, "resources": accounting.resources(jobs, pd.Series(dtype=float))}
    assert {f"{name}.csv" for name in tables} >= {name for name in layout.TABLES if name.endswith(".csv")}
    return {name: list(table.columns) for name, table in tables.items()}


def test_every_column_is_described_and_no_other(columns):
    described = sections("docs/results.md")
    for name, wanted in columns.items():
        (text,) = [body for heading, body in described.items() if f"{name}.csv" in heading]
        missing = [column for column in wanted if f"`{column}`" not in text]
        assert not missing, f"{name}.csv: {missing}"
    known = {column for wanted in columns.values() for column in wanted}
    for heading, text in described.items():
        rows = re.search(r"^\| column \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
        for row in rows[1].splitlines() if rows else ():
            assert set(re.findall(r"`(\w+)`", row.split("|")[1])) <= known, f"{heading}: {row}"


def test_learning_curves_and_points_are_described():
    described = sections("docs/results.md")
    for column in layout.HISTORY_COLUMNS:
        assert f"`{column}`" in described["runs.csv"]
    for column in set(layout.PERTURBED_COLUMNS) - set(layout.HASHES):
        assert f"`{column}`" in described["robustness.csv"]
    text = described["sweeps.csv, points.csv and best.json"]
    for column in set(layout.point_columns([])) - set(layout.HASHES):
        assert f"`{column}`" in text


def test_every_key_of_the_config_is_in_the_reference():
    schema = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
    described = sections("docs/config.md")
    keys = {
        "Keys of the study": schema["properties"],
        "Keys of a variant": schema["$defs"]["variant"]["properties"],
        "Keys of a sweep": schema["$defs"]["sweep"]["properties"],
    }
    for heading, wanted in keys.items():
        found = set(re.findall(r"`(\w+)`", described[heading]))
        assert set(wanted) <= found, heading
    for name in schema["$defs"]["optimizer"]["else"]["properties"]:
        assert f"`{name}`" in described["Keys of a variant"]


def test_every_profile_is_listed():
    for folder in (ROOT / "profiles").iterdir():
        assert f"`profiles/{folder.name}`" in text_of("docs/slurm.md"), folder.name
