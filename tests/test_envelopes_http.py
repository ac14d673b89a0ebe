"""Labels go from one web service to another and back: real servers, real clients, loopback."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

import django
import fastapi
import flask
import pytest
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import JsonResponse
from django.test.utils import override_settings
from django.urls import path
from fastapi.responses import JSONResponse as Answer
from opentelemetry import trace

import taint
from taint.envelopes.asgi import EnvelopeMiddleware, labelled_body
from taint.envelopes.carrying import arrived
from taint.envelopes.envelope import seal
from taint.envelopes.facts import DISTRUSTED
from taint.envelopes.http import HEADER, REQUEST, RESPONSE, add_to_request
from taint.envelopes.keys import EnvelopeKeys, set_keys
from taint.envelopes.wsgi import EnvelopeMiddleware as WSGIEnvelopeMiddleware
from taint.testing import record
from tests.conftest import Spans
from tests.servers import serving_asgi, serving_wsgi

KEYS = EnvelopeKeys({"k1": bytes(range(32))})
PHONE = "+14155550100"
FORM = b"phone=%2B14155550100"


@pytest.fixture(autouse=True)
def _set_up() -> Iterator[None]:
    """The process has a key, and hosts of its own."""
    before = set_keys(KEYS)
    taint.configure(policy={"envelopes": {"hosts": ["127.0.0.1:*", "localhost:*"]}})
    taint.install(integrations=["starlette", "fastapi", "flask", "django"])
    yield
    set_keys(before)


def phone(purpose: str = "security.mfa", **more: Any) -> str:
    """A labelled number."""
    return taint.label(PHONE, purpose=purpose, source="enrolment", **more)


def body() -> bytes:
    """A JSON body with one labelled leaf."""
    return json.dumps({"id": 7, "name": "Ä", "phone": phone()}).encode()


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    """Answer what was sent, whatever it is, as the program has it: no framework."""
    message = await receive()
    seen.append(message.get("body", b""))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": message.get("body", b"")})


def fastapi_app() -> Any:
    """Make a FastAPI service that reads JSON and answers with a part of it."""
    app = fastapi.FastAPI()

    @app.post("/")
    async def take(request: fastapi.Request) -> Answer:
        loaded = await request.json()
        seen.append(loaded)
        return Answer({"echo": loaded["phone"], "plain": 1})

    @app.post("/declared")
    async def declared(given: dict[str, Any]) -> Answer:
        seen.append(given)
        return Answer({"echo": given["phone"], "plain": 1})

    @app.get("/")
    async def give() -> Answer:
        return Answer({"echo": phone()})

    return EnvelopeMiddleware(app)


def flask_app(**options: Any) -> Any:
    """Make a Flask service that does the same."""
    app = flask.Flask("service")
    app.config.update(options)

    @app.post("/")
    @app.post("/declared")
    def take() -> Any:
        loaded = flask.request.get_json()
        seen.append(loaded)
        return flask.jsonify({"echo": loaded["phone"], "plain": 1})

    @app.get("/")
    def give() -> Any:
        return {"echo": phone()}

    return WSGIEnvelopeMiddleware(app)


@contextmanager
def serving_django() -> Iterator[str]:
    """Serve a Django service that does the same; Django has one configuration for all of a process."""

    def take(request: Any) -> Any:
        if request.method == "GET":
            return JsonResponse({"echo": phone()})
        loaded = json.loads(request.body)
        seen.append(loaded)
        return JsonResponse({"echo": loaded["phone"], "plain": 1})

    class Urls:
        urlpatterns = (path("", take), path("declared", take))

    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"], SECRET_KEY="x", USE_TZ=True, MIDDLEWARE=[])
        django.setup()
    with (
        override_settings(ROOT_URLCONF=Urls, MIDDLEWARE=[], ALLOWED_HOSTS=["*"]),
        serving_wsgi(WSGIEnvelopeMiddleware(WSGIHandler())) as url,
    ):
        yield url


@taint.sink(purpose="advertising.audiences")
def upload(_row: str) -> None:
    """Use a number for advertising."""


seen: list[Any] = []
SERVICES: dict[str, Any] = {
    "fastapi": lambda: serving_asgi(fastapi_app()),
    "flask": lambda: serving_wsgi(flask_app()),
    "flask with a limit": lambda: serving_wsgi(flask_app(MAX_CONTENT_LENGTH=10_000)),
    "django": serving_django,
}


@pytest.fixture(params=SERVICES, ids=[name.replace(" ", "-") for name in SERVICES])
def service(request: pytest.FixtureRequest) -> Iterator[str]:
    """One of our services."""
    seen.clear()
    with ExitStack() as stack:
        yield stack.enter_context(SERVICES[request.param]())


def ask(
    url: str, content: bytes = b"", headers: Mapping[str, str] | None = None, *, chunks: int = 0
) -> tuple[bytes, str | None]:
    """Send a request with the plainest client there is; gives the answer and its envelope."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    plain = bytes(bytearray(content))
    pieces: Any = plain
    if chunks:
        pieces = iter([plain[at : at + chunks] for at in range(0, len(plain), chunks)])
    try:
        connection.request(
            *("POST" if content else "GET", parts.path or "/", pieces or None),
            {"Content-Type": "application/json", **(headers or {})},
            encode_chunked=bool(chunks),
        )
        response = connection.getresponse()
        answer = response.read()
        assert response.status == 200, answer
        return answer, response.headers[HEADER]
    finally:
        connection.close()


def enveloped(content: bytes) -> dict[str, str]:
    """Give the header that one of our own services sends."""
    headers: dict[str, str] = {}
    add_to_request("http://127.0.0.1:1/", headers, content)
    return headers


@pytest.mark.parametrize("path", ["/", "/declared"])
def test_there_and_back(service: str, path: str) -> None:
    """The same leaves carry the same labels in the other service, and in what comes back of them."""
    content = body()
    with record() as found:
        answer, envelope = ask(service + path, content, enveloped(content))
    assert found.gaps == []
    (loaded,) = seen
    assert loaded == json.loads(bytes(bytearray(content)))
    assert taint.labels_of(loaded["phone"]) == taint.labels_of(content)
    assert taint.labels_of(loaded["name"]) == taint.labels_of(loaded["id"]) == frozenset()
    back = json.loads(arrived(answer, envelope, channel="http", context=RESPONSE))
    assert back == {"echo": PHONE, "plain": 1}
    assert taint.labels_of(back["echo"]) == taint.labels_of(content)
    assert not taint.labels_of(back["plain"])


def test_safe_twin(service: str) -> None:
    """Without labels nothing is labelled, nothing is answered and nothing is said."""
    content = bytes(bytearray(body()))
    with record() as found:
        answer, envelope = ask(service, content, enveloped(content))
    assert found.gaps == []
    assert envelope is None
    assert json.loads(answer)["echo"] == PHONE
    assert not taint.labels_of(seen)


def test_answer_to_an_empty_request(service: str) -> None:
    """What a request without a body is answered has its labels too, for a client that shows it has a key."""
    answer, envelope = ask(service, headers=enveloped(b""))
    assert taint.labels_of(json.loads(arrived(answer, envelope, channel="http", context=RESPONSE)))


@pytest.mark.parametrize("headers", [{}, {HEADER: "1.k1.e30." + "A" * 43}, {HEADER: "1.other.e30." + "A" * 43}])
def test_strangers_are_told_no_labels(service: str, headers: dict[str, str]) -> None:
    """A client that has shown no key gets the answer and no labels with it."""
    content = bytes(bytearray(body()))
    assert ask(service, content, headers)[1] is None
    assert ask(service, headers=headers)[1] is None


def test_forged_and_replayed(service: str) -> None:
    """An envelope that is forged or of another body adds its purposes to all of the body, and is a gap."""
    content = body()
    headers = enveloped(content)
    other = bytes(bytearray(content)).replace(b"7", b"8")
    with record() as found:
        ask(service, other, headers)
        ask(service, content, {HEADER: headers[HEADER][:-3] + "AAA"})
    assert [gap.rule for gap in found.gaps] == ["envelope-replayed", "envelope-forged"]
    for loaded in seen:
        assert {label.source for label in taint.labels_of(loaded["phone"])} == {DISTRUSTED}
        assert taint.labels_of(loaded["name"]).purposes == {"security.mfa"}


def test_collection_span_is_linked(service: str, spans: Spans) -> None:
    """What is found in another service is linked to the span in which the value was collected in the first."""
    with trace.get_tracer("shop").start_as_current_span("POST /two-factor") as collection:
        content = body()
    ask(service, content, enveloped(content))
    with pytest.raises(taint.PurposeViolationError):
        upload(seen[0]["phone"])
    (violation,) = spans.violations
    assert [link.context.span_id for link in violation.links] == [collection.get_span_context().span_id]
    assert [link.context.trace_id for link in violation.links] == [collection.get_span_context().trace_id]


def test_off(service: str) -> None:
    """In mode `off` the service is as without the library."""
    content = body()
    headers = enveloped(content)
    with record(mode="off"):
        assert ask(service, content, headers)[1] is None
    assert type(seen[0]["phone"]) is str


@pytest.mark.parametrize("chunks", [0, 5, 10_000])
def test_plain_asgi(chunks: int) -> None:
    """An application without a framework receives labelled bytes in one piece, however they were sent."""
    seen.clear()
    content = body()
    with serving_asgi(EnvelopeMiddleware(asgi_app)) as url:
        answer, envelope = ask(url, content, enveloped(content), chunks=chunks)
    assert taint.ranges_of(seen[0]) == taint.ranges_of(content)
    assert taint.ranges_of(arrived(answer, envelope, channel="http", context=RESPONSE)) == taint.ranges_of(content)


READS: dict[str, Callable[[Any], bytes]] = {
    "read": lambda stream: stream.read(),
    "read in pieces": lambda stream: b"".join(iter(lambda: stream.read(5), b"")),
    "readline": lambda stream: b"".join(iter(stream.readline, b"")),
    "readlines": lambda stream: b"".join(stream.readlines()),
    "iteration": lambda stream: b"".join(stream),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_plain_wsgi(read: Callable[[Any], bytes]) -> None:
    """Every way to read the stream of a body gives the same bytes, with their labels."""
    content = json.dumps({"a": 1, "phone": phone()}, indent=1).encode()
    pieces: list[Any] = []

    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        assert read(Recording(environ["wsgi.input"], pieces)) == content
        start("200 OK", [("Content-Type", "text/plain")])
        return [b"done"]

    with record() as found, serving_wsgi(WSGIEnvelopeMiddleware(app)) as url:
        assert ask(url, content, enveloped(content))[0] == b"done"
    assert found.gaps == []
    assert taint.labels_of(pieces) == taint.labels_of(content)
    assert b"".join(map(bytes, flattened(pieces))) == content


def flattened(pieces: list[Any]) -> Iterator[bytes]:
    """Give the pieces, those in lists too."""
    for piece in pieces:
        yield from piece if isinstance(piece, list) else [piece]


class Recording:
    """A stream whose pieces are kept, as they are given."""

    def __init__(self, stream: Any, pieces: list[Any]) -> None:
        self._stream, self._pieces = stream, pieces

    def _kept(self, piece: Any) -> Any:
        self._pieces.append(piece)
        return piece

    def __getattr__(self, name: str) -> Any:
        return lambda *args: self._kept(getattr(self._stream, name)(*args))

    def __iter__(self) -> Iterator[bytes]:
        return map(self._kept, self._stream)


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_large_wsgi_body(read: Callable[[Any], bytes], is_chunked: bool) -> None:
    """A body over the bound is passed on whole, which is a gap; its labels are known to who asks for them."""
    content = json.dumps({"a": 1, "phone": phone()}, indent=1).encode()
    environ = {"wsgi.input": io.BytesIO(bytes(bytearray(content))), "HTTP_TAINT_ENVELOPE": enveloped(content)[HEADER]}
    environ |= {"wsgi.input_terminated": True} if is_chunked else {"CONTENT_LENGTH": str(len(content))}

    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        start("200 OK", [])
        return [read(environ["wsgi.input"])]

    with record() as found:
        assert b"".join(WSGIEnvelopeMiddleware(app, max_body_bytes=10)(environ, lambda *_: None)) == content
    assert [gap.rule for gap in found.gaps] == ["envelope-too-large"]
    assert taint.labels_of(labelled_body(environ, content)).purposes == {"security.mfa"}


def test_large_asgi_body() -> None:
    """A body over the bound is passed on in its pieces, each labelled by what nobody vouches for, and is a gap."""
    seen.clear()
    content = body()

    async def take(_scope: Any, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            seen.append(message["body"])
            if not message["more_body"]:
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    plain = bytes(bytearray(content))
    pieces = [plain[at : at + 4] for at in range(0, len(plain), 4)]

    async def receive() -> Any:
        return {"type": "http.request", "body": pieces.pop(0) if pieces else b"", "more_body": bool(pieces)}

    async def send(message: Any) -> None:
        sent.append(message)

    sent: list[Any] = []
    scope = {"type": "http", "headers": [(HEADER.lower().encode(), enveloped(content)[HEADER].encode())]}
    with record() as found:
        asyncio.run(EnvelopeMiddleware(take, max_body_bytes=8)(scope, receive, send))
    assert sent[-1]["body"] == b"done"
    assert b"".join(seen) == content
    assert [gap.rule for gap in found.gaps] == ["envelope-too-large"]
    assert all(taint.labels_of(piece).purposes == {"security.mfa"} for piece in seen if piece)
    assert taint.labels_of(labelled_body(scope, content)).purposes == {"security.mfa"}


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_required(kind: str) -> None:
    """Where envelopes are required a body without one is a gap; a request without a body is none."""

    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        start("200 OK", [])
        return [b"done"]

    made: Any = (
        serving_asgi(EnvelopeMiddleware(asgi_app, is_required=True))
        if kind == "asgi"
        else serving_wsgi(WSGIEnvelopeMiddleware(app, is_required=True))
    )
    with record() as found, made as url:
        ask(url)
        assert found.gaps == []
        ask(url, b"{}")
    assert [gap.rule for gap in found.gaps] == ["envelope-missing"]


def test_rotated_in_flight(service: str) -> None:
    """A request that was signed before the key was rotated is read after it."""
    content = body()
    headers = enveloped(content)
    set_keys(EnvelopeKeys({"k2": b"2" * 32, "k1": bytes(range(32))}))
    with record() as found:
        _, envelope = ask(service, content, headers)
    assert found.gaps == []
    assert (envelope or "").startswith("1.k2.")
    assert taint.labels_of(seen[0]["phone"]) == taint.labels_of(content)


@pytest.mark.parametrize(
    ("url", "is_sent"),
    [
        ("http://127.0.0.1:1/", True),
        ("http://localhost:1/", True),
        ("https://example.com/", False),
        ("http://example.com:80/127.0.0.1", False),
        ("http://127.0.0.1:1@example.com/", False),
        ("http://[broken", False),
    ],
)
def test_only_to_our_own_hosts(url: str, is_sent: bool) -> None:
    """Labels are sent to hosts that are named as ours; to all others a header that somebody put there is taken off."""
    headers = {HEADER: "1.k1.e30." + "A" * 43, "Other": "x"}
    add_to_request(url, headers, body())
    assert (HEADER in headers) is is_sent
    assert headers["Other"] == "x"


def test_envelope_of_a_request_is_none_of_a_response() -> None:
    """A server's own answer cannot be sent back to it as a request."""
    content = body()
    with record() as found:
        arrived(b"x", seal(content, context=REQUEST), channel="http", context=RESPONSE)
        arrived(bytes(bytearray(content)), seal(content, context=REQUEST), channel="http", context=RESPONSE)
    assert [gap.rule for gap in found.gaps] == ["envelope-replayed"] * 2
