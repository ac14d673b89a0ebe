"""How the methods of `str` and `bytes` give their labels on, one maker for each way.

Both carriers have the same methods with the same positions, so that one table serves both. Each
maker takes the native method and gives an override that calls it first: the value, and every
exception, is always the native one. The fast path is a value that is labelled as a whole.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from taint.carriers import observation
from taint.carriers.coverage import (
    Coverage,
    concatenated,
    cut,
    flat,
    picked,
    repeated,
    spans_of,
    tidy,
)
from taint.labels import NO_LABELS, Labels

__all__ = ["coverage_of", "define_operations", "labels_in"]

Method = Callable[..., Any]
Kind = Any
"""`str`, `bytes` or their carrier: which of them, and so what it has, is only known to the table."""
Maker = Callable[[Kind, Kind, Method], Method]


def coverage_of(value: object) -> Coverage | None:
    """Give the coverage of a text or bytes carrier; None for anything else."""
    return getattr(value, "_coverage", None) if isinstance(value, str | bytes) else None


def labels_in(values: Iterable[object]) -> Labels:
    """Join the labels of the text and bytes carriers among some operands."""
    labels = NO_LABELS
    for value in values:
        coverage = coverage_of(value)
        if coverage:
            labels |= flat(coverage)
    return labels


def _pieces(values: Iterable[Any]) -> Coverage | None:
    return concatenated((coverage_of(value), len(value)) for value in values)


def _carrying(carrier: Kind, native: Kind) -> Callable[[Any, Coverage | None], Any]:
    """Give the function that puts a coverage on a native value; empty or uncovered stays native."""
    new = native.__new__

    def carry(value: Any, coverage: Coverage | None) -> Any:
        if not coverage or not value:
            return value
        result = new(carrier, value)
        result._coverage = coverage
        return result

    return carry


def _same_length(carrier: Kind, native: Kind, method: Method) -> Method:
    """Case maps: position for position; all of it where the length changes ('ß'.upper())."""
    new = native.__new__

    def override(self: Any) -> Any:
        value = method(self)
        result = new(carrier, value)
        coverage = self._coverage
        result._coverage = coverage if type(coverage) is Labels or len(value) == len(self) else flat(coverage)
        return result

    return override


def _kept_left(carrier: Kind, native: Kind, method: Method) -> Method:
    """`rstrip`, `removesuffix`: the result begins where the value does."""
    carry = _carrying(carrier, native)

    def override(self: Any, *args: Any) -> Any:
        value = method(self, *args)
        coverage = self._coverage
        return carry(value, coverage if type(coverage) is Labels else cut(coverage, 0, len(value)))

    return override


def _kept_right(carrier: Kind, native: Kind, method: Method) -> Method:
    """`lstrip`, `removeprefix`: the result ends where the value does."""
    carry = _carrying(carrier, native)

    def override(self: Any, *args: Any) -> Any:
        value = method(self, *args)
        coverage = self._coverage
        if type(coverage) is not Labels:
            coverage = cut(coverage, len(self) - len(value), len(self))
        return carry(value, coverage)

    return override


def _strip(carrier: Kind, native: Kind, method: Method) -> Method:
    carry = _carrying(carrier, native)
    lstrip: Method = native.lstrip

    def override(self: Any, *args: Any) -> Any:
        value = method(self, *args)
        coverage = self._coverage
        if type(coverage) is not Labels:
            start = len(self) - len(lstrip(self, *args))
            coverage = cut(coverage, start, start + len(value))
        return carry(value, coverage)

    return override


def _split_parts(
    parts: list[Any], coverage: Coverage, starts: Callable[[], Iterable[int]], carrier: Kind, new: Method
) -> list[Any]:
    """Put its own coverage on every part; `starts` is only asked where the value is mixed."""
    if type(coverage) is not Labels:
        carry = _carrying(carrier, carrier.__mro__[1])
        return [carry(part, cut(coverage, at, at + len(part))) for part, at in zip(parts, starts(), strict=True)]
    for index, part in enumerate(parts):
        if part:
            result = new(carrier, part)
            result._coverage = coverage
            parts[index] = result
    return parts


def _split(carrier: Kind, native: Kind, method: Method) -> Method:
    new = native.__new__
    find: Method = native.find

    def override(self: Any, sep: Any = None, maxsplit: Any = -1) -> list[Any]:
        parts = method(self, sep, maxsplit)

        def starts() -> Iterator[int]:
            at = 0
            for part in parts:
                # A part never begins with whitespace, so that its first occurrence from here on is its own.
                at = find(self, part, at) if sep is None else at
                yield at
                at += len(part) + (0 if sep is None else len(sep))

        return _split_parts(parts, self._coverage, starts, carrier, new)

    return override


def _rsplit(carrier: Kind, native: Kind, method: Method) -> Method:
    new = native.__new__
    rfind: Method = native.rfind

    def override(self: Any, sep: Any = None, maxsplit: Any = -1) -> list[Any]:
        parts = method(self, sep, maxsplit)

        def starts() -> Iterable[int]:
            found: list[int] = []
            end = len(self)
            for part in reversed(parts):
                at = rfind(self, part, 0, end) if sep is None else end - len(part)
                found.append(at)
                end = at - (0 if sep is None else len(sep))
            return reversed(found)

        return _split_parts(parts, self._coverage, starts, carrier, new)

    return override


def _splitlines(carrier: Kind, native: Kind, method: Method) -> Method:
    new = native.__new__

    def override(self: Any, keepends: Any = False) -> list[Any]:
        parts = method(self, keepends)

        def starts() -> Iterator[int]:
            at = 0
            for line in method(self, True):
                yield at
                at += len(line)

        return _split_parts(parts, self._coverage, starts, carrier, new)

    return override


def _partition(carrier: Kind, native: Kind, method: Method) -> Method:
    carry = _carrying(carrier, native)

    def override(self: Any, sep: Any) -> tuple[Any, Any, Any]:
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


def _padded(carrier: Kind, native: Kind, method: Method) -> Method:
    """`center`, `ljust`, `rjust`: the value stands in the result once; the rest is the fill."""
    carry = _carrying(carrier, native)
    name = method.__name__

    def override(self: Any, width: Any, *fill: Any) -> Any:
        value = method(self, width, *fill)
        length, pad = len(self), len(value) - len(self)
        # CPython puts the odd character of `center` to the left where the width is odd.
        before = {"ljust": 0, "rjust": pad, "center": pad // 2 + (pad & len(value) & 1)}[name] if pad else 0
        around = flat(coverage_of(fill[0])) if fill else NO_LABELS
        return carry(
            value,
            concatenated(((around, before), (self._coverage, length), (around, pad - before))),
        )

    return override


def _zfill(carrier: Kind, native: Kind, method: Method) -> Method:
    carry = _carrying(carrier, native)

    def override(self: Any, width: Any) -> Any:
        value = method(self, width)
        coverage = self._coverage
        length, pad = len(self), len(value) - len(self)
        sign = 1 if self[:1] in ("+", "-", b"+", b"-") else 0
        pieces = ((cut(coverage, 0, sign), sign), (None, pad), (cut(coverage, sign, length), length - sign))
        return carry(value, concatenated(pieces))

    return override


def _getitem(carrier: Kind, native: Kind, method: Method) -> Method:
    new = native.__new__
    carry = _carrying(carrier, native)

    def override(self: Any, key: Any) -> Any:
        coverage = self._coverage
        if type(coverage) is Labels:
            value = method(self, key)
            if not value or type(value) is int:
                return value
            result = new(carrier, value)
            result._coverage = coverage
            return result
        if isinstance(key, slice):
            # Ask the user's `__index__` once, as the native operation does.
            key = slice(*(None if part is None else operator.index(part) for part in (key.start, key.stop, key.step)))
            value = method(self, key)
            start, _, step = key.indices(len(self))
            if step == 1:
                return carry(value, cut(coverage, start, start + len(value)))
            return carry(value, picked(coverage, range(*key.indices(len(self)))))
        index = operator.index(key) if hasattr(key, "__index__") else key
        value = method(self, index)
        if type(value) is int:
            return value
        index %= len(self)
        return carry(value, cut(coverage, index, index + 1))

    return override


def _iter(carrier: Kind, native: Kind, method: Method) -> Method:
    carry = _carrying(carrier, native)

    def override(self: Any) -> Iterator[Any]:
        coverage = self._coverage
        if type(coverage) is Labels:
            return (carry(value, coverage) for value in method(self))
        return (carry(value, cut(coverage, at, at + 1)) for at, value in enumerate(method(self)))

    return override


def _add(carrier: Kind, native: Kind, method: Method) -> Method:
    new = native.__new__
    operands = str if native is str else (bytes, bytearray, memoryview)

    def override(self: Any, other: Any) -> Any:
        kind = type(other)
        if kind is not native and kind is not carrier:
            # So that the other's `__radd__` has its turn, as with a native left side: Markup's escapes this value.
            is_first = type(self) is not carrier or not hasattr(kind, "__radd__")
            if not is_first or not isinstance(other, operands):
                return NotImplemented
        value = method(self, other)
        coverage = self._coverage
        more = getattr(other, "_coverage", None)
        if type(coverage) is Labels and more is None and coverage:
            if len(value) != len(self):
                coverage = ((0, len(self), coverage),)
        elif more is not coverage or type(coverage) is not Labels:
            length = len(self)
            coverage = concatenated(((coverage, length), (more, len(value) - length)))
            if coverage is None:
                return value
        result = new(carrier, value)
        result._coverage = coverage
        return result

    return override


def _radd(carrier: Kind, native: Kind) -> Method:
    add: Method = native.__add__
    new = native.__new__

    def override(self: Any, other: Any) -> Any:
        if not isinstance(other, native):
            return NotImplemented  # bytearray + bytes stays a bytearray, which no subclass of bytes can label.
        value = add(other, self)
        length = len(other)
        coverage = concatenated(((getattr(other, "_coverage", None), length), (self._coverage, len(value) - length)))
        if coverage is None:
            return value
        result = new(carrier, value)
        result._coverage = coverage
        return result

    override.__name__ = "__radd__"
    return override


def _mul(carrier: Kind, native: Kind, method: Method) -> Method:
    carry = _carrying(carrier, native)

    def override(self: Any, count: Any) -> Any:
        if not hasattr(type(count), "__index__"):
            return NotImplemented  # As in `_add`; the message is then the native one too.
        value = method(self, count)
        coverage = self._coverage
        if type(coverage) is not Labels and value:
            coverage = repeated(coverage, len(self), len(value) // len(self))
        return carry(value, coverage)

    return override


def _join(carrier: Kind, native: Kind, method: Method) -> Method:
    carry = _carrying(carrier, native)

    def override(self: Any, iterable: Iterable[Any], /) -> Any:
        try:
            iterator = iter(iterable)
        except TypeError:
            return method(self, iterable)
        items = list(iterator)
        value = method(self, items)
        between = (self._coverage, len(self))
        pieces: list[tuple[Coverage | None, int]] = []
        for item in items:
            pieces += (coverage_of(item), len(item)), between
        return carry(value, concatenated(pieces[:-1]))

    return override


def _replace(carrier: Kind, native: Kind, method: Method) -> Method:
    carry = _carrying(carrier, native)
    split: Method = native.split

    def override(self: Any, old: Any, new: Any, /, count: Any = -1) -> Any:
        value = method(self, old, new, count)
        coverage = self._coverage
        if type(coverage) is Labels and not new:
            return carry(value, coverage)
        width = len(old)
        if width:
            lengths = [len(part) for part in split(self, old, count)]
        else:
            # An empty pattern matches before every position and at the end, `count` times.
            limit = len(self) + 1 if count < 0 else min(count, len(self) + 1)
            lengths = [0, *([1] * (limit - 1)), len(self) - (limit - 1)] if limit else [len(self)]
        put = (coverage_of(new), len(new))
        pieces: list[tuple[Coverage | None, int]] = []
        at = 0
        for length in lengths:
            pieces += (cut(coverage, at, at + length), length), put
            at += length + width
        return carry(value, concatenated(pieces[:-1]))

    return override


def _translate(carrier: Kind, native: Kind, method: Method) -> Method:
    """Character for character; what a table puts for a labelled character is derived from it."""
    carry = _carrying(carrier, native)

    def override(self: Any, *args: Any, **kwargs: Any) -> Any:
        value = method(self, *args, **kwargs)
        coverage = self._coverage
        if type(coverage) is not Labels:
            pieces: list[tuple[Coverage | None, int]] = []
            at = 0
            for start, stop, labels in spans_of(coverage, len(self)):
                pieces.append((None, len(method(native(self)[at:start], *args, **kwargs))))
                pieces.append((labels, len(method(native(self)[start:stop], *args, **kwargs))))
                at = stop
            pieces.append((None, max(len(value) - sum(length for _, length in pieces), 0)))
            coverage = concatenated(pieces)
        return carry(value, coverage)

    return override


def _expandtabs(carrier: Kind, native: Kind, method: Method) -> Method:
    """Give a tab's labels to its spaces; a position's column depends on what is before it."""
    carry = _carrying(carrier, native)

    def override(self: Any, tabsize: Any = 8) -> Any:
        value = method(self, tabsize)
        coverage = self._coverage
        if type(coverage) is not Labels:
            text = native(self)
            edges = [len(method(text[:at], tabsize)) for at in range(len(self) + 1)]
            coverage = tidy(((edges[a], edges[b], labels) for a, b, labels in coverage), len(value))
        return carry(value, coverage)

    return override


def _compared(_carrier: Kind, _native: Kind, method: Method) -> Method:
    """Comparisons, which are a use of the value: a zone is told."""
    name = _OPERATORS.get(method.__name__, method.__name__)

    def override(self: Any, *args: Any) -> Any:
        if observation.active and args and isinstance(args[0], _COMPARABLE):
            observation.observe(flat(self._coverage) | labels_in(args), name)
        return method(self, *args)

    return override


def _equality(_carrier: Kind, native: Kind, method: Method) -> Method:
    """`==` and `!=`, as `_compared` and quicker."""
    name = _OPERATORS[method.__name__]

    def override(self: Any, other: Any) -> Any:
        # `== ""` asks only whether there is a value, and a text never equals what is not one.
        if observation.active and isinstance(other, native) and other:
            observation.observe(flat(self._coverage) | labels_in((other,)), name)
        return method(self, other)

    return override


def _hash(_carrier: Kind, _native: Kind, method: Method) -> Method:
    def override(self: Any) -> int:
        if observation.active:
            observation.observe(flat(self._coverage), "hash")
        result: int = method(self)
        return result

    return override


_COMPARABLE = (str, bytes, bytearray, memoryview, tuple)  # A tuple of them for `startswith`.

_OPERATORS = {
    "__eq__": "==",
    "__ne__": "!=",
    "__lt__": "<",
    "__le__": "<=",
    "__gt__": ">",
    "__ge__": ">=",
    "__contains__": "in",
}

MAKERS: dict[str, Maker] = {
    **dict.fromkeys(("upper", "lower", "casefold", "title", "capitalize", "swapcase"), _same_length),
    **dict.fromkeys(("rstrip", "removesuffix"), _kept_left),
    **dict.fromkeys(("lstrip", "removeprefix"), _kept_right),
    **dict.fromkeys(("partition", "rpartition"), _partition),
    **dict.fromkeys(("center", "ljust", "rjust"), _padded),
    **dict.fromkeys(("__mul__", "__rmul__"), _mul),
    **dict.fromkeys(("__eq__", "__ne__"), _equality),
    **dict.fromkeys(("__lt__", "__le__", "__gt__", "__ge__", "__contains__"), _compared),
    **dict.fromkeys(("find", "rfind", "index", "rindex", "count", "startswith", "endswith"), _compared),
    "__hash__": _hash,
    "__getitem__": _getitem,
    "__iter__": _iter,
    "__add__": _add,
    "strip": _strip,
    "split": _split,
    "rsplit": _rsplit,
    "splitlines": _splitlines,
    "zfill": _zfill,
    "join": _join,
    "replace": _replace,
    "translate": _translate,
    "expandtabs": _expandtabs,
}


def define_operations(carrier: Kind, native: Kind, *, without: frozenset[str] = frozenset()) -> None:
    """Give a carrier class the overrides of the table.

    Args:
        carrier: `TaintedStr` or `TaintedBytes`.
        native: `str` or `bytes`.
        without: Names that this carrier defines for itself or leaves native.
    """
    for name, maker in MAKERS.items():
        method = getattr(native, name, None)
        if method is None or name in without:
            continue
        override = functools.wraps(method)(maker(carrier, native, method))
        override.__qualname__ = f"{carrier.__qualname__}.{name}"
        override.__module__ = carrier.__module__
        setattr(carrier, name, override)
    radd = _radd(carrier, native)
    radd.__qualname__ = f"{carrier.__qualname__}.__radd__"
    setattr(carrier, "__radd__", radd)  # noqa: B010  # A type is given a method that its native does not have.
