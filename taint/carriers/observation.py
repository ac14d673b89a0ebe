"""The hook through which a zone sees that a labelled value is compared.

Carriers are below zones and must not import them. A zone sets an observer for its own stretch of
execution (a context variable, so that it does not reach another task or thread) and carriers call
it from `__eq__`, `__hash__` and their kin. A process that never enters a zone pays one test of
`active`.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol

from taint.labels import Labels

__all__ = ["Observer", "active", "collecting", "observe", "observer"]


class Observer(Protocol):
    """Who is told: a zone."""

    def observe(self, labels: Labels, operation: str) -> None:
        """Take note that values with these labels took part in an operation."""


active: bool = False
"""True from the first zone on: a test that costs a tenth of reading the context variable."""

observer: ContextVar[Observer | None] = ContextVar("taint_observer", default=None)

collecting: ContextVar[str | None] = ContextVar("taint_collecting", default=None)
"""The purpose that is given here to what is collected without one, by a zone that collects."""


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
