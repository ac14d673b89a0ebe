"""sqlite3: what a cursor gives carries the labels of the columns that its query is made of or found by.

Source: a column that `taint.evidence.catalog.declare` or a SQLAlchemy table with `labelled` columns declares.

Sink: none of its own. Inside a zone every statement is decided before SQLite gets it (evidence `lineage`), and a
labelled parameter is used for its purpose (evidence `comparison`).

Covered: connections that are made by `sqlite3.connect` while it is installed; `execute`, `executemany` and every way
to fetch, with any row factory; a `Row` is looked into by sinks. `SELECT *` is read where the columns of its tables are
known, views where the database has them. Carriers of other types than text can be bound as parameters.

Not covered: `executescript` and user functions; a connection that was made before, by SQLAlchemy or aiosqlite, or by
calling `sqlite3.Connection` itself.

    import taint
    from taint.evidence.catalog import declare
    taint.install(integrations=["sqlite3"])
    import sqlite3
    declare("users.phone", purpose="security.mfa")
    db = sqlite3.connect(":memory:")
    db.executescript("create table users (id, phone); insert into users values (1, '+14155550100')")
    taint.labels_of(db.execute("select lower(phone) from users").fetchone())   # labels of users.phone
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from taint.carriers.containers import close_kind, open_kind
from taint.evidence.views import SQLITE_VIEWS, views_query
from taint.flows.loaded import row_labeller
from taint.flows.queries import NO_PLAN, Plan
from taint.integrations.cursors import (
    DriverIntegration,
    bindable,
    bindable_each,
    is_asked_by_library,
    observe_parameters,
    plan_before,
)
from taint.propagation.patches import Patch

__all__ = ["Sqlite3Integration"]

_FACTORY_POSITION = 5
"""Where `factory` stands among the parameters of `connect`."""
_UNSET: Any = object()


class Sqlite3Integration(DriverIntegration):
    """Labels what cursors give, and decides statements in zones."""

    identifier = "sqlite3"
    requires = ("sqlglot>=26",)

    def _install(self) -> None:
        import sqlite3

        # Functions in C, in the module and in the one that it takes them from; there are no events, and `factory` is
        # what the module offers to have connections of one's own class.
        self._wrap((Patch(sqlite3, "connect", _connect), Patch(sqlite3.dbapi2, "connect", _connect)))
        open_kind(sqlite3.Row, _row_items)
        self._declare()

    def _uninstall(self) -> None:
        import sqlite3

        close_kind(sqlite3.Row)
        self._withdraw()


def _row_items(row: Any) -> Iterable[tuple[str, Any]]:
    return [(f".{name}", row[index]) for index, name in enumerate(row.keys())]  # Not a dict.


def _connect(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    import sqlite3

    if is_asked_by_library():
        return wrapped(*args, **kwargs)
    if len(args) <= _FACTORY_POSITION:
        kwargs = {**kwargs, "factory": _connection_class(kwargs.get("factory") or sqlite3.Connection)}
    return wrapped(*args, **kwargs)


def _connection_class(base: Any) -> Any:
    import sqlite3

    if not isinstance(base, type) or not issubclass(base, sqlite3.Connection):
        return base  # A function that makes connections of its own.

    class TaintConnection(base):  # type: ignore[misc]  # Any class that the program uses.
        taint_trace: Any = None

        def cursor(self, factory: Any = sqlite3.Cursor) -> Any:
            return super().cursor(_cursor_class(factory))

        def set_trace_callback(self, trace_callback: Any) -> None:
            self.taint_trace = trace_callback
            super().set_trace_callback(trace_callback)

        def execute(self, *args: Any) -> Any:
            return self.cursor().execute(*args)

        def executemany(self, *args: Any) -> Any:
            return self.cursor().executemany(*args)

    return TaintConnection


def _cursor_class(base: Any) -> Any:
    import sqlite3

    if not isinstance(base, type) or not issubclass(base, sqlite3.Cursor):
        return base
    found = _cursor_classes.get(base)
    if found is None:
        found = _cursor_classes[base] = _make_cursor_class(base)
    return found


_cursor_classes: dict[type, type] = {}


def _make_cursor_class(base: type) -> type:
    import sqlite3

    native: Any = sqlite3.Cursor.row_factory

    class TaintCursor(base):  # type: ignore[misc]  # Any class that the program uses.
        """A cursor whose rows are labelled before the program's row factory gets them."""

        taint_plan: Plan = NO_PLAN
        taint_factory: Any = _UNSET

        @property
        def row_factory(self) -> Any:
            own = self.taint_factory
            return native.__get__(self) if own is _UNSET else own

        @row_factory.setter
        def row_factory(self, factory: Any) -> None:
            self.taint_factory = factory
            native.__set__(self, _row_maker(factory, self.taint_plan))

        def execute(self, sql: str, *args: Any) -> Any:
            self.taint_ask(sql)
            for parameters in args:
                observe_parameters(parameters)
            return super().execute(sql, *map(bindable, args))

        def executemany(self, sql: str, *args: Any) -> Any:
            self.taint_ask(sql)
            return super().executemany(sql, *map(bindable_each, args))

        def taint_ask(self, sql: str) -> None:
            self.taint_plan = plan_before(sql, "sqlite", store="sqlite3", look_up=self.taint_views)
            self.row_factory = self.row_factory

        def taint_views(self, names: frozenset[str]) -> list[tuple[str, str]]:
            # By the native class, and without the program's trace: it is not the program that asks.
            trace = getattr(self.connection, "taint_trace", None)
            found = sqlite3.Cursor(self.connection)
            native.__set__(found, None)
            sqlite3.Connection.set_trace_callback(self.connection, None)
            try:
                sqlite3.Cursor.execute(found, views_query(SQLITE_VIEWS, names))
                return [(str(row[0]), str(row[1])) for row in found.fetchall()]
            finally:
                found.close()
                sqlite3.Connection.set_trace_callback(self.connection, trace)

    return TaintCursor


def _row_maker(factory: Any, plan: Plan) -> Any:
    if not plan.has_labels:
        return factory
    label = row_labeller(plan)
    if factory is None:
        return lambda _cursor, row: label(row)
    return lambda cursor, row: factory(cursor, label(row))
