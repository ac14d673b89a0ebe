"""What the lineage of queries costs: cold, warm, and while rows are loaded. Run it as a program.

The only argument is the address of a PostgreSQL, as psycopg takes it: its rows are measured too where it is given.

Cold: a statement that was not seen before is read (SQLAlchemy expressions, and SQL text by sqlglot). Warm: what is
done for a statement before it goes to the driver, once it is known. Loading: 100,000 rows of which one column is
labelled, against the same engine without the library, in the same run; the median of pairs, once with the collector
of garbage on and once with it off: every carrier is one more object that it walks. Time is that of the processor, so
that what else runs on the machine counts little.
"""

from __future__ import annotations

import gc
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django
import psycopg
import sqlalchemy as sa
from django.conf import settings
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import taint
from taint.evidence.catalog import catalog, declare
from taint.evidence.sql import read_sql
from taint.integrations import sqlalchemy as integration
from taint.integrations.sqlalchemy import labelled, own_labels
from taint.integrations.sqlalchemy_lineage import read_compiled

ROWS = 100_000
PAIRS = 5
TIMES = 2_000
TEXT = (
    "SELECT u.id FROM bench_users u JOIN bench_uploads a ON u.phone_hash = a.hash WHERE u.name <> :name ORDER BY u.id"
)


class Base(DeclarativeBase):
    """The tables of this measurement."""


class User(Base):
    """Somebody with a labelled number."""

    __tablename__ = "bench_users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    city: Mapped[str]
    phone_hash: Mapped[str] = mapped_column(info=labelled(purpose="security.mfa"))


class Contact(Base):
    """A number whose labels are its own: of a few collections, or of one person each."""

    __tablename__ = "bench_contacts"
    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[str]
    value_labels: Mapped[str | None] = mapped_column(sa.Text, **own_labels("value"))


class Upload(Base):
    """What is matched with."""

    __tablename__ = "bench_uploads"
    hash: Mapped[str] = mapped_column(primary_key=True)


def match() -> sa.Select[tuple[int]]:
    """Make the query that is measured."""
    joined = sa.select(User.id).join(Upload, User.phone_hash == Upload.hash)
    return joined.where(User.name != "x").order_by(User.id)


def microseconds(call: Callable[[], object], times: int) -> float:
    """Give the median time of a call."""
    found = []
    for _ in range(times):
        begun = time.process_time()
        call()
        found.append(time.process_time() - begun)
    return statistics.median(found) * 1e6


def seconds(call: Callable[[], object]) -> float:
    """Give the time of one call."""
    begun = time.process_time()
    call()
    return time.process_time() - begun


def main() -> None:
    """Measure and print."""
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        rows = [{"name": f"n{n}", "city": f"c{n % 99}", "phone_hash": f"{n:064x}"} for n in range(ROWS)]
        connection.execute(sa.insert(User), rows)
    dialect = engine.dialect
    compiled = [match().compile(dialect=dialect) for _ in range(50)]
    print(f"cold, expressions   {microseconds(lambda: read_compiled(compiled.pop()), 50):8.0f} µs")
    taint.install(integrations=["sqlalchemy"])
    with engine.begin() as connection:
        for start, has_subject in ((0, False), (ROWS, True)):
            for first in range(start, start + ROWS, 5000):
                numbers = range(first, first + 5000)
                labelled_rows = [
                    {
                        "id": n,
                        "value": taint.label(f"{n:064x}", purpose="security.mfa", subject=n if has_subject else None),
                    }
                    for n in numbers
                ]
                connection.execute(sa.insert(Contact), labelled_rows)
    taint.uninstall()
    contacts = sa.select(Contact.__table__)
    read_sql(TEXT, "sqlite", catalog.tables)
    print(f"cold, SQL text      {microseconds(lambda: read_sql(TEXT, 'sqlite', catalog.tables), 50):8.0f} µs")
    taint.install(integrations=["sqlalchemy"])
    context = None
    for name, statement in (("expressions", match()), ("SQL text", sa.text(TEXT).bindparams(name="x"))):
        with engine.connect() as connection:
            context = connection.execute(statement).context
            warm = lambda context=context: integration._decide(context.statement, ({"name": "x"},), context)  # noqa: E731, SLF001  # What the event calls.
            print(f"warm, {name:13} {microseconds(warm, TIMES):8.1f} µs")
    taint.uninstall()
    users, ids = sa.select(User.__table__), sa.select(User.id).where(User.phone_hash != "")
    mine, each = contacts.where(Contact.id < ROWS), contacts.where(Contact.id >= ROWS)

    def run(statement: sa.Select[Any]) -> sa.CursorResult[Any]:
        return engine.connect().execute(statement)

    loads: dict[str, Callable[[], object]] = {
        "Core rows": lambda: run(users).all(),
        "Core rows, each read": lambda: [row.phone_hash for row in run(users).all()],
        "Core rows, one by one": lambda: list(iter(run(users))),
        "the same, read": lambda: sum(len(row.phone_hash) for row in run(users)),
        "Core rows, in parts": lambda: [row for part in run(users).partitions(99) for row in part],
        "the same, each read": lambda: [row.phone_hash for part in run(users).partitions(99) for row in part],
        "Core mappings": lambda: run(users).mappings().all(),
        "ids of a match": lambda: run(ids).all(),
        "ids, one by one": lambda: list(iter(run(ids))),
        "scalars of a match": lambda: run(ids).scalars().all(),
        "own labels": lambda: run(mine).all(),
        "own labels, each read": lambda: [row.value for row in run(mine).all()],
        "own, each person's": lambda: run(each).all(),
        "each person's, read": lambda: [row.value for row in run(each).all()],
        "ORM objects": lambda: Session(engine).scalars(sa.select(User)).all(),
        "ORM, columns": lambda: Session(engine).execute(sa.select(User.id, User.phone_hash)).all(),
    }
    for name, load in loads.items():
        print_pairs(name, load, "sqlalchemy")
    with drivers() as natively:
        for name, load in natively.items():
            print_pairs(name, load, "sqlite3", "django", "psycopg")
        print_pairs("sqlite3, floor", natively["sqlite3"], instead=lambda: with_class(natively["sqlite3"]()))


class Text(str):
    """The cheapest that a carrier can be in Python code: of a class of its own, with nothing put on it."""

    __slots__ = ()


def with_class(rows: Any) -> list[tuple[Any, ...]]:
    """Give rows again with one such value in each."""
    return [(one, two, three, Text(four)) for one, two, three, four in rows]


@contextmanager
def drivers() -> Iterator[dict[str, Callable[[], object]]]:
    """Give what loads the rows by cursors and by Django, from a database file that is there meanwhile."""
    every, few = "SELECT id, name, city, phone FROM bench_people", "SELECT id FROM bench_people WHERE phone <> ''"
    table = "CREATE TABLE bench_people (id integer, name text, city text, phone text)"
    rows = [(n, f"n{n}", f"c{n % 99}", f"{n:064x}") for n in range(ROWS)]
    declare("bench_people.phone", purpose="security.mfa")
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "people.sqlite3"))
        with sqlite3.connect(path) as lite:
            lite.execute(table)
            lite.executemany("INSERT INTO bench_people VALUES (?, ?, ?, ?)", rows)
        lite.close()
        settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": path}})
        django.setup()
        from django.db import models  # noqa: PLC0415  # Not before the settings.

        class Person(models.Model):  # type: ignore[misc]  # noqa: DJ008  # Django is untyped; nobody shows it.
            """Somebody with a labelled number."""

            id = models.IntegerField(primary_key=True)
            name = models.TextField()
            city = models.TextField()
            phone = models.TextField()

            class Meta:
                """Where the rows are."""

                app_label = "bench"
                db_table = "bench_people"

        loads: dict[str, Callable[[], object]] = {
            "sqlite3": lambda: sqlite3.connect(path).execute(every).fetchall(),
            "sqlite3, ids": lambda: sqlite3.connect(path).execute(few).fetchall(),
            "Django objects": lambda: list(Person.objects.all()),
            "Django values_list": lambda: list(Person.objects.values_list("id", "phone")),
        }
        if address := " ".join(sys.argv[1:]):
            with psycopg.connect(address) as database, database.cursor() as cursor:
                cursor.execute(table.replace("CREATE", "CREATE TEMPORARY"))
                with cursor.copy("COPY bench_people FROM STDIN") as copy:
                    for row in rows:
                        copy.write_row(row)
                loads["psycopg"] = lambda: database.execute(every).fetchall()
                loads["psycopg, ids"] = lambda: database.execute(few).fetchall()
                yield loads
        else:
            yield loads


def print_pairs(
    name: str, load: Callable[[], object], *integrations: str, instead: Callable[[], object] | None = None
) -> None:
    """Measure a load with the collector of garbage on, and off, and print it."""
    found = [pairs(load, instead or load, integrations, is_collecting=is_on) for is_on in (True, False)]
    print(f"load {ROWS:,} {name:22} {'; '.join(found)}", flush=True)


def pairs(
    load: Callable[[], object],
    instead: Callable[[], object],
    integrations: tuple[str, ...],
    *,
    is_collecting: bool,
) -> str:
    """Measure a load without and with the library, turn by turn; or beside another one, without the library too."""
    load()
    (gc.enable if is_collecting else gc.disable)()
    off, on = [], []
    for _ in range(PAIRS):
        gc.collect()
        off.append(seconds(load))
        gc.collect()
        if integrations:
            taint.install(integrations=integrations)
        on.append(seconds(instead))
        taint.uninstall()
    gc.enable()
    ratio = statistics.median(after / before for before, after in zip(off, on, strict=True))
    when = "on" if is_collecting else "off"
    return f"collector {when}: {statistics.median(off):.3f} s, {statistics.median(on):.3f} s with, x{ratio:.2f}"


if __name__ == "__main__":
    main()
