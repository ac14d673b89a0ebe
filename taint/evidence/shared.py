"""Known values in a file: written by one process, mapped into the memory of others, read by who has the key.

    offset  what                                                        all numbers little-endian
    0       magic, 8 bytes
    8       version, 2 bytes; bits of the filter, 2; zero, 4
    16      key check, 16 bytes: BLAKE2b under the key (`fingerprints.key_check`)
    32      length of the label table, 8; number of slots, 8; zero up to 64
    64      buckets: 16,385 numbers of 8 bytes, the index of the first slot of each, and of the end
    ...     slots, 8 bytes each, as in `table`
    ...     the filter
    ...     the label table, JSON: purposes, category and source of each set of labels

There is no plaintext in it, no digest that is not fingerprinted under the key, and no subject. Without
the key it says how many values there are and what they were collected for.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import sys
from array import array
from collections.abc import Iterable
from pathlib import Path

from taint.errors import ConfigurationError
from taint.evidence.fingerprints import key_check
from taint.evidence.table import BUCKET_MASK, BUCKETS, LOW, Filter, Kind, Table
from taint.labels import Label, Labels

__all__ = ["SharedFile", "write_shared"]

MAGIC = b"\x89PTKNOW\n"
VERSION = 2
_HEADER = struct.Struct("<8sHHI16sQQ16x")
_STARTS = struct.Struct("<QQ")


def write_shared(
    path: str | os.PathLike[str], key: bytes, tables: list[Table], filter_: Filter, labels: Iterable[Labels]
) -> None:
    """Write a file, and put it in place in one step. Arguments as `KnownValues.export` has them."""
    starts, slots = array("Q", [0]), array("Q")
    for index in range(BUCKETS):
        for table in tables:
            bucket = table.buckets[index]
            if bucket is not None:
                slots.extend(slot for slot in bucket if slot >> 22 & 3 != Kind.SUBJECT)
        starts.append(len(slots))
    number_of_slots = len(slots)
    names = json.dumps([[_fields(label) for label in one] for one in labels], separators=(",", ":")).encode()
    if sys.byteorder == "big":
        starts.byteswap()
        slots.byteswap()
    bits = filter_.mask.bit_length()
    header = _HEADER.pack(MAGIC, VERSION, bits, 0, key_check(key), len(names), number_of_slots)
    target = Path(path)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            file.writelines((header, starts, slots, filter_.bytes_, names))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def _fields(label: Label) -> list[list[str] | str | None]:
    return [sorted(label.purposes), label.category, label.source]


class SharedFile:
    """A file of known values, looked up where it lies: processes that map it share its memory.

    Args:
        path: Of the file.
        key: The key that it was written with.

    Raises:
        ConfigurationError: It is no such file, of another version, cut short, or written with another key.
        OSError: It cannot be read.
    """

    __slots__ = ("_map", "_slots", "filter_bytes", "labels", "mask", "slots")

    def __init__(self, path: str | os.PathLike[str], key: bytes) -> None:
        """Map it and check its header."""
        with Path(path).open("rb") as file:
            start = file.read(_HEADER.size)
            if len(start) < _HEADER.size or not start.startswith(MAGIC):
                raise ConfigurationError(
                    f"not a file of known values: {os.fspath(path)!r}. It is what KnownValues.export writes. "
                    "Export it again."
                )
            _, version, bits, _, check, names, slots = _HEADER.unpack(start)
            if version != VERSION:
                raise ConfigurationError(
                    f"file of known values {os.fspath(path)!r} has version {version!r}. This release reads "
                    f"{VERSION!r}. Export it with the release that reads it."
                )
            if check != key_check(key):
                raise ConfigurationError(
                    f"file of known values {os.fspath(path)!r} was written with another key. It is read with the key "
                    "that it was written with. Pass that key, or export it with this one."
                )
            self._slots = _HEADER.size + 8 * (BUCKETS + 1)
            filter_at = self._slots + 8 * slots
            names_at = filter_at + (1 << bits)
            size = os.fstat(file.fileno()).st_size
            if size != names_at + names:
                raise ConfigurationError(
                    f"file of known values {os.fspath(path)!r} is {'longer' if size > names_at + names else 'shorter'} "
                    "than it says. It is written in one step. Export it again."
                )
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.slots = slots
        self.mask = (1 << bits) - 1
        self.filter_bytes = memoryview(self._map)[filter_at:names_at]
        self.labels = [
            Labels(Label(frozenset(purposes), category, source) for purposes, category, source in one)
            for one in json.loads(self._map[names_at:])
        ]

    def find(self, fingerprint: int) -> list[int]:
        """Give the kind and number of each slot of a fingerprint, as one int of 24 bits each."""
        first, last = _STARTS.unpack_from(self._map, _HEADER.size + 8 * (fingerprint & BUCKET_MASK))
        bucket = self._map[self._slots + 8 * first : self._slots + 8 * last]
        tag = (fingerprint >> 24 & 0xFF_FFFF_FFFF).to_bytes(5, "little")
        found: list[int] = []
        at = bucket.find(tag)
        while at >= 0:
            if at % 8 == 3:  # noqa: PLR2004  # The place of the tag in a slot, little-endian.
                found.append(int.from_bytes(bucket[at - 3 : at], "little") & LOW)
            at = bucket.find(tag, at + 1)
        return found
