"""SQLAlchemy: labels survive the database, and a query is decided before the database is asked."""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from decimal import Decimal
from typing import Any, ClassVar

import pytest

pytest.importorskip("sqlalchemy", reason="the extra 'sqlalchemy' is not installed")
pytest.importorskip("sqlglot", reason="the extra 'sql' is not installed")

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, aliased, load_only, mapped_column, relationship

import taint
from taint.carriers.number import TaintedInt
from taint.evidence.catalog import catalog, declare
from taint.integrations.sqlalchemy import _known_statements, labelled
from taint.testing import record

HASH = "5e0b"
PHONE = "+14155550100"


class Base(DeclarativeBase):
    """The tables of these tests."""


class User(Base):
    """Somebody with a number that was given for security and one that was given for advertising."""

    __tablename__ = "sa_users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    phone_hash: Mapped[str] = mapped_column(info=labelled(purpose="security.mfa", category="user.contact.phone_number"))
    ad_hash: Mapped[str] = mapped_column(info=labelled(purpose="advertising"))
    born: Mapped[dt.date] = mapped_column(info=labelled(purpose="security.mfa"))
    key: Mapped[uuid.UUID] = mapped_column(info=labelled(purpose="security.mfa"))
    is_member: Mapped[bool] = mapped_column(info=labelled(purpose="security.mfa"))
    visits: Mapped[list[Visit]] = relationship(back_populates="user")


class Visit(Base):
    """Something that belongs to somebody and says nothing about them."""

    __tablename__ = "sa_visits"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("sa_users.id"))
    user: Mapped[User] = relationship(back_populates="visits")


class Upload(Base):
    """What an advertiser uploaded."""

    __tablename__ = "sa_uploads"
    hash: Mapped[str] = mapped_column(primary_key=True)


users: Any = User.__table__
uploads: Any = Upload.__table__


def fill(session: Session) -> None:
    """Make two people and an upload that matches one of them."""
    for number in (1, 2):
        session.add(
            User(
                id=number,
                name=f"n{number}",
                phone_hash=HASH if number == 1 else "77aa",
                ad_hash=HASH if number == 1 else "77aa",
                born=dt.date(1990, 1, number),
                key=uuid.UUID(int=number),
                is_member=True,
                visits=[Visit()],
            )
        )
    session.add(Upload(hash=HASH))


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> Iterator[sa.Engine]:
    """A database with two people and one upload."""
    taint.install(integrations=["sqlalchemy"])
    if request.param == "sqlite":
        made = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    else:
        pytest.importorskip("psycopg")
        made = sa.create_engine(f"postgresql+psycopg://taint@{request.getfixturevalue('postgres')}/postgres")
    Base.metadata.drop_all(made)
    Base.metadata.create_all(made)
    with Session(made) as session, session.begin():
        fill(session)
    yield made
    Base.metadata.drop_all(made)
    made.dispose()


def facts(value: object) -> set[tuple[str | None, str]]:
    """Give the source and derivation of each label."""
    return {(label.source, label.derivation) for label in taint.labels_of(value)}


PHONE_DIRECT = {("sa_users.phone_hash", "direct")}
PHONE_INDIRECT = {("sa_users.phone_hash", "indirect")}

_inner = sa.select(User.id, sa.func.lower(User.phone_hash).label("h")).subquery()
_cte = sa.select(User.id, User.phone_hash.label("h")).cte("people")
_tree = sa.select(User.id, User.phone_hash).where(User.id == 1).cte("tree", recursive=True)
_tree = _tree.union_all(sa.select(_tree.c.id + 1, _tree.c.phone_hash).where(_tree.c.id < 2))
_other = aliased(User)

DIRECT: dict[str, Callable[[], Any]] = {
    "column": lambda: sa.select(User.phone_hash),
    "core column": lambda: sa.select(users.c.phone_hash),
    "lower": lambda: sa.select(sa.func.lower(User.phone_hash)),
    "unknown function": lambda: sa.select(sa.func.replace(User.phone_hash, "5", "6")),
    "concatenation": lambda: sa.select("tel:" + User.phone_hash),
    "max": lambda: sa.select(sa.func.max(User.phone_hash)),
    "count": lambda: sa.select(sa.func.count(User.phone_hash)),
    "case": lambda: sa.select(sa.case((User.id == 1, User.phone_hash), else_="none")),
    "coalesce": lambda: sa.select(sa.func.coalesce(User.phone_hash, "none")),
    "cast": lambda: sa.select(sa.cast(User.phone_hash, sa.String)),
    "label": lambda: sa.select(User.phone_hash.label("x")),
    "subquery": lambda: sa.select(_inner.c.h),
    "scalar subquery": lambda: sa.select(sa.select(sa.func.max(User.phone_hash)).scalar_subquery()),
    "cte": lambda: sa.select(_cte.c.h),
    "recursive cte": lambda: sa.select(_tree.c.phone_hash),
    "union": lambda: sa.union_all(sa.select(User.phone_hash), sa.select(User.name)),
    "union, second": lambda: sa.union_all(sa.select(User.name), sa.select(User.phone_hash)),
    "union as a subquery": lambda: sa.select(
        sa.union_all(sa.select(User.name), sa.select(User.phone_hash)).subquery().c.name
    ),
    "alias": lambda: sa.select(_other.phone_hash),
    "first_value": lambda: sa.select(sa.func.first_value(User.phone_hash).over(order_by=User.id)),
    "text": lambda: sa.text("SELECT upper(u.phone_hash) FROM sa_users u"),
    "text of columns": lambda: sa.text("SELECT phone_hash FROM sa_users").columns(sa.column("phone_hash", sa.Text)),
    "literal column": lambda: sa.select(sa.literal_column("lower(phone_hash)")).select_from(User),
    "select *": lambda: sa.text("SELECT s.* FROM (SELECT phone_hash FROM sa_users) s"),
    "returning": lambda: sa.update(User).values(name="x").where(User.id == 1).returning(User.phone_hash),
}


@pytest.mark.parametrize("statement", DIRECT.values(), ids=DIRECT)
def test_derived_from_a_labelled_column(engine: sa.Engine, statement: Callable[[], Any]) -> None:
    """What a query makes of a labelled column carries the column's labels, and comes out as without them."""
    with Session(engine) as session:
        rows = session.execute(statement()).all()
        taint.uninstall()
        native = session.execute(statement()).all()
    assert rows
    assert sorted(rows) == sorted(native)
    assert {type(taint.plain(value)) for (value,) in native} == {str} or isinstance(native[0][0], int)
    for (value,) in rows:
        assert facts(value) == PHONE_DIRECT
    assert not any(taint.labels_of(row) for row in native)


INDIRECT: dict[str, Callable[[], Any]] = {
    "join": lambda: sa.select(User.id).join(Upload, User.phone_hash == Upload.hash),
    "core join": lambda: sa.select(users.c.id).select_from(users.join(uploads, users.c.phone_hash == uploads.c.hash)),
    "where": lambda: sa.select(User.id).where(User.phone_hash == HASH),
    "in": lambda: sa.select(User.id).where(User.phone_hash.in_(sa.select(Upload.hash))),
    "exists": lambda: sa.select(User.id).where(sa.exists().where(User.phone_hash == Upload.hash)),
    "group by": lambda: sa.select(sa.func.max(User.id)).group_by(User.phone_hash),
    "having": lambda: sa.select(User.id).group_by(User.id).having(sa.func.max(User.phone_hash) > ""),
    "order by": lambda: sa.select(User.id).order_by(sa.desc(User.phone_hash)),
    "window": lambda: sa.select(sa.func.row_number().over(partition_by=User.phone_hash)),
    "window, order": lambda: sa.select(sa.func.row_number().over(order_by=User.phone_hash)),
    "case condition": lambda: sa.select(sa.case((User.phone_hash == HASH, User.id), else_=0)),
    "subquery that filters": lambda: sa.select(sa.select(User.id).where(User.phone_hash == HASH).subquery().c.id),
    "filter on a subquery": lambda: sa.select(_inner.c.id).where(_inner.c.h == HASH),
    "cte that joins": lambda: sa.select(
        sa.select(User.id).join(Upload, User.phone_hash == Upload.hash).cte("matched").c.id
    ),
    "union of a match": lambda: sa.union_all(sa.select(Visit.id), sa.select(User.id).where(User.phone_hash == HASH)),
    "intersect": lambda: sa.select(User.id).where(
        User.phone_hash.in_(sa.intersect(sa.select(User.phone_hash), sa.select(Upload.hash)))
    ),
    "distinct count filter": lambda: sa.select(sa.func.count().filter(User.phone_hash == HASH)),
    "text": lambda: sa.text("SELECT u.id FROM sa_users u JOIN sa_uploads a ON u.phone_hash = a.hash"),
    "text in where": lambda: sa.select(User.id).where(sa.text("phone_hash <> ''")),
    "another table": lambda: sa.select(Visit.id).join(Visit.user).where(User.phone_hash == HASH),
    "returning": lambda: (
        sa.delete(Visit).where(Visit.user_id.in_(sa.select(User.id).where(User.phone_hash == HASH))).returning(Visit.id)
    ),
}


@pytest.mark.parametrize("statement", INDIRECT.values(), ids=INDIRECT)
class TestMatches:
    """Every way of finding rows by a labelled column."""

    def test_ids_carry_the_label_as_indirect(self, engine: sa.Engine, statement: Callable[[], Any]) -> None:
        """Outside a zone the ids that a query finds by a labelled column carry its label, marked indirect."""
        with Session(engine) as session, record() as seen:
            ids = session.scalars(statement()).all()
        assert ids
        for one in ids:
            assert isinstance(one, TaintedInt)
            assert facts(one) == PHONE_INDIRECT
        assert not seen.flows

    def test_ids_are_refused_by_a_sink(self, engine: sa.Engine, statement: Callable[[], Any]) -> None:
        """The ids that were found outside do not reach an advertising sink."""

        @taint.sink(purpose="advertising.audiences")
        def upload(ids: list[int]) -> None:
            raise AssertionError

        with Session(engine) as session:
            ids = list(session.scalars(statement()))
        with pytest.raises(taint.PurposeViolationError):
            upload(ids)

    def test_zone_stops_it_before_the_database_is_asked(self, engine: sa.Engine, statement: Callable[[], Any]) -> None:
        """Inside an advertising zone the query is a violation, and the driver is never called."""
        asked: list[str] = []
        with Session(engine) as session:
            session.connection()
            sa.event.listen(engine, "after_cursor_execute", lambda *args: asked.append(args[2]))
            with taint.zone("advertising.audiences"), pytest.raises(taint.PurposeViolationError) as stopped:
                session.execute(statement())
        violation = stopped.value.violation
        assert violation.evidence == "lineage"
        assert violation.purpose == "advertising.audiences"
        assert violation.path.startswith("sa_users.phone_hash (")
        assert violation.call_site is not None
        assert HASH not in str(stopped.value)
        assert asked == []

    def test_report_mode_goes_on(self, engine: sa.Engine, statement: Callable[[], Any]) -> None:
        """In report mode the query is recorded and answered."""
        with Session(engine) as session, record(mode="report") as seen:
            with taint.zone("advertising.audiences"):
                rows = session.execute(statement()).all()
            assert rows
        assert {flow.evidence for flow in seen.violations} == {taint.Evidence.LINEAGE}

    def test_safe_twin(self, engine: sa.Engine, statement: Callable[[], Any]) -> None:
        """The same query in a zone of the purpose that the column was collected for passes."""
        with Session(engine) as session, taint.zone("security.mfa"), record() as seen:
            assert session.execute(statement()).all()
        assert not seen.violations
        assert not seen.gaps


@pytest.mark.parametrize("form", ["row", "mapping", "object", "tuple"])
def test_rows_are_looked_into(engine: sa.Engine, form: str) -> None:
    """A sink that gets rows, mappings or objects finds the labels inside, and says where; the safe twin passes."""

    @taint.sink(purpose="advertising.audiences")
    def upload(rows: list[Any]) -> None:
        raise AssertionError

    @taint.sink(purpose="security.mfa")
    def warn(rows: list[Any]) -> None: ...

    with Session(engine) as session:
        statement: Any = (
            sa.select(User).options(load_only(User.phone_hash))
            if form == "object"
            else sa.select(User.name, User.phone_hash)
        )
        found: Any = session.scalars(statement) if form == "object" else session.execute(statement)
        rows = (found.mappings() if form == "mapping" else found).all()
        if form == "tuple":
            rows = [tuple(row) for row in rows]
        warn(list(rows))
        with pytest.raises(taint.PurposeViolationError) as stopped:
            upload(list(rows))
    assert stopped.value.violation.path in ("rows[0].phone_hash", "rows[0][1]")


def test_safe_twin_column(engine: sa.Engine) -> None:
    """The match by the column that was given for advertising passes in the zone, and its ids at the sink."""

    @taint.sink(purpose="advertising.audiences")
    def upload(ids: list[int]) -> list[int]:
        return ids

    with Session(engine) as session, record() as seen:
        with taint.zone("advertising.audiences"):
            ids = session.scalars(sa.select(User.id).join(Upload, User.ad_hash == Upload.hash)).all()
        assert upload(list(ids)) == [1]
    assert not seen.violations


def test_unlabelled_query_is_left_alone(engine: sa.Engine) -> None:
    """A query that uses no labelled column gives exact values."""
    with Session(engine) as session, taint.zone("advertising.audiences"):
        (row,) = session.execute(sa.select(User.id, User.name).where(User.id == 1)).all()
    assert [type(value) for value in row] == [int, str]


def test_entity(engine: sa.Engine) -> None:
    """An ORM object that is loaded has labels on the attributes whose columns declare them, and on no other."""
    with Session(engine) as session:
        user = session.scalars(sa.select(User).where(User.id == 1)).one()
        assert facts(user.phone_hash) == PHONE_DIRECT
        assert facts(user.born) == {("sa_users.born", "direct")}
        assert user.born == dt.date(1990, 1, 1)
        assert facts(user.key) == {("sa_users.key", "direct")}
        assert user.key == uuid.UUID(int=1)
        assert user.is_member is True
        assert type(user.id) is int
        assert type(user.name) is str
        session.expire(user)
        assert facts(user.phone_hash) == PHONE_DIRECT
        (label,) = taint.labels_of(user.phone_hash)
        assert label.purposes == {"security.mfa"}
        assert label.category == "user.contact.phone_number"


def test_entity_found_by_a_labelled_column_still_works(engine: sa.Engine) -> None:
    """An object that a match found has labelled ids, and can be used, changed and flushed as any other."""
    with Session(engine) as session:
        user = session.scalars(sa.select(User).where(User.phone_hash == HASH)).one()
        assert facts(user.id) == PHONE_INDIRECT
        assert json.loads(json.dumps({"id": user.id})) == {"id": 1}
        assert session.get(User, 1) is user
        assert [visit.user_id for visit in user.visits] == [1]
        user.name = "other"
        user.visits.append(Visit())
        session.commit()
        assert user.name == "other"
        assert len(user.visits) == 2


def test_labelled_values_can_be_bound(engine: sa.Engine) -> None:
    """Carriers of every type are written as their values, in ORM and Core, one and many."""
    born = taint.label(dt.date(2001, 2, 3), purpose="security.mfa")
    key = taint.label(uuid.UUID(int=9), purpose="security.mfa")
    phone = taint.label(PHONE, purpose="security.mfa")
    number = taint.label(9, purpose="security.mfa")
    rows = [
        {
            "id": number + step,
            "name": "n",
            "phone_hash": phone,
            "ad_hash": phone,
            "born": born,
            "key": key,
            "is_member": 1,
        }
        for step in (0, 1)
    ]
    for row in rows:
        row["is_member"] = True
    with Session(engine) as session, session.begin():
        session.execute(users.insert(), rows)
        session.add(User(**{**rows[0], "id": 11}))
    taint.uninstall()
    with Session(engine) as session:
        found = session.execute(sa.select(User.born, User.key, User.phone_hash).where(User.id >= 9)).all()
    assert found == [(dt.date(2001, 2, 3), uuid.UUID(int=9), PHONE)] * 3


def test_labelled_number_is_bound_in_a_query(engine: sa.Engine) -> None:
    """What a driver refuses to bind is bound as its value, in a statement that is executed once."""
    query = sa.select(sa.cast(sa.bindparam("x", type_=sa.types.NullType()), sa.Float))
    with engine.connect() as connection:
        assert connection.scalar(query, {"x": taint.label(1.5, purpose="security.mfa")}) == 1.5


@pytest.mark.parametrize(
    "value",
    ["+1415", 7, b"x", Decimal("1.5"), dt.date(2001, 2, 3), uuid.UUID(int=5)],
    ids=lambda value: type(value).__name__,
)
def test_labelled_literals(engine: sa.Engine, value: Any) -> None:
    """A literal of a carrier has the type of its value, and is rendered and executed as that is."""
    labelled_value = taint.label(value, purpose="security.mfa")
    assert repr(sa.literal(labelled_value).type) == repr(sa.literal(value).type)
    assert repr(sa.bindparam("x", labelled_value).type) == repr(sa.bindparam("x", value).type)
    inlined = [
        str(sa.select(sa.literal(one)).compile(engine, compile_kwargs={"literal_binds": True}))
        for one in (labelled_value, value)
    ]
    assert inlined[0] == inlined[1]
    with Session(engine) as session:
        for one in (labelled_value, value):
            query = sa.select(User.id, sa.literal(one)).where(User.id == 1, sa.literal(one).is_not(None))
            assert session.execute(query).one()[0] == 1


def test_labelled_parameter_in_a_zone(engine: sa.Engine) -> None:
    """A query that looks a labelled value up in an unlabelled column is the zone's use of it; its safe twin passes."""
    security, marketing = (taint.label(HASH, purpose=purpose) for purpose in ("security.mfa", "advertising"))
    with Session(engine) as session:
        for query in (
            sa.select(Upload).where(Upload.hash == security),
            sa.text("SELECT hash FROM sa_uploads WHERE hash = :h").bindparams(h=security),
        ):
            with taint.zone("advertising.audiences"), pytest.raises(taint.PurposeViolationError) as stopped:
                session.execute(query)
            assert stopped.value.violation.evidence == "comparison"
            assert "SQL parameter" in stopped.value.violation.path
            with record() as seen:
                session.execute(query)
            assert not seen.flows
        with taint.zone("advertising.audiences"):
            assert session.scalars(sa.select(Upload).where(Upload.hash == marketing)).one().hash == HASH


def test_a_load_leaves_the_collector_of_garbage_alone(engine: sa.Engine) -> None:
    """The collector is the whole process's: it stays on, or off, also while the rows are made."""
    query = sa.select(sa.type_coerce(User.phone_hash, _AskingCollector()))
    with Session(engine) as session:
        for is_on in (True, False):
            (gc.enable if is_on else gc.disable)()
            _AskingCollector.found.clear()
            try:
                assert taint.labels_of(session.execute(query).all())
                assert set(_AskingCollector.found) == {is_on}
                assert gc.isenabled() is is_on
            finally:
                gc.enable()


class _AskingCollector(sa.types.TypeDecorator[str]):
    """A type that asks, as each value is loaded, whether garbage is collected."""

    impl = sa.Text
    cache_ok = True
    found: ClassVar[list[bool]] = []

    def process_result_value(self, value: Any, _dialect: Any) -> Any:
        self.found.append(gc.isenabled())
        return value


def test_unreadable_text_is_a_gap(engine: sa.Engine) -> None:
    """SQL text that cannot be followed is a gap, inside a zone and outside, and is executed."""
    statement = "SELECT 1 FROM sa_users, (VALUES (1)) v ORDER BY 1 +"
    with Session(engine) as session, record() as seen:
        for purpose in ("", "advertising"):
            with taint.zone(purpose) if purpose else nullcontext(), pytest.raises(sa.exc.DBAPIError):
                session.execute(sa.text(statement))
            session.rollback()
    assert [(gap.evidence, gap.purpose, gap.sink) for gap in seen.gaps] == [
        ("lineage", "", "sqlalchemy"),
        ("lineage", "advertising", "advertising"),
    ]
    assert "could not be followed" in seen.gaps[0].message


def test_star_of_an_unknown_table_is_a_gap(engine: sa.Engine) -> None:
    """`SELECT *` from a table whose columns are not known is a gap; from one that is known it is read."""
    with Session(engine) as session, record() as seen:
        session.execute(sa.text("SELECT * FROM sa_uploads"))
        assert len(seen.gaps) == 1
        row = session.execute(sa.text("SELECT * FROM sa_users WHERE id = 1")).mappings().one()
        assert len(seen.gaps) == 1
    assert facts(row["phone_hash"]) == PHONE_DIRECT
    assert facts(row["name"]) == set()


def test_driver_sql_is_read(engine: sa.Engine) -> None:
    """`exec_driver_sql` is read like other text."""
    with engine.connect() as connection:
        row = connection.exec_driver_sql("SELECT lower(phone_hash), id FROM sa_users WHERE ad_hash = '5e0b'").one()
    assert facts(row[0]) == PHONE_DIRECT | {("sa_users.ad_hash", "indirect")}
    assert facts(row[1]) == {("sa_users.ad_hash", "indirect")}


def test_declared_for_a_table_that_cannot_say_so(engine: sa.Engine) -> None:
    """A column that the catalog declares is followed in expressions and in text."""
    declare("sa_uploads.hash", purpose="security.mfa")
    try:
        with Session(engine) as session:
            assert facts(session.scalars(sa.select(Upload.hash)).one()) == {("sa_uploads.hash", "direct")}
            assert facts(session.scalars(sa.text("SELECT hash FROM sa_uploads")).one()) == {
                ("sa_uploads.hash", "direct")
            }
    finally:
        catalog.withdraw("sa_uploads.hash")
    with Session(engine) as session:
        assert facts(session.scalars(sa.select(Upload.hash)).one()) == set()


def test_every_result_of_a_statement_is_labelled(engine: sa.Engine) -> None:
    """What is known of a statement holds for all its results, until a catalog says more."""
    statement = sa.select(Upload).where(Upload.hash == HASH)
    declare("sa_uploads.hash", purpose="security.mfa")
    try:
        for purposes in ({"security.mfa"}, {"security.mfa"}, {"security.mfa", "analytics"}):
            if len(purposes) > 1:
                declare("sa_uploads.hash", purpose="analytics")
            with Session(engine) as session:
                assert taint.labels_of(session.scalars(statement).one().hash).purposes == purposes
                lower = sa.func.lower(uploads.c.hash)
                assert taint.labels_of(session.execute(sa.select(lower)).one()._mapping[lower]).purposes == purposes
    finally:
        catalog.withdraw("sa_uploads.hash")
    with Session(engine) as session:
        assert type(session.scalars(statement).one().hash) is str


def test_what_is_known_of_a_statement_goes_with_it(engine: sa.Engine) -> None:
    """What is kept for a statement, its results' description included, does not keep the statement."""
    engine.clear_compiled_cache()
    gc.collect()
    before = len(_known_statements)
    with engine.connect() as connection:
        for _ in range(2):
            assert connection.scalars(sa.select(sa.func.trim(users.c.phone_hash))).all()
    assert len(_known_statements) > before
    engine.clear_compiled_cache()
    gc.collect()
    assert len(_known_statements) <= before


def test_connections_join_no_events(engine: sa.Engine) -> None:
    """Nothing listens to engines: each connection would join all their events. A program's listeners hear all."""
    heard: list[str] = []
    sa.event.listen(engine, "do_execute", lambda _cursor, statement, *_: heard.append(statement))
    sa.event.listen(engine, "before_cursor_execute", lambda *args: heard.append(args[2]))
    with engine.connect() as connection:
        assert not connection.dispatch.before_execute
        assert len(connection.dispatch.before_cursor_execute) == 1
        connection.execute(sa.select(User.id).where(User.phone_hash == taint.label(HASH, purpose="security.mfa")))
    assert len(heard) == 2


def test_off_and_uninstalled_do_nothing(engine: sa.Engine) -> None:
    """In mode off, and after uninstall(), values are exact and no query is decided."""
    statement = sa.select(User.phone_hash).where(User.phone_hash == HASH)
    with Session(engine) as session, taint.zone("advertising"), record(mode="off"):
        assert type(session.scalars(statement).one()) is str
    taint.uninstall()
    with Session(engine) as session, taint.zone("advertising"):
        assert type(session.scalars(statement).one()) is str


@pytest.mark.parametrize("driver", ["sqlite+aiosqlite", "postgresql+asyncpg", "postgresql+psycopg"])
def test_async(driver: str, request: pytest.FixtureRequest) -> None:
    """The asynchronous engines label, take labelled ids as parameters, and stop a match in a zone."""
    pytest.importorskip(driver.partition("+")[2])
    where = "" if driver.startswith("sqlite") else f"taint@{request.getfixturevalue('postgres')}/postgres"
    taint.install(integrations=["sqlalchemy"])

    async def run() -> None:
        engine = create_async_engine(f"{driver}://{where}")
        try:
            async with engine.begin() as connection:
                await connection.run_sync(Base.metadata.drop_all)
                await connection.run_sync(Base.metadata.create_all)
            async with AsyncSession(engine) as session, session.begin():
                await session.run_sync(fill)
            async with AsyncSession(engine) as session:
                found = (await session.scalars(sa.select(sa.func.lower(User.phone_hash)))).all()
                assert all(facts(one) == PHONE_DIRECT for one in found)
                match = sa.select(User.id).join(Upload, User.phone_hash == Upload.hash)
                one = (await session.scalars(match)).one()
                assert facts(one) == PHONE_INDIRECT
                assert (await session.scalars(sa.select(User.name).where(User.id == one))).one() == "n1"
                labelled_name = taint.label("n1", purpose="security.mfa")
                assert (await session.scalars(sa.select(User.id).where(User.name == labelled_name))).one() == 1
                born = taint.label(dt.date(1990, 1, 1), purpose="security.mfa")
                assert (await session.scalars(sa.select(User.id).where(User.born == born))).one() == 1
                with taint.zone("advertising.audiences"), pytest.raises(taint.PurposeViolationError):
                    await session.execute(match)
                twin = sa.select(User.id).join(Upload, User.ad_hash == Upload.hash)
                with taint.zone("advertising.audiences"):
                    await session.execute(twin)
                streamed = await session.stream(sa.select(User.phone_hash))
                async for row in streamed:
                    assert facts(row) == PHONE_DIRECT
        finally:
            await engine.dispose()

    asyncio.run(run())
