"""Views: what is read through one carries the labels of the tables that it selects from."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("sqlalchemy", reason="the extra 'sqlalchemy' is not installed")
pytest.importorskip("sqlglot", reason="the extra 'sql' is not installed")

import sqlalchemy as sa

import taint
from taint.carriers.number import TaintedInt
from taint.evidence.catalog import catalog, declare
from taint.integrations.sqlalchemy import labelled
from taint.testing import record

metadata = sa.MetaData()
people = sa.Table(
    "view_people",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("phone", sa.Text, info=labelled(purpose="security.mfa")),
    sa.Column("offers", sa.Text, info=labelled(purpose="advertising")),
)
uploads = sa.Table("view_uploads", metadata, sa.Column("phone", sa.Text))

VIEWS = (
    "CREATE VIEW view_phones AS SELECT id, name, lower(phone) AS number, offers FROM view_people",
    "CREATE VIEW view_nested (who, digits) AS SELECT v.name, v.number FROM view_phones v",
    "CREATE VIEW view_matched AS SELECT p.id FROM view_people p JOIN view_uploads u ON p.phone = u.phone",
    "CREATE VIEW view_wanted AS SELECT p.id FROM view_people p JOIN view_uploads u ON p.offers = u.phone",
)
DIRECT = {("view_people.phone", "direct")}
INDIRECT = {("view_people.phone", "indirect")}


def facts(value: object) -> set[tuple[str | None, str]]:
    """Give the source and derivation of each label."""
    return {(label.source, label.derivation) for label in taint.labels_of(value)}


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> Iterator[sa.Engine]:
    """A database whose views were made without the library, so that only the database knows them."""
    if request.param == "sqlite":
        made = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    else:
        pytest.importorskip("psycopg")
        made = sa.create_engine(f"postgresql+psycopg://taint@{request.getfixturevalue('postgres')}/postgres")
    _drop(made)
    metadata.create_all(made)
    with made.begin() as connection:
        for view in VIEWS:
            connection.exec_driver_sql(view)
        connection.execute(people.insert(), [{"id": 1, "name": "n", "phone": "A1", "offers": "B2"}])
        connection.execute(uploads.insert(), [{"phone": "A1"}, {"phone": "B2"}])
    taint.install(integrations=["sqlalchemy"])
    yield made
    taint.uninstall()
    _drop(made)
    made.dispose()


def _drop(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        for name in ("view_new", "view_wanted", "view_matched", "view_nested", "view_phones"):
            connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")
    metadata.drop_all(engine)
    catalog._views.clear()


view_phones = sa.table("view_phones", sa.column("id"), sa.column("name"), sa.column("number"))
view_nested = sa.table("view_nested", sa.column("who"), sa.column("digits"))
view_matched = sa.table("view_matched", sa.column("id", sa.Integer))
view_wanted = sa.table("view_wanted", sa.column("id", sa.Integer))

MADE_OF: dict[str, Callable[[], Any]] = {
    "text": lambda: sa.text("SELECT number FROM view_phones"),
    "text of a nested view": lambda: sa.text("SELECT upper(digits) FROM view_nested"),
    "expression": lambda: sa.select(view_phones.c.number),
    "expression of a nested view": lambda: sa.select(sa.func.upper(view_nested.c.digits)),
}


@pytest.mark.parametrize("statement", MADE_OF.values(), ids=MADE_OF)
def test_values_from_a_view(engine: sa.Engine, statement: Callable[[], Any]) -> None:
    """What a view makes of a labelled column carries its label, though nobody has declared the view."""
    with engine.connect() as connection, record() as seen:
        assert facts(connection.scalar(statement())) == DIRECT
    assert not seen.gaps


@pytest.mark.parametrize("statement", [lambda: sa.text("SELECT id FROM view_matched"), lambda: sa.select(view_matched)])
def test_ids_from_a_view_that_matches(engine: sa.Engine, statement: Callable[[], Any]) -> None:
    """Ids that a view found by a labelled column carry its label as indirect, and a zone refuses the query."""
    with engine.connect() as connection:
        found = connection.scalar(statement())
        assert isinstance(found, TaintedInt)
        assert facts(found) == INDIRECT
        with taint.zone("advertising.audiences"), pytest.raises(taint.PurposeViolationError):
            connection.execute(statement())


def test_safe_twins(engine: sa.Engine) -> None:
    """A view that matches by what was given for advertising passes in the zone; its other columns are unlabelled."""
    with engine.connect() as connection, record() as seen:
        with taint.zone("advertising.audiences"):
            assert connection.scalar(sa.select(view_wanted)) == 1
        assert facts(connection.scalar(sa.select(view_phones.c.name))) == set()
        assert facts(connection.scalar(sa.text("SELECT who FROM view_nested"))) == set()
    assert not seen.violations
    assert not seen.gaps


def test_view_that_is_made_later(engine: sa.Engine) -> None:
    """A view that is made by a statement is known from then on."""
    with engine.connect() as connection:
        connection.execute(sa.text("CREATE VIEW view_new AS SELECT phone AS p FROM view_people"))
        assert facts(connection.scalar(sa.text("SELECT p FROM view_new"))) == DIRECT
        connection.commit()


def test_lookup_is_not_seen_by_the_program(engine: sa.Engine) -> None:
    """The program's own listeners see its statements and no other."""
    asked: list[str] = []
    sa.event.listen(engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT number FROM view_phones"))
    assert asked == ["SELECT number FROM view_phones"]


def test_sqlite3() -> None:
    """The same with sqlite3: values from a view, and a match in a zone; the safe twin is unlabelled."""
    taint.install(integrations=["sqlite3"])
    declare("view_raw.phone", purpose="security.mfa")
    try:
        database = sqlite3.connect(":memory:")
        database.executescript(
            "create table view_raw (id, phone, name); insert into view_raw values (1, 'A', 'n');"
            "create view view_of_raw as select id, phone as p, name from view_raw where phone <> '';"
            "create view view_names as select name from view_raw"
        )
        (row,) = database.execute("select p, id from view_of_raw").fetchall()
        assert facts(row[0]) == {("view_raw.phone", "direct")}
        assert facts(row[1]) == {("view_raw.phone", "indirect")}
        assert facts(database.execute("select name from view_names").fetchone()) == set()
        with taint.zone("advertising"), pytest.raises(taint.PurposeViolationError):
            database.execute("select id from view_of_raw")
        database.close()
    finally:
        catalog.withdraw("view_raw.phone")


def test_psycopg(engine: sa.Engine) -> None:
    """The same with psycopg, synchronous and not; the safe twin is unlabelled."""
    if engine.dialect.name != "postgresql":
        pytest.skip("psycopg asks PostgreSQL only")
    psycopg = pytest.importorskip("psycopg")
    taint.uninstall()
    taint.install(integrations=["psycopg"])
    where = f"host={engine.url.host} port={engine.url.port} user=taint dbname=postgres"

    async def run() -> None:
        async with await psycopg.AsyncConnection.connect(where) as connection:
            cursor = await connection.execute("select digits from view_nested")
            assert facts(await cursor.fetchone()) == DIRECT

    asyncio.run(run())
    catalog._views.clear()
    catalog.version += 1
    with psycopg.connect(where) as connection:
        assert facts(connection.execute("select digits from view_nested").fetchone()) == DIRECT
        assert facts(connection.execute("select id from view_matched").fetchone()) == INDIRECT
        assert facts(connection.execute("select who from view_nested").fetchone()) == set()
