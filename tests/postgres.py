"""A PostgreSQL server for tests: started on a free port in a folder of its own, and stopped with them."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["running_postgres"]

_SECONDS_TO_START = 30


def _program(name: str) -> str | None:
    """Find a program on PATH, or where Debian keeps the servers'."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(found[-1]) if found else None)


def _server_user() -> str | None:
    """Give the user that the server runs as: it refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    pytest.skip("PostgreSQL does not run as root, and there is no user 'postgres' or 'nobody'")


@contextmanager
def running_postgres() -> Iterator[str]:
    """Run a server and give its address, `host:port`; user `taint`, database `postgres`, no password."""
    initdb, postgres = _program("initdb"), _program("postgres")
    if initdb is None or postgres is None:
        pytest.skip(
            "PostgreSQL is not installed: initdb and postgres are not on PATH (Debian: apt-get install postgresql)"
        )
    user = _server_user()
    with tempfile.TemporaryDirectory(prefix="taint-postgres-") as folder:
        data = Path(folder, "data")
        if user is not None:
            shutil.chown(folder, user)
        subprocess.run(
            [initdb, "-D", data, "-U", "taint", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C"],
            check=True,
            capture_output=True,
            timeout=120,
            user=user,
            cwd=folder,
        )
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        arguments = ["-D", str(data), "-p", str(port), "-c", "listen_addresses=127.0.0.1", "-k", folder, "-F"]
        with subprocess.Popen(
            [postgres, *arguments], user=user, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as server:
            try:
                _wait(server, port)
                yield f"127.0.0.1:{port}"
            finally:
                server.send_signal(signal.SIGINT)  # Fast: a connection that a failed test left open is not waited for.
                server.wait(timeout=60)


def _wait(server: subprocess.Popen[bytes], port: int) -> None:
    psycopg = pytest.importorskip("psycopg")

    end = time.monotonic() + _SECONDS_TO_START
    while True:
        try:
            psycopg.connect(f"host=127.0.0.1 port={port} user=taint dbname=postgres").close()
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return
