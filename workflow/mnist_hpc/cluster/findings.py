"""What the doctor finds."""

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """How a finding matters; the value begins its line."""

    OK = "ok"
    NOTE = "note"  # worth knowing; a run may work nevertheless
    FIX = "FIX"  # must be fixed before a run


@dataclass(frozen=True)
class Finding:
    """Result of one check.

    Attributes:
        subject: What was checked.
        text: What was found, and what to do about it.
        level: How it matters.
    """

    subject: str
    text: str
    level: Level = Level.OK

    def __str__(self) -> str:
        return f"{self.level.value:4} {self.subject}: {self.text}"
