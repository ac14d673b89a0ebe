"""Starlette: every way to read a request gives labelled fields, and answers are those of the application without."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from opentelemetry import trace
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

import taint
from taint import Collected
from taint.flows.requests import Table
from taint.integrations.starlette import StarletteIntegration
from tests.asgi import Answer, call, converse, get, multipart, post

MFA = Collected("security.mfa", category="user.contact.phone_number")
OPS = Collected("service.operations")
FORM = "application/x-www-form-urlencoded"


def install(collected: Table | None = None, **kwargs: Any) -> None:
    """Put the integration on."""
    taint.install(integrations=[StarletteIntegration(collected=collected, **kwargs)])


def seen(
    read: Callable[[Request], Any], ask: Callable[[Starlette], Answer], path: str = "/enrol", **kwargs: Any
) -> Any:
    """Give what a handler read."""
    found: list[Any] = []

    async def handler(request: Request) -> Response:
        value = read(request)
        found.append(await value if hasattr(value, "__await__") else value)
        return PlainTextResponse("done")

    answer = ask(Starlette(routes=[Route(path, handler, methods=["GET", "POST"])], **kwargs))
    assert answer == Answer(200, answer.headers, b"done")
    return found[0]


def form(text: bytes) -> Callable[[Starlette], Answer]:
    """Ask with a form."""
    return lambda app: post(app, "/enrol", text, kind=FORM)


async def field(request: Request, name: str) -> Any:
    """Read one field of the form."""
    return (await request.form())[name]


READS: list[tuple[str, str, Callable[[Request], Any], Callable[[Starlette], Answer], str, str]] = [
    ("json", "phone", lambda r: r.json(), lambda app: post(app, "/enrol", {"phone": "+1"}), "POST", "body:phone"),
    ("form", "phone", lambda r: field(r, "phone"), form(b"phone=%2B1&name=a"), "POST", "form:phone"),
    ("query", "phone", lambda r: r.query_params["phone"], lambda app: get(app, "/enrol?phone=1"), "GET", "query:phone"),
    (
        "header",
        "x-phone",
        lambda r: r.headers["X-Phone"],
        lambda app: get(app, "/enrol", headers={"x-phone": "1"}),
        "GET",
        "header:x-phone",
    ),
    (
        "cookie",
        "sid",
        lambda r: r.cookies["sid"],
        lambda app: get(app, "/enrol", headers={"cookie": "a=1; sid=7"}),
        "GET",
        "cookie:sid",
    ),
    (
        "raw cookie",
        "sid",
        lambda r: r.headers["cookie"],
        lambda app: get(app, "/enrol", headers={"cookie": "sid=7"}),
        "GET",
        "cookie:sid",
    ),
    ("url", "phone", lambda r: str(r.url), lambda app: get(app, "/enrol?phone=1"), "GET", "query:phone"),
    (
        "text body",
        "body:*",
        lambda r: r.body(),
        lambda app: post(app, "/enrol", b"+1", kind="text/plain"),
        "POST",
        "body",
    ),
    ("form body", "phone", lambda r: r.body(), form(b"phone=%2B1"), "POST", "form:phone"),
]


@pytest.mark.parametrize(
    ("pattern", "read", "ask", "method", "source"), [row[1:] for row in READS], ids=[row[0] for row in READS]
)
def test_reads(pattern: str, read: Any, ask: Any, method: str, source: str) -> None:
    """What is read of a field carries the label of its collection; with another table it carries none."""
    install({pattern: MFA})
    (label,) = taint.labels_of(seen(read, ask))
    route = f"{method} /enrol "
    assert label.purposes == {"security.mfa"}
    assert (label.category, label.source) == (MFA.category, route + source)
    taint.uninstall()
    install({"other": MFA, "/other": {"*": MFA}})
    assert not taint.labels_of(seen(read, ask))
    taint.uninstall()
    assert not taint.labels_of(seen(read, ask))


def test_values_are_the_applications(  # The safe twin of all of these: same values, same types to isinstance.
) -> None:
    """A request reads the same with every field labelled."""

    async def all_of(request: Request) -> list[Any]:
        body = await request.body()
        parsed = (await request.form()).multi_items()
        heads = [(name, value) for name, value in request.headers.items() if name != "content-length"]
        return [body, parsed, heads, request.query_params.multi_items(), request.cookies, str(request.url)]

    def ask(app: Starlette) -> Answer:
        return post(
            app, "/enrol?q=%20&q=b&r=", b"a=1&a=2&b=%C3%A9", kind=FORM, headers={"cookie": 'x="a b"; y', "x-a": "é"}
        )

    native = seen(all_of, ask)
    install({"*": MFA})
    labelled = seen(all_of, ask)
    assert labelled == native
    assert taint.labels_of(labelled)


def test_json_keeps_which_leaf() -> None:
    """Of a document the named leaves are labelled, wherever they stand, in the body as it was sent too."""
    install({"phone": MFA, "POST /enrol": {"city": OPS}})
    given = {"user": {"phone": "+1415", "name": "Ann"}, "address": [{"city": "Wien"}]}

    async def read(request: Request) -> Any:
        return await request.body(), await request.json(), await request.json()

    body, value, again = seen(read, lambda app: post(app, "/enrol", given, pieces=3))
    assert value is again
    assert value == given
    assert taint.labels_of(value["user"]["phone"]).purposes == {"security.mfa"}
    assert taint.labels_of(value["address"][0]["city"]).purposes == {"service.operations"}
    assert not taint.labels_of(value["user"]["name"])
    assert [body[one.start : one.stop] for one in taint.ranges_of(body)] == [b"+1415", b"Wien"]


def test_body_that_is_no_json() -> None:
    """A body that is not what it says is labelled as a whole, and the error is the application's own."""
    install({"phone": MFA})

    async def read(request: Request) -> Any:
        with pytest.raises(json.JSONDecodeError):
            await request.json()
        return await request.body()

    assert taint.labels_of(seen(read, lambda app: post(app, "/enrol", b'{"phone": "+1'))).sources == {
        "POST /enrol body"
    }


def test_stream() -> None:
    """Pieces of a body carry what may be in it, since no field can be told."""
    install({"phone": MFA})

    async def read(request: Request) -> Any:
        return [chunk async for chunk in request.stream()]

    chunks = seen(read, lambda app: post(app, "/enrol", b'{"phone": "+1"}', pieces=2))
    assert b"".join(chunks) == b'{"phone": "+1"}'
    assert all(taint.labels_of(chunk) for chunk in chunks if chunk)


def test_path() -> None:
    """Parameters of the path are labelled; a number only where it is named."""
    install({"who": MFA, "path:*": OPS})
    params = seen(lambda r: r.path_params, lambda app: get(app, "/u/ann/7"), path="/u/{who}/{number:int}")
    assert taint.labels_of(params["who"]).sources == {"GET /u/{who}/{number} path:who"}
    assert type(params["number"]) is int


def test_mount() -> None:
    """Of a mounted application the whole template is the route."""
    install({"GET /shop/enrol": {"phone": MFA}})
    found: list[Any] = []

    async def handler(request: Request) -> Response:
        found.append(taint.labels_of(request.query_params["phone"]).sources)
        return Response()

    get(Starlette(routes=[Mount("/shop", routes=[Route("/enrol", handler)])]), "/shop/enrol?phone=1")
    assert found == [{"GET /shop/enrol query:phone"}]


def test_upload() -> None:
    """Name and contents of an upload are labelled, however they are read; size and position are numbers."""
    install({"file:photo": MFA})
    body, kind = multipart({"name": "Ann"}, {"photo": ("ann.png", b"line 1\nline 2"), "other": ("o", b"o")})

    async def read(request: Request) -> Any:
        async with request.form() as given:
            photo, other = given["photo"], given["other"]
            assert isinstance(photo, UploadFile)
            assert isinstance(other, UploadFile)
            parts = [photo.filename, await photo.read()]
            await photo.seek(0)
            parts += [photo.file.readline(), *photo.file]
            assert type(photo.file.tell()) is int
            photo.file.seek(0)
            with tempfile.TemporaryFile() as copy:
                shutil.copyfileobj(photo.file, copy)
                assert copy.tell() == photo.size == 13
            assert not taint.labels_of([other.filename, await other.read(), given["name"]])
            assert taint.labels_of(photo)
            return parts

    parts = seen(read, lambda app: post(app, "/enrol", body, kind=kind))
    assert parts == ["ann.png", b"line 1\nline 2", b"line 1\n", b"line 2"]
    assert [taint.labels_of(part).sources for part in parts] == [{"POST /enrol file:photo"}] * 4


def test_websocket() -> None:
    """Messages are labelled: of JSON which leaf, of others all."""
    found: list[Any] = []

    async def chat(socket: WebSocket) -> None:
        await socket.accept()
        found.extend([await socket.receive_text(), await socket.receive_json(), await socket.receive_bytes()])
        await socket.send_json(found[1])
        await socket.send_text(found[0])
        await socket.close()

    install({"WEBSOCKET /chat/{room}": {"phone": MFA, "body:*": OPS}})
    app = Starlette(routes=[WebSocketRoute("/chat/{room}", chat)])
    got = asyncio.run(converse(app, "/chat/7", ["hello", '{"phone": "+1", "text": "b"}', b"raw"]))
    assert got == ['{"phone":"+1","text":"b"}', "hello"]
    text, value, raw = found
    assert [taint.labels_of(one).purposes for one in (text, value["phone"], value["text"], raw)] == [
        {"service.operations"},
        {"security.mfa"},
        {"service.operations"},
        {"service.operations"},
    ]
    assert taint.labels_of(value["phone"]).sources == {"WEBSOCKET /chat/{room} body:phone"}


def test_middleware_before_the_route() -> None:
    """A middleware that reads a field before the route is found gets the label of the route that will be."""
    found: list[Any] = []

    class Reading(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Any) -> Any:
            found.append(request.headers.get("x-phone"))
            found.append(await request.body())
            return await call_next(request)

    install({"x-phone": MFA, "POST /enrol": {"phone": OPS}})
    value = seen(
        lambda r: r.json(),
        lambda app: post(app, "/enrol", {"phone": "+1"}, headers={"x-phone": "1"}),
        middleware=[Middleware(Reading)],
    )
    assert [taint.labels_of(one).sources for one in (*found, value)] == [
        {"POST /enrol header:x-phone"},
        {"POST /enrol body:phone"},
        {"POST /enrol body:phone"},
    ]


def test_application_made_before() -> None:
    """An application that was made, and has answered, before install() is covered too."""
    found: list[Any] = []

    async def handler(request: Request) -> Response:
        found.append(bool(taint.labels_of(request.query_params["phone"])))
        return Response()

    app = Starlette(routes=[Route("/", handler)])
    get(app, "/?phone=1")
    install({"phone": MFA})
    get(app, "/?phone=1")
    taint.uninstall()
    get(app, "/?phone=1")
    assert found == [False, True, False]


def test_policy_says_what_is_collected() -> None:
    """The policy's table holds without any code, and a policy that is read again holds at once."""
    taint.install(integrations=["starlette"])
    ask: Callable[[Starlette], Answer] = lambda app: get(app, "/enrol?phone=1")  # noqa: E731  # Asked twice.
    taint.configure(policy={"collected": {"GET /enrol": {"phone": {"purpose": "security.mfa"}}}})
    assert taint.labels_of(seen(lambda r: r.query_params["phone"], ask)).purposes == {"security.mfa"}
    taint.configure(policy={"collected": {"*": {"query:*": {"purpose": "marketing"}}}})
    assert taint.labels_of(seen(lambda r: r.query_params["phone"], ask)).purposes == {"marketing"}
    taint.configure(policy={})
    assert not taint.labels_of(seen(lambda r: r.query_params["phone"], ask))


def test_subject_and_span() -> None:
    """A label says whose request it was and in which span."""
    install({"phone": MFA}, subject=lambda connection: connection.headers["x-user"])
    with trace.get_tracer("test").start_as_current_span("request") as span:
        (label,) = taint.labels_of(
            seen(lambda r: r.query_params["phone"], lambda app: get(app, "/enrol?phone=1", headers={"x-user": "u-7"}))
        )
        assert label.trace is not None
        assert label.trace.span_id == span.get_span_context().span_id
    assert label.subject == "u-7"


@taint.zone("advertising.audiences")
async def in_zone(request: Request) -> Response:
    """Match a number for advertising."""
    return PlainTextResponse(str((await request.form())["phone"] == "+1"))


@taint.zone("advertising.audiences")
def in_zone_on_a_thread(request: Request) -> Response:
    """Match a number for advertising, in the thread pool."""
    return PlainTextResponse(str(request.query_params["phone"] == "1"))


@pytest.mark.parametrize("is_allowed", [False, True])
def test_zone_of_a_route(is_allowed: bool) -> None:
    """A handler under a zone may not compare what was collected for another purpose, on the loop or on a thread."""
    install({"phone": Collected(["security.mfa", "advertising"] if is_allowed else "security.mfa")})
    app = Starlette(routes=[Route("/a", in_zone, methods=["POST"]), Route("/b", in_zone_on_a_thread)])
    asks: list[Callable[[], Answer]] = [
        lambda: post(app, "/a", b"phone=%2B1", kind=FORM),
        lambda: get(app, "/b?phone=1"),
    ]
    for ask in asks:
        if is_allowed:
            assert ask().body == b"True"
        else:
            with pytest.raises(taint.PurposeViolationError) as caught:
                ask()
            assert caught.value.violation.evidence == "comparison"


def test_a_zone_that_was_left_open_does_not_reach_the_next_request() -> None:
    """Requests that run one after the other on one task begin in no zone, whatever the one before left."""
    found: list[Any] = []

    async def careless(_request: Request) -> Response:
        found.append(taint.flows.current_zone())
        taint.zone("advertising", collects=True).__enter__()
        return Response()

    async def requests() -> None:
        app = Starlette(routes=[Route("/", careless)])
        for _ in range(3):
            await call(app, "GET", "/")
        found.append(taint.flows.current_zone())
        with taint.zone("security"):
            await call(app, "GET", "/")
            here = taint.flows.current_zone()
            assert here is not None
            assert here.purpose == "security"

    install({"phone": MFA})
    asyncio.run(requests())
    assert found == [None] * 5


def test_json_response() -> None:
    """An answer made of labelled texts, numbers and dates is written as that of plain ones; others fail as they do."""
    install({"phone": MFA})
    value = {"phone": "+1é", "age": 5, "list": ["a"]}
    labelled = {
        "phone": taint.label("+1é", purpose="security"),
        "age": taint.label(5, purpose="security"),
        "list": [taint.label("a", purpose="security")],
    }
    assert JSONResponse(labelled).body == JSONResponse(value).body
    assert type(labelled["age"]) is not int
    with pytest.raises(TypeError):
        JSONResponse({"phone": labelled["phone"], "what": object()})
    value["list"].append(value)  # type: ignore[attr-defined]  # A cycle.
    with pytest.raises(ValueError, match="Circular"):
        JSONResponse(value)


def test_answers_of_labelled_text() -> None:
    """Labelled texts go out in bodies, headers, cookies and streams."""

    async def handler(request: Request) -> Response:
        name = request.query_params["name"]

        async def parts() -> AsyncIterator[str]:
            yield name
            yield "!"

        response: Response = StreamingResponse(parts()) if "s" in request.query_params else PlainTextResponse(name)
        response.headers["x-name"] = name
        response.set_cookie("name", name)
        return response

    app = Starlette(routes=[Route("/", handler)])
    urls = ("/?name=ann", "/?name=ann&s=1")
    native = [get(app, url) for url in urls]
    install({"*": MFA})
    assert [get(app, url) for url in urls] == native


def test_failure_is_said_and_the_request_goes_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where labelling fails inside the library the handler gets the native value, and it is logged once."""
    install({"phone": MFA})
    monkeypatch.setattr("taint.integrations.starlette._kept", lambda *_: 1 / 0)
    assert seen(lambda r: r.query_params["phone"], lambda app: get(app, "/enrol?phone=1")) == "1"
    assert "labelling a request" in caplog.text


def head(request: Request) -> list[Any]:
    """Read everything of a request but its body, some of it twice."""
    read = [request.headers["x-other"], request.cookies["c"], request.query_params["q"], request.path_params["p"]]
    return [*read, request.headers["x-other"], dict(request.headers)["cookie"], str(request.url)]


@pytest.mark.parametrize(
    ("pattern", "labelled"),
    [
        ("header:x-other", [0, 4]),
        ("cookie:c", [1, 5]),
        ("query:q", [2, 6]),
        ("path:p", [3, 6]),
        ("phone", []),
    ],
)
def test_a_request_is_native_only_where_nothing_is_collected(pattern: str, labelled: list[int]) -> None:
    """That the rest of a request is left native takes no label from what is collected, however often it is read."""
    install({pattern: MFA})
    found = seen(
        head,
        lambda app: get(app, "/enrol/1?q=2", headers={"x-other": "3", "cookie": "c=4"}),
        path="/enrol/{p}",
    )
    assert [at for at, value in enumerate(found) if taint.labels_of(value)] == labelled


def test_encoded_name_of_a_query_is_found() -> None:
    """A field whose name is sent percent-encoded is labelled as the one that is not."""
    install({"phone": MFA})
    found = seen(lambda r: r.query_params["phone"], lambda app: get(app, "/enrol?%70hone=1"))
    assert taint.labels_of(found)


async def part(request: Request) -> bytes:
    """Read a body's first chunk, and no more of it."""
    async with contextlib.aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            return chunk
    return b""


def test_a_stream_that_is_left_is_closed() -> None:
    """Starlette's own stream ends with the one that a handler leaves, in the handler's task and not when collected."""
    install({"phone": MFA})
    left: list[Any] = []

    async def read(request: Request) -> bytes:
        before = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=before.firstiter, finalizer=left.append)
        try:
            return await part(request)
        finally:
            sys.set_asyncgen_hooks(*before)

    assert taint.labels_of(seen(read, form(b"phone=%2B1")))
    assert left == []


BARE = {"type": "http"}


@pytest.mark.parametrize(
    ("scope", "read"),
    [
        (BARE, lambda request: asyncio.run(request.body())),
        (BARE, lambda request: asyncio.run(part(request))),
        (BARE | {"path": "/", "query_string": b"phone=1"}, lambda request: request.query_params["phone"]),
        (BARE | {"headers": iter([(b"phone", b"1")])}, lambda request: request.headers["phone"]),
        (BARE | {"headers": iter([(b"cookie", b"phone=1")])}, lambda request: request.cookies["phone"]),
    ],
    ids=["body", "stream", "query", "header", "cookie"],
)
def test_scope_with_only_what_asgi_demands(
    scope: dict[str, Any], read: Callable[[Request], Any], caplog: pytest.LogCaptureFixture
) -> None:
    """A scope without method, route, headers or query string, or with an iterator of headers, is labelled as others."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"+1"}

    install({"*": MFA})
    value = read(Request(dict(scope), receive))
    assert value in {"1", b"+1"}
    assert taint.labels_of(value)
    assert not caplog.records


@pytest.mark.parametrize("name", ["headers", "query_params", "cookies"])
def test_what_a_scope_leaves_out_is_answered_by_starlette(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Reading what is not there raises what it raises without the library, and no more is said."""
    request = Request(dict(BARE))
    with pytest.raises(KeyError) as native:
        getattr(request, name)
    install({"*": MFA})
    with pytest.raises(KeyError) as with_labels:
        getattr(Request(dict(BARE)), name)
    assert with_labels.value.args == native.value.args
    assert not caplog.records


def test_headers_that_a_route_changes() -> None:
    """A header that is put into the scope after others were read, and found native, is labelled."""

    def read(request: Request) -> Any:
        request.headers.get("host")
        request.scope["headers"] = [*request.scope["headers"], (b"x-phone", b"1")]
        return Request(request.scope).headers["x-phone"]

    install({"header:x-phone": MFA})
    assert taint.labels_of(seen(read, lambda app: get(app, "/enrol")))
