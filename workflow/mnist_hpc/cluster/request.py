"""What a job requests from Slurm."""

import re
import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mnist_hpc.errors import UserError

# Snakemake resources that are options of sbatch, by the names of both.
OPTIONS = {
    "slurm_account": "account",
    "slurm_partition": "partition",
    "qos": "qos",
    "constraint": "constraint",
    "nodes": "nodes",
    "tasks": "ntasks",
    "gres": "gres",
}
# Short options of sbatch that matter here.
SHORT = {"A": "account", "p": "partition", "q": "qos", "C": "constraint", "N": "nodes", "n": "ntasks", "G": "gpus"}


@dataclass(frozen=True)
class Request:
    """What a job requests.

    Attributes:
        runtime: Time limit, minutes.
        mem_mb: Memory, MB; 0 for the partition's default.
        cpus: CPUs of the job; 0 for the partition's default.
        options: Further options of sbatch, such as account, partition and GPUs.
        extra: The resource ``slurm_extra``, which is part of the options.
    """

    runtime: int
    mem_mb: int
    cpus: int
    options: tuple[str, ...]
    extra: str = ""

    @classmethod
    def of(cls, resources: Mapping[str, Any], threads: int, settings: Mapping[str, Any] | None = None) -> "Request":
        """Return the request of a job with these Snakemake resources, and qos and reservation of the executor.

        Raises:
            UserError: A quote in ``slurm_extra`` is not closed.
        """
        options = [
            f"--{option}={resources[name]}" for name, option in OPTIONS.items() if resources.get(name) not in (None, "")
        ]
        model, gpus = resources.get("gpu_model"), resources.get("gpu")
        if model or gpus:
            options.append(f"--gpus={model}:{gpus or 1}" if model else f"--gpus={gpus}")
        of_all = settings or {}
        options += [f"--{name}={of_all[name]}" for name in ("qos", "reservation") if of_all.get(name)]
        extra = str(resources.get("slurm_extra") or "")
        cpus = resources.get("cpus_per_task") or threads
        runtime, mem_mb = (int(resources.get(name) or 0) for name in ("runtime", "mem_mb"))
        try:
            options += shlex.split(extra)
        except ValueError:
            raise UserError(
                f"slurm_extra: found {extra}, in which a quote is not closed; expected quotes around each option"
            ) from None
        return cls(runtime, mem_mb, max(cpus, 0), tuple(options), extra)

    @property
    def arguments(self) -> list[str]:
        """Options of sbatch and srun."""
        sizes = {"--time": self.runtime, "--mem": self.mem_mb, "--cpus-per-task": self.cpus}
        return [*(f"{option}={value}" for option, value in sizes.items() if value), *self.options]

    @cached_property
    def _values(self) -> dict[str, str]:
        """The options with their values, by long name; the last of equal ones, as for sbatch."""
        found = {}
        for text, following in zip(self.options, [*self.options[1:], ""], strict=False):
            match = re.fullmatch(r"--([\w-]+)(?:=(.*))?|-(\w)=?(.*)", text, re.DOTALL)
            if match:
                name, value = match[1] or SHORT.get(match[3], match[3]), match[2] or match[4]
                found[name] = value or ("" if following.startswith("-") else following)
        return found

    def option(self, name: str) -> str:
        """Return the value of an option; empty if it is not given."""
        return self._values.get(name, "")

    def count(self, name: str) -> int:
        """Return the number that an option, such as ``nodes``, begins with; 1 if it is not given."""
        match = re.match(r"\d+", self.option(name))
        return int(match[0]) if match else 1

    @property
    def gpus_by_type(self) -> dict[str, int]:
        """The GPUs of the job, on all its nodes, by type; those of any type have an empty one."""
        nodes = self.count("nodes")
        times = {"gpus": 1, "gpus-per-node": nodes, "gpus-per-socket": nodes, "gpus-per-task": self.count("ntasks")}
        lists = [(re.sub(r"(^|,)(?=.)", r"\1gpu:", self.option(name)), factor) for name, factor in times.items()]
        ways = [
            {kind: number * factor for kind, number in gpus_in(listed).items()}
            for listed, factor in [*lists, (self.option("gres"), nodes)]
        ]
        return max(ways, key=lambda found: sum(found.values()))

    @property
    def gpus(self) -> int:
        """The number of GPUs of the job."""
        return sum(self.gpus_by_type.values())

    def __str__(self) -> str:
        return " ".join(text for text in self.arguments if not text.startswith("--signal"))


def gpus_in(resources: str) -> dict[str, int]:
    """Return the GPUs in a list of generic or trackable resources, by type; an entry without a type has an empty one.

    Examples of such lists: ``gpu:v100:2,nvme:1``, ``gpu:a100:4(S:0-1)``, ``cpu=1,gres/gpu=2,gres/gpu:v100=2``.
    """
    found: Counter[str] = Counter()
    for entry in re.sub(r"\([^)]*\)", "", resources).split(","):
        name, *words = re.split("[:=]", entry.strip().removeprefix("gres/").removeprefix("gres:"))
        if name == "gpu":
            number = int(words.pop()) if words and words[-1].isdecimal() else 1
            found[":".join(words)] += number
    return dict(found)
