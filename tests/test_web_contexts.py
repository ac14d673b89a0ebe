"""Requests that run at the same time: no label, person, zone or finding of one is ever seen in another."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from werkzeug.serving import make_server

import taint
from taint.flows.outcome import listen, unlisten
from taint.integrations.flask import FlaskIntegration
from taint.integrations.starlette import StarletteIntegration
from taint.policy import Flow
from tests import asgi, web_applications
from tests.web_applications import COLLECTED, PURPOSES, asgi_application, misplaced, wsgi_application

CHECKOUT = Path(__file__).resolve().parent.parent
ON_TASKS = 6_000
ON_THREADS = 3_000
ON_SERVERS = 200


@pytest.fixture(autouse=True)
def nothing_installed() -> Iterator[None]:
    """Take everything off afterwards, and hear what is found meanwhile."""
    taint.configure(mode="report")
    yield
    taint.uninstall()


@contextlib.contextmanager
def heard() -> Iterator[list[Flow]]:
    """Hear every flow, from every thread."""
    flows: list[Flow] = []
    listen(flows.append)
    try:
        yield flows
    finally:
        unlisten(flows.append)


def body_of(index: int) -> dict[str, Any]:
    """What the request of a number sends."""
    return {"who": f"w{index}", "phone": f"+1 415 {index:07}"}


def check_flows(flows: list[Flow], answers: list[Any]) -> None:
    """Every comparison was told with the label of its own request, and for its own zone."""
    expected = {answer["who"] for answer in answers if answer["is_in_foreign_zone"]}
    assert expected
    violations = [flow for flow in flows if flow.outcome is taint.Outcome.VIOLATION]
    assert {label.subject for flow in violations for label in flow.labels} == expected
    for flow in violations:
        (subject,) = {label.subject for label in flow.labels}
        assert flow.purpose == PURPOSES[int(str(subject)[1:]) % len(PURPOSES)]


def test_on_one_loop() -> None:
    """6,000 requests on one event loop, 200 at a time, coroutines and the thread pool in turn."""
    taint.install(integrations=[StarletteIntegration(collected=COLLECTED, subject=web_applications.subject)])
    app: Starlette = asgi_application()
    answers: list[Any] = []

    async def work(indexes: Iterator[int]) -> None:
        for index in indexes:
            path = "/thread" if index % 20 == 0 else "/task"
            answer = await asgi.call(
                app,
                "POST",
                path,
                body=json.dumps(body_of(index)).encode(),
                headers={"content-type": "application/json", "x-who": f"w{index}"},
                pieces=1 + index % 3,
            )
            answers.append(answer.json())

    async def run() -> None:
        indexes = iter(range(ON_TASKS))
        await asyncio.gather(*(work(indexes) for _ in range(200)))

    with heard() as flows:
        asyncio.run(run())
    assert len(answers) == ON_TASKS
    assert [misplaced(answer) for answer in answers if misplaced(answer)] == []
    check_flows(flows, answers)


def test_on_threads() -> None:
    """3,000 requests on 16 threads that are used again and again."""
    taint.install(integrations=[FlaskIntegration(collected=COLLECTED, subject=web_applications.subject)])
    app = wsgi_application()

    def ask(index: int) -> Any:
        client = app.test_client()
        return client.post("/thread", json=body_of(index), headers={"X-Who": f"w{index}"}).json

    with heard() as flows, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(ON_THREADS)))
    assert [misplaced(answer) for answer in answers if misplaced(answer)] == []
    check_flows(flows, answers)
    assert len({answer["thread"] for answer in answers}) > 1


def ask_all(port: int, count: int = ON_SERVERS) -> list[Any]:
    """Ask a server from eight threads, each on one connection."""
    indexes = iter(range(count))
    lock = threading.Lock()

    def work(_worker: int) -> list[Any]:
        answers: list[Any] = []
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while True:
            with lock:
                index = next(indexes, None)
            if index is None:
                connection.close()
                return answers
            headers = {"Content-Type": "application/json", "X-Who": f"w{index}"}
            connection.request("POST", "/thread" if index % 2 else "/task", json.dumps(body_of(index)), headers)
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status == 200, text
            answers.append(json.loads(text))

    with ThreadPoolExecutor(8) as pool:
        answers = [answer for part in pool.map(work, range(8)) for answer in part]
    assert len(answers) == count
    assert [misplaced(answer) for answer in answers if misplaced(answer)] == []
    return answers


def free_port() -> int:
    """Give a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(is_there: Callable[[], bool]) -> None:
    """Wait for a server."""
    end = time.monotonic() + 20
    while not is_there():
        assert time.monotonic() < end, "the server did not begin"
        time.sleep(0.02)


def is_open(port: int) -> bool:
    """Tell whether somebody listens."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_uvicorn() -> None:
    """Requests over eight connections to uvicorn."""
    taint.install(integrations=[StarletteIntegration(collected=COLLECTED, subject=web_applications.subject)])
    config = uvicorn.Config(asgi_application(), port=free_port(), log_level="error", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    with taint.zone("marketing", name="around the server"):
        thread.start()
        wait_until(lambda: server.started)
    try:
        ask_all(config.port)
    finally:
        server.should_exit = True
        thread.join()


def test_werkzeug_threads() -> None:
    """Requests over eight connections to Werkzeug's threaded server."""
    taint.install(integrations=[FlaskIntegration(collected=COLLECTED, subject=web_applications.subject)])
    server = make_server("127.0.0.1", 0, wsgi_application(), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        ask_all(server.server_port)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


GUNICORN = {
    "threads": ("--worker-class=gthread", "--threads=4"),
    "pre-fork": ("--worker-class=sync",),
    "pre-fork, loaded before": ("--worker-class=sync", "--preload"),
    "gevent": ("--worker-class=gevent",),
}


@pytest.mark.parametrize("kind", GUNICORN)
def test_gunicorn(kind: str, tmp_path: Path) -> None:
    """Requests over eight connections to two workers of gunicorn, of each kind that there is."""
    pytest.importorskip("gunicorn", reason="gunicorn is not installed")
    if kind == "gevent":
        pytest.importorskip("gevent", reason="gevent is not installed")
    port = free_port()
    options = ["--workers=2", f"--bind=127.0.0.1:{port}", "--log-level=error", *GUNICORN[kind]]
    log = tmp_path / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-m", "gunicorn", *options, "tests.web_applications:wsgi"],
            cwd=CHECKOUT,
            env={**os.environ, "TAINT_MODE": "report", "TAINT_TEST_SERVER": "1"},
            stdout=output,
            stderr=output,
        ) as process,
    ):
        try:
            wait_until(lambda: is_open(port) or process.poll() is not None)
            assert process.poll() is None, log.read_text()
            answers = ask_all(port)
        finally:
            process.send_signal(signal.SIGTERM)
    assert os.getpid() not in {answer["process"] for answer in answers}
