"""Views: what reads one is followed to the columns of the tables that it selects from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache

from taint.evidence.catalog import catalog
from taint.evidence.lineage import Column, Input, Lineage, reused
from taint.evidence.sql import EVERY_COLUMN, read_sql

__all__ = ["POSTGRESQL_VIEWS", "SQLITE_VIEWS", "LookUp", "follow_views", "note_views", "relations_in", "views_query"]

LookUp = Callable[[frozenset[str]], Iterable[tuple[str, str]]]
"""Asks the database which of some names are views: gives their names and queries."""

_DEEPEST = 32

SQLITE_VIEWS = (
    "SELECT name, sql FROM (SELECT name, sql, type FROM sqlite_master UNION ALL SELECT name, sql, type FROM "
    "sqlite_temp_master) WHERE type = 'view' AND lower(name) IN ({names})"
)
POSTGRESQL_VIEWS = (
    "SELECT n.nspname || '.' || c.relname, pg_get_viewdef(c.oid) FROM pg_catalog.pg_class c JOIN "
    "pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('v', 'm') AND n.nspname NOT IN "
    "('pg_catalog', 'information_schema') AND lower(c.relname) IN ({names})"
)


def views_query(template: str, names: Iterable[str]) -> str:
    """Write the query that looks views up, for names as they stand in a statement."""
    quoted = {name.rpartition(".")[2].replace("'", "''") for name in names}
    return template.format(names=", ".join(f"'{name}'" for name in sorted(quoted)))


def relations_in(lineage: Lineage) -> frozenset[str]:
    """Give the names of what a statement reads and nothing is known of: tables, or views."""
    names = frozenset(one.column.table for one in lineage.inputs)
    return frozenset(name for name in names if name and name not in catalog.tables and catalog.view(name) is None)


def note_views(lineage: Lineage, dialect: str) -> None:
    """Have the catalog know the views that a statement makes."""
    for name, query in lineage.defines:
        catalog.add_view(name, query, dialect)


def follow_views(lineage: Lineage, dialect: str, look_up: LookUp | None = None) -> Lineage:
    """Put the columns of tables in the place of the columns of views.

    Args:
        lineage: Of a statement.
        dialect: sqlglot's name of the dialect of the views.
        look_up: Asks the database; without it only views that are known are followed.
    """
    asked: set[str] = set()
    for _ in range(_DEEPEST):
        unknown = relations_in(lineage) - asked
        if unknown and look_up is not None:
            asked |= unknown
            for name, query in look_up(unknown):
                _note(name, query, dialect)
        views = {one.column.table for one in lineage.inputs if catalog.view(one.column.table) is not None}
        if not views:
            return lineage
        lineage = _followed(lineage, {name: _reading(*_found(name), catalog.version) for name in views})
    return replace(lineage, gaps=(*lineage.gaps, "a view is made of too many others to be followed"))


def _found(name: str) -> tuple[str, str]:
    found = catalog.view(name)
    return ("", "") if found is None else found


def _note(name: str, query: str, dialect: str) -> None:
    defined = dict(read_sql(query, dialect, catalog.tables).defines) if query[:6].lower() == "create" else {}
    catalog.add_view(name, next(iter(defined.values()), query), dialect)


@lru_cache(maxsize=512)
def _reading(query: str, dialect: str, _version: int) -> Lineage:
    return read_sql(query, dialect, catalog.tables)


def _followed(lineage: Lineage, views: dict[str, Lineage]) -> Lineage:
    used = {one.column.table for one in lineage.inputs} & views.keys()
    decided = frozenset[Input]().union(*(views[name].dataset for name in used))

    def through(inputs: frozenset[Input]) -> frozenset[Input]:
        found: frozenset[Input] = frozenset()
        for one in inputs:
            view = views.get(one.column.table)
            found |= frozenset((one,)) if view is None else reused(_made_of(one.column, view), one.use)
        return found

    return replace(
        lineage,
        outputs=tuple(replace(output, inputs=through(output.inputs)) for output in lineage.outputs),
        dataset=through(lineage.dataset) | decided,
        gaps=(*lineage.gaps, *(f"view {name!r}: {gap}" for name in sorted(used) for gap in views[name].gaps)),
    )


def _made_of(column: Column, view: Lineage) -> frozenset[Input]:
    for output in view.outputs:
        if output.name.lower() == column.name and column.name != EVERY_COLUMN:
            return output.inputs
    return view.inputs
