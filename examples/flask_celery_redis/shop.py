"""The shop: a Flask application that takes forms, and Celery tasks that keep numbers in Redis and export them.

Both processes import this module; `SHOP_PROCESS` says which one it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import celery
import flask
import httpx
import redis
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

import taint
from examples.tailored_audiences.telemetry import JsonLinesExporter

taint.configure(policy=Path(__file__).with_name("policy.toml"))
taint.install(integrations=["flask", "celery", "redis", "httpx"])

REDIS = os.environ["SHOP_REDIS"]
PLATFORM = os.environ["SHOP_AD_PLATFORM"]

provider = TracerProvider(resource=Resource.create({"service.name": os.environ["SHOP_PROCESS"]}))
provider.add_span_processor(SimpleSpanProcessor(JsonLinesExporter(Path(os.environ["SHOP_SPANS"]))))
trace.set_tracer_provider(provider)

web = flask.Flask(__name__)
queue = celery.Celery("shop", broker=REDIS, backend=REDIS)
queue.conf.update(broker_connection_retry_on_startup=True, worker_hijack_root_logger=False)
cache = redis.Redis.from_url(REDIS, decode_responses=True)


@web.post("/two-factor")
@web.post("/newsletter")
def enrol() -> tuple[str, int]:
    """Take a number; the same lines for both forms."""
    keep.delay(flask.request.form["person"], flask.request.form["phone"]).get(timeout=30)
    return "", 201


@web.post("/export")
def export() -> tuple[dict[str, Any], int]:
    """Have the numbers of some people exported, as a marketing team would ask for it."""
    answer = upload.delay(flask.request.form.getlist("person")).get(timeout=30)
    return answer, 403 if "error" in answer else 200


@queue.task
def keep(person: str, phone: str) -> None:
    """Keep a number in the cache."""
    cache.hset("phones", person, phone.replace(" ", ""))


@queue.task
def upload(people: list[str]) -> dict[str, Any]:
    """Send the numbers of some people to the ad platform."""
    numbers = cache.hmget("phones", people)
    try:
        httpx.post(f"{PLATFORM}/v1/audience", json={"phones": numbers}, timeout=10).raise_for_status()
    except taint.PurposeViolationError as error:
        return {"error": str(error)}
    return {"sent": len(numbers)}


class Traced:
    """A span for each request, as an instrumentation of Flask makes one."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Handle a request."""
        name = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        with trace.get_tracer("shop").start_as_current_span(name, kind=trace.SpanKind.SERVER):
            return self._application(environ, start_response)


web.wsgi_app = Traced(web.wsgi_app)  # type: ignore[method-assign]  # As Flask's own documentation does it.
