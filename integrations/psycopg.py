"""psycopg 3: what a cursor gives carries the labels of the columns that its query is made of or found by.

Source: a column that `taint.evidence.catalog.declare` or a SQLAlchemy table with `labelled` columns declares.

Sink: none of its own. Inside a zone every statement is decided before PostgreSQL gets it (evidence `lineage`), and a
labelled parameter is used for its purpose (evidence `comparison`).

Covered: `Cursor`, `AsyncCursor`, server-side cursors and their connections' `execute`, with text, bytes and
`psycopg.sql` queries; `executemany`, `stream` and every way to fetch, with any row factory. `SELECT *` is read where
the columns of its tables are known. Carriers of other types than text can be bound as parameters.

COPY is read as the query that it stands for: the rows of `rows()` and `read_row()` are labelled, blocks are a `gap`;
`write_row` takes carriers.

Not covered: template strings; a row factory that is set between
`execute` and `fetch`; database functions that read a labelled column. What SQLAlchemy asks is its own integration's.

    import taint
    from taint.evidence.sql import read_sql
    taint.install(integrations=["psycopg"])
    labelled = taint.label("+14155550100", purpose="security.mfa")   # cursor.execute(..., [labelled]) binds it
    # with declare("users.phone", purpose="security.mfa"), cursor.execute("SELECT phone FROM users") gives labelled rows
    taint.labels_of(labelled) and read_sql("SELECT lower(phone) FROM users WHERE id = %s", "postgres", {}).inputs
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from taint.evidence.views import POSTGRESQL_VIEWS, views_query
from taint.flows.loaded import row_labeller
from taint.flows.queries import Plan, check_query
from taint.integrations.cursors import (
    DriverIntegration,
    bindable,
    bindable_each,
    is_asked_by_library,
    observe_parameters,
    plan_before,
)
from taint.propagation.patches import Patch

__all__ = ["PsycopgIntegration"]


@dataclass(slots=True)
class _Asked:
    """What a cursor's query gives, and what has been reported of its rows."""

    plan: Plan
    label: Callable[[Sequence[Any]], tuple[Any, ...]]
    has_said_blocks: bool = False
    gives_rows: bool = False  # Of a COPY: the block that is read is about to be a row.


_asked: WeakKeyDictionary[Any, _Asked] = WeakKeyDictionary()
"""Cursors have slots, so that what is known about their query stands here, and goes with them."""


class PsycopgIntegration(DriverIntegration):
    """Labels what cursors give, and decides statements in zones."""

    identifier = "psycopg"
    requires = ("psycopg>=3.1", "sqlglot>=26")

    def _install(self) -> None:
        import psycopg
        from psycopg._copy_base import BaseCopy

        # Since 3.1; there are no events. A row factory is the program's own, so that values are labelled before it.
        for cursor in (psycopg.Cursor, psycopg.AsyncCursor):
            self._wrap(Patch(cursor, name, _one) for name in ("execute", "stream", "copy"))
            self._wrap((Patch(cursor, "executemany", _many), Patch(cursor, "_make_row_maker", _make_row_maker)))
        for server_cursor in (psycopg.ServerCursor, psycopg.AsyncServerCursor):
            self._wrap((Patch(server_cursor, "execute", _one),))
        # The generators that reading a COPY, waited for or awaited, comes down to.
        self._wrap((Patch(BaseCopy, "_read_gen", _read_block), Patch(BaseCopy, "_read_row_gen", _read_row)))
        self._wrap(Patch(copy, "write_row", _write_row) for copy in (psycopg.Copy, psycopg.AsyncCopy))
        self._declare()

    def _uninstall(self) -> None:
        self._withdraw()


def _ask(cursor: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    query = args[0] if args else kwargs.get("query")
    if isinstance(query, bytes):
        query = query.decode("utf-8", "replace")
    elif not isinstance(query, str):
        query = query.as_string(cursor) if query is not None and hasattr(query, "as_string") else ""
    connection = cursor.connection

    def look_up(names: frozenset[str]) -> list[tuple[str, str]]:
        """Ask by libpq, for which it makes no difference whether the connection is asynchronous.

        Raises:
            BlockingIOError: Somebody else is asking the database by this connection.
        """
        native = connection.pgconn
        if connection.lock.locked() or native.transaction_status not in _AT_REST:
            raise BlockingIOError("the connection is in use")
        found = native.exec_(views_query(POSTGRESQL_VIEWS, names).encode(connection.info.encoding))
        rows = ([found.get_value(row, column) or b"" for column in (0, 1)] for row in range(found.ntuples))
        return [(bytes(name).decode(), bytes(query).decode()) for name, query in rows]

    plan = plan_before(query, "postgres", store="psycopg", look_up=look_up)
    _asked[cursor] = _Asked(plan, row_labeller(plan))


_AT_REST = (0, 2)
"""Of libpq's PQtransactionStatus: idle, and idle in a transaction."""


def _one(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if is_asked_by_library():
        return wrapped(*args, **kwargs)
    _ask(instance, args, kwargs)
    for parameters in (*args[1:2], kwargs.get("params")):
        observe_parameters(parameters)
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
    asked = _asked.get(instance)
    if asked is None or not asked.plan.has_labels:
        return make
    label = asked.label
    return lambda values: make(label(values))


def _read_row(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    asked = _asked.get(instance.cursor)
    if asked is not None:
        asked.gives_rows = True
    try:
        row = yield from wrapped(*args, **kwargs)
    finally:
        if asked is not None:
            asked.gives_rows = False
    if row is None or asked is None or not asked.plan.has_labels:
        return row
    return asked.label(row)


def _read_block(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    block = yield from wrapped(*args, **kwargs)
    asked = _asked.get(instance.cursor)
    if asked is None or asked.gives_rows or not asked.plan.has_labels:
        return block
    if block and not asked.has_said_blocks:
        asked.has_said_blocks = True
        check_query(Plan(gaps=(_BLOCKS,)), store="psycopg")
    return block


_BLOCKS = "COPY gives blocks of a buffer, which cannot carry labels; rows() gives labelled rows"


def _write_row(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return wrapped(*map(_exact_row, args), **{name: _exact_row(value) for name, value in kwargs.items()})


def _exact_row(row: Any) -> Any:
    observe_parameters(row)
    return bindable(row)
