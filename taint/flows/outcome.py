"""Carrying out what a check found: tell those who listen, emit, and stop where the mode says so."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from types import FrameType

from taint.errors import PurposeViolationError
from taint.policy import CallSite, Flow, Outcome
from taint.telemetry import emit
from taint.telemetry import is_heard as is_telemetry_heard

__all__ = [
    "Listener",
    "Watcher",
    "call_site",
    "carry_out",
    "is_heard",
    "is_watched",
    "listen",
    "look_past",
    "show",
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
_logger = logging.getLogger("taint")
_is_unheard_said = False
_own: tuple[str, ...] = (_PACKAGE + ".", "wrapt.", "contextlib")


def listen(listener: Listener) -> None:
    """Have every flow of the process told to a listener, allowed ones too."""
    global _listeners  # noqa: PLW0603  # Replaced as a whole, so that a reader in another thread sees one or the other.
    _listeners = (*_listeners, listener)


def unlisten(listener: Listener) -> None:
    """Stop telling a listener."""
    global _listeners  # noqa: PLW0603  # As above.
    _listeners = tuple(one for one in _listeners if one != listener)


def is_heard() -> bool:
    """Tell whether anybody listens to flows that are allowed."""
    return bool(_listeners)


def is_watched() -> bool:
    """Tell whether anybody watches the values that are checked."""
    return bool(_watchers)


def watch(watcher: Watcher) -> None:
    """Have every value that is checked shown to a watcher: value, its name, sink, purpose."""
    global _watchers  # noqa: PLW0603  # As above.
    _watchers = (*_watchers, watcher)


def unwatch(watcher: Watcher) -> None:
    """Stop showing values to a watcher."""
    global _watchers  # noqa: PLW0603  # As above.
    _watchers = tuple(one for one in _watchers if one != watcher)


def show(value: object, root: str, sink: str, purpose: str) -> None:
    """Show a value that is about to be checked to those who watch."""
    for watcher in _watchers:
        watcher(value, root, sink, purpose)


def look_past(*packages: str) -> None:
    """Take the frames of a library for no call site: what it sends, the program that calls it sends."""
    global _own  # noqa: PLW0603  # As above.
    _own += tuple(f"{one}." for one in packages if f"{one}." not in _own)


def call_site() -> CallSite | None:
    """Find the nearest frame that is not of this library, nor of one that it looks past."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  # The way to one's caller that costs no stack list.
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module != _PACKAGE and not f"{module}.".startswith(_own):
            code = frame.f_code
            return CallSite(f"{module}.{code.co_qualname}", code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return None


def worst_of(flows: Iterable[Flow]) -> Outcome:
    """Give the worst outcome of a check; `allowed` where it found nothing."""
    outcomes = {flow.outcome for flow in flows}
    return next((one for one in (Outcome.VIOLATION, Outcome.GAP) if one in outcomes), Outcome.ALLOWED)


def carry_out(flows: Sequence[Flow]) -> None:
    """Tell, emit, and stop.

    Args:
        flows: What a check found.

    Raises:
        PurposeViolationError: A flow is a violation or a gap, its mode is `block` and nothing suppresses it. All are
            told and emitted before.
    """
    __tracebackhide__ = True  # A test's failure ends at the line that called the sink, and shows no locals from here.
    stopped: Flow | None = None
    for flow in flows:
        emit(flow)
        if stopped is None and flow.stops:
            stopped = flow
        for listener in _listeners:
            listener(flow)
        if flow.outcome is Outcome.VIOLATION and flow.suppressed is None and not (flow.stops or _listeners):
            _say_unheard(flow)
    if stopped is not None:
        raise PurposeViolationError(stopped)


def _say_unheard(flow: Flow) -> None:
    """Log the first violation that goes on where nobody would learn of it: a mode `report` that reports nothing."""
    global _is_unheard_said  # noqa: PLW0603  # Once a process.
    if _is_unheard_said or is_telemetry_heard():
        return
    _is_unheard_said = True
    _logger.warning(
        "%s It goes on, in mode %r, and nobody is told of this one or the next: no OpenTelemetry SDK is set up, and no "
        "audit file. Set one up, or write one: taint.configure(audit='audit.jsonl'). This is said once.",
        flow.message,
        flow.mode.value,
    )
