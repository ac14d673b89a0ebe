"""Flows by kind: what a page shows of a hundred thousand of them.

Flows that differ in nothing but when they happened, in which trace and at which index of a list are one
kind, with their number, their first and last time, and some of their traces.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from taint.policy import Flow

__all__ = ["MAX_KINDS", "SUPPRESSED", "Kind", "Origin", "Seen", "Tally", "origins_of", "without_indices"]

SUPPRESSED = "suppressed"
"""What stands for the verdict of a violation that is borne."""
MAX_KINDS = 100_000
"""Past so many, a new kind is told without its place in the arguments and in the code."""
MAX_TRACES = 2
"""So many traces are named for a kind; the rest are a number."""

_POSITION = re.compile(r"\[\d+:?\]|:\d+(?=\)$)")
"""A row, a place in a text, the line of a comparison at a path's end: what changes while a finding stays the same."""


def without_indices(path: str) -> str:
    """Give a path with `[*]` for every index: `rows[*].phone`."""
    return _POSITION.sub(lambda found: "[*]" if found[0].startswith("[") else "", path)


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """Where data came from: what one label says.

    Args:
        source: The source's name; empty where it has none.
        purposes: What it was collected for.
        category: What kind of data it is; empty where that is not said.
    """

    source: str
    purposes: tuple[str, ...]
    category: str = ""


def origins_of(flow: Flow) -> tuple[Origin, ...]:
    """Give the origins of a flow: those of its labels, each once."""
    return tuple(
        sorted({Origin(one.source or "", tuple(sorted(one.purposes)), one.category or "") for one in flow.labels})
    )


@dataclass(frozen=True, slots=True)
class Kind:
    """What flows of one kind have in common.

    Args:
        verdict: `violation`, `gap`, `suppressed` or `allowed`.
        origins: Where the data came from; none for data without labels.
        sink: The sink's name; for a comparison the zone's.
        purpose: What it uses data for.
        evidence: How it is known.
        path: Where in the arguments, without indices.
        rule: The rule that decided.
        mode: What a violation does there; empty where that is not known.
        function: The function that called the sink.
        file: Its file.
        line: The line of the call; 0 where there is none.
        note: What else is to be said, such as why it is borne or what to do.
        test: The test in which it happened.
    """

    verdict: str
    origins: tuple[Origin, ...]
    sink: str
    purpose: str
    evidence: str
    path: str
    rule: str
    mode: str = ""
    function: str = ""
    file: str = ""
    line: int = 0
    note: str = ""
    test: str = ""

    @classmethod
    def of(cls, flow: Flow) -> Kind:
        """Give the kind of a flow."""
        site, borne = flow.call_site, flow.suppressed
        return cls(
            verdict=flow.outcome.value if borne is None else SUPPRESSED,
            origins=origins_of(flow),
            sink=flow.sink,
            purpose=flow.purpose,
            evidence=flow.evidence.value,
            path=without_indices(flow.path),
            rule=flow.rule,
            mode=flow.mode.value,
            function="" if site is None else site.function,
            file="" if site is None else site.file,
            line=0 if site is None else site.line,
            note=flow.advice
            if borne is None
            else f"Borne until {borne.expires.isoformat()} by {borne.owner}: {borne.reason}",
        )

    def without_place(self) -> Kind:
        """Give the kind that this one is told with past the bound."""
        return replace(self, path="", function="", file="", line=0, note="", test="")


@dataclass(slots=True)
class Seen:
    """How often a kind was seen, when, and in which traces.

    Args:
        flows: How many flows.
        values: How many values in them.
        first: The first time, ISO 8601; empty where it is not known.
        last: The last time.
        traces: Some traces in which it happened.
        collected: Some traces in which the data was collected, newest last.
        more_traces: How many flows have a trace that is not named.
        more_collected: How many have a trace of collection that is not named.
    """

    flows: int = 0
    values: int = 0
    first: str = ""
    last: str = ""
    traces: list[str] = field(default_factory=list)
    collected: list[str] = field(default_factory=list)
    more_traces: int = 0
    more_collected: int = 0

    def add(self, values: int = 1, *, time: str = "", trace: str = "", collected: Iterable[str] = ()) -> None:
        """Count one flow.

        Args:
            values: How many values it has.
            time: When, ISO 8601 in UTC.
            trace: Identifier of the trace in which it happened.
            collected: Those of the traces in which its data was collected.
        """
        self.flows += 1
        self.values += values
        if time:
            self.first = min(self.first or time, time)
            self.last = max(self.last, time)
        self.more_traces += _keep(self.traces, (trace,) if trace else ())
        self.more_collected += _keep(self.collected, collected)


def _keep(kept: list[str], new: Iterable[str]) -> int:
    """Keep what is new while there is room, and tell whether something was left out."""
    left_out = 0
    for one in new:
        if one in kept:
            continue
        if len(kept) < MAX_TRACES:
            kept.append(one)
        else:
            left_out = 1
    return left_out


class Tally:
    """Flows, counted by kind.

    Attributes:
        seen: What was seen of each kind.
        without_place: How many flows are told without their place, since there were too many kinds.
    """

    def __init__(self) -> None:
        self.seen: dict[Kind, Seen] = {}
        self.without_place = 0

    def of(self, kind: Kind) -> Seen:
        """Give what was seen of a kind, to count one more."""
        seen = self.seen.get(kind)
        if seen is None:
            if len(self.seen) >= MAX_KINDS:
                self.without_place += 1
                kind = kind.without_place()
            seen = self.seen.setdefault(kind, Seen())
        return seen

    def flows(self, verdict: str | None = None) -> int:
        """Count the flows, or those with one verdict."""
        return sum(seen.flows for kind, seen in self.seen.items() if verdict in {None, kind.verdict})
