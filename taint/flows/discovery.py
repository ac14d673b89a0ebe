"""Discovery: comparisons of labelled values where nobody has drawn a zone yet.

Off by default. Once it is on, a comparison outside every zone is remembered for the request or task that makes
it, and a sink for another purpose that is reached later in the same one gets a `gap` with evidence
`comparison`: whether the comparison selected what the sink gets is not known, but here a zone may be missing.

A request or task is the innermost `discovering()` block, else the trace of the current span, else the
asyncio task. Where there is none of them nothing is remembered: a thread that serves one request after
the other cannot be told apart from one that does a single job.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any

from opentelemetry import context as otel_context

from taint.carriers import observation
from taint.carriers.values import current_trace
from taint.evidence import Evidence
from taint.flows import selection
from taint.flows.outcome import call_site
from taint.guard import report_internal_error
from taint.labels import Labels
from taint.modes import Mode, is_off
from taint.policy import Flow, Outcome

__all__ = ["begin_scope", "discover", "discovered_flows", "discovering", "is_discovering", "scope_here"]

_ADVICE = "It was compared in the same request or task, outside every zone, and may have selected what the sink got"
_CARRYING = ("taint.carriers.comparing.", "taint.carriers.proxy.", "taint.carriers.number.")
_TELLING = ("taint.telemetry.", "opentelemetry.sdk.", "opentelemetry.exporter.")
"""What these call is done to tell of something, a program's own span processors and exporters included."""


@dataclass(slots=True, eq=False)
class _Scope:
    """One request or task, and what was compared in it."""

    is_same: Callable[[], bool]
    compared: list[Flow] = field(default_factory=list)


scope_here: ContextVar[_Scope | None] = ContextVar("taint_discovered", default=None)
"""The request or task that runs here, as far as it was said or found out."""


@contextmanager
def discovering() -> Iterator[None]:
    """Say that the block is one request, job or message: what it compares is remembered until it ends.

    For servers and workers that handle one after the other in a thread, without spans. It does nothing while
    discovery is off.
    """
    token = begin_scope()
    try:
        yield
    finally:
        scope_here.reset(token)


def begin_scope() -> Token[_Scope | None]:
    """Begin a request or task here; who began it sets the variable back."""
    return scope_here.set(_Scope(lambda: True))


def _current_scope() -> _Scope | None:
    """Give the request or task that runs here, if one can be told."""
    scope = scope_here.get()
    if scope is not None and scope.is_same():
        return scope
    is_same = _is_here()
    if is_same is None:
        return None
    scope = _Scope(is_same)
    scope_here.set(scope)
    return scope


def _is_here() -> Callable[[], bool] | None:
    trace = current_trace()
    if trace is not None:
        begun = trace.trace_id
        return lambda: (now := current_trace()) is not None and now.trace_id == begun
    task = _task()
    if task is None:
        return None
    reference = weakref.ref(task)
    return lambda: current_trace() is None and reference() is _task()


def _task() -> Any:
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return None
    try:
        return asyncio.current_task()
    except RuntimeError:  # No loop runs in this thread.
        return None


class _Discoverer:
    """Who is told of comparisons where there is no zone."""

    def observe(self, labels: Labels, operation: str) -> None:
        """Remember a comparison of the program's own."""
        if is_off() or _is_own_work():
            return
        token = observation.observer.set(observation.NOBODY)
        try:
            scope = _current_scope()
            if scope is not None:
                # A violation of no purpose in particular: which one is asked at the sink.
                flow = Flow(
                    Outcome.VIOLATION, "", "", labels, Evidence.COMPARISON, operation, "", Mode.REPORT, 1, call_site()
                )
                selection.remember(scope.compared, (flow,))
        except Exception as error:  # noqa: BLE001  # A comparison must not fail because somebody wants to know of it.
            report_internal_error("remembering a comparison", error)
        finally:
            observation.observer.reset(token)


def _is_own_work() -> bool:
    """Tell whether the comparison is the library's or telemetry's own, and not the program's."""
    if otel_context.get_value(otel_context._SUPPRESS_INSTRUMENTATION_KEY):  # noqa: SLF001  # As in telemetry.
        return True
    frame: FrameType | None = sys._getframe(3)  # noqa: SLF001  # Who called `observation.observe`.
    if frame is not None and _module(frame).startswith(_CARRYING):
        while frame is not None and _module(frame).startswith(_CARRYING):
            frame = frame.f_back
        if frame is not None and _module(frame).startswith("taint."):
            return True  # Else it is a wrapper around what the program has called that says so itself.
    while frame is not None:
        if _module(frame).startswith(_TELLING):
            return True
        frame = frame.f_back
    return False


def _module(frame: FrameType) -> str:
    return f"{frame.f_globals.get('__name__', '')}."


_discoverer = _Discoverer()


def discover(*, is_on: bool) -> None:
    """Remember comparisons outside of zones from here on, or no longer."""
    observation.set_otherwise(_discoverer if is_on else None)


def is_discovering() -> bool:
    """Tell whether comparisons outside of zones are remembered."""
    return observation.otherwise is _discoverer


def discovered_flows(flows: Iterable[Flow], values: Iterable[object], *, sink: str, purpose: str) -> list[Flow]:
    """Give a gap for each comparison of this request or task whose data the sink may not use; as `selected_flows`."""
    if observation.otherwise is None or observation.observer.get() is not None:
        return []
    scope = scope_here.get()
    if scope is None or not scope.compared or not scope.is_same():
        return []
    if any(flow.outcome is Outcome.VIOLATION for flow in flows) or all(map(selection.is_nothing, values)):
        return []
    found = selection.named_in(scope.compared, sink=sink, purpose=purpose, mode=Mode.REPORT)
    return [replace(flow, outcome=Outcome.GAP, advice=_ADVICE) for flow in found]
