"""psycopg 3: what a cursor gives carries the labels of the columns that its query is made of or found by.

Source: a column that `taint.evidence.catalog.declare` or a SQLAlchemy table with `labelled` columns declares.

Sink: none of its own. Inside a zone every statement is decided before PostgreSQL gets it (evidence `lineage`).

Covered: `Cursor`, `AsyncCursor`, server-side cursors and their connections' `execute`, with text, bytes and
`psycopg.sql` queries; `executemany`, `stream` and every way to fetch, with any row factory. `SELECT *` is read where
the columns of its tables are known. Carriers of other types than text can be bound as parameters.

Not covered: COPY, which is a `gap` where any column is declared; template strings; a row factory that is set between
`execute` and `fetch`; views and functions that read a labelled column, unless they are declared too. What SQLAlchemy
asks is its own integration's.

    import taint
    from taint.evidence.sql import read_sql
    taint.install(integrations=["psycopg"])
    labelled = taint.label("+14155550100", purpose="security.mfa")   # cursor.execute(..., [labelled]) binds it
    # with declare("users.phone", purpose="security.mfa"), cursor.execute("SELECT phone FROM users") gives labelled rows
    taint.labels_of(labelled) and read_sql("SELECT lower(phone) FROM users WHERE id = %s", "postgres", {}).inputs
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from taint.flows.queries import Plan
from taint.integrations.cursors import (
    DriverIntegration,
    bindable,
    bindable_each,
    is_asked_by_library,
    labelled_row,
    plan_before,
)
from taint.propagation.patches import Patch

__all__ = ["PsycopgIntegration"]

_plans: WeakKeyDictionary[Any, Plan] = WeakKeyDictionary()
"""Cursors have slots, so that what is known about their query stands here, and goes with them."""


class PsycopgIntegration(DriverIntegration):
    """Labels what cursors give, and decides statements in zones."""

    identifier = "psycopg"
    requires = ("psycopg>=3.1", "sqlglot>=26")

    def _install(self) -> None:
        import psycopg

        # Since 3.1; there are no events. A row factory is the program's own, so that values are labelled before it.
        for cursor in (psycopg.Cursor, psycopg.AsyncCursor):
            self._wrap(Patch(cursor, name, _one) for name in ("execute", "stream", "copy"))
            self._wrap((Patch(cursor, "executemany", _many), Patch(cursor, "_make_row_maker", _make_row_maker)))
        for server_cursor in (psycopg.ServerCursor, psycopg.AsyncServerCursor):
            self._wrap((Patch(server_cursor, "execute", _one),))
        self._declare()

    def _uninstall(self) -> None:
        self._withdraw()


def _ask(cursor: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    query = args[0] if args else kwargs.get("query")
    if isinstance(query, bytes):
        query = query.decode("utf-8", "replace")
    elif not isinstance(query, str):
        query = query.as_string(cursor) if query is not None and hasattr(query, "as_string") else ""
    _plans[cursor] = plan_before(query, "postgres", store="psycopg")


def _one(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if is_asked_by_library():
        return wrapped(*args, **kwargs)
    _ask(instance, args, kwargs)
    return wrapped(*args[:1], *map(bindable, args[1:]), **{name: bindable(value) for name, value in kwargs.items()})


def _many(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if is_asked_by_library():
        return wrapped(*args, **kwargs)
    _ask(instance, args, kwargs)
    if "params_seq" in kwargs:
        kwargs = {**kwargs, "params_seq": bindable_each(kwargs["params_seq"])}
    return wrapped(*args[:1], *map(bindable_each, args[1:]), **kwargs)


def _make_row_maker(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    make = wrapped(*args, **kwargs)
    plan = _plans.get(instance)
    if plan is None or not plan.has_labels:
        return make
    return lambda values: make(labelled_row(values, plan))
