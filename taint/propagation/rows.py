"""Rows of text: `csv`, whose reader and writer ask nobody what a field carries.

A reader takes note of the lines that a row came from, a writer of the row that a line was made of: each
field carries the labels of where it stands in the line. Plain rows take the native way.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

from taint.carriers.containers import is_bare
from taint.carriers.coverage import Coverage, concatenated
from taint.carriers.operations import coverage_of
from taint.carriers.text import carry_text, join_pieces
from taint.carriers.values import labels_of
from taint.guard import report_internal_error
from taint.propagation.follow import (
    CARRIERS,
    by_characters,
    carry_texts,
    exact,
    piecewise,
)
from taint.propagation.patches import Patch, Swap, Wrapper, patches_in
from taint.propagation.streams import is_plain_file, stream_swaps

__all__ = ["patches"]


class _StandIn:
    """Seems to be a native object, and gives its attributes."""

    __slots__ = ("_native",)

    _native: Any

    @property  # type: ignore[misc]  # typeshed: it can be set too.
    def __class__(self) -> Any:
        return type(self._native)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)


class _Reader(_StandIn):
    """A csv reader whose fields carry the labels of where they stood."""

    __slots__ = ("_taken",)

    def __init__(self, native: Any, taken: list[Any]) -> None:
        self._native, self._taken = native, taken

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> list[Any]:
        lines = self._taken
        lines.clear()
        row: list[Any] = next(self._native)
        for line in lines:
            if type(line) in CARRIERS:
                break
        else:
            return row
        try:
            if all(type(field) is str for field in row):
                return by_characters(join_pieces(list(lines)), row, _marks(self.dialect) + "\r\n")
        except Exception as error:  # noqa: BLE001  # Whatever fails here, the program gets its row.
            report_internal_error("reading a csv row", error)
        return carry_texts(row, labels_of(lines))  # type: ignore[no-any-return]  # A list stays one.


def _marks(dialect: Any) -> str:
    marks = "".join(mark for mark in (dialect.delimiter, dialect.quotechar, dialect.escapechar) if mark)
    return marks + " " if dialect.skipinitialspace else marks


def _reader(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if not args or is_plain_file(args[0]) or not hasattr(args[0], "__iter__"):
        return wrapped(*args, **kwargs)
    taken: list[Any] = []  # The lines that a row needed: `append` gives None for each, so that none is left out.
    return _Reader(wrapped(itertools.filterfalse(taken.append, args[0]), *args[1:], **kwargs), taken)


class _File:
    """Takes a line from a native csv writer and passes it on, labelled."""

    def __init__(self, write_on: Callable[[str], Any]) -> None:
        self.write_on = write_on
        self.row: Any = ()
        self.dialect: Any = None

    def write(self, line: str) -> Any:
        return self.write_on(self._labelled(line))

    def _labelled(self, line: str) -> str:
        row = self.row if isinstance(self.row, list | tuple) else list(self.row)
        labels = labels_of(row)
        if not labels:
            return line
        try:
            coverage = _fields_in(line, row, self.dialect)
        except Exception as error:  # noqa: BLE001  # Whatever fails here, the program's line is written.
            report_internal_error("writing a csv row", error)
            coverage = None
        return carry_text(line, coverage or labels)


def _fields_in(line: str, row: Iterable[Any], dialect: Any) -> Any:
    """Find the fields in a line, quoted or not; None where one is not where it should be."""
    at = 0
    pieces: list[tuple[Coverage | None, int]] = []
    quote = dialect.quotechar or ""
    for number, field in enumerate(row):
        if number:
            pieces.append((None, 1))
            at += 1
        text = field if isinstance(field, str) else "" if field is None else str(field)
        plain = exact(text)
        if quote and line.startswith(quote, at):
            doubled = plain.replace(quote, quote * 2)
            own = coverage_of(piecewise(doubled, lambda piece: piece.replace(quote, quote * 2), text))
            if not line.startswith(doubled + quote, at + 1):
                return None
            pieces += [(None, 1), (own, len(doubled)), (None, 1)]
            at += len(doubled) + 2
        elif line.startswith(plain, at):
            pieces.append((coverage_of(text), len(plain)))
            at += len(plain)
        else:
            return None
    if line[at:] != dialect.lineterminator:
        return None
    pieces.append((None, len(line) - at))
    return concatenated(pieces)


class _Writer(_StandIn):
    """A csv writer that writes lines whose fields carry their labels; plain rows are written natively."""

    __slots__ = ("_file", "_following", "_make", "_write_on")

    def __init__(self, native: Any, make: Callable[..., Any], write_on: Callable[[str], Any]) -> None:
        self._native, self._make, self._write_on = native, make, write_on
        self._following: Any = None

    def writerow(self, row: Any, /) -> Any:
        if not isinstance(row, list | tuple | dict):
            row = list(row) if hasattr(row, "__iter__") else row
        if is_bare(row):
            return self._native.writerow(row)
        if self._following is None:  # Most writers see no labelled row.
            self._file = _File(self._write_on)
            self._following = self._make(self._file, self._native.dialect)
        self._file.row, self._file.dialect = row, self._native.dialect
        return self._following.writerow(row)

    def writerows(self, rows: Any, /) -> None:
        if is_bare(rows):
            self._native.writerows(rows)
            return
        for row in rows:
            self.writerow(row)


def _writer(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return _Writer(wrapped(*args, **kwargs), wrapped, args[0].write)


_WRAPPERS: dict[str, Wrapper] = {"reader": _reader, "writer": _writer}


def patches(module: ModuleType) -> Iterator[Patch | Swap]:
    """Give what there is to wrap in `csv`."""
    yield from patches_in(module, _WRAPPERS)
    yield from stream_swaps(module)
