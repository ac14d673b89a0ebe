"""The examples that run on PostgreSQL: with a server that they start, and with a database that they are given."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("psycopg")
pytest.importorskip("sqlglot")
pytest.importorskip("fastapi", reason="the extra 'examples' is not installed")
pytest.importorskip("sqlalchemy", reason="the extra 'examples' is not installed")

import psycopg

from tests.postgres import running_postgres

ROOT = Path(__file__).resolve().parents[1]


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run an example as its users do."""
    command = [sys.executable, "-m", module, *arguments]
    environment = os.environ | {"PYTHONIOENCODING": "utf-8"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server that is there already, `host:port`."""
    with running_postgres() as address:
        yield address


def test_plain_psycopg_with_a_server_of_its_own(server: str) -> None:
    """The program starts PostgreSQL, does what it says, and ends with exit code 0."""
    played = run("examples.plain_psycopg")
    assert played.returncode == 0, played.stdout + played.stderr
    assert played.stdout.count("  ok  ") == 5
    assert "FAILED" not in played.stdout


def test_plain_psycopg_with_a_database(server: str) -> None:
    """The program uses a database that it is given, and leaves nothing in it."""
    host, _, port = server.partition(":")
    where = f"host={host} port={port} user=taint dbname=postgres"
    played = run("examples.plain_psycopg", "--database", where)
    assert played.returncode == 0, played.stdout + played.stderr
    with psycopg.connect(where) as connection:
        assert connection.execute("SELECT to_regclass('subscribers')").fetchone() == (None,)


@pytest.mark.slow
def test_tailored_audiences(server: str, tmp_path: Path) -> None:
    """The incident is played in a PostgreSQL database with all that is expected of it, and its schemas are dropped."""
    url = f"postgresql+psycopg://taint@{server}/postgres"
    played = run("examples.tailored_audiences", "--people", "60", "--database", url, "--data-dir", str(tmp_path))
    assert played.returncode == 0, played.stdout + played.stderr
    assert "FAILED" not in played.stdout
    assert played.stdout.count("  ok  ") >= 10
    assert not list(tmp_path.rglob("*.sqlite3"))
    host, _, port = server.partition(":")
    with psycopg.connect(f"host={host} port={port} user=taint dbname=postgres") as connection:
        schemas = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'tailored%'").fetchall()
    assert schemas == []


@pytest.mark.parametrize("database", ["oracle", "postgresql+psycopg://nobody@127.0.0.1:1/none"])
def test_bad_database(database: str, tmp_path: Path) -> None:
    """A database that cannot be had is one line that says what to do, and exit code 2."""
    played = run("examples.tailored_audiences", "--people", "60", "--database", database, "--data-dir", str(tmp_path))
    assert played.returncode == 2
    assert played.stderr.startswith("error: ")
    assert "--database" in played.stderr
    assert "Traceback" not in played.stderr
