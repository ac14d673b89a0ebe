"""`re`: what is found in a labelled text is labelled, at exact positions.

The module's functions are wrapped. A compiled pattern is a C object that nothing can be added to, and
stays one: a program that compiles many runs at its own speed. Its methods, called on a labelled text,
are followed in packages that are rewritten, and where the standard library does it for the program; in
other code what they find is plain, and a zone is not told of it. A pattern whose own text is labelled
comes in a `TaintedPattern`, and a match in a labelled text in a `TaintedMatch`. Both are the native ones
for `isinstance`.

A template is expanded, and a user's function called, as often as natively.
"""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from taint.carriers import observation
from taint.carriers.coverage import concatenated, cut
from taint.carriers.operations import coverage_of
from taint.carriers.proxy import TaintedProxy
from taint.carriers.text import TaintedBytes, TaintedStr, join_pieces
from taint.carriers.values import labels_of
from taint.guard import report_internal_error
from taint.labels import Labels
from taint.propagation.follow import CARRIERS, carry_texts, covered, exact, followed, on_all, through
from taint.propagation.patches import ForCarriers, Patch, Unless, Wrapper, patches_in

__all__ = ["TaintedMatch", "TaintedPattern", "patches", "seeing_patterns"]

_END = sys.maxsize
_TEXTS = (TaintedStr, TaintedBytes)
_PLAIN = frozenset((str, bytes, int, re.RegexFlag, re.Pattern))
"""What cannot bring a label into a call; a function that replaces can."""

_TOKEN = re.compile(r"\\g<[^>]*>|\\0[0-7]{0,2}|\\[0-3][0-7]{2}|\\[1-9][0-9]?|\\.|[^\\]+", re.DOTALL)


class TaintedMatch(TaintedProxy):
    """A match in a labelled text: its groups carry the labels of where they were found."""

    _self_text: Any
    _self_pattern: Any

    def __init__(self, match: re.Match[Any], text: Any, pattern: Any) -> None:
        """Hold a native match and the labelled text it was found in."""
        super().__init__(match, labels_of(text))
        self._self_text, self._self_pattern = text, pattern

    def __getattr__(self, name: str) -> Any:
        """Give the native attribute: positions and counts, which are no text."""
        return getattr(self.__wrapped__, name)

    @property
    def string(self) -> Any:
        """The text that was searched."""
        return self._self_text

    @property
    def re(self) -> Any:
        """The pattern that found it."""
        return self._self_pattern

    def one(self, group: Any, default: Any = None) -> Any:
        """Give one group, or a default where it took no part."""
        start, stop = self.__wrapped__.span(group)
        return default if start < 0 else self._self_text[start:stop]

    def __getitem__(self, group: Any) -> Any:
        """Give a group. Labels: those of its positions."""
        return self.one(group)

    def group(self, *groups: Any) -> Any:
        """Give one or several groups. Labels: those of their positions."""
        if len(groups) > 1:
            return tuple(map(self.one, groups))
        return self.one(*(groups or (0,)))

    def groups(self, default: Any = None) -> tuple[Any, ...]:
        """Give all groups. Labels: those of their positions."""
        return tuple(self.one(group, default) for group in range(1, self.__wrapped__.re.groups + 1))

    def groupdict(self, default: Any = None) -> dict[str, Any]:
        """Give all named groups. Labels: those of their positions."""
        return {name: self.one(group, default) for name, group in self.__wrapped__.re.groupindex.items()}

    def expand(self, template: Any) -> Any:
        """Fill a template. Labels: of groups and literals, where they stand."""
        return _expanded(self, template, self.__wrapped__.expand(exact(template)))

    def __copy__(self) -> Any:
        """Give the match itself, as for every immutable value."""
        return self

    def __deepcopy__(self, _memo: object) -> Any:
        """Give the match itself, as for every immutable value."""
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Refuse to be pickled, as a match does."""
        return self.__wrapped__.__reduce_ex__(protocol)


def _expanded(match: TaintedMatch, template: Any, value: Any) -> Any:
    """Label what a template became, by expanding it token by token."""
    is_text = isinstance(value, str)
    plain = exact(template) if is_text else exact(template).decode("latin-1")
    pieces: list[Any] = []
    for token in _TOKEN.finditer(plain):
        own = coverage_of(template)
        literal = template[slice(*token.span())]
        if token[0][0] != "\\":
            pieces.append(literal)
            continue
        piece = match.__wrapped__.expand(exact(literal))
        name = token[0][3:-1] if token[0][1] == "g" else token[0][1:]
        try:
            group = match.one(int(name) if name.isdigit() else name) if token[0][1] != "0" else None
        except (IndexError, AttributeError):
            group = None
        if group is not None and exact(group) == piece:
            piece = group
        pieces.append(piece if own is None else carry_texts(piece, labels_of(literal)))
    if not pieces:
        return value
    joined = join_pieces(pieces)
    return joined if joined == value else carry_texts(value, labels_of(match) | labels_of(template))


class TaintedPattern:
    """A compiled pattern whose results carry the labels of the text that is searched."""

    __slots__ = ("_native", "_text")

    def __init__(self, pattern: Any, text: Any = None) -> None:
        """Hold a compiled pattern and, where it is labelled, the text of the pattern."""
        self._native: Any = getattr(pattern, "native", pattern)
        self._text = text

    @property  # type: ignore[misc]  # typeshed: it can be set too.
    def __class__(self) -> Any:
        """The native class, for `isinstance`."""
        return type(self._native)

    def __getattr__(self, name: str) -> Any:
        """Give the native attribute: flags, number and names of groups."""
        return getattr(self._native, name)

    @property
    def native(self) -> Any:
        """The compiled pattern itself."""
        return self._native

    @property
    def shown(self) -> Any:
        """What a match says that it was found by: the pattern itself, unless its own text is labelled."""
        return self._native if self._text is None else self

    @property
    def pattern(self) -> Any:
        """The text of the pattern."""
        return self._native.pattern if self._text is None else self._text

    def __repr__(self) -> str:
        """Show the native pattern."""
        return repr(self._native)

    def __eq__(self, other: object) -> bool:
        """Compare as the native pattern does."""
        return bool(self._native == (other._native if type(other) is TaintedPattern else other))

    def __hash__(self) -> int:
        """Hash as the native pattern does."""
        return hash(self._native)

    def __copy__(self) -> Any:
        """Give the pattern itself, as for every immutable value."""
        return self

    def __deepcopy__(self, _memo: object) -> Any:
        """Give the pattern itself, as for every immutable value."""
        return self

    def __reduce_ex__(self, _protocol: Any) -> Any:
        """Pickle as the native pattern does; it is compiled anew where it is read."""
        return re.compile, (self.pattern, self._native.flags)

    def match(self, string: Any, pos: Any = 0, endpos: Any = _END) -> Any:
        """Match at the beginning."""
        return _found(self, string, self._native.match(string, pos, endpos))

    def fullmatch(self, string: Any, pos: Any = 0, endpos: Any = _END) -> Any:
        """Match all of it."""
        return _found(self, string, self._native.fullmatch(string, pos, endpos))

    def search(self, string: Any, pos: Any = 0, endpos: Any = _END) -> Any:
        """Find the first match."""
        return _found(self, string, self._native.search(string, pos, endpos))

    def finditer(self, string: Any, pos: Any = 0, endpos: Any = _END) -> Any:
        """Find all matches, one by one."""
        found = self._native.finditer(string, pos, endpos)
        return (TaintedMatch(match, string, self.shown) for match in found) if type(string) in CARRIERS else found

    def findall(self, string: Any, pos: Any = 0, endpos: Any = _END) -> list[Any]:
        """Give the texts of all matches."""
        if type(string) not in CARRIERS:
            return self._native.findall(string, pos, endpos)  # type: ignore[no-any-return]  # A native list.
        return _findall(self, string, pos, endpos)

    def split(self, string: Any, maxsplit: Any = 0) -> list[Any]:
        """Split at the matches."""
        parts: list[Any] = self._native.split(exact(string), maxsplit)
        return _split(self, string, maxsplit, parts) if type(string) in CARRIERS else parts

    def sub(self, repl: Any, string: Any, count: Any = 0) -> Any:
        """Replace the matches."""
        return self._replaced("sub", repl, string, count)

    def subn(self, repl: Any, string: Any, count: Any = 0) -> Any:
        """Replace the matches and count them."""
        return self._replaced("subn", repl, string, count)

    def _replaced(self, name: str, repl: Any, string: Any, count: Any) -> Any:
        native = getattr(self._native, name)
        if callable(repl):
            return _sub_function(self, native, repl, string, count)
        value = native(exact(repl), exact(string), count)
        if type(string) not in CARRIERS and type(repl) not in CARRIERS:
            return value
        return _sub_template(self, value, repl, string, count)

    def scanner(self, string: Any, pos: Any = 0, endpos: Any = _END) -> Any:
        """Give a scanner, whose matches follow each other."""
        scanner = self._native.scanner(string, pos, endpos)
        return _Scanner(self, string, scanner) if type(string) in _TEXTS else scanner


class _Scanner:
    """A native scanner over a labelled text."""

    def __init__(self, pattern: TaintedPattern, string: Any, scanner: Any) -> None:
        self.pattern, self._owner, self._string, self._native = pattern.shown, pattern, string, scanner

    def match(self) -> Any:
        return _found(self._owner, self._string, self._native.match())

    def search(self) -> Any:
        return _found(self._owner, self._string, self._native.search())


def _found(pattern: Any, string: Any, match: Any) -> Any:
    if observation.active:  # To look for a text by a pattern is to compare it: a zone is told.
        observation.observe(labels_of(string) | labels_of(pattern.pattern), "match")
    return match if match is None or type(string) not in _TEXTS else TaintedMatch(match, string, pattern.shown)


def _findall(pattern: TaintedPattern, string: Any, pos: Any, endpos: Any) -> list[Any]:
    """Do what `findall` is documented to do: no group, one group, a tuple of groups."""
    native = pattern.native
    count, empty = native.groups, exact(string)[:0]
    found = []
    for match in native.finditer(string, pos, endpos):
        spans = [match.span(group) for group in (range(1, count + 1) if count else (0,))]
        texts = [string[start:stop] if start >= 0 else empty for start, stop in spans]
        found.append(tuple(texts) if count > 1 else texts[0])
    return found


def _split(pattern: TaintedPattern, string: Any, maxsplit: Any, value: list[Any]) -> list[Any]:
    native, parts, at = pattern.native, [], 0
    for done, match in enumerate(native.finditer(exact(string))):
        if maxsplit and done >= maxsplit:
            break
        start, stop = match.span()
        parts.append(string[at:start])
        for group in range(1, native.groups + 1):
            first, last = match.span(group)
            parts.append(None if first < 0 else string[first:last])
        at = stop
    parts.append(string[at:])
    return parts if parts == value else carry_texts(value, labels_of(string))


def _labelled(value: Any, string: Any, put: list[tuple[int, int, Any]]) -> Any:
    """Label the result of replacing parts (start, stop, replacement) of a text."""
    text = value[0] if isinstance(value, tuple) else value
    own, at, pieces = coverage_of(string), 0, []
    for start, stop, replacement in put:
        pieces += [(cut(own, at, start), start - at), (coverage_of(replacement), len(replacement))]
        at = stop
    pieces.append((cut(own, at, len(string)), len(string) - at))
    if sum(length for _, length in pieces) == len(text):
        text = covered(text, concatenated(pieces))
    else:
        text = carry_texts(text, labels_of([string, *(replacement for _, _, replacement in put)]))
    return (text, value[1]) if isinstance(value, tuple) else text


def _sub_function(pattern: TaintedPattern, native: Callable[..., Any], repl: Any, string: Any, count: Any) -> Any:
    put: list[tuple[int, int, Any]] = []
    is_labelled = type(string) in CARRIERS

    def replace(match: re.Match[Any]) -> Any:
        replacement = repl(TaintedMatch(match, string, pattern.shown) if is_labelled else match)
        put.append((*match.span(), exact(string)[:0] if replacement is None else replacement))
        return exact(replacement)

    value = native(replace, string, count)
    if not is_labelled and not any(type(replacement) in CARRIERS for _, _, replacement in put):
        return value
    return _guarded(lambda: _labelled(_exact_first(value), string, put), value, labels_of(string))


def _exact_first(value: Any) -> Any:
    return (exact(value[0]), value[1]) if isinstance(value, tuple) else exact(value)


def _sub_template(pattern: TaintedPattern, value: Any, repl: Any, string: Any, count: Any) -> Any:
    put: list[tuple[int, int, Any]] = []

    def replace(match: re.Match[Any]) -> Any:
        expansion = TaintedMatch(match, string, pattern.shown).expand(repl)
        put.append((*match.span(), expansion))
        return exact(expansion)

    def label() -> Any:
        pattern.native.sub(replace, exact(string), count)
        return _labelled(value, string, put)

    return _guarded(label, value, labels_of(string) | labels_of(repl))


def _guarded(label: Callable[[], Any], value: Any, labels: Labels) -> Any:
    try:
        return label()
    except Exception as error:  # noqa: BLE001  # Whatever fails here, the program gets its value.
        report_internal_error("following a regular expression", error)
        return carry_texts(value, labels)


def _compile(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Compile from exact text, whose cache knows nothing of labels; the pattern remembers its own text."""
    text = args[0] if args else kwargs.get("pattern")
    compiled = wrapped(*map(exact, args), **{name: exact(value) for name, value in kwargs.items()})
    return TaintedPattern(compiled, text) if type(text) in _TEXTS else compiled


def _function(name: str) -> Wrapper:
    """Wrap a function of the module: with labels it goes the way of the compiled pattern."""
    names = {"sub": ("pattern", "repl", "string", "count"), "subn": ("pattern", "repl", "string", "count")}.get(
        name, ("pattern", "string", "maxsplit") if name == "split" else ("pattern", "string")
    )

    def wrapper(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        is_concerned = any(type(value) in CARRIERS or type(value) is TaintedPattern for value in args)
        is_concerned = is_concerned or (len(args) > 1 and callable(args[1]))
        if not is_concerned and not any(type(value) in CARRIERS or callable(value) for value in kwargs.values()):
            return wrapped(*args, **kwargs)
        given = dict(zip((*names, "flags"), args, strict=False)) | kwargs
        flags = given.pop("flags", 0)
        if len(args) > len(names) + 1 or not set(names[:2]) <= given.keys() <= set(names):
            return wrapped(*args, **kwargs)  # Which raises.
        pattern = given.pop("pattern")
        text = pattern if type(pattern) in _TEXTS else None
        if type(pattern) is not TaintedPattern or flags:
            compiled: Any = re.compile(getattr(pattern, "native", pattern) if text is None else exact(text), flags)
            pattern = TaintedPattern(compiled, text)
        return getattr(pattern, name)(**given)

    return Unless(wrapper, _PLAIN)


def patches(module: ModuleType) -> Iterator[Patch]:
    """Give what there is to wrap in `re`, or in `fnmatch`, whose caches are keyed by the text."""
    if module.__name__ == "fnmatch":
        return patches_in(module, {"translate": followed(on_all)})
    functions = ("match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer")
    wrappers: dict[str, Wrapper] = {"compile": ForCarriers(_compile), "escape": followed(through)}
    return patches_in(module, wrappers | {name: _function(name) for name in functions})


def seeing_patterns(function: Callable[..., Any], **names: Any) -> Callable[..., Any]:
    """Give a copy of a library's own function that sees, in its module, patterns which carry.

    Args:
        function: A Python function, or a method of one object.
        names: Other names that it is to see instead of the module's.
    """
    native: Any = getattr(function, "__func__", function)
    patterns = {name: TaintedPattern(value) for name, value in native.__globals__.items() if type(value) is re.Pattern}
    copy = types.FunctionType(
        native.__code__,
        {**native.__globals__, **patterns, **names},
        native.__name__,
        native.__defaults__,
        native.__closure__,
    )
    copy.__kwdefaults__ = native.__kwdefaults__
    return copy if native is function else types.MethodType(copy, function.__self__)  # type: ignore[attr-defined]  # Bound.
