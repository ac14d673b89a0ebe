"""The application that the tests of Celery run: by a real worker in processes of its own, and by the tests."""

from __future__ import annotations

import os
from typing import Any

import celery
import httpx
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import taint
from taint import telemetry
from taint.testing import record

taint.install(integrations=["celery", "httpx"])
address = os.environ.get("TAINT_TEST_REDIS", "")
app = celery.Celery("tests", broker=address or "memory://", backend=address or "cache+memory://")
app.conf.update(
    broker_connection_retry_on_startup=True,
    result_accept_content=["json"],
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_hijack_root_logger=False,
)
exporter = InMemorySpanExporter()


def told(value: Any) -> list[list[str]]:
    """Say by text which labels a value carries."""
    return sorted(
        [*sorted(label.purposes), label.source or "", label.subject or ""] for label in taint.labels_of(value)
    )


@app.task
def look(phone: Any, **more: Any) -> dict[str, Any]:
    """Say what arrived."""
    return {"phone": told(phone), "type": type(phone).__name__, **{name: told(value) for name, value in more.items()}}


@app.task
def echo(value: Any) -> Any:
    """Give back what arrived."""
    return value


@app.task(bind=True, max_retries=2)
def retried(self: Any, phone: str) -> Any:
    """Say what arrived at the second attempt."""
    if self.request.retries == 0:
        raise self.retry(countdown=0)
    return told(phone)


@app.task
def leave_a_zone_open() -> int:
    """Enter a zone and never leave it, and say in which process."""
    taint.zone("advertising.audiences").__enter__()
    return os.getpid()


@app.task
def compare(phone: str) -> Any:
    """Compare a number, which is nobody's business outside of a zone; say what happened, and in which process."""
    try:
        return ["no match" if phone != "+1" else "match", os.getpid()]
    except taint.PurposeViolationError as error:
        return [error.violation.evidence, os.getpid()]


@app.task
def compare_in_zone(phone: str) -> Any:
    """Compare a number in a zone, as the one that was left open would see it."""
    with taint.zone("advertising.audiences"):
        return compare(phone)


@app.task
def upload(phone: str) -> Any:
    """Use a number for advertising; say which spans the violation is linked to."""
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
    exporter.clear()
    telemetry.reset()
    try:
        with taint.zone("advertising.audiences"):
            send(phone)
    except taint.PurposeViolationError as error:
        telemetry.flush()
        links = [link.context for span in exporter.get_finished_spans() for link in span.links]
        return [error.violation.evidence, [[f"{link.trace_id:x}", f"{link.span_id:x}"] for link in links]]
    return None


@taint.sink(purpose="advertising.audiences")
def send(_phone: str) -> None:
    """Use a number for advertising."""


@app.task
def post(phone: str, address: str) -> list[str]:
    """Send a number somewhere; say whether it left, and which sinks told of it."""
    with record() as seen, httpx.Client(trust_env=False) as client:
        try:
            client.post(address, json={"phone": phone}).raise_for_status()
        except taint.PurposeViolationError as error:
            return ["refused", error.violation.sink, error.violation.path]
    return ["sent", *(flow.sink for flow in seen.violations)]


@app.task
def die_once(phone: str, mark: str) -> Any:
    """Be killed in the middle of the first attempt; say in the second what arrived."""
    if not os.path.exists(mark):  # noqa: PTH110  # No carrier's own path.
        with open(mark, "w", encoding="ascii"):  # noqa: PTH123  # As above.
            os.kill(os.getpid(), 9)
    return told(phone)
