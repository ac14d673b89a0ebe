"""What a web request costs with the library on: `python benchmarks/web.py`.

Every application is built twice, with and without the library, and driven in this process without a network. One
request touches nothing that is labelled, though fields of others are; the other one collects 20 fields, stores them
with SQLAlchemy in SQLite, reads them again, checks them at a sink and answers with them. Pairs of rounds, without and
with, in turn; processor time; the table has the median of the ratios of the pairs.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable, Coroutine
from io import BytesIO
from typing import Annotated, Any

import django.conf
import django.urls
import fastapi
import flask
import sqlalchemy as sa
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, JsonResponse
from pydantic import BaseModel, create_model
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column
from sqlalchemy.pool import StaticPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import taint
from taint.integrations.django import DjangoIntegration
from taint.integrations.fastapi import FastapiIntegration
from taint.integrations.flask import FlaskIntegration
from taint.integrations.sqlalchemy import labelled
from taint.integrations.starlette import StarletteIntegration

FIELDS = [f"field_{index:02}" for index in range(20)]
PAIRS = 9
REQUESTS = {"untouched": 1000, "20 fields": 200}
MFA = taint.Collected("security.mfa", category="user.contact.phone_number")
COLLECTED = {"POST /people": dict.fromkeys(FIELDS, MFA), "phone": MFA}
BODY = json.dumps({name: f"value of {name}" for name in FIELDS}).encode()

Ask = Callable[[str], Coroutine[Any, Any, int]]


class Shop:
    """What the handlers do, with the library or without it.

    Args:
        is_on: Whether columns are declared and the sink is one.
    """

    def __init__(self, *, is_on: bool) -> None:
        class Base(DeclarativeBase):
            pass

        info = labelled(purpose="security.mfa", category="user.contact.phone_number") if is_on else {}
        columns: dict[str, Any] = {name: mapped_column(sa.String(40), info=info) for name in FIELDS}
        self.person: Any = type(
            "Person", (Base,), {"__tablename__": "people", "id": mapped_column(sa.Integer, primary_key=True), **columns}
        )
        self.engine = sa.create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
        Base.metadata.create_all(self.engine)

        def send(row: dict[str, str]) -> int:
            return len(row)

        self.send = taint.sink(purpose="security.mfa", name="shop.send")(send) if is_on else send

    def enrol(self, given: dict[str, str]) -> dict[str, str]:
        """Store, read, check and give back."""
        with Session(self.engine) as session:
            person = self.person(**given)
            session.add(person)
            session.commit()
            key = person.id
        with Session(self.engine) as session:
            found = session.scalars(sa.select(self.person).where(self.person.id == key)).one()
            row = {name: getattr(found, name) for name in FIELDS}
            self.send(row)
            session.delete(found)
            session.commit()
        return row


def item(number: int, page: str, agent: str | None) -> dict[str, Any]:
    """Give what a request is answered that collects nothing."""
    return {"number": number, "page": page, "agent": agent, "items": [{"n": n, "name": "a name"} for n in range(5)]}


def starlette_app(shop: Shop) -> Starlette:
    """Make an application of Starlette."""

    async def get(request: Request) -> JSONResponse:
        return JSONResponse(
            item(request.path_params["number"], request.query_params["page"], request.headers.get("user-agent"))
        )

    async def post(request: Request) -> JSONResponse:
        return JSONResponse(shop.enrol(await request.json()))

    routes = [Route("/items/{number:int}", get), Route("/people", post, methods=["POST"])]
    return Starlette(routes=routes)


def fastapi_app(shop: Shop) -> fastapi.FastAPI:
    """Make an application of FastAPI."""
    fields: dict[str, Any] = dict.fromkeys(FIELDS, (str, ...))
    model: type[BaseModel] = create_model("Person", **fields)
    app = fastapi.FastAPI()

    @app.get("/items/{number}")
    async def get(number: int, page: str, user_agent: Annotated[str | None, fastapi.Header()] = None) -> Any:
        return item(number, page, user_agent)

    async def post(person: Any) -> Any:
        return shop.enrol(person.model_dump())

    post.__annotations__["person"] = model
    app.post("/people")(post)
    return app


def flask_app(shop: Shop) -> flask.Flask:
    """Make an application of Flask."""
    app = flask.Flask("shop")

    @app.get("/items/<int:number>")
    def get(number: int) -> Any:
        return item(number, flask.request.args["page"], flask.request.headers.get("user-agent"))

    @app.post("/people")
    def post() -> Any:
        return shop.enrol(flask.request.get_json())

    return app


class _Urls:
    """What Django takes for the module of an application's routes."""

    def __init__(self, shop: Shop) -> None:
        def get(request: HttpRequest, number: int) -> JsonResponse:
            return JsonResponse(item(number, request.GET["page"], request.headers.get("user-agent")))

        def post(request: HttpRequest) -> JsonResponse:
            return JsonResponse(shop.enrol(json.loads(request.body)))

        self.urlpatterns = [django.urls.path("items/<int:number>", get), django.urls.path("people", post)]


def django_app(shop: Shop) -> Any:
    """Make an application of Django, whose settings are one for the process."""
    if not django.conf.settings.configured:
        middleware = ["django.middleware.common.CommonMiddleware"]
        django.conf.settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=None, MIDDLEWARE=middleware)
        django.setup()
    urls, handler = _Urls(shop), WSGIHandler()

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        if django.conf.settings.ROOT_URLCONF is not urls:
            django.conf.settings.ROOT_URLCONF = urls
        return handler(environ, start_response)

    return app


def wsgi(app: Any) -> Ask:
    """Give a driver of a WSGI application."""

    async def ask(kind: str) -> int:
        is_post = kind == "20 fields"
        path, _, query = url(kind).partition("?")
        environ = {
            "REQUEST_METHOD": "POST" if is_post else "GET",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_NAME": "shop.example",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_USER_AGENT": "bench",
            "CONTENT_TYPE": "application/json" if is_post else "",
            "CONTENT_LENGTH": str(len(BODY)) if is_post else "",
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(BODY if is_post else b""),
            "wsgi.errors": sys.stderr,
        }
        statuses: list[str] = []
        b"".join(app(environ, lambda status, _headers, *_: statuses.append(status)))
        return int(statuses[0][:3])

    return ask


def url(kind: str) -> str:
    """Give where a request goes."""
    return "/people" if kind == "20 fields" else "/items/7?page=2"


def asgi(app: Any) -> Ask:
    """Give a driver of an ASGI application."""

    async def ask(kind: str) -> int:
        is_post = kind == "20 fields"
        path, _, query = url(kind).partition("?")
        headers = [(b"host", b"shop.example"), (b"user-agent", b"bench")]
        if is_post:
            headers += [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST" if is_post else "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 80),
        }
        statuses: list[int] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": BODY if is_post else b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        await app(scope, receive, send)
        return statuses[0]

    return ask


async def timed(ask: Ask, kind: str) -> float:
    """Give the microseconds of processor time that a request takes."""
    count = REQUESTS[kind]
    begun = time.process_time()
    for _ in range(count):
        assert await ask(kind) == 200  # noqa: PLR2004  # OK.
    return (time.process_time() - begun) / count * 1e6


def measure(make: Callable[[Shop], Ask], integration: Callable[[], Any], kind: str) -> tuple[float, float, float]:
    """Give the medians without and with the library, and that of the pairs' ratios."""
    without, with_it = make(Shop(is_on=False)), make(Shop(is_on=True))
    pairs = []
    for index in range(PAIRS + 1):
        times = {}
        for is_on in (False, True) if index % 2 else (True, False):
            if is_on:
                taint.install(integrations=[integration(), "sqlalchemy", "sqlite3", "pydantic"])
            times[is_on] = asyncio.run(timed(with_it if is_on else without, kind))
            taint.uninstall()
        if index:  # The first warms up.
            pairs.append((times[False], times[True]))
    natives, owns = zip(*pairs, strict=True)
    return statistics.median(natives), statistics.median(owns), statistics.median(b / a for a, b in pairs)


def main() -> None:
    """Print the table."""
    taint.configure(policy={})
    rows: list[tuple[str, Callable[[Shop], Ask], Callable[[], Any]]] = [
        ("Starlette", lambda shop: asgi(starlette_app(shop)), lambda: StarletteIntegration(collected=COLLECTED)),
        ("FastAPI", lambda shop: asgi(fastapi_app(shop)), lambda: FastapiIntegration(collected=COLLECTED)),
        ("Django", lambda shop: wsgi(django_app(shop)), lambda: DjangoIntegration(collected=COLLECTED)),
        ("Flask", lambda shop: wsgi(flask_app(shop)), lambda: FlaskIntegration(collected=COLLECTED)),
    ]
    wanted = sys.argv[1:]
    print("| application | request | without µs | with µs | median ratio |\n|---|---|---:|---:|---:|")
    for name, make, integration in rows:
        for kind in REQUESTS:
            if not wanted or name in wanted:
                native, own, ratio = measure(make, integration, kind)
                print(f"| {name} | {kind} | {native:.0f} | {own:.0f} | {ratio:.3f} |", flush=True)


if __name__ == "__main__":
    main()
