"""A value's own labels, row by row: for a column that holds data of several purposes.

A companion column in the same table keeps them as text, one label a line. It is written by the statement that writes
the value, so that it is there, rolled back and read with it. Where that cannot be done the statement is a gap.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy import Insert, Table
from sqlalchemy.sql import elements, selectable, visitors

from taint.carriers.text import TaintedStr
from taint.carriers.values import labels_of
from taint.evidence.catalog import catalog
from taint.evidence.lineage import Column
from taint.evidence.row_labels import DERIVED, encoded, sealed
from taint.integrations.sqlalchemy_lineage import INFO_KEY, companions_of, conflict_pairs, declared_labels
from taint.labels import NO_LABELS, Label, Labels
from taint.losses import count_loss
from taint.purposes import Taxonomy, current_taxonomy, is_allowed

__all__ = ["OWN_WORK", "NotKeptError", "backfill", "companion_of", "default_of", "keeping_labels", "widened_by"]


OWN_WORK = "taint_own_work"
"""The execution option of statements by which the library labels what is in a table: they are no use of it."""


class NotKeptError(Exception):
    """A statement writes values whose labels cannot be written with them. The message says which, without a value."""


def companion_of(expression: Any) -> Any:  # noqa: C901  # One branch for each kind of expression.
    """Give what a value's companion is to be: a text, None, or an expression for SQL.

    Raises:
        NotKeptError: The labels of what the value is made of are not known to the statement.
    """
    if not isinstance(expression, elements.ClauseElement):
        return sealed(labels_of(expression), expression)
    if isinstance(expression, elements.BindParameter) and expression.callable is None and not expression.required:
        return sealed(labels_of(expression.value), expression.value)
    if isinstance(expression, elements.Null):
        return None
    if isinstance(expression, elements.ColumnClause) and (copied := list(_companions(expression))):
        return copied[0]  # With the seal of a value that is copied too.
    labels = NO_LABELS
    companions: list[Any] = []
    for element in visitors.iterate(expression):
        if isinstance(element, selectable.SelectBase):
            raise NotKeptError("a subquery gives the value")
        if isinstance(element, elements.BindParameter):
            labels |= labels_of(element.value)
        elif isinstance(element, elements.ColumnClause):
            companions += _companions(element)
            original = element.table.c.get(element.key) if isinstance(element.table, Table) else None
            if original is not None:
                labels |= declared_labels(original) or NO_LABELS
    literal = f"{DERIVED}\n{encoded(labels)}"
    whole: Any = sa.literal(literal, sa.Text)
    for part in dict.fromkeys(companions):
        whole = whole + "\n" + sa.func.coalesce(part, "")
    return whole


def _companions(column: Any) -> Iterator[Any]:
    """Find the companion of a column of a table, of an alias of one, or of `excluded`."""
    for base in column.base_columns:
        key = companions_of(getattr(base, "table", None)).get(base.key)
        if key is not None:
            if key not in column.table.c:
                raise NotKeptError("the query that gives the value does not give its labels")
            yield column.table.c[key]


def keeping_labels(
    statement: Any, rows: list[dict[str, Any]], companions: dict[str, str]
) -> tuple[Any, list[dict[str, Any]]]:
    """Have a statement write the companion of each value that it writes.

    Args:
        statement: INSERT or UPDATE, of ORM or Core.
        rows: The parameters that it is executed with, one dict for each row.
        companions: Of its table, as `companions_of` gives them.

    Returns:
        Both as they are to be executed; the same objects where there is nothing to do.

    Raises:
        NotKeptError: It writes values whose labels it cannot write.
    """
    if not companions:
        return statement, rows
    if isinstance(statement, Insert):
        return _kept_on_conflict(_checked_insert(statement, companions), companions), rows
    assigned = {getattr(column, "key", column): value for column, value in (statement._values or {}).items()}
    if getattr(statement, "_ordered_values", None) or getattr(statement, "_multi_values", None):
        raise NotKeptError("it sets ordered values")
    changed = {
        companions[key]: companion_of(value)
        for key, value in assigned.items()
        if key in companions and companions[key] not in assigned
    }
    if changed:
        statement = statement.values(changed)
    kept = [key for key in companions if rows and all(key in row for row in rows)]
    if kept:
        rows = [
            {
                **row,
                **{
                    companions[key]: sealed(labels_of(row[key]), row[key]) for key in kept if companions[key] not in row
                },
            }
            for row in rows
        ]
    return statement, rows


def widened_by(statement: Any, rows: list[dict[str, Any]], companions: dict[str, str]) -> list[str]:
    """Find columns that would say of a value that it was collected for more than it was.

    Labels: of a value that goes to a column that says nothing are lost, which is counted.

    Args:
        statement: INSERT or UPDATE.
        rows: The parameters that it is executed with.
        companions: Of its table, as `companions_of` gives them.

    Returns:
        What is wrong, in words, each once.
    """
    table = statement.table
    if not isinstance(table, Table):
        return []
    found: dict[str, None] = {}
    fits, column_of = _known_to_fit(table), table.c.get
    many = (row for part in getattr(statement, "_multi_values", ()) for row in part)
    for written in (statement._values or {}, *many, *rows):
        if not isinstance(written, dict) or _PLAIN.issuperset(map(type, written.values())):
            continue
        for name, given in written.items():
            key = name if type(name) is str else str(getattr(name, "key", name))
            value = given
            if type(value) is TaintedStr and type(value._coverage) is Labels:  # As `labels_of`, without its call.
                labels = value._coverage
            else:
                value = given.value if isinstance(given, elements.BindParameter) else given
                labels = NO_LABELS if type(value) in _PLAIN else labels_of(value)
            if not labels or key in companions or (column := column_of(key)) is None:
                continue
            says = column.info.get(INFO_KEY)
            if fits.get((key, labels), _UNKNOWN) is says:
                continue
            declared = declared_labels(column) or catalog.labels_of(Column(table.fullname.lower(), column.name.lower()))
            direct = [label for label in labels if label.derivation == "direct"]
            too_wide = [label for label in direct if not _may_be_in(declared, label)]
            if too_wide and not declared:
                count_loss(f"{table.fullname}.{column.name}")
            elif too_wide:
                found.update(dict.fromkeys(_widening(column, declared, label) for label in too_wide))
            else:
                fits[key, labels] = says
    return list(found)


def _may_be_in(declared: Labels, label: Label) -> bool:
    """Tell whether a value with a label may be in a column that declares others, if any."""
    return bool(declared) and all(is_allowed(label.purposes, purpose) for one in declared for purpose in one.purposes)


def _widening(column: Any, declared: Labels, label: Label) -> str:
    return (
        f"{column.table.fullname}.{column.name} says that it was collected for "
        f"{', '.join(map(repr, sorted(declared.purposes)))}, and is given what was for "
        f"{', '.join(map(repr, sorted(label.purposes)))}"
    )


_UNKNOWN = object()
_MOST_FITTING = 4096
_Fitting = dict[tuple[str, Labels], object]
_fitting: WeakKeyDictionary[Table, tuple[int, Taxonomy, _Fitting]] = WeakKeyDictionary()


def _known_to_fit(table: Table) -> _Fitting:
    """Give what was found to fit a table's columns: a column and labels, with what the column says of itself."""
    kept = _fitting.get(table)
    version, taxonomy = catalog.version, current_taxonomy()
    if kept is None or kept[0] != version or kept[1] is not taxonomy or len(kept[2]) >= _MOST_FITTING:
        kept = _fitting[table] = (version, taxonomy, {})
    return kept[2]


_PLAIN = frozenset((str, int, float, bool, bytes, type(None)))


def _checked_insert(statement: Insert, companions: dict[str, str]) -> Insert:
    """Refuse an INSERT whose default cannot see the values; any other gets its companions by the column's default."""
    if statement.select is not None:
        written = {getattr(name, "key", name) for name in statement._select_names or ()}
        for key, companion in companions.items():
            if key in written and companion not in written:
                raise NotKeptError(f"INSERT from a query writes {key!r} and not {companion!r}")
    for many in getattr(statement, "_multi_values", ()):
        if any(_is_expression(value) for row in many for name, value in _pairs(row) if name in companions):
            raise NotKeptError("INSERT of many rows has an expression for a value")
    values = dict(_pairs(statement._values or {}))
    made = {
        companions[key]: companion_of(value)
        for key, value in values.items()
        if key in companions and companions[key] not in values and _is_expression(value)
    }
    return statement.values(made) if made else statement


def _is_expression(value: Any) -> bool:
    return isinstance(value, elements.ClauseElement) and not isinstance(value, elements.BindParameter)


def _pairs(values: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(values, dict):
        for name, value in values.items():
            yield name if type(name) is str else str(getattr(name, "key", name)), value


def _kept_on_conflict(statement: Any, companions: dict[str, str]) -> Any:
    clause: Any = getattr(statement, "_post_values_clause", None)
    pairs = conflict_pairs(statement)
    names = {getattr(name, "key", name) for name, _ in pairs}
    more = [
        (companions[key], companion_of(value))
        for name, value in pairs
        if (key := getattr(name, "key", name)) in companions and companions[key] not in names
    ]
    if not more:
        return statement
    statement = statement._clone()
    statement._post_values_clause = clause = copy.copy(clause)
    whole = [*pairs, *((name, _bound(value)) for name, value in more)]
    clause.update_values_to_set = dict(whole) if isinstance(clause.update_values_to_set, dict) else whole
    return statement


def _bound(value: Any) -> Any:
    return value if isinstance(value, elements.ClauseElement) else sa.literal(value, sa.Text)


def default_of(key: str) -> Callable[[Any], str | None]:
    """Give the default of a companion column: the labels of the value in the same row."""

    def labels_beside(context: Any) -> str | None:
        # Of the rows of one VALUES each has its names; SQLAlchemy takes them apart by keys that are text only, which
        # those of a mapped class are not.
        given = context.get_current_parameters(isolate_multiinsert_groups=False)
        column = context.current_column
        row = column.index + 1 if getattr(column, "_is_multiparam_column", False) else 0
        value = given[key] if key in given else given.get(f"{key}_m{row}")
        return sealed(labels_of(value), value)

    return labels_beside


def backfill(connection: sa.Connection, table: Table, at_once: int) -> int:
    """Do what `backfill_labels` says."""
    keys = list(table.primary_key.columns)
    changed = 0
    connection = connection.execution_options(**{OWN_WORK: True})
    for key, companion in companions_of(table).items():
        value, text = table.c[key], table.c[companion]
        labels = declared_labels(value) or NO_LABELS
        rows = sa.select(*keys, value).where(value.is_not(None), text.is_(None)).order_by(*keys).limit(at_once)
        write = table.update().where(text.is_(None), *(one == sa.bindparam(f"taint_{one.key}") for one in keys))
        write = write.values({companion: sa.bindparam("taint_text")})
        last: Any = None
        while found := connection.execute(rows if last is None else rows.where(last)).all():
            parameters = [
                {f"taint_{one.key}": row[at] for at, one in enumerate(keys)} | {"taint_text": sealed(labels, row[-1])}
                for row in found
            ]
            connection.execute(write, parameters)
            changed += len(found)
            reached = (sa.literal(part, one.type) for part, one in zip(found[-1], keys, strict=False))
            last = sa.tuple_(*keys) > sa.tuple_(*reached)
    return changed
