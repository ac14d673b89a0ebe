"""Signals: what observability sees of violations, gaps, declassifications and reloads."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry._logs import Logger, LoggerProvider, LogRecord, SeverityNumber
from opentelemetry.sdk.trace import ReadableSpan

import taint
from taint import telemetry
from taint.labels import Trace
from taint.policy import CallSite, Flow, Outcome, Suppression
from taint.telemetry.metrics import MAX_NAMES
from taint.testing import record
from tests.pipelines import Pipeline, pipeline

__all__ = ["pipeline"]

PHONE = "+14155550100"


@taint.sink(purpose="advertising.audiences", name="ads.upload")
def upload(rows: object, _campaign: object = None, _dry_run: object = None) -> None:
    """Take anything."""


def phone(**more: Any) -> str:
    """Give a labelled phone number."""
    return taint.label(PHONE, purpose="security.mfa", source="shop.enrol", **more)


def a_flow(**changes: Any) -> Flow:
    """Give the record of one violation, changed."""
    flow = Flow(
        outcome=Outcome.VIOLATION,
        sink="ads.upload",
        purpose="advertising.audiences",
        labels=taint.labels_of(phone()),
        evidence=taint.Evidence.LABEL,
        path="rows",
        rule="purpose-limitation",
        mode=taint.Mode.REPORT,
        call_site=CallSite("shop.job", "shop.py", 7),
    )
    return replace(flow, **changes)


def a_suppressed_flow() -> Flow:
    """Give the record of a suppressed violation."""
    return replace(
        a_flow(),
        suppressed=Suppression("purpose-limitation", reason="known", owner="ads-team", expires=dt.date(2999, 1, 1)),
    )


def test_violation_is_a_log_event_with_the_spans_fields(pipeline: Pipeline) -> None:
    """The event has the name, the attributes and the trace of the violation, and the severity of what was done."""
    with (
        pipeline.tracer_provider.get_tracer("test").start_as_current_span("job") as job,
        pytest.raises(taint.PurposeViolationError),
    ):
        upload([{"phone": phone()}])
    ((span,), (event,)) = pipeline.spans, pipeline.events
    said = event.log_record
    assert said.event_name == "taint.violation"
    assert dict(said.attributes or {}) == dict(span.attributes or {})
    assert dict(said.attributes or {})["taint.path"] == "rows[0].phone"
    assert (said.trace_id, said.span_id) == (job.get_span_context().trace_id, job.get_span_context().span_id)
    assert said.severity_number is SeverityNumber.ERROR
    assert said.body is None
    assert event.instrumentation_scope is not None
    assert event.instrumentation_scope.name == "taint"
    assert str(event.instrumentation_scope.schema_url).endswith(taint.__version__)


def test_safe_twin_is_told_as_a_check_only(pipeline: Pipeline) -> None:
    """What is allowed is one check in the numbers and nothing else."""
    upload([{"phone": taint.label(PHONE, purpose="advertising")}, PHONE])
    assert pipeline.spans == []
    assert pipeline.events == []
    assert list(pipeline.metric("taint.checks").values()) == [1]
    assert pipeline.metric("taint.violations") == {}


@pytest.mark.parametrize(("mode", "severity"), [("report", SeverityNumber.WARN), ("block", SeverityNumber.ERROR)])
def test_severity_says_whether_the_sink_was_stopped(pipeline: Pipeline, mode: str, severity: SeverityNumber) -> None:
    """A stopped sink is an error, one that went on a warning."""
    telemetry.emit(a_flow(mode=taint.Mode(mode)))
    assert [event.log_record.severity_number for event in pipeline.events] == [severity]


def test_users_without_a_logger_provider_get_a_span_event(pipeline: Pipeline) -> None:
    """The span in which it happened says so; with a logger provider it does not, for that would be twice."""
    tracer = pipeline.tracer_provider.get_tracer("test")
    with record(mode="report"), tracer.start_as_current_span("with logs") as told:
        upload(phone())
    telemetry.set_up(tracer_provider=pipeline.tracer_provider, repeat_seconds=0)
    with record(mode="report"), tracer.start_as_current_span("without logs") as untold:
        upload(phone())
    assert isinstance(told, ReadableSpan)
    assert isinstance(untold, ReadableSpan)
    assert [event.name for event in told.events] == []
    (event,) = untold.events
    assert event.name == "taint.violation"
    assert dict(event.attributes or {}) == dict(pipeline.spans[1].attributes or {})


class OldLogger(Logger):
    """A logger as SDKs had it that take a record only."""

    def __init__(self) -> None:
        super().__init__("old")
        self.records: list[LogRecord] = []

    def emit(self, record: LogRecord) -> None:  # type: ignore[override]  # The signature before 1.37.
        """Keep it."""
        self.records.append(record)

    def enabled(self, **_: Any) -> bool:
        """Say yes."""
        return True


class OldProvider(LoggerProvider):
    """Gives that logger."""

    def __init__(self) -> None:
        self.logger = OldLogger()

    def get_logger(self, *_: Any, **__: Any) -> Logger:
        """Give it."""
        return self.logger


def test_older_loggers_get_a_record(pipeline: Pipeline) -> None:
    """An SDK whose `emit` takes a record gets one, with the event's name where it used to stand."""
    provider = OldProvider()
    telemetry.set_up(tracer_provider=pipeline.tracer_provider, logger_provider=provider, repeat_seconds=0)
    telemetry.emit(a_flow())
    telemetry.flush()
    (said,) = provider.logger.records
    attributes = dict(said.attributes or {})
    assert attributes.pop("event.name") == "taint.violation"
    assert attributes == dict(pipeline.spans[0].attributes or {})
    assert said.severity_number is SeverityNumber.WARN


@pytest.mark.parametrize(
    ("tell", "event", "severity", "expected"),
    [
        pytest.param(
            lambda: telemetry.emit(a_flow(outcome=Outcome.GAP)),
            "taint.gap",
            SeverityNumber.WARN,
            {"taint.verdict": "gap", "taint.sink.name": "ads.upload", "taint.sources": ("shop.enrol",)},
            id="gap",
        ),
        pytest.param(
            lambda: telemetry.emit(a_suppressed_flow()),
            "taint.suppressed_violation",
            SeverityNumber.INFO,
            {"taint.sink.name": "ads.upload", "security_rule.name": "purpose-limitation"},
            id="suppressed",
        ),
        pytest.param(
            lambda: telemetry.declassified(
                purposes=["security.mfa"], sources=["shop.enrol"], to=["ads", "a"], reason="opted in", approved_by="118"
            ),
            "taint.declassification",
            SeverityNumber.INFO,
            {
                "taint.purposes": ("security.mfa",),
                "taint.sources": ("shop.enrol",),
                "taint.declassification.purposes": ("a", "ads"),
                "taint.declassification.reason": "opted in",
                "taint.declassification.approver": "118",
                "taint.value.count": 1,
            },
            id="declassification",
        ),
        pytest.param(
            lambda: telemetry.policy_reloaded("taint.toml", is_accepted=True),
            "taint.policy_reload",
            SeverityNumber.INFO,
            {"taint.policy.name": "taint.toml", "taint.policy.accepted": True},
            id="reload",
        ),
        pytest.param(
            lambda: telemetry.policy_reloaded("taint.toml", is_accepted=False),
            "taint.policy_reload",
            SeverityNumber.ERROR,
            {"taint.policy.name": "taint.toml", "taint.policy.accepted": False},
            id="refused reload",
        ),
    ],
)
def test_other_events(
    pipeline: Pipeline, tell: Callable[[], None], event: str, severity: SeverityNumber, expected: dict[str, object]
) -> None:
    """Gaps, suppressed violations, declassifications and reloads have events of their own, and no span."""
    tell()
    said = pipeline.events[-1].log_record
    assert (said.event_name, said.severity_number) == (event, severity)
    assert dict(said.attributes or {}).items() >= expected.items()
    assert pipeline.spans == []


@pytest.mark.parametrize(
    ("count", "metric", "expected"),
    [
        (
            lambda: telemetry.emit(a_flow()),
            "taint.violations",
            {
                "taint.sink.name": "ads.upload",
                "taint.sink.purpose": "advertising.audiences",
                "security_rule.name": "purpose-limitation",
                "taint.evidence": "label",
                "taint.mode": "report",
                "taint.suppressed": "false",
            },
        ),
        (
            lambda: telemetry.emit(a_flow(outcome=Outcome.GAP)),
            "taint.gaps",
            {
                "taint.sink.name": "ads.upload",
                "taint.sink.purpose": "advertising.audiences",
                "security_rule.name": "purpose-limitation",
            },
        ),
        (
            lambda: telemetry.declassified(purposes=(), sources=(), to=["ads"], reason="r", approved_by="a"),
            "taint.declassifications",
            {"taint.sink.purpose": "ads"},
        ),
        (lambda: telemetry.count_loss("plain"), "taint.lost_labels", {"taint.loss.operation": "plain"}),
    ],
    ids=["violations", "gaps", "declassifications", "lost labels"],
)
def test_counters(pipeline: Pipeline, count: Callable[[], None], metric: str, expected: dict[str, str]) -> None:
    """Each counter counts one, under the attributes that are documented."""
    count()
    assert pipeline.metric(metric) == {tuple(sorted(expected.items())): 1}


def test_suppressed_violations_are_counted_apart(pipeline: Pipeline) -> None:
    """An alert on violations can leave the suppressed ones out."""
    telemetry.emit(a_suppressed_flow())
    ((attributes, count),) = pipeline.metric("taint.violations").items()
    assert (dict(attributes)["taint.suppressed"], count) == ("true", 1)


def test_checks_are_counted_by_verdict(pipeline: Pipeline) -> None:
    """Allowed checks and violations of one sink are two numbers."""
    with record(mode="report"):
        upload(PHONE)
        upload(phone())
        upload([phone(), phone()])
        taint.check(phone(), purpose="security.mfa", sink="sms")
    found = {
        (dict(key)["taint.sink.name"], dict(key)["taint.verdict"]): count
        for key, count in pipeline.metric("taint.checks").items()
    }
    assert found == {("ads.upload", "allowed"): 1, ("ads.upload", "violation"): 2, ("sms", "allowed"): 1}


def test_durations_are_in_seconds(pipeline: Pipeline) -> None:
    """The histogram holds a sample of the checks, in boundaries of a few microseconds and up."""
    for _ in range(64):
        upload(PHONE)
    ((attributes, point),) = pipeline.metric("taint.check.duration").items()
    assert dict(attributes) == {"taint.verdict": "allowed"}
    assert point.count == 4
    assert 0 < point.sum < 1
    assert point.explicit_bounds[0] == pytest.approx(1e-6)


def test_known_values_are_a_gauge(pipeline: Pipeline) -> None:
    """The gauge asks the index when metrics are collected, and is silent where there is no index."""
    assert pipeline.metric("taint.known_values") == {}
    telemetry.observe_known_values(lambda: 42)
    assert list(pipeline.metric("taint.known_values").values()) == [42]
    telemetry.observe_known_values(None)


def test_cardinality_is_bounded(pipeline: Pipeline) -> None:
    """A hundred thousand distinct sinks are a bounded number of series, and the sum stays right."""
    flow = a_flow()
    telemetry.set_up(
        tracer_provider=pipeline.tracer_provider,
        meter_provider=pipeline.meter_provider,
        logger_provider=pipeline.logger_provider,
    )
    for number in range(100_000):
        telemetry.count_check(f"sink.{number}", "ads", Outcome.ALLOWED, 1e-6)
        telemetry.emit(replace(flow, sink=f"sink.{number}", rule=f"rule.{number}"))
    for metric in ("taint.checks", "taint.violations"):
        points = pipeline.metric(metric)
        assert len(points) == MAX_NAMES + 1
        assert sum(points.values()) == 100_000
        others = [count for key, count in points.items() if dict(key)["taint.sink.name"] == "_OTHER"]
        assert others == [100_000 - MAX_NAMES]
    assert len(pipeline.metric("taint.check.duration")) == 1
    assert len(pipeline.spans) == MAX_NAMES + 1
    last = dict(pipeline.spans[-1].attributes or {})
    assert last["taint.repeat.count"] == 100_000 - MAX_NAMES
    assert (last["taint.sink.name"], last["taint.sources"]) == ("_OTHER", ("_OTHER",))
    assert "code.line.number" not in last


def test_names_are_exact_text(pipeline: Pipeline) -> None:
    """A subclass of `str` never reaches OpenTelemetry, which would keep the object and its labels."""

    class Name(str):
        __slots__ = ()

    telemetry.emit(a_flow(sink=Name("ads.upload"), path=Name("rows[0]")))
    (span,) = pipeline.spans
    for value in (span.attributes or {}).values():
        for one in value if isinstance(value, tuple) else (value,):
            assert type(one) in {str, int}
    assert dict(span.attributes or {})["taint.sink.name"] == "ads.upload"


def test_labelled_names_are_hidden(pipeline: Pipeline) -> None:
    """A name that was built from personal data, a reason that quotes it: neither leaves."""
    telemetry.emit(a_flow(sink="crm." + phone()))
    telemetry.declassified(purposes=(), sources=(), to=["ads"], reason="gave " + phone(), approved_by=phone())
    telemetry.count_loss(phone())
    told = [span.to_json() for span in pipeline.spans] + [event.to_json() for event in pipeline.events]
    assert len(told) == 3
    assert PHONE not in "".join(told)
    assert "(labelled text)" in told[0]
    assert [dict(key) for key in pipeline.metric("taint.lost_labels")] == [{"taint.loss.operation": "(labelled text)"}]


def test_no_sdk_means_no_work() -> None:
    """Without an SDK an emission ends quietly, in a process of its own providers' absence."""
    telemetry.set_up(tracer_provider=trace.NoOpTracerProvider(), repeat_seconds=0)
    try:
        telemetry.emit(a_flow(labels=taint.labels_of(phone(trace=Trace(1, 2)))))
        assert telemetry.flush()
    finally:
        telemetry.set_up()


@pytest.mark.parametrize("seconds", [-1, float("nan"), "soon"])
def test_interval_must_be_one(seconds: Any) -> None:
    """An interval that is none is refused with what is allowed."""
    with pytest.raises(taint.ConfigurationError, match=r"0 or more\. Leave it out"):
        telemetry.set_up(repeat_seconds=seconds)
