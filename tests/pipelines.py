"""An application's OpenTelemetry pipeline, for tests of telemetry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, Metric, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from taint import telemetry


class Pipeline:
    """An application's providers, and what has arrived there."""

    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        self._logs: Any = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # Its `__init__` has no types.
        self._reader = InMemoryMetricReader()
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._spans))
        self.logger_provider = LoggerProvider()
        self.logger_provider.add_log_record_processor(SimpleLogRecordProcessor(self._logs))
        self.meter_provider = MeterProvider([self._reader])

    @property
    def spans(self) -> list[ReadableSpan]:
        """The violations' spans."""
        telemetry.flush()
        return [span for span in self._spans.get_finished_spans() if span.name == "taint.violation"]

    @property
    def events(self) -> list[ReadableLogRecord]:
        """The log events."""
        telemetry.flush()
        return list(self._logs.get_finished_logs())

    def metrics(self) -> list[Metric]:
        """Give all metrics."""
        data = self._reader.get_metrics_data()
        return [
            metric
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]

    def metric(self, name: str) -> dict[tuple[tuple[str, Any], ...], Any]:
        """Give a metric's points by their attributes."""
        points: list[NumberDataPoint | HistogramDataPoint | Any] = [
            point for metric in self.metrics() if metric.name == name for point in metric.data.data_points
        ]
        return {tuple(sorted((point.attributes or {}).items())): getattr(point, "value", point) for point in points}

    def total(self, name: str) -> int:
        """Give a counter's sum over all attributes."""
        return sum(self.metric(name).values())


@pytest.fixture
def pipeline() -> Iterator[Pipeline]:
    """Telemetry goes to providers of the test's own; every violation is told by itself."""
    made = Pipeline()
    telemetry.set_up(
        tracer_provider=made.tracer_provider,
        meter_provider=made.meter_provider,
        logger_provider=made.logger_provider,
        repeat_seconds=0,
    )
    telemetry.reset()
    yield made
    telemetry.set_up()
