"""What a check can come to."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Outcome"]


class Outcome(StrEnum):
    """What a check came to."""

    ALLOWED = "allowed"
    VIOLATION = "violation"
    GAP = "gap"
    """It could not be decided: said, never assumed fine."""
