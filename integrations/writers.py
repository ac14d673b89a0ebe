"""What stands for a file or a pipe that the policy declares as a sink: what is written to it is checked before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import wrapt

from taint.flows.leaving import let_go_guarded
from taint.policy import Address

__all__ = ["checked_writer"]


class _CheckedWriter(wrapt.ObjectProxy):  # type: ignore[type-arg]  # As `TaintedProxy`.
    """A file that can be written to, and checks what is."""

    _self_sink: Address
    _self_root: str
    _self_index: int

    def write(self, data: Any, /) -> Any:
        """Write what may be written. Returns: the number of what was given, as writers that wrote all of it do."""
        (safe,) = let_go_guarded(self._self_sink, ((f"{self._self_root}[{self._self_index}]", data),))
        self._self_index += 1
        written = self.__wrapped__.write(safe)
        return written if safe is data else len(data)

    def writelines(self, lines: Iterable[Any], /) -> None:
        """Write several, each checked before it is written."""
        for line in lines:
            self.write(line)

    @property
    def buffer(self) -> Any:
        """Give the file of bytes below, which is checked too."""
        return checked_writer(self.__wrapped__.buffer, self._self_sink, self._self_root)

    def __enter__(self) -> Any:
        self.__wrapped__.__enter__()
        return self

    def __iter__(self) -> Any:
        return iter(self.__wrapped__)

    def __next__(self) -> Any:
        return next(self.__wrapped__)


def checked_writer(file: Any, sink: Address, root: str) -> Any:
    """Give a stand-in for a file that checks what is written.

    Labels: read; in mode `redact` those that may not go are gone from what is written.

    Args:
        file: Open to be written to.
        sink: What it is.
        root: What findings call it.
    """
    writer = _CheckedWriter(file)
    writer._self_sink = sink
    writer._self_root = root
    writer._self_index = 0
    return writer
