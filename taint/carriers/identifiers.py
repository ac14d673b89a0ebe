"""The number inside a UUID or an IP address, with labels.

Drivers and C code ask for the exact classes, so that the objects stay what they are; their one number
is an `int` that remembers labels. `taint.propagation.identifiers` puts it there.
"""

from __future__ import annotations

import copy
import ipaddress
import uuid
from typing import Any, Self

from taint.labels import Labels

__all__ = ["IDENTIFIERS", "LabelledInt", "number_in", "put_labels", "without_labels"]

IDENTIFIERS = (uuid.UUID, ipaddress.IPv4Address, ipaddress.IPv6Address)


class LabelledInt(int):
    """The number inside an identifier, with labels; everywhere else it is an `int`."""

    labels: Labels

    @classmethod
    def make(cls, value: int, labels: Labels) -> Self:
        """Put labels on a number."""
        number = cls(value)
        number.labels = labels
        return number

    def __reduce_ex__(self, _protocol: Any) -> Any:
        """Pickle with labels."""
        return LabelledInt.make, (int(self), self.labels)


def _slot_of(identifier: Any) -> str:
    return "int" if isinstance(identifier, uuid.UUID) else "_ip"


def number_in(identifier: Any) -> Any:
    """Give the number inside; None in one that is not made yet."""
    return getattr(identifier, _slot_of(identifier), None)


def put_labels(identifier: Any, labels: Labels) -> None:
    """Put labels on the number inside. Labels: these take the place of those there."""
    object.__setattr__(identifier, _slot_of(identifier), LabelledInt.make(number_in(identifier), labels))


def without_labels(identifier: Any) -> Any:
    """Give an equal identifier. Labels: none; one that has none is given back itself."""
    number = number_in(identifier)
    if type(number) is not LabelledInt:
        return identifier
    twin = copy.copy(identifier)
    object.__setattr__(twin, _slot_of(twin), int(number))
    return twin
