"""Django's queries: read by sqlglot before the database is asked, and their rows labelled.

Django has no public event for rows. Its cursor knows the SQL and the parameters, and its compiler gives rows to the
ORM after the fields' own conversions, which would lose the labels of dates and numbers that a driver gives as text.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from taint.carriers.proxy import carry, exact
from taint.carriers.values import labels_of
from taint.evidence.catalog import catalog
from taint.evidence.lineage import Column
from taint.evidence.views import POSTGRESQL_VIEWS, SQLITE_VIEWS, LookUp, views_query
from taint.flows.collected import Collected
from taint.flows.loaded import carry_result, row_labeller
from taint.flows.queries import NO_PLAN, Plan
from taint.guard import report_internal_error
from taint.integrations.cursors import bindable, bindable_each, observe_parameters, plan_before
from taint.labels import Label, Labels
from taint.propagation.patches import Patch

__all__ = ["declare_model", "query_patches"]

_DIALECTS = {"postgresql": "postgres"}
_VIEWS = {"postgresql": POSTGRESQL_VIEWS, "sqlite": SQLITE_VIEWS}
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
            column = Column(options.db_table.lower(), field.column.lower())
            if of := getattr(field, "of", None):  # A `LabelsField`.
                catalog.add_companion(Column(column.table, options.get_field(of).column.lower()), column)
            for part in getattr(hints.get(field.name), "__metadata__", ()):
                if isinstance(part, Collected):
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


class _Asked(NamedTuple):
    """What is known of a query, and what labels its rows."""

    plan: Plan
    label: Callable[[Sequence[Any]], tuple[Any, ...]]


_NOTHING = _Asked(NO_PLAN, tuple)


def _ask(cursor: Any, sql: Any) -> None:
    vendor = cursor.db.vendor
    text = str(sql)
    if vendor == "sqlite":
        text = text.replace("%s", "?").replace("%%", "%")  # As Django does before SQLite gets it.
    plan = NO_PLAN
    if not text.startswith(("SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT", "PRAGMA")):
        plan = plan_before(text, _DIALECTS.get(vendor, vendor), store="django", look_up=_look_up(cursor.db))
    # A field converts what the driver gives, and may refuse a proxy: the compiler's rows are labelled afterwards.
    state = vars(cursor.db)
    cursor.db.taint_asked = asked = _Asked(plan, row_labeller(plan))
    cursor.taint_asked = _NOTHING if state.get("taint_compiles") else asked
    cursor.taint_is_raw = state.get("taint_is_raw", False)


def _look_up(database: Any) -> LookUp | None:
    template = _VIEWS.get(database.vendor)
    if template is None:
        return None

    def look_up(names: frozenset[str]) -> list[tuple[str, str]]:
        """Ask with the driver's own cursor: it is not the program that asks."""
        own = database.connection.cursor()
        try:
            own.execute(views_query(template, names))
            return [(str(name), str(query)) for name, query in own.fetchall()]
        finally:
            own.close()

    return look_up


def _execute(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    sql, parameters, *rest = args
    _ask(instance, sql)
    observe_parameters(parameters)
    return wrapped(sql, bindable(parameters), *rest, **kwargs)


def _execute_many(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    sql, rows, *rest = args
    _ask(instance, sql)
    return wrapped(sql, bindable_each(rows), *rest, **kwargs)


def _asked(holder: Any) -> _Asked:
    asked: _Asked = vars(holder).get("taint_asked", _NOTHING)
    return asked


def _fetching(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    found = wrapped(*args, **kwargs)
    name = args[0]
    plan, label = _asked(instance)
    if name not in _FETCHES or not plan.has_labels:
        return found

    def fetch(*given: Any, **named: Any) -> Any:
        rows = found(*given, **named)
        if name == "fetchone":
            return rows if rows is None else label(rows)
        return list(map(label, rows))

    return fetch


def _iterating(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    rows: Iterable[Any] = wrapped(*args, **kwargs)
    plan, label = _asked(instance)
    if not plan.has_labels:
        return rows
    return map(partial(_labelled_in_part, plan=plan) if instance.taint_is_raw else label, rows)


def _decimal(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    # It makes a number of whatever it is given, and shows what it cannot make one of.
    (value,) = (*args, *kwargs.values())
    result = wrapped(exact(value))
    return result if result is None else carry(result, labels_of(value))


def _compiled(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    connection = instance.connection
    connection.taint_compiles, connection.taint_asked = True, _NOTHING  # An empty query asks nobody.
    try:
        result = wrapped(*args, **kwargs)
    finally:
        connection.taint_compiles = False
    instance.taint_asked = asked = _asked(connection)
    plan = asked.plan
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
    plan, label = vars(instance).get("taint_asked") or _asked(instance.connection)
    return (list(label(row)) for row in rows) if plan.has_labels else rows


def _given(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    rows = wrapped(*args, **kwargs)
    plan, label = _asked(instance)
    return map(label, rows) if plan.has_labels and not _is_composite(instance) else rows


def _is_composite(compiler: Any) -> bool:
    """Tell whether several columns were put into one, which since 5.2 are counted no more."""
    ask = getattr(compiler, "has_composite_fields", None)
    return ask is not None and ask([column[0] for column in compiler.select[0 : compiler.col_count]])
