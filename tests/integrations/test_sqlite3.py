"""sqlite3: labels of declared columns on what a cursor gives, and queries decided before they are asked."""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("sqlglot", reason="the extra 'sqlite3' is not installed")

import taint
from taint.carriers.number import TaintedInt
from taint.evidence.catalog import declare
from taint.integrations.sqlite3 import Sqlite3Integration
from taint.testing import record

DIRECT = {("l3_users.phone", "direct")}
INDIRECT = {("l3_users.phone", "indirect")}
SCRIPT = """
create table l3_users (id integer primary key, name, phone, ad_phone);
create table l3_uploads (phone);
insert into l3_users values (1, 'n1', '+1415', '+1415'), (2, 'n2', '+1416', '+1416');
insert into l3_uploads values ('+1415');
"""
MATCH = "select u.id from l3_users u join l3_uploads a on u.phone = a.phone"
TWIN = "select u.id from l3_users u join l3_uploads a on u.ad_phone = a.phone"


def facts(value: object) -> set[tuple[str | None, str]]:
    """Give the source and derivation of each label."""
    return {(label.source, label.derivation) for label in taint.labels_of(value)}


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    """Two people, of whom one is in an upload."""
    columns = {"l3_users.phone": "security.mfa", "l3_users.ad_phone": "advertising"}
    taint.install(integrations=[Sqlite3Integration(columns=columns)])
    connection = sqlite3.connect(":memory:")
    connection.executescript(SCRIPT)
    yield connection
    connection.close()
    taint.uninstall()


FETCHES: dict[str, Callable[[sqlite3.Connection, str], Any]] = {
    "fetchone": lambda db, sql: db.execute(sql).fetchone(),
    "fetchmany": lambda db, sql: db.execute(sql).fetchmany(2)[0],
    "fetchall": lambda db, sql: db.execute(sql).fetchall()[0],
    "iteration": lambda db, sql: next(iter(db.execute(sql))),
    "cursor": lambda db, sql: db.cursor().execute(sql).fetchone(),
    "parameters": lambda db, sql: db.execute(f"{sql} limit ?", (1,)).fetchone(),
}


@pytest.mark.parametrize("fetch", FETCHES.values(), ids=FETCHES)
def test_fetched_rows_are_labelled(database: sqlite3.Connection, fetch: Callable[..., Any]) -> None:
    """Every way to fetch gives labelled values where a column is, and exact ones where none is."""
    row = fetch(database, "select id, lower(phone) from l3_users order by id")
    assert type(row) is tuple
    assert row == (1, "+1415")
    assert type(row[0]) is int
    assert facts(row[1]) == DIRECT
    row = fetch(database, MATCH)
    assert isinstance(row[0], TaintedInt)
    assert facts(row[0]) == INDIRECT


@pytest.mark.parametrize("where", ["connection", "cursor", "after execute"])
def test_row_factory(database: sqlite3.Connection, where: str) -> None:
    """A row factory gets labelled values wherever it is set, stays what the program set, and sinks look into a Row."""
    if where == "connection":
        database.row_factory = sqlite3.Row
    cursor = database.cursor()
    if where == "cursor":
        cursor.row_factory = sqlite3.Row
    cursor.execute("select name, phone from l3_users")
    if where == "after execute":
        cursor.row_factory = sqlite3.Row
    row = cursor.fetchone()
    assert type(row) is sqlite3.Row
    assert facts(row["phone"]) == DIRECT
    assert facts(row["name"]) == set()
    assert facts([row]) == DIRECT
    assert cursor.row_factory is sqlite3.Row
    plain = cursor.execute("select name from l3_users").fetchone()
    assert type(plain) is sqlite3.Row
    assert type(plain["name"]) is str


def test_zone(database: sqlite3.Connection) -> None:
    """A match in an advertising zone is stopped before SQLite sees it; its safe twins pass."""
    asked: list[str] = []
    database.set_trace_callback(asked.append)
    with taint.zone("advertising.audiences"):
        for call in (database.execute, database.cursor().execute):
            with pytest.raises(taint.PurposeViolationError) as stopped:
                call(MATCH)
            assert stopped.value.violation.evidence == "lineage"
        assert asked == []
        ((found,),) = database.execute(TWIN).fetchall()
    with taint.zone("security.mfa"), record() as seen:
        database.execute(MATCH).fetchall()
    assert not seen.violations
    assert taint.check(found, purpose="advertising", sink="crm").is_allowed


def test_change_in_a_zone(database: sqlite3.Connection) -> None:
    """An UPDATE that finds its rows by a labelled column is decided too, one and many."""
    statement = "update l3_users set name = ? where phone = ?"
    with taint.zone("advertising"):
        with pytest.raises(taint.PurposeViolationError):
            database.execute(statement, ("x", "+1415"))
        with pytest.raises(taint.PurposeViolationError):
            database.executemany(statement, [("x", "+1415")])
    database.executemany(statement, [("x", "+1415")])
    assert database.execute("select count(*) from l3_users where name = 'x'").fetchone() == (1,)


def test_unreadable_text_is_a_gap(database: sqlite3.Connection) -> None:
    """What cannot be read is a gap; what reads nothing is none."""
    with record() as seen:
        with pytest.raises(sqlite3.Error):
            database.execute("select phone from l3_users where where")
        assert len(seen.gaps) == 1
        database.execute("pragma user_version").fetchall()
        database.execute("create table l3_x (a)")
    assert len(seen.gaps) == 1


@pytest.mark.filterwarnings("ignore:The default date adapter:DeprecationWarning")  # Python 3.12's, of its own adapter.
@pytest.mark.parametrize(
    "value", [7, 1.5, dt.date(2001, 2, 3), uuid.UUID(int=5), "text", b"bytes"], ids=lambda value: type(value).__name__
)
def test_labelled_values_can_be_bound(database: sqlite3.Connection, value: Any) -> None:
    """A carrier of a type that sqlite3 takes is bound as its value; of another, the error is sqlite3's own."""
    labelled = taint.label(value, purpose="security.mfa")
    try:
        native = database.execute("select ?", (value,)).fetchone()
    except sqlite3.Error as error:
        with pytest.raises(type(error)):
            database.execute("select ?", (labelled,))
        return
    assert database.execute("select ?", (labelled,)).fetchone() == native
    assert database.execute("select :a", {"a": labelled}).fetchone() == native
    database.executemany("insert into l3_uploads values (?)", iter([(labelled,), [labelled]]))


def test_uninstalled_and_off(database: sqlite3.Connection) -> None:
    """After uninstall() new connections are native, and nothing is declared any more."""
    with record(mode="off"):
        assert type(database.execute("select phone from l3_users").fetchone()[0]) is str
    taint.uninstall()
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        assert type(connection) is sqlite3.Connection
    assert type(database.execute("select phone from l3_users").fetchone()[0]) is str


def test_declare_needs_a_table() -> None:
    """A column without its table is refused with what to write."""
    with pytest.raises(taint.ConfigurationError, match=r"written as 'users\.phone'"):
        declare("phone", purpose="security.mfa")


def test_labelled_parameter_in_a_zone() -> None:
    """A query that looks a labelled value up is the zone's use of it; its safe twin passes."""
    taint.install(integrations=["sqlite3"])
    database = sqlite3.connect(":memory:")
    database.execute("create table l3_seen (phone)")
    security, marketing = (taint.label("+1415", purpose=purpose) for purpose in ("security.mfa", "advertising"))
    with taint.zone("advertising.audiences"):
        with pytest.raises(taint.PurposeViolationError):
            database.execute("select * from l3_seen where phone = ?", [security])
        with pytest.raises(taint.PurposeViolationError):
            database.executemany("insert into l3_seen values (:a)", [{"a": security}])
        database.execute("insert into l3_seen values (?)", [marketing])
    assert database.execute("select count(*) from l3_seen where phone = ?", [security]).fetchone() == (1,)
    database.close()
