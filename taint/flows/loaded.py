"""Rows that were loaded: labels put on their values, of their columns and of the values themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextvars import Context
from typing import Any

from taint.carriers.number import TaintedInt, attributes_of, set_attributes
from taint.carriers.proxy import carry
from taint.carriers.text import TaintedStr
from taint.flows.queries import Plan
from taint.labels import Labels

__all__ = ["carry_result", "carrying", "row_labeller"]

_new_text = str.__new__


def carry_result(value: Any, labels: Labels) -> Any:
    """Label a value that a query gave. Labels: on all of it; numbers become `TaintedInt`, others as `carry`."""
    kind = type(value)
    if kind is str and value:
        # What `carry_text` and `TaintedInt` come to, without their calls: this is run for every value of a column.
        text = _new_text(TaintedStr, value)
        text._coverage = labels  # noqa: SLF001  # See above.
        return text
    if kind is int:
        return TaintedInt(value, labels)
    return value if value is None or kind is bool else carry(value, labels)


def carrying(labels: Labels, processor: Callable[[Any], Any] | None = None) -> Callable[[Any], Any]:
    """Give what does `carry_result` for all values of a column, as quickly as can be: it is run for each.

    Args:
        labels: Of the column.
        processor: What makes the value of what the driver gives, first.
    """
    new, new_number, put, attributes = str.__new__, int.__new__, set_attributes, attributes_of(labels)

    def process(value: Any) -> Any:
        kind = type(value)
        if kind is str and value:
            text = new(TaintedStr, value)
            text._coverage = labels  # noqa: SLF001  # As in `carry_result`.
            return text
        if kind is int:
            number = new_number(TaintedInt, value)
            put(number, attributes)
            return number
        if kind is TaintedStr and value._coverage is labels:  # noqa: SLF001  # Labelled already, by a field's conversion.
            return value
        return carry_result(value, labels)

    return process if processor is None else lambda value: process(processor(value))


def row_labeller(
    plan: Plan, said: set[str] | None = None, context: Context | None = None
) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """Give what labels the values of a query's rows, by position.

    Labels: of each column; and a value's own, where the row has them.

    Args:
        plan: Of the query.
        said: What has been reported of its rows.
        context: See `OwnLabels.reader`.
    """
    own = [(one.index, one.companion, one.reader(set() if said is None else said, context)) for one in plan.own]
    by_width: dict[int, tuple[tuple[int, Callable[[Any], Any]], ...]] = {}

    def label(row: Sequence[Any]) -> tuple[Any, ...]:
        values = list(row)
        try:
            columns = by_width[len(values)]
        except KeyError:
            columns = by_width[len(values)] = tuple(_carrying_each(plan, range(len(values))))
        for index, process in columns:
            values[index] = process(values[index])
        for index, companion, read in own:
            if (value := row[index]) is not None:
                labels = read(row[companion], value)
                if labels:
                    values[index] = carry_result(values[index], labels)
        return tuple(values)

    return label


def _carrying_each(plan: Plan, indexes: Iterable[int]) -> Iterable[tuple[int, Callable[[Any], Any]]]:
    return ((index, carrying(labels)) for index in indexes if (labels := plan.labels_at(index)))
