"""Known values at work: sources remember, sinks look, findings say `content` or `digest`."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import taint
from taint.evidence import Evidence, KnownValues, current_known_values, set_known_values
from taint.flows.leaving import let_go_items, sink_at
from taint.policy import current_policy, make_policy, set_policy
from taint.testing import record

PHONE = "+1 (415) 555-0100"


@pytest.fixture(autouse=True)
def _known_values() -> Iterator[None]:
    """Each test has known values of its own."""
    before = set_known_values(None)
    taint.configure(known_values=KnownValues(max_values=1000, default_region="US"))
    yield
    set_known_values(before)


@taint.source(purpose="security.mfa", category="user.contact.phone_number", name="shop.enrol")
def enrolled(number: str) -> dict[str, Any]:
    """Give a row of a person who enrolled."""
    return {"id": 4155550199, "phone": number}


@taint.source(purpose="advertising", arguments=["number"], name="shop.subscribe")
def subscribe(number: str) -> None:
    """Take a number for marketing."""


@taint.sink(purpose="advertising.audiences", name="ads.upload")
def upload(rows: object) -> object:
    """Upload an audience."""
    return rows


def send(rows: object) -> None:
    """Upload, and take what a generator gives as the platform would."""
    uploaded = upload(rows)
    if isinstance(uploaded, Iterator):
        list(uploaded)


def untracked(number: str) -> str:
    """Do what no tracker follows: leave the carrier and come back."""
    return json.loads(json.dumps(taint.plain(number)))  # type: ignore[no-any-return]  # It is text.


PAYLOADS = [
    ("content", lambda phone: [{"note": f"call {phone}"}], "rows[0].note[5:]"),
    ("content", lambda _: "415-555-0100", "rows[0:]"),
    ("content", lambda _: (row for row in [{"p": "4155550100"}]), "rows[0].p[0:]"),
    ("digest", lambda _: [hashlib.sha256(b"14155550100").hexdigest()], "rows[0][0:]"),
    ("digest", lambda _: {"raw": hashlib.md5(b"+14155550100").digest()}, "rows.raw[0:]"),  # noqa: S324  # As platforms do.
]


@pytest.mark.parametrize(("evidence", "make", "path"), PAYLOADS)
def test_an_unlabelled_value_is_stopped(evidence: str, make: Any, path: str) -> None:
    """What a source saw is found at a sink of another purpose without its label, and the finding names the source."""
    phone = untracked(enrolled(PHONE)["phone"])
    with record("report") as seen:
        send(make(phone))
    assert seen.flows == []  # Recording knows nothing of what was collected before it.
    with record("report") as seen:
        phone = untracked(enrolled(PHONE)["phone"])
        send(make(phone))
    (flow,) = seen.violations
    assert (flow.evidence, flow.labels.sources, flow.sink) == (
        Evidence(evidence),
        frozenset({"shop.enrol"}),
        "ads.upload",
    )
    assert flow.path == path
    assert "415" not in flow.message.replace(flow.path, "")


@pytest.mark.parametrize(("evidence", "make", "path"), PAYLOADS)
def test_the_safe_twin_passes(evidence: str, make: Any, path: str) -> None:
    """The same value, also given for marketing, passes, and so does one that no source saw."""
    assert path.startswith("rows")
    with record("report") as seen:
        phone = untracked(enrolled(PHONE)["phone"])
        subscribe("415.555.0100")
        send(make(phone))
        subscribe(PHONE)
        send(make(phone))
    assert seen.violations == []
    assert {flow.evidence.value for flow in seen.flows} == {evidence}
    with record("report") as seen:
        enrolled("+1 415 555 0177")
        send(make(PHONE))
    assert seen.flows == []


def test_a_copy_cannot_be_redacted_and_is_stopped() -> None:
    """In mode `redact` an unlabelled copy closes the sink, since nothing says what to replace; its twin passes."""
    with record("redact") as seen:
        phone = untracked(enrolled(PHONE)["phone"])
        with pytest.raises(taint.PurposeViolationError):
            send([phone])
        subscribe(PHONE)
        send([phone])
    assert [flow.mode for flow in seen.violations] == [taint.Mode.BLOCK]


def test_a_match_of_two_purposes_needs_one_collection_that_allows() -> None:
    """A value that one collection took for security and another for advertising passes; two that both forbid do not."""
    taint.label("someone@example.org", purpose="security.mfa")
    taint.label("someone@example.org", purpose="finance")
    with pytest.raises(taint.PurposeViolationError) as error:
        upload("someone@example.org")
    assert error.value.violation.evidence is Evidence.CONTENT
    taint.label("someone@example.org", purpose="advertising")
    assert upload("someone@example.org") == "someone@example.org"


def test_block_stops_before_the_body() -> None:
    """In mode `block` the sink's body does not run, and the message holds no value."""
    taint.label(PHONE, purpose="security.mfa", source="shop.enrol")
    with pytest.raises(taint.PurposeViolationError, match=r"shop\.enrol") as error:
        upload(["415-555-0100"])
    assert "0100" not in str(error.value)
    assert upload(["415-555-0101"]) == ["415-555-0101"]


def test_a_labelled_value_is_found_by_its_label_alone() -> None:
    """Where the carrier arrives, the evidence is exact, and the value is not reported a second time."""
    with record("report") as seen:
        upload([taint.label(PHONE, purpose="security.mfa")])
    assert [flow.evidence for flow in seen.flows] == [Evidence.LABEL]


def test_numbers_in_rows_are_not_remembered() -> None:
    """A source does not label the numbers of a row, and does not remember them: they are keys."""
    with record("report") as seen:
        enrolled(PHONE)
        upload([{"id": 4155550199}])
    assert seen.flows == []


def test_records_are_separate() -> None:
    """What is collected in one record is unknown in the next, and what was known before is known again after."""
    taint.label("someone@example.org", purpose="security.mfa")
    with record("report") as first:
        taint.label("other@example.org", purpose="security.mfa")
        upload("other@example.org someone@example.org")
    with record("report") as second:
        upload("other@example.org")
    assert (len(first.violations), len(second.violations)) == (1, 0)
    assert not taint.check("someone@example.org", purpose="advertising", sink="crm").is_allowed


def test_configure_switches() -> None:
    """`configure` switches remembering on, keeps what is known when it is on, and forgets when it is off."""
    taint.configure(known_values=False)
    assert current_known_values() is None
    taint.label("someone@example.org", purpose="security.mfa")
    assert taint.check("someone@example.org", purpose="advertising", sink="crm").is_allowed
    taint.configure(known_values=True)
    taint.label("someone@example.org", purpose="security.mfa")
    taint.configure(known_values=True, mode="report")
    assert not taint.check("someone@example.org", purpose="advertising", sink="crm").is_allowed
    taint.configure(known_values=False)
    assert taint.check("someone@example.org", purpose="advertising", sink="crm").is_allowed


def test_a_failure_is_a_gap_and_not_an_error(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """When looking fails, the program goes on; that nothing was looked for is said as a gap and once in the log."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    taint.label("someone@example.org", purpose="security.mfa")
    monkeypatch.setattr(KnownValues, "expire", broken)
    with record("report") as seen:
        taint.label("someone@example.org", purpose="security.mfa")
        assert upload("someone@example.org") == "someone@example.org"
    assert [(flow.outcome.value, flow.rule) for flow in seen.gaps] == [("gap", "known-values")]
    assert "looking for known values" in caplog.text


def test_the_library_survives_what_it_cannot_remember() -> None:
    """Bytes that are no text, and values without labels, are not remembered and raise nothing."""
    taint.label(b"\xff\xfe\x00garbage\x80", purpose="security.mfa")
    taint.label(object(), purpose="security.mfa")
    taint.label("\ud800\udc00 lone surrogates", purpose="security.mfa")
    known = current_known_values()
    assert known is not None
    assert known.values == 1
    assert upload("\ud800 nothing") == "\ud800 nothing"


WIDENED = [
    lambda row: row,
    lambda row: row["phone"],
    lambda row: [f"{row['phone']}"],
    lambda row: row["phone"].encode(),
    lambda row: ("tel:" + row["phone"] + ";ext=1",),
]


@pytest.mark.parametrize("part", WIDENED)
@pytest.mark.parametrize("make", [lambda phone: phone, lambda phone: hashlib.sha256(phone.encode()).hexdigest()])
def test_a_declassified_value_is_allowed_where_it_arrives_without_labels(part: Any, make: Any) -> None:
    """`declassify` widens what is known of the value too; another value and another purpose stay as they are."""
    with record("report") as seen:
        row, other = enrolled(PHONE), enrolled("+1 (415) 555-0177")
        taint.declassify(part(row), to="advertising.audiences", reason="opted in", approved_by="review-118")
        send(make(untracked(row["phone"])))
        assert seen.violations == []
        assert {flow.rule for flow in seen.flows} == {"declassification"}
        send(make(untracked(other["phone"])))
        assert len(seen.violations) == 1
        taint.check(make(untracked(row["phone"])), purpose="advertising.targeting", sink="ads.target")
        assert len(seen.violations) == 2


def test_a_declassification_that_has_expired_is_none() -> None:
    """What is known of a declassified value ends with the declassification."""
    soon = datetime.now(UTC) + timedelta(seconds=1)
    with record("report") as seen:
        row = enrolled(PHONE)
        taint.declassify(row, to="advertising", reason="opted in", approved_by="review-118", expires=soon)
        send(untracked(row["phone"]))
        assert seen.violations == []
        while datetime.now(UTC) <= soon:
            time.sleep(0.05)
        send(untracked(row["phone"]))
        assert len(seen.violations) == 1


@pytest.mark.parametrize(
    ("pieces", "stopped_at"),
    [
        (["id,7\n", f"phone,{PHONE}\n"], "content[1][6:]"),
        (["phone,+1 (415) 5", "55-0100\n"], "content[1]"),
        ([b"x" * 5000 + b",+1 (41", b"5) 555-", b"0100," + b"y" * 5000], "content[2]"),
        (["phone,", "+1 (415) 5", b"55-0100", "\n"], "content[2]"),
        (["phone,+1 (415) 5", "55-0", "111\n"], None),
        (["phone,9+1 (415) 5", "55-01009\n"], None),
        (["phone,+1 (415) 5", "", [], "55-0100\n"], None),
        (["phone,+1 (415) 5", taint.label("55-0100\n", purpose="security.mfa")], "content[1]"),
        (["phone,+1 (415) 5", taint.label("55-0100\n", purpose="advertising")], None),
        (
            [hashlib.sha256(b"14155550100").hexdigest()[:20], hashlib.sha256(b"14155550100").hexdigest()[20:]],
            "content[1]",
        ),
        (["phone=%2B1415", "5550100&n=1"], "content[1]"),
        (["name,Å", "+1 (415) 555-0199,+1 (415) 5", "55-0100"], "content[2]"),
    ],
    ids=[
        "whole",
        "cut",
        "cut twice",
        "cut with a piece before",
        "another number",
        "a longer number",
        "no text between",
        "labelled",
        "labelled for it",
        "digest",
        "form",
        "beside others",
    ],
)
def test_a_value_that_is_cut_between_two_pieces(pieces: list[Any], stopped_at: str | None) -> None:
    """What leaves as it is read is looked at piece by piece, and across where they meet."""
    before = current_policy()
    sinks = {"ads": {"purpose": "advertising.audiences", "at": {"http": ["https://ads.example/*"]}}}
    set_policy(make_policy({"sinks": sinks}))
    try:
        enrolled(PHONE)
        sink = sink_at("http", "https://ads.example/v1")
        assert sink is not None
        if stopped_at is None:
            assert list(let_go_items(sink, "content", pieces)) == pieces
        else:
            with pytest.raises(taint.PurposeViolationError) as stopped:
                list(let_go_items(sink, "content", pieces))
            assert stopped.value.violation.path == stopped_at
            assert PHONE not in str(stopped.value)
    finally:
        set_policy(before)


@pytest.mark.parametrize(("purpose", "count"), [("security.mfa", 1), ("advertising", 0)])
def test_each_value_is_told_once(purpose: str, count: int) -> None:
    """In mode `report` a value that is cut is told once, however small the pieces are, and not where it may go."""
    before = current_policy()
    sinks = {"ads": {"purpose": "advertising.audiences", "mode": "report", "at": {"http": ["https://ads.example/*"]}}}
    set_policy(make_policy({"sinks": sinks}))
    try:
        sink = sink_at("http", "https://ads.example/v1")
        assert sink is not None
        text = f"id,phone\n7,{PHONE}\n" + "8,none\n" * 50
        for size in (1, 3, 10, 1000):
            pieces = [text[at : at + size] for at in range(0, len(text), size)]
            with record(mode="report") as seen:
                taint.label(PHONE, purpose=purpose)
                assert "".join(let_go_items(sink, "content", pieces)) == text
            assert len(seen.violations) == count, size
    finally:
        set_policy(before)
