"""Verdicts: what a check found, as records without any value in them."""

from __future__ import annotations

from dataclasses import dataclass

from taint.evidence import Evidence
from taint.labels import Labels, Step
from taint.modes import Mode
from taint.policy.messages import message_of, way_of
from taint.policy.outcome import Outcome
from taint.policy.rules import Suppression

__all__ = ["CallSite", "Flow", "Verdict"]


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
        return way_of(self) if self.steps else ""

    @property
    def message(self) -> str:
        """Say what happened, what is allowed and what to do, without any value."""
        return message_of(self)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one check and the flows it is made of.

    Args:
        outcome: The worst of the flows'; `allowed` where there is none.
        flows: One record for each source and place.
    """

    outcome: Outcome
    flows: tuple[Flow, ...] = ()

    def __bool__(self) -> bool:
        """Refuse to be true or false: `if check(...)` reads as if something were allowed, or as if it were found.

        Raises:
            TypeError: Always.
        """
        msg = "a verdict is neither true nor false. It has .is_allowed, .outcome and .violations. Ask one of these."
        raise TypeError(msg)

    @property
    def is_allowed(self) -> bool:
        """Tell whether nothing speaks against the use."""
        return self.outcome is Outcome.ALLOWED

    @property
    def violations(self) -> tuple[Flow, ...]:
        """The flows that are violations."""
        return tuple(flow for flow in self.flows if flow.outcome is Outcome.VIOLATION)
