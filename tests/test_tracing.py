"""Tracing: labels keep the way from their source to here, and findings show it."""

from __future__ import annotations

import base64
import hashlib
import importlib
import inspect
import json
import os
import pickle
import re
import subprocess
import sys
import textwrap
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import taint
from taint.carriers import text
from taint.carriers.number import TaintedInt
from taint.carriers.tracing import MAXIMUM_STEPS, is_tracing, set_tracing
from taint.evidence import KnownValues, last_seen, set_known_values
from taint.policy import flow_from_record, flow_record
from taint.testing import record, trace
from taint.testing.findings import as_data, explain, finding_of, from_data

PHONE = "+1 415 555 0100"
HERE = Path(__file__).name


@pytest.fixture
def tracing() -> Iterator[None]:
    """Trace, with the standard library wrapped and nothing seen."""
    taint.install(integrations=[])
    before = set_tracing(is_on=True)
    last_seen.forget()
    yield
    set_tracing(is_on=before)


def collect() -> str:
    """Give a number that was collected for security."""
    return taint.label(PHONE, purpose="security.mfa", source="shop.enrol")


@taint.sink(purpose="advertising.audiences", name="ads.upload")
def upload(rows: object) -> object:
    """Send rows to a platform."""
    return rows


def operations(value: Any) -> list[str]:
    """Give the operations on a value since it was collected."""
    (label,) = taint.labels_of(value)
    return [step.operation for step in label.steps]


OPERATIONS: dict[str, tuple[Callable[[Any], Any], list[str]]] = {
    "nothing": (lambda phone: phone, []),
    "str(x)": (str, []),
    "strip": (lambda phone: phone.strip("+"), ["str.strip"]),
    "two": (lambda phone: phone.strip("+").upper(), ["str.strip", "str.upper"]),
    "+": (lambda phone: phone + ";ext=1", ["+"]),
    "+ from the left": (lambda phone: "tel:" + phone, ["+"]),
    "slice": (lambda phone: phone[1:], ["[]"]),
    "split": (lambda phone: phone.split()[0], ["str.split"]),
    "%": (lambda phone: "tel:%s" % phone, ["%"]),  # noqa: UP031  # The operator is the point.
    "encode": (lambda phone: phone.encode(), ["encode"]),
    "decode": (lambda phone: phone.encode().decode(), ["encode", "decode"]),
    "a join of its own": (lambda phone: phone[:1].join(["a", "b"]), ["[]", "str.join"]),
    "re": (lambda phone: re.sub(r"\D", "", phone), ["re.sub"]),
    "json": (lambda phone: json.loads(json.dumps({"p": phone}))["p"], ["json.dumps", "json.loads"]),
    "hashlib": (
        lambda phone: hashlib.sha256(phone.encode()).hexdigest(),
        ["encode", "hexdigest"],
    ),
    "base64": (lambda phone: base64.b64encode(phone.encode()), ["encode", "base64.b64encode"]),
    "a loop is one": (lambda phone: [phone := phone + "1" for _ in range(9)][-1], ["+"]),
}


@pytest.mark.usefixtures("tracing")
@pytest.mark.parametrize(("work", "expected"), OPERATIONS.values(), ids=OPERATIONS)
def test_operations(work: Callable[[Any], Any], expected: list[str]) -> None:
    """Each operation is one step, by the name that the program knows it by, at its line in the program."""
    worked = work(collect())
    (label,) = taint.labels_of(worked)
    assert operations(worked) == ["label", *expected]
    assert {Path(step.file).name for step in label.steps} == {HERE}
    assert label.steps[0].function == f"{__name__}.collect"
    assert PHONE[3:6] not in repr(label.steps)


@pytest.mark.usefixtures("tracing")
def test_what_is_no_text() -> None:
    """Proxies and numbers keep their way too."""
    who = taint.label(uuid.UUID(int=7), purpose="security.mfa")
    assert operations(who.hex.upper()) == ["label", "hex", "str.upper"]
    number = TaintedInt(7, taint.labels_of(collect()))
    assert operations(number + 1)[0] == "label"


@pytest.mark.usefixtures("tracing")
def test_a_source_is_where_it_begins() -> None:
    """What a decorated source gives begins with the source, at the line of its call."""

    @taint.source(purpose="security.mfa", name="shop.enrolled")
    def enrolled() -> dict[str, str]:
        return {"phone": PHONE}

    row = enrolled()
    line = inspect.currentframe().f_lineno - 1  # type: ignore[union-attr]  # CPython has frames.
    (label,) = taint.labels_of(row)
    assert label.steps[0].operation.endswith("enrolled")
    assert label.steps[0].line == line


@pytest.mark.usefixtures("tracing")
def test_bounded() -> None:
    """A label keeps its first steps and its last ones."""
    value = collect()
    for _ in range(MAXIMUM_STEPS):
        value = value.upper()
        value = value.lower()
    found = operations(value)
    assert len(found) == MAXIMUM_STEPS
    assert found[0] == "label"
    assert found[-1] == "str.lower"


def test_error_shows_the_way() -> None:
    """With tracing the message goes on with the operations, one a line; its safe twin passes."""
    with record("block", trace=True):
        row = {"phone": collect().strip("+").replace(" ", "")}
        with pytest.raises(taint.PurposeViolationError) as stopped:
            upload([row])
        upload([taint.declassify(row, to="advertising", reason="opted in", approved_by="review")])
    first, heading, *way = str(stopped.value).splitlines()
    assert first == stopped.value.violation.message
    assert heading == "the way here:"
    assert [line.split(" at ")[0].split(". ")[-1] for line in way[:-1]] == ["label", "str.strip", "str.replace"]
    assert way[-1].startswith("  then it reached the sink: ")
    assert "4155550100" not in str(stopped.value)


def test_without_tracing_nothing_is_kept() -> None:
    """A message is one line then, labels have no steps, and carriers are made as they always are."""
    taint.install(integrations=[])
    with record("block") as seen, pytest.raises(taint.PurposeViolationError) as stopped:
        upload([collect().strip("+")])
    assert len(str(stopped.value).splitlines()) == 1
    assert seen.violations[0].steps == ()


def test_off_puts_everything_back() -> None:
    """What tracing exchanges is the identical object again when it ends."""
    kinds = (taint.TaintedStr, taint.TaintedProxy, TaintedInt)
    names = ("_coverage", "__init__", "labels")
    before = [vars(kind).get(name) for kind, name in zip(kinds, names, strict=True)]
    attributes = text._set_attributes
    with record(trace=True):
        assert is_tracing()
        assert [vars(kind).get(name) for kind, name in zip(kinds, names, strict=True)] != before
        number = TaintedInt(7, taint.labels_of(collect()))
    assert not is_tracing()
    assert [vars(kind).get(name) for kind, name in zip(kinds, names, strict=True)] == before
    assert text._set_attributes is attributes
    assert number.labels  # What was made meanwhile stays a carrier.


def test_decisions_do_not_freeze_a_way() -> None:
    """Two values of one source have their own ways, though they were decided once."""
    with record("report", trace=True) as seen:
        upload(collect().upper())
        upload(collect().lower())
    assert [flow.steps[-1].operation for flow in seen.violations] == ["str.upper", "str.lower"]


def test_each_row_keeps_the_way_that_it_was_told_with() -> None:
    """A comparison in a zone shows how the value came there."""
    with record("report", trace=True) as seen, taint.zone("advertising.audiences"):
        assert collect().strip("+") != PHONE
    (flow,) = seen.violations
    assert [step.operation for step in flow.steps] == ["label", "str.strip"]
    assert flow.way.splitlines()[-1].startswith("  then it was compared: ")


LOSSES: dict[str, tuple[Callable[[str], object], str, str]] = {
    "plain": (lambda phone: taint.plain(phone.replace(" ", "")), "content", "plain"),
    "C code": (lambda phone: "".join([phone.strip(), "!"]), "content", "str.strip"),  # noqa: FLY002  # It loses labels.
    "a longer text": (lambda phone: "".join(["call ", phone.lower(), " now"]), "content", "str.lower"),  # noqa: FLY002
    "another writing": (lambda phone: "".join(map(chr, phone.lower().encode())), "content", "encode"),
    "before hashing": (
        lambda phone: hashlib.sha256(bytes(bytearray(phone.replace(" ", "").encode()))).hexdigest(),
        "digest",
        "encode",
    ),
    "after hashing": (
        lambda phone: "".join(["sha256:", hashlib.sha256(phone.encode()).hexdigest().upper()]),
        "digest",
        "str.upper",
    ),
}


@pytest.fixture
def known() -> Iterator[None]:
    """Remember what sources label."""
    before = set_known_values(KnownValues(max_values=1000))
    yield
    set_known_values(before)


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(("lose", "evidence", "last"), LOSSES.values(), ids=LOSSES)
class TestLoss:
    """A value that arrives without its labels is followed back to where it had them last."""

    def test_finding_shows_the_last_carrier(self, lose: Callable[[str], object], evidence: str, last: str) -> None:
        """The last step is the operation after which the value was plain."""
        taint.install(integrations=[])
        with record("report", trace=True) as seen:
            lost = lose(collect())
            assert not taint.labels_of(lost)
            upload(lost)
        (flow,) = seen.violations
        assert flow.evidence == evidence
        assert [flow.steps[0].operation, flow.steps[-1].operation] == ["label", last]
        assert {Path(step.file).name for step in flow.steps} == {HERE}
        assert "without its labels" in flow.way.splitlines()[-1]
        assert "415" not in flow.way.replace(str(Path(__file__).parent), "")

    def test_safe_twin_passes(self, lose: Callable[[str], object], evidence: str, last: str) -> None:
        """Data that was given for advertising may be lost and found."""
        taint.install(integrations=[])
        with record("report", trace=True) as seen:
            upload(lose(taint.label(PHONE, purpose="advertising")))
        assert seen.violations == [], (evidence, last)

    def test_trace_of_the_plain_value(self, lose: Callable[[str], object], evidence: str, last: str) -> None:
        """For one value the same is shown without a sink, where it stands alone."""
        taint.install(integrations=[])
        with record("report", trace=True):
            lost = (
                str(lose(collect()))
                .removeprefix("call ")
                .removesuffix(" now")
                .removesuffix("!")
                .removeprefix("sha256:")
            )
            shown = trace(lost)
        assert f"{last} at {__file__}" in shown, evidence
        assert shown.endswith("from there on it was plain")


def test_trace_of_a_carrier() -> None:
    """A labelled value, and each in a container, shows its way and never itself."""
    with record(trace=True):
        shown = trace({"rows": [collect().strip("+")]})
    first, *steps = shown.splitlines()
    assert first == "value.rows[0]: collected by 'shop.enrol' for 'security.mfa'"
    assert [line.split(" at ")[0] for line in steps] == ["  1. label", "  2. str.strip"]
    assert "415 555" not in shown


def test_trace_says_that_tracing_was_off() -> None:
    """Without tracing it says how to begin."""
    assert "record(trace=True)" in trace(collect())
    assert "TAINT_TRACE=1" in trace("plain text")
    with record(trace=True):
        assert trace("plain text") == "value: carries no label, and was not seen with one."


def test_through_threads_and_processes() -> None:
    """The way goes with the value, to another thread and through pickle."""
    found: list[list[str]] = []
    with record(trace=True):
        phone = collect().strip("+")
        thread = threading.Thread(target=lambda: found.append(operations(phone.upper())))
        thread.start()
        thread.join()
        assert found == [["label", "str.strip", "str.upper"]]
        data = pickle.dumps(phone)
    assert operations(pickle.loads(data))[:2] == ["label", "str.strip"]  # noqa: S301  # Our own.


def test_in_a_rewritten_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """f-strings and joins of a rewritten package are steps at their line."""
    source = """
        def card(phone):
            shown = f"tel:{phone};ext={1}"
            return ", ".join([shown, "x"])
    """
    (tmp_path / "traced_shop.py").write_text(textwrap.dedent(source), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    taint.install(packages=["traced_shop"], integrations=[])
    shop = importlib.import_module("traced_shop")
    with record(trace=True):
        (label,) = taint.labels_of(shop.card(collect()))
    assert [(step.function, step.line) for step in label.steps[1:]][-2:] == [
        ("traced_shop.card", 3),
        ("traced_shop.card", 4),
    ]
    assert label.steps[-1].operation == "join"


def test_told_and_written_down(spans: Any) -> None:
    """The span has the steps, and so has the audit file."""
    with record("report", trace=True) as seen:
        upload(collect().strip("+"))
    taint.telemetry.flush()
    (span,) = spans.violations
    assert [step.split(" at ")[0] for step in span.attributes["taint.steps"]] == ["label", "str.strip"]
    (flow,) = seen.violations
    again = flow_from_record(json.loads(json.dumps(flow_record(flow))))
    assert again == flow
    assert again.steps == flow.steps


def test_failure_of_a_test_shows_the_way() -> None:
    """What the plugin says has the steps; without them it says how to get them."""
    for is_on in (True, False):
        with record("report", trace=is_on) as seen:
            upload(collect().strip("+"))
        (found,) = from_data(json.loads(json.dumps(as_data([finding_of(seen.violations[0], "test_it", Path("/"))]))))
        shown = explain([found], Path("/"))
        assert ("way       1. label at " in shown) is is_on
        assert ("TAINT_TRACE=1" in shown) is not is_on


@pytest.mark.parametrize(("setting", "expected"), [("1", "True"), ("on", "True"), ("0", "False"), ("", "False")])
def test_environment_variable(setting: str, expected: str) -> None:
    """`TAINT_TRACE` switches it on for a process."""
    code = "import taint.carriers.tracing as t; print(t.is_tracing())"
    environment = os.environ | {"TAINT_TRACE": setting}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == expected


def test_environment_variable_that_means_nothing() -> None:
    """It is on or off."""
    environment = os.environ | {"TAINT_TRACE": "perhaps"}
    found = subprocess.run(
        [sys.executable, "-c", "import taint"], env=environment, capture_output=True, text=True, check=False
    )
    assert "TAINT_TRACE is neither on nor off: 'perhaps'" in found.stderr


def test_configure_switches_it() -> None:
    """`configure(trace=...)` does the same, and takes a truth value."""
    taint.configure(trace=True)
    assert is_tracing()
    taint.configure(trace=False)
    assert not is_tracing()
    with pytest.raises(taint.ConfigurationError, match="trace is neither on nor off: 'int'"):
        taint.configure(trace=1)  # type: ignore[arg-type]  # The error is the point.
