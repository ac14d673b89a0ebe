"""Text and bytes in memory: `io`.

`io.StringIO`, `io.BytesIO` and `io.TextIOWrapper` give instances of subclasses that remember, by
position, which part of what was written is labelled. The names still work in `isinstance` and as base
classes. A real file keeps no labels: writing to it is a loss, and counted where it can be seen.
"""

from __future__ import annotations

import abc
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


class _Labelled(metaclass=abc.ABCMeta):
    """What `StringIO` and `BytesIO` do alike."""

    _labels_at = _Positions()
    """Shared by all that nothing labelled was written to, and never changed; others have their own."""

    _native: Any
    """The native class, whose methods are called half as fast by `super()`."""

    def write(self, text: Any, /) -> int:
        """Write. Labels: at the positions where the text now stands."""
        if type(text) not in CARRIERS and not self._labels_at.spans:
            return self._native.write(self, text)  # type: ignore[no-any-return]  # A number.
        start = self.tell()  # type: ignore[attr-defined]  # The stream's class follows in the bases.
        written: int = self._native.write(self, exact(text))
        self._note(start, self.tell(), text)  # type: ignore[attr-defined]  # As above.
        return written

    def _note(self, start: int, stop: int, written: Any) -> None:
        if self._labels_at is _Labelled._labels_at:
            self._labels_at = _Positions()
        self._labels_at.put(start, stop, written)

    def writelines(self, lines: Iterable[Any], /) -> None:
        """Write several. Labels: as `write`."""
        super().writelines(())  # type: ignore[misc]  # As above. It raises where the stream is closed.
        for line in lines:
            self.write(line)

    def _read_by(self, read: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        if not self._labels_at.spans:
            return read(self, *args)
        start = self.tell()  # type: ignore[attr-defined]  # As above.
        value = read(self, *args)
        return self._labels_at.carry(value, start, self.tell())  # type: ignore[attr-defined]  # As above.

    def read(self, *args: Any) -> Any:
        """Read. Labels: those of the positions."""
        return self._read_by(self._native.read, args)

    def readline(self, *args: Any) -> Any:
        """Read a line. Labels: those of the positions."""
        return self._read_by(self._native.readline, args)

    def readlines(self, hint: Any = -1, /) -> list[Any]:
        """Read lines. Labels: those of the positions."""
        if not self._labels_at.spans:
            return super().readlines(hint)  # type: ignore[misc, no-any-return]  # As above.
        lines: list[Any] = []
        size = 0
        while line := self.readline():
            lines.append(line)
            size += len(line)
            if hint is not None and 0 < hint <= size:
                break
        return lines

    def __next__(self) -> Any:
        """Read the next line. Labels: those of the positions."""
        return self._read_by(self._native.__next__, ())

    def truncate(self, *args: Any) -> int:
        """Cut off. Labels: those of what is left."""
        size = super().truncate(*args)  # type: ignore[misc]  # As above.
        if self._labels_at.spans:
            self._labels_at.put(size, max([size, *(stop for _, stop, _ in self._labels_at.spans)]), "")
        return size  # type: ignore[no-any-return]  # As above.

    def getvalue(self) -> Any:
        """Give all of it. Labels: those of the positions."""
        value = super().getvalue()  # type: ignore[misc]  # As above.
        return value if not self._labels_at.spans else self._labels_at.carry(value, 0, len(value))

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        """Count the native class and its subclasses as ours: the name `io.StringIO` stands for both."""
        return _is_subclass(cls, other)


class TaintedStringIO(_Labelled, io.StringIO):
    """A `StringIO` that knows which characters are labelled."""

    _native = io.StringIO

    def __init__(self, initial_value: Any = "", newline: Any = "\n") -> None:
        """Open a stream as `io.StringIO` does. Labels: of the initial value."""
        if type(initial_value) not in CARRIERS:
            super().__init__(initial_value, newline)
            return
        super().__init__(exact(initial_value), newline)
        self._labels_at = _Positions()
        self._labels_at.put(0, len(super().getvalue()), initial_value)


class TaintedBytesIO(_Labelled, io.BytesIO):
    """A `BytesIO` that knows which bytes are labelled."""

    _native = io.BytesIO

    def __init__(self, initial_bytes: Any = b"") -> None:
        """Open a stream as `io.BytesIO` does. Labels: of the initial bytes."""
        if type(initial_bytes) not in CARRIERS:
            super().__init__(initial_bytes)
            return
        super().__init__(exact(initial_bytes))
        self._labels_at = _Positions()
        self._labels_at.put(0, len(super().getvalue()), initial_bytes)

    def read1(self, *args: Any) -> Any:
        """Read. Labels: those of the positions."""
        return self._read_by(self._native.read1, args)

    def readinto(self, buffer: Any, /) -> int:
        """Read into a buffer, which keeps no labels: counted."""
        if self._labels_at.spans:
            count_loss("io.BytesIO.readinto")
        return super().readinto(buffer)

    def getbuffer(self) -> memoryview:
        """Give a view, which keeps no labels: counted."""
        if self._labels_at.spans:
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
        buffer = self.buffer
        return flat(buffer._labels_at.spans) if isinstance(buffer, TaintedBytesIO) else NO_LABELS  # noqa: SLF001  # As above.

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
