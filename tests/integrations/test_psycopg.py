"""psycopg against a real PostgreSQL: labelled rows, labelled parameters, queries decided before they are asked."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("sqlglot", reason="the extra 'psycopg' is not installed")
pytest.importorskip("psycopg", reason="the extra 'psycopg' is not installed")

import psycopg
from psycopg import rows as pg_rows
from psycopg import sql

import taint
from taint.carriers.number import TaintedInt
from taint.evidence.catalog import catalog
from taint.evidence.lineage import Column
from taint.evidence.row_labels import sealed
from taint.integrations.psycopg import PsycopgIntegration
from taint.testing import record

DIRECT = {("pg_users.phone", "direct")}
INDIRECT = {("pg_users.phone", "indirect")}
SCRIPT = """
drop table if exists pg_users, pg_uploads;
create table pg_users (id serial primary key, name text, phone text, ad_phone text);
create table pg_uploads (phone text);
insert into pg_users (name, phone, ad_phone) values ('n1', '+1415', '+1415'), ('n2', '+1416', '+1416');
insert into pg_uploads values ('+1415');
"""
MATCH = "select u.id from pg_users u join pg_uploads a on u.phone = a.phone"
TWIN = "select u.id from pg_users u join pg_uploads a on u.ad_phone = a.phone"


def facts(value: object) -> set[tuple[str | None, str]]:
    """Give the source and derivation of each label."""
    return {(label.source, label.derivation) for label in taint.labels_of(value)}


def install() -> None:
    """Have the library on, with two columns declared."""
    columns = {"pg_users.phone": "security.mfa", "pg_users.ad_phone": "advertising"}
    taint.install(integrations=[PsycopgIntegration(columns=columns)])


def conninfo(address: str) -> str:
    """Write the address as psycopg takes it."""
    host, _, port = address.partition(":")
    return f"host={host} port={port} user=taint dbname=postgres"


@pytest.fixture
def database(postgres: str) -> Iterator[Any]:
    """Two people, of whom one is in an upload."""
    install()
    with psycopg.connect(conninfo(postgres)) as connection:
        connection.execute(SCRIPT)
        yield connection


FETCHES: dict[str, Callable[[Any, str], Any]] = {
    "fetchone": lambda db, text: db.execute(text).fetchone(),
    "fetchmany": lambda db, text: db.execute(text).fetchmany(1)[0],
    "fetchall": lambda db, text: db.execute(text).fetchall()[0],
    "iteration": lambda db, text: next(iter(db.execute(text))),
    "stream": lambda db, text: next(iter(db.cursor().stream(text))),
    "parameters": lambda db, text: db.execute(f"{text} limit %s", [1]).fetchone(),
    "named parameters": lambda db, text: db.execute(f"{text} limit %(n)s", {"n": 1}).fetchone(),
    "bytes": lambda db, text: db.execute(text.encode()).fetchone(),
    "composed": lambda db, text: db.execute(sql.SQL("{} limit 1").format(sql.SQL(text))).fetchone(),
    "binary": lambda db, text: db.execute(text, binary=True).fetchone(),
    "server cursor": lambda db, text: _server_side(db, text),
    "class_row": lambda db, text: tuple(db.cursor(row_factory=pg_rows.dict_row).execute(text).fetchone().values()),
}


def _server_side(database: Any, text: str) -> Any:
    with database.cursor("named") as cursor:
        cursor.execute(text)
        return cursor.fetchone()


@pytest.mark.parametrize("fetch", FETCHES.values(), ids=FETCHES)
def test_fetched_rows_are_labelled(database: Any, fetch: Callable[..., Any]) -> None:
    """Every way to fetch gives labelled values where a column is, and exact ones where none is."""
    row = fetch(database, "select id, lower(phone) from pg_users order by id")
    assert row == (1, "+1415")
    assert type(row[0]) is int
    assert facts(row[1]) == DIRECT
    row = fetch(database, MATCH)
    assert isinstance(row[0], TaintedInt)
    assert facts(row[0]) == INDIRECT


def test_zone(database: Any) -> None:
    """A match in an advertising zone is stopped before PostgreSQL sees it; its safe twins pass."""
    with taint.zone("advertising.audiences"):
        for ask in (database.execute, database.cursor().execute, lambda text: list(database.cursor().stream(text))):
            with pytest.raises(taint.PurposeViolationError) as stopped:
                ask(MATCH)
            assert stopped.value.violation.evidence == "lineage"
            assert database.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
        ((found,),) = database.execute(TWIN).fetchall()
    with taint.zone("security.mfa"), record() as seen:
        database.execute(MATCH).fetchall()
    assert not seen.violations
    assert taint.check(found, purpose="advertising", sink="crm").is_allowed


COPIES = {
    "table": "copy pg_users (id, phone) to stdout",
    "query": "COPY (select id, lower(phone) from pg_users) TO STDOUT",
    "quoted": """copy "pg_users" ( id , "phone" ) to stdout""",
    "binary": "copy pg_users (id, phone) to stdout (format binary)",
}


@pytest.mark.parametrize("statement", COPIES.values(), ids=COPIES)
def test_rows_of_copy_are_labelled(database: Any, statement: str) -> None:
    """The rows of COPY carry the labels of the columns that they are of, and no others do."""
    with record() as seen, database.cursor().copy(statement) as copy:
        rows = list(copy.rows())
        assert copy.read_row() is None
    assert len(rows) == 2
    for number, phone in rows:
        assert facts(number) == set()
        assert facts(phone) == DIRECT
    assert not seen.gaps


def test_blocks_of_copy_are_a_gap(database: Any) -> None:
    """What COPY gives block by block cannot carry labels, and says so; columns without labels are no gap."""
    with record() as seen, database.cursor().copy("copy pg_users (name) to stdout") as copy:
        assert b"".join(copy) == b"n1\nn2\n"
    assert not seen.gaps
    with record() as seen, database.cursor().copy("copy pg_users (phone) to stdout") as copy:
        assert b"".join(copy) == b"+1415\n+1416\n"
    assert ["blocks of a buffer" in gap.path for gap in seen.gaps] == [True]


def test_copy_in_a_zone(database: Any) -> None:
    """COPY of a labelled column, and of the rows of a match, is stopped in an advertising zone; the twin passes."""
    with taint.zone("advertising.audiences"):
        for statement in (COPIES["table"], f"copy ({MATCH}) to stdout"):
            with pytest.raises(taint.PurposeViolationError), database.cursor().copy(statement):
                raise AssertionError
        with database.cursor().copy(f"copy ({TWIN}) to stdout") as copy:
            assert list(copy.rows()) == [("1",)]


def test_copy_takes_carriers(database: Any) -> None:
    """Carriers of every type are written by COPY as their values, and using them in a zone is the zone's use."""
    number, phone, day = (taint.label(one, purpose="security.mfa") for one in (9, "+1417", dt.date(2001, 2, 3)))
    with database.cursor().copy("copy pg_users (id, phone, name) from stdin") as copy:
        copy.write_row((number, phone, day))
    assert database.execute("select phone, name from pg_users where id = 9").fetchone() == ("+1417", "2001-02-03")
    with (
        taint.zone("advertising"),
        pytest.raises(taint.PurposeViolationError),
        database.cursor().copy("copy pg_uploads from stdin") as copy,
    ):
        copy.write_row([phone])


def test_copy_past_the_companion_is_a_gap(database: Any) -> None:
    """COPY into a column whose values have labels of their own is a gap where it does not write those too."""
    catalog.add_companion(Column("pg_uploads", "phone"), Column("pg_uploads", "labels"))
    try:
        database.execute("alter table pg_uploads add column labels text")
        with record() as seen, database.cursor().copy("copy pg_uploads (phone) from stdin") as copy:
            copy.write_row(["x"])
        assert ["pg_uploads.labels are not" in gap.path for gap in seen.gaps] == [True]
        with record() as seen, database.cursor().copy("copy pg_uploads (phone, labels) from stdin") as copy:
            copy.write_row(["y", sealed(taint.labels_of(taint.label("y", purpose="security.mfa")), "y")])
        found = dict(database.execute("select phone, labels from pg_uploads where phone = 'y'").fetchall())
        assert taint.labels_of(list(found)).purposes == {"security.mfa"}
        assert not seen.gaps
    finally:
        del catalog._companions[Column("pg_uploads", "phone")]  # And no other table's.
        catalog.version += 1


def test_labelled_parameter_in_a_zone(database: Any) -> None:
    """A query that looks a labelled value up is the zone's use of it; its safe twin passes."""
    security, marketing = (taint.label("+1415", purpose=purpose) for purpose in ("security.mfa", "advertising"))
    query = "select phone from pg_uploads where phone = %s"
    with taint.zone("advertising.audiences"):
        for ask, text, parameters in (
            (database.execute, query, [security]),
            (database.execute, query.replace("%s", "%(a)s"), {"a": security}),
            (database.cursor().executemany, "insert into pg_uploads values (%s)", [[security]]),
        ):
            with pytest.raises(taint.PurposeViolationError):
                ask(text, parameters)
        assert database.execute(query, [marketing]).fetchone() == ("+1415",)
    assert database.execute(query, [security]).fetchone() == ("+1415",)


@pytest.mark.parametrize(
    "value", [7, 1.5, dt.date(2001, 2, 3), uuid.UUID(int=5), "text", b"bytes"], ids=lambda value: type(value).__name__
)
def test_labelled_values_can_be_bound(database: Any, value: Any) -> None:
    """A carrier is bound as its value, one and many, by position and by name."""
    labelled = taint.label(value, purpose="security.mfa")
    native = database.execute("select %s", [value]).fetchone()
    assert database.execute("select %s", [labelled]).fetchone() == native
    assert database.execute("select %(a)s", {"a": labelled}).fetchone() == native
    database.cursor().executemany("insert into pg_uploads select %s::text", iter([[labelled], (labelled,)]))
    assert database.execute("select count(*) from pg_uploads").fetchone() == (3,)


def test_async(postgres: str) -> None:
    """The asynchronous cursor labels, and is stopped in a zone."""
    install()

    async def run() -> None:
        async with await psycopg.AsyncConnection.connect(conninfo(postgres)) as connection:
            await connection.execute(SCRIPT)
            cursor = await connection.execute("select phone from pg_users")
            assert facts(await cursor.fetchone()) == DIRECT
            async with connection.cursor("named") as named:
                await named.execute(MATCH)
                assert facts(await named.fetchall()) == INDIRECT
            with taint.zone("advertising"), pytest.raises(taint.PurposeViolationError):
                await connection.execute(MATCH)
            with taint.zone("advertising"):
                await connection.execute(TWIN)

    asyncio.run(run())


def test_uninstalled_and_off(database: Any) -> None:
    """In mode off and after uninstall() rows are exact."""
    with record(mode="off"):
        assert type(database.execute("select phone from pg_users").fetchone()[0]) is str
    taint.uninstall()
    assert type(database.execute("select phone from pg_users").fetchone()[0]) is str


def test_connection_in_use_is_not_asked_for_views(database: Any) -> None:
    """A statement whose views cannot be looked up now is a gap, and read again the next time; nothing is disturbed."""
    statement = "select phone from pg_users where name = 'n1'"
    with pytest.raises(psycopg.errors.UndefinedColumn):
        database.execute("select wrong from pg_users")
    with record() as seen, pytest.raises(psycopg.errors.InFailedSqlTransaction):
        database.execute(statement)
    assert ["could not be looked up" in gap.path for gap in seen.gaps] == [True]
    database.rollback()
    database.execute(SCRIPT)
    with record() as seen:
        assert facts(database.execute(statement).fetchone()) == DIRECT
    assert not seen.gaps
