"""Violations as spans, each linked to the spans in which its data was collected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util.types import AttributeValue

from taint.labels import Labels, Trace
from taint.telemetry import attributes as names
from taint.telemetry.providers import tracer

__all__ = ["MAX_LINKS", "collection_traces", "emit_span"]

MAX_LINKS = 128
"""The SDK's own default limit of links on a span (OTEL_SPAN_LINK_COUNT_LIMIT)."""


def collection_traces(labels: Labels) -> set[Trace]:
    """Give the spans in which data was collected."""
    return {label.trace for label in labels if label.trace is not None}


def _links(traces: Iterable[Trace]) -> Iterator[Link]:
    for trace_id, span_id in sorted(traces)[:MAX_LINKS]:
        context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
        yield Link(context, {names.LINK_KIND: names.LINK_COLLECTION})


def emit_span(
    attributes: dict[str, AttributeValue],
    traces: Iterable[Trace],
    *,
    is_stopped: bool,
    context: Context,
    start_ns: int,
    end_ns: int,
) -> None:
    """Emit a violation as a span below the span of a context.

    Its links lead to the spans in which the data was collected, in this process or another one, now
    or months ago. The status is ERROR where the sink was stopped, and unset where it went on.

    Args:
        attributes: What is said of the violation.
        traces: The spans in which its data was collected; at most `MAX_LINKS` are linked.
        is_stopped: Whether the sink was stopped.
        context: Whose child the span is.
        start_ns: When the first violation happened that it stands for, since the epoch.
        end_ns: When the last did.
    """
    span = tracer().start_span(
        names.VIOLATION, context, SpanKind.INTERNAL, links=list(_links(traces)), start_time=start_ns
    )
    if span.is_recording():
        span.set_attributes(attributes)
        if is_stopped:
            span.set_status(Status(StatusCode.ERROR, "stopped"))
    span.end(end_ns)
