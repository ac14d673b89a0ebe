"""structlog: events of loggers that the policy declares, and the redacting processor."""

from __future__ import annotations

import io
import json
import operator
from typing import Any

import pytest
import structlog

import taint
from taint.integrations.structlog import RedactingProcessor
from taint.testing import record
from tests.integrations.outside import PHONE, REDACTED, advertising, security


@pytest.fixture(autouse=True)
def _installed() -> None:
    taint.install(integrations=["structlog"])


def logger(stream: io.StringIO, *processors: Any, **bound: Any) -> Any:
    """Give a logger that writes JSON lines."""
    return structlog.wrap_logger(
        structlog.PrintLogger(stream),
        processors=[*processors, structlog.processors.JSONRenderer()],
    ).bind(**bound)


def declare(mode: str = "block") -> None:
    """Put a policy in force in which a logger is a sink for advertising."""
    sinks = {"ads.log": {"purpose": "advertising", "at": {"logger": ["ads.*"]}}}
    taint.configure(policy={"sinks": sinks}, mode=mode)


CALLS = [
    ("event", lambda log, phone: log.info(operator.add("call ", phone)), "event"),
    ("field", lambda log, phone: log.info("call", user={"phone": phone}), "user.phone"),
    ("bound", lambda log, phone: log.bind(phone=phone).info("call"), "phone"),
]


@pytest.mark.parametrize(("call", "path"), [row[1:] for row in CALLS], ids=[row[0] for row in CALLS])
@pytest.mark.parametrize("mode", ["block", "report", "redact"])
def test_sink(call: Any, path: str, mode: str) -> None:
    """A declared logger is a sink: stopped, told or replaced; the safe twin is written."""
    stream = io.StringIO()
    log = logger(stream, logger="ads.audiences")
    declare(mode)
    with record() as seen:
        call(log, advertising())
        assert PHONE in stream.getvalue()
        assert seen.violations == []
        stream.truncate(0)
        if mode == "block":
            with pytest.raises(taint.PurposeViolationError):
                call(log, security())
            assert stream.getvalue() == ""
        else:
            call(log, security())
            assert (PHONE in stream.getvalue()) is (mode == "report")
            assert (REDACTED in stream.getvalue()) is (mode == "redact")
    assert [flow.path for flow in seen.violations] == [path]


def test_other_loggers_are_no_sinks() -> None:
    """A logger that nobody declared is no sink."""
    stream = io.StringIO()
    declare()
    with record() as seen:
        logger(stream, logger="crm").info("call", phone=security())
        logger(stream).info("call", phone=security())
    assert stream.getvalue().count(PHONE) == 2
    assert seen.flows == []


def test_redacting_processor() -> None:
    """The processor replaces labelled ranges, and what a purpose allows stays, whatever renders the event."""
    stream = io.StringIO()
    logger(stream, RedactingProcessor("advertising")).info("to " + security(), a=advertising(), b=[security()], n=1)
    assert json.loads(stream.getvalue()) == {"event": f"to {REDACTED}", "a": PHONE, "b": [REDACTED], "n": 1}
