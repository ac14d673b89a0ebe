"""What a web request costs behind a real server: `python benchmarks/web_server.py`.

The applications of `benchmarks/web.py`, each in two server processes on loopback, without and with the library:
uvicorn for Starlette and FastAPI, gunicorn for Flask and Django. Both run on one core (Linux), so that whatever else
runs there is beside both of them. One client asks them in turn over one connection each, a round of requests at a time.
The table has the median of the ratios of the pairs of rounds, by the time that the client waits
and by the server's own processor time (Linux).
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gunicorn.app.base
import uvicorn
import web

import taint
from taint.integrations.django import DjangoIntegration
from taint.integrations.fastapi import FastapiIntegration
from taint.integrations.flask import FlaskIntegration
from taint.integrations.starlette import StarletteIntegration

PAIRS = 61
REQUESTS = {"untouched": 75, "20 fields": 15}
NAMES = ("Starlette", "FastAPI", "Flask", "Django")
_HEAD = "Host: shop.example\r\nUser-Agent: bench\r\nAccept: */*\r\nAccept-Encoding: gzip\r\nConnection: keep-alive\r\n"
_SENT = {
    "untouched": f"GET {web.url('untouched')} HTTP/1.1\r\n{_HEAD}\r\n".encode(),
    "20 fields": (
        f"POST {web.url('20 fields')} HTTP/1.1\r\n{_HEAD}Content-Type: application/json\r\n"
        f"Content-Length: {len(web.BODY)}\r\n\r\n"
    ).encode()
    + web.BODY,
}


class _Gunicorn(gunicorn.app.base.BaseApplication):  # type: ignore[misc]  # No types.
    """One worker with one thread, which keeps connections open."""

    def __init__(self, app: Any, port: int) -> None:
        self._app, self._port = app, port
        super().__init__()

    def load_config(self) -> None:
        """Set what the benchmark needs."""
        options = {"bind": f"127.0.0.1:{self._port}", "workers": 1, "threads": 1, "worker_class": "gthread"}
        for name, value in {**options, "keepalive": 60, "loglevel": "error"}.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Give the application."""
        return self._app


def serve(name: str, *, is_on: bool, port: int) -> None:
    """Serve an application until the process is ended."""
    os.sched_setaffinity(0, {0})
    if is_on:
        taint.configure(policy={})
        kinds: dict[str, Any] = {"Starlette": StarletteIntegration, "FastAPI": FastapiIntegration}
        kinds |= {"Flask": FlaskIntegration, "Django": DjangoIntegration}
        integration = kinds[name](collected=web.COLLECTED)
        taint.install(integrations=[integration, "sqlalchemy", "sqlite3", "pydantic"])
    shop = web.Shop(is_on=is_on)
    if name in ("Flask", "Django"):
        _Gunicorn((web.flask_app if name == "Flask" else web.django_app)(shop), port).run()
    else:
        app = (web.starlette_app if name == "Starlette" else web.fastapi_app)(shop)
        uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", access_log=False)


class Server:
    """A server process, and a connection to it."""

    def __init__(self, name: str, *, is_on: bool) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, __file__, "serve", name, str(int(is_on)), str(port)]
        self._process = subprocess.Popen(command)  # noqa: S603  # This file.
        for _ in range(1200):
            try:
                self._socket = socket.create_connection(("127.0.0.1", port))
                break
            except OSError:
                time.sleep(0.1)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """End it."""
        self._socket.close()
        self._process.terminate()
        self._process.wait(20)

    def worked_seconds(self) -> float:
        """Give the processor time of the process and of its worker."""
        root = Path(f"/proc/{self._process.pid}/task")
        children = [child for task in root.iterdir() for child in (task / "children").read_text().split()]
        files = [
            file for pid in (self._process.pid, *children) for file in Path(f"/proc/{pid}/task").glob("*/schedstat")
        ]
        return sum(int(file.read_text().split()[0]) for file in files) / 1e9

    def ask(self, sent: bytes) -> None:
        """Send a request and wait for all of the answer."""
        self._socket.sendall(sent)
        got = b""
        while b"\r\n\r\n" not in got:
            got += self._socket.recv(65536)
        head, _, body = got.partition(b"\r\n\r\n")
        assert b" 200 " in head[:16]
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        while len(body) < length:
            body += self._socket.recv(65536)

    def timed(self, kind: str) -> tuple[float, float]:
        """Give the microseconds a request takes: waited for, and worked."""
        count, sent = REQUESTS[kind], _SENT[kind]
        worked, begun = self.worked_seconds(), time.perf_counter()
        for _ in range(count):
            self.ask(sent)
        waited = time.perf_counter() - begun
        return waited / count * 1e6, (self.worked_seconds() - worked) / count * 1e6


def measure(name: str) -> None:
    """Print the rows of one application."""
    servers = {is_on: Server(name, is_on=is_on) for is_on in (False, True)}
    try:
        for kind in REQUESTS:
            pairs = []
            for index in range(PAIRS + 1):
                order = (False, True) if index % 2 else (True, False)
                times = {is_on: servers[is_on].timed(kind) for is_on in order}
                if index:  # The first warms up.
                    pairs.append((times[False], times[True]))
            medians = [statistics.median(pair[on][of] for pair in pairs) for of in (0, 1) for on in (0, 1)]
            ratios = [statistics.median(pair[1][of] / pair[0][of] for pair in pairs) for of in (0, 1)]
            print(
                f"| {name} | {kind} | {medians[0]:.0f} | {medians[1]:.0f} | {ratios[0]:.3f} "
                f"| {medians[2]:.0f} | {medians[3]:.0f} | {ratios[1]:.3f} |",
                flush=True,
            )
    finally:
        for server in servers.values():
            server.close()


def main() -> None:
    """Print the table, or serve."""
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2], is_on=sys.argv[3] == "1", port=int(sys.argv[4]))
        return
    print("| application | request | without, waited µs | with | ratio | without, worked µs | with | ratio |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for name in sys.argv[1:] or NAMES:
        measure(name)


if __name__ == "__main__":
    main()
