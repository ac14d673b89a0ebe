"""Telling quickly that a value has no label anywhere."""

import collections
import datetime as dt
import enum
from typing import Any

import pytest

import taint
from taint.propagation.follow import is_built_in


class Colour(enum.IntEnum):
    """A subclass of a built-in type."""

    RED = 1


def label(value: Any) -> Any:
    """Label a value."""
    return taint.label(value, purpose="security.mfa")


def cycle() -> list[Any]:
    """Give a list that holds itself."""
    found: list[Any] = []
    found.append(found)
    return found


def deep(depth: int) -> Any:
    """Give lists within lists."""
    found: Any = "a"
    for _ in range(depth):
        found = [found]
    return found


SHARED = ["a"]
VALUES: list[tuple[str, Any, bool]] = [
    ("leaf", "a", True),
    ("document", {"a": [1, 2.5, None, True, {"b": ("c", b"d")}]}, True),
    ("sets", [{1}, frozenset("a")], True),
    ("deep", deep(300), True),
    ("one list twice", [SHARED, SHARED], True),
    ("half of a pair of surrogates", "\ud800", True),
    ("text", {"a": [label("b")]}, False),
    ("key", {label("a"): 1}, False),
    ("bytes", [label(b"a")], False),
    ("number", (label(5),), False),
    ("date", [label(dt.date(2026, 1, 31))], False),
    ("object", [object()], False),
    ("enumeration", Colour.RED, False),
    ("subclass of dict", collections.OrderedDict(a=1), False),
    ("cycle", cycle(), False),
    ("too deep", deep(100_000), False),
]


@pytest.mark.parametrize(("value", "is_known"), [row[1:] for row in VALUES], ids=[row[0] for row in VALUES])
def test_built_in(*, value: Any, is_known: bool) -> None:
    """A value is of built-in types where all in it is, exactly; asked again after one that is not, it is told again."""
    assert is_built_in(value) is is_known
    assert is_built_in(["a"])
    assert is_built_in(value) is is_known
