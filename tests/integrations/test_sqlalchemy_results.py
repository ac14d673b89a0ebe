"""Rows that nobody has looked into: what they are made of, and that looking into one in any way finds it labelled."""

from __future__ import annotations

import copy
import datetime as dt
import gc
import operator
import pickle
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

pytest.importorskip("sqlalchemy", reason="the extra 'sqlalchemy' is not installed")

import sqlalchemy as sa
from sqlalchemy import Row, RowMapping
from sqlalchemy.engine import BaseRow

import taint
from taint.integrations.sqlalchemy import labelled, own_labels
from taint.testing import record

tables = sa.MetaData()
people = sa.Table(
    "read_people",
    tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("phone", sa.Text, info=labelled(purpose="security.mfa")),
    sa.Column("born", sa.Date, info=labelled(purpose="security.abuse")),
    sa.Column("note", sa.Text),
    sa.Column("note_labels", sa.Text, **own_labels("note")),
)
PHONES = [f"+{1415 + number}" for number in range(99)]
"""More than few."""


@pytest.fixture
def connection() -> Iterator[sa.Connection]:
    """People, of whom each third has a note with labels of its own, and the one after it a note without."""
    taint.install(integrations=["sqlalchemy"])
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    tables.create_all(engine)
    with engine.connect() as opened:
        notes = [taint.label("likes tea", purpose="advertising"), "plain", None] * 33
        rows = [
            {"id": number, "phone": phone, "born": dt.date(2001, 2, 3), "note": note}
            for number, (phone, note) in enumerate(zip(PHONES, notes, strict=True))
        ]
        opened.execute(people.insert(), rows)
        yield opened
    engine.dispose()


FETCHES: dict[str, Callable[[Any], Iterable[Any]]] = {
    "all": lambda result: result.all(),
    "fetchall": lambda result: result.fetchall(),
    "iterated": list,
    "iterated in part": lambda result: [next(iter(result)), next(iter(result))],
    "fetchmany": lambda result: result.fetchmany(2),
    "fetchmany, many": lambda result: result.fetchmany(80),
    "fetchmany, all": lambda result: result.fetchmany(),
    "partitions": lambda result: [row for part in result.partitions(2) for row in part],
    "partitions of many": lambda result: [row for part in result.partitions(70) for row in part],
    "few": lambda result: list(result)[:3],
    "partitions of yield_per": lambda result: [row for part in result.yield_per(2).partitions() for row in part],
    "fetchone": lambda result: [result.fetchone()],
    "one by one": lambda result: [next(result)],
    "unique": lambda result: result.unique().all(),
    "columns": lambda result: result.columns("id", "phone").all(),
    "frozen": lambda result: result.freeze()().all(),
}


@pytest.mark.parametrize("fetch", FETCHES.values(), ids=FETCHES)
def test_rows_are_labelled_however_they_are_fetched(
    connection: sa.Connection, fetch: Callable[[Any], Iterable[Any]]
) -> None:
    """Each row has the columns' labels, and only those."""
    rows = fetch(connection.execute(sa.select(people.c.id, people.c.phone, people.c.born)))
    for row, phone in zip(rows, PHONES, strict=False):
        assert row.phone == phone
        assert set(taint.labels_of(row.phone).purposes) == {"security.mfa"}
        assert not taint.labels_of(row.id)


LOOKS: dict[str, Callable[[Any], Any]] = {
    "attribute": lambda row: row.phone,
    "getattr": lambda row: getattr(row, "phone"),  # noqa: B009  # As programs do.
    "index": operator.itemgetter(1),
    "index from the end": lambda row: row[-3],
    "slice": lambda row: row[1:2][0],
    "unpacked": lambda row: next(phone for _id, phone, *_rest in (row,)),
    "iterated": lambda row: list(row)[1],
    "tuple": lambda row: tuple(row)[1],
    "reversed": lambda row: list(reversed(row))[2],
    "data": lambda row: row._data[1],
    "mapping": lambda row: row._mapping["phone"],
    "mapping by column": lambda row: row._mapping[people.c.phone],
    "mapping's values": lambda row: list(row._mapping.values())[1],
    "dict": lambda row: row._asdict()["phone"],
    "pickled": lambda row: pickle.loads(pickle.dumps(row)).phone,  # noqa: S301  # Its own.
    "copied": lambda row: copy.copy(row).phone,
    "copied deeply": lambda row: copy.deepcopy(row).phone,
    "in a set": lambda row: next(iter({row})).phone,
    "repr": repr,
    "str": str,
    "format": lambda row: f"{row}",
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_any_look_finds_labels(connection: sa.Connection, look: Callable[[Any], Any]) -> None:
    """Whatever is first asked of a row, what it gives of a value carries its labels, and is the value."""
    query = sa.select(people.c.id, people.c.phone, people.c.born, people.c.id.label("again"))
    lazy, eager = connection.execute(query).all()[0], connection.execute(query.limit(1)).one()
    assert set(taint.labels_of(eager.phone).purposes) == {"security.mfa"}
    found = look(lazy)
    assert found == look(eager)
    if not isinstance(found, str) or found == PHONES[0]:
        assert set(taint.labels_of(found).purposes) == {"security.mfa"}


@pytest.mark.parametrize(
    "ask",
    [
        hash,
        len,
        bool,
        dir,
        lambda row: row == row,  # noqa: PLR0124  # Compared as a row.
        lambda row: row == (0, "+1415"),
        lambda row: row != (0, "+1415"),
        lambda row: row < (0, "+1416"),
        lambda row: row >= (0, "+1416"),
        lambda row: (0, "+1415") == row,  # noqa: SIM300  # The other side is asked first.
        lambda row: "+1415" in row,
        lambda row: row.count("+1415"),
        lambda row: row.index("+1415"),
        lambda row: row.__class__,
        lambda row: isinstance(row, Row),
        lambda row: isinstance(row, tuple),
        lambda row: row._fields,
        lambda row: hasattr(row, "none such"),
        lambda row: type(row).__name__,
    ],
)
def test_it_answers_as_a_row(connection: sa.Connection, ask: Callable[[Any], Any]) -> None:
    """What is asked of the row itself is answered as by a row of SQLAlchemy."""
    query = sa.select(people.c.id, people.c.phone)
    lazy = connection.execute(query).all()[0]
    taint.uninstall()
    assert ask(lazy) == ask(connection.execute(query).all()[0])


def test_what_is_refused(connection: sa.Connection) -> None:
    """A row takes no value, and has no column that the query does not give."""
    row: Any = connection.execute(sa.select(people.c.phone)).all()[0]
    with pytest.raises(AttributeError, match="can't set attribute"):
        row.phone = "other"
    with pytest.raises(AttributeError, match="none_such"):
        _ = row.none_such
    with pytest.raises(KeyError):
        _ = row._mapping["none_such"]


@pytest.mark.parametrize("own", [False, True])
def test_nothing_is_made_for_a_row_that_nobody_looks_into(connection: sa.Connection, own: bool) -> None:
    """It holds what the database gave, plain; with the first look it becomes a plain row with labelled values."""
    columns = [people.c.id, people.c.note if own else people.c.phone, people.c.note_labels]
    row: Any = connection.execute(sa.select(*columns)).all()[0]
    assert not any(taint.labels_of(value) for value in vars(BaseRow)["_data"].__get__(row))
    assert not isinstance(row, tuple)  # Which asks for `__class__`.
    assert type(row) is not Row
    assert taint.labels_of(row[1])
    assert type(row) is Row
    assert row[1] is row[1]


@pytest.mark.parametrize("count", [1, 64, 65, 99])
def test_few_rows_are_labelled_at_once(connection: sa.Connection, count: int) -> None:
    """Up to 64 rows, and those that do not come all together, are plain rows from the beginning."""
    query = sa.select(people.c.id, people.c.phone, people.c.note, people.c.note_labels).limit(count)
    many, mappings = connection.execute(query).all(), connection.execute(query).mappings().all()
    assert {type(row) is Row for row in many} == {type(row) is RowMapping for row in mappings} == {count <= 64}
    assert all(type(row) is Row for row in connection.execute(query))
    assert all(type(row) is Row for row in connection.execute(query).fetchmany(count))
    for rows in ([row._mapping for row in many], mappings, connection.execute(query).mappings().fetchmany(count)):
        assert [row["phone"] for row in rows] == PHONES[:count]
        assert all(set(taint.labels_of(row["phone"]).purposes) == {"security.mfa"} for row in rows)
        assert [bool(taint.labels_of(row["note"])) for row in rows] == [number % 3 == 0 for number in range(count)]


def test_mappings(connection: sa.Connection) -> None:
    """Rows as mappings are labelled with the first look too, and are then plain mappings."""
    query = sa.select(people.c.id, people.c.phone)
    found = connection.execute(query).mappings().all()
    assert [set(taint.labels_of(one["phone"]).purposes) for one in found] == [{"security.mfa"}] * 99
    assert all(type(one) is RowMapping for one in found)
    again = connection.execute(query).mappings().all()
    assert dict(again[0]) == {"id": 0, "phone": "+1415"}
    assert again[1] == found[1]
    assert {**again[2]} == {"id": 2, "phone": "+1417"}
    assert repr(connection.execute(query).mappings().all()[0]) == "{'id': 0, 'phone': '+1415'}"
    assert set(taint.labels_of(connection.execute(query).mappings().all()).purposes) == {"security.mfa"}


@pytest.mark.parametrize("index", [1, "phone", people.c.phone])
def test_scalars(connection: sa.Connection, index: Any) -> None:
    """Single values are labelled as they are fetched, by the type of their column too."""
    query = sa.select(people.c.id, people.c.phone, people.c.born)
    assert connection.execute(query).scalars(index).all() == PHONES
    assert set(taint.labels_of(connection.execute(query).scalars(index).all()).purposes) == {"security.mfa"}
    assert set(taint.labels_of(connection.execute(query).scalars("born").all()).purposes) == {"security.abuse"}
    assert not taint.labels_of(connection.execute(query).scalars("id").all())
    notes = connection.execute(sa.select(people.c.note, people.c.note_labels)).scalars().all()
    assert [set(taint.labels_of(note).purposes) for note in notes] == [{"advertising"}, set(), set()] * 33
    assert connection.execute(sa.select(people.c.phone)).scalars().unique().all() == PHONES


def test_own_labels_are_read_with_the_first_look(connection: sa.Connection) -> None:
    """A value that was changed without its labels is reported when its row is looked into, once for the query."""
    connection.exec_driver_sql("update read_people set note = 'other'")
    query = sa.select(people.c.note, people.c.note_labels)
    with record() as seen:
        rows = connection.execute(query).all()
        assert not seen.gaps
        assert [row.note for row in rows] == ["other"] * 99
    assert ["do not belong together" in gap.path for gap in seen.gaps].count(True) == 1
    with record() as seen:
        assert connection.execute(sa.select(people.c.id, people.c.phone)).all()[0].phone
    assert not seen.gaps


def test_where_it_is_reported(connection: sa.Connection) -> None:
    """What is wrong with a row is reported of the zone that loaded it, wherever it is looked into."""
    connection.exec_driver_sql("update read_people set note = 'other'")
    with record(mode="report") as seen:
        with taint.zone("advertising"):
            rows = connection.execute(sa.select(people.c.note, people.c.note_labels)).all()
        assert rows[0].note == "other"
    assert [gap.purpose for gap in seen.gaps] == ["advertising"]


@pytest.mark.parametrize("text", [7, b"{}", "{", '{"purposes":["advertising"]}'])
def test_what_is_no_labels(connection: sa.Connection, text: Any) -> None:
    """Where something else stands beside a value, looking into its row is reported and gives the value."""
    connection.exec_driver_sql("update read_people set note_labels = ?", (text,))
    with record(mode="report") as seen:
        assert connection.execute(sa.select(people.c.note, people.c.note_labels)).all()[0].note == "likes tea"
    assert len(seen.gaps) == 1


@pytest.mark.parametrize(
    "use",
    [
        lambda row, other: row in {other: 1, row: 2},
        lambda row, _: "+1415" in row,
        lambda row, other: row != other,
        lambda row, other: row < other,
        lambda row, _: row == ("+1415",),
    ],
)
def test_comparing_in_a_zone(connection: sa.Connection, use: Callable[[Any, Any], bool]) -> None:
    """A row that is first looked into by comparing it in a zone uses its values there; the safe twin may."""
    for purpose in ("advertising", "security.mfa"):
        rows = connection.execute(sa.select(people.c.phone)).all()
        with record(mode="report") as seen, taint.zone(purpose):
            assert use(rows[0], rows[1])
        assert bool(seen.violations) == (purpose == "advertising")


def test_what_else_a_result_does_with_its_rows(connection: sa.Connection) -> None:
    """Rows that are made unique, or of some of the columns, are those that SQLAlchemy gives."""
    query = sa.select(people.c.id, people.c.phone, people.c.born)
    twice = sa.union_all(query, query)
    assert len(connection.execute(twice).unique().all()) == len(PHONES)
    assert len(connection.execute(twice).mappings().unique().all()) == len(PHONES)
    some = connection.execute(query).columns("phone", "id").all()
    assert [tuple(row) for row in some] == [(phone, number) for number, phone in enumerate(PHONES)]
    assert set(taint.labels_of(some[70][0]).purposes) == {"security.mfa"}
    assert not taint.labels_of(some[70][1])
    assert len(connection.execution_options(yield_per=3).execute(query).fetchmany()) == 3
    assert len(connection.execution_options(yield_per=3).execute(query).fetchmany(5)) == 5


def test_sinks_look_into_rows(connection: sa.Connection) -> None:
    """A sink finds what a row carries, also where nobody has looked into it before."""
    rows = connection.execute(sa.select(people.c.id, people.c.phone)).all()
    with record(mode="report") as seen:
        taint.check({"rows": rows}, purpose="advertising", sink="ads.upload")
        taint.check({"rows": connection.execute(sa.select(people.c.id)).all()}, purpose="advertising", sink="ads.ids")
    assert [one.path for one in seen.violations] == ["value.rows[0].phone"]


def test_rows_outlive_the_integration(connection: sa.Connection) -> None:
    """A row that was fetched before the library was taken out is labelled when it is looked into after."""
    rows = connection.execute(sa.select(people.c.phone)).all()
    taint.uninstall()
    assert set(taint.labels_of(rows[0].phone).purposes) == {"security.mfa"}


def test_threads_that_look_at_once(connection: sa.Connection) -> None:
    """All of them find the row labelled, once."""
    rows = connection.execute(sa.union_all(*[sa.select(people.c.note, people.c.note_labels)] * 3)).all()
    start = threading.Barrier(4)
    found: list[list[set[str]]] = []

    def look() -> None:
        start.wait(timeout=10)
        found.append([set(taint.labels_of(row.note).purposes) for row in rows])

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert found == [[{"advertising"}, set(), set()] * 99] * 4


def test_fewer_objects_for_the_collector(connection: sa.Connection) -> None:
    """Rows that nobody looks into give Python's collector of garbage no more to walk than without the library."""
    query = sa.union_all(*[sa.select(people.c.id, people.c.phone)] * 9)

    def walked() -> int:
        gc.collect()
        before = len(gc.get_objects())
        rows = connection.execute(query).all()
        gc.collect()
        return len(gc.get_objects()) - before - len(rows)

    walked()
    labelled_rows = walked()
    taint.uninstall()
    walked()
    assert labelled_rows <= walked() + 50


class Backwards(sa.TypeDecorator[str]):
    """A type that keeps text in another form."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """Give what is stored."""
        return value and value[::-1]

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """Give what was stored."""
        return value and value[::-1]


def test_companion_of_another_type(connection: sa.Connection) -> None:
    """Labels that a column's type keeps in another form are a gap, however the rows are fetched."""
    table = sa.Table(
        "read_backwards",
        sa.MetaData(),
        sa.Column("note", sa.Text),
        sa.Column("note_labels", Backwards, **own_labels("note")),
    )
    table.create(connection)
    connection.execute(table.insert(), [{"note": taint.label("likes tea", purpose="advertising")}] * 99)
    paths = []
    for fetch in (sa.CursorResult.all, sa.CursorResult.fetchmany):
        with record(mode="report") as seen:
            assert fetch(connection.execute(sa.select(table)))[0].note == "likes tea"
        paths.append([gap.path for gap in seen.gaps])
    assert paths[0] == paths[1] != []
