"""Results whose values carry labels: at once where a value leaves its row, and with the first look into a row.

A carrier is an object that the collector of garbage walks as long as the row is held: that makes many rows expensive,
and not all of many rows are looked into. So where all of many are fetched, a row is made as it is without the library,
and labelled whole when anything of it is first asked for; from then on it is a plain `Row`, and read as fast as one.
That first look costs more than labelling a row at once, which is done for few rows, and for those that come one by one
or in parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import copy_context
from functools import lru_cache, partial
from operator import itemgetter
from types import FunctionType
from typing import Any, NamedTuple

from sqlalchemy import Row, RowMapping
from sqlalchemy.engine import BaseRow
from sqlalchemy.engine.result import MappingResult, ScalarResult

from taint.flows.loaded import carry_result, carrying, row_labeller
from taint.flows.queries import OwnLabels, Plan
from taint.labels import NO_LABELS, Labels

__all__ = ["ROW_KINDS", "label_results"]


Read = Callable[[Any, tuple[Any, ...]], None]
"""Makes a row again, of the same values with their labels: what stands in a row that nobody has looked into, in the
place of what describes its columns."""

# By the descriptors, for what is asked of such a row in any other way labels it.
_data_of: Callable[[Any], tuple[Any, ...]] = vars(BaseRow)["_data"].__get__
_parent_of: Callable[[Any], Any] = vars(BaseRow)["_parent"].__get__
_set_class: Callable[[Any, type], None] = vars(object)["__class__"].__set__
_ASKED = ("__iter__", "__getitem__", "__contains__", "__hash__")
"""What reads the values of a row past its attributes; all else that is asked of one begins with an attribute."""


def _unread_class(kind: Any) -> Any:
    """Make the class of rows that nobody has looked into; it has no slots, as `__class__` asks for the same layout."""

    def look(self: Any) -> None:
        """Label all values of a row, which then is one like any other; once, also where two threads look at once."""
        data = _data_of(self)
        read = _parent_of(self)  # After the values: where it still stands there, they are those of the database.
        if type(read) is FunctionType:
            read(self, data)
            _set_class(self, kind)

    def asking(name: str) -> Callable[..., Any]:
        native = getattr(kind, name)

        def ask(self: Any, *args: Any) -> Any:
            look(self)
            return native(self, *args)

        return ask

    def get(self: Any, name: str) -> Any:
        if name == "__class__":
            return kind
        look(self)
        return getattr(self, name)

    body: dict[str, Any] = {name: asking(name) for name in _ASKED}
    body |= {"__slots__": (), "__getattribute__": get, "__module__": kind.__module__, "__doc__": kind.__doc__}
    return type(kind)(kind.__name__, (kind,), body)


_UnreadRow, _UnreadMapping = map(_unread_class, (Row, RowMapping))

ROW_KINDS = (Row, RowMapping, _UnreadRow, _UnreadMapping)
"""Exact types of rows, as results give them."""

_FEW = 64
"""So many rows are labelled at once, also where all are fetched."""


class _Asked(NamedTuple):
    """What the rows of a result are made by."""

    metadata: Any
    plan: Plan
    native: list[Callable[[Any], Any] | None] | None
    said: set[str]


def label_results(result: Any, plan: Plan, twin: Any = None) -> Any:
    """Have a result label its values, after the column's type has made them.

    Labels: of the column, and the value's own; on a row's values with the first look into it, on all others
    as they are fetched. What is wrong with own labels is reported as if it were found where the row was fetched.

    Args:
        result: Of a statement that gives rows.
        plan: Of the statement; it has labels.
        twin: What this gave for another result with the same description.

    Returns:
        The description that labels, instead of the native one.
    """
    native: Any = result._metadata
    metadata = _labelling_twin(native, plan) if twin is None else twin
    said: set[str] = set()
    context = result.context
    context.taint_row = _row_reader(plan.own, metadata._processors, said) if plan.own else None
    context.taint_asked = None
    processors = native._processors
    if metadata._tuplefilter is None and not any(processors[one.companion] for one in plan.own):
        context.taint_asked = _Asked(metadata, plan, processors if any(processors) else None, said)
    result._metadata = metadata
    result._reset_memoizations()
    kind: Any = type(result)
    result.__class__ = _own_result_class(kind) if plan.own else _result_class(kind)
    return metadata


def _labelling_twin(native: Any, plan: Plan) -> Any:
    """Copy a description, which all results of the statement share, with what labels after the columns' types."""
    metadata = _copied(native)
    processors = [_labelling(processor, plan.labels_at(at)) for at, processor in enumerate(native._processors)]
    for index in {one.index for one in plan.own}:
        processor = processors[index]
        processors[index] = None if processor is None else _opening(processor)
    metadata._processors = processors
    return metadata


def _reading(asked: _Asked) -> Read:
    """Give what labels a row whose values have been made by the types of its columns."""
    metadata, plan = asked.metadata, asked.plan
    make: Callable[..., None] = BaseRow.__init__
    indexes = metadata._key_to_index
    if not plan.own:
        processors = [_labelling(None, plan.labels_at(index)) for index in range(len(metadata._processors))]
        return lambda row, data: make(row, metadata, processors, indexes, data)
    label = row_labeller(plan, asked.said, copy_context())
    return lambda row, data: make(row, metadata, None, indexes, label(data))


class _OfRow(tuple[Any, tuple[tuple[Callable[[Any, Any], Labels], Any], ...]]):
    """A value on its way from the row to the processor of its column, and what reads the texts of its labels."""

    __slots__ = ()


def _row_reader(
    own: tuple[OwnLabels, ...], processors: list[Callable[[Any], Any] | None], said: set[str]
) -> Callable[[Any], Any]:
    """Give what labels the values of a row, or hands them with their labels' texts to the processor of the column."""
    by_index: dict[int, list[tuple[int, Callable[[Any, Any], Labels]]]] = {}
    for one in own:
        by_index.setdefault(one.index, []).append((one.companion, one.reader(said)))
    parts = [(index, tuple(ones), processors[index] is not None) for index, ones in by_index.items()]

    def read(row: Any) -> Any:
        values = list(row)
        for index, ones, has_processor in parts:
            value = row[index]
            if value is None:
                continue
            if has_processor:
                values[index] = _OfRow((value, tuple([(reader, row[companion]) for companion, reader in ones])))
                continue
            labels = NO_LABELS
            for companion, reader in ones:
                labels |= reader(row[companion], value)
            if labels:
                values[index] = carry_result(value, labels)
        return tuple(values)

    return read


def _opening(processor: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def process(given: Any) -> Any:
        if type(given) is not _OfRow:
            return processor(given)
        value, texts = given
        value = processor(value)
        labels = NO_LABELS
        for reader, text in texts:
            labels |= reader(text, value)
        return carry_result(value, labels) if labels else value

    return process


def _asked(result: Any, real: Any) -> _Asked | None:
    """Give what rows are made by; None where a result does more with its rows than give them."""
    asked: _Asked | None = real.context.taint_asked
    is_plain = result._unique_filter_state is None and real._row_logging_fn is None
    return asked if is_plain and asked is not None and asked.metadata is result._metadata else None


def _made_later(asked: _Asked, kind: Any) -> Callable[[Any], Any]:
    """Give what makes rows that are labelled with the first look."""
    return partial(kind, _reading(asked), asked.native, asked.metadata._key_to_index)


def _made_at_once(asked: _Asked, kind: Any) -> Callable[[Any], Any]:
    """Give what makes labelled rows, of what `_all_read` gives."""
    metadata = asked.metadata
    return partial(kind, metadata, metadata._processors, metadata._key_to_index)


def _all_made(asked: _Asked, real: Any, rows: Any, kind: Any, later: Any) -> list[Any]:
    if len(rows) <= _FEW:
        return list(map(_made_at_once(asked, kind), _all_read(real, rows)))
    return list(map(_made_later(asked, later), rows))


def _all_read(result: Any, rows: Any) -> Any:
    read = result.context.taint_row
    return rows if read is None else map(read, rows)


@lru_cache(maxsize=64)
def _result_class(base: Any) -> Any:
    """Make the class of results whose values are labelled: the program gets rows that are labelled when they are read.

    A class, for what the strategy of a result is may change while it is read; and nothing that is put on the result
    itself, for that would refer to the result and keep its cursor open when the program has dropped it.
    """

    class TaintResult(base):  # type: ignore[misc]  # Whatever class SQLAlchemy uses.
        __slots__ = ()  # The layout of the class that it stands in for.

        taint_all = base._fetchall_impl

        def _allrows(self) -> Any:
            asked = _asked(self, self)
            if asked is None:
                return super()._allrows()
            return _all_made(asked, self, base._fetchall_impl(self), Row, _UnreadRow)

        def _iter_impl(self) -> Iterator[Any]:
            asked = _asked(self, self)
            rows: Iterator[Any] = super()._iter_impl() if asked is None else self._fetchiter_impl()
            return rows if asked is None else map(_made_at_once(asked, Row), rows)

        @property
        def _manyrow_getter(self) -> Callable[[Any, int | None], Any]:
            asked = _asked(self, self)
            if asked is None:
                getter: Callable[[Any, int | None], Any] = super()._manyrow_getter
                return getter

            def many(result: Any, size: int | None) -> list[Any]:
                rows = result._fetchmany_impl(result._yield_per if size is None else size)
                return list(map(_made_at_once(asked, Row), rows))

            return many

        def scalars(self, index: Any = 0) -> Any:
            found = super().scalars(index)
            found.__class__ = _TaintScalars
            return found

        def mappings(self) -> Any:
            found = super().mappings()
            found.__class__ = _TaintMappings
            return found

    return TaintResult


@lru_cache(maxsize=64)
def _own_result_class(base: Any) -> Any:
    """Make the class of results whose rows have labels beside their values.

    The labels are on what it hands to results that filter it, and on rows that are fetched one at a time.
    """

    class TaintOwnResult(_result_class(base)):  # type: ignore[misc]  # As above.
        __slots__ = ()

        def _fetchall_impl(self) -> Any:
            return list(_all_read(self, super()._fetchall_impl()))

        def _fetchmany_impl(self, size: int | None = None) -> Any:
            return list(_all_read(self, super()._fetchmany_impl(size)))

        def _fetchone_impl(self, hard_close: bool = False) -> Any:  # noqa: FBT001, FBT002  # SQLAlchemy's signature.
            row = super()._fetchone_impl(hard_close)
            return None if row is None else self.context.taint_row(row)

        def _fetchiter_impl(self) -> Any:
            return _all_read(self, super()._fetchiter_impl())

    return TaintOwnResult


class _TaintScalars(ScalarResult[Any]):
    """Single values, labelled as they are fetched, without a row around each."""

    __slots__ = ()

    def _allrows(self) -> Any:
        real, metadata = self._real_result, self._metadata
        places = metadata._translated_indexes
        if self._unique_filter_state is not None or real._row_logging_fn is not None or not places:
            return super()._allrows()
        values = map(itemgetter(places[0]), real._fetchall_impl())
        processor = metadata._processors[places[0]] if metadata._processors else None
        return list(values if processor is None else map(processor, values))


class _TaintMappings(MappingResult):
    """Rows as mappings, labelled with the first look into each."""

    __slots__ = ()

    def _allrows(self) -> Any:
        real: Any = self._real_result
        asked = _asked(self, real)
        if asked is None:
            return super()._allrows()
        return _all_made(asked, real, real.taint_all(), RowMapping, _UnreadMapping)


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
