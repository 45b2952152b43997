"""Read config.yaml: strict YAML with the changes of the command line merged in. ``check`` says whether it is valid."""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from mnist_hpc.errors import UserError, reason
from mnist_hpc.study import finite

# Data sets that the project knows; a config may add others.
DATASETS_FILE = Path(__file__).parents[2] / "datasets.yaml"


class StrictLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the faster one, if it exists
    """YAML without tags that run code, and without duplicate keys."""


def _construct_mapping(loader: StrictLoader, node: yaml.MappingNode) -> dict[Hashable, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
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
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: found {type(content).__name__}, expected keys with values, as 'dataset: mnist'")
    merged = _merge(_merge({"datasets": read_yaml(DATASETS_FILE)}, content), overrides or {})
    try:
        finite.check(merged)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return merged


def _merge(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in overrides.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return merged
