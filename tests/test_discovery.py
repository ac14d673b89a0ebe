"""Discovery: comparisons where nobody has drawn a zone, and the sinks that are reached after them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider

import taint
from taint.carriers import observation
from taint.flows import discovering
from taint.flows.handover import clean_state
from taint.testing import record

PHONE = "+14155550100"


@pytest.fixture(autouse=True)
def _discovery() -> Iterator[None]:
    """Each test begins with discovery on, and ends with it off."""
    taint.configure(discover=True, mode="report")
    yield
    taint.configure(discover=False)


def collect(purpose: str = "security.mfa") -> str:
    """Give a number that was collected for a purpose."""
    return taint.label(PHONE, purpose=purpose, source="shop.enrol")


@taint.sink(purpose="advertising.audiences", name="ads.upload")
def upload(ids: object) -> object:
    """Send ids to a platform."""
    return ids


def match(phone: str) -> list[int]:
    """Match by the number."""
    return [7] if phone == PHONE else []


def _in_block(phone: str) -> None:
    with discovering():
        upload(match(phone))


def _in_task(phone: str) -> None:
    async def run() -> None:
        ids = match(phone)
        await asyncio.sleep(0)
        upload(ids)

    asyncio.run(run())


def _in_span(phone: str) -> None:
    tracer = trace.get_tracer("shop")
    with tracer.start_as_current_span("POST /audiences"):
        with tracer.start_as_current_span("match"):
            ids = match(phone)
        upload(ids)


def _in_web_request(phone: str) -> None:
    with clean_state():
        upload(match(phone))


REQUESTS: dict[str, Callable[[str], None]] = {
    "block": _in_block,
    "task": _in_task,
    "span": _in_span,
    "web request": _in_web_request,
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
class TestRequests:
    """A request or task is a block, a task or a trace."""

    def test_sink_is_a_gap_that_names_the_comparison(self, request_: Callable[[str], None]) -> None:
        """A sink for another purpose that is reached after the comparison cannot be decided, and is not stopped."""
        with record(mode="block") as seen:
            request_(collect())
        (flow,) = seen.flows
        assert (flow.outcome, flow.evidence, flow.sink, flow.mode) == ("gap", "comparison", "ads.upload", "report")
        assert flow.selected_at is not None
        assert flow.selected_at.function == f"{__name__}.match"
        assert flow.labels.sources == {"shop.enrol"}
        assert "could not be decided" in flow.message
        assert PHONE not in flow.message

    def test_safe_twin_passes(self, request_: Callable[[str], None]) -> None:
        """Data that was given for advertising may select."""
        with record() as seen:
            request_(collect("advertising"))
        assert seen.gaps == seen.violations == []

    def test_off_by_default(self, request_: Callable[[str], None]) -> None:
        """Without discovery nothing is remembered."""
        taint.configure(discover=False)
        with record() as seen:
            request_(collect())
        assert seen.flows == []


def _two_blocks(phone: str) -> None:
    with discovering():
        match(phone)
    with discovering():
        upload([7])


def _two_tasks(phone: str) -> None:
    async def compare() -> None:
        match(phone)

    async def send() -> None:
        upload([7])

    async def run() -> None:
        await asyncio.gather(compare(), send())
        await asyncio.create_task(send())

    asyncio.run(run())


def _two_spans(phone: str) -> None:
    tracer = trace.get_tracer("shop")
    with tracer.start_as_current_span("POST /enrol"):
        match(phone)
    with tracer.start_as_current_span("POST /audiences"):
        upload([7])


def _no_request(phone: str) -> None:
    match(phone)
    upload([7])


def _server(phone: str) -> None:
    """Compare in the task that begins the others, as a server's loop might."""

    async def handle() -> None:
        upload([7])

    async def run() -> None:
        match(phone)
        await asyncio.create_task(handle())

    asyncio.run(run())


def _nothing(phone: str) -> None:
    with discovering():
        match(phone)
        upload([])


def _presence(phone: str) -> None:
    with discovering():
        upload([7] if phone and len(phone) > 1 else [])


def _in_a_zone(phone: str) -> None:
    with discovering():
        with taint.zone("security.mfa"):
            match(phone)
        upload([7])


QUIET: dict[str, Callable[[str], None]] = {
    "another block": _two_blocks,
    "another task": _two_tasks,
    "another trace": _two_spans,
    "neither request nor task": _no_request,
    "a task begun by the one that compared": _server,
    "nothing was selected": _nothing,
    "presence": _presence,
    "a zone that may compare it": _in_a_zone,
}


@pytest.mark.parametrize("use", QUIET.values(), ids=QUIET)
def test_no_false_alarm(use: Callable[[str], None]) -> None:
    """Nothing crosses between requests and tasks, and what selects nothing is not remembered."""
    with record() as seen:
        use(collect())
    assert seen.gaps == seen.violations == []


class Nosy(SpanProcessor):
    """A span processor that compares what it can get hold of."""

    def __init__(self, phone: str) -> None:
        self.phone, self.compared = phone, 0

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Compare at the start."""
        self.compared += self.phone == PHONE

    def on_end(self, span: ReadableSpan) -> None:
        """Compare at the end."""
        self.compared += self.phone in {PHONE}


def test_telemetry_does_not_count() -> None:
    """What span processors compare is not the request's work."""
    phone = collect()
    nosy = Nosy(phone)
    provider = TracerProvider()
    provider.add_span_processor(nosy)
    with record() as seen, discovering():
        with provider.get_tracer("shop").start_as_current_span("work"):
            pass
        upload([7])
    assert nosy.compared
    assert seen.flows == []


@pytest.mark.parametrize(
    "work",
    [
        taint.labels_of,
        lambda phone: taint.check({"phones": [phone]}, purpose="security.mfa", sink="shop.alert"),
        lambda phone: taint.plain([phone]),
        lambda phone: taint.declassify([phone], to="advertising", reason="opted in", approved_by="review"),
        lambda phone: (phone.strip(), phone.upper(), phone.replace("+", ""), phone.split("5"), f"{phone}!"),
    ],
)
def test_the_library_does_not_count(work: Callable[[Any], object]) -> None:
    """What the library does with a value is no comparison of the program's."""
    taint.install(integrations=[])
    phone = collect()
    with discovering():
        work(phone)
        with record() as seen:
            upload([7])
    assert seen.flows == []


def test_a_wrapped_function_counts() -> None:
    """A pattern that the program looks for is a comparison of its own."""
    taint.install(integrations=[])
    phone = collect()
    with record() as seen, discovering():
        ids = [7] if re.search("415", phone) else []
        upload(ids)
    assert [flow.outcome.value for flow in seen.flows] == ["gap"]


def test_off_leaves_the_carriers_as_they_were() -> None:
    """Without discovery a comparison asks for the zone alone, by the C function that reads it."""
    assert observation.reader() is not observation.observer.get
    taint.configure(discover=False)
    assert observation.reader() == observation.observer.get
    equality = taint.TaintedStr.__eq__
    assert observation.observer.get in [cell.cell_contents for cell in equality.__closure__ or ()]


def test_neither_on_nor_off_is_refused() -> None:
    """A switch is a truth value."""
    with pytest.raises(taint.ConfigurationError, match="discover is neither on nor off: 'str'"):
        taint.configure(discover="yes")  # type: ignore[arg-type]  # The error is the point.


def test_quick_check_does_not_skip_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simplest of values is looked into also where nobody listens to what is allowed."""
    with record() as seen, discovering():
        match(collect())
        monkeypatch.setattr("taint.flows.admission.is_heard", lambda: False)
        upload(7)
    assert [flow.outcome.value for flow in seen.flows] == ["gap"]


@pytest.mark.parametrize(("module", "gaps"), [("taint.somewhere", 0), ("shop.jobs", 1)])
def test_whose_code_compares(module: str, gaps: int) -> None:
    """A comparison in a module of the library is its own work; the same in the program's is not."""
    with record() as seen, discovering():
        exec("phone == other", {"__name__": module, "phone": collect(), "other": PHONE})  # noqa: S102  # For its name.
        upload([7])
    assert len(seen.gaps) == gaps
