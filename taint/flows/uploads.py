"""Files that requests bring: what is read from one is labelled, however it is read."""

from __future__ import annotations

from typing import Any

from taint.carriers.proxy import TaintedProxy, is_carrier
from taint.carriers.values import labels_of
from taint.labels import Labels

__all__ = ["UploadedFile", "labelled_file"]

_CONTENTS = frozenset(("getbuffer", "getvalue", "read", "read1", "readline", "readlines"))


class UploadedFile(TaintedProxy):
    """An open file whose contents carry labels.

    Labels: on what is read from it; not on what it says of itself, such as a position, which servers compute with.
    """

    def __getattr__(self, name: str) -> Any:
        """Give what the file has; a method that reads gives labelled contents."""
        return super().__getattr__(name) if name in _CONTENTS else getattr(self.__wrapped__, name)

    def __next__(self) -> Any:
        """Give the next line, labelled."""
        return next(iter(self))


def labelled_file(file: Any, labels: Labels) -> UploadedFile:
    """Give an open file whose contents carry labels, joined to those that they carry already."""
    if is_carrier(file):
        return UploadedFile(file.__wrapped__, labels_of(file) | labels)
    return UploadedFile(file, labels)
