"""Plain psycopg, without an ORM: a table that nobody may change, and what an ads job can and cannot do with it.

The columns' purposes are declared to the integration. Every statement is decided before PostgreSQL gets it; rows that
come back are labelled, by whatever way they are fetched.

    python -m examples.plain_psycopg                                        # starts a server of its own
    python -m examples.plain_psycopg --database "host=localhost dbname=test"   # uses a temporary table there
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import psycopg
from psycopg.rows import dict_row

import taint
from examples.tailored_audiences.databases import postgresql_server
from examples.tailored_audiences.errors import run_main
from taint.integrations.psycopg import PsycopgIntegration

COLUMNS = {"subscribers.mfa_phone": "security.mfa", "subscribers.offers_phone": "advertising"}
"""What each column was collected for: in a program that cannot say it in the table."""

TABLE = "CREATE TEMPORARY TABLE subscribers (id integer PRIMARY KEY, mfa_phone text, offers_phone text)"
PEOPLE = [(1, "+14155550101", None), (2, "+14155550102", "+14155550102"), (3, "+14155550103", "+14155550999")]
CUSTOMERS = ["+14155550101", "+14155550102"]
"""An advertiser's list: the first is known to the service by a security number alone."""


def store(connection: psycopg.Connection, people: list[tuple[int, str, str | None]]) -> None:
    """Write people by COPY, with labelled values as they come from a form."""
    with connection.cursor().copy("COPY subscribers (id, mfa_phone, offers_phone) FROM STDIN") as copy:
        for number, mfa_phone, offers_phone in people:
            copy.write_row((number, taint.label(mfa_phone, purpose="security.mfa"), offers_phone))


def match(connection: psycopg.Connection, column: str) -> list[int]:
    """Find customers among the people by one of their numbers.

    Raises:
        PurposeViolationError: The column was not collected for advertising.
    """
    query = f"SELECT id FROM subscribers WHERE {column} = ANY(%s) ORDER BY id"  # noqa: S608  # One of two names.
    with taint.zone("advertising.audiences"):
        return [number for (number,) in connection.execute(query, [CUSTOMERS]).fetchall()]


@taint.sink(purpose="advertising.audiences")
def upload(ids: list[int]) -> list[int]:
    """Stand in for the ad platform."""
    return [int(number) for number in ids]


def is_refused(call: Callable[[], object]) -> bool:
    """Tell whether a call ends with a violation."""
    try:
        call()
    except taint.PurposeViolationError as error:
        print(f"  refused: {error}")
        return True
    return False


def play(connection: psycopg.Connection) -> dict[str, bool]:
    """Do all of it, and tell what held."""
    connection.execute(TABLE)
    store(connection, PEOPLE)
    with connection.cursor(row_factory=dict_row) as cursor:
        first = cursor.execute("SELECT id, lower(mfa_phone) AS phone FROM subscribers ORDER BY id").fetchone() or {}
    with connection.cursor().copy("COPY (SELECT offers_phone FROM subscribers WHERE id = 2) TO STDOUT") as copy:
        (copied,) = copy.rows()
    # Found outside of any zone, for security: whoever is warned. The ids remember by what they were found.
    warned = [row[0] for row in connection.execute("SELECT id FROM subscribers WHERE mfa_phone LIKE '%%0101'")]
    return {
        "A row that was read back says what it was collected for.": taint.labels_of(first).purposes == {"security.mfa"},
        "So does a row of COPY.": taint.labels_of(copied).purposes == {"advertising"},
        "The match by the security number is refused before the database is asked.": is_refused(
            lambda: match(connection, "mfa_phone")
        ),
        "Ids that were found by it are refused by the sink.": is_refused(lambda: upload(warned)),
        "The safe twin, the match by the number for offers, goes through.": upload(match(connection, "offers_phone"))
        == [2],
    }


def main() -> int:
    """Run the example from the command line.

    Returns:
        0 if all that it says held, 1 if not.
    """
    parser = argparse.ArgumentParser(prog="python -m examples.plain_psycopg", description="Plain psycopg.")
    parser.add_argument("--database", help="what psycopg.connect takes; without it a server is started and stopped")
    options = parser.parse_args()
    taint.install(integrations=[PsycopgIntegration(columns=COLUMNS)])
    if options.database:
        with psycopg.connect(options.database) as connection:
            held = play(connection)
    else:
        with postgresql_server() as url, psycopg.connect(url.replace("+psycopg", "")) as connection:
            held = play(connection)
    for fact, is_so in held.items():
        print(f"  {'ok' if is_so else 'FAILED':6}  {fact}")
    return 0 if all(held.values()) else 1


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # Standard output is a text file here.
    run_main(main)
