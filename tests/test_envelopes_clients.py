"""What httpx, requests and aiohttp send to our own hosts and read from them carries its labels; others get none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import httpx
import pytest
import requests

import taint
from taint.envelopes.asgi import EnvelopeMiddleware
from taint.envelopes.facts import DISTRUSTED
from taint.envelopes.http import HEADER
from taint.envelopes.keys import EnvelopeKeys, set_keys
from taint.testing import record
from tests.servers import serving_asgi

KEYS = EnvelopeKeys({"k1": bytes(range(32))})
PHONE = "+14155550100"

Reply = tuple[bytes, str, Any]
"""The body of an answer, its text, and what is loaded from it where it is JSON."""


class Service:
    """A service without a framework: takes note of what it gets, and answers with it, or sends elsewhere."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.envelopes: list[str | None] = []
        self.elsewhere = ""
        self.answer: bytes | None = None
        self.answer_headers: list[tuple[bytes, bytes]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle a request."""
        message = await receive()
        body = message["body"]
        found = dict(scope["headers"]).get(HEADER.lower().encode())
        self.bodies.append(body)
        self.envelopes.append(None if found is None else found.decode())
        headers = [(b"content-type", b"application/json"), *self.answer_headers]
        status = 200
        if scope["path"] == "/redirect":
            status, headers, body = 307, [(b"location", self.elsewhere.encode())], b""
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body if self.answer is None else self.answer})


@pytest.fixture
def service() -> Service:
    """What is served."""
    return Service()


@pytest.fixture
def url(service: Service) -> Iterator[str]:
    """Its address, on one of our own hosts; `localhost` is the same one as somebody else's."""
    before = set_keys(KEYS)
    taint.configure(policy={"envelopes": {"hosts": ["127.0.0.1:*"]}})
    taint.install(integrations=["httpx", "requests", "aiohttp", "simplejson"])  # requests prefers simplejson.
    with serving_asgi(EnvelopeMiddleware(service)) as address:
        yield address
    set_keys(before)


def phone() -> str:
    """A labelled number."""
    return taint.label(PHONE, purpose="security.mfa", source="enrolment")


def _loaded(load: Callable[[], Any]) -> Any:
    try:
        return load()
    except ValueError:
        return None


def with_httpx(url: str, **body: Any) -> Reply:
    """Ask with httpx."""
    with httpx.Client(follow_redirects=True) as client:
        response = client.post(url, **body)
        return response.content, response.text, _loaded(response.json)


def with_async_httpx(url: str, **body: Any) -> Reply:
    """Ask with httpx, asynchronously."""

    async def ask() -> Reply:
        async with httpx.AsyncClient(follow_redirects=True) as client:
            response = await client.post(url, **body)
            return response.content, response.text, _loaded(response.json)

    return asyncio.run(ask())


def with_requests(url: str, **body: Any) -> Reply:
    """Ask with requests."""
    with requests.Session() as session:
        body = {"data" if name == "content" else name: value for name, value in body.items()}
        response = session.post(url, timeout=20, **body)
        return response.content, response.text, _loaded(response.json)


def with_aiohttp(url: str, **body: Any) -> Reply:
    """Ask with aiohttp."""

    async def ask() -> Reply:
        given = {"data" if name == "content" else name: value for name, value in body.items()}
        async with aiohttp.ClientSession() as session, session.post(url, **given) as response:
            content, text = await response.read(), await response.text()
            try:
                return content, text, await response.json()
            except ValueError:
                return content, text, None

    return asyncio.run(ask())


CLIENTS = {
    "httpx": with_httpx,
    "async httpx": with_async_httpx,
    "requests": with_requests,
    "aiohttp": with_aiohttp,
}
each_client = pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
Client = Callable[..., Reply]


@each_client
def test_json(service: Service, url: str, client: Client) -> None:
    """The leaves of a JSON body carry their labels on the other side, and again in what is answered."""
    given = {"id": 7, "name": "Ä", "rows": [{"phone": phone()}]}
    with record() as seen:
        content, text, loaded = client(url, json=given)
    assert seen.gaps == []
    (body,) = service.bodies
    assert [body[one.start : one.stop] for one in taint.ranges_of(body)] == [PHONE.encode()]
    labels = taint.labels_of(given)
    assert taint.labels_of(body) == taint.labels_of(content) == taint.labels_of(text) == labels
    assert loaded == given
    assert taint.labels_of(loaded["rows"][0]["phone"]) == labels
    assert not taint.labels_of(loaded["name"])


@each_client
@pytest.mark.parametrize("form", [{"data": {"phone": PHONE, "id": "7"}}, {"content": b"number: " + PHONE.encode()}])
def test_other_bodies(service: Service, url: str, client: Client, form: dict[str, Any]) -> None:
    """A form, or text, is labelled too: where the text is as it was given, else as a whole."""
    ((name, value),) = form.items()
    labelled: Any = {**value, "phone": phone()} if isinstance(value, dict) else b"number: " + phone().encode()
    client(url, **{name: labelled})
    client(url, **form)
    labelled_body, plain_body = service.bodies
    assert labelled_body == plain_body
    assert taint.labels_of(labelled_body) == taint.labels_of(labelled)
    assert not taint.labels_of(plain_body)


@each_client
def test_nothing_labelled(service: Service, url: str, client: Client) -> None:
    """The safe twin: an unlabelled body has an envelope that says so, and nothing becomes labelled."""
    with record() as seen:
        content, text, loaded = client(url, json={"phone": PHONE})
        client(url)
    assert seen.gaps == []
    assert not taint.labels_of((content, text, loaded, service.bodies))
    assert None not in service.envelopes


@each_client
def test_foreign_host(service: Service, url: str, client: Client) -> None:
    """To a host that is not ours no label goes, not even in a header that somebody put there."""
    with record() as seen:
        client(url.replace("127.0.0.1", "localhost"), json={"phone": phone()}, headers={HEADER: "1.k1.e30.AAAA"})
    assert service.envelopes == [None]
    assert not taint.labels_of(service.bodies)
    assert seen.gaps == []


@each_client
def test_redirected_to_a_foreign_host(service: Service, url: str, client: Client) -> None:
    """Where one of our hosts sends a client elsewhere, the envelope does not go along; within our hosts it does."""
    service.elsewhere = url.replace("127.0.0.1", "localhost") + "/"
    client(url + "/redirect", json={"phone": phone()})
    assert [envelope is None for envelope in service.envelopes] == [False, True]
    service.elsewhere = url + "/"
    client(url + "/redirect", json={"phone": phone()})
    assert service.envelopes[-1] is not None
    assert taint.labels_of(service.bodies[-1]).purposes == {"security.mfa"}


@each_client
def test_answer_of_a_foreign_host(service: Service, url: str, client: Client) -> None:
    """An envelope that a foreign host sends is not looked at; a forged one of our own adds a label and is one gap."""
    service.answer = b'{"phone": "x"}'
    forged = "1.k1." + "eyJiIjoiIiwibCI6W3sicCI6WyJzZWN1cml0eS5tZmEiXX1dLCJwIjpbWyIiLFswXV1dfQ" + "." + "A" * 43
    service.answer_headers = [(HEADER.lower().encode(), forged.encode())]
    with record() as seen, serving_asgi(service) as bare:
        foreign = client(bare.replace("127.0.0.1", "localhost"))
        assert seen.gaps == []
        own = client(bare)
    assert not taint.labels_of(foreign)
    assert {label.source for label in taint.labels_of(own[2])} == {DISTRUSTED}
    assert [gap.rule for gap in seen.gaps] == ["envelope-forged"]


@each_client
def test_no_key(service: Service, url: str, client: Client) -> None:
    """Without a key a labelled body is sent without labels, which is a gap; an unlabelled one is no gap."""
    set_keys(EnvelopeKeys({}))
    with record() as seen:
        client(url, json={"phone": PHONE})
        assert seen.gaps == []
        client(url, json={"phone": phone()})
    assert service.envelopes == [None, None]
    assert [gap.rule for gap in seen.gaps] == ["envelope-no-key"]


@each_client
def test_off(service: Service, url: str, client: Client) -> None:
    """In mode `off` nothing is sent along."""
    with record(mode="off"):
        client(url, json={"phone": phone()})
    assert service.envelopes == [None]


def test_body_that_is_made_as_it_is_sent(service: Service, url: str) -> None:
    """Such a body has no envelope, which is no gap on the other side; that labels are lost is counted where known."""

    def pieces() -> Iterator[bytes]:
        yield b"number: "
        yield phone().encode()

    with record() as seen, httpx.Client() as client:
        client.post(url, content=pieces())
        client.post(url, files={"list": ("a.txt", phone().encode())})
    requests.post(url, data=pieces(), timeout=20)
    assert service.envelopes == [None] * 3
    assert seen.gaps == []
    assert taint.losses.counts()["http request sent in pieces"] == 1


def httpx_pieces(url: str, name: str, **body: Any) -> list[Any]:
    """Read an answer in pieces with httpx."""
    with httpx.Client() as client, client.stream("POST", url, **body) as response:
        return list(getattr(response, name)())


def async_httpx_pieces(url: str, name: str, **body: Any) -> list[Any]:
    """Read an answer in pieces with httpx, asynchronously."""

    async def ask() -> list[Any]:
        async with httpx.AsyncClient() as client, client.stream("POST", url, **body) as response:
            return [piece async for piece in getattr(response, f"a{name}")()]

    return asyncio.run(ask())


def requests_pieces(url: str, name: str, **body: Any) -> list[Any]:
    """Read an answer in pieces with requests."""
    with requests.post(url, stream=True, timeout=20, **body) as response:
        return list(getattr(response, name)())


@pytest.mark.parametrize(
    ("read", "name"),
    [
        *((httpx_pieces, name) for name in ("iter_bytes", "iter_text", "iter_lines")),
        *((async_httpx_pieces, name) for name in ("iter_bytes", "iter_text", "iter_lines")),
        *((requests_pieces, name) for name in ("iter_content", "iter_lines")),
    ],
)
def test_answer_that_is_read_in_pieces(service: Service, url: str, read: Callable[..., list[Any]], name: str) -> None:
    """Each piece has the purposes that the envelope names; of an answer without labels, or a foreign host's, none."""
    pieces = read(url, name, json={"phone": phone()})
    assert all(taint.labels_of(piece).purposes == {"security.mfa"} for piece in pieces)
    assert "".join(piece if isinstance(piece, str) else piece.decode() for piece in pieces) == json.dumps(
        {"phone": PHONE}, separators=(",", ":") if read is not requests_pieces else None
    )
    assert not taint.labels_of(read(url, name, json={"phone": PHONE}))
    service.answer_headers = [(HEADER.lower().encode(), (service.envelopes[0] or "").encode())]
    assert not taint.labels_of(read(url.replace("127.0.0.1", "localhost"), name, json={"phone": PHONE}))


def test_answer_that_is_read_twice(url: str) -> None:
    """An answer that was read as a whole is labelled exactly, also where it is then taken in pieces."""
    with httpx.Client() as client, client.stream("POST", url, json={"a": "x", "phone": phone()}) as response:
        assert taint.labels_of(response.read())
        assert [taint.ranges_of(piece) for piece in response.iter_bytes()] == [taint.ranges_of(response.content)]
        assert taint.labels_of(list(response.iter_text()))
    with requests.post(url, stream=True, timeout=20, json={"a": "x", "phone": phone()}) as streamed:
        loaded = streamed.json()
    assert taint.labels_of(loaded["phone"])
    assert not taint.labels_of(loaded["a"])


def test_numbers_and_keys(service: Service, url: str) -> None:
    """Labelled numbers and names of members arrive labelled."""
    given = {"n": taint.label(17, purpose="security.mfa"), "m": 18, "rows": {phone(): 1}}
    with httpx.Client() as client:
        client.post(url, json=given)
    loaded = json.loads(service.bodies[0])
    assert loaded == given
    assert taint.labels_of(loaded["n"]) == taint.labels_of(given["n"])
    assert not taint.labels_of(loaded["m"])
    assert taint.labels_of(next(iter(loaded["rows"])))
