"""Commands before a job: the key ``precommand`` of a profile, on the private Slurm."""

import os
from pathlib import Path

from harness import NEEDS_SLURM, SLOW, cluster, edit, make_project, workflow

pytestmark = NEEDS_SLURM

# What a site's /etc/profile.d does: `module` is a function of the shell.
MODULES = (
    'module() { [ "$2" = cuda ] || { echo "no module $2" >&2; return 1; }; export LOADED="$2 of job $SLURM_JOB_ID"; }\n'
)


def before(make_project, command):
    """Return a project whose profile has this ``precommand``, and in which modules.sh defines ``module``."""
    project = make_project(SLOW)
    (project / "modules.sh").write_text(MODULES)
    edit(project, "\njobs: 20", f"\nprecommand: {command}\njobs: 20")
    return project


def environments(job):
    """Return the environment of each process of a job that trains: while it starts, another one reads its output."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            pairs = (process / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        variables = dict(pair.decode().partition("=")[::2] for pair in pairs if pair)
        if words[1:4] == [b"-m", b"mnist_hpc", b"train"] and variables.get("SLURM_JOB_ID") == job:
            found.append(variables)
    return found


def test_a_training_sees_what_commands_before_it_did(cluster, make_project):
    exports = r"""export A='it is $HOME' && export B="two words" && export C=\$SLURM_JOB_ID D=$HOME"""
    with workflow(cluster, before(make_project, f". ./modules.sh && module load cuda && {exports}")) as run:
        job = run.training()
        found = environments(job)
    home = os.environ["HOME"]
    values = {"LOADED": f"cuda of job {job}", "A": f"it is {home}", "B": "two words", "C": job, "D": home}
    assert found
    assert all({name: variables.get(name) for name in values} == values for variables in found)


def test_a_command_that_fails_ends_the_job_with_its_text(cluster, make_project):
    project = before(make_project, ". ./modules.sh && module load nosuch")
    with workflow(cluster, project) as run:
        printed = run.ended(1)
    assert "no module nosuch" in printed
    assert "two jobs ended before the program began; see their logs" in printed
