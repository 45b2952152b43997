"""Validate a config against the closed schema, and explain the first error on one line."""

import difflib
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

from mnist_hpc.errors import UserError
from mnist_hpc.study.config import read_yaml

SCHEMA = Path(__file__).parents[2] / "schemas" / "config.schema.yaml"
FOUND_TYPES = {str: "text", bool: "true or false", int: "a whole number", float: "a number", list: "a list"}
EXPECTED_TYPES = {
    "string": "text",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "array": "a list",
    "object": "keys with values",
}
BOUNDS = {
    "exclusiveMinimum": "more than {}",
    "minimum": "{} or more",
    "exclusiveMaximum": "less than {}",
    "maximum": "{} or less",
}


# JSON Schema takes 5.0 for a whole number; a layer or a loop does not.
Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)


def validate(content: Mapping[str, Any]) -> None:
    """Raise UserError for the first error of a config."""
    groups = content.get("layer_groups")
    if errors := list(_validator(groups=tuple(groups) if isinstance(groups, Mapping) else ()).iter_errors(content)):
        # A misspelt key often makes another one missing: report the former.
        first = min(errors, key=lambda error: (error.validator != "additionalProperties", list(map(str, error.path))))
        raise UserError(_explain(first))


def validate_variant(place: str, keys: Mapping[str, Any]) -> None:
    """Raise UserError for the first error of the keys of a variant."""
    if errors := sorted(_validator("variant").iter_errors(dict(keys)), key=lambda error: -len(error.path)):
        raise UserError(f"{place}: {_explain(errors[0])}")


def optimizer_arguments(name: str) -> list[str]:
    """Return the arguments of an optimiser that the schema knows."""
    definitions = _validator().schema["$defs"]
    entry = definitions["optimizer"]["else"]["properties"][name]
    return list(_resolved(entry, definitions)["properties"])


@cache
def _validator(definition: str | None = None, groups: tuple[str, ...] = ()) -> Any:
    """Return the validator of the schema, or of one of its definitions, where groups stand for layers of a variant."""
    schema = read_yaml(SCHEMA)
    definitions = schema["$defs"]
    for name in ("layer", "optimizer", "loss"):  # without arguments, the name alone will do
        entries = definitions[name]["else"]["properties"]
        short = [key for key, entry in entries.items() if not _resolved(entry, definitions).get("required")]
        definitions[name]["then"] = {"enum": short}
    layer = definitions["layer"]
    items = layer | {"then": {"enum": [*layer["then"]["enum"], *groups]}}
    definitions["variant"]["properties"]["layers"]["items"] = items
    return Validator({"$defs": definitions, "$ref": f"#/$defs/{definition}"} if definition else schema)


def _resolved(entry: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    return definitions[entry["$ref"].rpartition("/")[2]] if "$ref" in entry else entry


def _explain(error: jsonschema.ValidationError) -> str:
    """Return place, found and expected of a schema error on one line."""
    place, expected, found = place_of(error.absolute_path), error.validator_value, _found(error.instance)
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
        case "anyOf" if place.endswith("batch_size"):
            return f"{place}: found {found}, expected a whole number from 1 or {one_of(error.instance, 'full')}"
        case "type":
            return f"{place}: found {found}, expected {_expected_type(error.instance, expected)}"
        case "pattern" if error.schema.get("description"):
            return f"{place}: found {found}, expected {expected} ({error.schema['description']})"
        case bound if bound in BOUNDS:
            return f"{place}: found {found}, expected {BOUNDS[bound].format(expected)}"
    return f"{place}: found {found}; {error.message}"


def _expected_type(value: Any, expected: Any) -> str:
    names, hint = [expected] if isinstance(expected, str) else expected, ""
    if isinstance(value, str) and re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?", value.lower()):
        names = [name for name in names if name in ("integer", "number")] or names
        hint = "; write it without quotes, and 1.0e-3 or 1.0e+3 instead of 1e-3 or 1e3, which are text in YAML"
        if "integer" in names:
            hint = "; write digits alone, without quotes, exponent or leading zeros, such as 1000"
    elif isinstance(value, str) and re.fullmatch(r"(\d+-)?\d+(:\d+)+", value) and "integer" in names:
        hint = "; write a time in minutes, such as 120"
    elif isinstance(value, float) and value.is_integer() and "integer" in names:
        hint = f"; write {int(value)}"
    return " or ".join(EXPECTED_TYPES[name] for name in names) + hint


def place_of(path: Any) -> str:
    """Return a place in the config as people write it: variants.cnn.layers[2].Dense."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".") or "top level"


def _found(value: Any) -> str:
    if value is None or isinstance(value, dict):
        return "nothing" if not value else f"the keys {', '.join(map(str, value))}"
    return f"{value!r} ({FOUND_TYPES[type(value)]})" if type(value) in FOUND_TYPES else repr(value)


def check_name(place: str, name: str, known: Iterable[str]) -> None:
    """Raise UserError if a name is none of those that are known."""
    if name not in known:
        raise UserError(f"{place}: found {name!r}, expected {one_of(name, known)}")


def one_of(word: Any, known: Any) -> str:
    """Return what was expected as text, with a hint at the nearest word."""
    known = [known] if isinstance(known, str | int) else list(known)
    texts = list(map(str, known))
    # A wrong case is the most likely mistake.
    near = [text for text in texts if text.lower() == str(word).lower()]
    near = near or difflib.get_close_matches(str(word), texts, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    if not known:
        return f"none here{hint}"
    return f"{'one of ' if len(known) > 1 else ''}{', '.join(map(str, known))}{hint}"
