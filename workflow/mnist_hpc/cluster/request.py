"""What a job requests from Slurm."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


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
