"""logging: records of loggers that the policy declares, and the redacting filter."""

from __future__ import annotations

import io
import json
import logging
import operator
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import taint
from taint.integrations.logging import RedactingFilter
from taint.testing import record
from tests.integrations.outside import PHONE, REDACTED, advertising, security


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the handler of the logger `ads.audiences` writes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s %(user)s", defaults={"user": "-"}))
    logger = logging.getLogger("ads.audiences")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    taint.install(integrations=["logging"])
    yield stream
    logger.removeHandler(handler)
    logger.propagate = True


def declare(mode: str = "block", *names: str) -> None:
    """Put a policy in force in which loggers are a sink for advertising."""
    at = {"logger": list(names or ("ads.*",))}
    taint.configure(policy={"sinks": {"ads.log": {"purpose": "advertising", "at": at}}}, mode=mode)


def joined(*pieces: str) -> str:
    """Put pieces together as a program does that asks each for its labels."""
    return operator.add(*pieces)  # type: ignore[no-any-return]  # Of texts.


def _fail(phone: str) -> None:
    raise ValueError(phone)


def _fail_again(phone: str) -> None:
    try:
        _fail(phone)
    except ValueError as error:
        raise LookupError from error


def _raise(log: Any, phone: str) -> None:
    try:
        _fail_again(phone)
    except LookupError:
        log.exception("failed")


CALLS: list[tuple[str, Callable[[Any, str], None], str]] = [
    ("message", lambda log, phone: log.info(joined("call ", phone)), "msg"),
    ("argument", lambda log, phone: log.info("call %s at %d", phone, 7), "args[0]"),
    ("mapping", lambda log, phone: log.info("call %(phone)s", {"phone": phone}), "args.phone"),
    ("object in the message", lambda log, phone: log.info({"phone": phone}), "msg.phone"),
    ("extra", lambda log, phone: log.info("call", extra={"user": phone}), "user"),
    ("exception behind an exception", _raise, "exception[1][0]"),
]


@pytest.mark.parametrize(("call", "path"), [row[1:] for row in CALLS], ids=[row[0] for row in CALLS])
class TestSink:
    """A declared logger is a sink, in every part of a record."""

    def test_block(self, written: io.StringIO, call: Callable[[Any, str], None], path: str) -> None:
        """What the log may not have is stopped before any handler has it, and the path names the part."""
        declare()
        with pytest.raises(taint.PurposeViolationError) as stopped:
            call(logging.getLogger("ads.audiences"), security())
        assert stopped.value.violation.path == path
        assert stopped.value.violation.sink == "ads.log"
        assert written.getvalue() == ""

    def test_safe_twin(self, written: io.StringIO, call: Callable[[Any, str], None], path: str) -> None:
        """What the log may have is written as a plain value is."""
        call(logging.getLogger("ads.audiences"), PHONE)
        plain = written.getvalue()
        declare()
        written.seek(0)
        written.truncate()
        with record() as seen:
            call(logging.getLogger("ads.audiences"), advertising())
        assert written.getvalue() == plain
        assert PHONE in plain
        assert seen.violations == []

    def test_redact(self, written: io.StringIO, call: Callable[[Any, str], None], path: str) -> None:
        """In mode `redact` every handler has the record with the labelled ranges replaced."""
        declare("redact")
        with record() as seen:
            call(logging.getLogger("ads.audiences"), security())
        assert REDACTED in written.getvalue()
        assert PHONE not in written.getvalue()
        assert [flow.path for flow in seen.violations] == [path]

    def test_filter(self, written: io.StringIO, call: Callable[[Any, str], None], path: str) -> None:
        """Without a policy, the redacting filter of a handler replaces them too, and says nothing."""
        handler = logging.getLogger("ads.audiences").handlers[0]
        handler.addFilter(RedactingFilter())
        with record() as seen:
            call(logging.getLogger("ads.audiences"), security())
        assert REDACTED in written.getvalue()
        assert PHONE not in written.getvalue()
        assert seen.flows == []

    def test_filter_with_a_purpose(self, written: io.StringIO, call: Callable[[Any, str], None], path: str) -> None:
        """A filter with a purpose lets through what that purpose allows."""
        handler = logging.getLogger("ads.audiences").handlers[0]
        handler.addFilter(RedactingFilter("advertising"))
        call(logging.getLogger("ads.audiences"), advertising())
        assert PHONE in written.getvalue()
        call(logging.getLogger("ads.audiences"), security())
        assert REDACTED in written.getvalue()


def test_report(written: io.StringIO) -> None:
    """In mode `report` the line is written as it is, and the violation is told."""
    declare("report")
    with record(mode="report") as seen:
        logging.getLogger("ads.audiences").info("call %s", security())
    assert PHONE in written.getvalue()
    assert len(seen.violations) == 1


def test_other_loggers_are_no_sinks(written: io.StringIO) -> None:
    """A logger that nobody declared, and a record that nobody handles, is no sink."""
    declare("block", "crm.*")
    with record() as seen:
        logging.getLogger("ads.audiences").info("call %s", security())
        declare()
        logging.getLogger("ads.audiences").debug("call %s", security())
    assert PHONE in written.getvalue()
    assert seen.flows == []


def test_own_messages_are_not_checked(caplog: pytest.LogCaptureFixture) -> None:
    """What the library says itself never leads to a check of what it says."""
    taint.install(integrations=["logging"])
    declare("block", "*")
    logging.getLogger("taint").warning("of %s", security())
    assert "of " in caplog.text


def test_filter_never_breaks_a_line() -> None:
    """What nothing can stand for is written as the stand-in, in the place that the message has for it."""

    class Odd:
        def __init__(self) -> None:
            self.phone = security()

        def __str__(self) -> str:
            return str(self.phone)

    made = logging.makeLogRecord({"msg": "%s and %s", "args": (Odd(), 7)})
    assert RedactingFilter().filter(made)
    assert PHONE not in made.getMessage()
    assert made.getMessage().endswith("and 7")


def test_json_lines(written: io.StringIO) -> None:
    """A handler that writes documents has the redacted fields too."""

    class Lines(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return json.dumps({"message": record.getMessage(), "user": vars(record).get("user")})

    logging.getLogger("ads.audiences").handlers[0].setFormatter(Lines())
    declare("redact")
    logging.getLogger("ads.audiences").info("call %s", security(), extra={"user": security()})
    assert json.loads(written.getvalue()) == {"message": f"call {REDACTED}", "user": REDACTED}
