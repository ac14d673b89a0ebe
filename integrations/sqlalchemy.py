"""SQLAlchemy: what a query gives carries the labels of the columns that it is made of or found by.

Source: a column that declares what it was collected for: `info=labelled(...)` on a `Column` or
`mapped_column`, or `taint.evidence.catalog.declare` for a table that nobody may change.

Sink: none of its own. Inside a zone every statement is decided before the database is asked: each labelled
column that it uses, to give or to find rows, is used for the zone's purpose (evidence `lineage`).

Covered: Core and ORM, sync and async, every dialect. Results of a labelled column and of what is derived from it
(functions, CASE, subqueries, common table expressions, set operations, windows, RETURNING) carry its labels; all
results of a query that joins, filters, groups or sorts by it carry them as `indirect`, ids as `TaintedInt`. SQL
text (`text()`, `exec_driver_sql`) is read by sqlglot, the extra `sql`; what cannot be read is a `gap`. Carriers
of other types than text can be bound as parameters.

Not covered: views and database functions that read a labelled column, unless they are declared too; a value's own
labels, which are lost when it is written to a column that declares none; COPY; `Session.query(...).update()` in
its in-Python `evaluate` of values.

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

import gc
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from taint.carriers.containers import close_kind, open_kind
from taint.carriers.proxy import exact
from taint.evidence.catalog import catalog
from taint.evidence.lineage import Column, Derivation, Input, Lineage, Use, indirect
from taint.evidence.sql import read_sql
from taint.flows.queries import NO_PLAN, Plan, carry_result, carrying, check_query, plan_of
from taint.guard import report_internal_error
from taint.integrations.base import Integration
from taint.integrations.cursors import bindable
from taint.labels import NO_LABELS, Label, Labels
from taint.modes import Mode, current_mode
from taint.propagation.patches import Patch
from taint.purposes import purpose_keys

__all__ = ["SqlalchemyIntegration", "labelled", "own_labels"]

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
    writes the value, and are on it again when both columns are read. An update by SQL text does not keep them.

    Args:
        column: The key of the other column, in the same table.

    Returns:
        The keyword arguments of a nullable `Text` column.
    """
    from taint.integrations.sqlalchemy_lineage import COMPANION_KEY
    from taint.integrations.sqlalchemy_rows import default_of

    return {"info": {COMPANION_KEY: column}, "default": default_of(column), "nullable": True}


class SqlalchemyIntegration(Integration):
    """Labels what queries give, and decides queries in zones."""

    identifier = "sqlalchemy"
    requires = ("sqlalchemy>=2.0,<2.2",)

    def _install(self) -> None:
        from sqlalchemy import Engine, Row, RowMapping, event
        from sqlalchemy.engine.default import DefaultExecutionContext
        from sqlalchemy.engine.result import ResultInternal
        from sqlalchemy.sql import type_api

        open_kind(Row, lambda row: [(f".{name}", value) for name, value in zip(row._fields, row, strict=False)])
        open_kind(RowMapping, lambda row: [(f".{name}", value) for name, value in row.items()])
        event.listen(Engine, "before_execute", _before_execute, retval=True)
        event.listen(Engine, "before_cursor_execute", _before_cursor_execute, retval=True)
        # Since 1.4: where the cursor of any statement, ORM or Core, becomes a result. Events tell of the statement and
        # of the cursor, none of the rows; a column's type is asked for the column alone, not for lower(column).
        # `_allrows` is where a result, or its scalars or mappings, makes all its rows.
        self._wrap(
            (
                Patch(DefaultExecutionContext, "_setup_result_proxy", _setup_result),
                Patch(ResultInternal, "_allrows", _all_rows),
                # Since 1.4: finds the type of a literal by its class, and has no type for a class that it does not know.
                Patch(type_api, "_resolve_value_to_type", _type_of_literal),
            )
        )

    def _uninstall(self) -> None:
        from sqlalchemy import Engine, Row, RowMapping, event

        close_kind(Row)
        close_kind(RowMapping)
        event.remove(Engine, "before_execute", _before_execute)
        event.remove(Engine, "before_cursor_execute", _before_cursor_execute)


def _before_execute(
    _connection: Any, statement: Any, many: Any, parameters: Any, _options: Any
) -> tuple[Any, Any, Any]:
    """Have INSERT and UPDATE write the companions of what they write."""
    if not getattr(statement, "is_dml", False) or statement.is_delete or current_mode() is Mode.OFF:
        return statement, many, parameters
    from taint.integrations.sqlalchemy_rows import NotKeptError, keeping_labels

    rows = list(many) if many else [parameters] if parameters else []
    try:
        statement, kept = keeping_labels(statement, rows)
    except NotKeptError as error:
        gap = f"{statement.table.fullname}: the values' own labels are not kept: {error}"
        check_query(Plan(gaps=(gap,)), store="sqlalchemy")
        return statement, many, parameters
    except Exception as error:  # noqa: BLE001  # A statement that nobody thought of must not stop the program.
        report_internal_error("keeping labels in a table", error)
        check_query(Plan(gaps=("the values' own labels could not be kept",)), store="sqlalchemy")
        return statement, many, parameters
    if kept is rows:
        return statement, many, parameters
    return (statement, kept, {}) if many else (statement, [], kept[0])


def _before_cursor_execute(
    _connection: Any, _cursor: Any, statement: str, parameters: Any, context: Any, _executemany: object
) -> tuple[str, Any]:
    if current_mode() is Mode.OFF or context is None:
        return statement, parameters
    known = _known(statement, context)
    if known is not _NOTHING_KNOWN:
        check_query(known.plan, store="sqlalchemy")
        if known.own or known.plan.has_labels:
            context.taint_known = known
    return statement, _bindable(parameters)


@dataclass(frozen=True, slots=True)
class _Own:
    """A result that has the labels of its row: where it is, and where they are."""

    index: int
    companion: int
    derivation: Derivation


@dataclass(frozen=True, slots=True)
class _Known:
    """What is worked out once for a statement."""

    plan: Plan
    own: tuple[_Own, ...] = ()


_NOTHING_KNOWN = _Known(NO_PLAN)
_known_statements: WeakKeyDictionary[Any, tuple[int, _Known]] = WeakKeyDictionary()
_known_texts: dict[tuple[str, str], tuple[int, _Known]] = {}


def _known(statement: str, context: Any) -> _Known:
    if context.isddl:
        return _NOTHING_KNOWN
    compiled = context.compiled
    if compiled is None:
        return _text_plan(statement, context.dialect)
    known = _known_statements.get(compiled)
    if known is None or known[0] != catalog.version:
        known = _known_statements[compiled] = (catalog.version, _read(compiled, statement, context.dialect))
    return known[1]


def _read(compiled: Any, statement: str, dialect: Any) -> _Known:
    from taint.integrations.sqlalchemy_lineage import HasTextError, Reading, read_compiled

    try:
        reading = read_compiled(compiled)
    except HasTextError:
        return _text_plan(statement, dialect)
    except Exception as error:  # noqa: BLE001  # A statement that nobody thought of must not stop the program.
        report_internal_error("reading a statement", error)
        reading = Reading(Lineage(gaps=(f"the statement cannot be followed ({type(error).__name__})",)))

    def labels_of(column: Column) -> Labels:
        return reading.labels.get(column, NO_LABELS) | catalog.labels_of(column, by_name=False)

    plan = plan_of(reading.lineage, labels_of)
    if reading.companions:
        own, missing = _own_labels_in(reading.lineage, reading.companions)
        decides = sorted({str(one.column) for one in reading.lineage.inputs if _decides(one, reading.companions)})
        zone_gaps = tuple(f"{name} holds data of several purposes and decides which rows there are" for name in decides)
        return _Known(replace(plan, gaps=plan.gaps + missing, zone_gaps=zone_gaps), own)
    return _Known(plan) if plan.uses or plan.gaps else _NOTHING_KNOWN


def _decides(one: Input, companions: dict[Column, Column]) -> bool:
    return one.column in companions and one.use.derivation is Derivation.INDIRECT


def _own_labels_in(lineage: Lineage, companions: dict[Column, Column]) -> tuple[tuple[_Own, ...], tuple[str, ...]]:
    """Find which results have labels of their row, and which would have if the query gave them."""
    places: dict[Column, list[int]] = {}
    for index, output in enumerate(lineage.outputs):
        for one in output.inputs:
            if one.use is Use.IDENTITY and one.column in companions.values():
                places.setdefault(one.column, []).append(index)
    are_companions = {index for indexes in places.values() for index in indexes}
    own: list[_Own] = []
    missing: set[str] = set()
    for index, output in enumerate(lineage.outputs):
        for one in sorted(output.inputs | lineage.dataset):
            companion = companions.get(one.column)
            if companion is None or index in are_companions:
                continue
            if one.use is Use.AGGREGATION or companion not in places:
                missing.add(f"{one.column} keeps its values' own labels in {companion}, which the query does not give")
            own += (_Own(index, place, one.use.derivation) for place in places.get(companion, ()))
    return tuple(own), tuple(sorted(missing))


def _text_plan(statement: str, dialect: Any) -> _Known:
    if not catalog:  # No column of any table holds what was collected.
        return _NOTHING_KNOWN
    key = (statement, dialect.name)
    known = _known_texts.get(key)
    if known is None or known[0] != catalog.version:
        lineage = read_sql(statement, _DIALECTS.get(dialect.name, dialect.name), catalog.tables)
        plan = plan_of(lineage, catalog.labels_of)
        known = (catalog.version, _Known(plan) if plan.uses or plan.gaps else _NOTHING_KNOWN)
        if len(_known_texts) >= _MOST_TEXTS:
            _known_texts.clear()
        _known_texts[key] = known
    return known[1]


def _bindable(parameters: Any) -> Any:
    if isinstance(parameters, list):  # Of many rows.
        return [bindable(one) for one in parameters]
    return bindable(parameters)


def _type_of_literal(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
    return wrapped(*map(exact, args), **{name: exact(value) for name, value in kwargs.items()})


def _setup_result(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    result = wrapped(*args, **kwargs)
    known = getattr(instance, "taint_known", None)
    if known is not None and result._metadata.returns_rows:
        _label_results(result, known)
    return result


def _label_results(result: Any, known: _Known) -> None:
    """Have a result label its values, after the column's type has made them."""
    metadata = _copied(result._metadata)
    processors = [
        _labelling(processor, known.plan.labels_at(index)) for index, processor in enumerate(metadata._processors)
    ]
    for index in {one.index for one in known.own}:
        processors[index] = _opening(processors[index])
    metadata._processors = processors
    result._metadata = metadata
    result._reset_memoizations()
    if known.own:
        kind: Any = type(result)
        result.__class__ = _result_class(kind)


@dataclass(frozen=True, slots=True)
class _OfRow:
    """A value on its way from the row, in which its labels are, to the processor of its column."""

    value: Any
    labels: Labels


def _opening(processor: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    def process(value: Any) -> Any:
        if type(value) is not _OfRow:
            return value if processor is None else processor(value)
        return carry_result(value.value if processor is None else processor(value.value), value.labels)

    return process


@lru_cache(maxsize=64)
def _result_class(base: Any) -> Any:
    """Make the class of results whose rows have labels beside their values.

    A class, for what the strategy of a result is may change while it is read; and nothing that is put on the result
    itself, for that would refer to the result and keep its cursor open when the program has dropped it.
    """

    class TaintResult(base):  # type: ignore[misc]  # Whatever class SQLAlchemy uses.
        __slots__ = ()  # The layout of the class that it stands in for.

        def _fetchall_impl(self) -> Any:
            return [_with_labels(row, self.context.taint_known.own) for row in super()._fetchall_impl()]

        def _fetchmany_impl(self, size: int | None = None) -> Any:
            return [_with_labels(row, self.context.taint_known.own) for row in super()._fetchmany_impl(size)]

        def _fetchone_impl(self, hard_close: bool = False) -> Any:  # noqa: FBT001, FBT002  # SQLAlchemy's signature.
            row = super()._fetchone_impl(hard_close)
            return None if row is None else _with_labels(row, self.context.taint_known.own)

        def _fetchiter_impl(self) -> Any:
            return (_with_labels(row, self.context.taint_known.own) for row in super()._fetchiter_impl())

    return TaintResult


def _with_labels(row: Any, own: tuple[_Own, ...]) -> Any:
    labels_at: dict[int, Labels] = {}
    for one in own:
        text = row[one.companion]
        if text is not None and row[one.index] is not None:
            labels = _labels_of_row(text)
            if one.derivation is Derivation.INDIRECT:
                labels = indirect(labels)
            labels_at[one.index] = labels_at.get(one.index, NO_LABELS) | labels
    if not labels_at:
        return row
    return tuple(_OfRow(value, labels_at[at]) if at in labels_at else value for at, value in enumerate(row))


def _labels_of_row(text: str) -> Labels:
    from taint.integrations.sqlalchemy_rows import decoded

    try:
        return decoded(text)
    except ValueError:
        check_query(Plan(gaps=("a companion column holds something else than labels",)), store="sqlalchemy")
        return NO_LABELS


def _copied(metadata: Any) -> Any:
    """Copy the description of a result, which is shared by all that the statement gives."""
    twin = object.__new__(type(metadata))
    for kind in type(metadata).__mro__:
        for name in getattr(kind, "__slots__", ()):
            if hasattr(metadata, name):
                setattr(twin, name, getattr(metadata, name))
    return twin


def _labelling(processor: Callable[[Any], Any] | None, labels: Labels) -> Callable[[Any], Any] | None:
    return carrying(labels, processor) if labels else processor


def _all_rows(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Make all rows of a labelled result without collecting garbage in between.

    Every carrier is one more object that the collector walks, over and over while their number grows, and none of
    them can be garbage yet: that took more time than to make them.
    """
    result = getattr(instance, "_real_result", None) or instance
    if getattr(getattr(result, "context", None), "taint_known", None) is None or not gc.isenabled():
        return wrapped(*args, **kwargs)
    gc.disable()
    try:
        return wrapped(*args, **kwargs)
    finally:
        gc.enable()
