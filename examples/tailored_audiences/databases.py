"""Where the service's tables stand: a SQLite file for each run, or a schema for each run in one PostgreSQL database."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError, SQLAlchemyError

from examples.tailored_audiences.errors import BadInputError
from examples.tailored_audiences.servers import HOST

Places = Callable[[str], str]
"""Gives what a run's programs are given as `--database`, by the name of the run."""

_START_SECONDS = 30.0
_INSTALL = "Install PostgreSQL (Debian: apt-get install postgresql), or give the URL of a database that runs."


@contextmanager
def places(chosen: str, folder: Path, *, keep: bool) -> Iterator[Places]:
    """Have databases for the runs.

    Args:
        chosen: `sqlite`; `postgresql`, for a server that is started and stopped; or the URL of a PostgreSQL database.
        folder: Where SQLite's files are put, each in the folder of its run.
        keep: Whether to leave schemas in a database that was given.

    Raises:
        BadInputError: It is none of these, or cannot be had.
    """
    if chosen == "sqlite":
        yield lambda run: str(folder / run / "accounts.sqlite3")
    elif chosen == "postgresql":
        with postgresql_server() as url, _schemas(url, keep=False) as found:
            yield found
    elif chosen.startswith("postgresql"):
        with _schemas(chosen, keep=keep) as found:
            yield found
    else:
        raise BadInputError(
            "--database is neither 'sqlite', nor 'postgresql', nor the URL of a PostgreSQL database. "
            "Give one of these, such as postgresql+psycopg://me@localhost/test."
        )


@contextmanager
def _schemas(url: str, *, keep: bool) -> Iterator[Places]:
    prefix = f"tailored_audiences_{secrets.token_hex(4)}"
    made: list[str] = []
    try:
        engine = create_engine(url)
        with engine.connect():
            pass
    except (ArgumentError, ModuleNotFoundError, NoSuchModuleError, OperationalError) as error:
        raise BadInputError(
            f"the PostgreSQL database cannot be used: {type(error).__name__}. A URL such as "
            "postgresql+psycopg://me@localhost/test is allowed, and the package 'psycopg[binary]' is needed. "
            "Correct --database, or start the server."
        ) from error

    def place(run: str) -> str:
        schema = f"{prefix}_{run}"
        with engine.begin() as connection:
            connection.execute(text(f"CREATE SCHEMA {schema}"))
        made.append(schema)
        there = make_url(url).update_query_dict({"options": f"-csearch_path={schema}"})
        return there.render_as_string(hide_password=False)

    try:
        yield place
    finally:
        if not keep:
            _drop(engine, made)
        engine.dispose()


def _drop(engine: Engine, schemas: list[str]) -> None:
    try:
        with engine.begin() as connection:
            for schema in schemas:
                connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    except SQLAlchemyError as error:
        raise BadInputError(
            f"schemas are left in the database: {', '.join(schemas)} ({type(error).__name__}). Drop them by hand."
        ) from error


@contextmanager
def postgresql_server() -> Iterator[str]:
    """Run a server on a free port in a folder of its own."""
    initdb, postgres = _program("initdb"), _program("postgres")
    user = _server_user()
    with tempfile.TemporaryDirectory(prefix="tailored-audiences-postgresql-") as folder:
        if user is not None:
            shutil.chown(folder, user)
        data = Path(folder, "data")
        make = [initdb, "-D", str(data), "-U", "accounts", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(make, check=True, capture_output=True, user=user, cwd=folder)
        with socket.create_server((HOST, 0)) as free:
            port = free.getsockname()[1]
        run = [postgres, "-D", str(data), "-p", str(port), "-c", f"listen_addresses={HOST}", "-k", folder, "-F"]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(run, user=user, cwd=folder, stdout=quiet, stderr=quiet) as server:
            try:
                url = f"postgresql+psycopg://accounts@{HOST}:{port}/postgres"
                _wait(server, port)
                yield url
            finally:
                server.terminate()
                server.wait(_START_SECONDS)


def _wait(server: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + _START_SECONDS
    while server.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            time.sleep(0.2)  # It listens a little before it answers.
            return
    raise BadInputError(f"PostgreSQL was started and does not answer. {_INSTALL}")


def _program(name: str) -> str:
    """Find a program on PATH, or where Debian keeps the servers'."""
    found = shutil.which(name) or next(map(str, sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None)
    if found is None:
        raise BadInputError(f"PostgreSQL is not installed: there is no program {name!r}. {_INSTALL}")
    return found


def _server_user() -> str | None:
    """Give the user that the server runs as: it refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
