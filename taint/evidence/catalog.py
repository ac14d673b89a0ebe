"""The catalog: which columns of a database hold data that was collected for something.

One for the process, filled by what tables declare themselves (SQLAlchemy columns made with `labelled`)
and by `declare`, for tables that nobody may change.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from taint.errors import ConfigurationError
from taint.evidence.lineage import Column
from taint.labels import NO_LABELS, Label, Labels
from taint.purposes import purpose_keys

__all__ = ["Catalog", "catalog", "declare"]


class Catalog:
    """Labels by column, and the names of the columns of tables.

    Attributes:
        version: Grows with every change, so that what was worked out from it can be kept until then.
        reached: Sources of the columns that queries have used.
    """

    def __init__(self) -> None:
        """Begin empty."""
        self.version = 0
        self.reached: set[str] = set()
        self._labels: dict[Column, Labels] = {}
        self._described: dict[Column, Labels] = {}
        self._tables: dict[str, tuple[str, ...]] = {}
        self._companions: dict[Column, Column] = {}
        self._views: dict[str, tuple[str, str]] = {}
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        """Tell whether any column has labels."""
        return bool(self._labels or self._described or self._companions)

    def add(self, column: Column, labels: Labels, *, by_table: bool = False) -> None:
        """Say what a column holds. Labels: joined to those that it has.

        Args:
            column: Which one.
            labels: Of what is in it.
            by_table: A table object says so of itself. Who has that object asks it; the catalog is asked for
                SQL text, which has names alone.
        """
        known = self._described if by_table else self._labels
        with self._lock:
            joined = known.get(column, NO_LABELS) | labels
            if joined != known.get(column):
                known[column] = joined
                self.version += 1

    def add_table(self, table: str, columns: Iterable[str]) -> None:
        """Say which columns a table has, in order, so that `SELECT *` can be read."""
        names = tuple(name.lower() for name in columns)
        with self._lock:
            if self._tables.get(table.lower()) != names:
                self._tables[table.lower()] = names
                self.version += 1

    def add_companion(self, column: Column, companion: Column) -> None:
        """Say that a column keeps its values' own labels in another one of its table."""
        with self._lock:
            if self._companions.get(column) != companion:
                self._companions[column] = companion
                self.version += 1

    def companion_of(self, column: Column) -> Column | None:
        """Give the column that keeps the own labels of a column's values, if one does."""
        for other, companion in list(self._companions.items()):
            if column.name == other.name and _is_same_table(column.table, other.table):
                return Column(column.table, companion.name)
        return None

    def add_view(self, name: str, query: str, dialect: str) -> None:
        """Say what a view selects, so that what reads it is followed to the tables."""
        with self._lock:
            if self._views.get(name.lower()) != (query, dialect):
                self._views[name.lower()] = (query, dialect)
                self.version += 1

    def view(self, name: str) -> tuple[str, str] | None:
        """Give the query of a view and its dialect, if it is known; with and without the name of its schema."""
        found = self._views.get(name)
        if found is None:
            found = next((query for other, query in list(self._views.items()) if _is_same_table(name, other)), None)
        return found

    def labels_of(self, column: Column, *, by_name: bool = True) -> Labels:
        """Give the labels of a column; a table is found with and without the name of its schema.

        Args:
            column: Which one; named `*` for all of its table.
            by_name: Nothing but its name is known, so that what tables say of themselves counts too.
        """
        labels = NO_LABELS
        for known in (self._labels, self._described) if by_name else (self._labels,):
            for other, own in list(known.items()):
                if column.name in (other.name, "*") and _is_same_table(column.table, other.table):
                    labels |= own
        self.reached |= labels.sources
        return labels

    @property
    def sources(self) -> dict[str, str]:
        """The names of the columns' sources, each with a column that has it."""
        known = (*self._labels.items(), *self._described.items())
        return {source: f"{column.table}.{column.name}" for column, labels in known for source in labels.sources}

    @property
    def tables(self) -> Mapping[str, tuple[str, ...]]:
        """The columns of each table that is known in full."""
        return self._tables

    def withdraw(self, column: str) -> None:
        """Take back what `declare` said of a column."""
        table, _, name = column.lower().rpartition(".")
        with self._lock:
            if self._labels.pop(Column(table, name), None) is not None:
                self.version += 1

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._labels.clear()
            self._described.clear()
            self._tables.clear()
            self._companions.clear()
            self._views.clear()
            self.version += 1


def _is_same_table(one: str, other: str) -> bool:
    return one == other or (("." in one) != ("." in other) and one.rpartition(".")[2] == other.rpartition(".")[2])


catalog = Catalog()
"""That of the process."""


def declare(
    column: str,
    *,
    purpose: str | Iterable[str],
    category: str | None = None,
    consent: str | None = None,
    source: str | None = None,
) -> None:
    """Say what a column of a database was collected for, where its table cannot say so itself.

    Labels: what queries derive from the column carries this one.

    Args:
        column: `table.column` or `schema.table.column`; upper and lower case are one.
        purpose: One key such as `security.mfa`, or several.
        category: The kind of data, a fideslang key such as `user.contact.phone_number`.
        consent: An identifier of the consent receipt.
        source: What findings name; the column by default.

    Raises:
        ConfigurationError: The column has no table, or the purpose is not usable as written.
    """
    table, _, name = column.lower().rpartition(".")
    if not table or not name:
        raise ConfigurationError(
            f"not a column of a table: {column!r}. A column is written as 'users.phone' or 'public.users.phone'. "
            "Name its table too."
        )
    label = Label(purpose_keys(purpose), category, source or column.lower(), None, consent)
    catalog.add(Column(table, name), Labels((label,)))
