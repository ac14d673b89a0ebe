"""Carrying out what a check found: tell those who listen, emit, and stop where the mode says so."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from types import FrameType
from typing import Any

from taint.carriers.containers import Step, path_text, walk
from taint.carriers.proxy import is_carrier, labels_of_carrier
from taint.carriers.values import carriers_in
from taint.errors import PurposeViolationError
from taint.evidence import Evidence
from taint.guard import report_internal_error
from taint.labels import NO_LABELS, Label, Labels
from taint.modes import Mode, current_mode
from taint.policy import UNLABELLED, CallSite, Decision, Flow, Outcome, Suppression, current_decider
from taint.telemetry import emit_violation

__all__ = ["Listener", "call_site", "carry_out", "flows_at", "flows_of", "is_heard", "listen", "unlisten"]

Listener = Callable[[Flow], None]

_listeners: tuple[Listener, ...] = ()
_PACKAGE = __name__.partition(".")[0]
_OWN = (_PACKAGE + ".", "wrapt.", "contextlib")
_Group = tuple[Decision, Mode, Suppression | None, frozenset[str], str | None, str | None, tuple[str, ...]]


def listen(listener: Listener) -> None:
    """Have every flow of the process told to a listener, allowed ones too."""
    global _listeners  # noqa: PLW0603  # Replaced as a whole, so that a reader in another thread sees one or the other.
    _listeners = (*_listeners, listener)


def is_heard() -> bool:
    """Tell whether anybody listens to flows that are allowed."""
    return bool(_listeners)


def unlisten(listener: Listener) -> None:
    """Stop telling a listener."""
    global _listeners  # noqa: PLW0603  # As above.
    _listeners = tuple(one for one in _listeners if one is not listener)


def call_site() -> CallSite | None:
    """Find the nearest frame that is not of this library."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  # The way to one's caller that costs no stack list.
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module != _PACKAGE and not f"{module}.".startswith(_OWN):
            code = frame.f_code
            return CallSite(f"{module}.{code.co_qualname}", code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return None


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
        for label, decision in decider.decisions(labels, purpose, sink, evidence):
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
            key = (decision, effect, suppression, label.purposes, label.category, label.source, shape)
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
    found = ((way, labels_of_carrier(carrier)) for way, carrier in carriers_in(value, root))
    flows = flows_of(found, sink=sink, purpose=purpose, mode=mode, evidence=Evidence.LABEL, keep_allowed=keep_allowed)
    unlabelled = current_decider().sink_settings(sink).unlabelled
    if unlabelled is not None and unlabelled != "allow":
        flows += _unlabelled_flows(
            value, root, sink=sink, purpose=purpose, mode=mode, is_violation=unlabelled == "block"
        )
    return flows


def _unlabelled_flows(
    value: object, root: str, *, sink: str, purpose: str, mode: Mode | None, is_violation: bool
) -> list[Flow]:
    """Find text and bytes without labels, at a sink that asks for labels; numbers are not data by themselves."""
    places: dict[tuple[str, ...], tuple[Step, int]] = {}
    for way, _ in walk(value, _is_unlabelled_text, root, atoms=True):
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


def carry_out(flows: Sequence[Flow]) -> None:
    """Tell, emit, and stop.

    Args:
        flows: What a check found.

    Raises:
        PurposeViolationError: A flow is a violation or a gap, its mode is `block` and nothing suppresses it. All are
            told and emitted before.
    """
    stopped: Flow | None = None
    for flow in flows:
        if flow.outcome is Outcome.VIOLATION:
            try:
                emit_violation(flow)
            except Exception as error:  # noqa: BLE001  # Telemetry is the application's; its failure is not the sink's.
                report_internal_error("emitting a violation", error)
        if stopped is None and flow.stops:
            stopped = flow
        for listener in _listeners:
            listener(flow)
    if stopped is not None:
        raise PurposeViolationError(stopped)
