"""Results whose values carry labels: at once where a value leaves its row, and with the first look into a row.

Most rows that are fetched together are looked at once, some never. A carrier is an object that the collector of garbage
walks as long as the row is held, so that a row of SQLAlchemy is made as it is without the library, and labelled whole
when anything of it is first asked for; from then on it is a plain `Row`, and read as fast as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import Context, copy_context
from functools import lru_cache, partial
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Row, RowMapping
from sqlalchemy.engine import BaseRow
from sqlalchemy.engine.result import MappingResult, ScalarResult

from taint.flows.queries import OwnLabels, Plan, carry_result, carrying
from taint.labels import NO_LABELS, Labels

__all__ = ["ROW_KINDS", "label_results"]


class _Unread(NamedTuple):
    """What stands in a row that nobody has looked into, in the place of what describes its columns."""

    metadata: Any
    label: Callable[[tuple[Any, ...]], tuple[Any, ...]]


# By the descriptors, for what is asked of such a row in any other way labels it.
_data_of: Callable[[Any], tuple[Any, ...]] = BaseRow._data.__get__
_parent_of: Callable[[Any], Any] = BaseRow._parent.__get__
_set_class: Callable[[Any, type], None] = vars(object)["__class__"].__set__
_ASKED = (
    *("__iter__", "__getitem__", "__contains__", "__reversed__", "__hash__", "__repr__", "__str__"),
    *("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__or__", "__ror__"),
    *("__reduce__", "__reduce_ex__", "__getstate__", "__dir__", "__format__"),
)


def _read(row: Any, kind: type) -> None:
    """Label all values of a row, which then is one like any other; once, also where two threads look at once."""
    data = _data_of(row)
    unread = _parent_of(row)  # After the values: where it still stands there, they are those of the database.
    if type(unread) is _Unread:
        BaseRow.__setstate__(row, {"_parent": unread.metadata, "_data": unread.label(data)})
        _set_class(row, kind)


def _unread_class(kind: Any) -> Any:
    """Make the class of rows that nobody has looked into; it has no slots, as `__class__` asks for the same layout."""

    def asking(name: str) -> Callable[..., Any]:
        def ask(self: Any, *args: Any) -> Any:
            _read(self, kind)
            return getattr(kind, name)(self, *args)

        return ask

    def get(self: Any, name: str) -> Any:
        if name == "__class__":
            return kind
        _read(self, kind)
        return getattr(self, name)

    body = {name: asking(name) for name in _ASKED if hasattr(kind, name)}
    body |= {"__slots__": (), "__getattribute__": get, "__module__": kind.__module__, "__doc__": kind.__doc__}
    return type(kind)(kind.__name__, (kind,), body)


_UnreadRow, _UnreadMapping = map(_unread_class, (Row, RowMapping))

ROW_KINDS = (Row, RowMapping, _UnreadRow, _UnreadMapping)
"""Exact types of rows, as results give them."""


def label_results(result: Any, plan: Plan) -> None:
    """Have a result label its values, after the column's type has made them.

    Labels: of the column, and the value's own; on a row's values with the first look into it, on all others
    as they are fetched. What is wrong with own labels is reported as if it were found where the row was fetched.

    Args:
        result: Of a statement that gives rows.
        plan: Of the statement; it has labels.
    """
    native = result._metadata._processors
    metadata = _copied(result._metadata)
    processors = [_labelling(processor, plan.labels_at(index)) for index, processor in enumerate(native)]
    said: set[str] = set()
    context = result.context
    context.taint_row = None
    if plan.own:
        context.taint_row = _row_reader(plan.own, processors, said)
        for index in {one.index for one in plan.own}:
            processor = processors[index]
            processors[index] = None if processor is None else _opening(processor, said)
    metadata._processors = processors
    context.taint_unread = None
    if metadata._tuplefilter is None and not any(native[one.companion] for one in plan.own):
        unread = _Unread(metadata, _row_labeller(plan, len(native), said, copy_context() if plan.own else None))
        context.taint_unread = (unread, native if any(native) else None)
    result._metadata = metadata
    result._reset_memoizations()
    result.__class__ = _result_class(type(result))


def _row_labeller(
    plan: Plan, width: int, said: set[str], context: Context | None
) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """Give what labels the values of a row that has been made by the types of its columns."""
    parts = [(index, carrying(labels)) for index in range(width) if (labels := plan.labels_at(index))]
    own = plan.own

    def label(data: tuple[Any, ...]) -> tuple[Any, ...]:
        values = list(data)
        for index, carry in parts:
            values[index] = carry(data[index])
        for one in own:
            if (value := data[one.index]) is not None:
                labels = one.read(data[one.companion], value, said, context)
                if labels:
                    values[one.index] = carry_result(values[one.index], labels)
        return tuple(values)

    return label


class _OfRow(tuple[Any, tuple[tuple[OwnLabels, Any], ...]]):
    """A value on its way from the row to the processor of its column, and the texts of its labels."""

    __slots__ = ()


def _row_reader(
    own: tuple[OwnLabels, ...], processors: list[Callable[[Any], Any] | None], said: set[str]
) -> Callable[[Any], Any]:
    """Give what labels the values of a row, or hands them with their labels' texts to the processor of the column."""
    by_index: dict[int, list[OwnLabels]] = {}
    for one in own:
        by_index.setdefault(one.index, []).append(one)
    parts = [(index, tuple(ones), processors[index] is not None) for index, ones in by_index.items()]

    def read(row: Any) -> Any:
        values = list(row)
        for index, ones, has_processor in parts:
            value = row[index]
            if value is None:
                continue
            if has_processor:
                values[index] = _OfRow((value, tuple([(one, row[one.companion]) for one in ones])))
                continue
            labels = NO_LABELS
            for one in ones:
                labels |= one.read(row[one.companion], value, said)
            if labels:
                values[index] = carry_result(value, labels)
        return tuple(values)

    return read


def _opening(processor: Callable[[Any], Any], said: set[str]) -> Callable[[Any], Any]:
    def process(given: Any) -> Any:
        if type(given) is not _OfRow:
            return processor(given)
        value, texts = given
        value = processor(value)
        labels = NO_LABELS
        for one, text in texts:
            labels |= one.read(text, value, said)
        return carry_result(value, labels) if labels else value

    return process


def _maker(result: Any, real: Any, kind: Any) -> Callable[[Any], Any] | None:
    """Give what makes rows that nobody has looked into; None where a result does more with its rows than give them."""
    unread = real.context.taint_unread
    if (
        unread is None
        or unread[0].metadata is not result._metadata
        or result._unique_filter_state is not None
        or real._row_logging_fn is not None
    ):
        return None
    parent, processors = unread
    return partial(kind, parent, processors, result._metadata._key_to_index)


@lru_cache(maxsize=64)
def _result_class(base: Any) -> Any:
    """Make the class of results whose values are labelled.

    A class, for what the strategy of a result is may change while it is read; and nothing that is put on the result
    itself, for that would refer to the result and keep its cursor open when the program has dropped it.
    """

    class TaintResult(base):  # type: ignore[misc]  # Whatever class SQLAlchemy uses.
        __slots__ = ()  # The layout of the class that it stands in for.

        # Rows for whoever calls it: results that filter this one, and those that give rows one at a time.

        def _fetchall_impl(self) -> Any:
            read = self.context.taint_row
            rows = super()._fetchall_impl()
            return rows if read is None else list(map(read, rows))

        def _fetchmany_impl(self, size: int | None = None) -> Any:
            read = self.context.taint_row
            rows = super()._fetchmany_impl(size)
            return rows if read is None else list(map(read, rows))

        def _fetchone_impl(self, hard_close: bool = False) -> Any:  # noqa: FBT001, FBT002  # SQLAlchemy's signature.
            read = self.context.taint_row
            row = super()._fetchone_impl(hard_close)
            return row if row is None or read is None else read(row)

        def _fetchiter_impl(self) -> Any:
            read = self.context.taint_row
            rows = super()._fetchiter_impl()
            return rows if read is None else map(read, rows)

        # Rows for the program, many at a time.

        def _allrows(self) -> Any:
            make = _maker(self, self, _UnreadRow)
            return super()._allrows() if make is None else list(map(make, super()._fetchall_impl()))

        def _iter_impl(self) -> Iterator[Any]:
            make = _maker(self, self, _UnreadRow)
            rows: Iterator[Any] = super()._iter_impl() if make is None else map(make, super()._fetchiter_impl())
            return rows

        @property
        def _manyrow_getter(self) -> Callable[[Any, int | None], Any]:
            make = _maker(self, self, _UnreadRow)
            if make is None:
                getter: Callable[[Any, int | None], Any] = super()._manyrow_getter
                return getter
            fetch = base._fetchmany_impl
            return lambda result, size: list(map(make, fetch(result, size or result._yield_per)))

        def scalars(self, index: Any = 0) -> Any:
            found = super().scalars(index)
            found.__class__ = _TaintScalars
            return found

        def mappings(self) -> Any:
            found = super().mappings()
            found.__class__ = _TaintMappings
            return found

    return TaintResult


class _TaintScalars(ScalarResult[Any]):
    """Single values, labelled as they are fetched, without a row around each."""

    __slots__ = ()

    def _allrows(self) -> Any:
        real, metadata = self._real_result, self._metadata
        places = metadata._translated_indexes
        if self._unique_filter_state is not None or real._row_logging_fn is not None or not places:
            return super()._allrows()
        values = map(itemgetter(places[0]), real._fetchall_impl())
        processor = (metadata._processors or {})[places[0]]
        return list(values if processor is None else map(processor, values))


class _TaintMappings(MappingResult):
    """Rows as mappings, labelled with the first look into each."""

    __slots__ = ()

    def _allrows(self) -> Any:
        real: Any = self._real_result
        make = _maker(self, real, _UnreadMapping)
        return super()._allrows() if make is None else list(map(make, super(type(real), real)._fetchall_impl()))


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
