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

DELIBERATE = frozenset(
    {
        "test_auditing",
        "test_bad_input",
        "test_collected",
        "test_comparisons",
        "test_corpus",
        "test_declassify",
        "test_example_tailored_audiences",
        "test_known_values_flows",
        "test_policy_cases",
        "test_policy_commands",
        "test_policy_files",
        "test_policy_properties",
        "test_policy_redaction",
        "test_policy_rules",
        "test_psycopg",
        "test_purposes",
        "test_pytest_assertions",
        "test_rewriting_imports",
        "test_sinks",
        "test_spans",
        "test_sqlalchemy",
        "test_sqlite3",
        "test_telemetry",
        "test_telemetry_canary",
        "test_telemetry_harm",
        "test_telemetry_instrumentor",
        "test_zones",
    }
)
"""Modules that bring data to sinks of other purposes on purpose; with `--taint`, any other test fails that does."""

_exporter = InMemorySpanExporter()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which violations are what is tested: the whole suite runs under its own plugin, with `--taint`."""
    for item in items:
        if item.path.stem in DELIBERATE:
            item.add_marker(pytest.mark.taint(allow=["*"]))


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
