"""The table: fingerprints in 8 bytes each, and a filter that most words of a payload fail at once.

A slot is one 64-bit number: the upper 40 bits of the fingerprint, 2 bits for what it stands for, and
22 bits for the number of its set of labels (or another small number). It stands in the bucket that the
lowest 14 bits name, so that 54 bits decide. A bucket is an `array`, which Python appends to in 40 ns
and searches as bytes in C: a `dict` of ints would take 70 bytes an entry, a million values with their
digests more than a gigabyte.

The filter is one byte for each value of the lowest 24 bits, in which 6 others choose the four bits that
are set: one access to memory, and a byte that another value has written to is still passed by chance one
time in 70. By calculation two million words write to 11 % of the bytes, and 3 words of others in 1,000
pass. Pages that nothing was written to take no memory.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable
from enum import IntEnum
from typing import Protocol

__all__ = [
    "BUCKETS",
    "BUCKET_MASK",
    "HIGH",
    "LOW",
    "NUMBER",
    "PATTERNS",
    "Filter",
    "Kind",
    "Lookup",
    "Table",
    "filter_bits",
]

BUCKETS = 1 << 14
LOW = (1 << 24) - 1
BUCKET_MASK = BUCKETS - 1
HIGH = ((1 << 64) - 1) ^ LOW
NUMBER = (1 << 22) - 1
"""The greatest number that fits; as the number of a set of labels it stands for: common to too many people."""

PATTERNS = tuple(pattern for pattern in range(256) if pattern.bit_count() == 4)[:64]  # noqa: PLR2004  # Half a byte.
"""What a fingerprint sets in its byte of the filter, by 6 of its bits."""

_TAG_MASK = (1 << 40) - 1
_TAG_PLACE = 3 if sys.byteorder == "little" else 0


class Kind(IntEnum):
    """What a slot stands for."""

    TEXT = 0
    """A form of a value; the number is that of its labels."""
    DIGEST = 1
    """A digest of a form; the number is that of its labels."""
    SUBJECT = 2
    """One person who has the value; the number is a fingerprint of 22 bits of whose."""
    ANCHOR = 3
    """A word of a value of several words; the number says where in the value it may stand."""


class Lookup(Protocol):
    """Where fingerprints are looked up: a table in memory or a file of another process."""

    def find(self, fingerprint: int) -> list[int]:
        """Give the kind and number of each slot of a fingerprint, as one int of 24 bits each."""


class Table:
    """Slots of one generation of known values. Thread-safe only as its owner makes it."""

    __slots__ = ("buckets", "slots")

    def __init__(self) -> None:
        """Begin empty."""
        self.buckets: list[array[int] | None] = [None] * BUCKETS
        self.slots = 0

    def add(self, fingerprint: int, payload: int) -> None:
        """Add a slot, whether or not it is there already."""
        bucket = self.buckets[fingerprint & BUCKET_MASK]
        if bucket is None:
            bucket = self.buckets[fingerprint & BUCKET_MASK] = array("Q")
        bucket.append((fingerprint & HIGH) | payload)
        self.slots += 1

    def add_all(self, batch: list[tuple[int, list[int]]]) -> None:
        """Add the slots of many fingerprints, each list with its payload."""
        buckets, high, mask = self.buckets, HIGH, BUCKET_MASK
        for payload, fingerprints in batch:
            self.slots += len(fingerprints)
            for fingerprint in fingerprints:
                bucket = buckets[fingerprint & mask]
                if bucket is None:
                    bucket = buckets[fingerprint & mask] = array("Q")
                bucket.append((fingerprint & high) | payload)

    def replace(self, fingerprint: int, old: int, new: int) -> bool:
        """Change one slot where it stands; tell whether it was there."""
        bucket = self.buckets[fingerprint & BUCKET_MASK]
        wanted = (fingerprint & HIGH) | old
        if bucket is None or wanted not in bucket:
            return False
        bucket[bucket.index(wanted)] = (fingerprint & HIGH) | new
        return True

    def find(self, fingerprint: int) -> list[int]:
        """Give the kind and number of each slot of a fingerprint, as one int of 24 bits each."""
        bucket = self.buckets[fingerprint & BUCKET_MASK]
        if bucket is None:
            return []
        tag = (fingerprint >> 24 & _TAG_MASK).to_bytes(5, sys.byteorder)
        slots = bucket.tobytes()
        at = slots.find(tag)
        if at < 0:
            return []
        found: list[int] = []
        while at >= 0:
            if at % 8 == _TAG_PLACE:
                found.append(bucket[at >> 3] & LOW)
            at = slots.find(tag, at + 1)
        return found

    def size_bytes(self) -> int:
        """Give what the table takes, as `sys.getsizeof` counts it."""
        return sys.getsizeof(self.buckets) + sum(sys.getsizeof(one) for one in self.buckets if one is not None)


class Filter:
    """A Bloom filter in blocks of one byte, laid out so that C code can walk it: `bytes_[fingerprint & mask]`."""

    __slots__ = ("bytes_", "mask")

    def __init__(self, bits: int) -> None:
        """Begin empty, of 2 to the power of `bits` bytes."""
        self.bytes_ = bytearray(1 << bits)
        self.mask = (1 << bits) - 1

    def add(self, fingerprint: int) -> None:
        """Let a fingerprint pass from here on."""
        self.bytes_[fingerprint & self.mask] |= PATTERNS[fingerprint >> 56 & 63]

    def add_all(self, fingerprints: Iterable[int]) -> None:
        """Let many fingerprints pass from here on."""
        bytes_, mask = self.bytes_, self.mask
        for fingerprint in fingerprints:
            bytes_[fingerprint & mask] |= PATTERNS[fingerprint >> 56 & 63]

    def passes(self, fingerprint: int) -> bool:
        """Tell whether a fingerprint may have been added."""
        wanted = PATTERNS[fingerprint >> 56 & 63]
        return self.bytes_[fingerprint & self.mask] & wanted == wanted

    def copy(self) -> Filter:
        """Give another filter that passes the same."""
        twin = Filter.__new__(Filter)
        twin.bytes_ = bytearray(self.bytes_)
        twin.mask = self.mask
        return twin


def filter_bits(values: int) -> int:
    """Give the size of filter for so many values: 16 bytes each, between 64 KiB and 16 MiB."""
    return min(24, max(16, (values * 16 - 1).bit_length()))
