"""The lineage of a query: which columns each of its results is derived from, and which decide what is in it.

The kinds are those of OpenLineage's column lineage facet, 1-2-0
(https://openlineage.io/docs/spec/facets/dataset-facets/column_lineage_facet). One thing is read
otherwise: OpenLineage calls a hash "masking"; here it is a transformation like any other, for people
are matched by hashes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from taint.labels import Labels

__all__ = ["Column", "Derivation", "Input", "Lineage", "Output", "Use", "indirect", "reused"]


class Derivation(StrEnum):
    """Whether a result is made of a column, or only decided by it: `Label.derivation`."""

    DIRECT = "direct"
    INDIRECT = "indirect"


class Use(StrEnum):
    """What a query does with a column."""

    IDENTITY = "identity"
    TRANSFORMATION = "transformation"
    AGGREGATION = "aggregation"
    JOIN = "join"
    GROUP_BY = "group by"
    FILTER = "filter"
    SORT = "sort"
    WINDOW = "window"
    CONDITIONAL = "conditional"

    @property
    def derivation(self) -> Derivation:
        """Whether results are made of a column that is used so."""
        return Derivation.DIRECT if self in _DIRECT else Derivation.INDIRECT


_DIRECT = (Use.IDENTITY, Use.TRANSFORMATION, Use.AGGREGATION)


@dataclass(frozen=True, slots=True, order=True)
class Column:
    """A column of a stored table: `table` with its schema where the query names one, in lower case both."""

    table: str
    name: str

    def __str__(self) -> str:
        """Write it as queries do."""
        return f"{self.table}.{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class Input:
    """A column and what the query does with it."""

    column: Column
    use: Use


@dataclass(frozen=True, slots=True)
class Output:
    """One column of what a query gives, and what it is made of or decided by, itself alone."""

    name: str
    inputs: frozenset[Input]


@dataclass(frozen=True, slots=True)
class Lineage:
    """What is known about a query.

    Args:
        outputs: Its results, in order.
        dataset: What decides which rows there are and in which order: of every result.
        gaps: What could not be followed, in words without any value.
        written: The columns that it writes, where it is text; of an expression they are seen to elsewhere.
        defines: The views that it makes, by name, with the text of their queries.
    """

    outputs: tuple[Output, ...] = ()
    dataset: frozenset[Input] = frozenset()
    gaps: tuple[str, ...] = ()
    written: frozenset[Column] = frozenset()
    defines: tuple[tuple[str, str], ...] = ()

    @property
    def inputs(self) -> frozenset[Input]:
        """Everything that the query uses."""
        return self.dataset.union(*(output.inputs for output in self.outputs))


def reused(inputs: frozenset[Input], use: Use) -> frozenset[Input]:
    """Give the use of what a query used already and one around it uses again."""
    if use is Use.IDENTITY:
        return inputs
    return frozenset(Input(one.column, use) if one.use.derivation is Derivation.DIRECT else one for one in inputs)


@lru_cache(maxsize=4096)
def indirect(labels: Labels) -> Labels:
    """Give labels as those of a value that was only found by labelled data."""
    return Labels(replace(label, derivation=Derivation.INDIRECT.value, steps=()) for label in labels)
