"""The steps of a tutorial, with every column labelled: in report mode a program gets what it gets without the library.

The steps are those that SQLAlchemy's own tutorial leads through (connections and transactions, metadata and reflection,
INSERT, SELECT, UPDATE and DELETE, the ORM's unit of work, related objects), in code of our own. What each gives is
written down as the program sees it: values, types of rows, errors and their messages, the statements that were sent.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import pickle
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sqlalchemy", reason="the extra 'sqlalchemy' is not installed")
pytest.importorskip("sqlglot", reason="the extra 'sql' is not installed")

import sqlalchemy as sa
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    aliased,
    joinedload,
    mapped_column,
    raiseload,
    relationship,
    selectinload,
)

import taint
from taint.integrations.sqlalchemy import labelled
from taint.testing import record

EVERY = labelled(purpose="security.mfa")


class Base(DeclarativeBase):
    """The tables of the tutorial."""


class Reader(Base):
    """Somebody who borrows books."""

    __tablename__ = "tutorial_readers"
    id: Mapped[int] = mapped_column(primary_key=True, info=EVERY)
    name: Mapped[str] = mapped_column(sa.String(30), info=EVERY)
    fullname: Mapped[str | None] = mapped_column(info=EVERY)
    joined: Mapped[dt.date | None] = mapped_column(info=EVERY)
    credit: Mapped[Decimal | None] = mapped_column(sa.Numeric(10, 2), info=EVERY)
    loans: Mapped[list[Loan]] = relationship(back_populates="reader", cascade="all, delete-orphan", order_by="Loan.id")


class Loan(Base):
    """A book that somebody has."""

    __tablename__ = "tutorial_loans"
    id: Mapped[int] = mapped_column(primary_key=True, info=EVERY)
    title: Mapped[str] = mapped_column(unique=True, info=EVERY)
    details: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON, info=EVERY)
    reader_id: Mapped[int] = mapped_column(sa.ForeignKey("tutorial_readers.id"), info=EVERY)
    reader: Mapped[Reader] = relationship(back_populates="loans")


readers: Any = Reader.__table__
loans: Any = Loan.__table__


def transactions(engine: sa.Engine) -> Iterator[object]:
    """Work with transactions and rows."""
    with engine.connect() as connection:
        yield connection.execute(sa.text("SELECT 'hello world', 1")).all()
        connection.execute(sa.text("CREATE TABLE tutorial_points (x int, y int)"))
        insert = sa.text("INSERT INTO tutorial_points (x, y) VALUES (:x, :y)")
        yield connection.execute(insert, [{"x": 1, "y": 1}, {"x": 2, "y": 4}]).rowcount
        connection.commit()
        found = connection.execute(sa.text("SELECT x, y FROM tutorial_points WHERE y > :y ORDER BY x"), {"y": 0})
        yield found.keys()
        yield from found
        connection.execute(insert, {"x": 6, "y": 8})
        connection.rollback()
        for row in connection.execute(sa.text("SELECT x, y FROM tutorial_points")).mappings():
            yield dict(row)
        yield connection.scalar(sa.text("SELECT count(*) FROM tutorial_points"))
        connection.execute(sa.text("DROP TABLE tutorial_points"))
        connection.commit()


def inserts(engine: sa.Engine) -> Iterator[object]:
    """Insert rows, in every form."""
    with engine.begin() as connection:
        yield connection.execute(readers.insert().values(name="sponge", fullname="Sponge S")).inserted_primary_key
        connection.execute(
            sa.insert(readers), [{"name": "sandy", "fullname": "Sandy C"}, {"name": "pat", "fullname": None}]
        )
        owner = sa.select(readers.c.id).where(readers.c.name == sa.bindparam("owner")).scalar_subquery()
        connection.execute(
            sa.insert(loans).values(reader_id=owner),
            [
                {"owner": "sponge", "title": "A", "details": {"n": [1]}},
                {"owner": "sandy", "title": "B", "details": None},
            ],
        )
        selected = sa.select(readers.c.id, readers.c.name + "'s book").where(readers.c.name == "pat")
        yield connection.execute(sa.insert(loans).from_select(["reader_id", "title"], selected)).rowcount
        returned = sa.insert(readers).returning(readers.c.id, readers.c.name)
        yield connection.execute(returned, [{"name": "eh"}, {"name": "squid"}]).all()


def selects(engine: sa.Engine) -> Iterator[object]:
    """Select rows: columns, joins, groups, aliases, subqueries, unions, functions and windows."""
    r, b = readers.c, loans.c
    other = readers.alias()
    counted = sa.select(sa.func.count(b.id).label("many"), b.reader_id).group_by(b.reader_id).subquery()
    first, second = sa.select(r.name).where(r.name == "sandy"), sa.select(r.name).where(r.name == "sponge")
    statements: list[Any] = [
        sa.select(readers).order_by(r.id),
        sa.select(r.name, r.fullname).where(r.name == "sponge"),
        sa.select(("Name: " + r.name).label("username")).order_by(r.name),
        sa.select(sa.literal_column("'some'").label("p"), r.name).order_by(r.name),
        sa.select(r.name, b.title).join_from(readers, loans).order_by(b.id),
        sa.select(r.name, b.title).select_from(readers).outerjoin(loans).order_by(r.id),
        sa.select(sa.func.count("*")).select_from(readers),
        sa.select(r.name, sa.func.count(b.id).label("n")).join(loans).group_by(r.name).having(sa.func.count(b.id) > 0),
        sa.select(r.name, other.c.name).join_from(readers, other, r.id > other.c.id).order_by(r.id, other.c.id),
        sa.select(r.name, counted.c.many).join_from(readers, counted).order_by(r.id),
        sa.union_all(first, second).order_by("name"),
        sa.select(r.name).where(sa.exists().where(b.reader_id == r.id)).order_by(r.name),
        sa.select(r.name).where(~r.name.in_(["pat", "eh"]), sa.or_(r.id < 3, r.fullname.is_(None))).order_by(r.id),
        sa.select(sa.func.upper(r.name), sa.func.coalesce(r.fullname, "-")).order_by(r.id),
        sa.select(sa.func.row_number().over(partition_by=r.fullname, order_by=r.id), r.name).order_by(r.id),
        sa.select(sa.cast(r.id, sa.String), sa.case((r.id == 1, "one"), else_=r.name)).order_by(r.id),
        sa.select(sa.type_coerce(b.details, sa.JSON)).order_by(b.id),
        sa.text("SELECT name, max(id) AS top FROM tutorial_readers GROUP BY name ORDER BY 2"),
    ]
    with engine.connect() as connection:
        for statement in statements:
            found = connection.execute(statement)
            yield found.keys()
            rows = found.all()
            yield rows
            yield [row._asdict() for row in rows]
            yield pickle.loads(pickle.dumps([tuple(row) for row in rows]))  # noqa: S301  # Our own.
            yield json.dumps([[str(value) for value in row] for row in rows])
        yield connection.execute(sa.select(readers).order_by(r.id)).columns("name", "id").fetchmany(2)
        yield connection.scalars(sa.select(r.name).order_by(r.name)).unique().all()
        yield [list(part) for part in connection.execute(sa.select(r.id).order_by(r.id)).partitions(2)]
        for wrong in (sa.select(r.id), sa.select(r.id).where(r.id < 0)):
            with contextlib.suppress(sa.exc.SQLAlchemyError):
                yield connection.execute(wrong).scalar_one()
            yield connection.execute(wrong).first()


def changes(engine: sa.Engine) -> Iterator[object]:
    """Update and delete rows."""
    r, b = readers.c, loans.c
    title = sa.select(b.title).where(b.reader_id == r.id).order_by(b.id).limit(1).scalar_subquery()
    with engine.begin() as connection:
        yield connection.execute(sa.update(readers).where(r.name == "pat").values(fullname="Pat S")).rowcount
        yield connection.execute(sa.update(readers).values(fullname="Name: " + r.name)).rowcount
        many = sa.update(readers).where(r.name == sa.bindparam("old")).values(name=sa.bindparam("new"))
        connection.execute(many, [{"old": "eh", "new": "ed"}, {"old": "squid", "new": "squidward"}])
        connection.execute(sa.update(readers).where(r.id == 1).values(fullname=title))
        connection.execute(sa.update(readers).where(r.id == b.reader_id, b.title == "B").values(fullname="B!"))
        yield connection.execute(sa.update(readers).where(r.id == 3).values(name="p").returning(r.id, r.name)).all()
        yield connection.execute(sa.delete(readers).where(r.name == "ed").returning(r.id)).all()
        yield connection.execute(sa.select(readers).order_by(r.id)).all()


def unit_of_work(engine: sa.Engine) -> Iterator[object]:
    """Change objects, flush, roll back, and see what the session says of them."""
    with Session(engine) as session:
        squid = Reader(name="squid", fullname="S T", joined=dt.date(2020, 2, 29), credit=Decimal("1.50"))
        crab = Reader(name="crab")
        session.add_all([squid, crab])
        yield len(session.new)
        session.flush()
        yield squid.id, crab.id, squid.joined, squid.credit, isinstance(squid.joined, dt.date), squid in session
        same = session.get(Reader, squid.id)
        yield same is squid
        session.commit()
        sandy = session.execute(sa.select(Reader).filter_by(name="sandy")).scalar_one()
        sandy.fullname = "Sandy Squirrel"
        yield sandy in session.dirty, session.scalar(sa.select(Reader.fullname).where(Reader.id == sandy.id))
        history = sa.inspect(sandy).attrs.fullname.history
        yield history.has_changes()
        session.rollback()
        yield sandy.fullname, sorted(sa.inspect(sandy).unloaded)
        session.execute(sa.update(Reader).where(Reader.name == "sandy").values(fullname="Again"))
        yield sandy.fullname
        session.delete(crab)
        yield session.execute(sa.select(Reader).where(Reader.name == "crab")).first()
        session.commit()
        session.add(Reader(name="left"))
        session.rollback()
        yield session.scalar(sa.select(sa.func.count()).select_from(Reader))


def related(engine: sa.Engine) -> Iterator[object]:
    """Work with related objects, loaded in every way."""
    with Session(engine) as session:
        owner = Reader(name="pearl", fullname="Pearl K", loans=[Loan(title="C"), Loan(title="D", details={"a": None})])
        session.add(owner)
        session.commit()
        yield [loan.title for loan in owner.loans], owner.loans[1].details, owner.loans[0].reader is owner
        session.expunge_all()
        for option in (selectinload(Reader.loans), joinedload(Reader.loans), raiseload(Reader.loans)):
            query = sa.select(Reader).options(option).order_by(Reader.id).execution_options(populate_existing=True)
            for reader in session.scalars(query).unique():
                try:
                    yield reader.name, [loan.title for loan in reader.loans]
                except sa.exc.InvalidRequestError as error:
                    yield str(error)
        other = aliased(Reader)
        yield session.execute(
            sa.select(Reader.name, other.name).join(other, Reader.id < other.id).order_by(Reader.id, other.id)
        ).all()
        yield session.scalars(sa.select(Reader.name).join(Reader.loans).where(Loan.title == "C")).all()
        session.expunge_all()
        pearl = session.scalars(sa.select(Reader).where(Reader.loans.any(Loan.title == "C"))).one()
        pearl.loans.remove(pearl.loans[0])
        session.commit()
        yield session.scalars(sa.select(Loan.title).order_by(Loan.title)).all()
        session.add(Loan(title="D", reader=pearl))
        try:
            session.commit()
        except sa.exc.IntegrityError as error:
            session.rollback()
            yield type(error.orig).__name__
        session.delete(pearl)
        session.commit()
        yield session.scalars(sa.select(Loan.title).order_by(Loan.title)).all()


STEPS: tuple[Callable[[sa.Engine], Iterator[object]], ...] = (
    transactions,
    inserts,
    selects,
    changes,
    unit_of_work,
    related,
)


def follow(url: str) -> list[tuple[str, Any]]:
    """Do all the steps on an empty database, and write down what the program sees."""
    engine = sa.create_engine(url)
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    seen: list[tuple[str, Any]] = []
    sent: list[str] = []
    sa.event.listen(engine, "after_cursor_execute", lambda *args: sent.append(args[2]))
    try:
        for step in STEPS:
            for result in step(engine):
                kind = next(kind for kind in type(result).__mro__ if not kind.__module__.startswith("taint"))
                seen.append((step.__name__, (kind.__name__, repr(result))))
        columns = sa.inspect(engine).get_columns("tutorial_readers")
        seen += [("reflection", [(column["name"], str(column["type"])) for column in columns]), ("sent", sent)]
    finally:
        Base.metadata.drop_all(engine)
        engine.dispose()
    return seen


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_same_results(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """With every column labelled, and in a zone that may use none of them, report mode changes nothing that is seen."""
    if database == "sqlite":
        url = f"sqlite:///{tmp_path / 'tutorial.sqlite3'}"
    else:
        pytest.importorskip("psycopg")
        url = f"postgresql+psycopg://taint@{request.getfixturevalue('postgres')}/postgres"
    native = follow(url)
    taint.install()
    with record(mode="report"):
        outside = follow(url)
    with record(mode="report") as seen, taint.zone("advertising"):
        inside = follow(url)
    assert len(native) > 80
    assert outside == native
    assert inside == native
    assert seen.violations
