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

__all__ = ["Observer", "active", "at_first_zone", "begin", "collecting", "observe", "observer"]


class Observer(Protocol):
    """Who is told: a zone."""

    def observe(self, labels: Labels, operation: str) -> None:
        """Take note that values with these labels took part in an operation."""


active: bool = False
"""True from the first zone on: a test that costs a tenth of reading the context variable."""

_waiting: list[Callable[[], None]] = []

observer: ContextVar[Observer | None] = ContextVar("taint_observer", default=None)

collecting: ContextVar[str | None] = ContextVar("taint_collecting", default=None)
"""The purpose that is given here to what is collected without one, by a zone that collects."""


def at_first_zone(prepare: Callable[[], None]) -> None:
    """Have something done when the process enters its first zone; at once, if it has."""
    if active:
        prepare()
    else:
        _waiting.append(prepare)


def begin() -> None:
    """Have carriers look for an observer from here on: a zone says this before it sets one."""
    global active  # noqa: PLW0603  # From False to True, once.
    active = True
    while _waiting:
        _waiting.pop()()


def observe(labels: Labels, operation: str) -> None:
    """Tell the zone, if there is one here, that labelled data took part in an operation.

    Args:
        labels: Of the values that were compared; nothing is said where there are none.
        operation: What was done, as the field calls it: `==`, `in`, `hash`, `find`.

    Raises:
        PurposeViolationError: From the observer, in `block` mode.
    """
    current = observer.get()
    if current is not None and labels:
        current.observe(labels, operation)
