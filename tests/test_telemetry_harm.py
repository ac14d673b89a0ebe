"""No storm, no harm: loops, slow and failing exporters, exporters that are sinks themselves, forks and exits."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult

import taint
from taint import guard, telemetry
from taint.labels import Trace
from taint.telemetry import outlet
from taint.testing import record
from tests.pipelines import Pipeline, pipeline

__all__ = ["pipeline"]

CHECKOUT = Path(__file__).resolve().parent.parent
PHONE = "+14155550100"


@taint.sink(purpose="advertising.audiences", name="ads.upload")
def upload(rows: object) -> None:
    """Take anything."""


def phone(number: int = 0, source: str = "shop.enrol") -> str:
    """Give a labelled phone number that was collected in a span of its own."""
    return taint.label(PHONE, purpose="security.mfa", source=source, trace=Trace(7, number) if number else None)


@pytest.fixture
def folded(pipeline: Pipeline) -> Iterator[Pipeline]:
    """The same pipeline, where repeats are told as one after a minute, or when flushed."""
    telemetry.set_up(
        tracer_provider=pipeline.tracer_provider,
        meter_provider=pipeline.meter_provider,
        logger_provider=pipeline.logger_provider,
    )
    with record(mode="report"):
        yield pipeline


def repeats(spans: Sequence[ReadableSpan]) -> list[int]:
    """Say how many violations each span stands for."""
    return [int(str((span.attributes or {}).get("taint.repeat.count", 1))) for span in spans]


def test_loop_is_two_spans(folded: Pipeline) -> None:
    """The first violation of a loop is told at once, the rest as one span that counts them and links to each origin."""
    for number in range(1, 51):
        upload(phone(number))
    first, rest = folded.spans
    assert repeats([first, rest]) == [1, 49]
    assert [link.context.span_id for link in first.links] == [1]
    assert [link.context.span_id for link in rest.links] == list(range(2, 51))
    assert rest.start_time is not None
    assert rest.end_time is not None
    assert first.end_time is not None
    assert first.end_time <= rest.start_time < rest.end_time
    assert folded.total("taint.violations") == 50
    assert [event.log_record.event_name for event in folded.events] == ["taint.violation"] * 2


def test_interval_after_a_repeat_counts_on(folded: Pipeline) -> None:
    """A loop that goes on is one span an interval; when it pauses for one, the next is told at once again."""
    told = []
    for calls in (3, 2, 0, 1):
        for _ in range(calls):
            upload(phone())
        told.append(repeats(folded.spans))
    assert told == [[1, 2], [1, 2, 2], [1, 2, 2], [1, 2, 2, 1]]


def test_different_kinds_are_told_apart(folded: Pipeline) -> None:
    """Another source, sink or call site is not a repeat."""
    other: Callable[[str], None] = taint.sink(purpose="advertising.audiences", name="crm.export")(lambda _rows: None)
    for _ in range(2):
        upload(phone())
        upload(phone(source="shop.signup"))
        upload(phone())
        other(phone())
    assert repeats(folded.spans) == [1] * 8


def test_interval_ends_by_itself(pipeline: Pipeline) -> None:
    """Nobody has to flush: repeats are told when their interval is over."""
    telemetry.set_up(tracer_provider=pipeline.tracer_provider, repeat_seconds=0.05)
    with record(mode="report"):
        for _ in range(3):
            upload(phone())
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and len(pipeline._spans.get_finished_spans()) < 2:
        time.sleep(0.01)
    assert repeats(pipeline._spans.get_finished_spans()) == [1, 2]


class Exporter(SpanExporter):
    """An exporter that does something before it takes a span."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act
        self.names: list[str] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Act, then note the names."""
        self.act()
        self.names += [span.name for span in spans]
        return SpanExportResult.SUCCESS


def _use(exporter: Exporter, kind: Any = SimpleSpanProcessor, repeat_seconds: float = 0) -> TracerProvider:
    provider = TracerProvider()
    provider.add_span_processor(kind(exporter))
    telemetry.set_up(tracer_provider=provider, repeat_seconds=repeat_seconds)
    return provider


def _seconds_past_a_stuck_exporter() -> float:
    stuck = threading.Event()
    exporter = Exporter(lambda: stuck.wait(30))
    _use(exporter)
    with record(mode="report") as seen:
        begun = time.monotonic()
        for _ in range(100):
            upload(phone())
        took = time.monotonic() - begun
    assert (len(seen.violations), exporter.names) == (100, [])
    stuck.set()
    assert telemetry.flush(10)
    assert exporter.names == ["taint.violation"] * 100
    return took


@pytest.mark.usefixtures("pipeline")
def test_slow_exporter_does_not_hold_up_the_caller() -> None:
    """A hundred violations past an exporter that is stuck wait once, shortly; all are exported when it is free."""
    # A busy machine may need another try; a wait for each would take five seconds in all of them.
    assert any(_seconds_past_a_stuck_exporter() < outlet.WAIT_SECONDS + 1 for _ in range(3))


def test_what_waits_is_bounded_and_drops_are_counted(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does not grow behind an exporter that is stuck: what cannot wait is dropped, and the number is told."""
    monkeypatch.setattr(outlet, "MAX_WAITING", 10)
    stuck = threading.Event()
    exporter = Exporter(lambda: stuck.wait(30))
    _use(exporter)
    with record(mode="report"):
        for _ in range(100):
            upload(phone())
    stuck.set()
    telemetry.set_up(meter_provider=pipeline.meter_provider, repeat_seconds=0)
    dropped = pipeline.total("taint.dropped_signals")
    assert dropped in {89, 90}  # One that has begun no longer waits.
    assert len(exporter.names) == 100 - dropped
    assert pipeline.total("taint.violations") == 100


class FailingProcessor(SpanProcessor):
    """A span processor with a bug."""

    def on_end(self, span: ReadableSpan) -> None:
        """Fail, with a value in the message."""
        raise RuntimeError(PHONE)


@pytest.mark.usefixtures("pipeline")
@pytest.mark.parametrize("mode", ["block", "report"])
def test_failing_exporter_neither_breaks_nor_opens(
    mode: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The sink's caller sees what it would have seen; the failure is said once, without its message."""
    monkeypatch.setattr(guard, "_reported", set())
    provider = TracerProvider()
    provider.add_span_processor(FailingProcessor())
    telemetry.set_up(tracer_provider=provider, repeat_seconds=0)
    with record(mode=mode) as seen:
        for _ in range(3):
            if mode == "block":
                with pytest.raises(taint.PurposeViolationError):
                    upload(phone())
            else:
                upload(phone())
    telemetry.flush()
    assert len(seen.violations) == 3
    assert [one.levelname for one in caplog.records if one.name == "taint"] == ["ERROR"]
    assert PHONE not in caplog.text


@pytest.mark.usefixtures("pipeline")
@pytest.mark.parametrize("kind", [SimpleSpanProcessor, BatchSpanProcessor])
@pytest.mark.parametrize("repeat_seconds", [0, 60])
def test_exporter_that_is_a_sink_sets_off_nothing(kind: Any, repeat_seconds: float) -> None:
    """What an exporter sends through an instrumented sink is counted and checked, and never exported again."""
    exporter = Exporter(lambda: upload(phone()))
    provider = _use(exporter, kind, repeat_seconds)
    with record(mode="report") as seen:
        upload(phone())
        for _ in range(5):
            telemetry.flush()
            provider.force_flush()
    provider.shutdown()
    assert exporter.names == ["taint.violation"]
    assert len(seen.violations) == 2


def test_safe_twin_of_an_exporter_is_told(pipeline: Pipeline) -> None:
    """The same sink outside an exporter is told: only the key of suppressed instrumentation makes the difference."""
    with record(mode="report"):
        upload(phone())
        key = otel_context._SUPPRESS_INSTRUMENTATION_KEY
        token = otel_context.attach(otel_context.set_value(key, True))
        upload(phone())
        otel_context.detach(token)
    assert repeats(pipeline.spans) == [1]
    assert pipeline.total("taint.violations") == 2


def test_threads_lose_no_count(folded: Pipeline) -> None:
    """Violations in eight threads at once are all counted, in the metric and in what the spans stand for."""

    def work() -> None:
        for _ in range(200):
            upload(phone())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(repeats(folded.spans)) == folded.total("taint.violations") == 1600


def test_repeat_costs_little(folded: Pipeline) -> None:
    """Ten thousand violations a second stay under a tenth of a core: telling one of a known kind takes under 10 us."""
    with record(mode="report") as seen:
        upload(phone())
    (flow,) = seen.violations
    best = 1.0
    for _ in range(10):
        begun = time.thread_time()
        for _ in range(1000):
            telemetry.emit(flow)
        best = min(best, (time.thread_time() - begun) / 1000)
    assert best < 10e-6
    assert sum(repeats(folded.spans)) == 10_001


PROGRAM = """
import json, os, sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
import taint

class ToFile(SpanExporter):
    def export(self, spans):
        with open(sys.argv[1], "a") as file:
            for span in spans:
                count = span.attributes.get("taint.repeat.count", 1)
                print(json.dumps([os.getpid() == parent, count]), file=file)
        return SpanExportResult.SUCCESS

parent = os.getpid()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ToFile()))
trace.set_tracer_provider(provider)
taint.configure(mode="report")
upload = taint.sink(purpose="advertising")(lambda rows: None)
phone = taint.label("+14155550100", purpose="security.mfa")

def storm(times):
    for _ in range(times):
        upload(phone)

storm(5)
if sys.argv[2] == "fork":
    child = os.fork()
    storm(3)
    if child:
        os.waitpid(child, 0)
"""


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("exit", [[True, 1], [True, 4]]),
        ("fork", [[False, 1], [False, 2], [True, 1], [True, 7]]),
    ],
)
def test_repeats_are_told_at_exit_and_apart_after_a_fork(
    tmp_path: Path, way: str, expected: list[list[object]]
) -> None:
    """A process tells what it has counted when it ends; a forked one tells its own, and nothing of its parent's."""
    told = tmp_path / "told.jsonl"
    told.touch()
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PROGRAM, str(told), way],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=CHECKOUT,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(json.loads(line) for line in told.read_text().splitlines()) == expected


SERVER = """
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import taint

told, is_shut_down = Path(sys.argv[1]), sys.argv[2] == "True"

class Lines(SpanExporter):
    def export(self, spans):
        with told.open("a") as file:
            file.writelines(f"{span.attributes.get('taint.repeat.count', 1)}\\n" for span in spans)
        return SpanExportResult.SUCCESS

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(Lines()))
trace.set_tracer_provider(provider)
taint.configure(mode="report")

@taint.sink(purpose="advertising.audiences")
def upload(rows): pass

async def work(request):
    for _ in range(4):
        upload(taint.label("+14155550100", purpose="security.mfa"))
    return PlainTextResponse("")

@asynccontextmanager
async def lifespan(app):
    yield
    if is_shut_down:
        taint.telemetry.flush()
        trace.get_tracer_provider().shutdown()

config = uvicorn.Config(Starlette(routes=[Route("/", work)], lifespan=lifespan), port=0, log_level="error")

class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)

Server(config).run()
"""


@pytest.mark.parametrize(("is_shut_down", "expected"), [(True, ["1", "3"]), (False, [])])
def test_server_that_sigterm_ends(tmp_path: Path, is_shut_down: bool, expected: list[str]) -> None:
    """Uvicorn ends by the signal: violations arrive where the application's shutdown sends them, and else nowhere."""
    told = tmp_path / "told.txt"
    told.touch()
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", SERVER, str(told), str(is_shut_down)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT) as server:
        assert server.stdout is not None
        address = f"http://127.0.0.1:{server.stdout.readline().strip()}/"
        assert urllib.request.urlopen(address, timeout=20).status == 200
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=20) == -signal.SIGTERM
    assert told.read_text().split() == expected
