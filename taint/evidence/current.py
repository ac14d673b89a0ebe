"""Which known values hold here: those of the process, or those of the tenant whose work this is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from taint.carriers import values
from taint.carriers.coverage import Coverage
from taint.carriers.tracing import on_seen
from taint.evidence import last_seen
from taint.evidence.known import KnownValues
from taint.guard import report_internal_error
from taint.labels import Labels

__all__ = ["current_keys", "current_known_values", "of_tenant", "set_known_values", "using"]

_of_process: KnownValues | None = None
of_tenant: ContextVar[KnownValues | None] = ContextVar("taint_known_values", default=None)
"""Those of `using` here; None outside of it."""


def current_known_values() -> KnownValues | None:
    """Give the known values that hold here; None where nothing is remembered."""
    return of_tenant.get() or _of_process


def set_known_values(known: KnownValues | None) -> KnownValues | None:
    """Set the known values of the process and give those before; None remembers nothing."""
    global _of_process  # One for the process, as the mode is.
    before, _of_process = _of_process, known
    values.collector = None if known is None else _collect
    return before


@contextmanager
def using(known: KnownValues) -> Iterator[KnownValues]:
    """Remember and look up in one set of known values while the block runs: one for each tenant.

    Labels: remembered there; what another tenant's sources saw is not found. It follows `await` and the
    tasks started inside; it does not reach other tasks and threads.

    Args:
        known: Of the tenant.

    Yields:
        The same.
    """
    values.collector = _collect  # For good: whether anything holds is asked where a value is collected.
    token = of_tenant.set(known)
    try:
        yield known
    finally:
        of_tenant.reset(token)


def _collect(value: object, labels: Labels) -> None:
    known = current_known_values()
    if known is not None:
        try:
            known.remember(value, labels)
        except Exception as error:  # noqa: BLE001  # A source must not fail because of the library.
            report_internal_error("remembering a value", error)


def current_keys() -> last_seen.Keys:
    """Give what fingerprints are made with here: by the known values that hold, else by the process."""
    known = current_known_values()
    return last_seen.Keys() if known is None else known.keys


def _note(value: object, coverage: Coverage) -> None:
    last_seen.note(value, coverage, current_keys())


on_seen(_note)
