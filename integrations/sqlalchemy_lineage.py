"""The lineage of SQLAlchemy statements, from their expressions: what `sqlalchemy.py` knows before it asks a database.

Expressions say which `Table` each column is of, so that nothing is guessed from names. A statement that holds
SQL text (`text()`, `literal_column()`) is read as text, whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, Delete, Insert, Select, Table, Update, event
from sqlalchemy.sql import elements, functions, selectable
from sqlalchemy.sql.schema import Column as SchemaColumn

from taint.evidence.catalog import catalog
from taint.evidence.lineage import Column, Input, Lineage, Output, Use, reused
from taint.labels import Labels

__all__ = [
    "COMPANION_KEY",
    "INFO_KEY",
    "HasTextError",
    "companions_of",
    "conflict_pairs",
    "declared_labels",
    "describe_tables",
    "read_compiled",
]

INFO_KEY = "taint"
"""The key of `Column.info` under which a column says what it was collected for."""

COMPANION_KEY = "taint_labels_of"
"""The key of `Column.info` under which a companion column names the column whose labels it keeps."""

_AGGREGATES = frozenset(
    (
        *("aggregate_strings", "any_value", "array_agg", "avg", "count", "cume_dist", "dense_rank", "every"),
        *("group_concat", "json_agg", "json_group_array", "json_object_agg", "jsonb_agg", "max", "min", "mode"),
        *("percent_rank", "percentile_cont", "percentile_disc", "rank", "stddev", "string_agg", "sum", "total"),
    )
)


class HasTextError(Exception):
    """The statement holds SQL text, which expressions do not tell about."""


def companions_of(table: Any) -> dict[str, str]:
    """Give the companion of each column that keeps its values' own labels in one, by their keys; of a `Table` only."""
    if not isinstance(table, Table):
        return {}
    return {column.info[COMPANION_KEY]: column.key for column in table.c if COMPANION_KEY in column.info}


def declared_labels(column: SchemaColumn[Any]) -> Labels | None:
    """Give what a column says of itself; the source is the column, where it names none."""
    found = column.info.get(INFO_KEY)
    if not isinstance(found, Labels):
        return None
    return _with_source(found, f"{column.table.fullname}.{column.name}")


@lru_cache(maxsize=4096)
def _with_source(labels: Labels, source: str) -> Labels:
    """Name the source of labels that name none; kept, since it is asked of every value that is written."""
    return Labels(label if label.source is not None else replace(label, source=source) for label in labels)


def describe_tables() -> None:
    """Have tables with a declared column tell the catalog, so that SQL text which names them can be read.

    Nothing is measured or changed by this: it keeps what a table says when it is made.
    """
    if not event.contains(Table, "after_parent_attach", _describe):
        event.listen(Table, "after_parent_attach", _describe)


def _describe(table: Table, _metadata: Any) -> None:
    declared = [(column, labels) for column in table.c if (labels := declared_labels(column))]
    name = table.fullname.lower()
    for column, labels in declared:
        catalog.add(Column(name, column.name.lower()), labels, by_table=True)
    companions = companions_of(table)
    for key, companion in companions.items():
        if key in table.c:
            catalog.add_companion(
                Column(name, table.c[key].name.lower()), Column(name, table.c[companion].name.lower())
            )
    if declared or companions:
        catalog.add_table(name, (column.name for column in table.c))


@dataclass(frozen=True, slots=True)
class Reading:
    """What a statement says.

    Args:
        lineage: What its results are made of, and what decides which rows there are.
        labels: What the columns in it declare.
        companions: The companion of each column in it that keeps its values' own labels in one.
    """

    lineage: Lineage
    labels: dict[Column, Labels] = field(default_factory=dict)
    companions: dict[Column, Column] = field(default_factory=dict)


def read_compiled(compiled: Any) -> Reading:
    """Read a compiled statement.

    Args:
        compiled: A `SQLCompiler`; of an ORM statement, the one with what the ORM made of it.

    Returns:
        What it says.

    Raises:
        HasTextError: It has to be read as text.
    """
    reader = _Reader()
    statement = compiled.statement
    made = getattr(compiled.compile_state, "statement", None)
    if made is not None and isinstance(statement, selectable.SelectBase):
        statement = made
    # Positional, as the database gives them: a column that is selected twice stands in it twice.
    dataset = reader.statement(statement)
    if isinstance(statement, CompoundSelect):  # Of which the compiler keeps the first query's columns only.
        made_of = reader.select(statement)[0]
    else:
        made_of = [reader.result(entry.objects) for entry in compiled._result_columns]
    names = [entry.name for entry in compiled._result_columns]
    if len(names) != len(made_of):
        raise HasTextError
    outputs = tuple(Output(name, inputs) for name, inputs in zip(names, made_of, strict=True))
    return Reading(Lineage(outputs, dataset), reader.labels, reader.companions)


_Inputs = frozenset[Input]
_NOTHING: _Inputs = frozenset()


class _Reader:
    def __init__(self) -> None:
        self.labels: dict[Column, Labels] = {}
        self.companions: dict[Column, Column] = {}
        self.selects: dict[
            int, tuple[Any, list[_Inputs], _Inputs]
        ] = {}  # With the select: an id is good while it lives.
        self.open: set[int] = set()

    def statement(self, statement: Any) -> _Inputs:
        """Give what decides which rows a statement gives or changes, and what it writes."""
        if isinstance(statement, selectable.SelectBase):
            return self.select(statement)[1]
        if isinstance(statement, Insert | Update | Delete):
            found = _NOTHING
            if isinstance(statement, Insert) and statement.select is not None:
                outputs, dataset = self.select(statement.select)
                found = found.union(dataset, *outputs)
            if isinstance(statement, Update | Delete):
                found |= self.all_of(statement._where_criteria, Use.FILTER)
            for value in (*_values(statement), *_conflict_values(statement)):
                if isinstance(value, elements.ClauseElement):
                    found |= self.inputs(value, Use.IDENTITY)
            return found
        if isinstance(statement, elements.TextClause):
            raise HasTextError
        element = getattr(statement, "element", None)  # What `select(...).from_statement(...)` wraps.
        if isinstance(element, elements.ClauseElement):
            return self.statement(element)
        return self.inputs(statement, Use.FILTER) if isinstance(statement, ColumnElement) else _NOTHING

    def result(self, objects: Iterable[Any]) -> _Inputs:
        """Give what one result is made of, from all that the compiler keeps to find it by."""
        expression = next((one for one in objects if isinstance(one, ColumnElement)), None)
        return self.inputs(expression, Use.IDENTITY)

    def select(self, select: Any) -> tuple[list[_Inputs], _Inputs]:
        """Give what each result of a query is made of, and what decides which rows there are."""
        known = self.selects.get(id(select))
        if known is not None:
            return known[1], known[2]
        if id(select) in self.open:  # A recursive query.
            return [], _NOTHING
        self.open.add(id(select))
        try:
            outputs, dataset = self._select(select)
        finally:
            self.open.discard(id(select))
        self.selects[id(select)] = (select, outputs, dataset)
        return outputs, dataset

    def _select(self, select: Any) -> tuple[list[_Inputs], _Inputs]:
        while isinstance(select, selectable.SelectStatementGrouping):
            select = select.element
        if isinstance(select, CompoundSelect):
            parts = [self.select(one) for one in select.selects]
            outputs = [_NOTHING.union(*column) for column in zip(*(part[0] for part in parts), strict=False)]
            dataset = _NOTHING.union(*(part[1] for part in parts))
            return outputs, dataset | self.all_of(select._order_by_clauses, Use.SORT)
        if isinstance(select, selectable.Values):
            return [_NOTHING for _ in select.exported_columns], _NOTHING
        if not isinstance(select, Select):
            raise HasTextError
        outputs = [self.inputs(one, Use.IDENTITY) for one in select.selected_columns]
        dataset = _NOTHING.union(*(self.source(one) for one in select.get_final_froms()))
        for clauses, use in (
            (select._where_criteria, Use.FILTER),
            (select._group_by_clauses, Use.GROUP_BY),
            (select._having_criteria, Use.FILTER),
            (select._order_by_clauses, Use.SORT),
            (select._distinct_on, Use.FILTER),
        ):
            dataset |= self.all_of(clauses, use)
        return outputs, dataset

    def source(self, source: Any) -> _Inputs:
        """Give what decides which rows something in FROM has."""
        if isinstance(source, selectable.Join):
            condition = _NOTHING if source.onclause is None else self.inputs(source.onclause, Use.JOIN)
            return self.source(source.left) | self.source(source.right) | condition
        if isinstance(source, selectable.SelectBase):
            return self.select(source)[1]
        if isinstance(source, functions.FunctionElement):
            return self.children(source, Use.FILTER)
        if isinstance(source, elements.TextClause):
            raise HasTextError
        element = getattr(source, "element", None)
        return _NOTHING if element is None else self.source(element)

    def all_of(self, clauses: Iterable[Any], use: Use) -> _Inputs:
        return _NOTHING.union(*(self.inputs(one, use) for one in clauses))

    def children(self, element: Any, use: Use) -> _Inputs:
        return self.all_of(element.get_children(), use)

    def inputs(self, element: Any, use: Use) -> _Inputs:  # noqa: PLR0911  # One for each kind of expression.
        """Find the columns in an expression, with what is done with each."""
        if element is None or isinstance(element, elements.BindParameter):
            return _NOTHING
        if isinstance(element, elements.TextClause):
            raise HasTextError
        if isinstance(element, elements.ColumnClause):
            return self.column(element, use)
        if isinstance(element, selectable.ScalarSelect | elements.Grouping | selectable.Exists) and isinstance(
            element.element, selectable.SelectBase | selectable.ScalarSelect | elements.Grouping
        ):
            return self.inputs(element.element, use)
        if isinstance(element, selectable.SelectBase):
            outputs, dataset = self.select(element)
            return reused(_NOTHING.union(*outputs), _inside(use, Use.TRANSFORMATION)) | dataset
        if (
            isinstance(element, elements.Grouping) or element.__visit_name__ == "label"
        ):  # The compiler has labels of its own.
            return self.inputs(element.element, use)
        if isinstance(element, elements.UnaryExpression) and use is Use.SORT:
            return self.inputs(element.element, use)
        return self.compound(element, use)

    def compound(self, element: Any, use: Use) -> _Inputs:
        inner = _inside(use, Use.TRANSFORMATION)
        if isinstance(element, elements.Case):
            decides = _inside(use, Use.CONDITIONAL)
            found = self.inputs(element.value, decides) | self.inputs(element.else_, inner)
            for condition, result in element.whens:
                found |= self.inputs(condition, decides) | self.inputs(result, inner)
            return found
        if isinstance(element, elements.Over):
            by = (one for one in (element.partition_by, element.order_by) if one is not None)
            return self.inputs(element.element, inner) | self.all_of(by, Use.WINDOW)
        if isinstance(element, elements.FunctionFilter):
            return self.inputs(element.func, use) | self.inputs(element.criterion, Use.FILTER)
        if isinstance(element, functions.FunctionElement):  # A FromClause too.
            is_aggregate = getattr(element, "name", "").lower() in _AGGREGATES
            return self.children(element, _inside(use, Use.AGGREGATION) if is_aggregate else inner)
        if isinstance(element, selectable.FromClause):
            return _NOTHING
        return self.children(element, inner)

    def column(self, column: Any, use: Use) -> _Inputs:
        table = column.table
        if isinstance(table, Table):
            found = Column(table.fullname.lower(), column.name.lower())
            original = table.c.get(column.key)
            labels = None if original is None else declared_labels(original)
            if labels:
                self.labels[found] = labels
            companion = None if original is None else companions_of(table).get(original.key)
            if companion is not None:
                self.companions[found] = Column(found.table, table.c[companion].name.lower())
            return frozenset((Input(found, use),))
        if column.is_literal:
            if column.name == "*" or column.name.isdecimal():  # count(*), EXISTS (SELECT 1 ...)
                return _NOTHING
            raise HasTextError
        if isinstance(table, selectable.TableClause):
            return frozenset((Input(Column(table.fullname.lower(), column.name.lower()), use),))
        if id(column) in self.open:
            return _NOTHING
        self.open.add(id(column))
        try:
            bases = [base for base in column.base_columns if base is not column]
            return reused(self.all_of(bases, Use.IDENTITY), use)
        finally:
            self.open.discard(id(column))


def _values(statement: Any) -> Sequence[Any]:
    found = list((getattr(statement, "_values", None) or {}).values())
    found += [value for _, value in getattr(statement, "_ordered_values", None) or ()]
    return found


def _conflict_values(statement: Any) -> Sequence[Any]:
    return [value for _, value in conflict_pairs(statement)]


def conflict_pairs(statement: Any) -> list[tuple[Any, Any]]:
    """Give what `ON CONFLICT DO UPDATE` sets, with what to; a list of pairs in SQLAlchemy 2.0, a dict since 2.1."""
    found = getattr(getattr(statement, "_post_values_clause", None), "update_values_to_set", None) or ()
    return list(found.items() if isinstance(found, dict) else found)


def _inside(use: Use, own: Use) -> Use:
    """Give the use of what stands inside an expression: what decides stays so, whatever it is made of."""
    return use if use.derivation == "indirect" or use is Use.AGGREGATION else own
