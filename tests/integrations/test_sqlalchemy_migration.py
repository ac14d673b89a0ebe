"""The migration in docs/databases.md, run by Alembic on real databases: an existing table gets labels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sqlalchemy", reason="the extra 'sqlalchemy' is not installed")
pytest.importorskip("alembic", reason="Alembic is not installed")

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import taint
from taint.integrations.sqlalchemy import SqlalchemyIntegration, backfill_labels, labelled, own_labels
from taint.testing import record

CHECKOUT = Path(__file__).resolve().parents[2]
FIRST = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "contacts", None
def upgrade():
    op.create_table("contacts", sa.Column("id", sa.Integer, primary_key=True), sa.Column("value", sa.Text))
def downgrade():
    op.drop_table("contacts")
"""
ENVIRONMENT = """
from alembic import context
connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=None)
with context.begin_transaction():
    context.run_migrations()
"""


class Base(DeclarativeBase):
    """The program's tables after the migration."""


class Contact(Base):
    """A number that was given for security, or one that was given for marketing."""

    __tablename__ = "contacts"
    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[str | None] = mapped_column(info=labelled(purpose="security.mfa"))
    value_labels: Mapped[str | None] = mapped_column(sa.Text, **own_labels("value"))


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """An empty database."""
    if request.param == "sqlite":
        made = sa.create_engine(f"sqlite:///{tmp_path / 'old.sqlite3'}")
    else:
        pytest.importorskip("psycopg")
        made = sa.create_engine(f"postgresql+psycopg://taint@{request.getfixturevalue('postgres')}/postgres")
    yield made
    with made.begin() as connection:
        for table in ("contacts", "alembic_version"):
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {table}")
    made.dispose()


def migrate(engine: sa.Engine, folder: Path, revision: str, *, down: bool = False) -> None:
    """Run Alembic's command with the migration of the documentation."""
    versions = folder / "migrations" / "versions"
    versions.mkdir(parents=True, exist_ok=True)
    (recipe,) = re.findall(r"```python\n(.*?)```", (CHECKOUT / "docs" / "databases.md").read_text("utf-8"), re.DOTALL)
    (versions / "first.py").write_text(FIRST, "utf-8")
    (versions / "labels.py").write_text(recipe, "utf-8")
    (folder / "migrations" / "env.py").write_text(ENVIRONMENT, "utf-8")
    config = Config()
    config.set_main_option("script_location", str(folder / "migrations"))
    config.set_main_option("path_separator", "os")
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        (command.downgrade if down else command.upgrade)(config, revision)
        connection.commit()


def test_migration(engine: sa.Engine, tmp_path: Path) -> None:
    """Every old value gets its column's label, sealed; a new one its own; and down again leaves the old table."""
    migrate(engine, tmp_path, "contacts")
    with engine.begin() as connection:
        rows = [{"id": number, "value": f"+1415{number:04}" if number % 7 else None} for number in range(1, 2501)]
        connection.execute(sa.text("INSERT INTO contacts (id, value) VALUES (:id, :value)"), rows)
    migrate(engine, tmp_path, "head")
    taint.install(integrations=["sqlalchemy"])
    with Session(engine) as session, record() as seen:
        session.add(Contact(id=9000, value=taint.label("+1", purpose="advertising")))
        session.commit()
        found = {one.id: taint.labels_of(one.value).purposes for one in session.scalars(sa.select(Contact))}
        assert session.scalar(sa.text("SELECT count(*) FROM contacts WHERE value_labels IS NULL")) == 2500 // 7
    assert not seen.gaps
    assert len(found) == 2501
    assert {number for number, purposes in found.items() if purposes == {"security.mfa"}} == {
        number for number in range(1, 2501) if number % 7
    }
    assert found[9000] == {"advertising"}
    taint.uninstall()
    migrate(engine, tmp_path, "contacts", down=True)
    with engine.connect() as connection:
        assert list(connection.exec_driver_sql("SELECT * FROM contacts").keys()) == ["id", "value"]


def test_backfill_again(engine: sa.Engine, tmp_path: Path) -> None:
    """What an old program wrote since is labelled by a second run, in a zone and with the library on without a finding.

    Labels that are there stay, and a signed seal is made where there is a key.
    """
    keys = {"k1": b"k" * 32}
    migrate(engine, tmp_path, "head")
    taint.install(integrations=[SqlalchemyIntegration(seal_keys=keys)])
    with Session(engine) as session:
        session.add(Contact(id=1, value=taint.label("+1", purpose="advertising")))
        session.commit()
    with engine.begin() as connection, record() as seen, taint.zone("advertising"):
        connection.exec_driver_sql("INSERT INTO contacts (id, value) VALUES (2, '+2'), (3, NULL)")
        seen.flows.clear()
        table: Any = Contact.__table__
        assert backfill_labels(connection, table, at_once=1) == 1
        assert backfill_labels(connection, table) == 0
    assert not seen.flows
    with Session(engine) as session, record() as seen:
        first, second, third = session.scalars(sa.select(Contact).order_by(Contact.id))
        assert taint.labels_of(first.value).purposes == {"advertising"}
        assert taint.labels_of(second.value).purposes == {"security.mfa"}
        assert third.value is None
        assert second.value_labels is not None
        assert '"k1:' in second.value_labels
    assert not seen.gaps
