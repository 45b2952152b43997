"""What goes wrong while a study runs: it ends with a reason and loses nothing, and the next run ends as if it had not.

KILLS says how many times a study is killed at a random moment, LOAD how many small jobs it has (`make trust`).
"""

import contextlib
import fcntl
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from planner import dry_run
from studies import finished

from conftest import DIFFER, HALVED, SMALL_STUDY, UNTIL_TABLES, copy_project, run, snakemake

KILLS = int(os.environ.get("KILLS", "2"))
LOAD = int(os.environ.get("LOAD", "20"))


def runs(project):
    """Return runs.csv but for what differs."""
    table = pd.read_csv(project / "results/digits/tables/runs.csv")
    return table.drop(columns=DIFFER).sort_values(["variant", "seed"], ignore_index=True)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Return the small study with nothing having gone wrong."""
    return finished(tmp_path_factory, "small", tmp_path_factory.mktemp("reference") / "study")


@pytest.fixture
def done(tmp_path_factory, tmp_path):
    """Return a copy of it that a test may change."""
    return finished(tmp_path_factory, "small", tmp_path / "study")


@pytest.fixture(scope="module")
def undisturbed(reference):
    """Return its runs.csv."""
    return runs(reference)


@pytest.fixture(scope="module")
def room(reference):
    """Return the room that its results up to the tables take, kilobytes in pages of four."""
    paths = [path for path in (reference / "results").rglob("*") if not {"figures", "report.html"} & set(path.parts)]
    return sum(4 * -(-path.stat().st_size // 4096) + 4 for path in paths)


def whole(project, undisturbed):
    """Check that a project is complete, and as if nothing had happened; nothing half written lies around."""
    pd.testing.assert_frame_equal(runs(project), undisturbed)
    assert not [path for path in project.rglob("*.tmp") if ".snakemake" not in path.parts]
    assert not (project / "results/state").exists()


@contextlib.contextmanager
def mounted(folder, options):
    """Mount a small file system in memory on a new folder."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a file system, and not in every container")
    try:
        yield lambda changed: subprocess.run(["mount", "-o", f"remount,{changed}", str(folder)], check=True)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


# Mount options of a file system, options that break it later, options that repair it, and the expected error. Sizes are
# shares of what the study needs; data come first, then models, predictions and tables, so that each stage fails once.
FULL = "No space left on device"
TROUBLES = {
    **{f"full at {share:.0%}": (f"size={share}", None, "size=100m", FULL) for share in (0.01, 0.8, 0.95)},
    "no inode": ("size=100m,nr_inodes=14", None, "nr_inodes=10000", FULL),
    "read-only": ("size=100m", "ro", "rw", "Read-only file system"),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "trouble", [pytest.param(name, marks=[pytest.mark.campaign] * (name != "read-only")) for name in TROUBLES]
)
def test_results_that_cannot_be_written_end_with_the_reason_and_lose_nothing(trouble, project, undisturbed, room):
    options, worse, better, said = TROUBLES[trouble]
    options = re.sub(r"size=(0\.\d+)", lambda share: f"size={int(float(share[1]) * room)}k", options)
    with mounted(project / "results", options) as remount:
        if worse:
            remount(worse)
        result = snakemake(project, *UNTIL_TABLES)
        assert result.returncode == 1, result.stdout
        assert said in result.stdout
        assert "Traceback" not in result.stdout
        remount(better)
        again = snakemake(project, *UNTIL_TABLES)
        assert again.returncode == 0, again.stdout
        whole(project, undisturbed)


def idle(project):
    """Return whether a run has nothing to do."""
    result = dry_run(project, *UNTIL_TABLES)
    assert result.returncode == 0, result.stdout
    return not re.search(r"^(local)?rule \w+:", result.stdout, re.MULTILINE)


def start(project, *targets):
    """Start the workflow as ``make run`` does, in a process group of its own; what it says goes into a file."""
    program = Path(sys.executable).parent / "snakemake"
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "mnist_hpc",
            "preload",
            program,
            "--profile",
            "profiles/local",
            *(targets or UNTIL_TABLES),
        ],
        cwd=project,
        stdout=(project / "output.txt").open("ab"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def killed_after(project, rule, seconds, *targets):
    """Run the workflow and kill it so many seconds after the first job of a rule; return False if it ends before that.

    However slow the machine is, it is not still starting then.
    """
    output = project / "output.txt"
    before = output.stat().st_size if output.exists() else 0
    process = start(project, *targets)
    while process.poll() is None and f"started: {rule}".encode() not in output.read_bytes()[before:]:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.1)
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert snakemake(project, "--unlock").returncode == 0
        return True
    assert process.returncode == 0, output.read_text()
    return False


@pytest.mark.slow
def test_a_study_killed_at_random_moments_ends_as_if_nothing_had_been(project, undisturbed):
    moment = random.Random(0)
    kills = 0
    while kills < KILLS:
        rule = ("train", "evaluate", "convert", "tabulate")[kills % 4]
        if killed_after(project, rule, moment.uniform(0, 3), *UNTIL_TABLES):
            kills += 1
        else:  # once more
            whole(project, undisturbed)
            subprocess.run(["rm", "-rf", "results", ".snakemake"], cwd=project, check=True)
    result = snakemake(project, *UNTIL_TABLES)
    assert result.returncode == 0, result.stdout
    whole(project, undisturbed)
    assert idle(project)


@pytest.mark.slow
def test_ctrl_c_saves_the_training_that_runs_and_the_next_run_continues_it(project):
    models = "results/circle/runs/circle/seeds-0-1/models.h5"
    (project / "config.yaml").write_text(SMALL_STUDY.replace("steps: 60", "steps: 200000"))
    log = project / "logs/circle/circle/seeds-0-1/train.log"

    def interrupted_at(text):
        process = start(project, models)
        while not (log.exists() and text in log.read_text()):
            with pytest.raises(subprocess.TimeoutExpired):  # it has not ended
                process.wait(timeout=0.1)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait() != 0

    interrupted_at("seed 0: step ")
    assert list(project.glob("results/state/circle/circle/**/seed-0.h5"))
    assert not (project / models).exists()
    interrupted_at("seed 0: continues at step ")


@pytest.mark.campaign
def test_a_halved_sweep_killed_at_random_moments_chooses_as_if_nothing_had_been(tmp_path):
    best, points = (f"results/digits/sweeps/space/{name}" for name in ("best.json", "points.csv"))
    projects = [copy_project(tmp_path / name, HALVED) for name in ("whole", "killed")]
    assert snakemake(projects[0], best).returncode == 0
    moment, kills = random.Random(0), 0
    while kills < KILLS:
        if killed_after(projects[1], "sweep", moment.uniform(0, 8), best):
            kills += 1
        else:
            subprocess.run(["rm", "-rf", "results", ".snakemake"], cwd=projects[1], check=True)
    result = snakemake(projects[1], best)
    assert result.returncode == 0, result.stdout
    assert not (projects[1] / "results/state").exists()
    whole, killed = (pd.read_csv(project / points).drop(columns=["train_seconds", "checksum"]) for project in projects)
    pd.testing.assert_frame_equal(killed, whole)
    whole, killed = (json.loads((project / best).read_text()) for project in projects)
    for content in (whole, killed):
        del content["train_seconds"], content["checksum"]
    assert killed == whole


@pytest.mark.slow
def test_a_second_run_in_the_same_folder_is_refused_and_the_first_goes_on(project, undisturbed):
    first = start(project)
    output = project / "output.txt"
    while "started: " not in output.read_text():
        with pytest.raises(subprocess.TimeoutExpired):  # it has not ended
            first.wait(timeout=0.1)
    os.killpg(first.pid, signal.SIGSTOP)
    second = snakemake(project, *UNTIL_TABLES)
    os.killpg(first.pid, signal.SIGCONT)
    assert second.returncode != 0
    assert "Directory cannot be locked" in second.stdout
    assert first.wait() == 0, output.read_text()
    whole(project, undisturbed)


@pytest.mark.campaign
def test_files_that_another_process_has_locked_are_read_all_the_same(project, undisturbed):
    assert snakemake(project, "results/digits/data/train.h5", "results/circle/data/train.h5").returncode == 0
    with contextlib.ExitStack() as stack:
        for path in project.glob("results/*/data/*.h5"):
            file = stack.enter_context(path.open("r+b"))
            fcntl.flock(file, fcntl.LOCK_EX)
        result = snakemake(project, *UNTIL_TABLES)
        assert result.returncode == 0, result.stdout
    whole(project, undisturbed)


def test_results_copied_to_another_place_are_taken_as_they_are(reference, undisturbed, tmp_path):
    project = copy_project(tmp_path / "study", SMALL_STUDY)
    shutil.copytree(reference / "results", project / "results")
    assert idle(project)
    assert "Everything is there" in run("status", cwd=project).stdout
    (project / "results/digits/runs/regression/seeds-0-1/metrics.csv").unlink()
    result = snakemake(project, *UNTIL_TABLES)
    assert result.returncode == 0, result.stdout
    assert "train" not in re.findall(r"started: (\w+)", result.stdout)
    whole(project, undisturbed)


@pytest.mark.parametrize("jump", [-(10**8), 10**8], ids=["back", "ahead"])
def test_a_clock_that_jumps_reruns_nothing(done, jump):
    for number, path in enumerate(sorted(done.glob("results/**/*.*"))):
        os.utime(path, (time.time() + jump * (number % 2),) * 2)
    assert idle(done)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(b"", id="empty", marks=pytest.mark.campaign),
        pytest.param(b"{", id="cut"),
        pytest.param(bytes(100), id="zeros", marks=pytest.mark.campaign),
    ],
)
def test_a_damaged_snakemake_folder_loses_no_result(done, undisturbed, damage):
    for path in (done / ".snakemake").rglob("*"):
        if path.is_file() and "log" not in path.parts:
            path.write_bytes(damage)
    result = snakemake(done, *UNTIL_TABLES)
    assert result.returncode == 0, result.stdout
    whole(done, undisturbed)


@pytest.mark.campaign
def test_many_small_jobs_lose_and_double_no_row(tmp_path):
    """Each seed is a job of its own; the memory of the main process stays small."""
    study = SMALL_STUDY.replace("seeds: 2\nseeds_per_job: 2", f"seeds: {LOAD // 2}\nseeds_per_job: 1")
    study = study[: study.index("  circle:")].replace("steps: 60", "steps: 2")
    project = copy_project(tmp_path / "study", study)
    process = start(project)
    status, largest = Path(f"/proc/{process.pid}/status"), 0
    while process.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
        largest = max(largest, 1024 * int(found[1]) if found else 0)
    assert process.returncode == 0, (project / "output.txt").read_text()[-3000:]
    table = pd.read_csv(project / "results/digits/tables/runs.csv")
    assert table["seed"].tolist() == list(range(LOAD // 2))
    assert set(table["status"]) == {"ok"}
    print(f"{LOAD} jobs: main process at most {largest / 1e6:.0f} MB")
    assert 0 < largest < 500e6
    assert "Everything is there" in run("status", cwd=project).stdout
