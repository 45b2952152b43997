"""Query Slurm by its own commands: would it accept a job, what is in the queue, how did a job end."""

import re
import shlex
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_hpc.errors import UserError
from mnist_hpc.study import layout

WAIT_SECONDS = 5.0
# Where the executor plugin writes one log per job, named by its number.
LOGS = Path("logs/slurm")
# What slurmstepd logs when it, or the kernel, kills a step for its memory.
SHORT_OF_MEMORY = re.compile(
    r"^slurmstepd\S*: error: .*(?:oom[-_ ]kill|exceeded (?:job )?memory limit)", re.MULTILINE | re.IGNORECASE
)


def ask(*command: str, timeout: float = 60.0) -> str:
    """Return what a command prints.

    Raises:
        UserError: the command is missing, hangs, or fails; then the text is its last line, or our own line in a job.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)  # noqa: S603
    except FileNotFoundError:
        raise UserError(f"{command[0]} not found; run this on a login node of the cluster") from None
    except subprocess.TimeoutExpired:
        raise UserError(f"{command[0]} gave no answer in {timeout:g} s; is Slurm under maintenance?") from None
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        lines = [line for line in lines if line.startswith("mnist_hpc: ")] or lines
        raise UserError(re.sub(r"^\w+: (error: )?", "", lines[-1].strip()) if lines else f"{command[0]} failed")
    return done.stdout.strip()


@dataclass(frozen=True)
class Request:
    """What a job requests.

    Attributes:
        runtime: Time limit, minutes.
        mem_mb: Memory, MB; 0 for the partition's default.
        cpus: CPUs of the job; 0 for the partition's default.
        options: Further options of sbatch, such as account, partition and GPUs.
    """

    runtime: int
    mem_mb: int
    cpus: int
    options: tuple[str, ...]

    @classmethod
    def of(cls, resources: Mapping[str, Any], threads: int) -> "Request":
        """Return the request of a job with these Snakemake resources."""
        names = {"slurm_account": "--account", "slurm_partition": "--partition", "qos": "--qos"}
        names |= {"constraint": "--constraint", "nodes": "--nodes", "tasks": "--ntasks", "gres": "--gres"}
        options = [
            f"{option}={resources[name]}" for name, option in names.items() if resources.get(name) not in (None, "")
        ]
        options += shlex.split(str(resources.get("slurm_extra") or ""))
        cpus = resources.get("cpus_per_task") or threads
        return cls(int(resources.get("runtime") or 0), int(resources.get("mem_mb") or 0), max(cpus, 0), tuple(options))

    @property
    def arguments(self) -> list[str]:
        """Options of sbatch and srun."""
        sizes = {"--time": self.runtime, "--mem": self.mem_mb, "--cpus-per-task": self.cpus}
        return [*(f"{option}={value}" for option, value in sizes.items() if value), *self.options]

    @property
    def gpus(self) -> int:
        """Number of GPUs on the job's one node."""
        for option in self.options:
            if match := re.match(r"--(?:gpus-per-node|gres)=(?:gpu:)?(?:[\w.-]+:)?(\d+)$", option):
                return int(match[1])
        return 0

    def option(self, name: str) -> str:
        """Return the value of an option; empty if it is not given."""
        return next((text.partition("=")[2] for text in self.options if text.startswith(f"--{name}=")), "")

    def __str__(self) -> str:
        return " ".join(text for text in self.arguments if not text.startswith("--signal"))


def refusal(request: Request) -> str | None:
    """Return on one line why Slurm would not run a job, or None if it would."""
    try:
        ask("sbatch", "--test-only", *request.arguments, "--wrap=true")
        return _too_long(request)
    except UserError as error:
        text = str(error).removeprefix("allocation failure: ")
    hints = {
        "account": ("slurm_account", "`sacctmgr show assoc user=$USER format=account` lists yours"),
        "partition": ("slurm_partition", "`sinfo -s` lists them"),
        "node configuration": ("slurm_extra", "`sinfo -o '%P %G %c %m'` shows the GPUs, CPUs and memory of the nodes"),
        "time limit": ("runtime", "`sinfo -s` shows the limits"),
        "qos": ("qos", "`sacctmgr show assoc user=$USER format=qos` lists yours"),
    }
    for word, (key, hint) in hints.items():
        if word in text.lower():
            return f"Slurm refuses {request}: {text}; check {key} in the profile: {hint}"
    return f"Slurm refuses {request}: {text}"


def _too_long(request: Request) -> str | None:
    """Return what to do about a time limit above the partition's: many clusters accept such a job and never run it."""
    partition = request.option("partition")
    limit = ask("sinfo", "--noheader", *([f"--partition={partition}"] if partition else []), "--format=%l")
    allowed = minutes(limit.splitlines()[0].strip()) if limit else None
    if allowed is None or request.runtime <= allowed:
        return None
    return (
        f"{partition or 'the default partition'} allows {allowed} minutes and a job requests {request.runtime} "
        "(its training and evaluation together); lower the variant's runtime: the training continues in the next job"
    )


def minutes(text: str) -> int | None:
    """Convert a time limit of Slurm, [days-][hours:]minutes:seconds, to minutes; None for no limit."""
    match = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", text)
    if not match:
        return None
    days, hours, mins, _ = (int(part or 0) for part in match.groups())
    return (days * 24 + hours) * 60 + mins


@dataclass(frozen=True)
class Job:
    """A job in the queue.

    Attributes:
        number: Job number.
        state: Slurm's state, such as RUNNING or PENDING.
        place: Nodes of the job, or why it waits.
        work: Block or part that it works on.
    """

    number: str
    state: str
    place: str
    work: layout.Work

    def __str__(self) -> str:
        return f"job {self.number} ({self.state.lower()}, {self.place}), {self.work}"


def jobs_of(folder: Path) -> list[Job]:
    """Return the user's jobs in the queue that belong to the workflow of a folder."""
    found = []
    for line in ask("squeue", "--me", "--noheader", "--format=%i|%T|%R|%Z").splitlines():
        number, state, place, workdir = line.split("|", 3)
        if Path(workdir).resolve() != folder.resolve():
            continue
        try:
            script = ask("scontrol", "write", "batch_script", number, "-")
        except UserError:
            continue  # it has ended meanwhile
        if work := layout.find(script):
            found.append(Job(number, state, place, work))
    return found


def wait_for(folder: Path) -> None:
    """Wait until no job of a folder's workflow is in the queue."""
    while jobs_of(folder):
        time.sleep(WAIT_SECONDS)


def main_process(folder: Path) -> int | None:
    """Return the id of the process that runs the workflow of a folder on this machine, or None."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_text().split("\0")
            here = (process / "cwd").resolve() == folder.resolve()
        except OSError:
            continue  # it has ended, or belongs to another user
        started = any(Path(word).name == "snakemake" for word in words[:2])
        if here and started and "--mode" not in words:
            return int(process.name)
    return None


def state(number: str, logs: Path = LOGS) -> str:
    """Return the state in which a job ended, such as OUT_OF_MEMORY; UNKNOWN if nothing is recorded.

    A job is out of memory if one of its steps was, although Slurm reports the job itself as FAILED. Its log says so at
    once; accounting may take seconds, and does not know it on nodes without cgroups.
    """
    if not number:
        return "UNKNOWN"
    for log in logs.rglob(f"{number}.log"):
        if SHORT_OF_MEMORY.search(log.read_text(errors="replace")):
            return "OUT_OF_MEMORY"
    try:
        states = [line.split()[0] for line in ask("sacct", "-n", "-P", "-j", number, "-o", "State").splitlines()]
    except UserError:
        return "UNKNOWN"
    if "OUT_OF_MEMORY" in states:
        return "OUT_OF_MEMORY"
    return states[0] if states else "UNKNOWN"
