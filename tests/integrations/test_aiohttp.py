"""aiohttp: requests to sinks that the policy declares."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

import taint
from tests.integrations.outside import (
    PHONE,
    REDACTED,
    Client,
    Outside,
    advertising,
    declare,
    outside,
    security,
)

__all__ = ["outside"]


@pytest.fixture(autouse=True)
def _installed() -> None:
    taint.install(integrations=["aiohttp"])


def post(url: str, *, session: dict[str, Any] | None = None, **given: Any) -> None:
    """Send by a session of its own, in a loop of its own."""

    async def run() -> None:
        jar = aiohttp.CookieJar(unsafe=True)
        async with (
            aiohttp.ClientSession(cookie_jar=jar, **(session or {})) as client,
            client.post(url, **given) as response,
        ):
            await response.read()

    asyncio.run(run())


class TestSession(Client):
    """`aiohttp.ClientSession`."""

    def send(self, url: str, **given: Any) -> None:
        """Send, with several parameters of a name as aiohttp takes them."""
        post(url, **given)

    def send_pieces(self, url: str, pieces: list[bytes], **given: Any) -> None:
        """Send an async generator."""

        async def generate() -> AsyncIterator[bytes]:
            for piece in pieces:
                yield piece

        self.send(url, data=generate(), **given)


def test_session_defaults(outside: Outside) -> None:
    """What a session adds to each request is checked: its headers, cookies and base address."""
    declare(f"{outside.url}/*", mode="redact")
    session = {"base_url": outside.url, "headers": {"x-b": security()}, "cookies": {"c": security()}}
    post("/v1/" + security(), session=session)
    received = outside.received[0]
    assert "14155550100" not in str(received)
    assert received.header("x-b") == REDACTED
    assert REDACTED in received.header("cookie")


@pytest.mark.skipif(not hasattr(aiohttp, "encode_basic_auth"), reason="came with aiohttp 3.13")
def test_basic_authentication(outside: Outside) -> None:
    """Credentials of basic authentication are a part of the request; those that may go, go."""
    declare(f"{outside.url}/*")
    post(f"{outside.url}/v1", headers={"Authorization": aiohttp.encode_basic_auth(advertising(), "secret")})
    assert outside.received[0].header("authorization").startswith("Basic ")
    with pytest.raises(taint.PurposeViolationError) as stopped:
        post(f"{outside.url}/v1", headers={"Authorization": aiohttp.encode_basic_auth(security(), "secret")})
    assert stopped.value.violation.path == "headers.authorization"
    assert len(outside.received) == 1


def form(phone: Any) -> Any:
    """Give a multipart form."""
    fields = aiohttp.FormData()
    fields.add_field("phone", phone)
    fields.add_field("n", "1")
    fields.add_field("list", b"n," + phone.encode(), filename="a.csv")
    return fields


def test_form(outside: Outside) -> None:
    """Each field of a multipart form is checked, and replaced in mode `redact`."""
    declare(f"{outside.url}/*")
    post(f"{outside.url}/v1", data=form(advertising()))
    assert outside.received[0].body.count(PHONE.encode()) == 2
    with pytest.raises(taint.PurposeViolationError) as stopped:
        post(f"{outside.url}/v1", data=form(security()))
    assert stopped.value.violation.path == "data.phone"
    declare(f"{outside.url}/*", mode="redact")
    post(f"{outside.url}/v1", data=form(security()))
    assert outside.received[1].body.count(REDACTED.encode()) == 2
    assert PHONE.encode() not in outside.received[1].body


@pytest.mark.parametrize("is_known", [True, False])
def test_file_object(outside: Outside, is_known: bool) -> None:
    """A file is checked as it is read: what known values know of it is found, anything else goes."""
    taint.configure(known_values=True)
    try:
        security()
        declare(f"{outside.url}/*")
        if is_known:
            with pytest.raises(taint.PurposeViolationError):
                post(f"{outside.url}/v1", data=io.BytesIO(PHONE.encode()))
        else:
            post(f"{outside.url}/v1", data=io.BytesIO(b"+14155550111"))
            assert outside.received[0].body == b"+14155550111"
    finally:
        taint.configure(known_values=False)


@pytest.mark.parametrize("given", [security, advertising])
def test_multipart_writer(outside: Outside, given: Any) -> None:
    """A body that is put together by hand is checked as it is sent."""

    async def run() -> None:
        with aiohttp.MultipartWriter() as writer:
            writer.append("n")
            writer.append(given().encode())
        async with aiohttp.ClientSession() as client, client.post(f"{outside.url}/v1", data=writer):
            pass

    declare(f"{outside.url}/*")
    if given is advertising:
        asyncio.run(run())
        assert PHONE.encode() in outside.received[0].body
    else:
        with pytest.raises(taint.PurposeViolationError):
            asyncio.run(run())
