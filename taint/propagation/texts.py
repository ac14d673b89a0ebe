"""Text that is wrapped, filled in, normalised or shown: `string`, `textwrap`, `shlex`, `pprint` and kin."""

from __future__ import annotations

import ast
import string
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from taint.carriers.containers import ATOMIC
from taint.carriers.coverage import flat
from taint.carriers.operations import coverage_of
from taint.carriers.text import TaintedStr, join_pieces
from taint.carriers.values import labels_of
from taint.guard import report_internal_error
from taint.propagation.follow import (
    by_characters,
    carry_texts,
    exact,
    followed,
    is_plain,
    labels_in_call,
    lazily,
    lost,
    on_all,
    piecewise,
)
from taint.propagation.patches import ForCarriers, Patch, Standing, Swap, Wrapper, patches_in
from taint.propagation.regex import TaintedPattern, seeing_patterns
from taint.propagation.streams import stream_swaps

__all__ = ["patches"]


class _Recorder:
    """Stands for a `string.Formatter` while it works, and takes note of literals and formatted fields."""

    def __init__(self, formatter: Any) -> None:
        self._formatter = formatter
        self.pieces: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._formatter, name)

    def parse(self, template: str) -> Iterator[Any]:
        for literal, *field in self._formatter.parse(template):
            if literal:
                self.pieces.append(literal)
            yield (literal, *field)

    def format_field(self, value: Any, spec: str) -> Any:
        piece = self._formatter.format_field(value, spec)
        self.pieces.append(piece)
        return piece


def _vformat(wrapped: Callable[..., Any], formatter: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if type(formatter) is _Recorder:
        return wrapped(*args, **kwargs)
    recorder = _Recorder(formatter)
    value, automatic = wrapped.__func__(recorder, *args, **kwargs)  # type: ignore[attr-defined]  # A bound method.
    if not labels_of(recorder.pieces):
        return value, automatic
    joined = join_pieces(recorder.pieces)
    return (joined if joined == value else carry_texts(value, labels_of(recorder.pieces))), automatic


class _Filled:
    """Stands for a `string.Template` while it is filled in, with a pattern that carries."""

    def __init__(self, template: Any) -> None:
        self._template = template
        self.pattern = TaintedPattern(template.pattern)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._template, name)


def _substituted(wrapped: Callable[..., Any], template: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if is_plain(template.template) and is_plain(args) and is_plain(kwargs):
        return wrapped(*args, **kwargs)
    return wrapped.__func__(_Filled(template), *args, **kwargs)  # type: ignore[attr-defined]  # A bound method.


def _before_substituted(native: Callable[..., Any], concerned: Callable[..., Any]) -> Callable[..., Any]:
    """Fill a plain template in with what brings no label."""

    def substitute(template: Any, /, *args: Any, **kwargs: Any) -> Any:
        if args or type(template.template) is not str:
            return concerned(template, *args, **kwargs)
        for value in kwargs.values():
            if type(value) not in ATOMIC:
                return concerned(template, **kwargs)
        return native(template, **kwargs)

    return substitute


@ForCarriers
def _dedented(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    text = args[0] if args else kwargs.get("text")
    return (seeing_patterns(wrapped) if type(text) is TaintedStr else wrapped)(*args, **kwargs)


def _wrapped_lines(value: Any, native: Callable[..., Any], args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Any:
    """Rule of `TextWrapper.wrap`: only white space comes and goes between the characters."""
    text, wrapper = args[0], native.__self__  # type: ignore[attr-defined]  # A bound method.
    indents = [wrapper.initial_indent, *([wrapper.subsequent_indent] * len(value))]
    bodies, ends = [], []
    for indent, line in zip(indents, value, strict=False):
        body = line.removeprefix(indent)
        end = ""
        if wrapper.max_lines is not None and line is value[-1] and body.endswith(wrapper.placeholder.strip()):
            end = wrapper.placeholder.strip()
            body = body.removesuffix(end)
        bodies.append(body)
        ends.append((line[: len(line) - len(body) - len(end)], end))
    lines = by_characters(text, bodies, string.whitespace)
    return [before + line + after for (before, after), line in zip(ends, lines, strict=True)]


@ForCarriers
def _fill(wrapped: Callable[..., Any], wrapper: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    text = args[0] if args else kwargs.get("text")
    if type(text) is not TaintedStr:
        return wrapped(*args, **kwargs)
    pieces: list[str] = []
    for line in wrapper.wrap(text):
        pieces += ("\n", line)
    return join_pieces(pieces[1:]) if pieces else ""


def _shorten(value: Any, _native: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    end = exact(kwargs.get("placeholder", " [...]"))
    body = value.removesuffix(end)
    if body == value:
        end = ""
    [line] = by_characters(args[0], [body], string.whitespace)
    return line + end


def _indent(value: Any, _native: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Rule of `textwrap.indent`: each line is there whole, with the prefix or without."""
    pieces: list[Any] = []
    prefix = args[1] if len(args) > 1 else kwargs["prefix"]
    lines = args[0].splitlines(True)  # noqa: FBT003  # Its only argument.
    for line, built in zip(lines, value.splitlines(keepends=True), strict=True):
        pieces += [prefix, line] if built != exact(line) else [line]
    joined = join_pieces(pieces)
    return joined if joined == value else carry_texts(value, labels_in_call(args, kwargs))


def _normalize(value: Any, native: Callable[..., Any], args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Any:
    return piecewise(value, lambda piece: native(exact(args[0]), piece), args[1])


def _joined_words(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Rule of `shlex.join`: quoted words with a space between."""
    words = list(args[0] if args else kwargs["split_command"])
    value = wrapped(words)
    if not labels_of(words):
        return value
    pieces: list[Any] = []
    for word in words:
        pieces += (" ", wrapped.__globals__["quote"](word))
    joined = join_pieces(pieces[1:])
    return joined if joined == value else carry_texts(value, labels_of(words))


def _quoted(value: Any, native: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Rule of `shlex.quote`: as it is, or between quotes with those inside escaped."""
    text = args[0] if args else kwargs["s"]
    if value == exact(text):
        return text
    # A space makes a stretch be quoted for sure, and stands just before its end.
    return value[0] + piecewise(value[1:-1], lambda piece: native(piece + " ")[1:-2], text) + value[-1]


def _literal(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Read the literal with `ast`, which knows where each constant stands."""
    text = args[0] if args else kwargs.get("node_or_string")
    if type(text) is not TaintedStr:
        return wrapped(*args, **kwargs)
    source = text.lstrip(" \t")
    tree = ast.parse(exact(source), mode="eval")
    try:
        lines = source.encode().splitlines(True)  # noqa: FBT003  # Its only argument.
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
                first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
                parts = [lines[at] for at in range(first, last + 1)]
                parts[-1] = parts[-1][: node.end_col_offset]
                parts[0] = parts[0][node.col_offset :]
                inside = parts[0][1:-1].decode() if len(parts) == 1 else None
                if inside is not None and isinstance(node.value, str) and exact(inside) == node.value:
                    node.value = inside
                else:
                    node.value = carry_texts(node.value, labels_of(parts))
    except Exception as error:  # noqa: BLE001  # Whatever fails here, the program gets its value.
        report_internal_error("reading a literal", error)
        return carry_texts(wrapped(exact(text)), flat(coverage_of(text)))
    return wrapped(tree)


_ON_ALL = followed(on_all)
_SHOWN = followed(on_all, deep=True, plain=False)
_WRAPPERS: dict[str, dict[str, Wrapper]] = {
    "string": {
        "Formatter._vformat": _vformat,
        "capwords": _ON_ALL,
        **dict.fromkeys(
            ("Template.substitute", "Template.safe_substitute"), Standing(_substituted, _before_substituted)
        ),
    },
    "textwrap": {
        "TextWrapper.wrap": followed(_wrapped_lines),
        "TextWrapper.fill": _fill,
        "shorten": followed(_shorten),
        "indent": followed(_indent),
        "dedent": _dedented,
    },
    "unicodedata": {
        "normalize": followed(_normalize),
        **dict.fromkeys(("name", "lookup", "decomposition", "category", "bidirectional", "east_asian_width"), _ON_ALL),
        **{name: lost(f"unicodedata.{name}") for name in ("decimal", "digit", "numeric", "combining", "mirrored")},
    },
    "shlex": {"join": _joined_words, "quote": followed(_quoted)},
    "pprint": {"PrettyPrinter.format": _SHOWN, "saferepr": _SHOWN},
    "reprlib": {"Repr.repr1": _SHOWN},
    "ast": {"literal_eval": _literal},
    "locale": {
        **dict.fromkeys(("format_string", "currency", "delocalize", "localize", "normalize", "strxfrm"), _ON_ALL),
        "atof": lost("locale.atof"),
        "atoi": lost("locale.atoi"),
    },
    "difflib": {
        **dict.fromkeys(("ndiff", "unified_diff", "context_diff", "restore", "diff_bytes"), lazily),
        **dict.fromkeys(("HtmlDiff.make_file", "HtmlDiff.make_table"), _SHOWN),
    },
    "stringprep": dict.fromkeys(("map_table_b2", "map_table_b3"), _ON_ALL),
}


def patches(module: ModuleType) -> Iterator[Patch | Swap]:
    """Give what there is to wrap in one of these modules."""
    yield from patches_in(module, _WRAPPERS[module.__name__])
    if module.__name__ in ("shlex", "pprint"):
        yield from stream_swaps(module)
