"""smtplib: mails to recipients that the policy declares, sent to a real server."""

from __future__ import annotations

import email
import email.policy
import smtplib
import socket
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any

import pytest
from aiosmtpd.controller import Controller

import taint
from taint.testing import record
from tests.integrations.outside import PHONE, REDACTED, advertising, security

ADS = "audiences@ads.example"
SHOP = "help@shop.example"


class Server:
    """Keeps what it gets."""

    def __init__(self) -> None:
        self.mails: list[Any] = []
        self.port = 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  # As aiosmtpd calls it.
        """Take a mail."""
        self.mails.append(envelope)
        return "250 OK"

    @property
    def text(self) -> str:
        """All that came, decoded."""
        found = []
        for envelope in self.mails:
            message = email.message_from_bytes(envelope.content, policy=email.policy.default)
            found += [str(value) for value in message.values()]
            found += [str(part.get_content()) for part in message.walk() if not part.is_multipart()]
        return "\n".join(found)


@pytest.fixture
def server() -> Iterator[Server]:
    """A running server."""
    taken = Server()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        taken.port = free.getsockname()[1]
    controller = Controller(taken, hostname="127.0.0.1", port=taken.port)
    controller.start()
    taint.install(integrations=["smtplib"])
    yield taken
    controller.stop()


def declare(mode: str = "block") -> None:
    """Put a policy in force in which recipients are a sink for advertising."""
    sinks = {"ads.mail": {"purpose": "advertising", "at": {"mail": ["*@ads.example"]}}}
    taint.configure(policy={"sinks": sinks}, mode=mode)


def modern(phone: str, *, subject: str = "List") -> EmailMessage:
    """Give a message as the language makes them now."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = SHOP, ADS, subject
    message.set_content("Call " + phone)
    return message


def older(phone: str) -> MIMEMultipart:
    """Give a message of two parts as they were made before."""
    message = MIMEMultipart()
    message["From"], message["To"], message["Subject"] = SHOP, ADS, "List"
    message.attach(MIMEText("Dear all", "plain"))
    message.attach(MIMEText("<p>" + phone + "</p>", "html", "utf-8"))
    return message


def send(server: Server, message: Any, **given: Any) -> None:
    """Send a message."""
    with smtplib.SMTP("127.0.0.1", server.port, timeout=10) as client:
        client.send_message(message, **given)


def send_text(server: Server, phone: str) -> None:
    """Send text."""
    with smtplib.SMTP("127.0.0.1", server.port, timeout=10) as client:
        client.sendmail(SHOP, [ADS], "Subject: List\r\n\r\nCall " + phone)


WAYS: list[tuple[str, Callable[[Server, str], None], str]] = [
    ("modern", lambda server, phone: send(server, modern(phone)), "body"),
    ("parts", lambda server, phone: send(server, older(phone)), "parts[2].body"),
    ("text", send_text, "message"),
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
        """What the recipient may have arrives byte for byte as a plain value does."""
        way(server, PHONE)
        declare()
        with record() as seen:
            way(server, advertising())
        plain, labelled = (envelope.content for envelope in server.mails)
        assert _without_boundary(plain) == _without_boundary(labelled)
        assert PHONE in server.text
        assert seen.violations == []

    def test_report(self, server: Server, way: Callable[[Server, str], None], path: str) -> None:
        """In mode `report` it arrives, and the violation is told once."""
        declare("report")
        with record(mode="report") as seen:
            way(server, security())
        assert PHONE in server.text
        assert [flow.path for flow in seen.violations] == [path]

    def test_redact(self, server: Server, way: Callable[[Server, str], None], path: str) -> None:
        """In mode `redact` the part is replaced, and the mail can be read."""
        declare("redact")
        way(server, security())
        assert REDACTED in server.text
        assert PHONE not in server.text


def _without_boundary(content: bytes) -> bytes:
    boundary = email.message_from_bytes(content).get_boundary() or "-"
    return content.replace(boundary.encode(), b"-")


def test_other_recipients_are_no_sinks(server: Server) -> None:
    """A recipient that nobody declared is no sink, and one of several is enough to be one."""
    declare()
    with record() as seen:
        send(server, modern(security()), to_addrs=[SHOP])
    assert len(server.mails) == 1
    assert seen.flows == []
    with pytest.raises(taint.PurposeViolationError):
        send(server, modern(security()), to_addrs=[SHOP, "Ads <Audiences@ADS.example>"])
    assert len(server.mails) == 1


def test_header(server: Server) -> None:
    """A header is a part of a mail."""
    declare()
    with pytest.raises(taint.PurposeViolationError):
        send(server, modern("nobody", subject="Call " + security()))
    declare("redact")
    send(server, modern("nobody", subject="Call " + security()))
    assert PHONE not in server.text


def test_recipient_itself(server: Server) -> None:
    """An address that was collected for something else is used by writing to it; nothing can stand for it."""
    address = taint.label("ann@ads.example", purpose="security.mfa")
    for mode in ("block", "redact"):
        declare(mode)
        with pytest.raises(taint.PurposeViolationError) as stopped:
            send(server, modern("nobody"), to_addrs=[address])
        assert stopped.value.violation.path == "to[0]"
    assert server.mails == []


@pytest.mark.parametrize("is_known", [True, False])
def test_known_values(server: Server, is_known: bool) -> None:
    """An unlabelled copy is found in a part as it reads, also where it is sent in base64."""
    taint.configure(known_values=True)
    try:
        security()
        declare()
        message = older(PHONE if is_known else "+14155550111")
        if is_known:
            with pytest.raises(taint.PurposeViolationError) as stopped:
                send(server, message)
            assert stopped.value.violation.evidence == "content"
        else:
            send(server, message)
    finally:
        taint.configure(known_values=False)
