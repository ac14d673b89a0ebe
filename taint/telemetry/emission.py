"""Emission: what happened, as spans, log events, span events and numbers.

One function is called for every flow, whatever came of it. It never raises and never waits for an
exporter longer than the outlet allows. What an exporter itself does, while it sends this, is counted
and never told: a sink that it passes through cannot set off another round.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from functools import partial
from time import time_ns

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry._logs import LoggerProvider, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import NonRecordingSpan, TracerProvider
from opentelemetry.util.types import AttributeValue

from taint.errors import ConfigurationError
from taint.guard import after_fork, report_internal_error, shown
from taint.labels import Trace
from taint.modes import Mode
from taint.policy import Flow
from taint.telemetry import attributes as names
from taint.telemetry import metrics
from taint.telemetry.outlet import Outlet
from taint.telemetry.providers import emit_log, has_logger_provider, is_heard, use_providers
from taint.telemetry.repeats import Repeated, Repeats
from taint.telemetry.spans import collection_traces, emit_span

__all__ = ["declassified", "emit", "flush", "is_exporting", "policy_reloaded", "reset", "set_up"]

DEFAULT_INTERVAL_SECONDS = 60.0
"""As often as OpenTelemetry's metrics are exported by default."""

_SEVERITIES = {
    names.VIOLATION: SeverityNumber.WARN,
    names.GAP: SeverityNumber.WARN,
    names.SUPPRESSED_VIOLATION: SeverityNumber.INFO,
}


def _interval(setting: str) -> float:
    try:
        seconds = float(setting)
    except ValueError:
        seconds = math.nan
    if not seconds >= 0:
        raise ConfigurationError(
            f"TAINT_REPEAT_SECONDS is not a length of time: {setting!r}. Seconds are allowed, 0 or more. "
            "Leave it out for 60; 0 tells every violation by itself."
        )
    return seconds


def emit(flow: Flow) -> None:
    """Tell observability of one flow: the one call for every outcome of a check.

    A violation is counted, and becomes a span with a log event (a span event where no logger provider
    is set); a gap or a suppressed violation is counted and becomes an event. Repeats are counted and
    told as one at the end of an interval. An allowed flow is nothing but what the check counts.

    Labels: their keys are told, never a value or a subject.

    Args:
        flow: What a check found.
    """
    try:
        event = names.event_name(flow)
        if event is not None:
            metrics.count_flow(flow, suppressed=event == names.SUPPRESSED_VIOLATION)
            if is_heard() and not is_exporting():
                _tell_or_count(event, flow)
    except Exception as error:  # noqa: BLE001  # Whatever fails here is not the sink's.
        report_internal_error("emitting a violation", error)


def is_exporting() -> bool:
    """Tell whether what runs here is an exporter of telemetry: on the outlet's thread, or as it says itself."""
    return _outlet.is_here or bool(otel_context.get_value(otel_context._SUPPRESS_INSTRUMENTATION_KEY))  # noqa: SLF001  # The API has no public name for it.


def _tell_or_count(event: str, flow: Flow) -> None:
    now_ns = time_ns()
    if _outlet.interval_seconds:
        begun = _repeats.begins(event, flow, now_ns)
        if begun is None:
            return
        begun.context = _span_only(otel_context.get_current())
    found = names.flow_attributes(flow, 1)
    _add_span_event(event, found)
    traces, context = collection_traces(flow.labels), otel_context.get_current()
    _outlet.hand_over(partial(_tell, event, found, traces, context=context, first_ns=now_ns, last_ns=now_ns))


def _span_only(context: Context) -> Context:
    span = trace.get_current_span(context).get_span_context()
    return trace.set_span_in_context(NonRecordingSpan(span), Context()) if span.is_valid else Context()


def _add_span_event(event: str, found: dict[str, AttributeValue]) -> None:
    """Tell the current span, where log events would arrive nowhere; at once, since it may end soon."""
    span = trace.get_current_span()
    if span.is_recording() and not has_logger_provider():
        span.add_event(event, found)


def _tell(
    event: str,
    found: dict[str, AttributeValue],
    traces: Iterable[Trace],
    *,
    context: Context,
    first_ns: int,
    last_ns: int,
) -> None:
    is_violation = event == names.VIOLATION
    is_stopped = is_violation and found[names.MODE] == Mode.BLOCK.value
    if is_violation:
        emit_span(found, traces, is_stopped=is_stopped, context=context, start_ns=first_ns, end_ns=last_ns)
    severity = SeverityNumber.ERROR if is_stopped else _SEVERITIES[event]
    emit_log(event, found, severity, context=context, timestamp_ns=last_ns)


def _tell_repeats() -> bool:
    for one in _repeats.end_interval():
        _tell_repeated(one)
    return len(_repeats) > 0


def _tell_repeated(one: Repeated) -> None:
    event = names.event_name(one.flow)
    if event is None:  # Never noted as a repeat.
        return
    describe = names.mixed_attributes if one.is_mixed else names.flow_attributes
    try:
        _tell(
            *(event, describe(one.flow, one.count), one.traces),
            context=one.context,
            first_ns=one.first_ns,
            last_ns=one.last_ns,
        )
    except Exception as error:  # noqa: BLE001  # One that fails must not take the others with it.
        report_internal_error("emitting repeated violations", error)


def _tell_event(event: str, found: dict[str, AttributeValue], severity: SeverityNumber) -> None:
    if is_exporting():
        return
    _add_span_event(event, found)
    now_ns, context = time_ns(), otel_context.get_current()
    _outlet.hand_over(partial(emit_log, event, found, severity, context=context, timestamp_ns=now_ns))


def declassified(
    *, purposes: Iterable[str], sources: Iterable[str], to: Iterable[str], reason: str, approved_by: str, count: int = 1
) -> None:
    """Tell of a declassification: an event for each, since every one is somebody's decision.

    Args:
        purposes: What the value was collected for.
        sources: Where.
        to: What it may be used for from here on.
        reason: Why; not shown where it is itself labelled text.
        approved_by: Who said so; as the reason.
        count: How many values.
    """
    try:
        widened = names.all_shown(to)
        for purpose in widened:
            metrics.count_declassification(purpose)
        found: dict[str, AttributeValue] = {
            names.PURPOSES: names.all_shown(purposes),
            names.SOURCES: names.all_shown(sources),
            names.DECLASSIFICATION_PURPOSES: widened,
            names.DECLASSIFICATION_REASON: shown(reason),
            names.DECLASSIFICATION_APPROVER: shown(approved_by),
            names.VALUE_COUNT: count,
        }
        _tell_event(names.DECLASSIFICATION, found, SeverityNumber.INFO)
    except Exception as error:  # noqa: BLE001  # Whatever fails here is not the program's.
        report_internal_error("emitting a declassification", error)


def policy_reloaded(policy: str, *, is_accepted: bool) -> None:
    """Tell that a policy was read again while the program ran.

    Args:
        policy: Its name, such as the file's.
        is_accepted: Whether it holds now; else the one before still does.
    """
    try:
        found: dict[str, AttributeValue] = {
            names.POLICY_NAME: shown(policy),
            names.POLICY_ACCEPTED: is_accepted,
        }
        _tell_event(names.POLICY_RELOAD, found, SeverityNumber.INFO if is_accepted else SeverityNumber.ERROR)
    except Exception as error:  # noqa: BLE001  # Whatever fails here is not the program's.
        report_internal_error("emitting a policy reload", error)


def flush(timeout_seconds: float = 2.0) -> bool:
    """Tell repeats now and wait until everything has left for OpenTelemetry's processors.

    It runs when the interpreter ends. Call it where a process is frozen instead of ended, and before a provider that
    the program shuts down itself.

    Args:
        timeout_seconds: The longest to wait.

    Returns:
        Whether everything has left.
    """
    return _outlet.flush(timeout_seconds)


def set_up(
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    logger_provider: LoggerProvider | None = None,
    repeat_seconds: float | None = None,
) -> None:
    """Say where signals go and how often repeats are told. What is left out: the global providers, 60 s.

    Args:
        tracer_provider: For spans.
        meter_provider: For metrics.
        logger_provider: For log events.
        repeat_seconds: Length of the interval in which repeats are counted and told as one; 0 tells each.

    Raises:
        ConfigurationError: The interval is not one.
    """
    seconds = DEFAULT_INTERVAL_SECONDS if repeat_seconds is None else _interval(str(repeat_seconds))
    _outlet.interval_seconds = seconds
    flush()
    use_providers(tracer_provider, logger_provider)
    metrics.use_meter_provider(meter_provider)


def reset() -> None:
    """Forget repeats and counts, untold: every test begins with none."""
    global _repeats  # noqa: PLW0603  # Replaced as a whole; what another thread still notes in the old ones is forgotten.
    _repeats = Repeats()
    metrics.reset_counts()


_repeats = Repeats()
_outlet = Outlet(_tell_repeats, _interval(os.environ.get("TAINT_REPEAT_SECONDS", str(DEFAULT_INTERVAL_SECONDS))))
after_fork(reset)
