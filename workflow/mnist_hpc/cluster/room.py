"""Space and files that are left for the results, by the file system and by quotas."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from mnist_hpc.cluster.findings import Finding, Level

FREE_GB = 5.0
FREE_FILES = 10_000
# Time limit of a command that reports quotas, s; some hang when a server is away.
PATIENCE = 5.0


def examine(results: Path) -> Iterator[Finding]:
    """Yield whether there is enough space, and inodes, for the results."""
    place = next(path for path in (results.absolute(), *results.absolute().parents) if path.exists())
    system = os.statvfs(place)
    files = system.f_favail if system.f_files else None  # some file systems have no fixed number of inodes
    yield _finding("space", f"under {place}", system.f_bavail * system.f_frsize / 1e9, files)
    seen = False
    for owner, gigabytes, files in quotas(place):
        seen = True
        yield _finding("quota", f"for {owner} under {place}", gigabytes, files)
    if not seen:
        yield Finding("quota", "none is visible here; the site may have a command of its own that shows quotas")


def _finding(subject: str, where: str, gigabytes: float | None, files: int | None) -> Finding:
    """Return whether what is left, None for no limit, is enough."""
    parts = [] if gigabytes is None else [f"{gigabytes:.0f} GB"]
    parts += [] if files is None else [f"{files} files"]
    text = f"{' and '.join(parts)} left {where}"
    few = (gigabytes is not None and gigabytes < FREE_GB) or (files is not None and files < FREE_FILES)
    if few:
        text += f", expected {FREE_GB:g} GB and {FREE_FILES} files: move the folder to the project's file system"
    return Finding(subject, text, Level.FIX if few else Level.OK)


def quotas(place: Path) -> Iterator[tuple[str, float | None, int | None]]:
    """Yield whose quotas there are for a folder, with the gigabytes and files that are left; None for no limit."""
    device, kind = mount(place)
    if kind == "lustre":
        commands = {
            "you": ["lfs", "quota", "-q", "-u", str(os.getuid()), str(place)],
            "your group": ["lfs", "quota", "-q", "-g", str(place.stat().st_gid), str(place)],
        }
    else:
        commands = {"you": ["quota", "-w", "-p"]}
    for owner, command in commands.items():
        for line in _output(command).splitlines():
            # Blocks of 1 kB that are used, their soft and hard limit, grace time; the same of files. Before them stands
            # the name of the file system, which `lfs` writes on a line of its own if it is long.
            name, words = line.split()[:-8], line.split()[-8:]
            if len(words) == 8 and (kind == "lustre" or name == [device]):
                blocks, files = _left(words[:3]), _left(words[4:7])
                if blocks is not None or files is not None:
                    yield owner, None if blocks is None else blocks * 1024 / 1e9, files


def _left(words: list[str]) -> int | None:
    """Return what is left of a quota, of its use and its two limits; None if it has no limit, which 0 means."""
    try:
        used, *limits = (int(word.rstrip("*")) for word in words)
    except ValueError:
        return None
    return max(min(limit for limit in limits if limit) - used, 0) if any(limits) else None


def mount(place: Path) -> tuple[str, str]:
    """Return the device and the kind of the file system of a folder; empty if the kernel does not say."""
    found = ("", "", "")
    for line in Path("/proc/mounts").read_text().splitlines():
        device, point, kind = line.split()[:3]
        point = point.replace("\\040", " ")
        if place.resolve().is_relative_to(point) and len(point) >= len(found[0]):
            found = (point, device, kind)
    return found[1:]


def _output(command: list[str]) -> str:
    """Return what a command prints; nothing if it does not exist or hangs."""
    if not shutil.which(command[0]):
        return ""
    try:
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
