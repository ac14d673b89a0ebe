"""Consent in a database: what people have agreed to, for every process that shares it.

Two tables: what a person said of a purpose, and the receipts that are withdrawn. A store writes by a connection of
the program's own where it is given one, so that a consent is there, or rolled back, with what it was given for; else
in a transaction of its own. It reads by connections of its own, so that it knows what is committed and nothing else,
and remembers nothing: a withdrawal that any process commits holds for the next check of every one.

Give it an engine of its own: a check that stands inside a transaction of the program would else wait for a
connection that the program holds. Where the database may be slow, put it in a `BoundedConsentStore`.

    import sqlalchemy as sa
    import taint
    from taint.integrations.sqlalchemy_consent import SqlalchemyConsentStore
    store = SqlalchemyConsentStore(sa.create_engine("sqlite://", poolclass=sa.StaticPool))
    store.create_tables()
    taint.configure(consent=store)
    store.give("person-7", "advertising")
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from taint.carriers.proxy import exact
from taint.errors import ConfigurationError
from taint.purposes import ancestors, purpose_key

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = ["SqlalchemyConsentStore"]


class SqlalchemyConsentStore:
    """What people have agreed to, in a database. Safe in threads and processes.

    Args:
        engine: Of the database; best one of its own.
        metadata: Where to put the tables, so that the program's migrations know them.
        prefix: What the tables' names begin with.
    """

    def __init__(
        self, engine: sa.Engine, *, metadata: sa.MetaData | None = None, prefix: str = "taint_consent"
    ) -> None:
        """Begin without asking the database."""
        self._engine = engine
        self.metadata = sa.MetaData() if metadata is None else metadata
        self._said = sa.Table(
            f"{prefix}_said",
            self.metadata,
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("subject", sa.String(200), nullable=False, index=True),
            sa.Column("purpose", sa.String(200), nullable=False),
            sa.Column("is_given", sa.Boolean, nullable=False),
            sa.Column("expires", sa.DateTime(timezone=True)),
            sa.Column("said_at", sa.DateTime(timezone=True), nullable=False),
        )
        self._receipts = sa.Table(
            f"{prefix}_withdrawn",
            self.metadata,
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("receipt", sa.String(200), nullable=False, index=True),
            sa.Column("said_at", sa.DateTime(timezone=True), nullable=False),
        )

    def create_tables(self) -> None:
        """Make the tables, where they are not there: for programs without migrations."""
        self.metadata.create_all(self._engine, tables=[self._said, self._receipts])

    def give(
        self,
        subject: object,
        purpose: str,
        *,
        expires: datetime | None = None,
        by: sa.Connection | Session | None = None,
    ) -> None:
        """Note that a person agrees to a use and to what stands below it.

        Args:
            subject: The opaque key of the person, as in labels.
            purpose: What they agree to.
            expires: When it ends.
            by: The program's own connection or session, whose transaction this is part of.

        Raises:
            ConfigurationError: The purpose is unknown, or the expiry has no time zone.
        """
        if expires is not None and expires.tzinfo is None:
            msg = "expires has no time zone. Consent ends at one moment everywhere. Pass an aware datetime."
            raise ConfigurationError(msg)
        self._note(subject, purpose, by, is_given=True, expires=None if expires is None else expires.astimezone(UTC))

    def withdraw(self, subject: object, purpose: str, *, by: sa.Connection | Session | None = None) -> None:
        """Note that a person does not agree, or no longer, to a use and to what stands below it.

        Raises:
            ConfigurationError: The purpose is unknown.
        """
        self._note(subject, purpose, by, is_given=False, expires=None)

    def withdraw_receipt(self, receipt: str, *, by: sa.Connection | Session | None = None) -> None:
        """Note that what a receipt says is withdrawn, for whatever it was given."""
        with self._connected(by) as connection:
            connection.execute(self._receipts.insert(), {"receipt": exact(receipt), "said_at": datetime.now(UTC)})

    def is_given(self, *, subject: str | None, purpose: str, receipt: str | None) -> bool | None:
        """Tell whether a person agrees: what was said last of the nearest purpose at or above it."""
        with self._engine.connect() as connection:
            if receipt is not None:
                found = sa.select(self._receipts.c.id).where(self._receipts.c.receipt == exact(receipt)).limit(1)
                if connection.execute(found).first() is not None:
                    return False
            if subject is None:
                return None
            keys = list(ancestors(purpose))
            said = self._said.c
            query = sa.select(said.is_given, said.expires).where(said.subject == exact(subject), said.purpose.in_(keys))
            # What was said of a part before is overtaken by what is said of the whole: the last one counts.
            last = connection.execute(query.order_by(sa.desc(said.id)).limit(1)).first()
        if last is None:
            return False
        expires: datetime | None = last.expires
        if expires is not None and expires.tzinfo is None:  # SQLite keeps no time zone; it was written in UTC.
            expires = expires.replace(tzinfo=UTC)
        return bool(last.is_given) and (expires is None or datetime.now(UTC) < expires)

    def _note(self, subject: object, purpose: str, by: Any, *, is_given: bool, expires: datetime | None) -> None:
        row = {
            "subject": exact(str(subject)),
            "purpose": purpose_key(purpose),
            "is_given": is_given,
            "expires": expires,
            "said_at": datetime.now(UTC),
        }
        with self._connected(by) as connection:
            connection.execute(self._said.insert(), row)

    @contextmanager
    def _connected(self, by: Any) -> Iterator[Any]:
        if by is not None:
            yield by
        else:
            with self._engine.begin() as connection:
                yield connection
