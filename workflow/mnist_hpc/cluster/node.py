"""The job of ``make node``: what it requests, and its submission. ``supervisor`` is what runs in it.

The job runs the whole study on one node and keeps the node's GPUs busy. What a profile says of a job with one GPU is
turned into a request for several.
"""

import math
import os
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from mnist_hpc.cluster import partitions, slurm, times
from mnist_hpc.cluster.main_process import MainProcess
from mnist_hpc.cluster.profile import Profile
from mnist_hpc.cluster.request import SHORT, Request
from mnist_hpc.cluster.verdict import Site
from mnist_hpc.files.atomic import write_text
from mnist_hpc.files.code_hash import code_hash
from mnist_hpc.study.layout import Block, Work
from mnist_hpc.study.specification import Study
from mnist_hpc.tables import collect, sweep_status

NAME = "mnist_node"
LOGS = slurm.LOGS / "node"
SCRIPT = LOGS / "job.sh"
# Slurm signals the job this long before its time limit, s, or a quarter of the limit if that is less.
WARNING_SECONDS = 180
# Sites ask for jobs of half an hour at least.
LEAST_MINUTES = 30
# A training is expected to take this many times its recorded seconds, and these seconds to start and evaluate.
MARGIN, START_SECONDS = 1.5, 60
# A training without recorded times is expected to take this share of its time limit.
SHARE = 0.25
# Time for tables, figures and the report, minutes.
FIGURE_MINUTES = 10
# Options of sbatch that the job sets itself, whatever the profile says.
OWN = {
    *("time", "mem", "cpus-per-task", "nodes", "ntasks", "ntasks-per-node", "signal", "requeue", "no-requeue"),
    *("job-name", "output", "error", "open-mode"),
}
NAMES = SHORT | {"t": "time", "c": "cpus-per-task", "J": "job-name", "o": "output", "e": "error"}


def request(profile: Profile, study: Study, gpus: int, slots: int, minutes: int) -> Request:
    """Return what the job requests.

    Args:
        profile: The profile, which describes a job with one GPU.
        study: The study.
        gpus: Number of GPUs.
        slots: How many processes share a GPU.
        minutes: Time limit.
    """
    train = profile.of_rule("train")
    resources = profile.defaults | train
    given = long_options(Request.of(resources, 1, profile.executor).options)
    options = with_gpus([option for option in given if _name(option) not in OWN], gpus)
    names = {_name(option) for option in options}
    variants = [*study.variants.values(), *(sweep.variant for sweep in study.sweeps.values())]

    cpus = gpus * int(resources.get("cpus_per_task") or 0)
    cpus = cpus or gpus * slots * max(variant.keys["threads"] for variant in variants)
    # One more for those that need no GPU.
    trainings = gpus * slots + any(not variant.gpu_slots for variant in variants)
    mem_mb = trainings * int(train.get("mem_mb", max(variant.keys["mem_mb"] for variant in variants)))
    options += [
        *("--nodes=1", "--ntasks=1", "--requeue", f"--job-name={NAME}"),
        *(f"--output={LOGS}/%j.log", "--open-mode=append"),
        f"--signal=B:USR1@{min(WARNING_SECONDS, minutes * 60 // 4)}",
    ]
    return Request(
        minutes,
        0 if names & {"mem-per-gpu", "mem-per-cpu"} else mem_mb,
        0 if "cpus-per-gpu" in names else max(cpus, 0),
        tuple(options),
    )


def long_options(words: Iterable[str]) -> list[str]:
    """Return options of sbatch in their long form with the value attached, ``-G 1`` as ``--gpus=1``."""
    found: list[str] = []
    for word in words:
        if not word.startswith("-") and found and re.fullmatch(r"-\w|--[\w-]+", found[-1]):
            found[-1] += f"={word}" if found[-1].startswith("--") else word
        elif word[:1] == "-" and word[1:2] in NAMES:
            found.append(f"--{NAMES[word[1]]}" + (f"={word[2:].removeprefix('=')}" if word[2:] else ""))
        else:
            found.append(word)
    return found


def with_gpus(options: Iterable[str], count: int) -> list[str]:
    """Return options of sbatch, in their long form, with another number of GPUs, however they ask for GPUs."""
    found = []
    for option in options:
        name, value = _name(option), option.partition("=")[2]
        changed = option
        if name in ("gpus", "gpus-per-node", "gpus-per-task", "gpus-per-socket"):
            kind = re.fullmatch(r"(?:(.*):)?\d+", value.partition(",")[0])
            changed = f"--gpus-per-node={f'{kind[1]}:' if kind and kind[1] else ''}{count}"
        elif name in ("gres", "tres-per-node", "tres-per-task"):
            entries = [
                re.sub(r"^((?:gres[/:])?gpu(?::(?!\d+$)[^:=]+)?)(?:[:=]\d+)?$", rf"\g<1>:{count}", entry)
                for entry in value.split(",")
            ]
            changed = f"--{name}={','.join(entries)}"
        if changed not in found:
            found.append(changed)
    return found


def minutes(study: Study, results: Path, processes: int, allowed: float) -> int:
    """Return the time limit of a job that runs what is left of a study with several processes at once.

    ``allowed`` are the minutes that the site allows at most.
    """
    seconds = [_expected(study, work, results) for work in left(study, results)]
    needed = max(sum(seconds) / processes, *seconds, 0) / 60 + FIGURE_MINUTES
    return int(min(max(LEAST_MINUTES, math.ceil(needed)), allowed))


def left(study: Study, results: Path) -> list[Work]:
    """Return the blocks and parts of which something is missing or stale."""
    identities = collect.identities(study, results, code_hash("stages.train"), code_hash("stages.evaluate"))
    runs = collect.runs(study.blocks, results, identities)
    rows = runs[runs["status"].isin(["missing", "stale"])]
    todo = set(zip(rows["variant"], rows["seed"], strict=True))
    blocks = [block for block in study.blocks if any((block.variant, seed) in todo for seed in block.seeds)]
    sweeps = sweep_status.to_run(study, results, code_hash("stages.sweep"))
    return [*blocks, *(part for sweep in sweeps for part in sweep.parts)]


def _expected(study: Study, work: Work, results: Path) -> float:
    """Return how long a block or part is expected to take, s."""
    recorded = times.expected_seconds(work, results)
    if recorded is not None:
        return MARGIN * recorded + START_SECONDS
    variant = study.variants[work.variant] if isinstance(work, Block) else study.sweeps[work.sweep].variant
    return float(SHARE * 60 * variant.keys["runtime"])


def allowed_minutes(request: Request, site: Site) -> float:
    """Return the longest time limit that a request's partitions, QOS and account allow, minutes; may be infinite."""
    found: list[float] = []
    for partition in partitions.of_request(request, site.partitions):
        if limit := site.limits.minutes(request, partition.name):
            found.append(limit.value)
        if partition.minutes is not None and not site.limits.lifts_time_limit(request, partition.name):
            found.append(partition.minutes)
    return min(found, default=math.inf)


def script(request: Request, precommand: str, command: Sequence[str]) -> str:
    """Return the script of the job; with ``exec``, the signal that Slurm sends to the script reaches the command."""
    options = "\n".join(f"#SBATCH {shlex.quote(option)}" for option in request.arguments)
    # As the Slurm plugin does with the commands of its jobs: $NAME is the value here, \$NAME that of the job.
    quoted = precommand.replace('"', '\\"')
    first = slurm.ask("sh", "-c", f'printf %s "{quoted} && "') + " " if precommand else ""
    return f"#!/bin/bash\n{options}\n{first}exec {shlex.join(command)}\n"


def submit() -> str:
    """Submit the script in its file and write the job down as the main process; return the job's number."""
    lines = SCRIPT.read_text().splitlines()
    # On the command line, they win over variables as SBATCH_PARTITION.
    options = [shlex.split(line)[1] for line in lines if line.startswith("#SBATCH ")]
    # A job must not take over the sizes of another one, from which it is submitted.
    inherited = [name for name in os.environ if name.startswith("SLURM_") and name != "SLURM_CONF"]
    unset = (f"--unset={name}" for name in inherited)
    answer = slurm.ask("env", *unset, "sbatch", "--parsable", *options, str(SCRIPT))
    number = answer.splitlines()[-1].partition(";")[0]
    MainProcess(host="", process=0, run=NAME, job=number).write()
    return number


def write(text: str) -> None:
    """Write the script's file."""
    write_text(SCRIPT, text)


def _name(option: str) -> str:
    return option.partition("=")[0].removeprefix("--")
