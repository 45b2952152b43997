"""Read config.yaml: strict YAML with the changes of the command line merged in. ``check`` says whether it is valid."""

import contextlib
import json
import re
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from mnist_hpc.errors import UserError, reason
from mnist_hpc.study import finite

# Data sets that the project knows; a config may add others.
DATASETS_FILE = Path(__file__).parents[2] / "datasets.yaml"

# What is a number. YAML 1.1 has more: 2:00:00 is 7200 there, in base 60, and 010 is 8.
NUMBERS = {
    "tag:yaml.org,2002:int": r"[-+]?(0|[1-9][0-9_]*)$",
    "tag:yaml.org,2002:float": r"[-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)([eE][-+][0-9]+)?$|[-+]?\.(inf|Inf|INF)$"
    r"|\.(nan|NaN|NAN)$",
}
MERGE_KEY = "tag:yaml.org,2002:merge"


class StrictLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the faster one, if it exists
    """YAML without tags that run code, without duplicate keys, and with decimal numbers alone."""


StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag not in NUMBERS]
    for first, found in StrictLoader.yaml_implicit_resolvers.items()
}
for tag, pattern in NUMBERS.items():
    StrictLoader.add_implicit_resolver(tag, re.compile(pattern), list("-+.0123456789"))


def _construct_mapping(loader: StrictLoader, node: yaml.MappingNode) -> dict[Hashable, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        if key_node.tag == MERGE_KEY:
            problem = (
                "found the merge key <<, which is not supported here; share keys with base, layers with layer_groups"
            )
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
        key = loader.construct_object(key_node)
        if key in seen:
            raise yaml.MarkedYAMLError(problem=f"duplicate key {key!r}", problem_mark=key_node.start_mark)
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _construct_mapping)


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file; raise UserError if it is not YAML, or a mapping has the same key twice."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), StrictLoader)  # noqa: S506  derives from SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(f"{path}{place}: {error.problem}") from None
    except (OSError, ValueError, yaml.YAMLError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: {reason(error)}") from None


def read(path: Path, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the config of a study, with the known data sets and the overrides merged in level by level.

    It is unchecked, but for being YAML with finite numbers; raise UserError otherwise.
    """
    merged = _merge(_merge({"datasets": read_yaml(DATASETS_FILE)}, _read_keys(path)), overrides or {})
    try:
        finite.check(merged)
    except UserError as error:
        raise UserError(f"{path}: {reason(error)}") from None
    return merged


def changes(files: Iterable[Path], pairs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys that Snakemake's command line changes: those of files (--configfile), then pairs (--config).

    The files are read as strictly as config.yaml, which Snakemake does not do.
    """
    merged: dict[str, Any] = {}
    for path in files:
        merged = _merge(merged, _read_keys(path))
    return _merge(merged, typed(pairs))


def value_of(text: str) -> Any:
    """Return the value that a text on the command line stands for; raise ValueError if it is neither JSON nor YAML.

    JSON is how the workflow passes values on to its own commands; as YAML, its 1e-05 would be text.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return typed(yaml.load(text, yaml.BaseLoader))  # noqa: S506  makes texts, lists and mappings, nothing else
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(reason(error)) from None


def typed(value: Any) -> Any:
    """Return a value with the numbers, flags and nulls that its texts stand for.

    Snakemake's --config leaves all that is inside a mapping or list as text.
    """
    if isinstance(value, Mapping):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    return _scalar(value) if isinstance(value, str) else value


def _scalar(text: str) -> Any:
    for load in (json.loads, lambda text: yaml.load(text, StrictLoader)):  # noqa: S506  derives from SafeLoader
        with contextlib.suppress(ValueError, TypeError, yaml.YAMLError):
            found = load(text)
            if found is None or isinstance(found, str | int | float):
                return found
    return text


def _read_keys(path: Path) -> dict[str, Any]:
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: found {type(content).__name__}, expected keys with values, as 'dataset: mnist'")
    return content


def _merge(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in overrides.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return merged
