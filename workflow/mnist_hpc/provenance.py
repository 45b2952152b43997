"""What a result was made from: the hashes of its specification and of the code of its stage."""

import ast
import hashlib
import json
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from mnist_hpc import __version__, storage

PACKAGE = Path(__file__).parent
HASH_DIGITS = 12
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)

# The modules a stage starts from; the modules they import, and so on, are found by following them.
STAGES = {
    "fetch": ("download",),
    "convert": ("datasets",),
    "train": ("training",),
    "evaluate": ("evaluation", "metrics"),
    "sweep": ("sweep",),
    "rank": ("ranking",),
    "tabulate": ("tables", "comparisons", "ensembles"),
}


def specification_hash(specification: Any) -> str:
    """Return a short hash of a JSON value; the order of keys makes no difference."""
    return hashlib.sha256(json.dumps(specification, sort_keys=True).encode()).hexdigest()[:HASH_DIGITS]


@cache
def code_hash(stage: str, package: Path = PACKAGE) -> str:
    """Return a short hash of the code a stage, or a module, runs, without its comments, docstrings and layout.

    Covers the stage's module and every module of this package that it imports, however indirectly, also from
    inside functions. Versions of libraries are not part of it.
    """
    digest = hashlib.sha256()
    for module in sorted(set().union(*(imported(start, package) for start in STAGES.get(stage, (stage,))))):
        digest.update(module.encode())
        digest.update(ast.dump(_syntax_tree(module, package)).encode())
    return digest.hexdigest()[:HASH_DIGITS]


def imported(module: str, package: Path = PACKAGE) -> set[str]:
    """Return a module of this package and all modules of the package that it needs, by name."""
    found: set[str] = set()
    todo = {module}
    while todo:
        found.add(current := todo.pop())
        for node in ast.walk(_syntax_tree(current, package)):
            if isinstance(node, ast.ImportFrom):
                origin = ".".join(filter(None, [package.name if node.level else "", node.module]))
                full = [origin, *(f"{origin}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                full = [alias.name for alias in node.names]
            else:
                continue
            names = {name.partition(".")[2] for name in full if name.startswith(f"{package.name}.")}
            todo |= {name for name in names if _source(name, package).exists()} - found
    return found


def _source(module: str, package: Path) -> Path:
    """Return the file of a module, as ``tables`` or ``figures.style``."""
    place = package.joinpath(*module.split("."))
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


@cache
def _syntax_tree(module: str, package: Path) -> ast.Module:
    """Return a module's syntax tree without docstrings."""
    tree = ast.parse(_source(module, package).read_text())
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return tree


def now() -> str:
    """Return the time, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write(path: Path, facts: Mapping[str, Any]) -> None:
    """Write facts, with those of this process, as JSON; results/README.md describes the keys."""
    own = {
        "finished": now(),
        "commit": commit(),
        "command": sys.orig_argv,
        "host": platform.node(),
        "python": platform.python_version(),
        "version": __version__,
    }
    with storage.atomic(path) as temporary:
        temporary.write_text(json.dumps({**facts, **own}, indent=2, sort_keys=True) + "\n")


def file_hash(path: Path) -> str | None:
    """Return the SHA-256 of a file, None if it is not there."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


def commit() -> str:
    """Return the commit of the code that runs, with "+changes" if files differ from it; empty outside of git."""
    git = ("git", "-C", str(PACKAGE))
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)  # noqa: S603
        changes = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head.stdout.strip()[:HASH_DIGITS] + ("+changes" if changes.stdout else "")
