"""What a Snakemake profile for a cluster says about jobs."""

import ast
import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from snakemake.exceptions import WorkflowError
from snakemake.resources import Resource

from mnist_hpc.cluster import times
from mnist_hpc.cluster.request import Request
from mnist_hpc.errors import UserError
from mnist_hpc.study import config
from mnist_hpc.study.layout import Block
from mnist_hpc.study.specification import Study

EXECUTOR = "mnist-slurm"


class Profile:
    """What a profile says about jobs.

    Attributes:
        path: Its ``config.yaml``.
        settings: Entries of the profile, by name.
    """

    def __init__(self, folder: Path) -> None:
        """Read ``config.yaml`` of a profile's folder; raise UserError if it cannot be used."""
        self.path = folder / "config.yaml"
        self.settings: dict[str, Any] = config.read_yaml(self.path) or {}
        if self.settings.get("executor") != EXECUTOR:
            raise UserError(f"{self.path}: found executor {self.settings.get('executor')!r}, expected {EXECUTOR}")
        refuse_old_keys(self.path, self.settings)
        self.defaults = dict(_as_read(*pair) for pair in _pairs(self.settings.get("default-resources")).items())
        self._rules: dict[str, dict[str, Any]] = {}
        for name, value in _pairs(self.settings.get("set-resources")).items():
            rule, _, key = name.partition(":")
            found = {key: value} if key else value
            self._rules.setdefault(rule, {}).update(_as_read(*pair) for pair in found.items())

    @property
    def executor(self) -> dict[str, Any]:
        """Settings of the executor, by name without its prefix."""
        prefix = f"{EXECUTOR}-"
        return {key.removeprefix(prefix): value for key, value in self.settings.items() if key.startswith(prefix)}

    def of_rule(self, rule: str) -> dict[str, Any]:
        """Return the resources that the profile sets for a rule; they override the rule's own."""
        return self._rules.get(rule, {})

    def requests(self, study: Study, results: Path = Path("results")) -> dict[Request, list[str]]:
        """Return the distinct requests of the study's jobs, each with the names of what they work on."""
        found: dict[Request, list[str]] = {}
        images = set(study.blocks_of_images)
        for work in study.works:
            limit = times.training_limit(study, work, results)
            if isinstance(work, Block):
                keys, rule = study.variants[work.variant].keys, "train"
                after = ["evaluate", "perturb"] if work in images else ["evaluate"]
                limits = {stage: times.evaluation_limit(study, work, results, stage) for stage in after}
            else:
                keys, rule, limits = study.sweeps[work.sweep].variant.keys, "sweep", {}
            own = {"runtime": limit, "mem_mb": keys["mem_mb"]} | self.of_rule(rule)
            own["runtime"] += sum(self.of_rule(stage).get("runtime", minutes) for stage, minutes in limits.items())
            names = found.setdefault(Request.of(self.defaults | own, keys["threads"], self.executor), [])
            if work.name not in names:
                names.append(work.name)
        return found


def refuse_old_keys(path: Path, settings: Mapping[str, Any]) -> None:
    """Raise UserError if a profile has settings of the Slurm plugin, which Snakemake would accept and ignore."""
    if old := [key for key in settings if key.startswith("slurm-")]:
        names = ", ".join(old)
        raise UserError(
            f"{path}: {names} has no effect with executor {EXECUTOR}; write {EXECUTOR}-… instead of slurm-…"
        )


def refuse_old_options(command: Sequence[str]) -> None:
    """Raise UserError if a command line of Snakemake, or a profile it names, has settings of the Slurm plugin."""
    names = [os.environ.get("SNAKEMAKE_PROFILE", "")]
    for word, following in zip(command, [*command[1:], ""], strict=True):
        option, _, value = word.partition("=")
        if option.startswith("--slurm-"):
            raise UserError(f"{option} has no effect with executor {EXECUTOR}; write --{EXECUTOR}{option[7:]}")
        if option in ("--profile", "--workflow-profile"):
            names.append(value or following)
    for name in filter(None, names):
        path = Path(name) / "config.yaml"
        if path.is_file():
            refuse_old_keys(path, config.read_yaml(path) or {})


def _pairs(entries: Any) -> dict[str, Any]:
    """Return entries of a profile, a list of name=value or a mapping, as a mapping to Python values."""
    if isinstance(entries, Mapping):
        return dict(entries)
    found: dict[str, Any] = {}
    for entry in entries or []:
        name, _, value = str(entry).partition("=")
        try:
            found[name] = ast.literal_eval(value)
        except (SyntaxError, ValueError):
            found[name] = value
    return found


def _as_read(name: str, value: Any) -> tuple[str, Any]:
    """Return a resource as Snakemake reads it: ``runtime`` in minutes, ``mem`` in MB; raise UserError if it cannot."""
    name = "mem_mb" if name == "mem" else name
    unit = {"mem_mb": "MB", "runtime": "minutes"}.get(name)
    with contextlib.suppress(WorkflowError):
        value = Resource.parse_human_friendly(name.removesuffix("_mb"), value)
    if unit and not isinstance(value, (int, float)):
        raise UserError(f"{name}: found {value!r}, expected a number of {unit}")
    return name, value
