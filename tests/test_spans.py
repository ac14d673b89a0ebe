"""Violations as OpenTelemetry spans: what an observability team sees, and what it never sees."""

from __future__ import annotations

import hashlib
import logging

import pytest
from opentelemetry import trace
from opentelemetry.trace import StatusCode

import taint
from taint import guard
from taint.labels import Trace
from taint.telemetry import metrics
from taint.testing import record
from tests.conftest import Spans

PHONE = "+14155550100"


@taint.sink(purpose="advertising.audiences", name="ads.upload_audience")
def upload(rows: object) -> None:
    """Take anything."""


def _security(trace: Trace | None = None) -> str:
    return taint.label(
        PHONE,
        purpose="security.mfa",
        category="user.contact.phone_number",
        source="shop.enrol",
        subject="person-7",
        trace=trace,
    )


def test_violation_is_a_span_with_its_facts(spans: Spans) -> None:
    """The span names sink, purposes, category, source, evidence, path, rule, mode and the place in the code."""
    with pytest.raises(taint.PurposeViolationError):
        upload([{"phone": _security()}])
    (span,) = spans.violations
    found = dict(span.attributes or {})
    assert found.pop("code.file.path") == __file__
    assert found.pop("code.line.number")
    assert found.pop("code.function.name") == f"{__name__}.test_violation_is_a_span_with_its_facts"
    assert found == {
        "taint.verdict": "violation",
        "taint.sink.name": "ads.upload_audience",
        "taint.sink.purpose": "advertising.audiences",
        "taint.purposes": ("security.mfa",),
        "taint.categories": ("user.contact.phone_number",),
        "taint.sources": ("shop.enrol",),
        "taint.evidence": "label",
        "taint.path": "rows[0].phone",
        "taint.mode": "block",
        "taint.value.count": 1,
        "security_rule.name": "purpose-limitation",
        "error.type": "PurposeViolationError",
    }
    assert span.status.status_code is StatusCode.ERROR
    assert span.instrumentation_scope is not None
    assert (span.instrumentation_scope.name, span.instrumentation_scope.version) == ("taint", taint.__version__)


def test_safe_twin_makes_no_span(spans: Spans) -> None:
    """A flow that is allowed is not a violation to anybody who looks at spans."""
    upload([{"phone": taint.label(PHONE, purpose="advertising")}, {"phone": PHONE}])
    assert not spans.violations


def test_violation_is_linked_to_the_span_of_its_collection(spans: Spans) -> None:
    """The violation stands in the trace of the job, with a link into the trace of the request that collected."""
    tracer = trace.get_tracer("test")
    with tracer.start_as_current_span("POST /enrol") as collection:
        phone = _security()
    with tracer.start_as_current_span("ads job") as job, pytest.raises(taint.PurposeViolationError):
        upload([phone])
    (span,) = spans.violations
    assert span.parent is not None
    assert span.parent.span_id == job.get_span_context().span_id
    (link,) = span.links
    assert link.context.span_id == collection.get_span_context().span_id
    assert link.context.trace_id == collection.get_span_context().trace_id
    assert dict(link.attributes or {}) == {"taint.link.kind": "taint.collection"}


def test_link_reaches_a_span_of_another_process(spans: Spans) -> None:
    """A traceparent that was stored with the value is enough."""
    stored = str(Trace(trace_id=0xABC, span_id=0xDEF))
    with pytest.raises(taint.PurposeViolationError):
        upload([_security(Trace.parse(stored))])
    ((link,),) = [span.links for span in spans.violations]
    assert (link.context.trace_id, link.context.span_id, link.context.is_remote) == (0xABC, 0xDEF, True)


def test_links_are_bounded(spans: Spans) -> None:
    """A thousand collections in one violation are at most as many links as the SDK keeps."""
    rows = [_security(Trace(trace_id=7, span_id=number)) for number in range(1, 1001)]
    with record(mode="report"):
        upload(rows)
    (span,) = spans.violations
    assert len(span.links) == 128
    assert dict(span.attributes or {})["taint.value.count"] == 1000


def test_report_mode_leaves_the_status_unset(spans: Spans) -> None:
    """Nothing failed, so that nothing is in error."""
    with record(mode="report"):
        upload(_security())
    (span,) = spans.violations
    assert span.status.status_code is StatusCode.UNSET


def test_no_value_is_in_a_span(spans: Spans) -> None:
    """Neither the value, its digest, its subject nor a key that holds it is in anything that is emitted."""
    phone = _security()
    with record(mode="report") as seen, trace.get_tracer("test").start_as_current_span("job"):
        upload({phone: [phone, {phone: phone}], "+1 (415) 555-0100": phone})
        with taint.zone("advertising.audiences"):
            assert phone == PHONE
    everything = "".join(span.to_json() for span in spans.all) + repr(seen) + "".join(f.message for f in seen.flows)
    assert len(spans.violations) > 1
    for secret in (PHONE, PHONE[1:], "555-0100", hashlib.sha256(PHONE.encode()).hexdigest(), "person-7"):
        assert secret not in everything.replace(repr("person-7"), "")


def test_failing_telemetry_neither_stops_nor_lets_through(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """When emitting fails, the program goes on in report mode, the sink stays shut in block mode, once said."""

    def fail(flow: object, *, suppressed: bool) -> None:
        raise RuntimeError(PHONE)

    monkeypatch.setattr(metrics, "count_flow", fail)
    monkeypatch.setattr(guard, "_reported", set())
    with caplog.at_level(logging.ERROR, "taint"), record(mode="report") as seen:
        upload(_security())
        upload(_security())
    assert len(seen.violations) == 2
    assert len(caplog.records) == 1
    assert "RuntimeError" in caplog.text
    assert PHONE not in caplog.text
    with pytest.raises(taint.PurposeViolationError):
        upload(_security())
