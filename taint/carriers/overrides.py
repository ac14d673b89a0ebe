"""The table of operations, and putting its overrides into a carrier class."""

from __future__ import annotations

from taint.carriers.composing import COMPOSING, translate_bytes
from taint.carriers.operations import Kind, Maker, override_method
from taint.carriers.parting import PARTING

__all__ = ["MAKERS", "define_operations"]

MAKERS: dict[str, Maker] = {**PARTING, **COMPOSING}
"""Every operation that gives a text derived from the value, by the way in which it gives its labels on."""


def define_operations(kind: Kind) -> None:
    """Give a carrier class the overrides of the table, as far as its native type has them."""
    makers = MAKERS
    if kind.native is bytes:
        makers = {**MAKERS, "translate": translate_bytes}
        del makers["__iter__"]  # Single bytes are numbers, which carry nothing.
    for name, maker in makers.items():
        if name == "__radd__" or hasattr(kind.native, name):
            override_method(kind, name, maker)
