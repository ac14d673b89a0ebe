"""A generation of known values: a table of fingerprints, what waits to be put into it, and a filter before both."""

from __future__ import annotations

import time

from taint.evidence.table import Filter, Table

__all__ = ["Generation"]


class Generation:
    """The values that were remembered in one stretch of time, and are dropped together.

    Args:
        bits: Of the filter.
    """

    __slots__ = ("born", "filter", "table", "values", "waiting")

    def __init__(self, bits: int) -> None:
        self.table = Table()
        self.filter = Filter(bits)
        self.values = 0
        self.born = time.monotonic()
        self.waiting: list[tuple[int, list[int]]] = []

    def settle(self) -> None:
        """Put the fingerprints that wait into the table: many at once cost half."""
        batch, self.waiting = self.waiting, []
        self.table.add_all(batch)

    def find(self, fingerprint: int) -> list[int]:
        """Give what is known of a text; the filter spares a new one the search."""
        if not self.filter.passes(fingerprint):
            return []
        if self.waiting:
            self.settle()
        return self.table.find(fingerprint)
