"""Words that several modules say in the same way."""

from __future__ import annotations

__all__ = ["counted"]


def counted(number: int, what: str) -> str:
    """Say a number of things: `1 flow`, `2 flows`."""
    return f"{number} {what}{'s' * (number != 1)}"
