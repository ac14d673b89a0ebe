"""Queries: what their results carry, and whether the zone around them may ask them at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from typing import Any

from taint.evidence import Evidence
from taint.evidence.lineage import Column, Derivation, Input, Lineage, Use, indirect
from taint.evidence.row_labels import opened
from taint.flows.finding import flows_of
from taint.flows.outcome import call_site, carry_out
from taint.flows.zones import current_zone
from taint.labels import NO_LABELS, Labels
from taint.modes import Mode, is_off
from taint.policy import Flow, Outcome

__all__ = ["NO_PLAN", "UNREADABLE", "OwnLabels", "Plan", "check_query", "plan_of"]

UNREADABLE = "unreadable-query"
"""The rule by which a query that cannot be followed is a gap."""


@dataclass(frozen=True, slots=True)
class OwnLabels:
    """A result whose labels stand in its row.

    Args:
        index: Where the result is.
        companion: Where its labels are.
        name: The companion, as gaps name it.
        derivation: Whether the result is made of the value, or decided by it.
        is_whole: It is the value itself.
        declared: The labels of its column, which hold where its own cannot be relied on.
    """

    index: int
    companion: int
    name: str
    derivation: Derivation
    is_whole: bool
    declared: Labels

    def reader(self, said: set[str], context: Context | None = None) -> Callable[[Any, Any], Labels]:
        """Give what reads the labels of each row's result, and reports once for the query what is wrong with them.

        Args:
            said: What has been reported of the query.
            context: In which it is reported: that of the query, where its rows are read later.

        Returns:
            A function of what the row's companion holds, and the result.
        """
        is_whole, is_indirect = self.is_whole, self.derivation is Derivation.INDIRECT

        def read(text: Any, value: Any) -> Labels:
            labels, problem = opened(text, value, is_whole=is_whole)
            if problem:
                labels |= self.declared
                gap = f"{self.name}: {problem}"
                if gap not in said:
                    said.add(gap)
                    report = partial(check_query, Plan(gaps=(gap,)), store="row labels")
                    report() if context is None else context.copy().run(report)  # A copy: two threads may read.
            return indirect(labels) if is_indirect else labels

        return read


@dataclass(frozen=True, slots=True)
class Plan:
    """What is worked out once for a query and holds for each time that it is asked.

    Args:
        outputs: The labels of each of its results, in order.
        rest: The labels of any result beyond those.
        uses: Each labelled column, with what is done with it, as findings show it.
        gaps: What could not be followed.
        zone_gaps: What could not be decided, where there is a zone to decide it for.
        own: The results that have labels of their own in each row.
    """

    outputs: tuple[Labels, ...] = ()
    rest: Labels = NO_LABELS
    uses: tuple[tuple[str, Labels], ...] = ()
    gaps: tuple[str, ...] = ()
    zone_gaps: tuple[str, ...] = ()
    own: tuple[OwnLabels, ...] = ()

    def labels_at(self, index: int) -> Labels:
        """Give the labels of one result."""
        return self.outputs[index] if index < len(self.outputs) else self.rest

    @property
    def has_labels(self) -> bool:
        """Tell whether any result carries a label."""
        return bool(self.rest or self.own) or any(self.outputs)

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to do for the query."""
        return not (self.uses or self.gaps or self.own)


NO_PLAN = Plan()


def plan_of(
    lineage: Lineage,
    labels_of: Callable[[Column], Labels],
    companion_of: Callable[[Column], Column | None] = lambda _column: None,
) -> Plan:
    """Work out what a query's results carry.

    Labels: a result that is made of a labelled column carries its labels; all results carry the labels of
    the columns that decide which rows there are, as `indirect`. A column that keeps its values' own labels in
    a companion has those, where the query gives the companion too; else those that it declares, and a gap.

    Args:
        lineage: What is known about the query.
        labels_of: Gives the labels of a column.
        companion_of: Gives the companion of a column.
    """
    companions = {
        column: companion
        for column in {one.column for one in lineage.inputs} | lineage.written
        if (companion := companion_of(column)) is not None
    }
    own, kept, missing = _own_labels_in(lineage, companions, labels_of)

    def declared(column: Column) -> Labels:
        return NO_LABELS if column in kept else labels_of(column)

    def labels(inputs: frozenset[Input]) -> Labels:
        direct = decided = NO_LABELS
        for one in inputs:
            if one.use.derivation is Derivation.DIRECT:
                direct |= declared(one.column)
            else:
                decided |= declared(one.column)
        # What is made of a column gains nothing from being decided by it too.
        return direct | indirect(Labels(decided - direct)) if decided else direct

    rest = labels(lineage.dataset)
    uses = ((f"{one.column} ({one.use})", declared(one.column)) for one in sorted(lineage.inputs))
    decides = {one.column for one in lineage.inputs if one.use.derivation is Derivation.INDIRECT} & companions.keys()
    left = (
        f"{column} is written, and its values' own labels in {companions[column]} are not"
        for column in sorted(lineage.written & companions.keys())
        if companions[column] not in lineage.written
    )
    return Plan(
        tuple(labels(output.inputs | lineage.dataset) for output in lineage.outputs),
        rest,
        tuple((shown, labels) for shown, labels in uses if labels),
        (*lineage.gaps, *missing, *left),
        tuple(f"{name} holds data of several purposes and decides which rows there are" for name in sorted(decides)),
        own,
    )


def _own_labels_in(
    lineage: Lineage, companions: Mapping[Column, Column], labels_of: Callable[[Column], Labels]
) -> tuple[tuple[OwnLabels, ...], set[Column], list[str]]:
    """Find which results have labels of their row, for which columns always, and which the query leaves behind."""
    places: dict[Column, list[int]] = {}
    for index, output in enumerate(lineage.outputs if companions else ()):
        for one in output.inputs:
            if one.use is Use.IDENTITY and one.column in companions.values():
                places.setdefault(one.column, []).append(index)
    are_companions = {index for indexes in places.values() for index in indexes}
    own: dict[tuple[int, int, Derivation], OwnLabels] = {}
    left: set[Column] = set()
    for index, output in enumerate(lineage.outputs):
        for one in sorted(output.inputs | lineage.dataset):
            companion = companions.get(one.column)
            if companion is None or index in are_companions:
                continue
            if one.use is Use.AGGREGATION or companion not in places:
                left.add(one.column)
            is_whole = one.use is Use.IDENTITY and len(output.inputs) == 1
            for place in places.get(companion, ()):
                key = (index, place, one.use.derivation)
                own[key] = OwnLabels(index, place, str(companion), one.use.derivation, is_whole, labels_of(one.column))
    missing = [
        f"{column} keeps its values' own labels in {companions[column]}, which the query does not give"
        for column in sorted(left)
    ]
    return tuple(own.values()), companions.keys() - left if own else set(), missing


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
    if is_off():
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
