"""How many instructions a web request takes that touches nothing labelled: `python benchmarks/web_instructions.py`.

What does not depend on what else the machine does: valgrind counts them, for the applications of `benchmarks/web.py`,
driven in one process; for Starlette and FastAPI also behind uvicorn's protocol (h11), without a network. Each level
runs in a process of its own: without the library, with the standard library wrapped, with the integration too, and with
a table that holds for every route.
"""

from __future__ import annotations

import asyncio
import gc
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine
from typing import Any

import uvicorn
import web
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

import taint
from taint.integrations.django import DjangoIntegration
from taint.integrations.fastapi import FastapiIntegration
from taint.integrations.flask import FlaskIntegration
from taint.integrations.starlette import StarletteIntegration

REQUESTS = 100
LEVELS = ("nothing", "wrapped", "integration", "table")
KINDS: dict[str, tuple[Callable[[web.Shop], Any], Callable[[Any], web.Ask], Any]] = {
    "Starlette": (web.starlette_app, web.asgi, StarletteIntegration),
    "FastAPI": (web.fastapi_app, web.asgi, FastapiIntegration),
    "Flask": (web.flask_app, web.wsgi, FlaskIntegration),
    "Django": (web.django_app, web.wsgi, DjangoIntegration),
}
_SENT = (
    f"GET {web.url('untouched')} HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: bench\r\nAccept: */*\r\n"
    "Accept-Encoding: gzip\r\nConnection: keep-alive\r\n\r\n"
).encode()


class _Wire(asyncio.Transport):
    """What a server writes to."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Give the ends of the connection."""
        return {"peername": ("127.0.0.1", 50000), "sockname": ("127.0.0.1", 80)}.get(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take what is sent."""
        self.written += data

    def is_closing(self) -> bool:
        """Stay open."""
        return False


def uvicorn_ask(app: Any) -> web.Ask:
    """Give a driver of an ASGI application behind uvicorn's protocol."""
    config = uvicorn.Config(app=app, log_level="error", access_log=False)
    config.load()
    wire = _Wire()
    protocols: list[H11Protocol] = []

    async def ask(_kind: str) -> int:
        if not protocols:
            protocols.append(H11Protocol(config=config, server_state=ServerState(), app_state={}))
            protocols[0].connection_made(wire)
        wire.written = b""
        protocols[0].data_received(_SENT)
        while not wire.written.endswith(b"]}"):  # noqa: ASYNC110  # The steps of the server are what is counted.
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        return int(wire.written[9:12])

    return ask


async def counted(ask: Callable[[str], Coroutine[Any, Any, int]]) -> None:
    """Have valgrind count some requests, once Python has specialised what they run through."""
    for index in range(4 * REQUESTS):
        if index == 3 * REQUESTS:
            gc.collect()
            gc.disable()
            _switch("on")
        assert await ask("untouched") == 200  # noqa: PLR2004  # OK.
    _switch("off")


def _switch(way: str) -> None:
    subprocess.run(["callgrind_control", "-i", way, str(os.getpid())], check=True, capture_output=True)  # noqa: S603, S607  # Of valgrind.


def run(name: str, level: str, *, is_served: bool) -> None:
    """Do the requests of one cell of the table."""
    make, ask_of, integration = KINDS[name]
    taint.configure(policy={})
    if level != "nothing":
        table = {"collected": web.COLLECTED} if level == "table" else {}
        taint.install(integrations=[] if level == "wrapped" else [integration(**table), "pydantic"])
    app = make(web.Shop(is_on=level != "nothing"))
    asyncio.run(counted((uvicorn_ask if is_served else ask_of)(app)))


def count(*cell: str) -> float:
    """Give the thousands of instructions of a request."""
    with tempfile.TemporaryDirectory() as place:
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={place}/out"]
        done = subprocess.run(  # noqa: S603  # This file.
            [*command, sys.executable, __file__, "run", *cell],
            env={**os.environ, "PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            check=True,
        )
    found = re.search(r"Collected : (\d+)", done.stderr)
    assert found is not None
    return int(found[1]) / REQUESTS / 1000


def main() -> None:
    """Print the table, or do the requests of one cell."""
    if sys.argv[1:2] == ["run"]:
        run(sys.argv[2], sys.argv[3], is_served=sys.argv[4] == "served")
        return
    print(f"| | {' | '.join(LEVELS)} | ratio |\n|---|{'---:|' * (len(LEVELS) + 1)}")
    for name in sys.argv[1:] or KINDS:
        for how in ("alone", "served") if KINDS[name][1] is web.asgi else ("alone",):
            found = [count(name, level, how) for level in LEVELS]
            shown = " | ".join(f"{one:.0f}" for one in found)
            row = f"{name}, uvicorn" if how == "served" else name
            print(f"| {row} | {shown} | {found[-1] / found[0]:.3f} |", flush=True)


if __name__ == "__main__":
    main()
