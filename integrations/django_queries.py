"""Django's queries: read by sqlglot before the database is asked, and their rows labelled.

Django has no public event for rows. Its cursor knows the SQL and the parameters, and its compiler gives rows to the
ORM after the fields' own conversions, which would lose the labels of dates and numbers that a driver gives as text.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from taint.carriers.number import TaintedInt
from taint.carriers.proxy import carry, exact
from taint.carriers.values import labels_of
from taint.evidence.catalog import catalog
from taint.evidence.lineage import Column
from taint.flows.collected import Collected
from taint.flows.queries import NO_PLAN, Plan, carry_result
from taint.guard import report_internal_error
from taint.integrations.cursors import bindable, bindable_each, labelled_row, plan_before
from taint.labels import Label, Labels
from taint.propagation.follow import CARRIERS
from taint.propagation.patches import Patch

__all__ = ["declare_model", "query_patches"]

_DIALECTS = {"postgresql": "postgres"}
_SUBCLASSED = (str, bytes, int)
_FETCHES = frozenset(("fetchone", "fetchmany", "fetchall"))


def declare_model(sender: Any, **_signal: Any) -> None:
    """Say in the catalog what a model's columns hold, by its annotations.

    Labels: what queries derive from a column whose annotation is `Collected` carries its label.

    Args:
        sender: A model class, as the signal `class_prepared` names it.
    """
    try:
        options = sender._meta
        if options.proxy or options.swapped:
            return
        catalog.add_table(options.db_table, [field.column for field in options.local_concrete_fields])
        hints = typing.get_type_hints(sender, include_extras=True)
        for field in options.local_concrete_fields:
            for part in getattr(hints.get(field.name), "__metadata__", ()):
                if isinstance(part, Collected):
                    column = Column(options.db_table.lower(), field.column.lower())
                    source = f"{options.db_table}.{field.column}"
                    purposes: Any = part.purpose  # Read as keys when it was made.
                    label = Label(frozenset(purposes), part.category, source)
                    catalog.add(column, Labels((label,)), by_table=True)
    except Exception as error:  # noqa: BLE001  # An annotation that cannot be resolved must not stop a model.
        report_internal_error("reading the annotations of a model", error)


def query_patches() -> Iterator[Patch]:
    """Give what to wrap; since Django 4.2 and before."""
    from django.db.backends.utils import CursorWrapper
    from django.db.models.fields import DecimalField
    from django.db.models.sql.compiler import SQLCompiler
    from django.db.models.sql.query import RawQuery

    yield Patch(CursorWrapper, "_execute", _execute)
    yield Patch(CursorWrapper, "_executemany", _execute_many)
    yield Patch(CursorWrapper, "__getattr__", _fetching)
    yield Patch(CursorWrapper, "__iter__", _iterating)
    yield Patch(DecimalField, "to_python", _decimal)
    yield Patch(RawQuery, "_execute_query", _raw)
    yield Patch(SQLCompiler, "execute_sql", _compiled)
    yield Patch(SQLCompiler, "apply_converters", _converted)
    yield Patch(SQLCompiler, "results_iter", _given)


def _ask(cursor: Any, sql: Any) -> None:
    vendor = cursor.db.vendor
    text = str(sql)
    if vendor == "sqlite":
        text = text.replace("%s", "?").replace("%%", "%")  # As Django does before SQLite gets it.
    plan = NO_PLAN
    if not text.startswith(("SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT", "PRAGMA")):
        plan = plan_before(text, _DIALECTS.get(vendor, vendor), store="django")
    # A field converts what the driver gives, and may refuse a proxy: the compiler's rows are labelled afterwards.
    state = vars(cursor.db)
    cursor.taint_plan, cursor.db.taint_plan = NO_PLAN if state.get("taint_compiles") else plan, plan
    cursor.taint_row = _labelled_in_part if state.get("taint_is_raw") else labelled_row


def _execute(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    sql, parameters, *rest = args
    _ask(instance, sql)
    return wrapped(sql, bindable(parameters), *rest, **kwargs)


def _execute_many(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    sql, rows, *rest = args
    _ask(instance, sql)
    return wrapped(sql, bindable_each(rows), *rest, **kwargs)


def _plan(holder: Any) -> Plan:
    plan: Plan = vars(holder).get("taint_plan", NO_PLAN)
    return plan


def _fetching(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    found = wrapped(*args, **kwargs)
    name = args[0]
    if name not in _FETCHES or not (plan := _plan(instance)).has_labels:
        return found

    def fetch(*given: Any, **named: Any) -> Any:
        rows = found(*given, **named)
        if name == "fetchone":
            return rows if rows is None else labelled_row(rows, plan)
        return [labelled_row(row, plan) for row in rows]

    return fetch


def _iterating(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    rows: Iterable[Any] = wrapped(*args, **kwargs)
    plan = _plan(instance)
    return (instance.taint_row(row, plan) for row in rows) if plan.has_labels else rows


def _decimal(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    # It makes a number of whatever it is given, and shows what it cannot make one of.
    (value,) = (*args, *kwargs.values())
    result = wrapped(exact(value))
    return result if result is None else carry(result, labels_of(value))


def _compiled(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    connection = instance.connection
    connection.taint_compiles, connection.taint_plan = True, NO_PLAN  # An empty query asks nobody.
    try:
        result = wrapped(*args, **kwargs)
    finally:
        connection.taint_compiles = False
    instance.taint_plan = plan = connection.taint_plan
    # One row is yet to be converted.
    return _labelled_in_part(result, plan) if type(result) is tuple and plan.has_labels else result


def _raw(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    from django.db import connections

    connection = connections[instance.using]
    connection.taint_is_raw = True
    try:
        return wrapped(*args, **kwargs)
    finally:
        connection.taint_is_raw = False


def _labelled_in_part(row: Any, plan: Plan) -> tuple[Any, ...]:
    """Label what is a subclass of its type when it is labelled, so that a field's conversion takes it."""
    return tuple(
        carry_result(value, labels) if type(value) in _SUBCLASSED and (labels := plan.labels_at(at)) else value
        for at, value in enumerate(row)
    )


def _converted(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    rows = wrapped(*args, **kwargs)
    # The compiler of `Model.objects.raw` has asked nothing itself.
    plan: Plan = vars(instance).get("taint_plan") or vars(instance.connection).get("taint_plan", NO_PLAN)
    return (list(_labelled_again(row, plan)) for row in rows) if plan.has_labels else rows


def _given(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    rows = wrapped(*args, **kwargs)
    plan = _plan(instance)
    if not plan.has_labels or _is_composite(instance):
        return rows
    return (_labelled_again(row, plan) for row in rows)


def _is_composite(compiler: Any) -> bool:
    """Tell whether several columns were put into one, which since 5.2 are counted no more."""
    ask = getattr(compiler, "has_composite_fields", None)
    return ask is not None and ask([column[0] for column in compiler.select[0 : compiler.col_count]])


def _labelled_again(row: Any, plan: Plan) -> tuple[Any, ...]:
    """Label what a field's conversion made of a labelled value."""
    return tuple(
        value
        if type(value) in CARRIERS or type(value) is TaintedInt or not (labels := plan.labels_at(at))
        else carry_result(value, labels)
        for at, value in enumerate(row)
    )
