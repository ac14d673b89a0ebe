"""Celery's workers, forked and on greenlets: what a task sends to a declared address is checked in the worker."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("celery", reason="the extra 'celery' is not installed")
pytest.importorskip("httpx", reason="the extra 'httpx' is not installed")

import celery

import taint
from taint.envelopes.keys import EnvelopeKeys, set_keys
from tests.redis_server import running_redis

SECRET = bytes(range(32))
PHONE = "+14155550100"
CHECKOUT = Path(__file__).resolve().parent.parent.parent
POLICY = """
[sinks."ads.api"]
purpose = "advertising.audiences"
at = {{ http = ["{address}/ads"] }}

[sinks."ads.trial"]
purpose = "advertising.audiences"
mode = "report"
at = {{ http = ["{address}/trial"] }}

[sinks."sms.api"]
purpose = "security.mfa"
at = {{ http = ["{address}/sms"] }}
"""


class Arrived(ThreadingHTTPServer):
    """A server that keeps what it gets."""

    bodies: list[tuple[str, Any]]


class Keep(BaseHTTPRequestHandler):
    """Keep the body."""

    server: Arrived

    def do_POST(self) -> None:
        """Take what is sent."""
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.bodies.append((self.path, json.loads(body)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[Arrived]:
    """Who is sent to."""
    with Arrived(("127.0.0.1", 0), Keep) as server:
        server.bodies = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(timeout=20)


@pytest.fixture(scope="module", params=["prefork", "gevent"])
def post(
    request: pytest.FixtureRequest, server: Arrived, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str, str], Any]]:
    """Have a worker post a number to a path of the server; gives the pending result."""
    if request.param == "gevent":
        pytest.importorskip("gevent", reason="gevent is not installed")
    address = f"http://127.0.0.1:{server.server_port}"
    policy = tmp_path_factory.mktemp("celery") / "taint.toml"
    policy.write_text(POLICY.format(address=address), encoding="utf-8")
    with running_redis() as port:
        broker = f"redis://127.0.0.1:{port}/0"
        environment = {
            **os.environ,
            "TAINT_TEST_REDIS": broker,
            "TAINT_ENVELOPE_KEYS": f"k1:{base64.b64encode(SECRET).decode()}",
            "TAINT_POLICY": str(policy),
        }
        environment.pop("TAINT_MODE", None)
        command = [sys.executable, "-m", "celery", "-A", "tests.celery_app", "worker", "-P", request.param, "-c", "4"]
        options = ["-l", "error", "--without-gossip", "--without-mingle", "--without-heartbeat"]
        with subprocess.Popen(
            [*command, *options], cwd=CHECKOUT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            app = celery.Celery("asking", broker=broker, backend=broker)
            app.conf.broker_connection_retry_on_startup = True
            try:
                yield lambda phone, path: app.send_task("tests.celery_app.post", (phone, address + path))
            finally:
                app.close()
                process.terminate()
                process.wait(timeout=60)


@pytest.fixture(autouse=True)
def _keys(server: Arrived) -> Iterator[None]:
    """The asking process has the same key, and the integration; nothing has arrived yet."""
    before = set_keys(EnvelopeKeys({"k1": SECRET}))
    taint.install(integrations=["celery"])
    server.bodies.clear()
    yield
    set_keys(before)


def labelled() -> str:
    """A number that was given for security."""
    return taint.label(PHONE, purpose="security.mfa", source="enrolment")


@pytest.mark.parametrize(
    ("number", "path", "told"),
    [
        (labelled, "/ads", ["refused", "ads.api", "json.phone"]),
        (labelled, "/trial", ["sent", "ads.trial"]),
        (labelled, "/sms", ["sent"]),
        (lambda: PHONE, "/ads", ["sent"]),
    ],
    ids=["refused", "reported", "allowed", "unlabelled"],
)
def test_a_task_that_sends(
    post: Callable[[str, str], Any], server: Arrived, number: Callable[[], str], path: str, told: list[str]
) -> None:
    """A number given for security is refused or reported at an address for advertising; its safe twins arrive."""
    assert post(number(), path).get(timeout=60) == told
    assert server.bodies == ([] if told[0] == "refused" else [(path, {"phone": PHONE})])


def test_tasks_at_a_time(post: Callable[[str, str], Any], server: Arrived) -> None:
    """Of tasks that run beside each other just those with labelled numbers are refused."""
    asked = [post(labelled() if number % 2 else PHONE, "/ads") for number in range(40)]
    assert [one.get(timeout=60)[0] for one in asked] == ["sent", "refused"] * 20
    assert server.bodies == [("/ads", {"phone": PHONE})] * 20
