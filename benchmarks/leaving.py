"""What checking what leaves costs: requests to a server on loopback, and the calls around logs, files and programs.

Each is measured without the library, with the standard library's operations wrapped alone, and with the integrations
too: with nothing declared, with a sink declared elsewhere and there, for a body of 20 unlabelled and of 20 labelled
fields; the least of what was measured in turns in the same run. Time is that of the processor, so that what else runs
on the machine counts little. Run it as a program; no arguments.
"""

from __future__ import annotations

import gc
import io
import logging
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import requests

import taint

TURNS = 15
TIMES = 60
NAMES = ("httpx", "requests", "logging", "files")


class Handler(BaseHTTPRequestHandler):
    """Answers every request at once."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:  # As the standard library looks for it.
        """Answer."""
        self.rfile.read(int(self.headers["content-length"]))
        self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def turn(call: Callable[[], object], times: int) -> float:
    """Give the microseconds of one call, of this thread alone."""
    gc.collect()
    begun = time.thread_time()
    for _ in range(times):
        call()
    return (time.thread_time() - begun) / times * 1e6


def measure(name: str, call: Callable[[], object], prepare: Callable[[], object], times: int = TIMES) -> None:
    """Print what a call costs without the library, and how much more with it."""
    found: dict[str, list[float]] = {"without": [], "wrapped": [], "with": []}
    for number in range(TURNS):
        for way in sorted(found, reverse=bool(number % 2)):
            if way != "without":
                taint.install(integrations=NAMES if way == "with" else [])
                prepare()
            turn(call, 5)
            found[way].append(turn(call, times))
            taint.configure(policy={})
            taint.uninstall()
    without, wrapped, with_ = (min(found[way]) for way in ("without", "wrapped", "with"))
    print(f"| {name} | {without:.1f} | {wrapped:.1f} | {with_:.1f} | {with_ / wrapped:.3f} |")


def declared(**at: list[str]) -> Callable[[], object]:
    """Give what declares a sink."""
    sinks = {"sink": {"purpose": "advertising", "at": at}}
    return lambda: taint.configure(policy={"sinks": sinks} if at else {})


def main() -> None:
    """Measure and print."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/v1"
    plain = {"rows": [{"id": n, "phone": f"+1415555{n:04d}"} for n in range(20)]}
    labelled = {"rows": [{"id": n, "phone": taint.label(f"+1415555{n:04d}", purpose="advertising")} for n in range(20)]}
    print("| call | µs without | µs wrapped | µs with | with to wrapped |\n|---|---:|---:|---:|---:|")
    here, elsewhere = declared(http=[f"{url}*"]), declared(http=["https://api.ads.example/*"])
    with httpx.Client() as client, requests.Session() as session:
        senders: list[tuple[str, Any]] = [("httpx", client), ("requests", session)]
        for name, sender in senders:
            measure(f"{name}, nothing declared", lambda sender=sender: sender.post(url, json=plain), declared())
            measure(f"{name}, declared elsewhere", lambda sender=sender: sender.post(url, json=plain), elsewhere)
            measure(f"{name}, to a sink, unlabelled", lambda sender=sender: sender.post(url, json=plain), here)
            measure(f"{name}, to a sink, 20 labelled", lambda sender=sender: sender.post(url, json=labelled), here)
    log = logging.getLogger("bench")
    log.addHandler(logging.StreamHandler(io.StringIO()))
    log.propagate = False
    for name, prepare in (("nothing declared", declared()), ("to a sink", declared(logger=["bench"]))):
        measure(f"logging, {name}", lambda: log.warning("user %s", "n"), prepare, 1000)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        for name, prepare in (("nothing declared", declared()), ("to a sink", declared(file=[f"{folder}/*"]))):
            measure(f"files, {name}", lambda: path.write_text("n", encoding="utf-8"), prepare, 200)
    server.shutdown()


if __name__ == "__main__":
    main()
