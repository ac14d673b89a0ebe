"""No leak: canaries planted wherever a value can stand are in no byte that leaves, nor is any digest of them."""

from __future__ import annotations

import base64
import hashlib
import logging
import os
import traceback
import urllib.parse
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import taint
from taint import telemetry
from taint.cli import main
from taint.telemetry.audit import AuditFile, segments
from taint.testing import record
from taint.testing.coverage import FlowCoverage
from taint.testing.findings import Baseline, explain, finding_of
from taint.testing.reports import KINDS, parse_report
from tests.otlp import receiving
from tests.pipelines import Pipeline, pipeline

__all__ = ["pipeline"]

CHECKOUT = Path(__file__).resolve().parent.parent
pytest_plugins = ["pytester"]

CANARIES = {
    "phone": "+12025550143",
    "email": "quetzalcoatl.merriweather@example.com",
    "name": "Zephyrine Quillfeather",
    "identifier": "quillfeather_zephyrine",
    "number": "7358203941126",
}


def traces_of(text: str) -> Iterator[bytes]:
    """Give every form in which a value could be found again: itself, encoded, and its digests."""
    for form in {text, text.lower(), "".join(filter(str.isdigit, text)), text.partition("@")[0]}:
        if len(form) < 6:
            continue
        plain = form.encode()
        yield plain
        yield form.encode("utf-16-le")
        yield urllib.parse.quote(form, safe="").encode()
        yield base64.b64encode(plain).rstrip(b"=")[:-1]
        for algorithm in ("md5", "sha1", "sha256", "sha512"):
            digest = hashlib.new(algorithm, plain, usedforsecurity=False).digest()
            yield digest
            yield digest.hex().encode()
            yield digest.hex().upper().encode()
            yield base64.b64encode(digest)


FORBIDDEN = {trace: name for name, text in CANARIES.items() for trace in traces_of(text)}


def found_in(said: bytes) -> set[str]:
    """Say which canaries are in what was said."""
    return {name for trace, name in FORBIDDEN.items() if trace in said}


@dataclass
class Customer:
    """Somebody."""

    phone: str
    email: str


@taint.sink(purpose="advertising.audiences", name="ads.upload")
def upload(*rows: object, **more: object) -> None:
    """Take anything."""


@taint.sink(purpose="advertising.audiences", name="ads.broken")
def broken(rows: object) -> None:
    """Fail with what it received, as careless code does."""
    raise LookupError("no such row") from None


class Masked(str):
    """A user's own text."""

    __slots__ = ()


def label(name: str, **more: Any) -> Any:
    """Label a canary; its own number is the subject."""
    return taint.label(
        CANARIES[name], purpose="security.mfa", category="user.contact", subject=CANARIES["number"], **more
    )


def plant() -> None:
    """Bring every canary to sinks and zones in every position a value can have."""
    phone, email, name, identifier = (label(key) for key in ("phone", "email", "name", "identifier"))
    raw = taint.label(CANARIES["phone"].encode(), purpose="security.mfa")
    digest = hashlib.sha256(phone.encode()).hexdigest()
    positions: list[Any] = [
        *(phone, email, raw, f"{phone}", "tel:" + phone, [phone], (email,), {name}, deque([phone])),
        {"phone": phone},
        {phone: email, identifier: 1},
        {CANARIES["name"]: identifier, CANARIES["email"]: email},
        {hashlib.md5(CANARIES["phone"].encode(), usedforsecurity=False).hexdigest(): phone},
        {digest: phone, hashlib.sha1(CANARIES["email"].encode(), usedforsecurity=False).hexdigest(): phone},
        *(Customer(phone, email), [[{"a": [Customer(phone, email)]}]], taint.label(Masked(name), purpose="security")),
        *((one for one in [phone]), {"deep": {"deeper": (name, [raw])}}),
    ]
    for one in positions:
        with suppress(taint.PurposeViolationError, TypeError):
            upload(one)
        with suppress(taint.PurposeViolationError, TypeError):
            upload(key=one)
        with suppress(taint.PurposeViolationError, LookupError):
            broken(one)
        taint.check(one, purpose="advertising", sink="crm." + phone)
    with suppress(taint.PurposeViolationError), taint.zone("advertising", name="zone"):
        {phone: 1}.get(phone)
    for source in (phone, "by " + email):
        with suppress(taint.PurposeViolationError):
            upload(taint.label(CANARIES["email"], purpose="security", source=source))
    telemetry.declassified(
        purposes=["security.mfa"], sources=[name], to=["ads"], reason="for " + name, approved_by=email
    )
    telemetry.policy_reloaded(identifier, is_accepted=False)
    telemetry.count_loss(phone)
    telemetry.flush()


@pytest.fixture
def bodies() -> list[tuple[str, bytes]]:
    """What a real OTLP receiver is sent while canaries are planted, in both modes."""
    with receiving() as (address, kept):
        url = f"{address}/v1/"
        spans, logs = TracerProvider(), LoggerProvider()
        spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(url + "traces")))
        logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(url + "logs")))
        metrics = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter(url + "metrics"))])
        telemetry.set_up(tracer_provider=spans, logger_provider=logs, meter_provider=metrics)
        try:
            for mode in ("report", "block"):
                with record(mode=mode), spans.get_tracer("test").start_as_current_span("job"):
                    plant()
        finally:
            telemetry.set_up()
            for provider in (spans, logs, metrics):
                provider.shutdown()  # Exports what is left.
    return kept


def test_no_canary_is_in_otlp(bodies: list[tuple[str, bytes]]) -> None:
    """Every byte of OTLP protobuf that reaches a receiver is searched; it reads the same violations from all."""
    assert {path for path, _ in bodies} == {"/v1/traces", "/v1/logs", "/v1/metrics"}
    names: Counter[str] = Counter()
    for path, body in bodies:
        assert found_in(body) == set(), path
        if path == "/v1/traces":
            traces = ExportTraceServiceRequest.FromString(body)
            names.update(s.name for r in traces.resource_spans for c in r.scope_spans for s in c.spans)
        elif path == "/v1/logs":
            logs = ExportLogsServiceRequest.FromString(body)
            names.update(e.event_name for r in logs.resource_logs for c in r.scope_logs for e in c.log_records)
        else:
            metrics = ExportMetricsServiceRequest.FromString(body)
            names.update(m.name for r in metrics.resource_metrics for c in r.scope_metrics for m in c.metrics)
    assert names["taint.violation"] > 50
    assert names["taint.violation"] % 2 == 0  # One span and one event each.
    assert names["taint.declassification"] == names["taint.policy_reload"] == 2
    assert names.keys() >= {"taint.violations", "taint.checks", "taint.lost_labels"}


@pytest.mark.parametrize("mode", ["report", "block"])
def test_no_canary_is_in_audit_or_page(tmp_path: Path, mode: str) -> None:
    """Every byte of the audit file, and of the page that is made of it, is searched."""
    audit, page = tmp_path / "audit.jsonl", tmp_path / "report.html"
    taint.configure(audit=audit)
    try:
        with record(mode=mode):
            plant()
    finally:
        taint.configure(audit=False)
    assert main(["report", str(audit), "-o", str(page)]) == 0
    assert audit.read_bytes().count(b"violation") > 25
    for file in (audit, page):
        assert found_in(file.read_bytes()) == set(), file


@pytest.mark.parametrize("mode", ["report", "block"])
def test_no_canary_is_in_records_errors_or_logs(
    pipeline: Pipeline, mode: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Spans and events as JSON lines, numbers, records and their `repr`, messages, tracebacks, log lines, output."""
    said: list[str] = []
    with caplog.at_level(logging.DEBUG), record(mode=mode) as seen:
        plant()
    for flow in seen.flows:
        error = taint.PurposeViolationError(flow)
        said += [repr(flow), str(flow), flow.message, repr(error), str(error), *traceback.format_exception(error)]
    said += [repr(seen), caplog.text, *capfd.readouterr()]
    said += [span.to_json() for span in pipeline.spans] + [event.to_json() for event in pipeline.events]
    said += [repr(pipeline.metric(name)) for name in ("taint.checks", "taint.violations", "taint.lost_labels")]
    assert len(seen.violations) > 50
    assert len(pipeline.spans) > 50
    assert found_in("\n".join(said).encode()) == set()


def test_no_canary_is_in_the_audit_trail_or_in_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every file of the audit trail, what its commands say, and every report of the pytest plugin are searched."""
    trail = tmp_path / "audit.jsonl"
    taint.configure(audit=AuditFile(trail, max_bytes=50_000), known_values=True)
    try:
        with record(mode="report") as seen:
            plant()
            upload(CANARIES["email"], hashlib.sha256(CANARIES["phone"].encode()).hexdigest())
    finally:
        taint.configure(audit=False, known_values=False)
    (tmp_path / "deny.toml").write_text('mode = "report"\n')
    assert main(["audit", "verify", str(trail)]) == 0
    assert main(["replay", str(trail), "--policy", str(tmp_path / "deny.toml")]) in {0, 1}
    found = [finding_of(flow, "test_it", tmp_path) for flow in seen.violations]
    assert {one.evidence for one in found} >= {"label", "comparison", "content", "digest"}
    for kind in KINDS:
        parse_report(f"{kind}:report.{kind}", tmp_path).write(found, set())
    Baseline(tmp_path / "known.json").write(found, {"test_it"})
    coverage = FlowCoverage()
    for flow in seen.flows:
        coverage.add(flow)
    said = [explain(found, tmp_path), *coverage.lines(), *capsys.readouterr()]
    files = [path for path in tmp_path.iterdir() if path.is_file()]
    assert len(segments(trail)) > 1
    assert len(files) > 2 + len(KINDS)
    assert found_in("\n".join(said).encode()) == set()
    assert {path.name: found_in(path.read_bytes()) for path in files} == {path.name: set() for path in files}


@pytest.mark.parametrize("arguments", [[], ["-n1"]])
def test_no_canary_is_in_what_pytest_shows(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    """A test plants them; what pytest prints and writes of it, with --taint and every report, is searched."""
    if arguments:
        pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    pytester.makepyfile(
        "from tests.test_telemetry_canary import CANARIES, label, plant, upload\n"
        "def test_swallowed(): plant()\n"
        "def test_raised(): upload({'row': [label('phone')]})\n"
    )
    is_installed = any(one.value == "pytest_taint" for one in metadata.entry_points(group="pytest11"))
    plugin = [] if is_installed else ["-p", "pytest_taint"]
    quiet = [flag for name in ("hypothesispytest", "faker", "asyncio") for flag in ("-p", f"no:{name}")]
    reports = [f"--taint-report={kind}:report.{kind}" for kind in KINDS]
    others = ["--taint-cov", "--taint-baseline=known.json", "--junitxml=pytest.xml", "-rA", "--tb=long", "-vv"]
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT), prepend=os.pathsep)
    result = pytester.runpytest_subprocess(*plugin, *quiet, "--taint", *reports, *others, *arguments, timeout=120)
    result.assert_outcomes(failed=2)
    assert found_in((result.stdout.str() + result.stderr.str()).encode()) == set()
    files = [*pytester.path.rglob("report.*"), pytester.path / "pytest.xml"]
    assert len(files) == len(KINDS) + 1
    assert {path.name: found_in(path.read_bytes()) for path in files} == {path.name: set() for path in files}


def test_search_finds_what_is_there() -> None:
    """The search itself works: a canary or its digest anywhere in the bytes is found."""
    assert found_in(b"\x0a\x1b" + CANARIES["phone"].encode()) == {"phone"}
    assert found_in(hashlib.sha256(CANARIES["email"].encode()).digest() + b"x") == {"email"}
    assert found_in(b"nothing of anybody") == set()
