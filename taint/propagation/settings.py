"""Settings in text: `configparser`, which reads by patterns of its own and joins lines without asking them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

from taint.carriers.text import TaintedStr, carry_text, join_pieces
from taint.carriers.values import labels_of
from taint.propagation.follow import (
    carry_texts,
    exact,
    followed,
)
from taint.propagation.patches import Patch, Wrapper, patches_in
from taint.propagation.regex import TaintedPattern

__all__ = ["patches"]


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


_WRAPPERS: dict[str, Wrapper] = {
    "_Line.__init__": _line_made,
    "_Line._strip_inline": _line_clean,
    "RawConfigParser._read": _read,
    "RawConfigParser._join_multiline_values": _joined_values,
    "RawConfigParser._write_section": _written,
    "BasicInterpolation.before_get": followed(_interpolated, deep=True, plain=False),
    "ExtendedInterpolation.before_get": followed(_interpolated, deep=True, plain=False),
}


def patches(module: ModuleType) -> Iterator[Patch]:
    """Give what there is to wrap in `configparser`."""
    return patches_in(module, _WRAPPERS)
