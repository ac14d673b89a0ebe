"""Text and bytes in memory: `io`.

`io.StringIO`, `io.BytesIO` and `io.TextIOWrapper` give instances of subclasses that remember, by
position, which part of what was written is labelled. The names still work in `isinstance` and as base
classes. A real file keeps no labels: writing to it is a loss, and counted where it can be seen.
"""

from __future__ import annotations

import abc
import functools
import io
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

from taint.carriers.coverage import Span, Spans, cut, flat, spans_of, tidy
from taint.carriers.operations import coverage_of
from taint.carriers.text import TaintedStr, carry_text
from taint.labels import NO_LABELS, Labels
from taint.losses import count_loss
from taint.propagation.follow import (
    CARRIERS,
    covered,
    exact,
)
from taint.propagation.patches import Swap

__all__ = ["is_plain_file", "patches", "stream_swaps"]


class _Positions:
    """Which positions of a stream are labelled: spans in order, changed as the stream is."""

    __slots__ = ("spans",)

    def __init__(self, spans: Spans = ()) -> None:
        self.spans = spans

    def put(self, start: int, stop: int, written: Any) -> None:
        """Take note that `written` now stands from `start` to `stop`."""
        coverage = coverage_of(written)
        if not self.spans and coverage is None:
            return
        own: list[Span] = []
        if coverage is not None and len(written) == stop - start:
            own = [(a + start, b + start, labels) for a, b, labels in spans_of(coverage, len(written))]
        elif coverage is not None:  # Line ends were translated.
            own = [(start, stop, flat(coverage))]
        before = [(a, min(b, start), labels) for a, b, labels in self.spans if a < start]
        after = [(max(a, stop), b, labels) for a, b, labels in self.spans if b > stop]
        # With a length that nothing reaches, the result is spans, never one set for all.
        self.spans = spans_of(tidy([*before, *own, *after], -1), 0)

    def carry(self, value: Any, start: int, stop: int) -> Any:
        """Label what was read from `start` to `stop`."""
        if not self.spans or not value:
            return value
        coverage = cut(self.spans, start, stop)
        return covered(value, coverage if len(value) == stop - start else flat(coverage))


def _reading(read: Callable[..., Any]) -> Any:
    """Give the method that reads as a native one. Labels: those of the positions."""

    def reading(self: Any, *args: Any) -> Any:
        positions = self._labels_at
        if positions is None:
            return read(self, *args) if args else read(self)
        start = self.tell()
        value = read(self, *args)
        return positions.carry(value, start, self.tell())

    return functools.update_wrapper(reading, read)


class _Labelled(metaclass=abc.ABCMeta):  # noqa: B024  # For its `__subclasshook__`.
    """What `StringIO` and `BytesIO` do alike."""

    _labels_at: _Positions | None = None
    """None until something labelled is written: then every method is one test and the native one."""

    def _write_labelled(self, write: Callable[..., int], text: Any) -> int:
        start = self.tell()  # type: ignore[attr-defined]  # The stream's class follows in the bases.
        written = write(self, exact(text))
        self._note(start, self.tell(), text)  # type: ignore[attr-defined]  # As above.
        return written

    def _note(self, start: int, stop: int, written: Any) -> None:
        if self._labels_at is None:
            self._labels_at = _Positions()
        self._labels_at.put(start, stop, written)

    def readlines(self, hint: Any = -1, /) -> list[Any]:
        """Read lines. Labels: those of the positions."""
        if self._labels_at is None:
            return super().readlines(hint)  # type: ignore[misc, no-any-return]  # As above.
        lines: list[Any] = []
        size = 0
        while line := self.readline():  # type: ignore[attr-defined]  # As above.
            lines.append(line)
            size += len(line)
            if hint is not None and 0 < hint <= size:
                break
        return lines

    def truncate(self, *args: Any) -> int:
        """Cut off. Labels: those of what is left."""
        size: int = super().truncate(*args)  # type: ignore[misc]  # As above.
        if self._labels_at is not None:
            self._labels_at.put(size, max([size, *(stop for _, stop, _ in self._labels_at.spans)]), "")
        return size

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        """Count the native class and its subclasses as ours: the name `io.StringIO` stands for both."""
        return _is_subclass(cls, other)


_open_text, _write_text, _text_in = io.StringIO.__init__, io.StringIO.write, io.StringIO.getvalue
_open_bytes, _write_bytes, _bytes_in = io.BytesIO.__init__, io.BytesIO.write, io.BytesIO.getvalue


class TaintedStringIO(_Labelled, io.StringIO):
    """A `StringIO` that knows which characters are labelled. Its `writelines` writes line by line."""

    def __init__(self, initial_value: Any = "", newline: Any = "\n") -> None:
        """Open a stream as `io.StringIO` does. Labels: of the initial value."""
        if type(initial_value) not in CARRIERS:
            _open_text(self, initial_value, newline)
            return
        _open_text(self, exact(initial_value), newline)
        self._note(0, len(_text_in(self)), initial_value)

    def write(self, text: Any, /) -> int:
        """Write. Labels: at the positions where the text now stands."""
        if type(text) not in CARRIERS and self._labels_at is None:
            return _write_text(self, text)
        return self._write_labelled(_write_text, text)

    def getvalue(self) -> str:
        """Give all of it. Labels: those of the positions."""
        value = _text_in(self)
        return value if self._labels_at is None else self._labels_at.carry(value, 0, len(value))

    read, readline = _reading(io.StringIO.read), _reading(io.StringIO.readline)
    __next__ = _reading(io.StringIO.__next__)


class TaintedBytesIO(_Labelled, io.BytesIO):
    """A `BytesIO` that knows which bytes are labelled."""

    def __init__(self, initial_bytes: Any = b"") -> None:
        """Open a stream as `io.BytesIO` does. Labels: of the initial bytes."""
        if type(initial_bytes) not in CARRIERS:
            _open_bytes(self, initial_bytes)
            return
        _open_bytes(self, exact(initial_bytes))
        self._note(0, len(_bytes_in(self)), initial_bytes)

    def write(self, data: Any, /) -> int:
        """Write. Labels: at the positions where the bytes now stand."""
        if type(data) not in CARRIERS and self._labels_at is None:
            return _write_bytes(self, data)
        return self._write_labelled(_write_bytes, data)

    def writelines(self, lines: Iterable[Any], /) -> None:
        """Write several. Labels: as `write`."""
        super().writelines(())  # It raises where the stream is closed.
        for line in lines:
            self.write(line)

    def getvalue(self) -> bytes:
        """Give all of it. Labels: those of the positions."""
        value = _bytes_in(self)
        return value if self._labels_at is None else self._labels_at.carry(value, 0, len(value))

    read, read1, readline = _reading(io.BytesIO.read), _reading(io.BytesIO.read1), _reading(io.BytesIO.readline)
    __next__ = _reading(io.BytesIO.__next__)

    def readinto(self, buffer: Any, /) -> int:
        """Read into a buffer, which keeps no labels: counted."""
        if self._labels_at is not None and self._labels_at.spans:
            count_loss("io.BytesIO.readinto")
        return super().readinto(buffer)

    def getbuffer(self) -> memoryview:
        """Give a view, which keeps no labels: counted."""
        if self._labels_at is not None and self._labels_at.spans:
            count_loss("io.BytesIO.getbuffer")
        return super().getbuffer()


class TaintedTextIOWrapper(io.TextIOWrapper, metaclass=abc.ABCMeta):
    """Text over bytes: labels go through where the bytes are in memory; a real file is a loss."""

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        """Count the native class and its subclasses as ours."""
        return _is_subclass(cls, other)

    def write(self, text: Any, /) -> int:
        """Write. Labels: on the encoded bytes."""
        if type(text) is not TaintedStr:
            return super().write(text)
        if not isinstance(self.buffer, TaintedBytesIO):
            count_loss("io.TextIOWrapper over a real file")
            return super().write(exact(text))
        self.flush()
        start = self.buffer.tell()
        written = super().write(exact(text))
        self.flush()
        data = text.encode(self.encoding, self.errors or "strict")
        self.buffer._note(start, self.buffer.tell(), data)  # noqa: SLF001  # One idea in two classes.
        return written

    def _labels(self) -> Labels:
        positions = self.buffer._labels_at if isinstance(self.buffer, TaintedBytesIO) else None  # noqa: SLF001  # As above.
        return NO_LABELS if positions is None else flat(positions.spans)

    def read(self, *args: Any) -> str:
        """Read. Labels: of all the bytes."""
        return carry_text(super().read(*args), self._labels())

    def readline(self, *args: Any) -> str:  # type: ignore[override]  # typeshed: the size has a default.
        """Read a line. Labels: of all the bytes."""
        return carry_text(super().readline(*args), self._labels())

    def __next__(self) -> str:  # type: ignore[override]  # As typeshed has it in its base.
        """Read the next line. Labels: of all the bytes."""
        return carry_text(super().__next__(), self._labels())


def _is_subclass(kind: type, other: type) -> Any:
    native = _STANDS_FOR.get(kind)
    return True if native is not None and issubclass(other, native) else NotImplemented


_STANDS_FOR: dict[type, type] = {
    kind: next(base for base in kind.__mro__ if base.__module__ == "_io")
    for kind in (TaintedStringIO, TaintedBytesIO, TaintedTextIOWrapper)
}


def is_plain_file(value: object) -> bool:
    """Tell whether something is a native text file, whose lines have no labels."""
    return type(value) is _STANDS_FOR[TaintedTextIOWrapper]


def stream_swaps(module: ModuleType) -> Iterator[Swap]:
    """Give the stream classes that a module holds by any name, to be exchanged for ones that carry."""
    instead = {native: kind for kind, native in _STANDS_FOR.items()}
    for name, value in list(vars(module).items()):
        if isinstance(value, type) and value in instead:
            yield Swap(module, name, instead.__getitem__)


def patches(module: ModuleType) -> Iterator[Swap]:
    """Give what there is to exchange in `io`."""
    yield from stream_swaps(module)
