"""The structure of a policy file, checked against the JSON Schema that is shipped for editors.

One definition serves both: what an editor completes is what is accepted. Only the words of JSON
Schema that the file uses are known here (a test holds the two against each other).
"""

from __future__ import annotations

import datetime as dt
import difflib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["SCHEMA_FILE", "Place", "schema", "structural_errors"]

SCHEMA_FILE = Path(__file__).parent / "data" / "taint.schema.json"

Place = tuple[str | int, ...]
"""Where in a file something stands: keys and positions from the top."""

_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "object": ((dict,), "a table"),
    "array": ((list,), "an array"),
    "string": ((str,), "a text"),
    "integer": ((int,), "a whole number"),
    "number": ((int, float), "a number"),
    "boolean": ((bool,), "true or false"),
}


@cache
def schema() -> Mapping[str, Any]:
    """Read the schema that is shipped."""
    read: Mapping[str, Any] = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    return read


def structural_errors(
    value: object, at: Mapping[str, Any] | None = None, place: Place = ()
) -> Iterator[tuple[Place, str]]:
    """Find what in a file is not as the schema says.

    Args:
        value: What was read.
        at: The part of the schema that describes it; the whole by default.
        place: Where it stands.

    Yields:
        The place of each mistake, and what was expected there.
    """
    at = schema() if at is None else at
    if "$ref" in at:
        at = {**schema()["$defs"][at["$ref"].rpartition("/")[2]], **{k: v for k, v in at.items() if k != "$ref"}}
    wrong = _kind_error(value, at)
    if wrong is not None:
        yield place, wrong
        return
    yield from _size_errors(value, at, place)
    if isinstance(value, dict):
        yield from _table_errors(value, at, place)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from structural_errors(item, at["items"], (*place, index))


def _kind_error(value: object, at: Mapping[str, Any]) -> str | None:
    """Say what is expected where a value is of the wrong kind, whatever is inside it."""
    if "const" in at:
        return None if value is at["const"] else f"{json.dumps(at['const'])} is expected, or nothing"
    if "enum" in at:
        choices = at["enum"]
        return (
            None
            if value in choices
            else f"{_said(value)} is none of {', '.join(map(repr, choices))}{_near(value, choices)}"
        )
    if at.get("format") == "date":
        return None if _is_date(value) else f"a day such as 2026-01-31 is expected, not {_said(value)}"
    named = [at["type"]] if isinstance(at["type"], str) else at["type"]
    types = tuple(kind for name in named for kind in _TYPES[name][0])
    said = " or ".join(_TYPES[name][1] for name in named)
    if isinstance(value, types) and (not isinstance(value, bool) or bool in types):
        return None
    return f"{said} is expected, not {_said(value)}"


def _size_errors(value: Any, at: Mapping[str, Any], place: Place) -> Iterator[tuple[Place, str]]:
    if len(value) < at.get("minLength", 0) if isinstance(value, str) else False:
        yield place, "a text that is not empty is expected"
    if len(value) < at.get("minItems", 0) if isinstance(value, list) else False:
        yield place, "at least one is expected; leave the key out where every one is meant"
    if isinstance(value, int | float) and not at.get("minimum", value) <= value <= at.get("maximum", value):
        yield place, f"a number from {at.get('minimum')} to {at.get('maximum', 'any')} is expected"


def _table_errors(value: dict[str, Any], at: Mapping[str, Any], place: Place) -> Iterator[tuple[Place, str]]:
    known = at.get("properties", {})
    others = at.get("additionalProperties", False)
    for key, item in value.items():
        if key in known:
            yield from structural_errors(item, known[key], (*place, key))
        elif others is False:
            yield (*place, key), f"unknown key {key!r}. Known are {', '.join(map(repr, known))}{_near(key, known)}"
        else:
            yield from structural_errors(item, others, (*place, key))
    for key in at.get("required", ()):
        if key not in value:
            yield place, f"the key {key!r} is missing"


def _near(value: object, known: Any) -> str:
    near = difflib.get_close_matches(str(value).lower(), list(known), n=1)
    return f". Did you mean {near[0]!r}?" if near else ""


def _said(value: object) -> str:
    """Name what stands there: a policy holds no personal data, but may hold a long text."""
    if isinstance(value, str | bool | int | float):
        return repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:57]}..."  # noqa: PLR2004  # Half a line.
    return "a table" if isinstance(value, dict) else "an array" if isinstance(value, list) else repr(str(value))


def _is_date(value: object) -> bool:
    if isinstance(value, str):
        try:
            dt.date.fromisoformat(value)
        except ValueError:
            return False
        return True
    return isinstance(value, dt.date) and not isinstance(value, dt.datetime)
