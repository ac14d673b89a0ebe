"""Queries: what their results carry, and whether the zone around them may ask them at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from taint.carriers.number import TaintedInt, numbers
from taint.carriers.proxy import carry
from taint.carriers.text import TaintedStr
from taint.evidence import Evidence
from taint.evidence.lineage import Column, Derivation, Input, Lineage, indirect
from taint.flows.finding import flows_of
from taint.flows.outcome import call_site, carry_out
from taint.flows.zones import current_zone
from taint.labels import NO_LABELS, Labels
from taint.modes import Mode, current_mode
from taint.policy import Flow, Outcome

__all__ = ["NO_PLAN", "UNREADABLE", "Plan", "carry_result", "carrying", "check_query", "plan_of"]

UNREADABLE = "unreadable-query"
"""The rule by which a query that cannot be followed is a gap."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is worked out once for a query and holds for each time that it is asked.

    Args:
        outputs: The labels of each of its results, in order.
        rest: The labels of any result beyond those.
        uses: Each labelled column, with what is done with it, as findings show it.
        gaps: What could not be followed.
        zone_gaps: What could not be decided, where there is a zone to decide it for.
    """

    outputs: tuple[Labels, ...] = ()
    rest: Labels = NO_LABELS
    uses: tuple[tuple[str, Labels], ...] = ()
    gaps: tuple[str, ...] = ()
    zone_gaps: tuple[str, ...] = ()

    def labels_at(self, index: int) -> Labels:
        """Give the labels of one result."""
        return self.outputs[index] if index < len(self.outputs) else self.rest

    @property
    def has_labels(self) -> bool:
        """Tell whether any result carries a label."""
        return bool(self.rest) or any(self.outputs)


NO_PLAN = Plan()


def plan_of(lineage: Lineage, labels_of: Callable[[Column], Labels]) -> Plan:
    """Work out what a query's results carry.

    Labels: a result that is made of a labelled column carries its labels; all results carry the labels of
    the columns that decide which rows there are, as `indirect`.

    Args:
        lineage: What is known about the query.
        labels_of: Gives the labels of a column.
    """

    def labels(inputs: frozenset[Input]) -> Labels:
        direct = decided = NO_LABELS
        for one in inputs:
            if one.use.derivation is Derivation.DIRECT:
                direct |= labels_of(one.column)
            else:
                decided |= labels_of(one.column)
        # What is made of a column gains nothing from being decided by it too.
        return direct | indirect(Labels(decided - direct)) if decided else direct

    rest = labels(lineage.dataset)
    uses = ((f"{one.column} ({one.use})", labels_of(one.column)) for one in sorted(lineage.inputs))
    return Plan(
        tuple(labels(output.inputs | lineage.dataset) for output in lineage.outputs),
        rest,
        tuple((shown, own) for shown, own in uses if own),
        lineage.gaps,
    )


def check_query(plan: Plan, *, store: str) -> None:
    """Decide a query before the database is asked.

    Labels: inside a zone every labelled column that the query uses, for its results or to find them, is used
    for the zone's purpose. Outside a zone nothing is decided here: the results carry labels.

    Args:
        plan: Of the query.
        store: What gaps outside a zone name: the integration.

    Raises:
        PurposeViolationError: A column's labels do not allow the zone's purpose, and its mode is `block`.
    """
    if current_mode() is Mode.OFF:
        return
    zone = current_zone()
    flows: list[Flow] = []
    sink, purpose = (store, "") if zone is None else (zone.name, zone.purpose)
    gaps = plan.gaps if zone is None else plan.gaps + plan.zone_gaps
    if gaps:
        site = call_site()
        flows += (
            Flow(Outcome.GAP, sink, purpose, NO_LABELS, Evidence.LINEAGE, gap, UNREADABLE, Mode.REPORT, 1, site)
            for gap in gaps
        )
    if zone is not None:
        found = (((None, shown), labels) for shown, labels in plan.uses)
        flows += flows_of(found, sink=sink, purpose=purpose, mode=zone.mode, evidence=Evidence.LINEAGE)
    carry_out(flows)


def carry_result(value: Any, labels: Labels) -> Any:
    """Label a value that a query gave. Labels: on all of it; numbers become `TaintedInt`, others as `carry`."""
    kind = type(value)
    if kind is str and value:
        # What `carry_text` and `TaintedInt` come to, without their calls: this is run for every value of a column.
        text = _new_text(TaintedStr, value)
        text._coverage = labels  # noqa: SLF001  # See above.
        return text
    if kind is int:
        return TaintedInt(value, labels)
    return value if value is None or kind is bool else carry(value, labels)


def carrying(labels: Labels, processor: Callable[[Any], Any] | None = None) -> Callable[[Any], Any]:
    """Give what does `carry_result` for all values of a column, as quickly as can be: it is run for each.

    Args:
        labels: Of the column.
        processor: What makes the value of what the driver gives, first.
    """
    number, new = numbers(labels), str.__new__

    def process(value: Any) -> Any:
        kind = type(value)
        if kind is str and value:
            text = new(TaintedStr, value)
            text._coverage = labels  # noqa: SLF001  # As in `carry_result`.
            return text
        return number(value) if kind is int else carry_result(value, labels)

    return process if processor is None else lambda value: process(processor(value))


_new_text = str.__new__
