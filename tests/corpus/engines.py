"""What runs the corpus: an engine is what a program collects with, uses with and matches in.

An engine takes a value at collection, sees what reaches a use, and says afterwards whether it found a
leak. This library is one; the others show what is gained over less.
"""

from __future__ import annotations

import contextlib
import json
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol, Self

import taint
from taint.testing import record

__all__ = ["ENGINES", "Engine", "PurposeTaint", "SubstringMatch"]

USE = "advertising.audiences"


def _take(*values: Any) -> None:
    """Use values as a sink does: lazy ones are taken item by item."""
    for value in values:
        if isinstance(value, Iterator):
            deque(value, maxlen=0)


class Engine(Protocol):
    """What a program runs on."""

    name: str

    def __enter__(self) -> Self:
        """Begin to watch."""

    def __exit__(self, *error: object) -> None:
        """Stop watching."""

    def collect(self, value: Any, purpose: str) -> Any:
        """Take a value where it enters, with what it is collected for."""

    def use(self, *values: Any) -> None:
        """Use values for advertising."""

    def zone(self) -> AbstractContextManager[object]:
        """Give the stretch of code that works for advertising."""

    def has_found(self) -> bool:
        """Tell whether a leak was found."""


class PurposeTaint:
    """This library: labels, zones and, where they are on, known values; in report mode."""

    name = "purpose-taint"

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        taint.install()
        self._seen = self._stack.enter_context(record(mode="report"))
        self._sink = taint.sink(purpose=USE, name="corpus")(_take)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()
        taint.uninstall()

    def collect(self, value: Any, purpose: str) -> Any:
        return taint.label(value, purpose=purpose, source="corpus")

    def use(self, *values: Any) -> None:
        self._sink(*values)

    def zone(self) -> AbstractContextManager[object]:
        return taint.zone(USE)

    def has_found(self) -> bool:
        return bool(self._seen.violations)


class SubstringMatch:
    """No propagation: what was collected for another purpose is looked for, as it is, in what is used."""

    name = "substring match"

    def __enter__(self) -> Self:
        self._known: list[str] = []
        self._found = False
        return self

    def __exit__(self, *error: object) -> None:
        self._known.clear()

    def collect(self, value: Any, purpose: str) -> Any:
        if not purpose.startswith("advertising"):
            self._known.append(value if isinstance(value, str) else str(value))
        return value

    def use(self, *values: Any) -> None:
        text = json.dumps(values, default=_as_list)
        self._found |= any(known in text for known in self._known)

    def zone(self) -> AbstractContextManager[object]:
        return contextlib.nullcontext()

    def has_found(self) -> bool:
        return self._found


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, set | Iterator) else str(value)


ENGINES: list[type[Engine]] = [PurposeTaint, SubstringMatch]
