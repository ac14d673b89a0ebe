"""Violations as spans, each linked to the spans in which its data was collected."""

from __future__ import annotations

from collections.abc import Iterator

from opentelemetry import trace
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util.types import AttributeValue

from taint.errors import PurposeViolationError
from taint.labels import Labels
from taint.modes import Mode
from taint.policy import Flow
from taint.telemetry import attributes as names
from taint.version import __version__

__all__ = ["emit_violation"]

MAX_LINKS = 128
"""The SDK's own default limit of links on a span (OTEL_SPAN_LINK_COUNT_LIMIT)."""

_tracer = trace.get_tracer("taint", __version__)


def _links(labels: Labels) -> Iterator[Link]:
    traces = sorted({label.trace for label in labels if label.trace is not None})
    for trace_id, span_id in traces[:MAX_LINKS]:
        context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
        yield Link(context, {names.LINK_KIND: names.LINK_COLLECTION})


def _attributes(flow: Flow) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue] = {
        names.VERDICT: flow.outcome.value,
        names.SINK_NAME: flow.sink,
        names.SINK_PURPOSE: flow.purpose,
        names.PURPOSES: sorted(flow.purposes),
        names.CATEGORIES: sorted(flow.labels.categories),
        names.SOURCES: sorted(flow.labels.sources),
        names.EVIDENCE: flow.evidence.value,
        names.PATH: flow.path,
        names.MODE: flow.mode.value,
        names.VALUE_COUNT: flow.count,
        names.SECURITY_RULE_NAME: flow.rule,
        names.ERROR_TYPE: PurposeViolationError.__name__,
    }
    if flow.call_site is not None:
        found[names.CODE_FUNCTION_NAME] = flow.call_site.function
        found[names.CODE_FILE_PATH] = flow.call_site.file
        found[names.CODE_LINE_NUMBER] = flow.call_site.line
    return found


def emit_violation(flow: Flow) -> None:
    """Emit a violation as a span below the current one.

    Its links lead to the spans in which the data was collected, in this process or another one, now
    or months ago. The status is ERROR where the sink was stopped, and unset in `report` mode.

    Args:
        flow: The violation; it holds no value, and neither does the span.
    """
    span = _tracer.start_span(names.SPAN_VIOLATION, kind=SpanKind.INTERNAL, links=list(_links(flow.labels)))
    if span.is_recording():
        span.set_attributes(_attributes(flow))
        if flow.mode is Mode.BLOCK:
            span.set_status(Status(StatusCode.ERROR, "stopped"))
    span.end()
