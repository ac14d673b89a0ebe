"""requests: requests to sinks that the policy declares."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import requests

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
    taint.install(integrations=["requests"])


class TestRequests(Client):
    """`requests.post`."""

    def send(self, url: str, **given: Any) -> None:
        """Send."""
        requests.post(url, timeout=10, **given)

    def send_pieces(self, url: str, pieces: list[bytes], **given: Any) -> None:
        """Send a generator; where the length is promised, a file of that length."""
        length = given.pop("headers", {}).get("Content-Length")
        if length is None:
            self.send(url, data=(piece for piece in pieces))
        else:
            self.send(url, data=Pieces(pieces, int(length)))


class Pieces:
    """A file-like body of a known length."""

    def __init__(self, pieces: list[bytes], length: int) -> None:
        self.pieces = list(pieces)
        self.len = length

    def read(self, _size: int = -1) -> bytes:
        """Give the next piece."""
        return self.pieces.pop(0) if self.pieces else b""

    def __iter__(self) -> Any:
        return iter(self.pieces)


def test_session_defaults(outside: Outside) -> None:
    """What a session adds to each request is checked: its parameters, headers and cookies."""
    declare(f"{outside.url}/*", mode="redact")
    with requests.Session() as session:
        session.params = {"a": security()}
        session.headers["x-b"] = security()
        session.cookies["c"] = security()
        session.get(f"{outside.url}/v1")
    received = outside.received[0]
    assert "14155550100" not in str(received)
    assert received.header("x-b") == REDACTED
    assert received.header("cookie") == f"c={REDACTED}"


def test_basic_authentication(outside: Outside) -> None:
    """Credentials of basic authentication are a part of the request; those that may go, go."""
    declare(f"{outside.url}/*")
    requests.get(f"{outside.url}/v1", auth=(advertising(), "secret"), timeout=10)
    assert outside.received[0].header("authorization").startswith("Basic ")
    with pytest.raises(taint.PurposeViolationError) as stopped:
        requests.get(f"{outside.url}/v1", auth=(security(), "secret"), timeout=10)
    assert stopped.value.violation.path == "headers.authorization"
    assert len(outside.received) == 1


@pytest.mark.parametrize("shape", ["bytes", "tuple", "file", "file in a tuple"])
def test_files(outside: Outside, shape: str) -> None:
    """A part of a multipart body is replaced; a file is read once, as it is without the library."""
    value: Any = security().encode()
    if "file" in shape:
        value = io.BytesIO(value)
    if "tuple" in shape:
        value = ("a.csv", value, "text/csv")
    declare(f"{outside.url}/*", mode="redact")
    requests.post(f"{outside.url}/v1", data={"n": "1"}, files={"list": value}, timeout=10)
    received = outside.received[0]
    assert REDACTED.encode() in received.body
    assert PHONE.encode() not in received.body
    assert received.header("content-length") == str(len(received.body))
    assert received.header("content-type").partition("boundary=")[2].encode() in received.body


@pytest.mark.parametrize("is_known", [True, False])
def test_file_object(outside: Outside, tmp_path: Path, is_known: bool) -> None:
    """A file that is the body is checked as it is read: what known values know is found, anything else goes."""
    taint.configure(known_values=True)
    file = tmp_path / "a.csv"
    file.write_text(PHONE if is_known else "+14155550111")
    try:
        security()
        declare(f"{outside.url}/*")
        with file.open("rb") as opened:
            if is_known:
                with pytest.raises(taint.PurposeViolationError):
                    requests.post(f"{outside.url}/v1", data=opened, timeout=10)
            else:
                requests.post(f"{outside.url}/v1", data=opened, timeout=10)
                assert outside.received[0].body == b"+14155550111"
                assert outside.received[0].header("content-length") == "12"
    finally:
        taint.configure(known_values=False)


def test_file_names_are_as_without(outside: Outside, tmp_path: Path) -> None:
    """A file that is looked at is sent under the name and with the bytes that it has without the library."""
    file = tmp_path / "a.csv"
    file.write_bytes(b"a,b\r\n")
    for _ in range(2):
        with file.open("rb") as opened:
            requests.post(f"{outside.url}/v1", files={"list": opened}, timeout=10)
        declare(f"{outside.url}/*")
    assert outside.received[0].wire == outside.received[1].wire


def test_prepared_request(outside: Outside) -> None:
    """A request that was prepared is checked when it is sent, and not before."""
    declare(f"{outside.url}/*")
    prepared = requests.Request("POST", f"{outside.url}/v1", json={"phone": security()}).prepare()
    with requests.Session() as session, pytest.raises(taint.PurposeViolationError) as stopped:
        session.send(prepared.copy())
    assert stopped.value.violation.path == "json.phone"
    assert outside.received == []


def test_body_that_was_replaced(outside: Outside) -> None:
    """Where an authentication made another body, that one is what is checked."""

    def sign(request: Any) -> Any:
        request.body = security().encode()
        return request

    declare(f"{outside.url}/*")
    with pytest.raises(taint.PurposeViolationError) as stopped:
        requests.post(f"{outside.url}/v1", json={"n": 1}, auth=sign, timeout=10)
    assert stopped.value.violation.path == "content"
    assert outside.received == []
