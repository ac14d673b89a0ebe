"""`python -m taint report`: what it reads, what it says, and what stands in the page's data."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

import taint
from taint.cli import main
from taint.policy.records import flow_from_record
from taint.report import kinds
from taint.report.kinds import Kind, Tally
from tests.report.trails import flow_line, many_flows, trace_of, write_trail

PHONE = "+14155550100"


def data_of(page: Path) -> dict[str, Any]:
    """Read the data in a page."""
    (text,) = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>', page.read_text("utf-8"), re.DOTALL
    )
    data: dict[str, Any] = json.loads(text)
    return data


def column(data: dict[str, Any], name: str) -> list[Any]:
    """Give a column, with texts for their numbers."""
    numbers = data["columns"][name]
    as_they_are = {"verdict", "origins", "line", "flows", "values", "traces", "collected"}
    return numbers if name in as_they_are else [data["texts"][one] for one in numbers]


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """Where a page goes."""
    return tmp_path / "report.html"


def test_flows_of_a_kind_are_one_row(tmp_path: Path, page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Flows that differ in time, trace and index are one row, with their number, their period and some traces."""
    trail = write_trail(
        tmp_path / "audit.jsonl", [flow_line(n, count=2) for n in range(5)] + [flow_line(9, sink="crm")]
    )
    assert main(["report", str(trail), "-o", str(page)]) == 0
    assert capsys.readouterr().out == f"{page}: 6 flows, 6 violations\n"
    data = data_of(page)
    assert column(data, "sink") == ["ads.upload", "crm"]
    assert column(data, "flows") == [5, 1]
    assert column(data, "values") == [10, 2 - 1]
    assert column(data, "path") == ["rows[*].phone"] * 2
    assert column(data, "first")[0] == "2026-11-01T00:00:00.000000Z"
    assert column(data, "last")[0] == "2026-11-01T00:00:04.000000Z"
    assert column(data, "traces")[0] == [f"{1:032x}", f"{2:032x}", 3]
    assert column(data, "collected")[0] == [f"{1001:032x}", f"{1002:032x}", 3]


def test_one_flow_is_said_as_one(tmp_path: Path, page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One flow is a flow, and one violation is a violation."""
    assert main(["report", str(write_trail(tmp_path / "a", [flow_line()])), "-o", str(page)]) == 0
    assert capsys.readouterr().out == f"{page}: 1 flow, 1 violation\n"


def test_violations_come_first(tmp_path: Path, page: Path) -> None:
    """Rows stand in the order in which verdicts matter, however often each was seen; borne ones are not violations."""
    borne = {"rule": "r", "reason": "till spring", "owner": "ads", "expires": "2999-01-01"}
    lines = [flow_line(outcome="allowed")] * 9 + [flow_line(suppressed=borne)] * 4 + [flow_line(outcome="gap")] * 2
    write_trail(tmp_path / "audit.jsonl", [*lines, flow_line()])
    assert main(["report", str(tmp_path / "audit.jsonl"), "-o", str(page)]) == 0
    data = data_of(page)
    assert [data["verdicts"][one] for one in column(data, "verdict")] == ["violation", "gap", "suppressed", "allowed"]
    assert column(data, "flows") == [1, 2, 4, 9]
    assert column(data, "note")[2] == "Borne until 2999-01-01 by ads: till spring"


@pytest.mark.usefixtures("_no_trail")
def test_what_the_library_writes_is_read(tmp_path: Path, page: Path) -> None:
    """A trail that the library wrote under a span has the trace of the flow and the one of the collection."""
    tracer = TracerProvider().get_tracer("test")

    @taint.sink(purpose="advertising.audiences", name="ads.upload", mode="report")
    def upload(phone: str) -> None:
        """Upload."""

    taint.configure(audit=tmp_path / "audit.jsonl")
    with tracer.start_as_current_span("enrol") as enrolling:
        phone = taint.label(PHONE, purpose="security.mfa", source="shop.enrol", subject="customer-4711")
    with tracer.start_as_current_span("upload") as uploading:
        upload(phone)
    upload(phone)
    ok = taint.declassify(phone, to="advertising.audiences", reason="opted in", approved_by="review-1")
    upload(ok)
    taint.configure(audit=False)
    assert main(["report", str(tmp_path / "audit.jsonl"), "-o", str(page)]) == 0
    data = data_of(page)
    rows = dict(
        zip(column(data, "line"), zip(column(data, "traces"), column(data, "collected"), strict=True), strict=True)
    )
    collected = [f"{enrolling.get_span_context().trace_id:032x}", 0]
    assert list(rows.values())[:2] == [
        ([f"{uploading.get_span_context().trace_id:032x}", 0], collected),
        ([0], collected),
    ]
    assert data["declassifications"] == 1
    text = page.read_text("utf-8")
    assert PHONE not in text
    assert "customer-4711" not in text


@pytest.fixture
def _no_trail() -> Iterator[None]:
    yield
    taint.configure(audit=False)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        pytest.param([], "it is empty", id="empty"),
        pytest.param(["\n\n"], "it is empty", id="blank"),
        pytest.param(["{"], "not a line of it is a record of a flow", id="torn"),
        pytest.param(["hello\n"], "not a line of it is a record of a flow", id="no JSON"),
        pytest.param([{"v": 1, "kind": "declassification"}], "its records are of other kinds", id="other kinds"),
        pytest.param([flow_line(v=2)], "has lines of version 2. This release reads version 1", id="version"),
        pytest.param([flow_line(), flow_line(v="x")], "has lines of version 'x'", id="odd version"),
    ],
)
def test_no_page_of_nothing(
    tmp_path: Path, page: Path, capsys: pytest.CaptureFixture[str], lines: list[Any], said: str
) -> None:
    """A file without a flow, or of another version, is an error that says what to do, and no page is written."""
    trail = write_trail(tmp_path / "audit.jsonl", lines)
    assert main(["report", str(trail), "-o", str(page)]) == 2
    assert said in capsys.readouterr().err
    assert not page.exists()


def test_missing_file(tmp_path: Path, page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there is an error, also beside one that is."""
    trail = write_trail(tmp_path / "audit.jsonl", [flow_line()])
    assert main(["report", str(trail), str(tmp_path / "none.jsonl"), "-o", str(page)]) == 2
    assert f"no audit file at {str(tmp_path / 'none.jsonl')!r}" in capsys.readouterr().err
    assert not page.exists()


@pytest.mark.parametrize("output", ["no/such/folder.html", "."])
def test_page_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str], output: str) -> None:
    """An output that cannot be written is an error that names it."""
    trail = write_trail(tmp_path / "audit.jsonl", [flow_line()])
    assert main(["report", str(trail), "-o", str(tmp_path / output)]) == 2
    assert f"no page was written, {str(tmp_path / output)!r}: " in capsys.readouterr().err


def test_damaged_lines_are_said(tmp_path: Path, page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines that are no records are left out, named in the page and on standard error; the status says so."""
    bad: list[Any] = ["7\n", {**flow_line(), "outcome": "fine"}, {**flow_line(), "trace": "x"}]
    trail = write_trail(tmp_path / "audit.jsonl", [flow_line(), *bad, {"kind": "other"}, flow_line(1)])
    assert main(["report", str(trail), "-o", str(page)]) == 1
    said = capsys.readouterr().err
    notice = f"3 lines are no records and were passed over: {trail}:2, {trail}:3, {trail}:4"
    assert said == f"{notice}\n1 record of another kind was passed over\n"
    data = data_of(page)
    assert data["notices"][0] == notice
    assert column(data, "flows") == [2]


def test_torn_last_line_is_said_and_fine(tmp_path: Path, page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A last line that a killed process left torn is said; everything before it is in the page."""
    trail = write_trail(tmp_path / "audit.jsonl", [flow_line(), flow_line(1), json.dumps(flow_line(2))[:60]])
    assert main(["report", str(trail), "-o", str(page)]) == 0
    assert capsys.readouterr().err == "1 last line is cut off and passed over\n"
    assert column(data_of(page), "flows") == [2]


def test_rotated_and_several_files(tmp_path: Path, page: Path) -> None:
    """Several trails are one page; rotated files are read with theirs, and what a shell's `*` adds only once."""
    write_trail(tmp_path / "a.jsonl.1", [flow_line(0)])
    write_trail(tmp_path / "a.jsonl", [flow_line(1)])
    write_trail(tmp_path / "a.jsonl.head", ["0" * 64])
    write_trail(tmp_path / "b.jsonl", [flow_line(2)])
    named = sorted(map(str, tmp_path.glob("a.jsonl*")))
    assert main(["report", *named, str(tmp_path / "b.jsonl"), str(tmp_path / "b.jsonl"), "-o", str(page)]) == 0
    assert column(data_of(page), "flows") == [3]


def test_standard_input_and_output(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`-` reads standard input and writes standard output, with nothing else there."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(flow_line()).encode() + b"\n")))
    assert main(["report", "-", "-o", "-"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("<!doctype html>")
    assert said.endswith("</html>\n")
    assert "standard input" in said


@pytest.mark.parametrize(
    "template",
    ["traces.example/{trace_id}", "javascript:alert('{trace_id}')", "https://t.example/", "https://t.example/{span}",
     "https:///{trace_id}", "https://[/{trace_id}", "data:text/html,{trace_id}"],
)  # fmt: skip
def test_odd_trace_address_is_refused(
    tmp_path: Path, page: Path, capsys: pytest.CaptureFixture[str], template: str
) -> None:
    """An address that is none of a web page, or has no place for the trace, is refused before anything is read."""
    trail = write_trail(tmp_path / "audit.jsonl", [flow_line()])
    assert main(["report", str(trail), "-o", str(page), "--trace-url", template]) == 2
    assert "not an address for traces" in capsys.readouterr().err
    assert not page.exists()
    assert main(["report", str(trail), "-o", str(page), "--trace-url", "https://t.example/{trace_id}?x=1"]) == 0
    assert data_of(page)["traceUrl"] == "https://t.example/{trace_id}?x=1"


def test_hostile_names_stay_in_the_data(tmp_path: Path, page: Path) -> None:
    """A name cannot end the script element that holds the data, nor the title."""
    evil = "</script><script>alert(1)</script><!--<script>"
    trail = write_trail(tmp_path / "audit.jsonl", [flow_line(source=evil, sink=evil)])
    assert main(["report", str(trail), "-o", str(page), "--title", evil]) == 0
    text = page.read_text("utf-8")
    assert "alert(1)</script>" not in text
    assert text.count("</script>") == 3
    assert evil in data_of(page)["texts"]


def test_page_asks_for_nothing(tmp_path: Path, page: Path) -> None:
    """Nothing in the page names an address to load from, and its policy would forbid it."""
    trail = write_trail(tmp_path / "audit.jsonl", [flow_line()])
    assert main(["report", str(trail), "-o", str(page)]) == 0
    text = page.read_text("utf-8")
    assert re.findall(r"(?:src|href)=(?!\"#)", text) == []
    assert re.findall(r"https?://[^\"'\s]+", text) == ["http://www.w3.org/2000/svg"]
    assert "default-src &#x27;none&#x27;" in text


def test_kinds_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the bound, flows of new kinds are counted without their place: the page stays readable, sums stay right."""
    monkeypatch.setattr(kinds, "MAX_KINDS", 10)
    tally = Tally()
    for line in many_flows(500, are_distinct=False):
        tally.of(Kind.of(flow_from_record(line))).add()
    assert tally.flows() == 500
    placed = [kind for kind in tally.seen if kind.file]
    assert len(placed) == 10
    assert tally.without_place == 500 - sum(tally.seen[kind].flows for kind in placed)
    assert len(tally.seen) < 200
    assert trace_of(0).startswith("00-")
