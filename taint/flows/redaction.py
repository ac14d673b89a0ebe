"""Redaction: a sink gets the value with its labelled ranges replaced, of the same type and structure.

What stands for a range never has its length. A carrier whose type has nothing that says "nothing"
cannot be redacted: then the sink is closed, as in mode `block`.
"""

from __future__ import annotations

import array
import datetime as dt
import decimal
import fractions
import ipaddress
import pathlib
import uuid
from collections.abc import Callable
from typing import Any, Final

from taint.carriers.coverage import spans_of
from taint.carriers.operations import coverage_of
from taint.carriers.proxy import TaintedProxy
from taint.carriers.text import join_pieces
from taint.flows.rebuild import rebuilt
from taint.labels import Labels

__all__ = ["REDACTED", "can_redact", "redacted"]

REDACTED: Final = "[redacted]"
"""What stands for a labelled range of text."""

_EMPTY: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (uuid.UUID, lambda _: uuid.UUID(int=0)),
    (dt.datetime, lambda value: dt.datetime(1, 1, 1, tzinfo=value.tzinfo)),
    (dt.date, lambda _: dt.date(1, 1, 1)),
    (dt.time, lambda value: dt.time(tzinfo=value.tzinfo)),
    (dt.timedelta, lambda _: dt.timedelta()),
    (decimal.Decimal, lambda _: decimal.Decimal()),
    (fractions.Fraction, lambda _: fractions.Fraction()),
    (int, lambda _: 0),
    (float, lambda _: 0.0),
    (complex, lambda _: 0j),
    (ipaddress.IPv4Address, lambda _: ipaddress.IPv4Address(0)),
    (ipaddress.IPv6Address, lambda _: ipaddress.IPv6Address(0)),
    (ipaddress.IPv4Network, lambda _: ipaddress.IPv4Network(0)),
    (ipaddress.IPv6Network, lambda _: ipaddress.IPv6Network(0)),
    (pathlib.PurePath, lambda value: type(value)(REDACTED)),
    (bytearray, lambda _: bytearray(REDACTED.encode())),
    (memoryview, lambda _: memoryview(REDACTED.encode())),
    (array.array, lambda value: array.array(value.typecode)),
)
"""What stands for a value that is neither text nor bytes: its type's zero. The first type that fits holds."""


def _made(value: Any) -> Callable[[Any], Any] | None:
    for kind, make in _EMPTY:
        if type(value) is kind or (kind is pathlib.PurePath and isinstance(value, kind)):
            return make
    return None


def can_redact(carrier: object) -> bool:
    """Tell whether something of the carrier's type can stand for it."""
    return not isinstance(carrier, TaintedProxy) or _made(carrier.__wrapped__) is not None


def redacted(value: Any, is_hidden: Callable[[Labels], bool]) -> Any:
    """Replace the ranges of all carriers inside a value whose labels are to be hidden.

    Labels: gone from what is replaced; all others stay. The value itself is not changed: what holds
    something replaced is a copy.

    Args:
        value: Anything; what cannot be redacted (`can_redact`) stays.
        is_hidden: Tells of a range's labels whether it is to be replaced.
    """

    def change(carrier: Any) -> Any:
        if isinstance(carrier, TaintedProxy):
            make = _made(carrier.__wrapped__)
            labels: Labels = carrier._self_labels  # noqa: SLF001  # As in `relabelled`.
            return make(carrier.__wrapped__) if make is not None and is_hidden(labels) else carrier
        spans = spans_of(coverage_of(carrier), len(carrier))
        if not any(is_hidden(labels) for _, _, labels in spans):
            return carrier
        stand_in: Any = REDACTED.encode() if isinstance(carrier, bytes) else REDACTED
        pieces: list[Any] = []
        at = 0
        was_hidden = False
        for start, stop, labels in spans:
            if start > at:
                pieces.append(carrier[at:start])
                was_hidden = False
            if not is_hidden(labels):
                pieces.append(carrier[start:stop])
                was_hidden = False
            elif not was_hidden:
                pieces.append(stand_in)
                was_hidden = True
            at = stop
        if at < len(carrier):
            pieces.append(carrier[at:])
        return join_pieces(pieces)

    return rebuilt(value, change)
