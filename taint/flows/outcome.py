"""Carrying out what a check found: tell those who listen, emit, and stop where the mode says so."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from types import FrameType
from typing import Any

from taint.carriers.containers import Step, path_text
from taint.carriers.proxy import labels_of_carrier
from taint.carriers.values import carriers_in
from taint.errors import PurposeViolationError
from taint.evidence import Evidence
from taint.labels import Label, Labels
from taint.modes import Mode
from taint.policy import CallSite, Flow, Outcome, decide
from taint.telemetry import emit

__all__ = [
    "Listener",
    "Watcher",
    "call_site",
    "carry_out",
    "flows_at",
    "flows_of",
    "listen",
    "unlisten",
    "unwatch",
    "watch",
    "worst_of",
]

Listener = Callable[[Flow], None]
Watcher = Callable[[object, str, str, str], None]

_listeners: tuple[Listener, ...] = ()
_watchers: tuple[Watcher, ...] = ()
_PACKAGE = __name__.partition(".")[0]
_OWN = (_PACKAGE + ".", "wrapt.", "contextlib")
_Group = tuple[Outcome, str, frozenset[str], str | None, str | None, tuple[str, ...]]


def listen(listener: Listener) -> None:
    """Have every flow of the process told to a listener, allowed ones too."""
    global _listeners  # noqa: PLW0603  # Replaced as a whole, so that a reader in another thread sees one or the other.
    _listeners = (*_listeners, listener)


def unlisten(listener: Listener) -> None:
    """Stop telling a listener."""
    global _listeners  # noqa: PLW0603  # As above.
    _listeners = tuple(one for one in _listeners if one is not listener)


def watch(watcher: Watcher) -> None:
    """Have every value that is checked shown to a watcher: value, its name, sink, purpose."""
    global _watchers  # noqa: PLW0603  # As above.
    _watchers = (*_watchers, watcher)


def unwatch(watcher: Watcher) -> None:
    """Stop showing values to a watcher."""
    global _watchers  # noqa: PLW0603  # As above.
    _watchers = tuple(one for one in _watchers if one is not watcher)


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
    found: Iterable[tuple[Step, Labels]], *, sink: str, purpose: str, mode: Mode, evidence: Evidence
) -> list[Flow]:
    """Decide every label and gather what is alike: one flow for each source and place.

    Args:
        found: The labels that were found, and where.
        sink: The sink's name.
        purpose: What it uses data for.
        mode: What a violation does there.
        evidence: How the labels were found.
    """
    groups: dict[_Group, tuple[Step, list[Label]]] = {}
    for way, labels in found:
        shape = _shape(way)
        for label in labels:
            outcome, rule = decide(label, purpose)
            key = (outcome, rule, label.purposes, label.category, label.source, shape)
            groups.setdefault(key, (way, []))[1].append(label)
    if not groups:
        return []
    site = call_site()
    return [
        Flow(outcome, sink, purpose, Labels(deciding), evidence, path_text(way), rule, mode, len(deciding), site)
        for (outcome, rule, *_), (way, deciding) in groups.items()
    ]


def flows_at(value: object, root: str, *, sink: str, purpose: str, mode: Mode) -> list[Flow]:
    """Decide every carrier inside a value; `root` is what the value is called."""
    for watcher in _watchers:
        watcher(value, root, sink, purpose)
    found = ((way, labels_of_carrier(carrier)) for way, carrier in carriers_in(value, root))
    return flows_of(found, sink=sink, purpose=purpose, mode=mode, evidence=Evidence.LABEL)


def worst_of(flows: Iterable[Flow]) -> Outcome:
    """Give the worst outcome of a check; `allowed` where it found nothing."""
    outcomes = {flow.outcome for flow in flows}
    return next((one for one in (Outcome.VIOLATION, Outcome.GAP) if one in outcomes), Outcome.ALLOWED)


def carry_out(flows: Sequence[Flow]) -> None:
    """Tell, emit, and stop.

    Args:
        flows: What a check found.

    Raises:
        PurposeViolationError: A flow is a violation and its mode is `block`. All are told and emitted before.
    """
    __tracebackhide__ = True  # A test's failure ends at the line that called the sink, and shows no locals from here.
    stopped: Flow | None = None
    for flow in flows:
        emit(flow)
        if flow.outcome is Outcome.VIOLATION and flow.mode is Mode.BLOCK and stopped is None:
            stopped = flow
        for listener in _listeners:
            listener(flow)
    if stopped is not None:
        raise PurposeViolationError(stopped)
