"""What the integrations of database drivers have in common: SQL text in, labelled rows out."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from taint.carriers.proxy import TaintedProxy
from taint.evidence.catalog import catalog, declare
from taint.evidence.sql import read_sql
from taint.flows.queries import NO_PLAN, Plan, carry_result, check_query, plan_of
from taint.integrations.base import Integration
from taint.modes import is_off

__all__ = ["DriverIntegration", "bindable", "bindable_each", "is_asked_by_library", "labelled_row", "plan_before"]

_LIBRARIES = ("sqlalchemy", "aiosqlite", "django")
_FRAMES = 6


class DriverIntegration(Integration):
    """Base of the integrations of drivers: they know columns by the catalog.

    Args:
        columns: What columns were collected for, as `{"users.phone": "security.mfa"}`; `declare` says more of one.
    """

    def __init__(self, *, columns: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._columns = dict(columns or {})

    def _declare(self) -> None:
        for column, purpose in self._columns.items():
            declare(column, purpose=purpose)

    def _withdraw(self) -> None:
        for column in self._columns:
            catalog.withdraw(column)


def bindable(parameters: Any) -> Any:
    """Give parameters that drivers take: they refuse a proxy, and take the subclasses of str, bytes and int."""
    if isinstance(parameters, Mapping):
        if any(type(value) is TaintedProxy for value in parameters.values()):
            return {name: _exact(value) for name, value in parameters.items()}
    elif isinstance(parameters, list | tuple) and any(type(value) is TaintedProxy for value in parameters):
        return tuple(map(_exact, parameters))
    return parameters


def bindable_each(rows: Iterable[Any]) -> Iterable[Any]:
    """Give the parameters of many rows as `bindable` does, each when it is taken."""
    return map(bindable, rows)


def _exact(value: Any) -> Any:
    return value.__wrapped__ if type(value) is TaintedProxy else value


def plan_before(text: str, dialect: str, *, store: str) -> Plan:
    """Read a statement and decide it, before the driver gets it.

    Args:
        text: The statement.
        dialect: sqlglot's name of its dialect.
        store: The integration, as gaps name it.

    Returns:
        What its results carry.

    Raises:
        PurposeViolationError: See `check_query`.
    """
    if not catalog or is_off():
        return NO_PLAN
    plan = _plan(text, dialect, catalog.version)
    if plan is not NO_PLAN:
        check_query(plan, store=store)
    return plan


@lru_cache(maxsize=1024)
def _plan(text: str, dialect: str, _version: int) -> Plan:
    plan = plan_of(read_sql(text, dialect, catalog.tables), catalog.labels_of)
    return plan if plan.uses or plan.gaps else NO_PLAN


def labelled_row(row: Sequence[Any], plan: Plan) -> tuple[Any, ...]:
    """Label the values of a row, by position."""
    return tuple(
        carry_result(value, labels) if (labels := plan.labels_at(index)) else value for index, value in enumerate(row)
    )


def is_asked_by_library() -> bool:
    """Tell whether a library that has its own integration, or none, is about to use the driver."""
    frame = sys._getframe(2)  # The way to one's caller that costs no stack list.
    for _ in range(_FRAMES):
        if frame.f_globals.get("__name__", "").partition(".")[0] in _LIBRARIES:
            return True
        if frame.f_back is None:
            break
        frame = frame.f_back
    return False
