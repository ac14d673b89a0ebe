"""Flask: every way to read a request gives labelled fields, and answers are those of the application without."""

from __future__ import annotations

import datetime as dt
import io
import shutil
from collections.abc import Callable
from typing import Any
from wsgiref.handlers import SimpleHandler

import flask
import pytest
from flask.sessions import SecureCookieSessionInterface
from flask.testing import FlaskClient
from opentelemetry import trace
from werkzeug.test import EnvironBuilder, TestResponse

import taint
from taint import Collected
from taint.flows.requests import Table
from taint.integrations.flask import FlaskIntegration, in_zone

MFA = Collected("security.mfa", category="user.contact.phone_number")
OPS = Collected("service.operations")

Ask = Callable[[FlaskClient], TestResponse]


def install(collected: Table | None = None, **kwargs: Any) -> None:
    """Put the integration on."""
    taint.install(integrations=[FlaskIntegration(collected=collected, **kwargs)])


def seen(read: Callable[[flask.Request], Any], ask: Ask, path: str = "/enrol", app: flask.Flask | None = None) -> Any:
    """Give what a view read."""
    found: list[Any] = []

    def view(**_kwargs: Any) -> str:
        found.append(read(flask.request))
        return "done"

    app = app or flask.Flask("shop")
    app.add_url_rule(path, view_func=view, methods=["GET", "POST"])
    answer = ask(app.test_client(use_cookies=False))
    assert (answer.status_code, answer.text) == (200, "done")
    return found[0]


def get(url: str, **headers: str) -> Ask:
    """Ask without a body."""
    return lambda client: client.get(url, headers={name.replace("_", "-"): value for name, value in headers.items()})


def post(**kwargs: Any) -> Ask:
    """Ask with a body."""
    return lambda client: client.post("/enrol?q=1", **kwargs)


FORM = post(data={"phone": "+1", "name": "Ann"})

READS: list[tuple[str, str, Callable[[flask.Request], Any], Ask, str]] = [
    ("form", "phone", lambda r: r.form["phone"], FORM, "POST /enrol form:phone"),
    ("form, list", "phone", lambda r: r.form.getlist("phone"), FORM, "POST /enrol form:phone"),
    ("values of a form", "phone", lambda r: r.values["phone"], FORM, "POST /enrol form:phone"),
    ("form, raw", "phone", lambda r: r.get_data(), FORM, "POST /enrol form:phone"),
    ("args", "q", lambda r: r.args["q"], FORM, "POST /enrol query:q"),
    ("values", "q", lambda r: r.values["q"], get("/enrol?q=1"), "GET /enrol query:q"),
    ("url", "q", lambda r: r.url, get("/enrol?q=1"), "GET /enrol query:q"),
    ("full_path", "q", lambda r: r.full_path, get("/enrol?q=1"), "GET /enrol query:q"),
    ("query_string", "q", lambda r: r.query_string, get("/enrol?q=1"), "GET /enrol query:q"),
    ("header", "x-phone", lambda r: r.headers["X-Phone"], get("/enrol", x_phone="1"), "GET /enrol header:X-Phone"),
    (
        "header, get",
        "x-phone",
        lambda r: r.headers.get("x-phone"),
        get("/enrol", x_phone="1"),
        "GET /enrol header:x-phone",
    ),
    ("headers", "x-phone", lambda r: dict(r.headers), get("/enrol", x_phone="1"), "GET /enrol header:X-Phone"),
    ("cookie", "sid", lambda r: r.cookies["sid"], get("/enrol", cookie="a=1; sid=7"), "GET /enrol cookie:sid"),
    ("cookie, raw", "sid", lambda r: r.headers["Cookie"], get("/enrol", cookie="sid=7"), "GET /enrol cookie:sid"),
    ("json", "phone", lambda r: r.json, post(json={"phone": "+1"}), "POST /enrol body:phone"),
    ("get_json", "phone", lambda r: r.get_json(force=True), post(data='{"phone": "+1"}'), "POST /enrol body:phone"),
    (
        "get_json, not kept",
        "phone",
        lambda r: r.get_json(cache=False),
        post(json={"phone": "+1"}),
        "POST /enrol body:phone",
    ),
    ("data", "phone", lambda r: r.data, post(json={"phone": "+1"}), "POST /enrol body:phone"),
    ("data as text", "phone", lambda r: r.get_data(as_text=True), post(json={"phone": "+1"}), "POST /enrol body:phone"),
    ("text", "body:*", lambda r: r.data, post(data=b"+1", content_type="text/plain"), "POST /enrol body"),
]


@pytest.mark.parametrize(
    ("pattern", "read", "ask", "source"), [row[1:] for row in READS], ids=[row[0] for row in READS]
)
def test_reads(pattern: str, read: Any, ask: Ask, source: str) -> None:
    """What is read of a field carries the label of its collection; with another table it carries none."""
    native = seen(read, ask)
    assert not taint.labels_of(native)
    install({pattern: MFA})
    labelled = seen(read, ask)
    assert labelled == native
    (label,) = taint.labels_of(labelled)
    assert label.purposes == {"security.mfa"}
    assert (label.category, label.source) == (MFA.category, source)
    taint.uninstall()
    install({"other": MFA, "/other": {"*": MFA}})
    assert not taint.labels_of(seen(read, ask))


def test_json_keeps_which_leaf() -> None:
    """Of a document the named leaves are labelled, in the body as it was sent too, and a second read gives the same."""
    install({"phone": MFA})
    given = {"user": {"phone": "+1415", "name": "Ann"}}
    body, value, again = seen(lambda r: (r.get_data(), r.json, r.get_json()), post(json=given))
    assert value is again
    assert value == given
    assert taint.labels_of(value["user"]["phone"])
    assert not taint.labels_of(value["user"]["name"])
    assert [body[one.start : one.stop] for one in taint.ranges_of(body)] == [b"+1415"]


def test_json_that_is_none() -> None:
    """What is no JSON is refused as the application would, and whoever looks at the body then sees labels."""
    install({"phone": MFA})
    found: list[Any] = []

    class Looking(flask.Request):
        def on_json_loading_failed(self, e: ValueError | None) -> Any:
            found.append(self.get_data())
            return super().on_json_loading_failed(e)

    app = flask.Flask("shop")
    app.request_class = Looking
    app.add_url_rule("/enrol", view_func=lambda: flask.request.json, methods=["POST"])
    answer = app.test_client().post("/enrol", data='{"phone": "+1', content_type="application/json")
    assert answer.status_code == 400
    assert taint.labels_of(found[0]).sources == {"POST /enrol body"}


def test_path() -> None:
    """Arguments of the view are labelled; a number only where it is named."""
    install({"who": MFA, "path:*": OPS})
    found = seen(lambda r: r.view_args, get("/u/ann/7"), path="/u/<who>/<int:number>")
    assert taint.labels_of(found["who"]).sources == {"GET /u/<who>/<int:number> path:who"}
    assert type(found["number"]) is int


def test_upload() -> None:
    """Name and contents of an upload are labelled, however they are read; a position is a number."""
    install({"file:photo": MFA})

    def read(request: flask.Request) -> list[Any]:
        photo, other = request.files["photo"], request.files["other"]
        parts: list[Any] = [photo.filename, photo.read()]
        photo.seek(0)
        parts += [photo.stream.readline(), *photo]
        assert type(photo.tell()) is int
        photo.seek(0)
        shutil.copyfileobj(photo.stream, io.BytesIO())
        photo.seek(0)
        photo.save(io.BytesIO())
        assert not taint.labels_of([other.filename, other.read(), request.form["name"]])
        return parts

    files = {"photo": (io.BytesIO(b"line 1\nline 2"), "ann.png"), "other": (io.BytesIO(b"o"), "o"), "name": "Ann"}
    parts = seen(read, post(data=files))
    assert parts == ["ann.png", b"line 1\nline 2", b"line 1\n", b"line 2"]
    assert [taint.labels_of(part).sources for part in parts] == [{"POST /enrol file:photo"}] * 4


def test_before_request_and_errors() -> None:
    """What runs before the view reads labelled fields, also where no route is found; no path is ever shown."""
    install({"phone": MFA})
    found: list[Any] = []
    app = flask.Flask("shop")
    app.before_request(lambda: found.append(flask.request.args["phone"]))
    assert app.test_client().get("/users/ann@example.org?phone=1").status_code == 404
    assert taint.labels_of(found).sources == {"GET * query:phone"}


def test_what_a_session_has_read() -> None:
    """Fields that were read before the request began are labelled for those who read them again."""
    install({"sid": MFA, "phone": MFA})

    class Reading(SecureCookieSessionInterface):
        def open_session(self, app: Any, request: Any) -> Any:
            assert (request.cookies["sid"], request.form["phone"], request.args["q"]) == ("7", "+1", "1")
            return super().open_session(app, request)

    app = flask.Flask("shop")
    app.secret_key = "invented"
    app.session_interface = Reading()
    found = seen(
        lambda r: (r.cookies["sid"], r.form["phone"]), post(data={"phone": "+1"}, headers={"cookie": "sid=7"}), app=app
    )
    assert all(taint.labels_of(one) for one in found)


def test_application_made_before_and_own_request_class() -> None:
    """An application that was made, and has answered, before install() is covered too, whatever its requests are."""
    found: list[Any] = []

    class Own(flask.Request):
        @property
        def phone(self) -> str:
            return self.args["phone"]

    app = flask.Flask("shop")
    app.request_class = Own

    @app.get("/")
    def view() -> str:
        proxy: Any = flask.request
        request = proxy._get_current_object()
        assert isinstance(request, Own)
        found.append((bool(taint.labels_of(request.phone)), type(request).__name__))
        return ""

    app.test_client().get("/?phone=1")
    install({"phone": MFA})
    app.test_client().get("/?phone=1")
    taint.uninstall()
    app.test_client().get("/?phone=1")
    assert found == [(False, "Own"), (True, "Own"), (False, "Own")]


def test_policy_says_what_is_collected() -> None:
    """The policy's table holds without any code."""
    taint.install(integrations=["flask"])
    taint.configure(policy={"collected": {"POST /enrol": {"phone": {"purpose": "marketing"}}}})
    assert taint.labels_of(seen(lambda r: r.form["phone"], FORM)).purposes == {"marketing"}
    taint.configure(policy={})
    assert not taint.labels_of(seen(lambda r: r.form["phone"], FORM))


def test_subject_and_span() -> None:
    """A label says whose request it was and in which span."""
    install({"phone": MFA}, subject=lambda request: request.headers["x-user"])
    with trace.get_tracer("test").start_as_current_span("request") as span:
        (label,) = taint.labels_of(seen(lambda r: r.args["phone"], get("/enrol?phone=1", x_user="u-7")))
        assert label.trace is not None
        assert label.trace.span_id == span.get_span_context().span_id
    assert label.subject == "u-7"


def shop(purpose: str, *, by_blueprint: bool) -> flask.Flask:
    """Make an application with a blueprint for one purpose, and a page beside it."""
    app = flask.Flask("shop")
    app.testing = True
    ads = flask.Blueprint("ads", "ads", url_prefix="/ads")

    def match() -> str:
        return str(flask.request.args["phone"] == "1")

    async def match_async() -> str:
        return match()

    if by_blueprint:
        in_zone(ads, purpose, name="ads")
        ads.add_url_rule("/match", view_func=match)
        ads.add_url_rule("/async", view_func=match_async, endpoint="async")
    else:
        ads.add_url_rule("/match", view_func=taint.zone(purpose)(match))
        ads.add_url_rule("/async", view_func=taint.zone(purpose)(match_async), endpoint="async")
    app.register_blueprint(ads)
    app.add_url_rule("/match", view_func=match, endpoint="page")
    return app


@pytest.mark.parametrize("by_blueprint", [False, True])
@pytest.mark.parametrize("url", ["/ads/match?phone=1", "/ads/async?phone=1"])
def test_zones(by_blueprint: bool, url: str) -> None:
    """A view under a zone, by itself or by its blueprint, may not compare what was collected for another purpose."""
    install({"phone": MFA})
    client = shop("advertising", by_blueprint=by_blueprint).test_client()
    with pytest.raises(taint.PurposeViolationError) as caught:
        client.get(url)
    assert caught.value.violation.evidence == "comparison"
    assert client.get("/match?phone=1").text == "True"
    assert shop("security.mfa", by_blueprint=by_blueprint).test_client().get(url).text == "True"


def test_a_zone_that_was_left_open_does_not_reach_the_next_request() -> None:
    """Requests that run one after the other on one thread begin in no zone, whatever the one before left."""
    found: list[Any] = []
    app = flask.Flask("shop")

    @app.get("/")
    def careless() -> str:
        found.append(taint.flows.current_zone())
        taint.zone("advertising", collects=True).__enter__()
        return ""

    install({"phone": MFA})
    for _ in range(3):
        app.test_client().get("/")
    found.append(taint.flows.current_zone())
    with taint.zone("security"):
        app.test_client().get("/")
        here = taint.flows.current_zone()
        assert here is not None
        assert here.purpose == "security"
    assert found == [None] * 5


def test_answers() -> None:
    """Labelled values go out in bodies, headers, cookies, sessions, JSON and streams as plain ones do."""

    def view() -> Any:
        name = flask.request.args["name"]
        flask.session["name"] = name
        kind = str(flask.request.args["kind"])
        number, day = 5, dt.date(2026, 1, 31)
        if taint.labels_of(name):
            number, day = (taint.label(one, purpose="security") for one in (number, day))  # type: ignore[assignment]
        makers: dict[str, Callable[[], Any]] = {
            "text": lambda: flask.make_response(name),
            "json": lambda: flask.jsonify(name=name, list=[name], number=number, day=day),
            "stream": lambda: flask.Response(flask.stream_with_context(iter([name, "!"]))),
            "page": lambda: flask.make_response(flask.render_template_string("<b>{{ name }}</b>", name=name)),
            "redirect": lambda: flask.redirect(f"/?name={name}"),
        }
        response = makers[kind]()
        response.headers["X-Name"] = name
        response.set_cookie("name", name)
        return response

    def answers() -> list[Any]:
        app = flask.Flask("shop")
        app.secret_key = "invented"
        app.testing = True
        app.add_url_rule("/", view_func=view)
        kinds = ("text", "json", "stream", "page", "redirect")
        found = [app.test_client().get(f"/?name=<ann>&kind={kind}") for kind in kinds]
        return [(one.status, one.data, [head for head in one.headers if "session" not in head[1]]) for one in found]

    native = answers()
    install({"*": MFA})
    assert answers() == native


def test_document_that_is_kept() -> None:
    """A document that a program makes for itself keeps which part is labelled."""
    install({"phone": MFA})
    app = flask.Flask("shop")
    text = app.json.dumps(
        {"phone": taint.label("+1", purpose="security"), "day": taint.label(dt.date(2026, 1, 31), purpose="security")}
    )
    assert text == '{"day": "Sat, 31 Jan 2026 00:00:00 GMT", "phone": "+1"}'
    assert [text[one.start : one.stop] for one in taint.ranges_of(text)] == ["Sat, 31 Jan 2026 00:00:00 GMT", "+1"]


def test_headers_are_native_texts() -> None:
    """A server that refuses what is not an exact text, as wsgiref's does, gets what it wants (PEP 3333)."""
    install({"*": MFA})
    app = flask.Flask("shop")
    app.add_url_rule("/", view_func=lambda: ("", 200, {"X-Name": flask.request.args["name"]}))
    out = io.BytesIO()
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "QUERY_STRING": "name=ann", "SERVER_PROTOCOL": "HTTP/1.0"}
    handler = SimpleHandler(io.BytesIO(), out, io.StringIO(), environ)
    handler.run(app)
    assert b"X-Name: ann" in out.getvalue()


def test_failure_is_said_and_the_request_goes_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where labelling fails inside the library the view gets the native value, and it is logged once."""
    install({"phone": MFA})
    monkeypatch.setattr("taint.integrations.flask._label_request", lambda *_: 1 / 0)
    assert seen(lambda r: r.form["phone"], FORM) == "+1"
    assert "labelling a request" in caplog.text


def head(request: flask.Request) -> list[Any]:
    """Read everything of a request but its body."""
    view_args: Any = request.view_args
    return [request.headers["x-other"], request.cookies["c"], request.args["q"], view_args["p"], request.url]


@pytest.mark.parametrize(
    ("pattern", "labelled"),
    [("header:x-other", [0]), ("cookie:c", [1]), ("query:q", [2, 4]), ("path:p", [3, 4]), ("phone", [])],
)
def test_a_request_is_native_only_where_nothing_is_collected(pattern: str, labelled: list[int]) -> None:
    """A request that has any collected field anywhere is labelled there, and only there."""
    install({pattern: MFA})
    found = seen(head, get("/enrol/1?q=2", x_other="3", cookie="c=4"), path="/enrol/<p>")
    assert [at for at, value in enumerate(found) if taint.labels_of(value)] == labelled


_IN_PIECES = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}


@pytest.mark.parametrize("length", [{}, _IN_PIECES])
def test_a_body_is_labelled_whatever_says_that_it_is_there(length: dict[str, Any]) -> None:
    """A body with a length, or one that comes in pieces, is labelled; the class of a request without one stays."""
    install({"body:phone": MFA})

    def ask(client: FlaskClient) -> TestResponse:
        stream = io.BytesIO(b'{"phone": "1"}')
        kwargs: dict[str, Any] = {"content_length": 14} if not length else {"environ_overrides": length}
        return client.post("/enrol", input_stream=stream, content_type="application/json", **kwargs)

    assert taint.labels_of(seen(lambda r: r.json["phone"], ask))
    assert seen(lambda r: type(r._get_current_object()), get("/enrol")) is flask.Request  # type: ignore[attr-defined]  # Of LocalProxy.


@pytest.mark.parametrize("is_labelled", [True, False])
@pytest.mark.parametrize("is_stream", [True, False])
def test_a_server_is_given_exact_bytes(is_labelled: bool, is_stream: bool) -> None:
    """Bodies, streamed or not, reach a server that takes nothing but `bytes`, labelled or not, and are closed once."""
    install({"name": OPS} if is_labelled else None)
    app = flask.Flask("shop")
    closed: list[bool] = []

    @app.get("/")
    def view() -> flask.Response:
        name = flask.request.args["name"]
        assert bool(taint.labels_of(name)) is is_labelled
        response = flask.Response(iter([name, "!"]) if is_stream else name + "!")
        response.call_on_close(lambda: closed.append(True))
        return response

    out, errors = io.BytesIO(), io.StringIO()
    environ = EnvironBuilder(query_string={"name": "Ann"}).get_environ()
    SimpleHandler(io.BytesIO(), out, errors, environ).run(app)
    assert (out.getvalue().partition(b"\r\n\r\n")[2], errors.getvalue(), closed) == (b"Ann!", "", [True])
