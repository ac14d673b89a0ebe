"""Traces of this example's processes: each writes its spans to a file of its own, one JSON object a line.

Where `OTEL_EXPORTER_OTLP_ENDPOINT` is set, they also go to the collector or trace viewer that listens there.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult

from examples.tailored_audiences.errors import BadInputError
from taint.telemetry import flush

OTLP_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


class JsonLinesExporter(SpanExporter):
    """Append every span to a file as soon as it ends, whichever thread it ends on."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write the spans and hand them to the operating system."""
        with self._lock:
            self._file.writelines(span.to_json(indent=None) + "\n" for span in spans)
            self._file.flush()
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Close the file."""
        self._file.close()


def _otlp_exporter() -> SpanExporter:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415  # Optional.
    except ImportError as error:
        raise BadInputError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but the exporter is not installed. Install "
            "opentelemetry-exporter-otlp-proto-http, or unset it."
        ) from error
    return OTLPSpanExporter()


@contextmanager
def tracing(service_name: str, spans: Path) -> Iterator[TracerProvider]:
    """Make OpenTelemetry write this process's spans to a file.

    Args:
        service_name: What the process is called in its spans.
        spans: The file; spans are appended.

    Yields:
        The tracer provider, which is also the process's default.

    Raises:
        BadInputError: If the file cannot be written, or spans are to be sent and the exporter is missing.
    """
    try:
        exporter = JsonLinesExporter(spans)
    except OSError as error:
        raise BadInputError(
            f"spans cannot be written to {str(spans)!r}: {error.strerror}. Give --spans a file in a folder that may be "
            "written."
        ) from error
    provider = TracerProvider(resource=Resource.create({"service.name": service_name}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    if os.environ.get(OTLP_ENDPOINT):
        provider.add_span_processor(BatchSpanProcessor(_otlp_exporter()))
    trace.set_tracer_provider(provider)
    try:
        yield provider
    finally:
        flush(timeout_seconds=10)  # On a busy machine violations may still be on their way to the provider.
        provider.shutdown()
