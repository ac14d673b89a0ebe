"""What a zone is told: comparing, searching and hashing a carrier is a use of its value.

The methods here are put on the carrier classes by the first zone of the process, and not before: until
then a labelled text compares and hashes at the native speed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from taint.carriers import observation
from taint.carriers.coverage import flat
from taint.carriers.operations import Kind, Maker, Method, labels_in, override_method

__all__ = ["COMPARISONS", "define_comparisons"]

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


def _operands(args: tuple[Any, ...]) -> Iterator[Any]:
    for value in args:
        if isinstance(value, tuple):
            yield from value
        else:
            yield value


def _compared(_kind: Kind, method: Method) -> Method:
    name = _OPERATORS.get(method.__name__, method.__name__)
    observer = observation.reader()

    def override(self: Any, *args: Any) -> Any:
        if observer() is not None and args and isinstance(args[0], _COMPARABLE):
            observation.observe(flat(self._coverage) | labels_in(_operands(args)), name)
        return method(self, *args)

    return override


def _equality(_kind: Kind, method: Method) -> Method:
    """`==` and `!=`, as `_compared` and quicker."""
    name = _OPERATORS[method.__name__]
    observer = observation.reader()

    def override(self: Any, other: Any) -> Any:
        # `== ""` asks only whether there is a value, and a text never equals what is not one.
        if observer() is not None and isinstance(other, _COMPARABLE) and other:
            observation.observe(flat(self._coverage) | labels_in((other,)), name)
        return method(self, other)

    return override


def _hash(_kind: Kind, method: Method) -> Method:
    observer = observation.reader()

    def override(self: Any) -> Any:
        if observer() is not None:
            observation.observe(flat(self._coverage), "hash")
        return method(self)

    return override


COMPARISONS: dict[str, Maker] = {
    **dict.fromkeys(("__eq__", "__ne__"), _equality),
    **dict.fromkeys(("__lt__", "__le__", "__gt__", "__ge__", "__contains__"), _compared),
    **dict.fromkeys(("find", "rfind", "index", "rindex", "count", "startswith", "endswith"), _compared),
    "__hash__": _hash,
}
"""Every operation that asks something of the value, and gives no text."""


def define_comparisons(kind: Kind) -> None:
    """Have a carrier class tell zones of its comparisons, from the first zone on."""

    def define() -> None:
        for name, maker in COMPARISONS.items():
            override_method(kind, name, maker)

    observation.at_first_zone(define)
