"""`TaintedMarkup`: a `Markup` with labels, and the wrappers that make it. Imported only where markupsafe is."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from markupsafe import EscapeFormatter, Markup

from taint.carriers.containers import is_bare
from taint.carriers.coverage import Coverage, concatenated, flat, spans_of
from taint.carriers.operations import coverage_of
from taint.carriers.proxy import TaintedProxy, is_carrier, labels_of_carrier
from taint.carriers.text import TaintedStr, carry_text, join_pieces
from taint.carriers.values import labels_of
from taint.labels import NO_LABELS
from taint.propagation.pairing import layered

__all__ = [
    "TaintedMarkup",
    "before_making",
    "escaper",
    "formatting",
    "formatting_map",
    "joining",
    "labelled_markup",
    "making",
    "promoting",
]


class TaintedMarkup(Markup, TaintedStr):
    """A `Markup` with labels: its methods escape as `Markup`'s do and keep labels as `TaintedStr`'s do.

    `Markup` writes each method as one around `super()`, which here is `TaintedStr`.
    """

    __slots__ = ()

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Make a markup as `Markup(...)` does; one without labels is a plain `Markup`."""
        self = Markup.__new__(cls, *args, **kwargs)
        return self if self._coverage else str.__new__(Markup, str.__str__(self))

    def __str__(self) -> str:
        """Give the text, which is no markup any more. Labels: kept."""
        return carry_text(str.__str__(self), self._coverage)

    def __format__(self, spec: str, /) -> str:
        """Format as text."""
        return format(str(self), spec)

    def __repr__(self) -> str:
        """Show it as `Markup` does. Labels: on all of it."""
        return carry_text(f"Markup({str.__repr__(self)})", flat(self._coverage))

    def __reduce_ex__(self, _protocol: Any, /) -> tuple[Callable[..., Any], tuple[str, Coverage]]:
        """Pickle with labels, under every protocol."""
        return labelled_markup, (str.__str__(self), self._coverage)

    def unescape(self) -> str:
        """Unescape as `Markup` does. Labels: on all of it, but where the library call inside keeps them."""
        text = Markup.unescape(self)
        return text if is_carrier(text) else carry_text(text, flat(self._coverage))

    def striptags(self) -> str:
        """Strip tags as `Markup` does. Labels: as `unescape`."""
        text = Markup.striptags(self)
        return text if is_carrier(text) else carry_text(text, flat(self._coverage))


def labelled_markup(text: str, coverage: Coverage | None) -> Markup:
    """Put a coverage on an exact text and call it markup."""
    if not coverage or not text:
        return str.__new__(Markup, text)
    result: TaintedMarkup = str.__new__(TaintedMarkup, text)
    result._coverage = coverage
    return result


def _promoted(markup: Any) -> TaintedMarkup:
    """Give a markup as one whose methods look at the labels of their arguments."""
    if type(markup) is TaintedMarkup:
        return markup
    result: TaintedMarkup = str.__new__(TaintedMarkup, str.__str__(markup))
    result._coverage = coverage_of(markup) or NO_LABELS
    return result


def _formatted_markup(markup: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Markup:
    """Do `markup.format(...)` and keep the pieces. Labels: of each field, where it stands."""
    formatter = _Recording(TaintedMarkup.escape)
    text = formatter.vformat(str.__str__(markup), args, kwargs)
    pieces = join_pieces(formatter.pieces)
    coverage = coverage_of(pieces)
    if str.__str__(pieces) != text:
        coverage = coverage and flat(coverage)
    if is_carrier(markup) and text:
        whole = ((0, len(text), labels_of_carrier(markup)),)
        coverage = layered((*whole, *_spans(coverage, len(text))), len(text))
    return labelled_markup(str.__str__(text), coverage)


def _spans(coverage: Coverage | None, length: int) -> Any:
    return ((0, length, coverage),) if isinstance(coverage, frozenset) else coverage or ()


class _Recording(EscapeFormatter):
    """A formatter that keeps what its result is made of."""

    __slots__ = ("depth", "pieces")

    def __init__(self, escape: Any) -> None:
        super().__init__(escape)
        self.pieces: list[str] = []
        self.depth = 0

    def _vformat(self, *args: Any, **kwargs: Any) -> Any:
        self.depth += 1
        try:
            return super()._vformat(*args, **kwargs)
        finally:
            self.depth -= 1

    def parse(self, format_string: Any) -> Iterator[Any]:
        for part in super().parse(format_string):
            if part[0] and self.depth == 1:
                self.pieces.append(part[0])
            yield part

    def format_field(self, value: Any, format_spec: str) -> str:
        field = super().format_field(value, format_spec)
        if self.depth == 1:
            self.pieces.append(field)
        return field


def escaper(native: Callable[[str], str]) -> Callable[[str], str]:
    """Give what stands for `_escape_inner`, which every value of a page goes through: as short as can be."""

    def escape_inner(text: str, /) -> str:
        return native(text) if type(text) is str else _escaped(native, text)

    return functools.update_wrapper(escape_inner, native)


def _escaped(native: Callable[[str], str], text: str) -> str:
    """Escape. Labels: what stands for a labelled character."""
    coverage = coverage_of(text)
    if coverage is None:
        return native(text)
    plain = str.__str__(text)
    pieces: list[tuple[Any, int]] = []
    at = 0
    for start, stop, labels in spans_of(coverage, len(plain)):
        pieces += ((None, len(native(plain[at:start]))), (labels, len(native(plain[start:stop]))))
        at = stop
    return carry_text(native(plain), concatenated(pieces))


def before_making(native: Callable[..., Any], concerned: Callable[..., Any]) -> Callable[..., Any]:
    """Stand before `Markup.__new__`, which every value of a page goes through too.

    An exact text has no `__html__`, so that what is left of the native one is what it ends in.
    """
    new = str.__new__

    def make(cls: Any, object: Any = "", encoding: Any = None, errors: Any = "strict") -> Any:  # noqa: A002  # Its name.
        if type(object) is str and encoding is None:
            return new(cls, object) if cls is Markup else native(cls, object, encoding, errors)
        return concerned(cls, object, *(() if encoding is None and errors == "strict" else (encoding, errors)))

    return make


def making(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Any:
    """Wrap `Markup.__new__`. Labels: those of the text, where it has them."""
    if type(args[1]) is str or args[0] is not Markup:
        return wrapped(*args)
    given = args[1]
    if type(given) is TaintedProxy and isinstance(given, str):  # Another's subclass of str, such as a Markup.
        return labelled_markup(str.__str__(given.__wrapped__), labels_of_carrier(given))
    if hasattr(given, "__html__"):
        given = given.__html__()
    elif isinstance(given, bytes) and is_carrier(given) and args[2:]:
        given = given.decode(*args[2:])
    if not is_carrier(given):
        return wrapped(args[0], given, *args[2:])
    text = str(given)
    return labelled_markup(str.__str__(text), coverage_of(text))


def promoting(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Let `Markup`'s own method run on a markup that looks at its arguments' labels."""
    # A labelled markup looks at them by itself; another's subclass keeps its type.
    if type(instance) is not Markup or is_bare(args) or not labels_of(args):
        return wrapped(*args, **kwargs)
    return wrapped.__func__(_promoted(instance), *args, **kwargs)  # type: ignore[attr-defined]  # It is bound.


def joining(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Wrap `Markup.join`. Labels: each item's, where it stands."""
    return promoting(wrapped, instance, tuple(map(list, args)), kwargs)


def formatting(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Wrap `Markup.format`. Labels: each field's, where it stands."""
    return _formatted(wrapped, instance, args, kwargs, (args, kwargs))


def formatting_map(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Wrap `Markup.format_map`. Labels: each field's, where it stands."""
    return _formatted(wrapped, instance, args, kwargs, ((), *args))


def _formatted(
    wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any], fields: tuple[Any, ...]
) -> Any:
    is_ours = type(instance) is TaintedMarkup or (type(instance) is Markup and bool(labels_of(fields)))
    return _formatted_markup(instance, *fields) if is_ours and len(fields) == 2 else wrapped(*args, **kwargs)  # noqa: PLR2004
