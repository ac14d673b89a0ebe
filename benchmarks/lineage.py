"""What the lineage of queries costs: cold, warm, and while rows are loaded. Run it as a program; no arguments.

Cold: a statement that was not seen before is read (SQLAlchemy expressions, and SQL text by sqlglot). Warm: what is
done for a statement before it goes to the driver, once it is known. Loading: 100,000 rows of which one column is
labelled, against the same engine without the library, in the same run; the median of pairs, once with the collector
of garbage on and once with it off: every carrier is one more object that it walks. Time is that of the processor, so
that what else runs on the machine counts little.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import taint
from taint.evidence.catalog import catalog
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
    for name, load in (
        ("Core rows", lambda: engine.connect().execute(users).all()),
        ("Core rows, one by one", lambda: list(iter(engine.connect().execute(users)))),
        (
            "Core rows, in parts",
            lambda: [row for part in engine.connect().execute(users).partitions(99) for row in part],
        ),
        ("ORM objects", lambda: Session(engine).scalars(sa.select(User)).all()),
        ("ids of a match", lambda: engine.connect().execute(ids).all()),
        ("ids, one by one", lambda: list(iter(engine.connect().execute(ids)))),
        ("scalars of a match", lambda: engine.connect().scalars(ids).all()),
        ("own labels", lambda: engine.connect().execute(contacts.where(Contact.id < ROWS)).all()),
        ("own, each person's", lambda: engine.connect().execute(contacts.where(Contact.id >= ROWS)).all()),
    ):
        print(f"load {ROWS:,} {name:22} {pairs(load, is_collecting=True)}; {pairs(load, is_collecting=False)}")


def pairs(load: Callable[[], object], *, is_collecting: bool) -> str:
    """Measure a load without and with the library, turn by turn."""
    load()
    (gc.enable if is_collecting else gc.disable)()
    off, on = [], []
    for _ in range(PAIRS):
        gc.collect()
        off.append(seconds(load))
        gc.collect()
        taint.install(integrations=["sqlalchemy"])
        on.append(seconds(load))
        taint.uninstall()
    gc.enable()
    ratio = statistics.median(after / before for before, after in zip(off, on, strict=True))
    when = "on" if is_collecting else "off"
    return f"collector {when}: {statistics.median(off):.3f} s, {statistics.median(on):.3f} s with, x{ratio:.2f}"


if __name__ == "__main__":
    main()
