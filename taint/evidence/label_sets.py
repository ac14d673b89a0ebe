"""The sets of labels that known values have, by number: a slot of a table has room for no more than that."""

from __future__ import annotations

from typing import Any

from taint.evidence.table import NUMBER
from taint.labels import Label, Labels, without_steps

__all__ = ["COMMON", "FULL_LABEL_SETS", "LabelSets"]

COMMON = NUMBER
"""In place of labels: seen from too many people to belong to any of them."""

FULL_LABEL_SETS = 16_384
"""Sets of labels that are kept whole; of later ones only purposes, category and source are."""


class LabelSets:
    """Numbers for sets of labels.

    Attributes:
        sets: Each set, at its number.
        has_subject: Whether a label of it names whom the data is about, at its number.
    """

    __slots__ = ("_numbers", "_reduced", "has_subject", "sets")

    def __init__(self) -> None:
        self.sets: list[Labels] = []
        self.has_subject: list[bool] = []
        self._numbers: dict[Labels, int] = {}
        self._reduced: dict[tuple[Any, ...], int] = {}

    @property
    def reduced(self) -> int:
        """How many sets lost subject, consent and trace to the bound."""
        return len(self._reduced)

    def number(self, labels: Labels) -> int | None:
        """Give the number of a set, a new one where it has none yet; None where there are no more.

        Labels: kept without steps; past `FULL_LABEL_SETS` sets without subject, consent and trace too.
        """
        number = self._numbers.get(labels)
        return self._add(labels) if number is None else number

    def _add(self, labels: Labels) -> int | None:
        if len(self._numbers) < FULL_LABEL_SETS:
            number = len(self.sets)
            labels = Labels(map(without_steps, labels)) if any(label.steps for label in labels) else labels
            self.sets.append(labels)
            self.has_subject.append(any(label.subject is not None for label in labels))
            self._numbers[labels] = number
            return number
        key = tuple(sorted((tuple(sorted(one.purposes)), one.category or "", one.source or "") for one in labels))
        reduced = self._reduced.get(key)
        if reduced is None:
            reduced = len(self.sets)
            if reduced >= COMMON:
                return None
            self.sets.append(Labels(Label(one.purposes, one.category, one.source) for one in labels))
            self.has_subject.append(True)  # Of some of those that share it.
            self._reduced[key] = reduced
        return reduced
