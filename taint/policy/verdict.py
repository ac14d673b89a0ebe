"""Verdicts: what a check found, as records without any value in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from taint.evidence import Evidence
from taint.labels import Labels, Step
from taint.modes import Mode
from taint.policy.rules import Suppression

__all__ = ["ENVELOPE_RULE", "CallSite", "Flow", "Outcome", "Verdict", "way_text"]

ENVELOPE_RULE = "envelope"
"""The rule, with the problem after it, by which an envelope that is of no use is a gap."""


class Outcome(StrEnum):
    """What a check came to."""

    ALLOWED = "allowed"
    VIOLATION = "violation"
    GAP = "gap"
    """It could not be decided: said, never assumed fine."""


@dataclass(frozen=True, slots=True)
class CallSite:
    """A place in the program's code, in the terms of OpenTelemetry's `code.*` attributes."""

    function: str
    file: str
    line: int

    def __str__(self) -> str:
        """Write it as compilers do, so that editors can follow it."""
        return f"{self.file}:{self.line} in {self.function}"


@dataclass(frozen=True, slots=True)
class Flow:
    """Labelled data reaching a sink: one record for all values of one source at one place of an argument.

    Args:
        outcome: Whether it is allowed.
        sink: The sink's name; for a comparison the zone's.
        purpose: What the sink or zone uses data for.
        labels: The labels that decided.
        evidence: How it is known.
        path: Where in the arguments the first value is, as `rows[3].phone`; for a comparison the operation.
        rule: The rule that decided.
        mode: What a violation does here.
        count: How many values.
        call_site: Where the sink was called, or the comparison made.
        suppressed: The suppression that bears it; it is told and emitted all the same, but stops nothing.
        advice: What the rule tells people to do; for a gap, why there is no answer.
        selected_at: Where, before the sink was called, the data was compared; the arguments carry no label, and may
            be what that comparison selected.
    """

    outcome: Outcome
    sink: str
    purpose: str
    labels: Labels
    evidence: Evidence
    path: str
    rule: str
    mode: Mode
    count: int = 1
    call_site: CallSite | None = None
    suppressed: Suppression | None = None
    advice: str = ""
    selected_at: CallSite | None = None

    @property
    def stops(self) -> bool:
        """Tell whether the sink must not go on with it."""
        return self.mode is Mode.BLOCK and self.outcome is not Outcome.ALLOWED and self.suppressed is None

    @property
    def purposes(self) -> frozenset[str]:
        """What the data was collected for."""
        return self.labels.purposes

    @property
    def steps(self) -> tuple[Step, ...]:
        """Where the data has been, from its source to here, while tracing is on; of the label that knows most."""
        return max((label.steps for label in self.labels), key=lambda steps: (len(steps), steps), default=())

    @property
    def way(self) -> str:
        """Show the steps, one a line; empty where tracing is off."""
        if not self.steps:
            return ""
        is_plain = self.evidence in {Evidence.CONTENT, Evidence.DIGEST}
        last = "then it was seen without its labels, at the sink" if is_plain else "then it reached the sink"
        if self.evidence is Evidence.COMPARISON:
            last = "then it was compared"
        return way_text(self.steps, last if self.call_site is None else f"{last}: {self.call_site}")

    @property
    def _unread(self) -> str:
        """Say what could not be read, where that is all there is to say."""
        if self.evidence is Evidence.LINEAGE and self.outcome is Outcome.GAP:
            return (
                f"a query in {self.sink!r} could not be followed: {self.path}. "
                "Write it so that it can be read, or declare the tables that it uses."
            )
        if self.rule.startswith(f"{ENVELOPE_RULE}-"):
            return (
                f"the labels of a body that went through {self.path!r} could not be carried: "
                f"{self.rule.removeprefix(f'{ENVELOPE_RULE}-')}. Labels travel in an envelope that is signed for its "
                f"body; one that is not verified removes nothing. {self.advice}."
            )
        return ""

    @property
    def message(self) -> str:
        """Say what happened, what is allowed and what to do, without any value."""
        if self._unread:
            return self._unread
        if not self.labels:
            return (
                f"sink {self.sink!r} asks for labelled data, but argument {self.path}{self._others} carries no label. "
                f"Labels come from sources. {self.advice or 'Label it where it is collected.'}"
            )
        sources = " and ".join(repr(source) for source in sorted(self.labels.sources))
        collected = f"collected{' by ' + sources if sources else ''} for {_listed(self.purposes)}"
        if self.selected_at is not None and self.outcome is Outcome.GAP:
            return (
                f"whether sink {self.sink!r} may use what it got for {self.purpose!r} could not be decided: it may be "
                f"{self.path}, of data that was {collected}. {self.advice}. Put a zone around that work."
            )
        if self.selected_at is not None:
            return (
                f"sink {self.sink!r} uses data for {self.purpose!r}, and what it got may be {self.path}: there data "
                f"was compared that was {collected}{self._denied}. "
                f"{self.advice or 'Select by data that was collected for that purpose.'}"
            )
        if self.outcome is Outcome.GAP:
            return (
                f"whether sink {self.sink!r} may use argument {self.path}{self._others} for {self.purpose!r} could "
                f"not be decided by {self.rule!r}: it was {collected}. {self.advice}. See that it can be answered."
            )
        uses = f"{self.sink!r} uses data for {self.purpose!r}, but argument {self.path}{self._others}"
        declassify = f"taint.declassify(..., to={self.purpose!r}, reason=..., approved_by=...)"
        if self.evidence is Evidence.COMPARISON:
            work = f"zone {self.sink!r} works for {self.purpose!r}"
            what = f"{work}, but here ({self.path}) it uses data that was {collected}"
            cure = f"Leave such values out before the zone begins, collect them for that purpose too, or {declassify}."
        elif self.evidence is Evidence.LINEAGE:
            what = f"zone {self.sink!r} works for {self.purpose!r}, but its query uses {self.path}, {collected}"
            cure = f"Leave the column out of the query, collect its data for that purpose too, or {declassify}."
        else:
            what = f"sink {uses} was {collected}"
            cure = f"Leave it out, collect it for that purpose too, or {declassify}."
        return f"{what}{self._denied}. {self.advice or cure}"

    @property
    def _others(self) -> str:
        return f" (and {self.count - 1} more)" if self.count > 1 else ""

    @property
    def _denied(self) -> str:
        return "" if self.rule == "purpose-limitation" else f", which rule {self.rule!r} denies"


def way_text(steps: Sequence[Step], last: str) -> str:
    """Show the steps of a value, one a line, and what came last."""
    lines = ["the way here:", *(f"  {number}. {step}" for number, step in enumerate(steps, 1)), f"  {last}"]
    return "\n".join(lines)


def _listed(keys: frozenset[str]) -> str:
    return " and ".join(repr(key) for key in sorted(keys))


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one check and the flows it is made of.

    Args:
        outcome: The worst of the flows'; `allowed` where there is none.
        flows: One record for each source and place.
    """

    outcome: Outcome
    flows: tuple[Flow, ...] = ()

    @property
    def is_allowed(self) -> bool:
        """Tell whether nothing speaks against the use."""
        return self.outcome is Outcome.ALLOWED

    @property
    def violations(self) -> tuple[Flow, ...]:
        """The flows that are violations."""
        return tuple(flow for flow in self.flows if flow.outcome is Outcome.VIOLATION)
