"""What a program declares: its sources and sinks, and which of them have been called.

Flow coverage reads it, as line coverage reads which lines there are and which ran.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["SINKS", "SOURCES", "Declarations", "declare"]

MAX_DECLARED = 10_000
"""A program that decorates in a loop, with new names, declares no more than these."""


@dataclass(slots=True)
class Declarations:
    """The declarations of one kind.

    Args:
        where: Each name and the file and line of the function.
        reached: Names of those that were called.
    """

    where: dict[str, str] = field(default_factory=dict)
    reached: set[str] = field(default_factory=set)


SOURCES = Declarations()
SINKS = Declarations()


def declare(kind: Declarations, name: str, function: Any) -> None:
    """Note that a function was decorated.

    Args:
        kind: `SOURCES` or `SINKS`.
        name: What findings name.
        function: What was decorated.
    """
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    if len(kind.where) < MAX_DECLARED:
        kind.where[name] = "" if code is None else f"{code.co_filename}:{code.co_firstlineno}"
