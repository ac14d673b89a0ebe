"""A value's own labels, row by row: for a column that holds data of several purposes.

A companion column in the same table keeps them as text, one label a line. It is written by the statement that writes
the value, so that it is there, rolled back and read with it. Where that cannot be done the statement is a gap.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Insert, Table
from sqlalchemy.sql import elements, selectable, visitors

from taint.carriers.values import labels_of
from taint.integrations.sqlalchemy_lineage import companions_of, conflict_pairs, declared_labels
from taint.labels import NO_LABELS, Label, Labels, Trace

__all__ = ["NotKeptError", "companion_of", "decoded", "default_of", "encoded", "keeping_labels"]


class NotKeptError(Exception):
    """A statement writes values whose labels cannot be written with them. The message says which, without a value."""


def encoded(labels: Labels) -> str | None:
    """Write labels as text, one a line, in a stable order; None where there are none."""
    return "\n".join(sorted(map(_line, labels))) or None


def _line(label: Label) -> str:
    fields = {
        "purposes": sorted(label.purposes),
        "category": label.category,
        "source": label.source,
        "subject": label.subject,
        "consent": label.consent,
        "trace": None if label.trace is None else str(label.trace),
        "derivation": None if label.derivation == "direct" else label.derivation,
    }
    return json.dumps({name: value for name, value in fields.items() if value is not None}, separators=(",", ":"))


@lru_cache(maxsize=4096)
def decoded(text: str) -> Labels:
    """Read labels that `encoded` wrote; those of several values, joined by line ends, are joined.

    Raises:
        ValueError: It is something else.
    """
    found: list[Label] = []
    for line in filter(None, text.split("\n")):
        try:
            fields = json.loads(line)
            trace = fields.pop("trace", None)
            purposes = frozenset(map(str, fields.pop("purposes")))
            found.append(Label(purposes, **fields, trace=None if trace is None else Trace.parse(trace)))
        except (AttributeError, KeyError, TypeError, ValueError):
            raise ValueError("not the text of labels") from None
    return Labels(found)


def companion_of(expression: Any) -> Any:
    """Give what a value's companion is to be: a text, None, or an expression for SQL.

    Raises:
        NotKeptError: The labels of what the value is made of are not known to the statement.
    """
    if not isinstance(expression, elements.ClauseElement):
        return encoded(labels_of(expression))
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
    if not companions:
        return encoded(labels)
    literal = encoded(labels)
    parts = [*dict.fromkeys(companions), *([] if literal is None else [sa.literal(literal)])]
    if len(parts) == 1:
        return parts[0]
    whole: Any = sa.func.coalesce(parts[0], "")
    for part in parts[1:]:
        whole = whole + "\n" + sa.func.coalesce(part, "")
    return whole


def _companions(column: Any) -> Iterator[Any]:
    """Find the companion of a column of a table, of an alias of one, or of `excluded`."""
    for base in column.base_columns:
        key = companions_of(base.table).get(base.key) if isinstance(getattr(base, "table", None), Table) else None
        if key is not None:
            if key not in column.table.c:
                raise NotKeptError("the query that gives the value does not give its labels")
            yield column.table.c[key]


def keeping_labels(statement: Any, rows: list[dict[str, Any]]) -> tuple[Any, list[dict[str, Any]]]:
    """Have a statement write the companion of each value that it writes.

    Args:
        statement: INSERT or UPDATE, of ORM or Core.
        rows: The parameters that it is executed with, one dict for each row.

    Returns:
        Both as they are to be executed; the same objects where there is nothing to do.

    Raises:
        NotKeptError: It writes values whose labels it cannot write.
    """
    table = statement.table
    companions = companions_of(table) if isinstance(table, Table) else {}
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
            {**row, **{companions[key]: encoded(labels_of(row[key])) for key in kept if companions[key] not in row}}
            for row in rows
        ]
    return statement, rows


def _checked_insert(statement: Insert, companions: dict[str, str]) -> Insert:
    """Refuse an INSERT whose default cannot see the values; any other gets its companions by the column's default."""
    if statement.select is not None:
        written = {getattr(name, "key", name) for name in statement._select_names or ()}
        for key, companion in companions.items():
            if key in written and companion not in written:
                raise NotKeptError(f"INSERT from a query writes {key!r} and not {companion!r}")
    return statement


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
        value = context.get_current_parameters().get(key)
        return encoded(labels_of(value))

    return labels_beside
