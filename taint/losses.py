"""What could not be followed: a count for each consumer that let labels go.

The known-values net may still catch such a value at a sink. The counts say where to look when it is
asked why nothing was reported; docs/losses.md lists the consumers.
"""

from __future__ import annotations

from collections import Counter

from taint.guard import shown

__all__ = ["count_loss", "counts", "reset"]

_counts: Counter[str] = Counter()


def count_loss(consumer: str, amount: int = 1) -> None:
    """Count that a labelled value went into a consumer and came out without labels.

    Args:
        consumer: Its dotted name, `zlib.crc32`; a labelled text is not shown.
        amount: How many values.
    """
    _counts[shown(consumer)] += amount


def counts() -> dict[str, int]:
    """Give the losses of this process so far, by consumer."""
    return dict(_counts)


def reset() -> None:
    """Begin to count anew."""
    _counts.clear()
