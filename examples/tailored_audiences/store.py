"""The service's database: people, and the contact details that they gave, each with what it was given for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, ForeignKey, Text, create_engine, event, inspect
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import ConnectionPoolEntry

from examples.tailored_audiences.errors import BadInputError
from taint.integrations.sqlalchemy import own_labels

PHONE = "user.contact.phone_number"
EMAIL = "user.contact.email"


class Base(DeclarativeBase):
    """The tables of this example."""


class Account(Base):
    """Somebody who uses the service."""

    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Contact(Base):
    """A telephone number or an address, as it was typed.

    ``value_labels`` keeps what it was given for, where, and in which request; the library writes and reads it.
    """

    __tablename__ = "contacts"

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    category: Mapped[str]
    value: Mapped[str]
    value_labels: Mapped[str | None] = mapped_column(Text, **own_labels("value"))


@contextmanager
def create_database(place: Path | str) -> Iterator[Engine]:
    """Open the service's database, with its tables.

    Args:
        place: A SQLite file, which is made if it is missing, or the URL of a database.

    Yields:
        An engine; one of SQLite has connections that do not block readers while they write.

    Raises:
        BadInputError: If the file cannot be made, or is not a database.
    """
    engine = _engine(place)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _use_write_ahead_log)
    try:
        _create_tables(engine, place)
        yield engine
    finally:
        engine.dispose()


@contextmanager
def open_database(place: Path | str) -> Iterator[Engine]:
    """Open a database that the service has written.

    Args:
        place: The SQLite file, or the URL.

    Yields:
        An engine.

    Raises:
        BadInputError: If there is no such file, or it holds no contacts table.
    """
    remedy = "Start the service with the same --database first, and enrol somebody."
    if not _is_url(place) and not Path(place).is_file():
        raise BadInputError(f"there is no database file {str(place)!r}. {remedy}")
    engine = _engine(place)
    try:
        if not _has_contacts(engine):
            raise BadInputError(f"{_shown(engine, place)} is not a database of this service. {remedy}")
        yield engine
    finally:
        engine.dispose()


def _is_url(place: Path | str) -> bool:
    return "://" in str(place)


def _engine(place: Path | str) -> Engine:
    return create_engine(str(place) if _is_url(place) else f"sqlite:///{place}")


def _shown(engine: Engine, place: Path | str) -> str:
    return repr(engine.url.render_as_string() if _is_url(place) else str(place))  # Without the password.


def _create_tables(engine: Engine, place: Path | str) -> None:
    try:
        Base.metadata.create_all(engine)
    except DatabaseError as error:
        raise BadInputError(
            f"{_shown(engine, place)} cannot be used as the database: {error.orig}. Give --database a SQLite file, or "
            "a new one in a folder that may be written."
        ) from error


def _has_contacts(engine: Engine) -> bool:
    try:
        return inspect(engine).has_table(Contact.__tablename__)
    except DatabaseError:
        return False


def _use_write_ahead_log(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()
