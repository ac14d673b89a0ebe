"""How this example's two HTTP servers start, say where they listen, and stop."""

from __future__ import annotations

import argparse
import os
import socket
import sys
import threading

import uvicorn
from fastapi import FastAPI

from examples.tailored_audiences.errors import BadInputError

HOST = "127.0.0.1"


def add_server_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command-line arguments that every server of this example takes."""
    parser.add_argument("--port", type=int, default=0, help="local port to listen on; 0, the default, takes a free one")
    parser.add_argument("--stop-at-end-of-input", action="store_true", help="stop when standard input ends")


def serve(app: FastAPI, port: int, *, stop_at_end_of_input: bool) -> None:
    """Serve an application on a local port until it is told to stop; print its address first.

    Args:
        app: What to serve.
        port: Where; 0 takes a free port.
        stop_at_end_of_input: Whether the end of standard input stops it, as it does when the starting process ends.

    Raises:
        BadInputError: If the port cannot be had.
    """
    try:
        listener = socket.create_server((HOST, port))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise BadInputError(
            f"cannot listen on port {port} of {HOST}: {reason}. A port up to 65535 "
            "that no other program uses is allowed. Stop that program, or give another --port; 0 takes a free one."
        ) from error
    # asyncio does it only for sockets that name their protocol; without it answers wait 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    if stop_at_end_of_input:
        threading.Thread(target=_stop_at_end_of_input, args=(server,), daemon=True).start()
    print(f"http://{HOST}:{listener.getsockname()[1]}", flush=True)
    server.run(sockets=[listener])


def _stop_at_end_of_input(server: uvicorn.Server) -> None:
    # Not sys.stdin.read(): a thread that waits in it holds a lock which the end of the process needs.
    while os.read(sys.stdin.fileno(), 1024):
        pass
    server.should_exit = True
