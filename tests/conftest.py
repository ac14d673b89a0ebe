"""Fixtures that every test may use, and the isolation that every test gets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import taint
from taint import modes, telemetry
from taint.modes import Mode, set_mode
from taint.policy import current_consent_store, current_policy, set_consent_store, set_policy

_exporter = InMemorySpanExporter()


@pytest.fixture(scope="session", autouse=True)
def _provider() -> None:
    """OpenTelemetry takes one provider for the life of a process."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(_exporter))
    trace.set_tracer_provider(provider)


@pytest.fixture(autouse=True)
def _isolation() -> Iterator[None]:
    """Each test starts in mode `block` with nothing wrapped, and leaves it so."""
    modes._is_explicit = False
    before, policy, store = set_mode(Mode.BLOCK), current_policy(), current_consent_store()
    telemetry.reset()
    telemetry.observe_known_values(None)
    yield
    taint.uninstall()
    set_policy(policy)
    set_consent_store(store)
    set_mode(before)


class Spans:
    """The spans that have ended since the test began."""

    @property
    def all(self) -> tuple[ReadableSpan, ...]:
        """Every span, in the order of their ends."""
        return _exporter.get_finished_spans()

    @property
    def violations(self) -> list[ReadableSpan]:
        """The spans that stand for violations."""
        return [span for span in self.all if span.name == "taint.violation"]


@pytest.fixture
def spans() -> Spans:
    """What an observability team would see."""
    _exporter.clear()
    return Spans()
