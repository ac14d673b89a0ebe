"""Violations as spans, each linked to the spans in which its data was collected."""

from __future__ import annotations

from collections.abc import Iterator

from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util.types import AttributeValue

from taint.labels import Labels
from taint.modes import Mode
from taint.policy import Flow
from taint.telemetry import attributes as names
from taint.telemetry.providers import tracer

__all__ = ["emit_span"]

MAX_LINKS = 128
"""The SDK's own default limit of links on a span (OTEL_SPAN_LINK_COUNT_LIMIT)."""


def _links(labels: Labels) -> Iterator[Link]:
    traces = sorted({label.trace for label in labels if label.trace is not None})
    for trace_id, span_id in traces[:MAX_LINKS]:
        context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
        yield Link(context, {names.LINK_KIND: names.LINK_COLLECTION})


def emit_span(
    flow: Flow, attributes: dict[str, AttributeValue], *, context: Context, start_ns: int, end_ns: int
) -> None:
    """Emit a violation as a span below the span of a context.

    Its links lead to the spans in which the data was collected, in this process or another one, now
    or months ago. The status is ERROR where the sink was stopped, and unset where it went on.

    Args:
        flow: The violation; it holds no value, and neither does the span.
        attributes: What is said of it.
        context: Whose child the span is.
        start_ns: When the first of them happened, since the epoch.
        end_ns: When the last did.
    """
    span = tracer().start_span(
        names.VIOLATION, context, SpanKind.INTERNAL, links=list(_links(flow.labels)), start_time=start_ns
    )
    if span.is_recording():
        span.set_attributes(attributes)
        if flow.mode is Mode.BLOCK:
            span.set_status(Status(StatusCode.ERROR, "stopped"))
    span.end(end_ns)
