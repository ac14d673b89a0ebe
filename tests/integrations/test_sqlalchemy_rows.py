"""A value's own labels, row by row: written with the value, rolled back with it, read in another process."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import uuid
from binascii import crc_hqx
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest

pytest.importorskip("sqlalchemy", reason="the extra 'sqlalchemy' is not installed")

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import taint
from taint import losses
from taint.evidence.catalog import catalog, declare
from taint.evidence.row_labels import DERIVED, decoded, encoded, opened, sealed, set_seal_keys
from taint.integrations.sqlalchemy import SqlalchemyIntegration, labelled, own_labels
from taint.labels import Label, Labels
from taint.testing import record

CHECKOUT = Path(__file__).resolve().parents[2]
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Base(DeclarativeBase):
    """The tables of these tests."""


class Contact(Base):
    """A number that was given for security, or one that was given for marketing."""

    __tablename__ = "own_contacts"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None]
    value: Mapped[str | None]
    value_labels: Mapped[str | None] = mapped_column(sa.Text, **own_labels("value"))


class Staged(Base):
    """Where numbers stand before they are contacts."""

    __tablename__ = "own_staged"
    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[str]
    value_labels: Mapped[str | None] = mapped_column(sa.Text, **own_labels("value"))


contacts: Any = Contact.__table__
staged: Any = Staged.__table__


def security(value: str) -> str:
    """Give a number that was collected for security."""
    return taint.label(
        value, purpose="security.mfa", category="user.contact.phone_number", source="enrol", subject="7", trace=TRACE
    )


def marketing(value: str) -> str:
    """Give a number that was collected for advertising: the safe twin."""
    return taint.label(value, purpose="advertising", source="newsletter")


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """An empty database."""
    taint.install(integrations=["sqlalchemy"])
    if request.param == "sqlite":
        made = sa.create_engine(f"sqlite:///{tmp_path / 'own.sqlite3'}")
    else:
        pytest.importorskip("psycopg")
        made = sa.create_engine(f"postgresql+psycopg://taint@{request.getfixturevalue('postgres')}/postgres")
    Base.metadata.create_all(made)
    yield made
    if made.dialect.name == "postgresql":
        Base.metadata.drop_all(made)
    made.dispose()


def stored(engine: sa.Engine) -> dict[int, set[str]]:
    """Give the purposes that each row's value has, as another session reads them."""
    with Session(engine) as session:
        return {one.id: set(taint.labels_of(one.value).purposes) for one in session.scalars(sa.select(Contact))}


SECURITY, MARKETING, NONE = {"security.mfa"}, {"advertising"}, set[str]()
ROWS: list[dict[str, Any]] = [
    {"id": 1, "value": lambda: security("+1415")},
    {"id": 2, "value": lambda: marketing("+1415")},
    {"id": 3, "value": lambda: "plain"},
]


def rows() -> list[dict[str, Any]]:
    """Make three rows: of security, of marketing, unlabelled."""
    return [{**row, "value": row["value"]()} for row in ROWS]


def _add_each(session: Session) -> None:
    session.add_all([Contact(**row) for row in rows()])


def _upsert(session: Session, set_: Callable[[Any], dict[Any, Any]]) -> None:
    module: Any = sqlite if session.connection().dialect.name == "sqlite" else postgresql
    insert = module.insert(contacts)
    session.execute(insert.on_conflict_do_update(index_elements=["id"], set_=set_(insert.excluded)), rows())


INSERTS: dict[str, Callable[[Session], object]] = {
    "flush": _add_each,
    "orm bulk": lambda session: session.execute(sa.insert(Contact), rows()),
    "core executemany": lambda session: session.execute(contacts.insert(), rows()),
    "core one by one": lambda session: [session.execute(contacts.insert().values(row)) for row in rows()],
    "core many values": lambda session: session.execute(contacts.insert().values(rows())),
    "orm many values": lambda session: session.execute(sa.insert(Contact).values(rows())),
    "orm many values, other order": lambda session: session.execute(
        sa.insert(Contact).values([dict(reversed(row.items())) for row in rows()])
    ),
    "returning": lambda session: session.execute(sa.insert(Contact).returning(Contact.id), rows()).all(),
    "bulk_insert_mappings": lambda session: session.bulk_insert_mappings(sa.inspect(Contact), rows()),
    "upsert that inserts": lambda session: _upsert(session, lambda excluded: {"value": excluded.value}),
}


@pytest.mark.parametrize("insert", INSERTS.values(), ids=INSERTS)
def test_insert(engine: sa.Engine, insert: Callable[[Session], object]) -> None:
    """However rows are inserted, each value has its own labels when it is read again."""
    with Session(engine) as session, record() as seen:
        insert(session)
        session.commit()
    assert stored(engine) == {1: SECURITY, 2: MARKETING, 3: NONE}
    assert not seen.gaps


def _contact(session: Session) -> Contact:
    found = session.get(Contact, 1)  # `get_one` came with SQLAlchemy 2.0.22.
    assert found is not None
    return found


def _change_attribute(session: Session, value: str) -> None:
    _contact(session).value = value


UPDATES: dict[str, Callable[[Session, str], object]] = {
    "flush": _change_attribute,
    "orm update": lambda session, value: session.execute(sa.update(Contact).where(Contact.id == 1).values(value=value)),
    "core update": lambda session, value: session.execute(
        contacts.update().where(contacts.c.id == 1).values(value=value)
    ),
    "core update by parameters": lambda session, value: session.execute(
        contacts.update().where(contacts.c.id == 1), {"value": value}
    ),
    "core executemany": lambda session, value: session.connection().execute(
        contacts.update().where(contacts.c.id == sa.bindparam("which")), [{"which": 1, "value": value}]
    ),
    "orm bulk update": lambda session, value: session.execute(sa.update(Contact), [{"id": 1, "value": value}]),
    "upsert": lambda session, value: _upsert(session, lambda excluded: {"value": value}),
}


@pytest.mark.parametrize(
    ("make", "after"),
    [(security, SECURITY), (marketing, MARKETING), (str, NONE)],
    ids=["security", "marketing", "unlabelled"],
)
@pytest.mark.parametrize("update", UPDATES.values(), ids=UPDATES)
def test_update(
    engine: sa.Engine, update: Callable[[Session, str], object], make: Callable[[str], str], after: set[str]
) -> None:
    """However a value is changed, its labels are those of the new value: none of the old one stays, none is lost."""
    with Session(engine) as session:
        session.add(Contact(id=1, value=make("x") if after is NONE else security("x")))
        session.commit()
        update(session, make("new"))
        session.commit()
    assert stored(engine)[1] == after


def test_update_of_another_column(engine: sa.Engine) -> None:
    """An update that does not write the value leaves its labels."""
    with Session(engine) as session:
        _add_each(session)
        session.commit()
        session.execute(sa.update(Contact).values(name="x"))
        _contact(session).name = "y"
        session.commit()
    assert stored(engine) == {1: SECURITY, 2: MARKETING, 3: NONE}


def test_upsert_of_what_is_there(engine: sa.Engine) -> None:
    """An upsert takes the labels of the row that it would have inserted."""
    with Session(engine) as session:
        session.execute(contacts.insert(), [{"id": 1, "value": "a"}, {"id": 2, "value": security("b")}])
        _upsert(session, lambda excluded: {"value": excluded.value})
        session.commit()
    assert stored(engine) == {1: SECURITY, 2: MARKETING, 3: NONE}


def test_update_from_another_table(engine: sa.Engine) -> None:
    """UPDATE ... FROM takes the labels of the rows that the values come from, of two those of both."""
    with Session(engine) as session:
        session.execute(staged.insert(), [{"id": 1, "value": security("a")}, {"id": 2, "value": marketing("b")}])
        session.execute(contacts.insert(), [{"id": 1, "value": "x"}, {"id": 2, "value": security("y")}])
        session.execute(
            contacts.update().values(value=sa.func.lower(staged.c.value)).where(contacts.c.id == staged.c.id)
        )
        session.commit()
        assert stored(engine) == {1: SECURITY, 2: MARKETING}
        session.execute(contacts.update().values(value=contacts.c.value + marketing("c")))
        session.commit()
    assert stored(engine) == {1: SECURITY | MARKETING, 2: MARKETING}


def test_what_cannot_be_kept_is_a_gap(engine: sa.Engine) -> None:
    """Values from a query or a subquery whose labels are not written with them are a gap; with them they are kept."""
    with Session(engine) as session, record() as seen:
        session.execute(staged.insert(), [{"id": 1, "value": security("a")}])
        session.execute(contacts.insert().from_select(["id", "value"], sa.select(staged.c.id, staged.c.value)))
        assert len([gap for gap in seen.gaps if "not kept" in gap.path]) == 1
        subquery = sa.select(staged.c.value).scalar_subquery()
        session.execute(contacts.update().values(value=subquery))
        assert len([gap for gap in seen.gaps if "not kept" in gap.path]) == 2
        session.rollback()
        seen.flows.clear()
        session.execute(staged.insert(), [{"id": 1, "value": security("a")}])
        names = ["id", "value", "value_labels"]
        query = sa.select(staged.c.id, staged.c.value, staged.c.value_labels)
        session.execute(contacts.insert().from_select(names, query))
        session.commit()
        assert not seen.gaps
    assert stored(engine) == {1: SECURITY}


def test_rollback(engine: sa.Engine) -> None:
    """A rollback takes back value and labels together."""
    with Session(engine) as session:
        session.add(Contact(id=1, value=security("x")))
        session.commit()
        _contact(session).value = marketing("y")
        session.flush()
        with session.begin_nested() as savepoint:
            session.execute(contacts.update().values(value="z"))
            savepoint.rollback()
        session.rollback()
        assert _contact(session).value == "x"
    assert stored(engine) == {1: SECURITY}


def test_reading_without_the_companion_is_a_gap(engine: sa.Engine) -> None:
    """A query that leaves the labels behind is a gap; one that gives them labels what it derives from the value."""
    with Session(engine) as session:
        _add_each(session)
        session.commit()
        with record() as seen:
            session.execute(sa.select(Contact.value)).all()
            session.execute(sa.select(sa.func.max(Contact.value), sa.func.max(Contact.value_labels))).all()
        assert ["which the query does not give" in gap.path for gap in seen.gaps] == [True, True]
        with record() as seen:
            query = sa.select(Contact.id, sa.func.upper(Contact.value), Contact.value_labels).order_by(Contact.id)
            found = session.execute(query)
            fetched = [found.fetchone(), *found.fetchmany(1), *found]
        assert not seen.gaps
    assert [set(taint.labels_of(row).purposes) for row in fetched] == [SECURITY, MARKETING, NONE]
    assert all(type(row[0]) is int for row in fetched)


def test_match_by_such_a_column_in_a_zone_is_a_gap(engine: sa.Engine) -> None:
    """A query in a zone that finds rows by data of several purposes cannot be decided: a gap, outside labelled rows."""
    with Session(engine) as session:
        _add_each(session)
        session.commit()
        session.expunge_all()
        match = sa.select(Contact).where(Contact.value == "+1415").order_by(Contact.id)
        with record() as seen, taint.zone("advertising"):
            session.execute(match)
        assert ["several purposes" in gap.path for gap in seen.gaps] == [True]
        session.expunge_all()
        with record() as seen:
            found = session.scalars(match).all()
        assert not seen.gaps
    assert [{(label.derivation, *label.purposes) for label in taint.labels_of(one.id)} for one in found] == [
        {("indirect", "security.mfa")},
        {("indirect", "advertising")},
    ]


READER = """
import json, sys
import sqlalchemy as sa
from sqlalchemy.orm import Session
import taint
from taint import losses
from tests.integrations.test_sqlalchemy_rows import Contact
taint.install(integrations=["sqlalchemy"])

@taint.sink(purpose="advertising.audiences")
def upload(value): ...

found = {}
with Session(sa.create_engine(sys.argv[1])) as session:
    for one in session.scalars(sa.select(Contact)):
        try:
            upload(one.value)
            found[one.id] = "sent"
        except taint.PurposeViolationError:
            (label,) = taint.labels_of(one.value)
            found[one.id] = [*label.purposes, label.category, label.source, label.subject, str(label.trace)]
print(json.dumps(found))
"""


def test_another_process(engine: sa.Engine) -> None:
    """Another process reads each value with all that was known of it: the security number is stopped, its twin sent."""
    with Session(engine) as session:
        _add_each(session)
        session.commit()
    url = engine.url.render_as_string(hide_password=False)
    run = subprocess.run(
        [sys.executable, "-c", READER, url], cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == {
        "1": ["security.mfa", "user.contact.phone_number", "enrol", "7", TRACE],
        "2": "sent",
        "3": "sent",
    }


def test_text_of_labels_comes_back() -> None:
    """Labels come out of their text as they went in, and joined texts as joined labels."""
    one, other = taint.labels_of(security("x")), taint.labels_of(marketing("y"))
    assert decoded(encoded(one) or "") == one
    assert decoded(f"{encoded(one)}\n\n{encoded(other)}") == one | other
    assert encoded(taint.labels_of("plain")) == ""


@pytest.mark.parametrize("subject", ["7", "", "å", 'a"b', "a\\", 'a","subject":"b', "a\nb", "\u2028", "a, b"])
@pytest.mark.parametrize("place", ["shop.enrol", 'shop","subject":"x', "shop\\"])
def test_labels_of_one_person_each_are_read_as_they_were_written(place: str, subject: str) -> None:
    """A label has its own person and place back, whatever is in their names, and not those of another."""
    mine, other = (Labels([Label(frozenset({"security.mfa"}), None, place, one, "c-7")]) for one in (subject, "8"))
    for labels in (mine, other, mine):
        assert decoded(encoded(labels)) == labels
    assert decoded(encoded(mine)) != other


@pytest.mark.parametrize(
    "text",
    [
        '{"purposes":["security"],"subject":"7","subject":"8"}',
        '{"purposes":["security"],"consent":"c","subject":"8"}',
        '{"purposes":["security"] , "subject":"7","consent":"c","subject":"8"}',
    ],
)
def test_labels_are_read_as_json_is(text: str) -> None:
    """Of two persons in one label the last holds, as JSON has it."""
    assert [label.subject for label in decoded(text)] == ["8"]


@pytest.mark.parametrize(
    "text",
    [
        *("x", "{}", "[]", '{"purposes":[]}', '{"purposes":["a"],"more":1}', '{"purposes":3}'),
        '{"purposes":["a"],"subject":"\x01"}',
    ],
)
def test_text_of_something_else(text: str) -> None:
    """Text that is not of labels is refused without showing it."""
    with pytest.raises(ValueError, match="not the text of labels"):
        decoded(text)


def test_labels_that_the_database_joined_say_so_whatever_seal_they_have() -> None:
    """A seal without a key, which anybody can make, does not make labels of several values those of one."""
    lines = f"{DERIVED}\n{encoded(taint.labels_of(security('x')))}"
    texts = {
        start: f'{start}\n{{"seal":":{crc_hqx(f"{start}{chr(0)}s+14155550100".encode(), 0):04x}"}}'
        for start in (lines, lines.removeprefix(f"{DERIVED}\n"))
    }
    problems = [opened(text, "+14155550100", is_whole=True)[1] for text in texts.values()]
    assert "joined by the database" in problems[0]
    assert problems[1] == ""


def test_companion_with_something_else_is_a_gap(engine: sa.Engine) -> None:
    """A companion column that somebody else wrote to is a gap, and the row is given."""
    with Session(engine) as session, record() as seen:
        session.execute(contacts.insert(), [{"id": 1, "value": "x", "value_labels": "other"}])
        assert session.scalars(sa.select(Contact)).one().value == "x"
    assert ["something else" in gap.path for gap in seen.gaps] == [True]


class Guarded(Base):
    """A column with a companion that also says what its values were collected for, where nothing else is known."""

    __tablename__ = "own_guarded"
    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[str | None] = mapped_column(info=labelled(purpose="security.mfa"))
    value_labels: Mapped[str | None] = mapped_column(sa.Text, **own_labels("value"))


guarded: Any = Guarded.__table__

BEHIND: dict[str, tuple[str, str]] = {
    "update": ("UPDATE own_guarded SET value = 'other' WHERE id = 1", "do not belong together"),
    "labels alone": ('UPDATE own_guarded SET value_labels = \'{"seal":":0000"}\' WHERE id = 1', "do not belong"),
    "labels of another": (
        "UPDATE own_guarded SET value_labels = (SELECT g.value_labels FROM own_guarded g WHERE g.id = 2) WHERE id = 1",
        "do not belong",
    ),
    "no labels": ("UPDATE own_guarded SET value_labels = NULL WHERE id = 1", "without its labels"),
    "insert": ("DELETE FROM own_guarded WHERE id = 1;INSERT INTO own_guarded (id, value) VALUES (1, 'x')", "without"),
    "a seal cut off": (
        'UPDATE own_guarded SET value_labels = \'{"purposes":["advertising"]}\' WHERE id = 1',
        "not sealed",
    ),
}


@pytest.mark.parametrize(("change", "said"), BEHIND.values(), ids=BEHIND)
def test_change_behind_the_back_is_found(engine: sa.Engine, change: str, said: str) -> None:
    """What a program without the library changes is found when the row is read: the column's label holds, and a gap.

    The twin in the next row, which nobody has touched, keeps its own labels.
    """
    with Session(engine) as session:
        session.execute(guarded.insert(), [{"id": 1, "value": marketing("a")}, {"id": 2, "value": marketing("b")}])
        session.commit()
    taint.uninstall()
    with engine.begin() as connection:
        for statement in change.split(";"):
            connection.exec_driver_sql(statement)
    taint.install(integrations=["sqlalchemy"])
    with Session(engine) as session, record() as seen:
        first, second = session.scalars(sa.select(Guarded).order_by(Guarded.id))
        assert taint.labels_of(first.value).purposes >= SECURITY
        assert taint.labels_of(second.value).purposes == MARKETING
    assert [said in gap.path for gap in seen.gaps] == [True]


def test_update_by_text_is_a_gap_when_it_is_executed(engine: sa.Engine) -> None:
    """SQL text that writes a value and not its labels is a gap at once; text that writes both, or neither, is none."""
    with Session(engine) as session, record() as seen:
        for harmless in (
            "UPDATE own_contacts SET name = 'x'",
            "UPDATE own_contacts SET value = NULL, value_labels = NULL",
            "DELETE FROM own_contacts",
        ):
            session.execute(sa.text(harmless))
        assert not seen.gaps
        session.execute(sa.text("UPDATE own_contacts SET value = 'x'"))
        session.execute(sa.text("INSERT INTO own_contacts (id, value) VALUES (1, 'x')"))
        assert ["own labels in own_contacts.value_labels are not" in gap.path for gap in seen.gaps] == [True, True]


def test_reading_by_text(engine: sa.Engine) -> None:
    """SQL text that gives the companion too labels row by row; one that does not is a gap."""
    with Session(engine) as session:
        _add_each(session)
        session.commit()
        with record() as seen:
            rows = session.execute(sa.text("SELECT c.value, c.value_labels FROM own_contacts c ORDER BY id")).all()
        assert not seen.gaps
        with record() as seen:
            session.execute(sa.text("SELECT value FROM own_contacts"))
        assert ["which the query does not give" in gap.path for gap in seen.gaps] == [True]
    assert [set(taint.labels_of(row[0]).purposes) for row in rows] == [SECURITY, MARKETING, NONE]


def test_labels_of_an_expression_cannot_be_held_against_it(engine: sa.Engine) -> None:
    """A value that the database computes has the labels of what it is made of, and a gap says they are not sealed."""
    with Session(engine) as session:
        session.execute(contacts.insert().values(id=1, value=sa.func.upper(security("a"))))
        session.commit()
        with record() as seen:
            assert session.scalars(sa.select(Contact)).one().value == "A"
    assert ["joined by the database" in gap.path for gap in seen.gaps] == [True]
    assert stored(engine) == {1: SECURITY}


def test_declared_label_gives_way_to_own_labels(engine: sa.Engine) -> None:
    """What a column says of all its values holds only for those that have no labels of their own."""
    with Session(engine) as session, record() as seen:
        session.execute(guarded.insert(), [{"id": 1, "value": marketing("a")}, {"id": 2, "value": security("b")}])
        with taint.zone("advertising"):
            rows = session.scalars(sa.select(Guarded).order_by(Guarded.id)).all()
        assert [set(taint.labels_of(row.value).purposes) for row in rows] == [MARKETING, SECURITY]
        assert not seen.flows
        with taint.zone("advertising"), pytest.raises(taint.PurposeViolationError):
            session.execute(sa.select(Guarded.value))


class TestKeys:
    """Seals that are signed."""

    KEYS: ClassVar = {"old": b"o" * 32, "new": b"n" * 32}

    def _read(self, engine: sa.Engine, keys: dict[str, bytes]) -> tuple[set[str], list[str]]:
        taint.uninstall()
        taint.install(integrations=[SqlalchemyIntegration(seal_keys=keys)])
        with Session(engine) as session, record() as seen:
            value = session.scalars(sa.select(Guarded)).one().value
        return set(taint.labels_of(value).purposes), [gap.path for gap in seen.gaps]

    def test_rotation(self, engine: sa.Engine) -> None:
        """A seal by a key that is still accepted holds; one by a key that is gone, or by none, does not."""
        taint.uninstall()
        taint.install(integrations=[SqlalchemyIntegration(seal_keys={"old": self.KEYS["old"]})])
        with Session(engine) as session:
            session.add(Guarded(id=1, value=marketing("a")))
            session.commit()
        assert self._read(engine, {"new": self.KEYS["new"], "old": self.KEYS["old"]}) == (MARKETING, [])
        purposes, gaps = self._read(engine, {"new": self.KEYS["new"]})
        assert purposes == MARKETING | SECURITY
        assert ["not signed with a key that is known" in gap for gap in gaps] == [True]
        purposes, gaps = self._read(engine, {"old": b"x" * 32})
        assert purposes == MARKETING | SECURITY
        assert ["do not belong together" in gap for gap in gaps] == [True]

    def test_unkeyed_seal_is_not_enough(self, engine: sa.Engine) -> None:
        """Where there are keys, a seal that anybody can make does not take away the column's label."""
        with Session(engine) as session:
            session.add(Guarded(id=1, value=marketing("a")))
            session.commit()
        assert self._read(engine, {}) == (MARKETING, [])
        assert self._read(engine, self.KEYS)[0] >= SECURITY

    @pytest.mark.parametrize("keys", [{"a": b"short"}, {"a b": b"x" * 32}, {"": b"x" * 32}])
    def test_unusable_keys(self, keys: dict[str, bytes]) -> None:
        """A key that is too short, or has no usable id, is refused without being shown."""
        with pytest.raises(taint.ConfigurationError, match="a key of seals is not usable") as refused:
            set_seal_keys(keys)
        assert "xxxx" not in str(refused.value)
        assert "short'" not in str(refused.value)


@pytest.mark.parametrize(
    ("column", "value", "change"),
    [
        (sa.Integer(), 7, 8),
        (sa.Numeric(10, 2, asdecimal=True), Decimal("1.50"), Decimal("2.5")),
        (sa.Date(), dt.date(2001, 2, 3), dt.date(2001, 2, 4)),
        (sa.Uuid(), uuid.UUID(int=5), uuid.UUID(int=6)),
        (sa.LargeBinary(), b"\0\xff", b"\0"),
        (sa.CHAR(6), "abc", "abd"),
        (sa.Unicode(20), "é\U0001f600", "e"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_seals_of_other_types(engine: sa.Engine, column: Any, value: Any, change: Any) -> None:
    """A value of any type comes back to a seal that fits it, and another value does not."""
    table = sa.Table(
        "own_typed",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("value", column),
        sa.Column("labels", sa.Text, **own_labels("value")),
    )
    with engine.connect() as connection, record() as seen:
        table.create(connection)
        connection.execute(table.insert(), [{"id": 1, "value": taint.label(value, purpose="security.mfa")}])
        row = connection.execute(sa.select(table)).one()
        assert taint.labels_of(row.value).purposes == SECURITY
        assert not seen.gaps
        connection.execute(table.update().values(value=change, labels=table.c.labels))
        connection.execute(sa.select(table)).one()
        assert ["do not belong together" in gap.path for gap in seen.gaps] == [True]
        connection.rollback()
    table.drop(engine, checkfirst=True)


@pytest.mark.parametrize("value", [1.5, dt.datetime(2001, 2, 3, 4, 5, 6, 7, dt.UTC), 2.0])
def test_values_that_come_back_as_others_are_not_held_against(value: object) -> None:
    """Of a value that databases round, or move to another time zone, only the labels are sealed."""
    labels = taint.labels_of(security("x"))
    text = sealed(labels, value)
    assert opened(text, "something else", is_whole=True) == (labels, "")
    assert opened((text or "").replace("mfa", "mfb"), value, is_whole=True)[1]


class Mailing(Base):
    """Columns that say what they hold, and one that says nothing."""

    __tablename__ = "own_mailings"
    id: Mapped[int] = mapped_column(primary_key=True)
    offers: Mapped[str | None] = mapped_column(info=labelled(purpose="advertising.audiences"))
    note: Mapped[str | None]


mailings: Any = Mailing.__table__

WRITES: dict[str, Callable[[Session, str, str], object]] = {
    "flush": lambda session, name, value: _add_mailing(session, name, value),
    "executemany": lambda session, name, value: session.execute(
        mailings.insert(), [{"id": 1, name: value}, {"id": 2, name: value}]
    ),
    "values": lambda session, name, value: session.execute(mailings.insert().values({"id": 1, name: value})),
    "many values": lambda session, name, value: session.execute(
        mailings.insert().values([{"id": 1, name: value}, {"id": 2, name: value}])
    ),
    "update": lambda session, name, value: session.execute(sa.update(Mailing).values({name: value})),
}


def _add_mailing(session: Session, name: str, value: str) -> None:
    session.add(Mailing(id=1, **{name: value}))
    session.flush()


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_column_that_says_more_than_was_collected(
    engine: sa.Engine, write: Callable[[Session, str, str], object]
) -> None:
    """A security number in a column for offers is a gap; its safe twin, collected for offers or more, is none."""
    with Session(engine) as session, record() as seen:
        write(session, "offers", marketing("x"))
        session.rollback()
        assert not seen.gaps
        write(session, "offers", security("x"))
        session.rollback()
    assert ["is given what was for 'security.mfa'" in gap.path for gap in seen.gaps] == [True]


def test_what_fitted_a_column_is_asked_again_when_the_column_says_something_else(engine: sa.Engine) -> None:
    """A column that is described anew, or that a catalog describes, is held to what it says now."""
    table = sa.Table(
        "own_described",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("offers", sa.Text, info=labelled(purpose="advertising")),
        sa.Column("note", sa.Text),
    )
    table.create(engine)
    with engine.connect() as connection, record() as seen:
        for _ in range(2):
            connection.execute(table.insert(), {"offers": marketing("x")})
            connection.execute(table.insert(), {"note": marketing("x")})
        assert not seen.gaps
        assert losses.counts()["own_described.note"] == 2
        table.c.offers.info.update(labelled(purpose="analytics"))
        connection.execute(table.insert(), {"offers": marketing("x")})
        declare("own_described.note", purpose="advertising")
        connection.execute(table.insert(), {"note": marketing("x")})
        catalog.withdraw("own_described.note")
        declare("own_described.note", purpose="analytics")
        connection.execute(table.insert(), {"note": marketing("x")})
        catalog.withdraw("own_described.note")
    found = [gap.path.partition(" says ")[0] for gap in seen.gaps]
    table.drop(engine)
    assert found == ["own_described.offers", "own_described.note"]
    assert losses.counts()["own_described.note"] == 2


def test_what_fitted_a_column_is_asked_again_in_another_taxonomy(engine: sa.Engine) -> None:
    """A purpose that stands below another by one policy, and by the next no more, is held to the next."""
    outreach = {"definition": "Write to people."}
    taint.configure(policy={"purposes": {"outreach": {**outreach, "parents": ["marketing"]}}})
    columns = (
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("post", sa.Text, info=labelled(purpose="outreach")),
    )
    table = sa.Table("own_outreach", sa.MetaData(), *columns)
    table.create(engine)
    counts = []
    with engine.connect() as connection, record() as seen:
        for _ in range(2):
            connection.execute(table.insert(), {"post": taint.label("x", purpose="marketing", source="shop.offers")})
            counts.append(len(seen.gaps))
            taint.configure(policy={"purposes": {"outreach": outreach}})
    table.drop(engine)
    assert counts == [0, 1]


def test_column_that_says_nothing_counts_what_is_lost(engine: sa.Engine) -> None:
    """Labels that a column cannot keep are counted under its name, and those that it keeps are not."""
    losses.reset()
    with Session(engine) as session, record() as seen:
        session.execute(mailings.insert(), [{"id": 1, "note": security("x"), "offers": marketing("y")}])
        session.execute(contacts.insert(), [{"id": 1, "value": security("x")}])
    assert not seen.gaps
    assert {name: count for name, count in losses.counts().items() if name.startswith("own_")} == {
        "own_mailings.note": 1
    }
