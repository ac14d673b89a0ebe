"""Labels: why a value was collected, as immutable facts that travel with it.

A `Label` is one fact about one collection. `Labels` is the set of them that a value carries; sets
join when values are combined and nothing is ever taken out. A `Range` says which part of a text a
set of labels covers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple, Self

_TRACEPARENT = re.compile("[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}.*", re.ASCII)

__all__ = ["NO_LABELS", "Grant", "Label", "Labels", "Range", "Step", "Trace", "join", "without_steps"]


class Trace(NamedTuple):
    """The OpenTelemetry span in which a value was collected, as its two identifiers.

    The form is that of a W3C Trace Context `traceparent` (https://www.w3.org/TR/trace-context/), so
    that it can be stored next to a value and be read again by another process, months later.
    """

    trace_id: int
    span_id: int

    def __str__(self) -> str:
        """Give the `traceparent` form, version 00, sampled."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-01"

    @classmethod
    def parse(cls, traceparent: str) -> Self:
        """Read a `traceparent`.

        Args:
            traceparent: For example `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01`.

        Raises:
            ValueError: It does not have the four fields, or an identifier is zero.
        """
        found = _TRACEPARENT.fullmatch(traceparent.strip())
        if found is not None:
            trace = cls(int(found[1], 16), int(found[2], 16))
            if all(trace):
                return trace
        msg = (
            "not a traceparent. It has the form version-trace_id-span_id-flags with 32 and 16 hex digits. "
            "Store str(label.trace) and pass it on unchanged."
        )
        raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Grant:
    """One declassification: further purposes that a value may be used for.

    Args:
        purposes: Keys of the further purposes.
        approved_by: Who answers for it.
        consent: An identifier of the consent receipt that it rests on.
        expires: When it ends, with a time zone; never by default.
    """

    purposes: frozenset[str]
    approved_by: str
    consent: str | None = None
    expires: datetime | None = None


class Step(NamedTuple):
    """One operation on the way of a value, and the place in the program that asked for it.

    Args:
        operation: As the program calls it: `str.strip`, `hashlib.sha256`, `+`, `json.dumps`.
        function: The program's function, as a dotted name.
        file: Its file.
        line: The line of the call.
    """

    operation: str
    function: str
    file: str
    line: int

    def __str__(self) -> str:
        """Write it so that editors can follow it."""
        return f"{self.operation} at {self.file}:{self.line} in {self.function}"


@dataclass(frozen=True, slots=True)
class Label:
    """One fact about one collection.

    Args:
        purposes: Keys of the purposes that the value was collected for.
        category: What kind of personal data it is, a fideslang data category key.
        source: Where it entered: the function, field or column, as a dotted name.
        subject: An opaque key of the person; never sent to telemetry, nor shown in a `repr`.
        consent: An identifier of the consent receipt.
        trace: The span in which it was collected.
        grants: The declassifications of the value since then.
        derivation: `direct` where the value is derived from what was collected, `indirect` where what was
            collected only decided that the value is here: a query's JOIN, WHERE, GROUP BY, ORDER BY.
        steps: The last operations on the value, while tracing is on; labels that differ in them alone are equal.
    """

    purposes: frozenset[str]
    category: str | None = None
    source: str | None = None
    subject: str | None = field(default=None, repr=False)
    consent: str | None = None
    trace: Trace | None = None
    grants: frozenset[Grant] = frozenset()
    derivation: str = "direct"
    steps: tuple[Step, ...] = field(default=(), repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse a label that says nothing."""
        if not self.purposes:
            msg = "a label needs at least one purpose. Say what the value was collected for: purpose='security.mfa'."
            raise ValueError(msg)


def without_steps(label: Label) -> Label:
    """Give a label as it is kept for equal ones of other values, which have been elsewhere."""
    return replace(label, steps=()) if label.steps else label


class Labels(frozenset[Label]):
    """The labels that a value carries: a frozen set that joins with `|`.

    Joining never copies what it need not: the result is one of the operands where that one holds all.
    """

    __slots__ = ("attributes", "number_attributes")
    attributes: dict[str, Labels]
    """What all byte strings with these labels have as their `__dict__`; set with the first of them."""
    number_attributes: dict[str, Labels]
    """The same of all numbers."""

    def __reduce__(self) -> tuple[type[Labels], tuple[tuple[Label, ...]]]:
        """Pickle and copy the labels only."""
        return Labels, (tuple(self),)

    def __or__(self, other: Iterable[Label], /) -> Labels:  # type: ignore[override]  # Joins to Labels, not to frozenset.
        """Join: every label of both."""
        if other is self:
            return self
        joined = self.union(other)
        size = len(joined)
        if size == len(self):
            return self
        if other.__class__ is Labels and size == len(other):
            return other
        return Labels(joined)

    __ror__ = __or__

    @property
    def purposes(self) -> frozenset[str]:
        """Every purpose that one of the labels names."""
        return frozenset().union(*(label.purposes for label in self))

    @property
    def categories(self) -> frozenset[str]:
        """Every category that one of the labels names."""
        return frozenset(label.category for label in self if label.category)

    @property
    def sources(self) -> frozenset[str]:
        """Every source that one of the labels names."""
        return frozenset(label.source for label in self if label.source)

    def __repr__(self) -> str:
        """Show the labels in a stable order."""
        return f"Labels([{', '.join(sorted(map(repr, self)))}])"


NO_LABELS = Labels()


def join(sets: Iterable[Labels]) -> Labels:
    """Join many sets of labels, each once: joining them one after the other makes a new set for each."""
    distinct = set(sets)
    if len(distinct) < 2:  # noqa: PLR2004  # One is the result itself.
        return next(iter(distinct), NO_LABELS)
    return Labels(frozenset().union(*distinct))


class Range(NamedTuple):
    """Characters (or bytes) `start` to `stop`, exclusive, of a value, and the labels that cover them."""

    start: int
    stop: int
    labels: Labels
