"""The partitions of a cluster and what their nodes have, according to sinfo."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from mnist_hpc.cluster import slurm
from mnist_hpc.cluster.request import Request, gpus_in
from mnist_hpc.tables.text import counted

# States of nodes that start jobs, now or when those that run there have ended.
STARTING_JOBS = {"idle", "allocated", "mixed", "completing", "planned", "powering_up", "powered_down", "powering_down"}


@dataclass(frozen=True)
class Nodes:
    """Equal nodes of a partition.

    Attributes:
        number: How many there are.
        starts_jobs: Whether they are neither down nor drained nor reserved.
        gpus: Their GPUs, each node's, by type.
        cpus: CPUs of each.
        mem_mb: Memory of each, MB.
        features: Words that the option ``--constraint`` can name.
    """

    number: int
    starts_jobs: bool
    gpus: dict[str, int]
    cpus: int
    mem_mb: int
    features: frozenset[str]


@dataclass
class Partition:
    """A partition.

    Attributes:
        name: Its name.
        state: ``up``, ``down`` (jobs wait), or ``inact`` or ``drain`` (no job is accepted).
        minutes: Longest time limit of a job; None if there is none.
        nodes: Its nodes.
    """

    name: str
    state: str
    minutes: int | None
    nodes: list[Nodes] = field(default_factory=list)


def known() -> dict[str, Partition]:
    """Return all partitions by name, the default one also by the empty name; one query."""
    found: dict[str, Partition] = {}
    command = ("sinfo", "--all", "--exact", "--noheader", "--format=%P|%a|%l|%D|%T|%G|%c|%m|%f")
    for name, state, limit, number, condition, gres, cpus, memory, features in slurm.rows(slurm.ask(*command), 9):
        partition = found.setdefault(name.rstrip("*"), Partition(name.rstrip("*"), state, minutes(limit)))
        if name.endswith("*"):
            found[""] = partition
        starts_jobs = re.sub("[~#!%@^+-]+$", "", condition) in STARTING_JOBS
        words = frozenset(features.split(",")) - {"(null)"}
        partition.nodes.append(Nodes(whole(number), starts_jobs, gpus_in(gres), whole(cpus), whole(memory), words))
    return found


def of_request(request: Request, partitions: dict[str, Partition]) -> list[Partition]:
    """Return the partitions in which a request may run; none if sinfo does not list them."""
    return [partitions[name] for name in request.option("partition").split(",") if name in partitions]


def lacking(request: Request, partition: Partition) -> str | None:
    """Return what too few nodes of a partition have, as text; None if enough of them have all that a request needs.

    Nodes that are down or drained count: a job for them waits.
    """
    needs, count = _needs(request), request.count("nodes")
    who = f"no node of {partition.name} has" if count == 1 else f"fewer than {count} nodes of {partition.name} have"
    for text, has in needs.items():
        if not _enough(request, [group for group in partition.nodes if has(group)]):
            kinds = sorted({kind for group in partition.nodes for kind in group.gpus if kind})
            return f"{who} {text}" + (f" (GPU types: {', '.join(kinds)})" if kinds and "GPU" in text else "")
    fitting = [group for group in partition.nodes if all(has(group) for has in needs.values())]
    return None if _enough(request, fitting) else f"{who} {' and '.join(needs)} together"


def is_open(request: Request, nodes: list[Nodes]) -> bool:
    """Return whether enough of the nodes that a request fits on start jobs."""
    needs = _needs(request).values()
    return _enough(request, [group for group in nodes if group.starts_jobs and all(has(group) for has in needs)])


def _enough(request: Request, nodes: list[Nodes]) -> bool:
    return sum(group.number for group in nodes) >= request.count("nodes")


def _needs(request: Request) -> dict[str, Callable[[Nodes], bool]]:
    """Return what a request needs of each node, as text, and whether nodes have it."""
    count = request.count("nodes")
    gpus = {kind: -(-number // count) for kind, number in request.gpus_by_type.items()}
    cpus = request.cpus * -(-request.count("ntasks") // count)
    needs: dict[str, Callable[[Nodes], bool]] = {}
    if gpus:
        listed = (f"{counted(number, 'GPU')} {kind}".strip() for kind, number in gpus.items())
        needs[" and ".join(listed)] = lambda nodes: (
            all(nodes.gpus.get(kind, 0) >= number for kind, number in gpus.items() if kind)
            and sum(nodes.gpus.values()) >= sum(gpus.values())
        )
    if cpus:
        needs[counted(cpus, "CPU")] = lambda nodes: nodes.cpus >= cpus
    if request.mem_mb:
        needs[f"{request.mem_mb} MB of memory"] = lambda nodes: nodes.mem_mb >= request.mem_mb
    if constraint := request.option("constraint"):
        needs[f"the feature {constraint}"] = lambda nodes: satisfies(nodes.features, constraint)
    return needs or {"anything": lambda _: True}


def satisfies(features: frozenset[str], constraint: str) -> bool:
    """Return whether nodes with these features satisfy ``--constraint``; True if it is more than words, & and |."""
    if re.search(r"[\[\](){}*]", constraint):
        return True
    return any(set(re.split("[&,]", words)) <= features for words in constraint.split("|"))


def minutes(text: str) -> int | None:
    """Convert a time limit of Slurm, [days-][hours:]minutes:seconds, to minutes; None for no limit."""
    match = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", text)
    if not match:
        return None
    days, hours, mins, _ = (int(part or 0) for part in match.groups())
    return (days * 24 + hours) * 60 + mins


def whole(text: str) -> int:
    """Return the number that a text such as ``64000+`` begins with; 0 if there is none."""
    match = re.match(r"\d+", text)
    return int(match[0]) if match else 0
