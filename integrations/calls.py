"""What the integrations' wrappers have in common: calling the native function with plain arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from taint.carriers.operations import coverage_of
from taint.carriers.proxy import carry, is_carrier, labels_of_carrier
from taint.carriers.text import carry_bytes, carry_text
from taint.labels import NO_LABELS, Labels

__all__ = ["derived", "exact", "labels_given", "plain_call"]


def exact(value: Any) -> Any:
    """Give what a carrier holds, as the exact type; anything else as it is. Labels: left behind."""
    if not is_carrier(value):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes):
        return bytes.__getitem__(value, slice(None))
    return value.__wrapped__


def plain_call(wrapped: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a function with exact values in the place of carriers. Labels: left to the caller."""
    return wrapped(*map(exact, args), **{name: exact(value) for name, value in kwargs.items()})


def labels_given(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Labels:
    """Join the labels of the carriers among the arguments of a call."""
    labels = NO_LABELS
    for value in (*args, *kwargs.values()):
        if is_carrier(value):
            labels |= labels_of_carrier(value)
    return labels


def derived(value: Any, source: Any) -> Any:
    """Label what was derived from one value.

    Labels: position for position where the two texts differ in case at most; else on all of it.
    """
    if not is_carrier(source):
        return value
    if type(value) in (str, bytes) and isinstance(source, str | bytes):
        there = exact(source)
        here = value.decode("latin-1") if isinstance(value, bytes) else value
        there = there.decode("latin-1") if isinstance(there, bytes) else there
        if len(here) == len(there) and all(a.casefold() == b.casefold() for a, b in zip(here, there, strict=True)):
            coverage = coverage_of(source)
            return carry_text(value, coverage) if isinstance(value, str) else carry_bytes(value, coverage)
    return carry(value, labels_of_carrier(source))
