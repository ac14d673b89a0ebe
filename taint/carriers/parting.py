"""How a part of a text or of bytes, or the same in other letters, gets its labels: slices, splits, what is stripped."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from taint.carriers.coverage import (
    cut,
    flat,
    picked,
)
from taint.carriers.operations import Kind, Maker, Method, indexed, size_of
from taint.labels import Labels

__all__ = ["PARTING"]


def _same_length(kind: Kind, method: Method) -> Method:
    """Case maps: position for position; all of it where the length changes ('ß'.upper())."""
    carry = kind.carry

    def override(self: Any) -> Any:
        value = method(self)
        coverage = self._coverage
        if type(coverage) is not Labels and len(value) != len(self):
            coverage = flat(coverage)
        return carry(value, coverage)

    return override


def _strip(kind: Kind, method: Method) -> Method:
    carry, lstrip, starts_same = kind.carry, kind.native.lstrip, method.__name__ == "rstrip"

    def override(self: Any, chars: Any = None, /) -> Any:
        value = method(self, chars)
        coverage = self._coverage
        if type(coverage) is not Labels:
            start = 0 if starts_same else len(self) - len(lstrip(self, chars))
            coverage = cut(coverage, start, start + len(value))
        return carry(value, coverage)

    return override


def _removed(kind: Kind, method: Method) -> Method:
    carry, starts_same = kind.carry, method.__name__ == "removesuffix"

    def override(self: Any, part: Any, /) -> Any:
        value = method(self, part)
        coverage = self._coverage
        if type(coverage) is not Labels:
            start = 0 if starts_same else len(self) - len(value)
            coverage = cut(coverage, start, start + len(value))
        return carry(value, coverage)

    return override


def _split_starts(native: Any, text: Any, parts: list[Any], sep: Any) -> Iterator[int]:
    at = 0
    for part in parts:
        # A part never begins with whitespace, so that its first occurrence from here on is its own.
        at = native.find(text, part, at) if sep is None else at
        yield at
        at += len(part) + (0 if sep is None else size_of(sep))


def _rsplit_starts(native: Any, text: Any, parts: list[Any], sep: Any) -> Iterator[int]:
    starts: list[int] = []
    end = len(text)
    for part in reversed(parts):
        at = native.rfind(text, part, 0, end) if sep is None else end - len(part)
        starts.append(at)
        end = at - (0 if sep is None else size_of(sep))
    return reversed(starts)


def _split(kind: Kind, method: Method) -> Method:
    """Each part has its place in the value, which is only looked for where that is mixed."""
    carry, native = kind.carry, kind.native
    starts = _split_starts if method.__name__ == "split" else _rsplit_starts

    def override(self: Any, sep: Any = None, maxsplit: Any = -1) -> list[Any]:
        parts = method(self, sep, maxsplit)
        coverage = self._coverage
        if type(coverage) is Labels:
            return [carry(part, coverage) for part in parts]
        places = zip(parts, starts(native, self, parts, sep), strict=True)
        return [carry(part, cut(coverage, at, at + len(part))) for part, at in places]

    return override


def _splitlines(kind: Kind, method: Method) -> Method:
    carry = kind.carry

    def override(self: Any, keepends: Any = False) -> list[Any]:
        parts = method(self, keepends)
        coverage = self._coverage
        if type(coverage) is Labels:
            return [carry(part, coverage) for part in parts]
        starts = itertools.accumulate(map(len, method(self, True)), initial=0)
        return [carry(part, cut(coverage, at, at + len(part))) for part, at in zip(parts, starts, strict=False)]

    return override


def _partition(kind: Kind, method: Method) -> Method:
    carry = kind.carry

    def override(self: Any, sep: Any, /) -> tuple[Any, Any, Any]:
        head, middle, tail = method(self, sep)
        coverage = self._coverage
        if type(coverage) is Labels:
            return carry(head, coverage), carry(middle, coverage), carry(tail, coverage)
        second, third = len(head), len(head) + len(middle)
        return (
            carry(head, cut(coverage, 0, second)),
            carry(middle, cut(coverage, second, third)),
            carry(tail, cut(coverage, third, len(self))),
        )

    return override


def _getitem(kind: Kind, method: Method) -> Method:
    carry = kind.carry

    def override(self: Any, key: Any, /) -> Any:
        coverage = self._coverage
        if type(coverage) is Labels:
            value = method(self, key)
            return value if type(value) is int else carry(value, coverage)
        if isinstance(key, slice):
            step, start, stop = indexed(key.step), indexed(key.start), indexed(key.stop)  # In the native order.
            key = slice(start, stop, step)
            value = method(self, key)
            positions = range(*key.indices(len(self)))
            if positions.step == 1:
                return carry(value, cut(coverage, positions.start, positions.start + len(value)))
            return carry(value, picked(coverage, positions))
        key = indexed(key)
        value = method(self, key)
        if type(value) is int:
            return value
        key %= len(self)
        return carry(value, cut(coverage, key, key + 1))

    return override


class _Characters:
    """What `iter` gives: like the native iterator it is lazy, tells how much is left, and can be pickled."""

    def __init__(self, text: Any) -> None:
        self._text = text
        self._at = 0

    def __iter__(self) -> _Characters:
        return self

    def __next__(self) -> Any:
        at, text = self._at, self._text
        self._at = at + 1
        try:
            return text[at]
        except IndexError:
            self._at = at
            raise StopIteration from None

    def __length_hint__(self) -> int:
        return len(self._text) - self._at


def _iter(_kind: Kind, _method: Method) -> Method:
    def override(self: Any) -> Iterator[Any]:
        return _Characters(self)

    return override


PARTING: dict[str, Maker] = {
    **dict.fromkeys(("upper", "lower", "casefold", "title", "capitalize", "swapcase"), _same_length),
    **dict.fromkeys(("strip", "lstrip", "rstrip"), _strip),
    **dict.fromkeys(("removeprefix", "removesuffix"), _removed),
    **dict.fromkeys(("split", "rsplit"), _split),
    **dict.fromkeys(("partition", "rpartition"), _partition),
    "__getitem__": _getitem,
    "__iter__": _iter,
    "splitlines": _splitlines,
}
"""Every operation that gives parts of the value, by the way in which it gives its labels on."""
