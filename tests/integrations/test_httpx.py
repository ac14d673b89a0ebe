"""httpx: requests to sinks that the policy declares, sync and async."""

from __future__ import annotations

import asyncio
import io
import ssl
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any

import httpx
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

TRUSTED = ssl.create_default_context()  # Once: making one is most of the time of making a client.


@pytest.fixture(autouse=True)
def _installed() -> None:
    taint.install(integrations=["httpx"])


class TestClient(Client):
    """`httpx.Client`."""

    raw_body = "content"

    def send(self, url: str, **given: Any) -> None:
        """Send by a client of its own."""
        if isinstance(given.get("data"), bytes):
            given["content"] = given.pop("data")
        with httpx.Client(verify=TRUSTED, cookies=given.pop("cookies", None), follow_redirects=True) as client:
            client.post(url, **given)

    def send_pieces(self, url: str, pieces: list[bytes], **given: Any) -> None:
        """Send a generator."""
        self.send(url, content=(piece for piece in pieces), **given)


class TestAsyncClient(Client):
    """`httpx.AsyncClient`."""

    raw_body = "content"

    def send(self, url: str, **given: Any) -> None:
        """Send by a client of its own, in a loop of its own."""
        if isinstance(given.get("data"), bytes):
            given["content"] = given.pop("data")

        async def run() -> None:
            async with httpx.AsyncClient(
                verify=TRUSTED, cookies=given.pop("cookies", None), follow_redirects=True
            ) as client:
                await client.post(url, **given)

        asyncio.run(run())

    def send_pieces(self, url: str, pieces: list[bytes], **given: Any) -> None:
        """Send an async generator."""

        async def generate() -> AsyncIterator[bytes]:
            for piece in pieces:
                yield piece

        self.send(url, content=generate(), **given)


def test_client_defaults(outside: Outside) -> None:
    """What a client adds to each request is checked: its parameters, headers, cookies and base address."""
    declare(f"{outside.url}/*", mode="redact")
    phone = security()
    with httpx.Client(
        base_url=outside.url, params={"a": phone}, headers={"x-b": phone}, cookies={"c": phone}
    ) as client:
        client.get("/v1/" + phone)
    received = outside.received[0]
    assert PHONE not in str(received)
    assert "14155550100" not in str(received)
    assert received.header("x-b") == REDACTED
    assert received.header("cookie") == f"c={REDACTED}"


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (lambda url, phone: httpx.URL(url + "/v1?email=" + phone), "query.email"),
        (lambda url, phone: httpx.URL(url + "/v1", params={"email": phone}), "query.email"),
        (lambda url, phone: httpx.URL(httpx.URL(url + "/users/" + phone)), "path"),
        (lambda url, phone: "http://" + phone + ":x@" + url.partition("//")[2], "host"),
    ],
)
def test_address(outside: Outside, make: Callable[[str, str], Any], path: str) -> None:
    """An address that was made before the request is checked by what it was made of."""
    declare(f"{outside.url}/*")
    httpx.get(make(outside.url, advertising()))
    with pytest.raises(taint.PurposeViolationError) as stopped:
        httpx.get(make(outside.url, security()))
    assert stopped.value.violation.path == path
    assert len(outside.received) == 1


def test_basic_authentication(outside: Outside) -> None:
    """Credentials of basic authentication are a part of the request; those that may go, go."""
    declare(f"{outside.url}/*")
    httpx.get(f"{outside.url}/v1", auth=(advertising(), "secret"))
    assert outside.received[0].header("authorization").startswith("Basic ")
    with pytest.raises(taint.PurposeViolationError) as stopped:
        httpx.get(f"{outside.url}/v1", auth=(security(), "secret"))
    assert stopped.value.violation.path == "headers.authorization"
    assert len(outside.received) == 1


def test_files(outside: Outside) -> None:
    """A part of a multipart body is replaced under the same boundary, with the length of what is sent."""
    declare(f"{outside.url}/*", mode="redact")
    httpx.post(f"{outside.url}/v1", data={"n": "1"}, files={"list": ("a.csv", security().encode())})
    received = outside.received[0]
    assert REDACTED.encode() in received.body
    assert PHONE.encode() not in received.body
    assert received.header("content-length") == str(len(received.body))
    assert received.header("content-type").partition("boundary=")[2].encode() in received.body


@pytest.mark.parametrize("is_known", [True, False])
def test_file_object(outside: Outside, is_known: bool) -> None:
    """A file is checked as it is read: what known values know of it is found, anything else goes."""
    taint.configure(known_values=True)
    try:
        security()
        declare(f"{outside.url}/*")
        if is_known:
            with pytest.raises(taint.PurposeViolationError):
                httpx.post(f"{outside.url}/v1", files={"list": ("a.csv", io.BytesIO(b"n," + PHONE.encode()))})
        else:
            httpx.post(f"{outside.url}/v1", files={"list": ("a.csv", io.BytesIO(b"n,+14155550111"))})
            assert b"+14155550111" in outside.received[0].body
    finally:
        taint.configure(known_values=False)


def test_body_that_was_read(outside: Outside) -> None:
    """An authentication that reads the body first loses none of its parts."""

    class Reads(httpx.Auth):
        requires_request_body = True

        def auth_flow(self, request: Any) -> Generator[Any, Any, None]:
            yield request

    declare(f"{outside.url}/*")
    with pytest.raises(taint.PurposeViolationError) as stopped:
        httpx.post(f"{outside.url}/v1", data={"phone": security()}, files={"a": b"a"}, auth=Reads())
    assert stopped.value.violation.path == "data.phone"
    assert outside.received == []


def test_request_that_is_not_sent(outside: Outside) -> None:
    """Making a request, and a redirect that nobody follows, is no use of data: nothing is said."""
    declare(f"{outside.url}/ads/*")
    httpx.Request("POST", f"{outside.url}/ads/v1", json={"phone": security()})
    response = httpx.post(f"{outside.url}/to?url={outside.url}/ads/v1", json={"phone": security()})
    assert response.status_code == 307


def test_request_made_before(outside: Outside) -> None:
    """A request that was made before the policy said so is checked by what it is."""
    request = httpx.Request("POST", f"{outside.url}/v1", content=security().encode(), headers={"x-a": security()})
    declare(f"{outside.url}/*")
    with httpx.Client() as client, pytest.raises(taint.PurposeViolationError) as stopped:
        client.send(request)
    assert stopped.value.violation.path == "headers.x-a"
    assert outside.received == []
