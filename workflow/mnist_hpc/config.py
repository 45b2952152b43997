"""Read config.yaml: strict YAML, checked against the closed schema. Imports nothing heavy."""

import difflib
import re
from collections.abc import Hashable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from mnist_hpc.errors import UserError, reason

SCHEMA = Path(__file__).parents[1] / "schemas" / "config.schema.yaml"
# More than any study has; aliases can make a short file larger than the memory.
MOST_VALUES, MOST_LEVELS = 200_000, 40
FOUND_TYPES = {str: "text", bool: "true or false", int: "a whole number", float: "a number", list: "a list"}
EXPECTED_TYPES = {
    "string": "text",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "array": "a list",
    "object": "keys with values",
}


class _StrictLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the faster, if it is there
    """YAML without tags that run code, and without duplicate keys."""


def _construct_mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Hashable, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if key in seen:
            raise yaml.MarkedYAMLError(problem=f"duplicate key {key!r}", problem_mark=key_node.start_mark)
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _construct_mapping)


def _check_size(text: str) -> None:
    """Raise a YAML error for a text that tags, nesting or aliases make more of than a config can be."""
    sizes: dict[str, int] = {}
    levels: list[tuple[str | None, int]] = [(None, 0)]
    for event in yaml.parse(text, _StrictLoader):
        if getattr(event, "tag", None):
            raise yaml.MarkedYAMLError(
                problem=f"found the tag {event.tag}, expected a plain value", problem_mark=event.start_mark
            )
        if isinstance(event, yaml.CollectionStartEvent):
            levels.append((event.anchor, 1))
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, size = levels.pop()
        elif isinstance(event, yaml.ScalarEvent):
            anchor, size = event.anchor, 1
        elif isinstance(event, yaml.AliasEvent):
            anchor, size = None, sizes.get(event.anchor, 1)
        else:
            continue
        if anchor:
            sizes[anchor] = size
        levels[-1] = (levels[-1][0], levels[-1][1] + size)
        if levels[-1][1] > MOST_VALUES or len(levels) > MOST_LEVELS:
            problem = f"found more than {MOST_VALUES} values or {MOST_LEVELS} levels"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file.

    Raises:
        UserError: the file is missing or not YAML, or a mapping has the same key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
        _check_size(text)
        return yaml.load(text, _StrictLoader)  # noqa: S506  derives from SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(f"{path}{place}: {error.problem}") from None
    except (OSError, ValueError, yaml.YAMLError, TypeError) as error:
        raise UserError(f"{path}: {reason(error)}") from None


def load(path: Path, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the checked config of a study, as the file says it, with overrides merged in level by level.

    Args:
        path: of config.yaml.
        overrides: what the command line says instead; a mapping changes only the keys it names.

    Raises:
        UserError: with the place, what was found and what was expected.
    """
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: found {_found(content)}, expected keys with values, as 'dataset: mnist'")
    config = _merge(content, overrides or {})
    errors = list(_validator().iter_errors(config))
    if errors:
        # A misspelt key usually also makes another one missing: name the slip, not its consequence.
        first = min(errors, key=lambda error: (error.validator != "additionalProperties", list(map(str, error.path))))
        raise UserError(f"{path}: {_explain(first)}")
    return config


def check_variant(place: str, keys: Mapping[str, Any]) -> None:
    """Check the keys of a variant that were put together, not read; raises UserError as ``load``."""
    errors = _validator("variant").iter_errors(dict(keys))
    if errors := sorted(errors, key=lambda error: len(error.path), reverse=True):
        error = errors[0]
        raise UserError(f"{place}: {_explain(error)}")


def optimizer_arguments(name: str) -> list[str]:
    """Return the arguments of an optimiser that the schema knows."""
    definitions = _validator().schema["$defs"]
    entry = definitions["optimizer"]["else"]["properties"][name]
    return list(definitions.get(entry.get("$ref", "").rpartition("/")[2], entry)["properties"])


@cache
def _validator(definition: str | None = None) -> jsonschema.Draft202012Validator:
    """Return the validator of the schema, or of one of its definitions."""
    schema = read_yaml(SCHEMA)
    return jsonschema.Draft202012Validator(
        {"$defs": schema["$defs"], "$ref": f"#/$defs/{definition}"} if definition else schema
    )


def _merge(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in overrides.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return merged


def _explain(error: jsonschema.ValidationError) -> str:  # noqa: C901  a case each
    """Return place, found and expected of a schema error on one line."""
    place = place_of(error.absolute_path)
    expected, found = error.validator_value, _found(error.instance)
    match error.validator:
        case "additionalProperties":
            known = list(error.schema.get("properties", {}))
            unknown = next(key for key in error.instance if key not in known)
            return f"{place}: found the unknown key {unknown!r}, expected {one_of(unknown, known)}"
        case "required":
            absent = next(key for key in expected if key not in error.instance)
            return f"{place}: the key {absent!r} is missing"
        case "enum" | "const":
            return f"{place}: found {found}, expected {one_of(error.instance, expected)}"
        case "anyOf" if place.endswith(".batch_size"):
            return f"{place}: found {found}, expected a whole number from 1 or {one_of(error.instance, 'full')}"
        case "type":
            names = [expected] if isinstance(expected, str) else expected
            numeric = isinstance(error.instance, str) and re.fullmatch(
                r"[+-]?[\d.]+(e[+-]?\d+)?", error.instance.lower()
            )
            if numeric:
                names = [name for name in names if name in ("integer", "number")] or names
            text = f"{place}: found {found}, expected {' or '.join(EXPECTED_TYPES[name] for name in names)}"
            if numeric:
                text += "; write it without quotes, and 1.0e-3 rather than 1e-3, which YAML takes for text"
            return text
        case "pattern" if error.schema.get("description"):
            return f"{place}: found {found}, expected {expected} ({error.schema['description']})"
        case "exclusiveMinimum":
            return f"{place}: found {found}, expected more than {expected}"
        case "minimum":
            return f"{place}: found {found}, expected {expected} or more"
        case "exclusiveMaximum":
            return f"{place}: found {found}, expected less than {expected}"
        case "maximum":
            return f"{place}: found {found}, expected {expected} or less"
    return f"{place}: found {found}; {error.message}"


def place_of(path: Any) -> str:
    """Return a place in the config as people write it: variants.cnn.layers[2].Dense."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".") or "top level"


def _found(value: Any) -> str:
    if value is None or isinstance(value, dict):
        return "nothing" if not value else f"the keys {', '.join(map(str, value))}"
    return f"{value!r} ({FOUND_TYPES[type(value)]})" if type(value) in FOUND_TYPES else repr(value)


def one_of(word: Any, known: Any) -> str:
    """Name what was expected, the nearest first."""
    known = [known] if isinstance(known, str | int) else list(known)
    near = difflib.get_close_matches(str(word), list(map(str, known)), n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    if not known:
        return f"none here{hint}"
    return f"{'one of ' if len(known) > 1 else ''}{', '.join(map(str, known))}{hint}"
