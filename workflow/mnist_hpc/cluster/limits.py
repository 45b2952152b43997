"""The limits of the user's account and quality of service (QOS), according to Slurm's accounting.

Slurm accepts most jobs that violate them, and never starts these. Where accounting does not answer, or Slurm does not
enforce its limits, no limit is known; the reason why a job waits then tells.
"""

import getpass
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from mnist_hpc.cluster import slurm
from mnist_hpc.cluster.partitions import minutes
from mnist_hpc.cluster.request import Request
from mnist_hpc.errors import UserError

# Accounting may be slow where the rest of Slurm is not; what it knows is not worth waiting longer for, s.
PATIENCE = 15.0
Row = dict[str, str]
ASSOCIATION = ("cluster", "defaultaccount", "account", "partition", "qos", "defaultqos", "maxwall", "maxsubmit")
QOS = ("name", "flags", "maxwall", "maxsubmitpu", "maxsubmitpa", "grpsubmit")


@dataclass(frozen=True)
class Limit:
    """A limit, and whose it is.

    Attributes:
        owner: "QOS long" or "account abc".
        value: Minutes, or number of jobs.
    """

    owner: str
    value: int


class Limits:
    """The user's accounts and their limits.

    Attributes:
        associations: Rows of accounting for the user on this cluster, with ``ASSOCIATION`` as columns.
    """

    def __init__(self) -> None:
        """Ask accounting; three queries, none of which takes long or must succeed."""
        config = _optional("scontrol", "show", "config")
        cluster = re.search(r"^ClusterName\s*=\s*(\S+)", config, re.MULTILINE)
        self.enforced = bool(re.search(r"^AccountingStorageEnforce\s*=.*\b(limits|safe)\b", config, re.MULTILINE))
        rows = _table(ASSOCIATION, "user", getpass.getuser(), "withassoc") if cluster else []
        self.associations = [row for row in rows if cluster and row["cluster"].lower() == cluster[1].lower()]
        self._used: dict[str, list[str]] = {}
        self._qos = {row["name"]: row for row in _table(QOS, "qos")} if self.enforced else {}

    @cached_property
    def _qos_of_partition(self) -> dict[str, str]:
        """The QOS of each partition that has one; one query."""
        shown = _optional("scontrol", "--oneliner", "show", "partition") if self._qos else ""
        return dict(re.findall(r"^PartitionName=(\S+).*? QoS=(\S+)", shown, re.MULTILINE))

    def account(self, request: Request) -> str:
        """Return the account of a request, or the user's default; empty if it is not known."""
        default = self.associations[0]["defaultaccount"] if self.associations else ""
        return (request.option("account") or default).lower()

    @property
    def accounts(self) -> list[str]:
        """The accounts that the user may name; none if they are not known."""
        return list(dict.fromkeys(row["account"] for row in self.associations))

    def qos_of(self, request: Request) -> list[str]:
        """Return the QOS that the request's account may use; none if they are not known."""
        return [name for name in self._association(request, "").get("qos", "").split(",") if name]

    def qos(self, request: Request, partition: str) -> str:
        """Return the QOS of a request, or the default of its account."""
        row = self._association(request, partition)
        allowed = row.get("qos", "").split(",")
        default = row.get("defaultqos") or (allowed[0] if len(allowed) == 1 else "") or "normal"
        return request.option("qos").lower() or default

    def minutes(self, request: Request, partition: str) -> Limit | None:
        """Return the limit of a job's time, apart from the partition's own; None if there is none.

        The first one that is set counts: of the partition's QOS, the job's QOS, the account.
        """
        owners = self._owners(request, partition)
        return next((Limit(name, value) for name, row in owners if (value := minutes(row["maxwall"]))), None)

    def lifts_time_limit(self, request: Request, partition: str) -> bool:
        """Return whether the job's QOS lifts the time limit of the partition."""
        return "PartitionTimeLimit" in self._qos.get(self.qos(request, partition), {}).get("flags", "")

    def jobs(self, request: Request, partition: str) -> Limit | None:
        """Return the smallest limit of jobs in the queue; None if there is none."""
        columns = ("maxsubmit", "maxsubmitpu", "maxsubmitpa", "grpsubmit")
        owners = self._owners(request, partition)
        found = [Limit(name, int(row[column])) for name, row in owners for column in columns if row.get(column)]
        return min(found, key=lambda limit: limit.value, default=None)

    def used_up(self, request: Request) -> str | None:
        """Return which minutes of the request's account are used up, as text; None if none are; one query."""
        account = self.account(request)
        if not self.enforced or not account:
            return None
        if account not in self._used:
            query = ("flags=assoc", f"users={getpass.getuser()}", f"accounts={account}")
            shown = _optional("scontrol", "--oneliner", "show", "assoc_mgr", *query)
            limits = re.findall(rf" Account={re.escape(account)} .* GrpTRESMins=(\S*)", shown, re.IGNORECASE)
            found = re.findall(r"([\w/:]+)=(\d+)\((\d+)\)", ",".join(limits))
            self._used[account] = [
                f"account {account} has used {used} of its {limit} minutes of {name}"
                for name, limit, used in found
                if int(used) >= int(limit)
            ]
        return next(iter(self._used[account]), None)

    def _association(self, request: Request, partition: str) -> Row:
        """Return the user's association with the account of a request, in this partition if there is a special one."""
        account = self.account(request)
        found = {row["partition"]: row for row in self.associations if row["account"].lower() == account}
        return found.get(partition) or found.get("") or {}

    def _owners(self, request: Request, partition: str) -> list[tuple[str, Row]]:
        """Return whose limits a job has, in the order in which they count, each with its row of accounting."""
        if not self.enforced:
            return []
        names = [self._qos_of_partition.get(partition, ""), self.qos(request, partition)]
        if "OverPartQOS" in self._qos.get(names[1], {}).get("flags", ""):
            names.reverse()
        found = [(f"QOS {name}", self._qos[name]) for name in names if name in self._qos]
        row = self._association(request, partition)
        return [*found, (f"account {row['account']}", row)] if row else found


def _table(columns: Sequence[str], *what: str) -> list[Row]:
    """Return rows of accounting, by column; none if it does not answer."""
    shown = _optional("sacctmgr", "--noheader", "--parsable2", "show", *what, f"format={','.join(columns)}")
    return [dict(zip(columns, line.split("|"), strict=False)) for line in shown.splitlines()]


def _optional(*command: str) -> str:
    """Return what a command prints; nothing if it fails."""
    try:
        return slurm.ask(*command, timeout=PATIENCE)
    except UserError:
        return ""
