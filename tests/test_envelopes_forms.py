"""Fields of forms that come with an envelope carry its labels in every framework, as they are parsed."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Annotated, Any

import django
import fastapi
import flask
import httpx
import pytest
import requests
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import JsonResponse
from django.test.utils import override_settings
from django.urls import path
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import taint
from taint.envelopes.asgi import EnvelopeMiddleware
from taint.envelopes.carrying import arrived
from taint.envelopes.envelope import open_envelope, seal, seal_at
from taint.envelopes.keys import EnvelopeKeys, set_keys
from taint.envelopes.wsgi import EnvelopeMiddleware as WSGIEnvelopeMiddleware
from taint.testing import record
from tests.servers import serving_asgi, serving_wsgi

PHONE = "+1 415 555 0100"
URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=bound"
SECURITY = {"security.mfa"}

Seen = dict[str, Any]
seen: list[Seen] = []


@pytest.fixture(autouse=True)
def _set_up() -> Iterator[None]:
    """The process has a key, and hosts of its own."""
    before = set_keys(EnvelopeKeys({"k1": bytes(range(32))}))
    taint.configure(policy={"envelopes": {"hosts": ["127.0.0.1:*"]}})
    taint.install(integrations=["starlette", "fastapi", "flask", "django", "rest_framework", "httpx", "requests"])
    seen.clear()
    yield
    set_keys(before)


def phone() -> str:
    """A labelled number."""
    return taint.label(PHONE, purpose="security.mfa", source="enrolment")


async def starlette_form(request: Request) -> JSONResponse:
    """Keep the fields of a form, and what is in its files."""
    async with request.form() as form:
        fields = [(n, v if isinstance(v, str) else await v.read()) for n, v in form.multi_items()]
        seen.append(dict(fields))
    return JSONResponse({})


def fastapi_app() -> Any:
    """A service whose parameters are fields."""
    app = fastapi.FastAPI()

    @app.post("/")
    async def take(
        name: Annotated[str, fastapi.Form()],
        phone: Annotated[str, fastapi.Form()],
        file: fastapi.UploadFile | None = None,
    ) -> None:
        seen.append({"name": name, "phone": phone, **({"file": await file.read()} if file else {})})

    return EnvelopeMiddleware(app)


def flask_app() -> Any:
    """A service that reads a form."""
    app = flask.Flask("service")

    @app.post("/")
    def take() -> str:
        files = {name: file.read() for name, file in flask.request.files.items()}
        seen.append({**flask.request.form, **files})
        return ""

    return WSGIEnvelopeMiddleware(app)


@contextmanager
def serving_django(*, is_async: bool, is_rest: bool = False) -> Iterator[str]:
    """Serve a service that reads a form; Django has one configuration for all of a process."""

    def take(request: Any) -> Any:
        if request.content_type == "application/json":
            seen.append(json.loads(request.body))
            return JsonResponse({})
        files = {name: file.read() for name, file in request.FILES.items()}
        seen.append({**request.POST.dict(), **files})
        return JsonResponse({})

    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"], SECRET_KEY="x", USE_TZ=True, MIDDLEWARE=[])
        django.setup()
    from rest_framework.decorators import api_view, authentication_classes, permission_classes  # noqa: PLC0415  # It reads settings.
    from rest_framework.response import Response  # noqa: PLC0415  # As above.

    def take_by_rest(request: Any) -> Any:
        seen.append({n: v.read() if hasattr(v, "read") else v for n, v in request.data.items()})
        return Response(seen[-1].get("phone") if request.query_params else {})

    rest = api_view(["POST"])(authentication_classes([])(permission_classes([])(take_by_rest)))

    class Urls:
        urlpatterns = (path("", rest if is_rest else take),)

    # 10: bodies and files go through files on disk, where no carrier follows.
    with (
        override_settings(
            ROOT_URLCONF=Urls,
            MIDDLEWARE=[],
            ALLOWED_HOSTS=["*"],
            FILE_UPLOAD_MAX_MEMORY_SIZE=10,
            REST_FRAMEWORK={"UNAUTHENTICATED_USER": None},  # It is of an application that is not installed here.
        ),
        serving_asgi(EnvelopeMiddleware(ASGIHandler()))
        if is_async
        else serving_wsgi(WSGIEnvelopeMiddleware(WSGIHandler())) as url,
    ):
        yield url


SERVICES: dict[str, Any] = {
    "starlette": lambda: serving_asgi(
        EnvelopeMiddleware(Starlette(routes=[Route("/", starlette_form, methods=["POST"])]))
    ),
    "fastapi": lambda: serving_asgi(fastapi_app()),
    "flask": lambda: serving_wsgi(flask_app()),
    "django": lambda: serving_django(is_async=False),
    "django-asgi": lambda: serving_django(is_async=True),
    "rest_framework": lambda: serving_django(is_async=False, is_rest=True),
    "rest_framework-asgi": lambda: serving_django(is_async=True, is_rest=True),
}


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> Iterator[str]:
    """One of our services."""
    with ExitStack() as stack:
        yield stack.enter_context(SERVICES[request.param]())


def multipart(number: str) -> bytes:
    """Write a form with a file."""
    body = b""
    for name, more, text in (("name", "", "Ä"), ("phone", "", number), ("file", '; filename="a.txt"', "in the file")):
        head = f'--bound\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
        body = body + head.encode() + text.encode() + b"\r\n"
    return body + b"--bound--\r\n"


def post(url: str, body: bytes, media_type: str) -> None:
    """Send a form to one of our own services, by one of them: with an envelope."""
    response = httpx.post(url, content=body, headers={"Content-Type": media_type}, timeout=20)
    assert response.status_code == 200, response.text


def purposes() -> dict[str, frozenset[str]]:
    """Say which purposes each field was collected for."""
    (fields,) = seen
    return {name: frozenset(p for label in taint.labels_of(v) for p in label.purposes) for name, v in fields.items()}


def test_form(service: str) -> None:
    """Of a form of `name=value` the field that is labelled is labelled there, and no other one."""
    with record() as found:
        post(service, urllib.parse.urlencode({"name": "Ä b", "phone": phone()}).encode(), URLENCODED)
    assert found.gaps == []
    assert seen == [{"name": "Ä b", "phone": PHONE}]
    assert purposes() == {"name": frozenset(), "phone": SECURITY}
    assert taint.labels_of(seen[0]["phone"]) == taint.labels_of(phone())


def test_whole_form(service: str) -> None:
    """Of a form that is labelled as a whole each field is labelled."""
    post(
        service,
        taint.label(urllib.parse.urlencode({"name": "b", "phone": PHONE}).encode(), purpose="security.mfa"),
        URLENCODED,
    )
    assert purposes() == {"name": SECURITY, "phone": SECURITY}


def test_form_with_a_file(service: str) -> None:
    """Of a form in parts each field and file is labelled."""
    with record() as found:
        post(service, multipart(phone()), MULTIPART)
    assert found.gaps == []
    assert seen == [{"name": "Ä", "phone": PHONE, "file": b"in the file"}]
    assert purposes() == dict.fromkeys(("name", "phone", "file"), SECURITY)


@pytest.mark.parametrize(
    ("body", "media_type"),
    [(urllib.parse.urlencode({"name": "b", "phone": PHONE}).encode(), URLENCODED), (multipart(PHONE), MULTIPART)],
)
def test_safe_twin(service: str, body: bytes, media_type: str) -> None:
    """Without labels no field is labelled, and its values are exact."""
    post(service, body, media_type)
    assert set(purposes().values()) == {frozenset()}
    assert {type(value) for value in seen[0].values()} <= {str, bytes}


@pytest.mark.parametrize("client", [httpx, requests], ids=["httpx", "requests"])
def test_clients_say_which_field(service: str, client: Any) -> None:
    """A form that a client writes of fields has its labels on the fields that carry them."""
    for data in ({"name": "b", "phone": phone()}, {"name": "b", "phone": PHONE}):
        assert client.post(service, data=data, timeout=20).status_code == 200
    labelled, plain = seen
    assert taint.labels_of(labelled["phone"]) == taint.labels_of(phone())
    assert not taint.labels_of([labelled["name"], *plain.values()])


@pytest.mark.parametrize("name", ["starlette", "flask", "django", "rest_framework"])
def test_joined_to_what_is_collected(name: str) -> None:
    """What the policy says of a field is joined to what its envelope says."""
    fields = {"phone": {"purpose": "advertising"}, "file": {"purpose": "advertising"}}
    taint.configure(policy={"envelopes": {"hosts": ["127.0.0.1:*"]}, "collected": {"*": fields}})
    with SERVICES[name]() as url:
        post(url, multipart(phone()), MULTIPART)
    both = {"advertising", "security.mfa"}
    assert purposes() == {"name": SECURITY, "phone": both, "file": both}


@pytest.mark.parametrize("name", ["django", "django-asgi", "rest_framework", "rest_framework-asgi"])
def test_raw_body(name: str) -> None:
    """The leaf of a JSON body that is labelled is labelled in Django and its REST framework, and no other one."""
    with SERVICES[name]() as url:
        post(url, json.dumps({"name": "b", "phone": phone()}).encode(), "application/json")
    assert purposes() == {"name": frozenset(), "phone": SECURITY}


@pytest.mark.parametrize("name", ["rest_framework", "rest_framework-asgi"])
def test_answer_of_rest_framework(name: str) -> None:
    """What Django REST framework renders of a labelled value arrives labelled; what it renders of others does not."""
    with SERVICES[name]() as url:
        for number, expected in ((phone(), SECURITY), (PHONE, set())):
            answer = httpx.post(f"{url}?echo=1", json={"phone": number}, timeout=20).json()
            assert answer == PHONE
            assert {p for label in taint.labels_of(answer) for p in label.purposes} == expected


def test_other_encoding_in_rest_framework() -> None:
    """A JSON body in another encoding than UTF-8 is labelled as a whole."""
    for number in (phone(), PHONE):
        text = '{"name": "Ä", "phone": "' + number + '"}'
        body = text.encode("utf-16")
        with SERVICES["rest_framework"]() as url:
            post(url, body, "application/json; charset=utf-16")
    assert [one["name"] for one in seen] == ["Ä", "Ä"]
    labelled, plain = seen
    assert taint.labels_of(labelled["phone"]) == taint.labels_of(labelled["name"]) == taint.labels_of(phone())
    assert not taint.labels_of(plain)


def pointers(body: bytes) -> dict[str, set[str]]:
    """Say what an envelope says of a body, by pointer."""
    opened = open_envelope(seal(body), bytes(bytearray(body)))
    assert opened.problem is None
    return {pointer: {p for label in labels for p in label.purposes} for pointer, labels in opened.placed}


FORMS: dict[str, tuple[str, str, str, dict[str, set[str]]]] = {
    "one field": ("a=1&phone=", "%2B1+415", "&b=", {"/phone": SECURITY}),
    "part of a field": ("a=1&phone=x", "5550100", "y", {"/phone": SECURITY}),
    "the same name twice": ("a=", "1", "&a=2", {"/a": SECURITY}),
    "an escaped name": ("a%2Fb%7Ec=", "1", "", {"/a~1b~0c": SECURITY}),
    "the name of a field": ("", "phone", "=1&a=2", {"": SECURITY}),
    "over several fields": ("a=", "1&b=2", "&c=3", {"": SECURITY}),
    "no form": ("a=1; phone=", "5550100", "", {"": SECURITY}),
    "a lone percent sign": ("a=1&b=%zz&c=", "5550100", "", {"": SECURITY}),
    "beyond ASCII": ("a=Ä&phone=", "5550100", "", {"": SECURITY}),
}


@pytest.mark.parametrize(("before", "labelled", "after", "expected"), FORMS.values(), ids=FORMS)
def test_pointers(before: str, labelled: str, after: str, expected: dict[str, set[str]]) -> None:
    """A pointer names a field where labels are on values alone, else the whole body; no byte comes without them."""
    body = (before + taint.label(labelled, purpose="security.mfa") + after).encode()
    assert pointers(body) == expected
    plain = bytes(bytearray(body))
    opened = arrived(plain, seal(body), channel="http")
    start = len(before.encode())
    assert taint.labels_of(opened[start : start + len(labelled)]) == taint.labels_of(body)
    assert bool(taint.labels_of(opened[:1])) is ("" in expected)


def test_pointer_that_leads_nowhere() -> None:
    """A pointer to a field that a form does not have means all of it."""
    envelope = seal_at(b"a=1&b=2", {"/c": taint.labels_of(phone())})
    opened = arrived(b"a=1&b=2", envelope, channel="http")
    assert {one.labels for one in taint.ranges_of(opened)} == {taint.labels_of(phone())}
