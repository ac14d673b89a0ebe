"""aiosmtplib: mails to recipients that the policy declares, sent to a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("aiosmtplib", reason="the extra 'aiosmtplib' is not installed")

import aiosmtplib

import taint
from taint.testing import record
from tests.integrations.outside import PHONE, REDACTED, advertising, security
from tests.integrations.test_smtplib import ADS, SHOP, Server, declare, modern, older, server

__all__ = ["server"]


@pytest.fixture(autouse=True)
def _installed(server: Server) -> None:
    taint.uninstall()
    taint.install(integrations=["aiosmtplib"])


def send(server: Server, message: Any, **given: Any) -> None:
    """Send a message by a client of its own."""

    async def run() -> None:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=server.port, timeout=10) as client:
            await client.send_message(message, **given)

    asyncio.run(run())


def send_text(server: Server, phone: str) -> None:
    """Send text."""

    async def run() -> None:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=server.port, timeout=10) as client:
            await client.sendmail(SHOP, [ADS], "Subject: List\r\n\r\nCall " + phone)

    asyncio.run(run())


def send_by_function(server: Server, phone: str) -> None:
    """Send by the function of the module."""
    asyncio.run(aiosmtplib.send(modern(phone), hostname="127.0.0.1", port=server.port, timeout=10))


WAYS: list[tuple[str, Callable[[Server, str], None], str]] = [
    ("modern", lambda server, phone: send(server, modern(phone)), "body"),
    ("parts", lambda server, phone: send(server, older(phone)), "parts[2].body"),
    ("text", send_text, "message"),
    ("function", send_by_function, "body"),
]


@pytest.mark.parametrize(("way", "path"), [row[1:] for row in WAYS], ids=[row[0] for row in WAYS])
class TestSink:
    """A declared recipient is a sink, by every way to send."""

    def test_block(self, server: Server, way: Callable[[Server, str], None], path: str) -> None:
        """A mail that the recipient may not have is not sent."""
        declare()
        with pytest.raises(taint.PurposeViolationError) as stopped:
            way(server, security())
        assert stopped.value.violation.path == path
        assert server.mails == []

    def test_safe_twin(self, server: Server, way: Callable[[Server, str], None], path: str) -> None:
        """What the recipient may have arrives, without a finding."""
        declare()
        with record() as seen:
            way(server, advertising())
        assert PHONE in server.text
        assert seen.violations == []

    def test_report_and_redact(self, server: Server, way: Callable[[Server, str], None], path: str) -> None:
        """In mode `report` it arrives, and the violation is told once; in mode `redact` the part is replaced."""
        declare("report")
        with record(mode="report") as seen:
            way(server, security())
        assert [flow.path for flow in seen.violations] == [path]
        server.mails.clear()
        declare("redact")
        way(server, security())
        assert REDACTED in server.text
        assert PHONE not in server.text


def test_other_recipients_are_no_sinks(server: Server) -> None:
    """A recipient that nobody declared is no sink, and one of several is enough to be one."""
    declare()
    with record() as seen:
        send(server, modern(security()), recipients=[SHOP])
    assert len(server.mails) == 1
    assert seen.flows == []
    with pytest.raises(taint.PurposeViolationError):
        send(server, modern(security()), recipients=[SHOP, ADS])
    assert len(server.mails) == 1


def test_errors_are_native(server: Server) -> None:
    """What the library refuses is refused as before."""
    declare()
    with pytest.raises(TypeError, match="positional argument"):
        asyncio.run(aiosmtplib.SMTP().sendmail(SHOP))  # type: ignore[call-arg]  # What is tested.
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        asyncio.run(aiosmtplib.SMTP().send_message(modern(advertising())))
