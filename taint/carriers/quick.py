"""The commonest operations of a text that is labelled as a whole, written out.

The makers of `taint.carriers.overrides` serve both carriers and every coverage. These stand before
them for `str` alone: where one set of labels covers all of the text they make the instance in place,
since calling a function for it would take a fifth of the whole time; anything else they hand on.
"""

from __future__ import annotations

from typing import Any

from taint.carriers.composing import between
from taint.carriers.operations import Kind, Maker, Method, override_method
from taint.labels import Labels

__all__ = ["define_quick_operations"]


def _no_argument(kind: Kind, method: Method, general: Method) -> Method:
    """Case maps."""
    carrier, new = kind.carrier, kind.native.__new__

    def override(self: Any) -> Any:
        coverage = self._coverage
        if type(coverage) is not Labels or not coverage:
            return general(self)
        result = new(carrier, method(self))  # Of a text that is not empty, and so not empty either.
        result._coverage = coverage
        return result

    return override


def _optional_argument(kind: Kind, method: Method, general: Method) -> Method:
    """`strip` and its kin."""
    carrier, new = kind.carrier, kind.native.__new__

    def override(self: Any, chars: Any = None, /) -> Any:
        coverage = self._coverage
        if type(coverage) is not Labels or not coverage:
            return general(self, chars)
        value = method(self, chars)
        if not value:
            return value
        result = new(carrier, value)
        result._coverage = coverage
        return result

    return override


def _one_argument(kind: Kind, method: Method, general: Method) -> Method:
    """Slices, single characters and what is left without a prefix or suffix."""
    carrier, new = kind.carrier, kind.native.__new__

    def override(self: Any, argument: Any, /) -> Any:
        coverage = self._coverage
        if type(coverage) is not Labels or not coverage:
            return general(self, argument)
        value = method(self, argument)
        if not value:
            return value
        result = new(carrier, value)
        result._coverage = coverage
        return result

    return override


def _split(kind: Kind, method: Method, general: Method) -> Method:
    carrier, new = kind.carrier, kind.native.__new__

    def override(self: Any, sep: Any = None, maxsplit: Any = -1) -> list[Any]:
        coverage = self._coverage
        if type(coverage) is not Labels or not coverage:
            return general(self, sep, maxsplit)  # type: ignore[no-any-return]  # The general one says the same.
        parts: list[Any] = method(self, sep, maxsplit)
        for at, part in enumerate(parts):
            if part:
                parts[at] = result = new(carrier, part)
                result._coverage = coverage
        return parts

    return override


def _splitlines(kind: Kind, method: Method, general: Method) -> Method:
    carrier, new = kind.carrier, kind.native.__new__

    def override(self: Any, keepends: Any = False) -> list[Any]:
        coverage = self._coverage
        if type(coverage) is not Labels or not coverage:
            return general(self, keepends)  # type: ignore[no-any-return]  # As above.
        parts: list[Any] = method(self, keepends)
        for at, part in enumerate(parts):
            if part:
                parts[at] = result = new(carrier, part)
                result._coverage = coverage
        return parts

    return override


def _replace(kind: Kind, method: Method, general: Method) -> Method:
    """One plain text for another."""
    carrier, new, native, split = kind.carrier, kind.native.__new__, kind.native, kind.native.split

    def override(self: Any, old: Any, put: Any, count: Any = -1, /, **keyword: Any) -> Any:
        coverage = self._coverage
        is_plain = type(put) is native and type(old) is native and type(count) is int
        if not is_plain or keyword or not old or type(coverage) is not Labels or not coverage:
            return general(self, old, put, count, **keyword)
        value = method(self, old, put, count)
        if put:
            coverage = between(split(self, old, count), len(put), coverage)
        if not value or not coverage:
            return value
        result = new(carrier, value)
        result._coverage = coverage
        return result

    return override


def _plus(kind: Kind, method: Method, general: Method) -> Method:
    """`+` with a plain text, or one that is labelled as a whole too, on the right."""
    carrier, new, native = kind.carrier, kind.native.__new__, kind.native

    def override(self: Any, other: Any, /) -> Any:
        coverage = self._coverage
        if type(coverage) is not Labels or not coverage:
            return general(self, other)
        if type(other) is native:
            if other:
                coverage = ((0, len(self), coverage),)
        elif type(other) is not carrier or other._coverage is not coverage:
            return general(self, other)
        result = new(carrier, method(self, other))
        result._coverage = coverage
        return result

    return override


def _reflected_plus(kind: Kind, _method: Method, general: Method) -> Method:
    """`+` with a plain text on the left."""
    carrier, new, native, plus = kind.carrier, kind.native.__new__, kind.native, kind.native.__add__

    def override(self: Any, other: Any, /) -> Any:
        coverage = self._coverage
        if type(other) is not native or type(coverage) is not Labels or not coverage:
            return general(self, other)
        value = plus(other, self)
        result = new(carrier, value)
        result._coverage = ((len(other), len(value), coverage),) if other else coverage
        return result

    return override


_MAKERS = {
    **dict.fromkeys(("upper", "lower", "casefold", "title", "capitalize", "swapcase"), _no_argument),
    **dict.fromkeys(("strip", "lstrip", "rstrip"), _optional_argument),
    **dict.fromkeys(("__getitem__", "removeprefix", "removesuffix"), _one_argument),
    **dict.fromkeys(("split", "rsplit"), _split),
    "splitlines": _splitlines,
    "replace": _replace,
    "__add__": _plus,
    "__radd__": _reflected_plus,
}


def define_quick_operations(kind: Kind) -> None:
    """Put the written-out operations before those that a text carrier has."""
    for name, maker in _MAKERS.items():
        general = getattr(kind.carrier, name)
        override_method(kind, name, _standing_before(maker, general))


def _standing_before(maker: Any, general: Method) -> Maker:
    return lambda kind, method: maker(kind, method, general)
