"""Verdicts: what a check found, as records without any value in them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from taint.evidence import Evidence
from taint.labels import Labels
from taint.modes import Mode

__all__ = ["CallSite", "Flow", "Outcome", "Verdict"]


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

    @property
    def purposes(self) -> frozenset[str]:
        """What the data was collected for."""
        return self.labels.purposes

    @property
    def message(self) -> str:
        """Say what happened, what is allowed and what to do, without any value."""
        sources = " and ".join(repr(source) for source in sorted(self.labels.sources))
        collected = f"collected{' by ' + sources if sources else ''} for {_listed(self.purposes)}"
        others = f" (and {self.count - 1} more)" if self.count > 1 else ""
        if self.evidence is Evidence.COMPARISON:
            what = f"zone {self.sink!r} works for {self.purpose!r}, but uses data ({self.path}) that was {collected}"
            cure = "Leave such values out before the zone begins, or collect them for that purpose too."
        else:
            what = (
                f"sink {self.sink!r} uses data for {self.purpose!r}, but argument {self.path}{others} was {collected}"
            )
            cure = "Leave it out, or collect it for that purpose too."
        return f"{what}. {cure}"


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
