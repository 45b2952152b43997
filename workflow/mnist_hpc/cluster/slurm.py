"""Query Slurm by its own commands: what is in the queue, and how jobs ended."""

import getpass
import re
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from mnist_hpc.errors import UserError, reason

# Where the executor plugin writes one log per job, named by its number.
LOGS = Path("logs/slurm")
# What slurmstepd logs when it, or the kernel, kills a step for its memory.
SHORT_OF_MEMORY = re.compile(
    r"^slurmstepd\S*: error: .*(?:oom[-_ ]kill|exceeded (?:job )?memory limit)", re.MULTILINE | re.IGNORECASE
)
# States of a job that is in the queue but does not run.
WAITING = {"PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"}
# What squeue may show instead of a job's state, also after its end.
FLAGS = {"RESIZING", "SIGNALING", "STAGE_OUT", "STOPPED"}
# States of a job that has not ended.
UNDER_WAY = WAITING | FLAGS | {"RUNNING", "SUSPENDED", "COMPLETING", "CONFIGURING"}


def ask(*command: str, timeout: float = 60.0, stdin: str | None = None) -> str:
    """Return what a command prints.

    Raises:
        UserError: The command is missing, cannot be started, hangs or fails. The text is then all that it printed, on
            one line, or our own error line if the command ran one of our programs in a job.
    """
    try:
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, check=False, timeout=timeout, input=stdin
        )
    except FileNotFoundError:
        raise UserError(f"{command[0]} not found; run this on a login node of the cluster") from None
    except subprocess.TimeoutExpired:
        raise UserError(f"{command[0]} gave no answer in {timeout:g} s; is Slurm under maintenance?") from None
    except (OSError, UnicodeError) as error:  # such as no process left for this user
        raise UserError(f"{command[0]}: {reason(error)}") from None
    if done.returncode:
        raise UserError(sentence(done.stderr + done.stdout) or f"{command[0]} failed with exit code {done.returncode}")
    return done.stdout.strip()


def rows(output: str, columns: int) -> list[list[str]]:
    """Return the rows of a table with | between its columns, without other lines, such as the name of a cluster."""
    found = (line.split("|", columns - 1) for line in output.splitlines())
    return [row for row in found if len(row) == columns]


def sentence(output: str) -> str:
    """Return what a command of Slurm printed as an error, on one line and without the names of commands."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    lines = [line for line in lines if line.startswith("mnist_hpc: ")] or lines
    return "; ".join(re.sub(r"^\w+: (error: )?", "", line) for line in lines)


def refusal(message: str) -> str:
    """Return Slurm's own words in the Slurm plugin's message about a refused submission, on one line."""
    said = [line for line in message.splitlines() if "sbatch: error:" in line]
    if not said:
        return message.partition("\n")[0].strip()
    return sentence("\n".join(line[line.index("sbatch:") :].rstrip("'.") for line in said))


@dataclass(frozen=True)
class Job:
    """What Slurm knows about a job.

    Attributes:
        number: Job number.
        state: Slurm's state, such as RUNNING or PENDING.
        reason: Why a pending job waits, in Slurm's words.
        nodes: Nodes that it runs or ran on; empty before it starts.
        name: Its name, which all jobs of a run share.
        folder: Folder in which it was submitted.
    """

    number: str
    state: str
    reason: str = ""
    nodes: str = ""
    name: str = ""
    folder: str = ""

    @property
    def waits(self) -> bool:
        """Whether it is in the queue and does not run."""
        return self.state in WAITING

    def __str__(self) -> str:
        return f"job {self.number} ({self.state.lower()}, {self.nodes or self.reason})"


def queue(*options: str) -> dict[str, Job]:
    """Return the user's jobs that squeue lists with these options, by number; one query of slurmctld."""
    command = ("squeue", "--me", "--noheader", "--format=%A|%T|%N|%r|%Z|%j", *options)
    found = {}
    for number, state, nodes, why, folder, name in rows(ask(*command), 6):
        found[number] = Job(number, state, why, nodes, name, folder)
    return found


def ended(numbers: Collection[str]) -> dict[str, Job]:
    """Return what accounting knows about jobs, by number; one query of slurmdbd. Jobs unknown to it are left out.

    A job is out of memory if one of its steps was, although Slurm may report the job itself as FAILED.
    """
    found: dict[str, Job] = {}
    fields = ("sacct", "--noheader", "--parsable2", "--format=JobIDRaw,State,NodeList")
    for line in ask(*fields, f"--jobs={','.join(numbers)}").splitlines():
        number, state, nodes = line.split("|")
        number, _, step = number.partition(".")
        word = state.partition(" ")[0]  # without the user of "CANCELLED by 1234"
        if not step:
            found[number] = Job(number, word, nodes=nodes)
        elif word == "OUT_OF_MEMORY" and number in found:
            found[number] = Job(number, word, nodes=found[number].nodes)
    return found


def out_of_memory(log: Path) -> bool:
    """Return whether the log of a job says that a step was killed for its memory.

    Accounting may take seconds to know it, and never knows it on nodes without cgroups.
    """
    return log.exists() and bool(SHORT_OF_MEMORY.search(log.read_text(errors="replace")))


def cancel(*options: str) -> None:
    """Cancel the user's jobs with these options of scancel, such as numbers or ``--name``."""
    ask("scancel", "--quiet", f"--user={getpass.getuser()}", *options)
