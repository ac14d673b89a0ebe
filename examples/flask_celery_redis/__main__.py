"""A shop on Flask, Celery and Redis, whose customers give numbers for security and for a newsletter.

    python -m examples.flask_celery_redis

Three processes besides this one: a Redis server, the shop's Flask server, a Celery worker with two children. A form's
number goes through the queue to a task, which keeps it in Redis; another task reads the cache and sends an audience to
an ad platform, which is in this process. The policy beside it says what each form collects and that the ad platform's
address is a sink. Numbers given for the newsletter go out. One given for two-factor authentication does not, two
processes and a cache later: the worker stops the request, and says whose form the number came from. With
`TAINT_MODE=off` all of them go out: that is the incident.

Exit codes: 0, all held; 1, something did not; 2, Redis or a library is not installed.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from examples.tailored_audiences.errors import BadInputError, run_main

CHECKOUT = Path(__file__).resolve().parents[2]
SHOP = "examples.flask_celery_redis"
SECONDS_TO_START = 30
PLATFORM: list[str] = []
"""What the ad platform has received."""


class Platform(BaseHTTPRequestHandler):
    """The ad platform."""

    def do_POST(self) -> None:
        """Take an audience."""
        PLATFORM.extend(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["phones"])
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Write no line for each request."""


@contextmanager
def ad_platform() -> Iterator[str]:
    """Run the ad platform; give its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Platform) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def running(*command: str, environment: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """Run a program, and end it."""
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=CHECKOUT, env=environment, text=True
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=60)


@contextmanager
def redis_server(folder: str) -> Iterator[str]:
    """Run a Redis server on a free port; give its address."""
    program = shutil.which("redis-server")
    if program is None:
        raise BadInputError(
            "Redis is not installed: 'redis-server' is not on PATH. This example starts a server of its own. "
            "Install it (Debian: apt-get install redis-server; macOS: brew install redis)."
        )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder, "--loglevel", "warning")
    with running(program, *settings) as process:
        end = time.monotonic() + SECONDS_TO_START
        while not _is_up(port):
            if process.poll() is not None or time.monotonic() > end:
                raise BadInputError(f"Redis did not start: {program!r}. It says why when it is run by hand; do so.")
            time.sleep(0.02)
        yield f"redis://127.0.0.1:{port}/0"


def _is_up(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def ask(address: str, form: Mapping[str, str | list[str]]) -> tuple[int, dict[str, Any]]:
    """Send a form."""
    data = urllib.parse.urlencode(form, doseq=True).encode()
    try:
        with urllib.request.urlopen(address, data, timeout=120) as answer:  # noqa: S310  # To our own server.
            body = answer.read()
            return answer.status, json.loads(body) if body else {}
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read()) if error.code == 403 else {}


def spans_in(file: Path, *, name: str = "") -> list[dict[str, Any]]:
    """Read the spans of a process; wait for one of a name, since telemetry is sent in the background."""
    end = time.monotonic() + SECONDS_TO_START
    while True:
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        spans: list[dict[str, Any]] = [json.loads(line) for line in lines]
        if any(span["name"] == name for span in spans) or not name or time.monotonic() > end:
            return spans
        time.sleep(0.05)


def play(shop: str, spans: Mapping[str, Path], *, is_off: bool) -> list[tuple[str, bool]]:
    """Have three people give their numbers and export twice; give each fact and whether it held."""
    for form, person, number in (
        ("newsletter", "ada", "+1 415 555 0100"),
        ("two-factor", "ben", "+1 415 555 0101"),
        ("newsletter", "cleo", "+44 20 7946 0001"),
    ):
        status, _ = ask(f"{shop}/{form}", {"person": person, "phone": number})
        if status != 201:
            return [(f"The shop took the form {form!r}; what it printed above says why it did not.", False)]
    subscribers = ask(f"{shop}/export", {"person": ["ada", "cleo"]})
    sent_to_subscribers = list(PLATFORM)
    status, answer = ask(f"{shop}/export", {"person": ["ada", "ben", "cleo"]})
    if is_off:
        return [("Without the library the number given for security was sent too: the incident.", len(PLATFORM) == 5)]
    message = answer.get("error", "")
    violations = [
        span for span in spans_in(spans["worker"], name="taint.violation") if span["name"] == "taint.violation"
    ]
    collections = {
        (span["context"]["trace_id"], span["context"]["span_id"])
        for span in spans_in(spans["web"])
        if span["name"] == "POST /two-factor"
    }
    links = [(link["context"]["trace_id"], link["context"]["span_id"]) for span in violations for link in span["links"]]
    said = message + json.dumps(violations)
    return [
        (
            "Two numbers given for the newsletter were exported.",
            subscribers == (200, {"sent": 2}) and sent_to_subscribers == ["+14155550100", "+442079460001"],
        ),
        ("The export of all numbers was stopped before the platform had any.", status == 403 and len(PLATFORM) == 2),
        ("The message names the form that collected the number.", "POST /two-factor form:phone" in message),
        ("The violation is a span of the worker.", len(violations) == 1),
        (
            "It links to the request, in the other process, that collected the number.",
            len(links) == 1 and set(links) == collections,
        ),
        ("Neither shows a number.", bool(violations) and not any(one in said for one in ("4155550101", "555 0101"))),
    ]


def main() -> int:
    """Run all processes, play, and say what held."""
    missing = [name for name in ("celery", "flask", "httpx", "redis") if importlib.util.find_spec(name) is None]
    if missing:
        raise BadInputError(
            f"{', '.join(map(repr, missing))} cannot be imported. This example needs the extras 'examples', 'celery', "
            "'flask' and 'redis'. Run pip install -e '.[examples,celery,flask,redis]'."
        )
    mode = os.environ.get("TAINT_MODE", "block")
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="flask-celery-redis-"))
        # The example sets the library up itself: settings of the user's own shell would change what it shows.
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "TAINT_"))}
        environment |= {
            "TAINT_MODE": mode,
            "TAINT_ENVELOPE_KEYS": f"example:{base64.b64encode(os.urandom(32)).decode()}",
            "SHOP_REDIS": stack.enter_context(redis_server(folder)),
            "SHOP_AD_PLATFORM": stack.enter_context(ad_platform()),
        }
        spans = {process: Path(folder) / f"{process}.jsonl" for process in ("web", "worker")}
        settings = {
            process: {**environment, "SHOP_PROCESS": process, "SHOP_SPANS": str(file)}
            for process, file in spans.items()
        }
        command = [sys.executable, "-m", "celery", "-q", "-A", f"{SHOP}.shop:queue", "worker", "-c", "2", "-l", "error"]
        quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
        stack.enter_context(running(*command, *quiet, environment=settings["worker"]))
        server = stack.enter_context(running(sys.executable, "-m", f"{SHOP}.server", environment=settings["web"]))
        assert server.stdout is not None
        facts = play(server.stdout.readline().strip(), spans, is_off=mode == "off")
    for fact, held in facts:
        print("held  " if held else "FAILED", fact)
    return 0 if all(held for _, held in facts) else 1


if __name__ == "__main__":
    run_main(main)
