"""Text and bytes in memory, and what reads and writes lines: `io`, `csv`, `configparser`.

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

from taint.carriers.containers import is_bare
from taint.carriers.coverage import Coverage, Span, Spans, concatenated, cut, flat, spans_of, tidy
from taint.carriers.operations import coverage_of
from taint.carriers.text import TaintedStr, carry_text, join_pieces
from taint.carriers.values import labels_of
from taint.guard import report_internal_error
from taint.labels import NO_LABELS, Labels
from taint.losses import count_loss
from taint.propagation.follow import (
    CARRIERS,
    by_characters,
    carry_texts,
    covered,
    exact,
    followed,
    piecewise,
)
from taint.propagation.patches import Patch, Swap, Wrapper, patches_in
from taint.propagation.regex import TaintedPattern

__all__ = ["patches", "stream_swaps"]


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


def stream_swaps(module: ModuleType) -> Iterator[Swap]:
    """Give the stream classes that a module holds by any name, to be exchanged for ones that carry."""
    instead = {native: kind for kind, native in _STANDS_FOR.items()}
    for name, value in list(vars(module).items()):
        if isinstance(value, type) and value in instead:
            yield Swap(module, name, instead.__getitem__)


class _Lines:
    """Gives lines to a native csv reader and takes note of those that the row needed."""

    __slots__ = ("_next", "taken")

    def __init__(self, lines: Iterable[Any]) -> None:
        self._next = iter(lines).__next__
        self.taken: list[Any] = []

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> Any:
        line = self._next()
        self.taken.append(line)
        return line


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

    __slots__ = ("_lines",)

    def __init__(self, native: Any, lines: _Lines) -> None:
        self._native, self._lines = native, lines

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> list[Any]:
        lines = self._lines.taken
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
    # What is read from a real file has no labels.
    if not args or type(args[0]) is _STANDS_FOR[TaintedTextIOWrapper] or not hasattr(args[0], "__iter__"):
        return wrapped(*args, **kwargs)
    lines = _Lines(args[0])
    return _Reader(wrapped(lines, *args[1:], **kwargs), lines)


class _File:
    """Takes a line from a native csv writer and passes it on, labelled."""

    def __init__(self, file: Any) -> None:
        self.write_on = file.write
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

    __slots__ = ("_file", "_following")

    def __init__(self, native: Any, following: Any, file: _File) -> None:
        self._native, self._following, self._file = native, following, file

    def writerow(self, row: Any, /) -> Any:
        if not isinstance(row, list | tuple | dict):
            row = list(row) if hasattr(row, "__iter__") else row
        if is_bare(row):
            return self._native.writerow(row)
        self._file.row, self._file.dialect = row, self._native.dialect
        return self._following.writerow(row)

    def writerows(self, rows: Any, /) -> None:
        if is_bare(rows):
            self._native.writerows(rows)
            return
        for row in rows:
            self.writerow(row)


def _writer(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    native = wrapped(*args, **kwargs)
    file = _File(args[0])
    return _Writer(native, wrapped(file, *args[1:], **kwargs), file)


def _joined_values(wrapped: Callable[..., Any], parser: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Wrap what makes one text of an option's lines: they are labelled, the join asks nobody."""
    sections = [parser._defaults, *parser._sections.values()]  # noqa: SLF001  # There is no public place for it.
    before = [
        (options, name, list(lines)) for options in sections for name, lines in options.items() if type(lines) is list
    ]
    result = wrapped(*args, **kwargs)
    for options, name, lines in before:
        if any(type(line) is TaintedStr for line in lines) and type(options[name]) is str:
            pieces: list[str] = []
            for line in lines:
                pieces += ("\n", line)
            joined = join_pieces(pieces[1:]).rstrip()
            options[name] = joined if joined == options[name] else carry_text(options[name], labels_of(lines))
    return result


def _read(wrapped: Callable[..., Any], parser: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Let a parser read by patterns that carry; it looks them up on itself."""
    names = ("SECTCRE", "_optcre")
    before = {name: vars(parser)[name] for name in names if name in vars(parser)}
    for name in names:
        setattr(parser, name, TaintedPattern(getattr(parser, name)))
    try:
        return wrapped(*args, **kwargs)
    finally:
        for name in names:
            delattr(parser, name)
        vars(parser).update(before)


def _line_made(wrapped: Callable[..., Any], line: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Keep the labelled text of a line, which Python 3.13 makes a `str` of its own of."""
    wrapped(*args, **kwargs)
    if args and type(args[0]) is TaintedStr:
        line._taint_text = args[0]  # noqa: SLF001  # Ours.


def _line_clean(wrapped: Callable[..., Any], line: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    value = wrapped(*args, **kwargs)
    text = getattr(line, "_taint_text", None)
    if text is None or type(value) is not str:
        return value
    start = len(text) - len(text.lstrip())
    part = text[start : start + len(value)]
    return part if part == value else carry_texts(value, labels_of(text))


def _interpolated(value: Any, _native: Callable[..., Any], args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Any:
    """Rule of `before_get(parser, section, option, value, defaults)`."""
    given, defaults = args[3], args[4]
    if exact(given) == value:
        return given
    return carry_texts(value, labels_of(given) | labels_of(dict(defaults)))


class _Section:
    """Takes the lines of a section and passes them on, labelled."""

    def __init__(self, file: Any, items: Iterable[tuple[Any, Any]], delimiter: str) -> None:
        self._file = file
        self._lines: dict[str, str] = {}
        for name, value in items:
            if type(name) is TaintedStr or type(value) is TaintedStr:
                line = name if value is None else name + delimiter + value.replace("\n", "\n\t")
                self._lines[exact(line) + "\n"] = line + "\n"

    def write(self, line: str) -> Any:
        return self._file.write(self._lines.get(line, line))


def _written(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    file, name, items, delimiter, *rest = args
    items = list(items)
    return wrapped(_Section(file, items, delimiter), name, items, delimiter, *rest, **kwargs)


_WRAPPERS: dict[str, dict[str, Wrapper]] = {
    "io": {},
    "csv": {"reader": _reader, "writer": _writer},
    "configparser": {
        "_Line.__init__": _line_made,
        "_Line._strip_inline": _line_clean,
        "RawConfigParser._read": _read,
        "RawConfigParser._join_multiline_values": _joined_values,
        "RawConfigParser._write_section": _written,
        "BasicInterpolation.before_get": followed(_interpolated, deep=True, plain=False),
        "ExtendedInterpolation.before_get": followed(_interpolated, deep=True, plain=False),
    },
}


def patches(module: ModuleType) -> Iterator[Patch | Swap]:
    """Give what there is to wrap in one of these modules."""
    yield from patches_in(module, _WRAPPERS[module.__name__])
    yield from stream_swaps(module)
