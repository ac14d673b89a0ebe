"""The value is put down somewhere and read again."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.corpus.engines import Engine
from tests.corpus.programs import PHONE, program


@program
def in_a_database(engine: Engine, purpose: str) -> None:
    """In a table."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE users (phone TEXT)")
    connection.execute("INSERT INTO users VALUES (?)", (engine.collect(PHONE, purpose),))
    engine.use(connection.execute("SELECT phone FROM users").fetchall())
    connection.close()


@program
def in_a_file(engine: Engine, purpose: str) -> None:
    """In a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "phones.txt")
        path.write_text(engine.collect(PHONE, purpose) + "\n")
        engine.use(path.read_text().splitlines())


@program
def in_memory(engine: Engine, purpose: str) -> None:
    """In a text buffer."""
    import io  # As programs do.

    buffer = io.StringIO()
    buffer.write("tel:")
    buffer.write(engine.collect(PHONE, purpose))
    engine.use(buffer.getvalue())


@program
def in_the_environment(engine: Engine, purpose: str) -> None:
    """In an environment variable."""
    os.environ["CORPUS_PHONE"] = engine.collect(PHONE, purpose)
    engine.use(os.environ.pop("CORPUS_PHONE"))


@program
def by_another_program(engine: Engine, purpose: str) -> None:
    """In the output of another program."""
    code = "import sys; print(sys.argv[1].lstrip('+'))"
    found = subprocess.run(
        [sys.executable, "-c", code, engine.collect(PHONE, purpose)], capture_output=True, text=True, check=True
    )
    engine.use(found.stdout.strip())


@program
def in_an_exception(engine: Engine, purpose: str) -> None:
    """In the message of an exception."""
    try:
        raise ValueError("not a number: " + engine.collect(PHONE, purpose))  # noqa: TRY301  # As programs do.
    except ValueError as error:
        engine.use(str(error))
