"""How a text or bytes made of several gets their labels: sums, joins, fills, and what is put in the place of a part."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Iterator
from types import WrapperDescriptorType
from typing import Any

from taint.carriers.coverage import (
    Coverage,
    Span,
    Spans,
    concatenated,
    cut,
    flat,
    joined,
    placed,
    repeated,
    spans_of,
)
from taint.carriers.operations import Kind, Maker, Method, Pieces, coverage_of, indexed, size_of
from taint.labels import NO_LABELS, Labels

__all__ = ["COMPOSING", "between", "translate_bytes"]


def _padded(kind: Kind, method: Method) -> Method:
    """`center`, `ljust`, `rjust`: the value stands in the result once; the rest is the fill."""
    carry, name, space = kind.carry, method.__name__, " " if kind.native is str else b" "

    def override(self: Any, width: Any, fill: Any = space, /) -> Any:
        value = method(self, width, fill)
        coverage = self._coverage
        length, width = len(self), len(value)
        pad = width - length
        if not pad:
            return carry(value, coverage)
        # CPython puts the odd character of `center` to the left where the width is odd.
        before = 0 if name == "ljust" else pad if name == "rjust" else pad // 2 + (pad & width & 1)
        around = None if fill is space else coverage_of(fill)
        if around is None:
            return carry(value, placed(coverage, before, length, width))
        return carry(value, concatenated(((around, before), (coverage, length), (around, pad - before))))

    return override


def _zfill(kind: Kind, method: Method) -> Method:
    carry, starts_with, signs = kind.carry, kind.native.startswith, ("+", "-") if kind.native is str else (b"+", b"-")

    def override(self: Any, width: Any, /) -> Any:
        value = method(self, width)
        coverage = self._coverage
        length, pad = len(self), len(value) - len(self)
        if not pad:
            return carry(value, coverage)
        if not starts_with(self, signs):
            return carry(value, placed(coverage, pad, length, pad + length))
        rest = (cut(coverage, 1, length), length - 1)
        return carry(value, concatenated(((cut(coverage, 0, 1), 1), (None, pad), rest)))

    return override


def _asked_first(kind: Kind, other: Any, name: str, self: Any) -> Any:
    """Give what the other operand's own reflected method gives.

    Python asks it before a native text, which has `+` and `*` as a sequence only, and not as a number. So
    markupsafe's `Markup` escapes what it is added to.
    """
    if isinstance(other, kind.carrier) or type(self) is not kind.carrier:
        return NotImplemented  # A carrier's subclass, such as a labelled Markup, has asked already.
    reflected = getattr(type(other), name, None)
    if reflected is None or (type(reflected) is WrapperDescriptorType and hasattr(type(other), "__getitem__")):
        return NotImplemented  # A built-in sequence has `*` in the same place as a text, and is not asked either.
    return reflected(other, self)


def _add(kind: Kind, method: Method) -> Method:
    native, carry = kind.native, kind.carry

    def override(self: Any, other: Any, /) -> Any:
        if type(other) is native:
            value = method(self, other)
            coverage = self._coverage
            return carry(value, placed(coverage, 0, len(self), len(value)))
        result = _asked_first(kind, other, "__radd__", self)
        if result is not NotImplemented:
            return result
        value = method(self, other)
        coverage, more = self._coverage, getattr(other, "_coverage", None)
        if more is coverage and type(coverage) is Labels:
            return carry(value, coverage)
        length = len(self)
        return carry(value, concatenated(((coverage, length), (more, len(value) - length))))

    return override


def _radd(kind: Kind, _method: Method) -> Method:
    native, add, carry = kind.native, kind.native.__add__, kind.carry

    def override(self: Any, other: Any, /) -> Any:
        if not isinstance(other, native):
            return NotImplemented  # bytearray + bytes stays a bytearray, which no subclass of bytes can label.
        value = add(other, self)
        coverage, length = self._coverage, len(self)
        before = len(value) - length
        if type(other) is native:
            return carry(value, placed(coverage, before, length, before + length))
        return carry(value, concatenated(((coverage_of(other), before), (coverage, length))))

    return override


def _not_a_count(value: object) -> TypeError:
    """Say what `*` says of native text; the native method itself, called by its name, says it in other words."""
    return TypeError(f"can't multiply sequence by non-int of type {type(value).__name__!r}")


def _mul(kind: Kind, method: Method) -> Method:
    carry = kind.carry

    def override(self: Any, count: Any, /) -> Any:
        if type(count) is not int:
            result = _asked_first(kind, count, "__rmul__", self)
            if result is not NotImplemented:
                return result
            if not hasattr(type(count), "__index__"):
                raise _not_a_count(count)
        value = method(self, count)
        coverage = self._coverage
        if type(coverage) is not Labels and value:
            coverage = repeated(coverage, len(self), len(value) // len(self))
        return carry(value, coverage)

    return override


def _rmul(kind: Kind, _method: Method) -> Method:
    times, carry = kind.native.__mul__, kind.carry

    def override(self: Any, count: Any, /) -> Any:
        if not hasattr(type(count), "__index__"):
            if hasattr(type(count), "__getitem__"):
                return NotImplemented  # A sequence, which then says so itself.
            raise _not_a_count(count)
        value = times(self, count)
        coverage = self._coverage
        if type(coverage) is not Labels and value:
            coverage = repeated(coverage, len(self), len(value) // len(self))
        return carry(value, coverage)

    return override


def _join(kind: Kind, method: Method) -> Method:
    carry, native, carrier = kind.carry, kind.native, kind.carrier

    def override(self: Any, items: Any, /) -> Any:
        if type(items) is not list and type(items) is not tuple:
            try:
                iterator = iter(items)
            except TypeError:
                return method(self, items)
            items = list(iterator)
        value = method(self, items)
        separator = (self._coverage, len(self))
        pieces: Pieces = []
        for item in items:
            item_type = type(item)
            if item_type is native:
                pieces += (None, len(item)), separator
            elif item_type is carrier:
                pieces += (item._coverage, len(item)), separator
            else:
                pieces += (coverage_of(item), size_of(item)), separator
        if pieces:
            del pieces[-1]
        return carry(value, concatenated(pieces))

    return override


def between(parts: list[Any], width: int, labels: Labels) -> Coverage:
    """Give the coverage of parts that are labelled alike, with something plain of `width` between them."""
    if len(parts) == 1:
        return labels
    spans: list[Span] = []
    at = 0
    for part in parts:
        if part:
            end = at + len(part)
            spans.append((at, end, labels))
            at = end
        at += width
    return tuple(spans)


def _replace(kind: Kind, method: Method) -> Method:
    carry, split = kind.carry, kind.native.split

    def override(self: Any, old: Any, new: Any, count: Any = -1, /, **keyword: Any) -> Any:
        if keyword:  # `count`, since 3.13; earlier ones refuse it.
            keyword = {name: indexed(value) for name, value in keyword.items()}
            value = method(self, old, new, **keyword)
            count = keyword["count"]
        else:
            if type(count) is not int:
                count = indexed(count)
            value = method(self, old, new, count)
        coverage = self._coverage
        width, put, put_width = size_of(old), coverage_of(new), size_of(new)
        if type(coverage) is Labels and (not put_width or put is coverage):
            return carry(value, coverage)
        if width:
            parts = split(self, old, count)
            if put is None and type(coverage) is Labels and coverage:
                return carry(value, between(parts, put_width, coverage))
            lengths = [len(part) for part in parts]
        else:
            # An empty pattern matches before every position and at the end, `count` times.
            limit = len(self) + 1 if count < 0 else min(count, len(self) + 1)
            lengths = [0, *([1] * (limit - 1)), len(self) - (limit - 1)] if limit else [len(self)]
        if len(lengths) == 1:
            return carry(value, coverage)
        pieces: Pieces = []
        at = 0
        for length in lengths:
            pieces += (cut(coverage, at, at + length), length), (put, put_width)
            at += length + width
        return carry(value, concatenated(pieces[:-1]))

    return override


class _Recorder:
    """A translation table that notes what it gave for each character, since the native method tells nobody."""

    def __init__(self, table: Any) -> None:
        self.table = table
        self.given: dict[int, tuple[Coverage | None, int]] = {}

    def __getitem__(self, ordinal: int) -> Any:
        found = self.table[ordinal]
        if not isinstance(found, int):
            self.given[ordinal] = (None, 0) if found is None else (coverage_of(found), len(found))
        return found


def _translate(kind: Kind, method: Method) -> Method:
    """`str.translate`: what a table puts for a character is derived from it, and from what is in the table."""
    carry, carrier = kind.carry, kind.carrier

    def override(self: Any, table: Any, /) -> Any:
        coverage = self._coverage
        if type(coverage) is Labels and type(table) is dict and carrier not in map(type, table.values()):
            return carry(method(self, table), coverage)
        recorder = _Recorder(table)
        value = method(self, recorder)
        pieces: Pieces = []
        at = 0
        for start, stop, labels in (*spans_of(coverage, len(self)), (len(self), len(self), NO_LABELS)):
            for first, last, own in ((at, start, NO_LABELS), (start, stop, labels)):
                for character in kind.native.__getitem__(self, slice(first, last)):
                    put, width = recorder.given.get(ord(character), (None, 1))
                    pieces.append((joined(put, own, width) if width else None, width))
            at = stop
        if sum(width for _, width in pieces) != len(value):  # The table gives now this and now that.
            return carry(value, functools.reduce(operator.or_, (flat(own) for own, _ in pieces), flat(coverage)))
        return carry(value, concatenated(pieces))

    return override


def _edges(coverage: Spans, length: int) -> Iterator[tuple[int, int]]:
    """Give the edges of every stretch between two changes of coverage: uncovered, covered, and so on in turn."""
    return itertools.pairwise((0, *(edge for span in coverage for edge in span[:2]), length))


def translate_bytes(kind: Kind, method: Method) -> Method:
    """`bytes.translate`: byte for byte, without those that are deleted."""
    carry, get = kind.carry, kind.native.__getitem__

    def override(self: Any, table: Any, /, delete: Any = b"") -> Any:
        value = method(self, table, delete)
        coverage = self._coverage
        if type(coverage) is not Labels:
            deleted = bytes(delete)
            kept = [len(method(get(self, slice(a, b)), None, deleted)) for a, b in _edges(coverage, len(self))]
            owners = [owner for _, _, labels in coverage for owner in (None, labels)]
            coverage = concatenated(zip((*owners, None), kept, strict=True))
        return carry(value, joined(coverage, flat(coverage_of(table)), len(value)))

    return override


def _expandtabs(kind: Kind, method: Method) -> Method:
    """`expandtabs`: spaces stand for their tab; how many depends on the column that it stands in."""
    carry, split, rfind = kind.carry, kind.native.split, kind.native.rfind
    tab, ends = ("\t", "\n\r") if kind.native is str else (b"\t", (b"\n", b"\r"))

    def override(self: Any, tabsize: Any = 8) -> Any:
        size = indexed(tabsize)
        value = method(self, size)
        coverage = self._coverage
        if type(coverage) is Labels:
            return carry(value, coverage)
        pieces: Pieces = []
        at = column = 0
        for part in split(self, tab):
            length = len(part)
            line_end = max(rfind(part, end) for end in ends)
            column = length - line_end - 1 if line_end >= 0 else column + length
            width = size - column % size if size > 0 else 0
            column += width
            pieces += (cut(coverage, at, at + length), length), (cut(coverage, at + length, at + length + 1), width)
            at += length + 1
        return carry(value, concatenated(pieces[:-1]))

    return override


COMPOSING: dict[str, Maker] = {
    **dict.fromkeys(("center", "ljust", "rjust"), _padded),
    "__add__": _add,
    "__radd__": _radd,
    "__mul__": _mul,
    "__rmul__": _rmul,
    "zfill": _zfill,
    "join": _join,
    "replace": _replace,
    "translate": _translate,
    "expandtabs": _expandtabs,
}
"""Every operation that puts more to the value or in its place, by the way in which it gives its labels on."""
