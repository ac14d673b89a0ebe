"""The applications of the tests of concurrent requests: each answer says what was seen around its handler.

A handler labels nothing itself: it reads the field of its request, runs other requests in between, in a zone of the
request's own purpose, and says whose labels it sees then.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from typing import Any

import flask
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import taint
from taint.flows import current_zone
from taint.flows.requests import Table
from taint.integrations.flask import FlaskIntegration

__all__ = ["COLLECTED", "PURPOSES", "asgi_application", "misplaced", "subject", "wsgi", "wsgi_application"]

COLLECTED: Table = {"phone": taint.Collected("security.mfa")}
PURPOSES = ("security.mfa", "advertising", "marketing", "service.operations")


def subject(request: Any) -> object:
    """Say whose request it is."""
    return request.headers["x-who"]


def _begin(who: str, phone: str) -> dict[str, Any]:
    """What is seen when a request begins."""
    here = current_zone()
    return {
        "who": str.__str__(who),
        "phone": str.__str__(phone),
        "zone_before": None if here is None else here.name,
        "subjects": [label.subject for label in taint.labels_of(phone)],
        "thread": threading.get_ident(),
        "process": os.getpid(),
    }


def _zone(who: str) -> tuple[str, taint.zone]:
    purpose = PURPOSES[int(who[1:]) % len(PURPOSES)]
    return purpose, taint.zone(purpose, name=f"zone of {who}")


def _inside(seen: dict[str, Any], phone: str, purpose: str) -> None:
    """What is seen in the zone, after others had their turn."""
    here = current_zone()
    normal = phone.replace(" ", "")
    seen["zone"] = None if here is None else here.name
    seen["is_same"] = phone == seen["phone"]  # A comparison: told to the zone with this request's label.
    seen["subjects_after"] = sorted({str(label.subject) for label in taint.labels_of({"phone": normal})})
    seen["is_in_foreign_zone"] = purpose != "security.mfa"


def misplaced(answer: dict[str, Any]) -> dict[str, Any] | None:
    """Give an answer in which anything of another request was seen; None for one as it should be."""
    who = answer["who"]
    is_right = (
        answer["zone_before"] is None
        and answer["zone_after"] is None
        and answer["zone"] == f"zone of {who}"
        and answer["subjects"] == answer["subjects_after"] == [who]
        and answer["is_same"] is True
        and int(answer["phone"].replace(" ", "").removeprefix("+1415")) == int(who[1:])
    )
    return None if is_right else answer


async def _on_task(request: Request) -> JSONResponse:
    data = await request.json()
    seen = _begin(data["who"], data["phone"])
    purpose, zone = _zone(seen["who"])
    with zone:
        await asyncio.sleep(0)
        await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))
        _inside(seen, data["phone"], purpose)
    return JSONResponse(_end(seen))


def _end(seen: dict[str, Any]) -> dict[str, Any]:
    """What is seen after the zone; one request in seven leaves another zone open."""
    here = current_zone()
    seen["zone_after"] = None if here is None else here.name
    if int(seen["who"][1:]) % 7 == 0:
        taint.zone("advertising", name="left open", collects=True).__enter__()
    return seen


def _wait_and_answer(seen: dict[str, Any], phone: str) -> dict[str, Any]:
    purpose, zone = _zone(seen["who"])
    with zone:
        time.sleep(0)  # Others have their turn.
        _inside(seen, phone, purpose)
    return _end(seen)


async def _on_thread(request: Request) -> JSONResponse:
    data = await request.json()
    seen = _begin(data["who"], data["phone"])
    return JSONResponse(await asyncio.to_thread(_wait_and_answer, seen, data["phone"]))


def asgi_application() -> Starlette:
    """Make the application for tasks."""
    return Starlette(
        routes=[Route("/task", _on_task, methods=["POST"]), Route("/thread", _on_thread, methods=["POST"])]
    )


def wsgi_application() -> flask.Flask:
    """Make the application for threads."""
    app = flask.Flask("shop")

    def view() -> dict[str, Any]:
        data = flask.request.get_json()
        return _wait_and_answer(_begin(data["who"], data["phone"]), data["phone"])

    app.add_url_rule("/thread", view_func=view, methods=["POST"])
    app.add_url_rule("/task", view_func=view, methods=["POST"], endpoint="task")
    return app


if os.environ.get("TAINT_TEST_SERVER"):
    taint.install(integrations=[FlaskIntegration(collected=COLLECTED, subject=subject)])
    # What is open where an application is loaded, in a worker or before one is forked, is open in no request.
    taint.zone("advertising", name="around the import").__enter__()
wsgi = wsgi_application()
