"""The consent store in a database: written with the program's transaction, known to every process at once."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="the extra 'sqlalchemy' is not installed")

import sqlalchemy as sa
from sqlalchemy.orm import Session

import taint
from taint.integrations.sqlalchemy_consent import SqlalchemyConsentStore
from taint.policy import ConsentStore

CHECKOUT = Path(__file__).resolve().parents[2]
POLICY = {
    "rules": [{"name": "opted-in", "effect": "allow", "from": ["security"], "to": ["advertising"], "consent": True}]
}


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """A database without consents, with the integration on."""
    taint.install(integrations=["sqlalchemy"])
    if request.param == "sqlite":
        made = sa.create_engine(f"sqlite:///{tmp_path / 'consent.sqlite3'}")
    else:
        pytest.importorskip("psycopg")
        made = sa.create_engine(f"postgresql+psycopg://taint@{request.getfixturevalue('postgres')}/postgres")
    yield made
    SqlalchemyConsentStore(made).metadata.drop_all(made)
    made.dispose()


@pytest.fixture
def store(engine: sa.Engine) -> SqlalchemyConsentStore:
    """A store that policies ask."""
    made = SqlalchemyConsentStore(engine)
    made.create_tables()
    taint.configure(policy=POLICY, consent=made)
    return made


def outcome(subject: object = 7) -> str:
    """Check a number of somebody's for advertising."""
    phone = taint.label("+14155550100", purpose="security.mfa", subject=subject)
    return str(taint.check(phone, purpose="advertising.audiences", sink="ads").outcome)


def test_withdrawal_counts_at_the_next_check(store: SqlalchemyConsentStore) -> None:
    """The same value is allowed while consent is given, and a violation as soon as it is withdrawn."""
    assert isinstance(store, ConsentStore)
    assert outcome() == "violation"
    store.give(7, "advertising")
    assert outcome() == "allowed"
    assert outcome(8) == "violation"
    store.withdraw(7, "advertising.audiences")
    assert outcome() == "violation"
    store.give(7, "advertising")
    assert outcome() == "allowed"
    store.give(7, "advertising", expires=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    assert outcome() == "violation"
    store.give(7, "advertising", expires=dt.datetime(2999, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=-8))))
    assert outcome() == "allowed"
    assert outcome(None) == "gap"


def test_answers_are_those_of_the_store_in_memory(store: SqlalchemyConsentStore) -> None:
    """Whatever was said in whichever order, the database answers as the store in memory does."""
    memory = taint.InMemoryConsentStore()
    keys = ("advertising", "advertising.audiences", "analytics")
    said = [(1, 0), (0, 1), (1, 1), (0, 0), (1, 0), (1, 2), (0, 1), (0, 2), (1, 0)]
    for is_given, key in said:
        for one in (memory, store):
            (one.give if is_given else one.withdraw)("a", keys[key])
        for purpose in (*keys, "advertising.audiences.lookalike", "security"):
            for subject in ("a", "b"):
                question = {"subject": subject, "purpose": purpose, "receipt": "r"}
                assert store.is_given(**question) == memory.is_given(**question), (is_given, key, purpose)


def test_receipt(store: SqlalchemyConsentStore) -> None:
    """A withdrawn receipt is withdrawn for whatever it was given, and for no other receipt."""
    store.give(7, "advertising")
    store.withdraw_receipt("r1")
    store.withdraw_receipt("r1")
    assert store.is_given(subject="7", purpose="advertising", receipt="r1") is False
    assert store.is_given(subject="7", purpose="advertising", receipt="r2") is True


def test_part_of_the_programs_transaction(engine: sa.Engine, store: SqlalchemyConsentStore) -> None:
    """A consent is not there before the program's transaction is committed, and not at all when it is rolled back."""
    with Session(engine) as session:
        store.give(7, "advertising", by=session)
        session.flush()
        if engine.dialect.name == "postgresql":  # SQLite has readers wait.
            assert outcome() == "violation"
        session.rollback()
        assert outcome() == "violation"
        store.give(7, "advertising", by=session)
        session.commit()
    assert outcome() == "allowed"
    with engine.begin() as connection:
        store.withdraw(7, "advertising", by=connection)
    assert outcome() == "violation"


WITHDRAW = """
import sys
import sqlalchemy as sa
from taint.integrations.sqlalchemy_consent import SqlalchemyConsentStore
SqlalchemyConsentStore(sa.create_engine(sys.argv[1])).withdraw(7, "advertising")
"""


def test_withdrawn_by_another_process(engine: sa.Engine, store: SqlalchemyConsentStore) -> None:
    """What another process withdraws holds for the next check of this one, which had its answer before."""
    store.give(7, "advertising")
    assert outcome() == "allowed"
    url = engine.url.render_as_string(hide_password=False)
    subprocess.run([sys.executable, "-c", WITHDRAW, url], cwd=CHECKOUT, check=True, timeout=60)
    assert outcome() == "violation"


def test_threads(engine: sa.Engine, store: SqlalchemyConsentStore) -> None:
    """Threads that give and withdraw at once lose nothing: each person has what was said of them last."""

    def say(person: int) -> None:
        for step in range(6):
            (store.give if step % 2 == person % 2 else store.withdraw)(person, "advertising")

    threads = [threading.Thread(target=say, args=(person,)) for person in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [outcome(person) for person in range(6)] == ["violation", "allowed"] * 3


def test_asked_from_inside_a_zone(engine: sa.Engine, store: SqlalchemyConsentStore) -> None:
    """The store's own queries are no use of data by the zone that has it asked."""
    store.give(7, "advertising")
    phone = taint.label("+14155550100", purpose="security.mfa", subject=7)
    with taint.zone("advertising.audiences"):
        assert phone == "+14155550100"
    with taint.zone("advertising.audiences"), pytest.raises(taint.PurposeViolationError):
        assert taint.label("+1", purpose="security.mfa", subject=8) == "+1"


def test_database_that_is_gone_is_a_gap(engine: sa.Engine, store: SqlalchemyConsentStore) -> None:
    """A store that cannot be asked is no answer: a gap, neither allowed nor refused."""
    store.metadata.drop_all(engine)
    assert outcome() == "gap"


def test_mistakes(store: SqlalchemyConsentStore) -> None:
    """An unknown purpose and an expiry without a time zone are refused."""
    with pytest.raises(taint.ConfigurationError, match="time zone"):
        store.give(7, "advertising", expires=dt.datetime(2999, 1, 1))  # noqa: DTZ001  # The mistake.
    with pytest.raises(taint.ConfigurationError, match="id you mean"):
        store.withdraw(7, "advertisng")
