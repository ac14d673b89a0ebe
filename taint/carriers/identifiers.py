"""The number inside a UUID or an IP address, with labels.

Drivers and C code ask for the exact classes, so that the objects stay what they are; their one number
is a `TaintedInt`. `taint.propagation.identifiers` puts it there.
"""

from __future__ import annotations

import copy
import ipaddress
import uuid
from typing import Any

from taint.carriers.number import TaintedInt
from taint.labels import Labels

__all__ = ["IDENTIFIERS", "number_in", "put_labels", "without_labels"]

IDENTIFIERS = (uuid.UUID, ipaddress.IPv4Address, ipaddress.IPv6Address)


def _slot_of(identifier: Any) -> str:
    return "int" if isinstance(identifier, uuid.UUID) else "_ip"


def number_in(identifier: Any) -> Any:
    """Give the number inside; None in one that is not made yet."""
    return getattr(identifier, _slot_of(identifier), None)


def put_labels(identifier: Any, labels: Labels) -> None:
    """Put labels on the number inside. Labels: these take the place of those there."""
    object.__setattr__(identifier, _slot_of(identifier), TaintedInt(number_in(identifier), labels))


def without_labels(identifier: Any) -> Any:
    """Give an equal identifier. Labels: none; one that has none is given back itself."""
    number = number_in(identifier)
    if type(number) is not TaintedInt:
        return identifier
    twin = copy.copy(identifier)
    object.__setattr__(twin, _slot_of(twin), int(number))
    return twin
