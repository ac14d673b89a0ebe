"""The hook through which a zone sees that a labelled value is compared.

Carriers are below zones and must not import them. A zone sets an observer for its own stretch of
execution (a context variable, so that it does not reach another task or thread) and carriers call
it from `__eq__`, `__hash__` and their kin. A process that never enters a zone pays nothing: only the
first one has carriers look for an observer.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Protocol

from taint.labels import Labels

__all__ = [
    "NOBODY",
    "Observer",
    "active",
    "at_first_zone",
    "begin",
    "collecting",
    "observe",
    "observer",
    "otherwise",
    "reader",
    "set_otherwise",
]


class Observer(Protocol):
    """Who is told: a zone."""

    def observe(self, labels: Labels, operation: str) -> None:
        """Take note that values with these labels took part in an operation."""


active: bool = False
"""True from the first zone on: a test that costs a tenth of reading the context variable."""

_waiting: list[Callable[[], None]] = []
_prepared: list[Callable[[], None]] = []

observer: ContextVar[Observer | None] = ContextVar("taint_observer", default=None)

otherwise: Observer | None = None
"""Who is told where there is no zone: discovery, while it is on."""


class _Nobody:
    def observe(self, labels: Labels, operation: str) -> None:
        """Take no note: the library works for itself."""


NOBODY: Observer = _Nobody()
"""Stands where a zone would, for a stretch of the library's own work."""

collecting: ContextVar[str | None] = ContextVar("taint_collecting", default=None)
"""The purpose that is given here to what is collected without one, by a zone that collects."""


def at_first_zone(prepare: Callable[[], None]) -> None:
    """Have something done when the process enters its first zone; at once, if it has."""
    if active:
        _prepared.append(prepare)
        prepare()
    else:
        _waiting.append(prepare)


def begin() -> None:
    """Have carriers look for an observer from here on: a zone says this before it sets one."""
    global active  # noqa: PLW0603  # From False to True, once.
    active = True
    while _waiting:
        prepare = _waiting.pop()
        _prepared.append(prepare)
        prepare()


def set_otherwise(found: Observer | None) -> None:
    """Have somebody told of comparisons where there is no zone, or nobody.

    The methods of carriers are made anew, so that those of a process without discovery ask for nothing more.
    """
    global otherwise  # noqa: PLW0603  # One for the process, as the mode is.
    if found is otherwise:
        return
    otherwise = found
    begin()
    for prepare in tuple(_prepared):
        prepare()


def reader() -> Callable[[], Observer | None]:
    """Give the quickest function that says whether anybody is told of a comparison here."""
    return observer.get if otherwise is None else _observer_here


def _observer_here() -> Observer | None:
    return observer.get() or otherwise


def observe(labels: Labels, operation: str) -> None:
    """Tell the zone, if there is one here, else discovery, if it is on, that labelled data took part in an operation.

    Args:
        labels: Of the values that were compared; nothing is said where there are none.
        operation: What was done, as the field calls it: `==`, `in`, `hash`, `find`.

    Raises:
        PurposeViolationError: From the observer, in `block` mode.
    """
    current = observer.get() or otherwise
    if current is not None and labels:
        current.observe(labels, operation)
