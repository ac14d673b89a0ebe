"""What the integrations of database drivers have in common: SQL text in, labelled rows out."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from taint.carriers import observation
from taint.carriers.proxy import TaintedProxy
from taint.carriers.values import labels_of
from taint.evidence.catalog import catalog, declare
from taint.evidence.sql import read_sql
from taint.evidence.views import LookUp, follow_views, note_views
from taint.flows.queries import NO_PLAN, Plan, check_query, plan_of
from taint.guard import report_internal_error
from taint.integrations.base import Integration
from taint.modes import is_off

__all__ = [
    "DriverIntegration",
    "bindable",
    "bindable_each",
    "is_asked_by_library",
    "observe_parameters",
    "plan_before",
]

_LIBRARIES = ("sqlalchemy", "aiosqlite", "django")
_FRAMES = 8


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
    kind = type(parameters)
    if kind is tuple or kind is list or (kind is not dict and isinstance(parameters, list | tuple)):
        return tuple(map(_exact, parameters)) if TaintedProxy in map(type, parameters) else parameters
    if (kind is dict or isinstance(parameters, Mapping)) and TaintedProxy in map(type, parameters.values()):
        return {name: _exact(value) for name, value in parameters.items()}
    return parameters


def bindable_each(rows: Iterable[Any]) -> Iterable[Any]:
    """Give the parameters of many rows as `bindable` does, each when it is taken."""
    for row in rows:
        observe_parameters(row)
        yield bindable(row)


def _exact(value: Any) -> Any:
    return value.__wrapped__ if type(value) is TaintedProxy else value


def observe_parameters(parameters: Any) -> None:
    """Tell the zone around, if there is one, of labelled parameters: asking a database with them is using them.

    Raises:
        PurposeViolationError: From the zone, in `block` mode.
    """
    if observation.active and observation.observer.get() is not None and parameters:
        observation.observe(labels_of(parameters), "SQL parameter")


def plan_before(text: str, dialect: str, *, store: str, look_up: LookUp | None = None) -> Plan:
    """Read a statement and decide it, before the driver gets it.

    Args:
        text: The statement.
        dialect: sqlglot's name of its dialect.
        store: The integration, as gaps name it.
        look_up: Asks the database which names are views; it is asked of a statement that is not known yet.

    Returns:
        What its results carry.

    Raises:
        PurposeViolationError: See `check_query`.
    """
    if not catalog or is_off():
        return NO_PLAN
    known = _plans.get((text, dialect))
    if known is None or known[0] != catalog.version:
        plan, is_final = _plan(text, dialect, look_up)
        known = (catalog.version, plan)
        if is_final:
            if len(_plans) >= _MOST_PLANS:
                _plans.clear()
            _plans[text, dialect] = known
    if known[1] is not NO_PLAN:
        check_query(known[1], store=store)
    return known[1]


_MOST_PLANS = 1024
_plans: dict[tuple[str, str], tuple[int, Plan]] = {}


def _plan(text: str, dialect: str, look_up: LookUp | None) -> tuple[Plan, bool]:
    """Give the plan of a statement, and whether it will be the same the next time."""
    lineage, is_final = read_sql(text, dialect, catalog.tables), True
    note_views(lineage, dialect)
    try:
        lineage = follow_views(lineage, dialect, look_up)
    except Exception as error:  # noqa: BLE001  # Looking up must not stop the program.
        if not isinstance(error, BlockingIOError):  # The connection is in use: no fault of anybody's.
            report_internal_error("looking up views", error)
        lineage = replace(lineage, gaps=(*lineage.gaps, "whether it reads views could not be looked up"))
        is_final = False
    plan = plan_of(lineage, catalog.labels_of, catalog.companion_of)
    return (NO_PLAN if plan.is_empty else plan), is_final


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
