"""What test suites assert, and what Hypothesis draws for them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import taint
from taint.flows import outcome
from taint.testing import assert_labelled, assert_no_flow, expect_violation, record, recording
from taint.testing import strategies as drawn

CHECKOUT = Path(__file__).resolve().parent.parent
PHONE = "+14155550100"


@taint.sink(purpose="advertising.audiences", name="ads.upload")
def upload(rows: object) -> None:
    """Take anything."""


def phone(**more: Any) -> str:
    """Give a labelled phone number."""
    return taint.label(PHONE, **{"purpose": "security.mfa", "source": "shop.enrol", **more})


@pytest.mark.parametrize(
    ("source", "to", "is_found"),
    [
        ("shop.enrol", "ads.upload", True),
        ("shop.*", "ads.*", True),
        (None, "ads.upload", True),
        ("shop", "ads.upload", False),
        ("shop.enrol", "crm.*", False),
        ("shop.newsletter", "ads.upload", False),
    ],
)
def test_no_flow(source: str | None, to: str, is_found: bool) -> None:
    """A flow from the source to the sink fails the assertion, whether it is a violation or allowed; others do not."""
    for purpose in ("security.mfa", "advertising"):
        with record(mode="report"):
            upload([phone(purpose=purpose)])
            if not is_found:
                assert_no_flow(source=source, to=to)
                continue
            with pytest.raises(
                AssertionError, match=r"shop\.enrol .* -> ads\.upload .* by label at rows\[0\]"
            ) as error:
                assert_no_flow(source=source, to=to)
            assert PHONE not in str(error.value)


def test_no_flow_needs_a_record() -> None:
    """Where nothing is recorded the assertion cannot pass by accident."""
    with pytest.raises(LookupError, match="taint_record"):
        assert_no_flow(to="ads.upload")
    with record() as seen:
        pass
    assert_no_flow(to="ads.upload", within=seen)


@pytest.mark.parametrize("mode", ["block", "report"])
def test_expected_violation(mode: str) -> None:
    """A violation like the one expected passes, whether it raises or is told; its record is there to look into."""
    with record(mode=mode), expect_violation(sink="ads.*", source="shop.enrol", purpose="advertising") as seen:
        upload(phone())
    assert [flow.path for flow in seen.violations] == ["rows"]


@pytest.mark.parametrize(
    ("wanted", "act"),
    [
        ({}, lambda: None),
        ({}, lambda: upload(phone(purpose="advertising"))),
        ({"sink": "crm.*"}, lambda: upload(phone())),
        ({"source": "shop.newsletter"}, lambda: upload(phone())),
        ({"purpose": "security"}, lambda: upload(phone())),
        ({"evidence": "digest"}, lambda: upload(phone())),
    ],
)
def test_violation_that_does_not_come(wanted: dict[str, str], act: Callable[[], None]) -> None:
    """No violation, an allowed flow or another violation than expected fail, and say what flowed instead."""
    with (
        record(mode="report"),
        pytest.raises(AssertionError, match=r"(?s)expected a violation .*(none|-> ads\.upload)") as error,
        expect_violation(**wanted),
    ):
        act()
    assert PHONE not in str(error.value)


def test_other_errors_pass_through() -> None:
    """The program's own error, and a violation that is not the one expected, are not swallowed."""
    with pytest.raises(KeyError), expect_violation():
        raise KeyError
    with pytest.raises(taint.PurposeViolationError), expect_violation(sink="crm.*"):
        upload(phone())


@pytest.mark.parametrize(
    ("value", "wanted", "is_fine"),
    [
        (phone(), {}, True),
        (phone(), {"purpose": "security.mfa", "source": "shop.*"}, True),
        ([{"a": phone()}], {"purpose": "security.mfa"}, True),
        (phone(category="user.contact"), {"category": "user.contact"}, True),
        (phone(), {"purpose": "security"}, False),
        (phone(), {"category": "user.contact"}, False),
        (PHONE, {}, False),
        ([PHONE], {"purpose": "security.mfa"}, False),
    ],
)
def test_labelled(value: object, wanted: dict[str, str], is_fine: bool) -> None:
    """A label of the value, or of one inside it, must be as asked; the message lists labels and shows no value."""
    if is_fine:
        assert_labelled(value, **wanted)
        return
    with pytest.raises(AssertionError, match=r"but its labels are:\n  (none|purpose security\.mfa)") as error:
        assert_labelled(value, **wanted)
    assert "4155550100" not in str(error.value)


def test_nothing_is_left_behind() -> None:
    """Assertions leave no listener and no open record, also when they fail."""
    before = outcome._listeners
    with pytest.raises(AssertionError), expect_violation():
        pass
    with pytest.raises(taint.ConfigurationError), record(mode="blok"):
        pass
    assert outcome._listeners == before
    assert recording.active == []


@given(drawn.labelled_text(), drawn.labelled_bytes(), drawn.labelled_containers(drawn.labelled_text()))
def test_drawn_values_are_labelled(text: str, data: bytes, container: object) -> None:
    """Every drawn text and byte string is a carrier; a container's labels are those of what is inside."""
    assert isinstance(text, taint.TaintedStr)
    assert isinstance(data, taint.TaintedBytes)
    assert taint.labels_of(text)
    assert taint.labels_of(data)
    assert taint.labels_of(container) == union(container)


def union(value: Any) -> frozenset[taint.Label]:
    """Join the labels of all leaves, the plain way."""
    if isinstance(value, taint.TaintedStr):
        return taint.labels_of(value)
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return frozenset().union(*map(union, inside))


@given(st.data())
def test_drawn_purposes_can_be_chosen(data: st.DataObject) -> None:
    """Labels are drawn from the purposes that are asked for."""
    text = data.draw(drawn.labelled_text(st.just("x"), purpose=["crm"]))
    assert taint.labels_of(text).purposes == {"crm"}
    assert text == "x"


PROGRAM = """
import taint.testing.strategies  # First, so that Hypothesis comes for them while they import it.
from hypothesis import find, strategies as st
assert isinstance(find(st.from_type(taint.TaintedStr), bool), taint.TaintedStr)
assert isinstance(find(st.from_type(taint.Labels), bool), taint.Labels)
"""


def test_entry_point_registers_the_strategies(tmp_path: Path) -> None:
    """Hypothesis finds the strategies by their entry point, as it is declared for the distribution."""
    folder = tmp_path / "own-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: own\nVersion: 1\n")
    (folder / "entry_points.txt").write_text("[hypothesis]\ntaint = taint.testing.registration:register\n")
    path = os.pathsep.join([str(tmp_path), str(CHECKOUT)])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert (done.returncode, done.stderr) == (0, "")
