"""What could not be followed: a count for each consumer that let labels go.

The known-values net may still catch such a value at a sink. The counts say where to look when it is
asked why nothing was reported; docs/losses.md lists the consumers.
"""

from __future__ import annotations

from collections import Counter

__all__ = ["count_loss", "counts", "reset"]

_counts: Counter[str] = Counter()


def count_loss(consumer: str) -> None:
    """Count that a labelled value went into a consumer and came out without labels.

    Args:
        consumer: Its dotted name, `zlib.crc32`; never a value.
    """
    _counts[consumer] += 1


def counts() -> dict[str, int]:
    """Give the losses of this process so far, by consumer."""
    return dict(_counts)


def reset() -> None:
    """Begin to count anew."""
    _counts.clear()
