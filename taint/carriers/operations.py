"""What the operations of both carriers are made with: a kind of carrier, a maker of overrides, the labels of operands.

Both carriers have the same methods with the same positions, so that one table of makers (`overrides`) serves both.
Each maker takes the native method and gives an override that calls it first: the value, and every exception, is
always the native one. The fast path is a value that is labelled as a whole.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from taint.carriers.coverage import (
    Coverage,
    flat,
)
from taint.labels import NO_LABELS, Labels

__all__ = ["Kind", "Maker", "Method", "Pieces", "coverage_of", "indexed", "labels_in", "override_method", "size_of"]

Method = Callable[..., Any]
Pieces = list[tuple[Coverage | None, int]]


class Kind(NamedTuple):
    """One of the two kinds of carrier.

    Args:
        carrier: `TaintedStr` or `TaintedBytes`.
        native: `str` or `bytes`; which of them, and so what it has, is only known to the table.
        carry: Puts a coverage on a native value; an empty or uncovered one stays as it is.
    """

    carrier: Any
    native: Any
    carry: Callable[[Any, Coverage | None], Any]


Maker = Callable[[Kind, Method], Method]

_NATIVE = (str, bytes)


def coverage_of(value: object) -> Coverage | None:
    """Give the coverage of a text or bytes carrier; None for anything else."""
    kind = type(value)
    if kind is str or kind is bytes:
        return None
    return getattr(value, "_coverage", None) if isinstance(value, _NATIVE) else None


def labels_in(values: Iterable[object]) -> Labels:
    """Join the labels of the text and bytes carriers among some operands."""
    labels = NO_LABELS
    for value in values:
        coverage = coverage_of(value)
        if coverage:
            labels |= flat(coverage)
    return labels


def size_of(value: Any) -> int:
    """Count the characters or bytes of an operand, which may be a buffer of larger items."""
    kind = type(value)
    return len(value) if kind is str or kind is bytes or isinstance(value, _NATIVE) else memoryview(value).nbytes


def indexed(value: Any) -> Any:
    """Ask a user's `__index__`, so that it runs once; anything else stays for the native method to refuse."""
    return operator.index(value) if hasattr(type(value), "__index__") else value


def override_method(kind: Kind, name: str, maker: Maker) -> None:
    """Give a carrier class its own method of a name, under the name and signature of the native one."""
    method = getattr(kind.native, name, None)
    override = maker(kind, method)  # type: ignore[arg-type]  # Only `__radd__` has no native one, and asks for none.
    if method is not None:
        override = functools.wraps(method)(override)
    override.__name__ = name
    override.__qualname__ = f"{kind.carrier.__qualname__}.{name}"
    override.__module__ = kind.carrier.__module__
    setattr(kind.carrier, name, override)
