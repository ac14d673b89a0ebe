"""WebSockets of aiohttp, client and server: messages to sinks, and messages that are collected."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

import taint
from taint.flows.requests import Table
from taint.integrations.aiohttp import AiohttpIntegration
from taint.testing import record
from tests.integrations.outside import PHONE, REDACTED, advertising, declare, plain, security

MFA = taint.Collected("security.mfa")
OPS = taint.Collected("service.operations")

Talk = Callable[[Any], Awaitable[Any]]


def converse(talk: Talk, *, scheme: str = "http", echo: bool = False, collected: Table | None = None) -> list[Any]:
    """Talk to a server of this process by a WebSocket; gives what it received, the data of each message."""
    taint.install(integrations=[AiohttpIntegration(collected=collected, subject=lambda request: request.query["u"])])
    received: list[Any] = []

    async def chat(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            received.append(message.data)
            if echo:
                await socket.send_json({"echo": message.data})
        return socket

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/chat/{room}", chat)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(f"{scheme}://{host}:{port}/chat/7?u=somebody") as socket,
            ):
                await talk(socket)
        finally:
            await runner.cleanup()

    asyncio.run(run())
    return received


SENDS: dict[str, Callable[[Any, str], Awaitable[None]]] = {
    "text": lambda socket, phone: socket.send_str("to " + phone),
    "by name": lambda socket, phone: socket.send_str(data="to " + phone),
    "json": lambda socket, phone: socket.send_json({"id": 7, "phone": phone}),
    "bytes": lambda socket, phone: socket.send_bytes(b"to " + phone.encode()),
    "frame": lambda socket, phone: socket.send_frame(b"to " + phone.encode(), aiohttp.WSMsgType.TEXT),
}


@pytest.mark.parametrize("scheme", ["http", "ws"])
@pytest.mark.parametrize("send", SENDS.values(), ids=SENDS)
class TestSink:
    """Messages to a declared address are checked before they are sent."""

    def test_block(self, send: Any, scheme: str) -> None:
        """What may not be sent is not."""

        async def talk(socket: Any) -> None:
            await socket.send_str("first")
            with pytest.raises(taint.PurposeViolationError) as stopped:
                await send(socket, security())
            assert stopped.value.violation.path.startswith("messages[1]")

        declare("ws://127.0.0.1:*/*")
        assert converse(talk, scheme=scheme) == ["first"]

    def test_safe_twin(self, send: Any, scheme: str) -> None:
        """What may be sent is, as a plain value is, and so is everything to an address that is no sink."""

        async def talk(socket: Any) -> None:
            await send(socket, advertising())
            await send(socket, plain())

        declare("ws://127.0.0.1:*/*")
        with record() as seen:
            first, second = converse(talk, scheme=scheme)
        assert first == second
        assert PHONE in str(first)
        assert seen.violations == seen.gaps == []

    def test_redact(self, send: Any, scheme: str) -> None:
        """In mode `redact` the stand-in is sent."""
        declare("ws://127.0.0.1:*/*", mode="redact")
        (received,) = converse(lambda socket: send(socket, security()), scheme=scheme)
        assert REDACTED in str(received)
        assert PHONE not in str(received)


def test_other_addresses_are_no_sinks() -> None:
    """A message to an address that nobody declared is no sink's."""
    declare("ws://ads.example/*")
    with record() as seen:
        assert converse(lambda socket: socket.send_str(security())) == [PHONE]
    assert seen.flows == []


def test_messages_that_a_server_receives() -> None:
    """Messages are labelled: of JSON which leaf, of others all; with the route, and whose request it was."""

    async def talk(socket: Any) -> None:
        await socket.send_str("hello")
        await socket.send_json({"phone": "+1", "text": "b"})
        await socket.send_bytes(b"raw")

    table: Table = {"WEBSOCKET /chat/{room}": {"phone": MFA, "body:*": OPS}}
    words, document, raw = converse(talk, collected=table)
    value = json.loads(document)
    assert (words, value, raw) == ("hello", {"phone": "+1", "text": "b"}, b"raw")
    assert [taint.labels_of(one).purposes for one in (words, value["phone"], value["text"], raw)] == [
        {"service.operations"},
        {"security.mfa"},
        {"service.operations"},
        {"service.operations"},
    ]
    (label,) = taint.labels_of(value["phone"])
    assert (label.source, label.subject) == ("WEBSOCKET /chat/{room} body:phone", "somebody")


def test_messages_that_are_collected_for_nothing() -> None:
    """Without a rule for the route a message is the native one."""
    (received,) = converse(lambda socket: socket.send_str("hello"), collected={"GET /chat/{room}": {"*": MFA}})
    assert type(received) is str


def test_answers_lose_labels() -> None:
    """What a server answers arrives as it was written; its labels are counted as lost."""
    answers = []

    async def talk(socket: Any) -> None:
        await socket.send_str("hello")
        answers.append(await socket.receive_json())

    converse(talk, echo=True, collected={"WEBSOCKET /chat/{room}": {"body:*": OPS}})
    assert answers == [{"echo": "hello"}]
    assert not taint.labels_of(answers)
    assert taint.losses.counts()["websocket messages"] == 1


@pytest.mark.parametrize(("make", "gaps"), [(security, 1), (plain, 0)])
def test_to_our_own_hosts(make: Callable[[], str], gaps: int) -> None:
    """Labels that go to one of our own hosts without an envelope are a gap; a message without labels is none."""
    taint.configure(policy={"envelopes": {"hosts": ["127.0.0.1:*"]}})
    with record() as seen:
        converse(lambda socket: socket.send_str(make()))
    assert [gap.rule for gap in seen.gaps] == ["envelope-unfollowed"] * gaps


def test_errors_are_native() -> None:
    """What the library refuses is refused as before."""

    async def talk(socket: Any) -> None:
        for send, value in ((socket.send_str, b"x"), (socket.send_bytes, "x"), (socket.send_str, 7)):
            with pytest.raises(TypeError, match="data argument must be"):
                await send(value)

    assert converse(talk) == []
