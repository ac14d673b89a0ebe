"""Changing carriers inside a value without touching what the caller holds.

`label` changes containers in place; redaction and declassification must not: the caller's rows stay
what they are, and only the copy is changed. Containers in which nothing changes are not copied.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from taint.carriers.containers import is_atomic, walk
from taint.carriers.coverage import Coverage, spans_of, tidy
from taint.carriers.operations import coverage_of
from taint.carriers.proxy import TaintedProxy, is_carrier
from taint.carriers.text import carry_bytes, carry_text
from taint.labels import Labels

__all__ = ["rebuilt", "relabelled"]


def rebuilt(value: Any, change: Callable[[Any], Any]) -> Any:
    """Give a value with its carriers changed; what holds none of them stays the same object.

    Args:
        value: Anything.
        change: Gives the new carrier for one, or the same one.
    """
    return _rebuilt(value, change, {})


def _rebuilt(value: Any, change: Callable[[Any], Any], memo: dict[int, Any]) -> Any:
    if is_atomic(value):
        return value
    if is_carrier(value):
        return change(value)
    if id(value) in memo:
        return memo[id(value)]
    if next(walk(value, lambda one: is_carrier(one) and change(one) is not one), None) is None:
        memo[id(value)] = value
        return value

    def again(item: Any) -> Any:
        return _rebuilt(item, change, memo)

    if isinstance(value, tuple | frozenset):
        items = [again(item) for item in value]
        make = getattr(type(value), "_make", type(value))
        memo[id(value)] = result = make(items)
    else:
        memo[id(value)] = result = copy.copy(value)
        _fill(result, value, again)
    return result


def _fill(result: Any, value: Any, again: Callable[[Any], Any]) -> None:
    """Put what is inside a value, changed, into a copy of it."""
    if isinstance(value, dict):
        result.clear()
        for key, item in value.items():
            result[_free_key(again(key), key, result)] = again(item)
    elif isinstance(value, list | deque):
        for index, item in enumerate(value):
            result[index] = again(item)
    elif isinstance(value, set):
        result.clear()
        result.update(map(again, value))
    else:
        for name, item in _attributes(value):
            new = again(item)
            if new is not item:
                object.__setattr__(result, name, new)


def _free_key(key: Any, before: Any, table: Mapping[Any, Any]) -> Any:
    """Keep keys apart that have become the same, by numbering them: a table does not lose rows."""
    if key is before or key not in table or not isinstance(key, str | bytes):
        return key
    number = 2
    while (numbered := key + _numbered(key, number)) in table:
        number += 1
    return numbered


def _numbered(key: Any, number: int) -> Any:
    return f" {number}" if isinstance(key, str) else b" %d" % number


def _attributes(value: Any) -> list[tuple[str, Any]]:
    """Give the attributes that an object holds itself, in its `__dict__` and its slots."""
    names = list(getattr(value, "__dict__", ()))
    for kind in type(value).__mro__:
        slots: Any = vars(kind).get("__slots__", ())
        names += [slots] if isinstance(slots, str) else slots
    return [(name, getattr(value, name)) for name in dict.fromkeys(names) if name[:2] != "__" and hasattr(value, name)]


def relabelled(carrier: Any, change: Callable[[Labels], Labels]) -> Any:
    """Give a carrier with other labels on the same ranges; the same one where none changes."""
    if isinstance(carrier, TaintedProxy):
        labels = carrier._self_labels  # noqa: SLF001  # The carrier's own; a proxy has no public attribute of ours.
        new = change(labels)
        return carrier if new == labels else TaintedProxy(carrier.__wrapped__, new)
    coverage = coverage_of(carrier)
    length = len(carrier)
    spans = [(start, stop, change(labels)) for start, stop, labels in spans_of(coverage, length)]
    new_coverage: Coverage | None = tidy(spans, length)
    if new_coverage == coverage:
        return carrier
    if isinstance(carrier, bytes):
        return carry_bytes(bytes.__getitem__(carrier, slice(None)), new_coverage)
    return carry_text(str.__str__(carrier), new_coverage)
