"""Faults: a database that crashes and a worker that is killed leave no value without its labels, and lose nothing."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="the extra 'sqlalchemy' is not installed")

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import taint
from taint.integrations.sqlalchemy import labelled, own_labels
from taint.testing import record
from tests.postgres import Postgres

CHECKOUT = Path(__file__).resolve().parents[2]


class Base(DeclarativeBase):
    """The tables of these tests."""


class Number(Base):
    """A number with labels of its own."""

    __tablename__ = "fault_numbers"
    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[str] = mapped_column(info=labelled(purpose="security.mfa"))
    value_labels: Mapped[str | None] = mapped_column(sa.Text, **own_labels("value"))


def marketing(value: str) -> str:
    """Give a number that was collected for advertising."""
    return taint.label(value, purpose="advertising", source="newsletter")


def stored(engine: sa.Engine) -> dict[str, set[str]]:
    """Read every number with its purposes; none of them may be a gap."""
    with Session(engine) as session, record() as seen:
        found = {str(one.value): set(taint.labels_of(one.value).purposes) for one in session.scalars(sa.select(Number))}
    assert not seen.gaps
    return found


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["restart", "crash"])
def test_database_stops_in_a_transaction(how: signal.Signals) -> None:
    """What was committed is there with its labels after the server is started again, and of the rest nothing.

    The program sees the driver's own error, and goes on by a new connection.
    """
    pytest.importorskip("psycopg")
    with tempfile.TemporaryDirectory(prefix="taint-postgres-") as folder:  # Where another user than root may go.
        _stop_in_a_transaction(Postgres(folder, durable=True), how)


def _stop_in_a_transaction(server: Postgres, how: signal.Signals) -> None:
    taint.install(integrations=["sqlalchemy"])
    engine = sa.create_engine(f"postgresql+psycopg://taint@{server.address}/postgres")
    try:
        server.start()
        Base.metadata.create_all(engine)
        with Session(engine) as session:
            session.add(Number(id=1, value=marketing("+1")))
            session.commit()
            session.execute(sa.update(Number).values(value=taint.label("+2", purpose="security.mfa")))
            session.add(Number(id=2, value=marketing("+3")))
            session.flush()
            server.stop(how)
            with pytest.raises(sa.exc.OperationalError):
                session.execute(sa.select(Number)).all()
            session.rollback()
            server.start()
            assert stored(engine) == {"+1": {"advertising"}}
            session.execute(sa.update(Number).values(value=taint.label("+2", purpose="security.mfa")))
            session.add(Number(id=2, value=marketing("+3")))
            session.commit()
        assert stored(engine) == {"+2": {"security.mfa"}, "+3": {"advertising"}}
    finally:
        engine.dispose()
        server.stop()


WORKER = """
import sys
import sqlalchemy as sa
from sqlalchemy.orm import Session
import taint
from tests.integrations.test_sqlalchemy_faults import Number
taint.install(integrations=["sqlalchemy"])
engine = sa.create_engine(sys.argv[1])
number = 0
while True:
    with Session(engine) as session, session.begin():
        for _ in range(3):
            number += 1
            purpose = "advertising" if number % 2 else "security.mfa"
            session.add(Number(id=number, value=taint.label(f"+{number}", purpose=purpose)))
            session.flush()
            # Between one flush and the next the worker may be killed, and while it commits.
            session.execute(sa.update(Number).where(Number.id == number).values(
                value=taint.label(f"+1{number}", purpose="security.mfa" if number % 2 else "advertising")))
    print(number, flush=True)
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    if request.param == "sqlite":
        found = f"sqlite:///{tmp_path / 'killed.sqlite3'}"
    else:
        pytest.importorskip("psycopg")
        found = f"postgresql+psycopg://taint@{request.getfixturevalue('postgres')}/postgres"
    engine = sa.create_engine(found)
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    yield found
    Base.metadata.drop_all(engine)
    engine.dispose()


@pytest.mark.parametrize("after", [1, 5])
def test_worker_is_killed(url: str, after: int) -> None:
    """However a worker is killed, every value that is there has its labels, and all that it had committed is there."""
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, url], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdout is not None
        said = [worker.stdout.readline() for _ in range(after)]
        worker.send_signal(signal.SIGKILL)
        said += worker.stdout.readlines()
    assert worker.returncode == -signal.SIGKILL
    committed = max(int(line) for line in said if re.fullmatch(r"\d+\n", line))
    taint.install(integrations=["sqlalchemy"])
    engine = sa.create_engine(url)
    found = stored(engine)
    engine.dispose()
    assert len(found) % 3 == 0
    assert len(found) >= committed >= 3 * after
    assert found == {
        f"+1{number}": {"security.mfa" if number % 2 else "advertising"} for number in range(1, len(found) + 1)
    }
