"""A Redis server for tests: started on a free port in a folder of its own, and stopped with them."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

__all__ = ["running_redis"]

_SECONDS_TO_START = 20


@contextmanager
def running_redis(port: int = 0) -> Iterator[int]:
    """Run a server and give its port."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("Redis is not installed: redis-server is not on PATH (Debian: apt-get install redis-server)")
    if not port:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="taint-redis-") as folder:
        arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
        with subprocess.Popen([program, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
            try:
                _wait(server, port)
                yield port
            finally:
                server.terminate()
                server.wait(timeout=30)


def _wait(server: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + _SECONDS_TO_START
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                if connection.recv(16).startswith(b"+PONG"):
                    return
        except OSError:
            pass
        assert server.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
