"""SQLAlchemy: what a query gives carries the labels of the columns that it is made of or found by.

Source: a column that declares what it was collected for: `info=labelled(...)` on a `Column` or
`mapped_column`, or `taint.evidence.catalog.declare` for a table that nobody may change.

Sink: none of its own. Inside a zone every statement is decided before the database is asked: each labelled
column that it uses, to give or to find rows, is used for the zone's purpose (evidence `lineage`), and so is each
labelled parameter (evidence `comparison`).

Covered: Core and ORM, sync and async, every dialect. Results of a labelled column and of what is derived from it
(functions, CASE, subqueries, common table expressions, set operations, windows, RETURNING) carry its labels; all
results of a query that joins, filters, groups or sorts by it carry them as `indirect`, ids as `TaintedInt`. SQL
text (`text()`, `exec_driver_sql`) is read by sqlglot, the extra `sql`; what cannot be read is a `gap`. Views of
SQLite and PostgreSQL are followed without being declared. A value's own labels stand in a companion column, sealed with
the value. Carriers of any type can be bound, and be literals. docs/databases.md says more.

Not covered: database functions that read a labelled column, and views of other databases, unless they are declared;
a value's own labels, which are lost, and counted, when it is written to a column that declares none and has no
companion; COPY by the driver's connection; `Session.query(...).update()` in its in-Python `evaluate` of values.

    import taint
    import sqlalchemy as sa
    from taint.integrations.sqlalchemy import labelled
    taint.install(integrations=["sqlalchemy"])
    users = sa.Table("users", sa.MetaData(), sa.Column("phone", sa.Text, info=labelled(purpose="security.mfa")))
    db = sa.create_engine("sqlite://").connect()
    users.create(db), db.execute(users.insert().values(phone="+14155550100"))
    taint.labels_of(db.scalar(sa.select(sa.func.lower(users.c.phone))))   # labels of users.phone
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

from taint.carriers.containers import close_kind, open_kind
from taint.carriers.proxy import exact
from taint.evidence.catalog import catalog
from taint.evidence.lineage import Column, Lineage
from taint.evidence.row_labels import set_seal_keys
from taint.evidence.sql import read_sql
from taint.evidence.views import POSTGRESQL_VIEWS, SQLITE_VIEWS, follow_views, note_views, views_query
from taint.flows.queries import NO_PLAN, Plan, check_query, plan_of
from taint.guard import report_internal_error
from taint.integrations.base import Integration
from taint.integrations.cursors import bindable, observe_parameters
from taint.labels import NO_LABELS, Label, Labels
from taint.modes import is_off
from taint.propagation.patches import ForCarriers, Patch, Standing, Wrapper
from taint.purposes import purpose_keys

__all__ = ["SqlalchemyIntegration", "backfill_labels", "labelled", "own_labels"]

_DIALECTS = {"postgresql": "postgres", "mssql": "tsql", "mariadb": "mysql"}
_MOST_TEXTS = 1024


def labelled(
    *,
    purpose: str | Iterable[str],
    category: str | None = None,
    consent: str | None = None,
    source: str | None = None,
) -> dict[str, Labels]:
    """Say what a column was collected for: `mapped_column(info=labelled(purpose="security.mfa"))`.

    Labels: what queries derive from the column carries this one, also where the column is read by SQL text.

    Args:
        purpose: One key such as `security.mfa`, or several.
        category: The kind of data, a fideslang key such as `user.contact.phone_number`.
        consent: An identifier of the consent receipt.
        source: What findings name; `table.column` by default.

    Returns:
        A dict for the column's `info`, to which others may be added: `info={**labelled(...), "mine": 1}`.

    Raises:
        ConfigurationError: The purpose is not usable as written.
    """
    from taint.integrations.sqlalchemy_lineage import INFO_KEY, describe_tables

    describe_tables()
    return {INFO_KEY: Labels((Label(purpose_keys(purpose), category, source, None, consent),))}


def own_labels(column: str) -> dict[str, Any]:
    """Make a column the companion of another, for its values' own labels: `mapped_column(Text, **own_labels("phone"))`.

    For a column that holds data of several purposes. Labels: those of a value are written by the statement that
    writes the value, and are on it again when both columns are read. An update by SQL text does not keep them: that is
    a gap, when it is executed here and when the row is read.

    Args:
        column: The key of the other column, in the same table.

    Returns:
        The keyword arguments of a nullable `Text` column.
    """
    from taint.integrations.sqlalchemy_lineage import COMPANION_KEY, describe_tables
    from taint.integrations.sqlalchemy_rows import default_of

    describe_tables()
    return {"info": {COMPANION_KEY: column}, "default": default_of(column), "nullable": True}


def backfill_labels(connection: Any, table: Any, *, at_once: int = 1000) -> int:
    """Give the values that were in a table before it had companions the labels that their columns declare.

    For a migration, after the companion columns were added: docs/databases.md has one whole. Values whose labels
    somebody writes meanwhile keep those.

    Labels: what `labelled(...)` says of the column, sealed with each value.

    Args:
        connection: In whose transaction it is done.
        table: With its columns, their `info`, and a primary key.
        at_once: How many rows are read and written together.

    Returns:
        How many values it has labelled.
    """
    from taint.integrations.sqlalchemy_rows import backfill

    return backfill(connection, table, at_once)


class SqlalchemyIntegration(Integration):
    """Labels what queries give, and decides queries in zones.

    Args:
        seal_keys: What values' own labels are signed with, by key id: the first signs, each is accepted. All
            processes that share a database have the same. Without them the labels are held to their values
            by a check that finds mistakes, and that anybody can make.
    """

    identifier = "sqlalchemy"
    requires = ("sqlalchemy>=2.0,<2.2",)

    def __init__(self, *, seal_keys: Mapping[str, bytes] | None = None) -> None:
        super().__init__()
        self._seal_keys = dict(seal_keys or {})
        self._before: dict[str, bytes] = {}

    def _install(self) -> None:
        from sqlalchemy import Connection, Engine, RowMapping, event
        from sqlalchemy.engine.default import DefaultExecutionContext
        from sqlalchemy.sql import type_api
        from sqlalchemy.sql.compiler import SQLCompiler

        from taint.integrations.sqlalchemy_results import ROW_KINDS, label_results

        if self._seal_keys:
            self._before = set_seal_keys(self._seal_keys)
        for kind in ROW_KINDS:
            open_kind(kind, _mapping_items if issubclass(kind, RowMapping) else _row_items)
        for name, listener in _EVENTS.items():
            event.listen(Engine, name, listener)
        # Events of the dialect, and a wrapper where there is none: one listener to an event of engines, such as
        # before_execute, has each connection join all of them, which costs it 15 µs, a tenth of a small statement.
        self._wrap(
            (
                # Since 2.0: every statement of expressions, before it is compiled.
                Patch(Connection, "_execute_clauseelement", Standing(_keep_labels, _writing)),
                # Since 1.4: where the cursor of any statement, ORM or Core, becomes a result. Events tell of the
                # statement and of the cursor, none of the rows; a column's type is asked for the column alone, not for
                # lower(column).
                Patch(DefaultExecutionContext, "_setup_result_proxy", Standing(*_setting_up(label_results))),
                # Since 1.4: finds the type of a literal by its class, and has none for a class that it does not know.
                Patch(type_api, "_resolve_value_to_type", ForCarriers(_of_exact)),
                # Its error, which shows the value, is what a type makes of a value of another class.
                Patch(SQLCompiler, "render_literal_value", ForCarriers(_of_exact)),
            )
        )

    def _uninstall(self) -> None:
        from sqlalchemy import Engine, event

        from taint.integrations.sqlalchemy_results import ROW_KINDS

        if self._seal_keys:
            set_seal_keys(self._before)
        for kind in ROW_KINDS:
            close_kind(kind)
        for name, listener in _EVENTS.items():
            event.remove(Engine, name, listener)


def _row_items(row: Any) -> Iterable[tuple[str, Any]]:
    return [(f".{name}", value) for name, value in zip(row._fields, row, strict=False)]


def _mapping_items(row: Any) -> Iterable[tuple[str, Any]]:
    return [(f".{name}", value) for name, value in row.items()]


def _writing(native: Callable[..., Any], concerned: Callable[..., Any]) -> Callable[..., Any]:
    def execute(connection: Any, statement: Any, rows: Any, options: Any) -> Any:
        if not getattr(statement, "is_dml", False) or statement.is_delete or is_off():
            return native(connection, statement, rows, options)
        return concerned(connection, statement, rows, options)

    return execute


def _keep_labels(wrapped: Callable[..., Any], _connection: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
    statement, rows, options = args
    return wrapped(*_with_labels(statement, rows), options, **kwargs)


def _with_labels(statement: Any, given: Any) -> tuple[Any, Any]:
    """Have INSERT and UPDATE write the companions of what they write."""
    from taint.integrations.sqlalchemy_lineage import companions_of
    from taint.integrations.sqlalchemy_rows import NotKeptError, keeping_labels, widened_by

    rows = list(given) if given else []
    try:
        companions = companions_of(statement.table)
        widened = tuple(widened_by(statement, rows, companions))
        if widened:
            check_query(Plan(gaps=widened), store="sqlalchemy")
        statement, kept = keeping_labels(statement, rows, companions)
    except NotKeptError as error:
        gap = f"{statement.table.fullname}: the values' own labels are not kept: {error}"
        check_query(Plan(gaps=(gap,)), store="sqlalchemy")
        return statement, given
    except Exception as error:  # noqa: BLE001  # A statement that nobody thought of must not stop the program.
        report_internal_error("keeping labels in a table", error)
        check_query(Plan(gaps=("the values' own labels could not be kept",)), store="sqlalchemy")
        return statement, given
    return statement, given if kept is rows else kept


def _do_execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
    """Decide a statement; do what the dialect would where the driver would refuse what is bound."""
    _decide(statement, parameters, context)
    bound = parameters if is_off() else bindable(parameters)
    if bound is parameters:
        return False
    context.dialect.do_execute(cursor, statement, bound, context)
    return True


def _do_executemany(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
    """Do for many rows what `_do_execute` does."""
    _decide(statement, parameters, context)
    bound = parameters if is_off() else [bindable(row) for row in parameters]
    if all(one is row for one, row in zip(bound, parameters, strict=True)):
        return False
    context.dialect.do_executemany(cursor, statement, bound, context)
    return True


def _do_execute_no_params(_cursor: Any, statement: str, context: Any) -> bool:
    _decide(statement, None, context)
    return False


_EVENTS: dict[str, Callable[..., bool]] = {
    "do_execute": _do_execute,
    "do_executemany": _do_executemany,
    "do_execute_no_params": _do_execute_no_params,
}


def _decide(statement: str, parameters: Any, context: Any) -> None:
    """Decide a statement before the driver has it, and keep what its results carry for when there are some."""
    if context is None or is_off() or context.execution_options.get("taint_own_work"):
        return
    known = _known(statement, context)
    if known is not _NOTHING:
        check_query(known.plan, store="sqlalchemy")
        if known.has_labels:
            context.taint_known = known
    observe_parameters(parameters)


class _Known:
    """What is known of a statement since it was first asked.

    Args:
        version: Of the catalog that it was read with.
        plan: What it does.

    Attributes:
        has_labels: Whether any of its results carries a label.
        described: The description that all its results share, and its twin that labels them.
    """

    __slots__ = ("described", "has_labels", "plan", "version")

    def __init__(self, version: int, plan: Plan) -> None:
        self.version = version
        self.plan = plan
        self.has_labels = plan.has_labels
        self.described: tuple[Any, Any] = (None, None)


_NOTHING = _Known(0, NO_PLAN)

_known_statements: WeakKeyDictionary[Any, _Known] = WeakKeyDictionary()
_known_texts: dict[tuple[str, str], _Known] = {}
_not_views: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()
"""What was looked up already, by the pool of connections: a database's."""


def _known(statement: str, context: Any) -> _Known:
    if context.isddl:
        return _NOTHING
    compiled = context.compiled
    if compiled is None:
        return _known_text(statement, context)
    known = _known_statements.get(compiled)
    if known is None or known.version != catalog.version:
        plan = _read(compiled, statement, context)
        # The version after: views may have been found.
        known = _known_statements[compiled] = _Known(catalog.version, plan)
    return _NOTHING if known.plan is NO_PLAN else known


def _read(compiled: Any, statement: str, context: Any) -> Plan:
    from taint.integrations.sqlalchemy_lineage import HasTextError, Reading, read_compiled

    try:
        reading = read_compiled(compiled)
    except HasTextError:
        return _known_text(statement, context).plan
    except Exception as error:  # noqa: BLE001  # A statement that nobody thought of must not stop the program.
        report_internal_error("reading a statement", error)
        reading = Reading(Lineage(gaps=(f"the statement cannot be followed ({type(error).__name__})",)))
    named = {one.column for one in reading.lineage.inputs}
    lineage = _with_views(reading.lineage, context) if catalog else reading.lineage

    def labels_of(column: Column) -> Labels:
        # A column that stands in a view has its name alone.
        return reading.labels.get(column, NO_LABELS) | catalog.labels_of(column, by_name=column not in named)

    def companion_of(column: Column) -> Column | None:
        return reading.companions.get(column) if column in named else catalog.companion_of(column)

    plan = plan_of(lineage, labels_of, companion_of)
    return NO_PLAN if plan.is_empty else plan


def _known_text(statement: str, context: Any) -> _Known:
    if not catalog:  # No column of any table holds what was collected.
        return _NOTHING
    key = (statement, context.dialect.name)
    known = _known_texts.get(key)
    if known is None or known.version != catalog.version:
        dialect = _sqlglot_dialect(context)
        lineage = read_sql(statement, dialect, catalog.tables)
        note_views(lineage, dialect)
        plan = plan_of(_with_views(lineage, context), catalog.labels_of, catalog.companion_of)
        if len(_known_texts) >= _MOST_TEXTS:
            _known_texts.clear()
        known = _known_texts[key] = _Known(catalog.version, NO_PLAN if plan.is_empty else plan)
    return _NOTHING if known.plan is NO_PLAN else known


def _sqlglot_dialect(context: Any) -> str:
    name: str = context.dialect.name
    return _DIALECTS.get(name, name)


def _with_views(lineage: Lineage, context: Any) -> Lineage:
    template = {"sqlite": SQLITE_VIEWS, "postgresql": POSTGRESQL_VIEWS}.get(context.dialect.name)
    pool = context.root_connection.engine.pool
    looked_up = _not_views.setdefault(pool, set())

    def look_up(names: frozenset[str]) -> list[tuple[str, str]]:
        if template is None or names <= looked_up:
            return []
        cursor = context.root_connection.connection.cursor()  # The driver's: nothing counts or sees this query.
        try:
            cursor.execute(views_query(template, names - looked_up))
            found = [(str(name), str(query)) for name, query in cursor.fetchall()]
        finally:
            cursor.close()
        looked_up.update(names)
        return found

    try:
        return follow_views(lineage, _sqlglot_dialect(context), look_up)
    except Exception as error:  # noqa: BLE001  # Looking up must not stop the program.
        report_internal_error("looking up views", error)
        return replace(lineage, gaps=(*lineage.gaps, "whether it reads views could not be looked up"))


def _of_exact(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
    return wrapped(*map(exact, args), **{name: exact(value) for name, value in kwargs.items()})


def _setting_up(label: Callable[[Any, Plan, Any], Any]) -> tuple[Wrapper, Callable[..., Any]]:
    """Give the wrapper of what makes a result of a cursor, and what stands before it.

    Args:
        label: Has a result label its values.
    """

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result, known = wrapped(*args, **kwargs), instance.taint_known
        if result._metadata.returns_rows:
            native, described = result._metadata, known.described
            twin = label(result, known.plan, described[1] if described[0] is native else None)
            if native is getattr(instance.compiled, "_cached_metadata", None):  # SQLAlchemy shares it too.
                known.described = (native, twin)
        return result

    def before(native: Callable[..., Any], concerned: Callable[..., Any]) -> Callable[..., Any]:
        def set_up(context: Any) -> Any:
            return concerned(context) if "taint_known" in vars(context) else native(context)

        return set_up

    return wrapper, before
