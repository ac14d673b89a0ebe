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

__all__ = ["Postgres", "running_postgres"]

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


class Postgres:
    """A server of its own, which can be killed and started again on the same data; as a context, stopped at the end.

    Attributes:
        address: `host:port`; user `taint`, database `postgres`, no password.
    """

    def __init__(self, folder: str, *, durable: bool = False) -> None:
        initdb, postgres = _program("initdb"), _program("postgres")
        if initdb is None or postgres is None:
            pytest.skip(
                "PostgreSQL is not installed: initdb and postgres are not on PATH (Debian: apt-get install postgresql)"
            )
        self._user, self._folder = _server_user(), folder
        data = Path(folder, "data")
        if self._user is not None:
            shutil.chown(folder, self._user)
        subprocess.run(
            [initdb, "-D", data, "-U", "taint", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C"],
            check=True,
            capture_output=True,
            timeout=120,
            user=self._user,
            cwd=folder,
        )
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self._command = [postgres, "-D", str(data), "-p", str(self._port), "-c", "listen_addresses=127.0.0.1"]
        self._command += ["-k", folder, *(() if durable else ("-F",))]
        self.address = f"127.0.0.1:{self._port}"
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        quiet = subprocess.DEVNULL
        self._server = subprocess.Popen(self._command, user=self._user, cwd=self._folder, stdout=quiet, stderr=quiet)
        _wait(self._server, self._port)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server by a signal: SIGINT ends its connections, SIGQUIT does so as a crash would."""
        if self._server is not None:
            self._server.send_signal(how)
            self._server.wait(timeout=60)
            self._server = None


@contextmanager
def running_postgres() -> Iterator[str]:
    """Run a server and give its address, `host:port`; user `taint`, database `postgres`, no password."""
    with tempfile.TemporaryDirectory(prefix="taint-postgres-") as folder:
        server = Postgres(folder)
        try:
            server.start()
            yield server.address
        finally:
            server.stop()  # A connection that a failed test left open is not waited for.


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
