"""Finding what flows into a sink or zone: labels first, then what the other nets know."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from taint.carriers.containers import Step, is_atomic, path_text, walk
from taint.carriers.proxy import is_carrier, labels_of_carrier
from taint.carriers.tracing import is_tracing
from taint.carriers.values import carriers_in
from taint.evidence import Evidence, KnownValues, Match, current_known_values, scan, scan_across
from taint.flows.outcome import call_site, is_heard, show
from taint.guard import report_internal_error
from taint.labels import NO_LABELS, Label, Labels
from taint.modes import Mode, current_mode
from taint.policy import UNLABELLED, Decision, Flow, Outcome, Suppression, current_decider

__all__ = ["flows_across", "flows_at", "flows_of"]

_Group = tuple[Decision, Mode, Suppression | None, frozenset[str], str | None, str | None, str, tuple[str, ...]]


def _shape(way: Step) -> tuple[str, ...]:
    """Give the steps of a way without the positions, so that all rows of a table are one place."""
    steps: list[str] = []
    at: Any = way
    while at is not None:
        at, step = at
        steps.append("[*]" if step.startswith("[") else step)
    return tuple(steps)


def flows_of(
    found: Iterable[tuple[Step, Labels]],
    *,
    sink: str,
    purpose: str,
    mode: Mode | None,
    evidence: Evidence,
    keep_allowed: bool = True,
) -> list[Flow]:
    """Decide every label by the policy in force and gather what is alike: one flow for each source and place.

    Args:
        found: The labels that were found, and where.
        sink: The sink's name.
        purpose: What it uses data for.
        mode: What the code says that a violation does there; None leaves it to the policy and the process.
        evidence: How the labels were found.
        keep_allowed: Whether flows that are allowed are wanted too; else they cost nothing more.
    """
    decider = current_decider()
    groups: dict[_Group, tuple[Step, list[Label]]] = {}
    for way, labels in found:
        shape: tuple[str, ...] | None = None
        # What was decided before was decided about equal labels, which may have been elsewhere.
        own = {label: label for label in labels} if is_tracing() else None
        for decided, decision in decider.decisions(labels, purpose, sink, evidence):
            label = decided if own is None else own[decided]
            suppression = None
            if decision.outcome is Outcome.ALLOWED:
                if not keep_allowed:
                    continue
                effect = mode or current_mode()
            else:
                effect = decider.enforcement(decision, label, mode, sink)
                suppression = decider.suppression(decision, label, purpose, sink, evidence)
            if shape is None:
                shape = _shape(way)
            key = (decision, effect, suppression, label.purposes, label.category, label.source, label.derivation, shape)
            groups.setdefault(key, (way, []))[1].append(label)
    if not groups:
        return []
    site = call_site()
    return [
        Flow(
            outcome=decision.outcome,
            sink=sink,
            purpose=purpose,
            labels=Labels(deciding),
            evidence=evidence,
            path=path_text(way),
            rule=decision.rule,
            mode=effect,
            count=len(deciding),
            call_site=site,
            suppressed=suppression,
            advice=decision.message,
        )
        for (decision, effect, suppression, *_), (way, deciding) in groups.items()
    ]


def flows_at(
    value: object, root: str, *, sink: str, purpose: str, mode: Mode | None, keep_allowed: bool = True
) -> list[Flow]:
    """Decide all data inside a value; `root` is what the value is called. Other arguments as `flows_of`."""
    show(value, root, sink, purpose)
    found = ((way, labels_of_carrier(carrier)) for way, carrier in carriers_in(value, root))
    flows = flows_of(found, sink=sink, purpose=purpose, mode=mode, evidence=Evidence.LABEL, keep_allowed=keep_allowed)
    known = current_known_values()
    if known is not None:
        flows += _flows_of_known(known, value, root, sink=sink, purpose=purpose, mode=mode, keep_allowed=keep_allowed)
    unlabelled = current_decider().sink_settings(sink).unlabelled
    if unlabelled is not None and unlabelled != "allow":
        flows += _unlabelled_flows(
            value, root, sink=sink, purpose=purpose, mode=mode, is_violation=unlabelled == "block"
        )
    return flows


def _flows_of_known(
    known: KnownValues, value: object, root: str, *, sink: str, purpose: str, mode: Mode | None, keep_allowed: bool
) -> list[Flow]:
    """Decide every known value that stands unlabelled inside a value; what cannot be scanned is a gap."""
    try:
        matches = scan(known, value, root)
    except Exception as error:  # noqa: BLE001  # The program goes on; that nothing was looked for is said.
        report_internal_error("looking for known values", error)
        effect = mode or current_mode()
        return [Flow(Outcome.GAP, sink, purpose, NO_LABELS, Evidence.CONTENT, root, "known-values", effect)]
    return _flows_of_matches(matches, sink=sink, purpose=purpose, mode=mode, keep_allowed=keep_allowed)


def flows_across(before: bytes, after: bytes, root: str, *, sink: str, purpose: str) -> list[Flow]:
    """Decide the known values that are cut between two pieces; arguments as `scan_across`, `flows_of`."""
    known = current_known_values()
    matches = [] if known is None else scan_across(known, before, after, root)
    return _flows_of_matches(matches, sink=sink, purpose=purpose, mode=None, keep_allowed=is_heard())


def _flows_of_matches(
    matches: list[Match], *, sink: str, purpose: str, mode: Mode | None, keep_allowed: bool
) -> list[Flow]:
    flows: list[Flow] = []
    for evidence in (Evidence.CONTENT, Evidence.DIGEST):
        found = [(match.way, _deciding(match, purpose, sink)) for match in matches if match.evidence is evidence]
        flows += flows_of(found, sink=sink, purpose=purpose, mode=mode, evidence=evidence, keep_allowed=keep_allowed)
    # A copy has no range of labels that could be replaced.
    return [replace(flow, mode=Mode.BLOCK) if flow.mode is Mode.REDACT else flow for flow in flows]


def _deciding(match: Match, purpose: str, sink: str) -> Labels:
    """Give the labels that decide a match: a set that allows the use, where there is one; else all of them.

    The text at the sink may come from any of the collections; it is held against the most lenient one, since a
    finding that may be wrong about a person who agreed is worse than none.
    """
    decider = current_decider()
    for labels in match.labels:
        if all(decider.decide(label, purpose, sink).outcome is Outcome.ALLOWED for label in labels):
            return labels
    return Labels(label for labels in match.labels for label in labels)


def _unlabelled_flows(
    value: object, root: str, *, sink: str, purpose: str, mode: Mode | None, is_violation: bool
) -> list[Flow]:
    """Find text and bytes without labels, at a sink that asks for labels; numbers are not data by themselves."""
    places: dict[tuple[str, ...], tuple[Step, int]] = {}
    for way, _ in walk(value, _is_unlabelled_text, root, is_skipped=_is_no_text):
        shape = _shape(way)
        first, count = places.get(shape, (way, 0))
        places[shape] = first, count + 1
    settings = current_decider().sink_settings(sink)
    effect = mode or settings.mode or current_mode()
    if effect is Mode.REDACT:
        effect = Mode.BLOCK  # There is no range to replace.
    site = call_site() if places else None
    return [
        Flow(
            outcome=Outcome.VIOLATION if is_violation else Outcome.GAP,
            sink=sink,
            purpose=purpose,
            labels=NO_LABELS,
            evidence=Evidence.LABEL,
            path=path_text(way),
            rule=UNLABELLED,
            mode=effect if is_violation else Mode.REPORT,
            count=count,
            call_site=site,
        )
        for way, count in places.values()
    ]


def _is_unlabelled_text(value: object) -> bool:
    return isinstance(value, str | bytes) and bool(value) and not is_carrier(value)


def _is_no_text(value: object) -> bool:
    return is_atomic(value) and not isinstance(value, str | bytes)
