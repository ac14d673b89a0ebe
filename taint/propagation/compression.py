"""`zlib`, `gzip`, `bz2`, `lzma`: packed and unpacked data carries the labels of all of it.

What a compressed byte stands for cannot be told, so that both ways cover the whole. Objects that
compress piece by piece are C objects: they are not followed, and counted. A checksum is a labelled number.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

from taint.propagation.follow import checksum, followed, on_all
from taint.propagation.patches import Patch, Wrapper, patches_in

__all__ = ["patches"]

_BOTH = dict.fromkeys(("compress", "decompress"), followed(on_all))
_WRAPPERS: dict[str, dict[str, Wrapper]] = {
    "zlib": _BOTH | {"crc32": checksum, "adler32": checksum},
    "gzip": _BOTH,
    "bz2": _BOTH,
    "lzma": _BOTH,
}


def patches(module: ModuleType) -> Iterator[Patch]:
    """Give what there is to wrap in one of these modules."""
    return patches_in(module, _WRAPPERS[module.__name__])
