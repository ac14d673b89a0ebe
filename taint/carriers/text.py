"""`TaintedStr` and `TaintedBytes`: text and bytes that carry labels, as subclasses of `str` and `bytes`.

Subclasses, not proxies: json, orjson, re, pydantic, sqlite3 and psycopg accept them where they
refuse a proxy, and an operation costs a fifth. What they cannot do is see what C code builds without
asking them (`",".join`, f-strings of several parts): `taint.propagation` covers that.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from itertools import repeat
from typing import Any, Self, overload

from taint.carriers.comparing import define_comparisons
from taint.carriers.coverage import Coverage, concatenated, flat, joined, placed, spans_of, tidy
from taint.carriers.formatting import format_pieces, only_field, padded_pieces, percent_pieces
from taint.carriers.operations import Kind, coverage_of, labels_in
from taint.carriers.overrides import define_operations
from taint.carriers.quick import define_quick_operations
from taint.labels import NO_LABELS, Labels

__all__ = ["TaintedBytes", "TaintedStr", "carry_bytes", "carry_text", "join_pieces", "with_labels"]

_new = str.__new__
_new_bytes = bytes.__new__


class TaintedStr(str):
    """A `str` with labels, on the whole of it or on ranges.

    Equality, ordering, hash, truth, `repr` and formatting are those of the text. Make one with
    `taint.label`; a `TaintedStr("...")` made directly carries no label.
    """

    __slots__ = ("_coverage",)
    _coverage: Coverage

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Make a text as `str(...)` does; it keeps the labels of a single argument."""
        value = str(*args, **kwargs)
        self = _new(cls, value)
        self._coverage = coverage_of(value) or (labels_in((*args, *kwargs.values())) if value else NO_LABELS)
        return self

    def __str__(self) -> str:
        """Give the text itself, labels and all: `str(x)` must not lose them."""
        return self

    def __repr__(self) -> str:
        """Show the text as `str` does. Labels: inside the quotes, or on all of it where it has escapes."""
        value = str.__repr__(self)
        length = len(self)
        if len(value) != length + 2:
            return carry_text(value, flat(self._coverage))
        return carry_text(value, placed(self._coverage, 1, length, length + 2))

    def __format__(self, spec: str, /) -> str:
        """Format as `str` does. Labels: on the text; on the fill, those of the specification."""
        value = str.__format__(self, spec)
        if not spec:
            return self
        before, kept = padded_pieces(self, value, spec)
        own = self._coverage if kept == len(self) else coverage_of(self[:kept])
        fill = flat(coverage_of(spec))
        if not fill:
            return carry_text(value, placed(own, before, kept, len(value)))
        return carry_text(value, concatenated(((fill, before), (own, kept), (fill, len(value) - before - kept))))

    def __mod__(self, args: Any, /) -> str:
        """Format with `%`. Labels: of the template and of each argument, where it stands."""
        pieces = percent_pieces(str.__str__(self), args, remember=False)
        return str.__mod__(self, args) if pieces is None else _from_template(self, pieces)

    def __rmod__(self, template: Any, /) -> str:
        """Stand as the one argument of a plain template."""
        if not isinstance(template, str):
            return NotImplemented
        template = str.__str__(template)
        at = only_field(template)
        if at is not None:
            value = str.__mod__(template, self)
            return carry_text(value, placed(self._coverage, at, len(self), len(value)))
        pieces = percent_pieces(template, self)
        return str.__mod__(template, self) if pieces is None else join_pieces(pieces)

    def format(self, *args: Any, **kwargs: Any) -> str:
        """Format with named and numbered fields. Labels: as `%`."""
        own = self._coverage
        if type(own) is Labels and not kwargs and all(map(_adds_nothing, args, repeat(own))):
            return carry_text(str.format(self, *args), own)
        return _from_template(self, format_pieces(str.__str__(self), args, kwargs, with_labels))

    def format_map(self, mapping: Mapping[str, Any], /) -> str:  # type: ignore[override]  # typeshed's protocol is private.
        """Format with the fields of a mapping. Labels: as `%`."""
        return _from_template(self, format_pieces(str.__str__(self), None, mapping, with_labels))

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Encode as `str` does. Labels: byte for byte, with text of any width."""
        value = str.encode(self, encoding, errors)
        coverage: Coverage | None = self._coverage
        if type(coverage) is not Labels:
            coverage = _encoded(self, value, encoding, errors)
        return carry_bytes(value, coverage)

    def __reduce_ex__(self, protocol: Any, /) -> Any:
        """Pickle with labels, under every protocol."""
        if type(self) is not TaintedStr:
            return super().__reduce_ex__(max(protocol, 2))  # A subclass has a state of its own.
        return carry_text, (str.__str__(self), self._coverage)

    def __init_subclass__(cls) -> None:
        """Have a subclass be copied as any object is: it may have attributes."""
        cls.__copy__ = cls.__deepcopy__ = None  # type: ignore[assignment]  # As `copy` reads it: not there.

    def __copy__(self) -> Self:
        """Give the text itself, as for every immutable value."""
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        """Give the text itself, as for every immutable value."""
        return self


class TaintedBytes(bytes):
    """A `bytes` with labels, on the whole of it or on ranges.

    A subclass of `bytes` cannot have slots, only a `__dict__`; all bytes with the same labels share one, so
    that it must not be written to. Single bytes are plain `int`: a labelled one would be a proxy, which
    `bytes(...)`, `sum` and `struct` refuse.
    """

    _coverage: Coverage

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse, as `bytes` does.

        Raises:
            AttributeError: A subclass of this class may have attributes of its own, this one has none.
        """
        if type(self) is TaintedBytes:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        super().__setattr__(name, value)

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Make bytes as `bytes(...)` does; it keeps the labels of a single argument."""
        value = bytes(*args, **kwargs)
        self = bytes.__new__(cls, value)
        self.__dict__["_coverage"] = coverage_of(value) or (
            labels_in((*args, *kwargs.values())) if value else NO_LABELS
        )
        return self

    def __bytes__(self) -> bytes:
        """Give the bytes themselves, labels and all: `bytes(x)` must not lose them."""
        return self

    def __repr__(self) -> str:
        """Show the bytes as `bytes` does. Labels: on all of it."""
        return carry_text(bytes.__repr__(self), flat(self._coverage))

    def __str__(self) -> str:
        """Show the bytes as `bytes` does. Labels: on all of it."""
        return carry_text(bytes.__str__(self), flat(self._coverage))

    def __mod__(self, args: Any, /) -> bytes:
        """Format with `%`. Labels: of the template and of each argument, where it stands."""
        pieces = percent_pieces(_exact_bytes(self), args, remember=False)
        return bytes.__mod__(self, args) if pieces is None else _from_template(self, pieces)

    def __rmod__(self, template: Any, /) -> bytes:
        """Stand as the one argument of a plain template."""
        if not isinstance(template, bytes):
            return NotImplemented
        pieces = percent_pieces(_exact_bytes(template), self)
        return bytes.__mod__(template, self) if pieces is None else join_pieces(pieces)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Decode as `bytes` does. Labels: character for character, of every byte that makes it up."""
        value = bytes.decode(self, encoding, errors)
        coverage: Coverage | None = self._coverage
        if type(coverage) is not Labels:
            coverage = _decoded(self, value, encoding, errors)
        return carry_text(value, coverage)

    def hex(self, *args: Any, **kwargs: Any) -> str:
        """Give two digits a byte. Labels: digit for digit; on all of it where a separator is asked for."""
        value = bytes.hex(self, *args, **kwargs)
        coverage: Coverage | None = self._coverage
        if type(coverage) is not Labels:
            if len(value) == 2 * len(self):
                coverage = tidy(((2 * a, 2 * b, labels) for a, b, labels in spans_of(coverage, len(self))), len(value))
            else:
                coverage = flat(coverage)
        return carry_text(value, coverage)

    def __reduce_ex__(self, protocol: Any, /) -> Any:
        """Pickle with labels, under every protocol."""
        if type(self) is not TaintedBytes:
            return super().__reduce_ex__(max(protocol, 2))
        return carry_bytes, (_exact_bytes(self), self._coverage)

    def __init_subclass__(cls) -> None:
        """Have a subclass be copied as any object is: it may have attributes."""
        cls.__copy__ = cls.__deepcopy__ = None  # type: ignore[assignment]  # As `copy` reads it: not there.

    def __copy__(self) -> Self:
        """Give the bytes themselves, as for every immutable value."""
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        """Give the bytes themselves, as for every immutable value."""
        return self


_set_attributes = TaintedBytes.__dict__["__dict__"].__set__  # As `value.__dict__ = ...`, past `__setattr__`.


def carry_text(value: str, coverage: Coverage | None) -> str:
    """Put a coverage on an exact `str`.

    Labels: those given; an empty text carries none, since there is nothing to protect.
    """
    if not coverage or not value:
        return value
    result = _new(TaintedStr, value)
    result._coverage = coverage
    return result


def carry_bytes(value: bytes, coverage: Coverage | None) -> bytes:
    """Put a coverage on an exact `bytes`.

    Labels: those given; empty bytes carry none, since there is nothing to protect.
    """
    if not coverage or not value:
        return value
    result = _new_bytes(TaintedBytes, value)
    if type(coverage) is Labels:
        try:
            attributes: dict[str, Any] = coverage.attributes
        except AttributeError:
            attributes = coverage.attributes = {"_coverage": coverage}
    else:
        attributes = {"_coverage": coverage}
    _set_attributes(result, attributes)
    return result


_PLAIN = frozenset((str, int, float, bool, type(None)))


def _adds_nothing(value: object, labels: Labels) -> bool:
    """Tell whether a value is plain, or has no labels but these."""
    return type(value) in _PLAIN or (type(value) is TaintedStr and value._coverage is labels)


def with_labels(text: str, labels: Labels) -> str:
    """Add labels to all of a text. Labels: those given, and its own; a subclass counts for its characters."""
    return carry_text(str.__str__(text), joined(coverage_of(text), labels, len(text))) if labels else text


def _exact_bytes(value: bytes) -> bytes:
    return bytes.__add__(value, b"") if type(value) is bytes else bytes.__getitem__(value, slice(None))


@overload
def join_pieces(pieces: list[str]) -> str: ...
@overload
def join_pieces(pieces: list[bytes]) -> bytes: ...
def join_pieces(pieces: list[Any]) -> Any:
    """Put pieces of one type one after another. Labels: each piece keeps its own, at its place."""
    coverage = concatenated([(coverage_of(piece), len(piece)) for piece in pieces])
    if pieces and isinstance(pieces[0], bytes):
        return carry_bytes(b"".join(pieces), coverage)
    return carry_text("".join(pieces), coverage)


@overload
def _from_template(template: TaintedStr, pieces: list[str]) -> str: ...
@overload
def _from_template(template: TaintedBytes, pieces: list[bytes]) -> bytes: ...
def _from_template(template: Any, pieces: list[Any]) -> Any:
    """Join pieces of a template that is itself labelled: its literals have lost their place, so on all."""
    built: Any = b"".join(pieces) if isinstance(template, bytes) else "".join(pieces)
    coverage, own = concatenated([(coverage_of(piece), len(piece)) for piece in pieces]), flat(template._coverage)
    coverage = joined(coverage, own, len(built)) if coverage else own
    return carry_bytes(built, coverage) if isinstance(template, bytes) else carry_text(built, coverage)


def _segments(coverage: Coverage | None, length: int) -> list[tuple[int, int, Labels]]:
    """Give the covered spans and, without labels, what is between them."""
    found: list[tuple[int, int, Labels]] = []
    at = 0
    for start, stop, labels in spans_of(coverage, length):
        found += ((at, start, NO_LABELS), (start, stop, labels))
        at = stop
    found.append((at, length, NO_LABELS))
    return found


_ERROR_HANDLERS = frozenset(
    (
        *("strict", "ignore", "replace", "backslashreplace", "surrogateescape", "surrogatepass"),
        *("xmlcharrefreplace", "namereplace"),
    )
)
"""What may run a second time to learn positions; a user's handler may not."""


def _encoded(text: TaintedStr, value: bytes, encoding: str, errors: str) -> Coverage | None:
    """Encode piece by piece to learn positions; all of it where the pieces do not make up the whole."""
    exact = str.__str__(text)
    if exact.isascii() and exact.encode("ascii") == value:
        return text._coverage
    if errors in _ERROR_HANDLERS:
        encoder = codecs.getincrementalencoder(encoding)(errors)
        pieces = [(labels, encoder.encode(exact[a:b])) for a, b, labels in _segments(text._coverage, len(exact))]
        pieces.append((NO_LABELS, encoder.encode("", True)))
        if b"".join(piece for _, piece in pieces) == value:
            return concatenated((labels, len(piece)) for labels, piece in pieces)
    return flat(text._coverage)


def _decoded(data: TaintedBytes, value: str, encoding: str, errors: str) -> Coverage | None:
    """Decode piece by piece to learn positions; a character is covered where any of its bytes is."""
    exact = _exact_bytes(data)
    if value.isascii() and value.encode("ascii") == exact:
        return data._coverage
    if errors not in _ERROR_HANDLERS:
        return flat(data._coverage)
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    pieces: list[tuple[Coverage | None, int]] = []
    texts: list[str] = []
    pending, waiting = NO_LABELS, 0  # Of bytes that did not make a character yet; where invalid, they may make several.
    for start, stop, labels in [*_segments(data._coverage, len(exact)), (len(exact), len(exact), NO_LABELS)]:
        piece = decoder.decode(exact[start:stop], start == len(exact))
        late = min(waiting, len(piece))
        pieces += ((pending | labels, late), (labels, len(piece) - late))
        texts.append(piece)
        waiting = len(decoder.getstate()[0])
        pending = labels if waiting <= stop - start else pending | labels
    if "".join(texts) != value:
        return flat(data._coverage)
    return concatenated(pieces)


for _kind in (Kind(TaintedStr, str, carry_text), Kind(TaintedBytes, bytes, carry_bytes)):
    define_operations(_kind)
    define_comparisons(_kind)
define_quick_operations(Kind(TaintedStr, str, carry_text))
