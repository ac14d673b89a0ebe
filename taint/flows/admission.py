"""Admission: what happens to one value on its way into a sink, whatever the mode."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any, TypeVar

from taint.carriers.containers import is_atomic
from taint.carriers.proxy import labels_of_carrier
from taint.carriers.text import TaintedStr
from taint.carriers.tracing import is_tracing
from taint.carriers.values import carriers_in
from taint.evidence import Evidence, current_known_values
from taint.flows.calls import LAZY_KINDS
from taint.flows.discovery import discovered_flows, is_discovering
from taint.flows.finding import flows_at
from taint.flows.outcome import call_site, carry_out, is_heard, is_watched, worst_of
from taint.flows.redaction import can_redact, redacted
from taint.flows.selection import held, selected_flows
from taint.guard import report_internal_error
from taint.labels import Labels
from taint.modes import Mode, current_mode
from taint.policy import CallSite, Decider, Flow, Outcome, current_decider
from taint.telemetry import count_check

__all__ = ["admitted", "admitted_all", "are_clear", "told_as_clear"]

T = TypeVar("T")


def admitted(value: T, root: str, *, sink: str, purpose: str, mode: Mode | None, is_item: bool = False) -> T:
    """Check one value at a sink, tell, emit, stop, and give what the sink may have.

    Labels: read; in mode `redact` the labelled ranges that may not go on are replaced in a copy.

    Args:
        value: What is on its way.
        root: What it is called.
        sink: The sink's name.
        purpose: What it uses data for.
        mode: What the code says that a violation does there; None leaves it to the policy and the process.
        is_item: It is one of several that go in one by one: what selected them was asked for the whole.

    Raises:
        PurposeViolationError: In mode `block`, and in mode `redact` for what cannot be redacted.
    """
    (result,) = admitted_all(((root, value),), sink=sink, purpose=purpose, mode=mode, is_item=is_item)
    return result  # type: ignore[no-any-return]  # Of the type of the value, or the sink would not have it.


def are_clear(values: Sequence[object], *, sink: str, purpose: str) -> bool:
    """Tell quickly, of the simplest values, that a sink may have them and nobody asks to hear of it.

    Args:
        values: What is on its way.
        sink: The sink's name.
        purpose: What it uses data for.

    Returns:
        Whether nothing needs to be looked into; False says nothing.
    """
    if is_heard() or _is_more_asked(sink):
        return False
    return _is_allowed(values, current_decider(), purpose, sink, _DEPTH)


_DEPTH = 4
_CONTAINERS = frozenset((dict, list, tuple))
_KEYS = frozenset((str, int, type(None)))


def _is_allowed(values: Iterable[Any], decider: Decider, purpose: str, sink: str, depth: int) -> bool:
    for value in values:
        kind = type(value)
        if kind is TaintedStr:
            labels = value._coverage  # noqa: SLF001  # The carrier's own; asking for its ranges costs ten times this.
            if type(labels) is not Labels or not decider.allows(labels, purpose, sink):
                return False
        elif kind in _CONTAINERS:
            if kind is dict and not _KEYS.issuperset(map(type, value)):
                return False
            # What holds itself is too deep.
            inside = value.values() if kind is dict else value
            if not depth or not _is_allowed(inside, decider, purpose, sink, depth - 1):
                return False
        elif not is_atomic(value) or kind in LAZY_KINDS:
            return False
    return True


def told_as_clear(values: Sequence[tuple[str, Any]], *, sink: str, purpose: str, mode: Mode | None) -> bool:
    """Tell those who listen of the simplest values that a sink may have; as `admitted_all`, where that is all there is.

    A record says nothing that a later one of the same labels, name and place would not: it is made once.

    Args:
        values: What is on its way, and what each is called.
        sink: The sink's name.
        purpose: What it uses data for.
        mode: What the code says that a violation does there.

    Returns:
        Whether it is done; False says nothing, and nobody was told.
    """
    begun = perf_counter()
    if not is_heard() or _is_more_asked(sink) or is_tracing():
        return False
    decider, effect = current_decider(), mode or current_mode()
    kept = _kept_flows(decider)
    flows: list[Flow] = []
    site = call_site()
    for root, value in values:
        if type(value) is TaintedStr:
            labels = value._coverage  # noqa: SLF001  # As in `_is_allowed`.
            if type(labels) is not Labels or not decider.allows(labels, purpose, sink):
                return False
            key = (labels, root, sink, purpose, effect, site)
            known = kept.get(key)
            if known is None:
                known = flows_at(value, root, sink=sink, purpose=purpose, mode=mode)
                if decider.is_certain(labels, purpose, sink):
                    kept[key] = known
            flows += known
        elif not is_atomic(value) or type(value) in LAZY_KINDS:
            return False
    count_check(sink, purpose, Outcome.ALLOWED, perf_counter() - begun)
    carry_out(flows)
    return True


_Flows = dict[tuple[Labels, str, str, str, Mode, CallSite | None], list[Flow]]
_MOST_KEPT = 4096
_kept: tuple[Decider | None, _Flows] = (None, {})


def _kept_flows(decider: Decider) -> _Flows:
    """Give the records of allowed flows that a policy has decided; as few as are bounded."""
    global _kept  # noqa: PLW0603  # Replaced as a whole, with the policy that it holds for.
    if _kept[0] is not decider or len(_kept[1]) >= _MOST_KEPT:
        _kept = (decider, {})
    return _kept[1]


def _is_more_asked(sink: str) -> bool:
    """Tell whether a check asks for more than the labels of what a sink gets."""
    return bool(held.get()) or is_discovering() or _looks_at_plain(sink)


def _looks_at_plain(sink: str) -> bool:
    """Tell whether values without labels are looked at too: labels are asked for, or copies are looked for."""
    if current_known_values() is not None or is_watched():
        return True
    return current_decider().sink_settings(sink).unlabelled != "allow"


def admitted_all(
    values: Sequence[tuple[str, Any]],
    *,
    sink: str,
    purpose: str,
    mode: Mode | None,
    is_fixed: bool = False,
    is_item: bool = False,
) -> Sequence[Any]:
    """Check several values at a sink as one; as `admitted`.

    Args:
        values: What is on its way, and what each is called.
        sink: The sink's name.
        purpose: What it uses data for.
        mode: What the code says that a violation does there.
        is_fixed: Nothing may stand for a value, since its length was promised: it is stopped instead of redacted.
        is_item: It is one of several that go in one by one: what selected them was asked for the whole.

    Raises:
        PurposeViolationError: As `admitted`.
    """
    __tracebackhide__ = True  # As in `carry_out`.
    begun = perf_counter()
    flows: list[Flow] = []
    looks_at_plain = _looks_at_plain(sink)
    keep_allowed = is_heard()
    for root, value in values:
        if looks_at_plain or not is_atomic(value):
            flows += flows_at(value, root, sink=sink, purpose=purpose, mode=mode, keep_allowed=keep_allowed)
    if not is_item:
        arguments = [value for _, value in values]
        flows += selected_flows(flows, arguments, sink=sink, purpose=purpose, mode=mode)
        flows += discovered_flows(flows, arguments, sink=sink, purpose=purpose)
    count_check(sink, purpose, worst_of(flows), perf_counter() - begun)
    if not flows:
        return [value for _, value in values]
    results = [value for _, value in values]
    if is_fixed:
        flows = [replace(flow, mode=Mode.BLOCK) if flow.mode is Mode.REDACT else flow for flow in flows]
    if any(flow.mode is Mode.REDACT and flow.outcome is not Outcome.ALLOWED for flow in flows):
        try:
            flows = _closed_where_needed(flows, values, sink=sink, purpose=purpose, mode=mode)
            results = [
                redacted(value, lambda labels: _is_hidden(labels, sink=sink, purpose=purpose, mode=mode))
                for value in results
            ]
        except Exception as error:  # noqa: BLE001  # A container that cannot be copied must not let data through.
            report_internal_error("redacting", error)
            flows = [replace(flow, mode=Mode.BLOCK) if flow.mode is Mode.REDACT else flow for flow in flows]
    carry_out(flows)
    return results


def _is_hidden(labels: Labels, *, sink: str, purpose: str, mode: Mode | None) -> bool:
    decider = current_decider()
    return any(
        decision.outcome is not Outcome.ALLOWED
        and decider.enforcement(decision, label, mode, sink) is Mode.REDACT
        and decider.suppression(decision, label, purpose, sink, Evidence.LABEL) is None
        for label, decision in decider.decisions(labels, purpose, sink)
    )


def _closed_where_needed(
    flows: list[Flow], values: Sequence[tuple[str, Any]], *, sink: str, purpose: str, mode: Mode | None
) -> list[Flow]:
    """Turn `redact` into `block` for flows of values that nothing can stand for."""
    stuck: set[object] = set()
    for _, value in values:
        for _, carrier in carriers_in(value):
            if not can_redact(carrier):
                labels = labels_of_carrier(carrier)
                if _is_hidden(labels, sink=sink, purpose=purpose, mode=mode):
                    stuck.update(labels)
    return [
        replace(flow, mode=Mode.BLOCK) if flow.mode is Mode.REDACT and not stuck.isdisjoint(flow.labels) else flow
        for flow in flows
    ]
