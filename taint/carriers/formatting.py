"""`format` and `%`, done in pieces so that each knows where it came from.

The native operations build their result in C and ask no operand for its labels. These take the same
template apart, call every `__format__`, `__str__` and `__repr__` once, in the same order, and give
the pieces. What cannot be taken apart is left to the native operation, which raises its own error.
"""

from __future__ import annotations

import functools
import re
from _string import formatter_field_name_split, formatter_parser  # type: ignore[import-not-found]  # As `string.Formatter` does.
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from taint.carriers.operations import labels_in
from taint.labels import Labels

__all__ = ["LOOKUPS", "format_pieces", "only_field", "padded_pieces", "percent_pieces"]

_MAX_NESTING = 2  # Of str.format: a field within a format specification, and no deeper.


class _Numbering:
    """Whether fields are numbered by hand or automatically: one template may not mix them."""

    __slots__ = ("automatic", "next")

    def __init__(self) -> None:
        self.automatic: bool | None = None
        self.next = 0

    def resolve(self, first: str | int, *, is_empty: bool) -> str | int:
        if not is_empty and not isinstance(first, int):
            return first
        if self.automatic is None:
            self.automatic = is_empty
        elif self.automatic is not is_empty:
            before, now = ("manual field specification", "automatic field numbering")
            if self.automatic:
                before, now = now, before
            msg = f"cannot switch from {before} to {now}"
            raise ValueError(msg)
        if not is_empty:
            return first
        self.next += 1
        return self.next - 1


Shown = Callable[[Callable[..., str], Any], Any]
"""(`str`, `repr`, `ascii` or `format`, a value) -> what that is to be called with in its place."""


def _as_it_is(_function: Callable[..., str], value: Any) -> Any:
    return value


class _Call(NamedTuple):
    """What one call of `format` was given, and how labels are kept in it."""

    args: Sequence[Any] | None
    kwargs: Mapping[str, Any]
    add: Callable[[str, Labels], str]
    shown: Shown
    numbering: _Numbering


def _argument(name: str, args: Sequence[Any] | None, kwargs: Mapping[str, Any], numbering: _Numbering) -> Any:
    first, rest = formatter_field_name_split(name) if name else ("", ())
    key = numbering.resolve(first, is_empty=first == "")
    if isinstance(key, int):
        if args is None:
            msg = "Format string contains positional fields"
            raise ValueError(msg)
        if key >= len(args):
            msg = f"Replacement index {key} out of range for positional args tuple"
            raise IndexError(msg)
        found = args[key]
    else:
        found = kwargs[key]
    for is_attribute, step in rest:
        found = getattr(found, step) if is_attribute else found[step]
    return found


LOOKUPS = frozenset((_argument.__code__, _Numbering.resolve.__code__))
"""The code that finds the argument of a field: what it raises is what `str.format` raises."""

_CONVERSIONS: dict[str, Callable[[Any], str]] = {"r": repr, "s": str, "a": ascii}


def _formatted(template: str, call: _Call, nesting: int) -> Iterator[str]:
    if nesting < 0:
        msg = "Max string recursion exceeded"
        raise ValueError(msg)
    for literal, name, spec, conversion in formatter_parser(template):
        if literal:
            yield literal
        if name is None:
            continue
        value = _argument(name, call.args, call.kwargs, call.numbering)
        if conversion:
            if conversion not in _CONVERSIONS:
                msg = f"Unknown conversion specifier {conversion!s}"
                raise ValueError(msg)
            convert = _CONVERSIONS[conversion]
            value = convert(call.shown(convert, value))
        else:
            value = call.shown(format, value)
        if spec and "{" in spec:
            parts = list(_formatted(spec, call, nesting - 1))
            yield call.add(format(value, "".join(parts)), labels_in(parts))
        else:
            yield format(value, spec)


def format_pieces(
    template: str,
    args: Sequence[Any] | None,
    kwargs: Mapping[str, Any],
    add: Callable[[str, Labels], str],
    shown: Shown = _as_it_is,
) -> list[str]:
    """Do `template.format(*args, **kwargs)` in pieces.

    Labels: each piece keeps its own, and those of the fields in its specification.

    Args:
        template: An exact `str`.
        args: Positional arguments; None for `format_map`, which has none.
        kwargs: Named arguments; for `format_map` the mapping.
        add: Adds labels to a piece.
        shown: Gives what stands for a value that would be shown without its labels.

    Returns:
        Literals and formatted fields, in order; joined they are the native result.

    Raises:
        ValueError, IndexError, KeyError, AttributeError, TypeError: As `str.format` does.
    """
    return list(_formatted(template, _Call(args, kwargs, add, shown, _Numbering()), _MAX_NESTING - 1))


_SPEC = re.compile(
    r"(?:(?P<fill>.)?(?P<align>[<>^=]))?(?P<zero>0)?(?P<width>\d+)?(?:\.(?P<precision>\d+))?s?", re.DOTALL
)


@functools.lru_cache(maxsize=256)
def _alignment(spec: str) -> tuple[str, int | None] | None:
    found = _SPEC.fullmatch(spec)
    if found is None:
        return None
    precision = found["precision"]
    return found["align"] or "<", int(precision) if precision else None


def padded_pieces(text: str, value: str, spec: str) -> tuple[int, int]:
    """Tell where a text stands in what `format(text, spec)` gave.

    Args:
        text: The text that was formatted.
        value: The result, an exact `str`.
        spec: The specification, one that `str.__format__` accepted.

    Returns:
        How many fill characters are before it, and how many characters of it are there.
    """
    # A specification that is itself labelled must not stay in the cache.
    found = _alignment(spec) if type(spec) is str else _alignment.__wrapped__(spec)
    if found is None:
        return 0, len(value)
    align, precision = found
    kept = len(text) if precision is None else min(len(text), precision)
    pad = len(value) - kept
    return {"<": 0, "=": 0, ">": pad, "^": pad // 2}[align], kept


class _Directive(NamedTuple):
    literal: str
    key: str | None
    flags: str
    width: str
    precision: str | None
    kind: str


_DIRECTIVE = re.compile(
    r"(?P<flags>[-+ #0]*)(?P<width>\*|\d*)(?:\.(?P<precision>\*|\d*))?[hlL]?(?P<kind>[diouxXeEfFgGcrsab%])"
)


class _Template(NamedTuple):
    directives: list[_Directive]
    needed: int
    """How many arguments it takes by position."""
    has_keys: bool

    def is_answered_by(self, args: Any, not_mappings: tuple[type, ...]) -> bool:
        """Tell whether the right side has what is asked for, so that the native operation will not raise."""
        if not self.has_keys and self.needed == (len(args) if isinstance(args, tuple) else 1):
            return True
        return not self.needed and not isinstance(args, not_mappings) and hasattr(type(args), "__getitem__")


def _taken_apart(template: str) -> _Template | None:
    """Take a `%` template apart, the last entry being the literal at its end; None where it is not one."""
    found: list[_Directive] = []
    at = 0
    while (percent := template.find("%", at)) >= 0:
        literal, at, key = template[at:percent], percent + 1, None
        if template[at : at + 1] == "(":
            depth, end = 1, at + 1
            while depth and end < len(template):
                depth += {"(": 1, ")": -1}.get(template[end], 0)
                end += 1
            if depth:
                return None
            key, at = template[at + 1 : end - 1], end
        match = _DIRECTIVE.match(template, at)
        if match is None:
            return None
        found.append(_Directive(literal, key, match["flags"], match["width"], match["precision"], match["kind"]))
        at = match.end()
    found.append(_Directive(template[at:], None, "", "", None, ""))
    needed = sum((d.width == "*") + (d.precision == "*") + (d.kind not in ("", "%")) for d in found if d.key is None)
    return _Template(found, needed, any(d.key is not None for d in found))


_LONGEST_REMEMBERED = 200
_remembered = functools.lru_cache(maxsize=256)(_taken_apart)


@functools.lru_cache(maxsize=256)
def _only_field(template: str) -> int | None:
    parsed = _taken_apart(template)
    if parsed is None or len(parsed.directives) != 2 or parsed.directives[0][1:] != (None, "", "", None, "s"):  # noqa: PLR2004  # The field and what follows it.
        return None
    return len(parsed.directives[0].literal)


def only_field(template: str) -> int | None:
    """Tell where the one plain `%s` of a plain template stands, where that is all it has."""
    return _only_field(template) if len(template) <= _LONGEST_REMEMBERED else None


def _as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else b"%b" % (value,)


def _as_ascii(value: Any) -> bytes:
    return ascii(value).encode()


_OF_TEXT: tuple[Any, Callable[[str], Any], dict[str, Callable[[Any], Any]], tuple[type, ...]] = (
    str.__mod__,
    str,
    {"s": str, "r": repr, "a": ascii},
    (tuple, str),
)
_OF_BYTES: tuple[Any, Callable[[str], Any], dict[str, Callable[[Any], Any]], tuple[type, ...]] = (
    bytes.__mod__,
    functools.partial(bytes, encoding="latin-1"),
    {"s": _as_bytes, "b": _as_bytes, "r": _as_ascii, "a": _as_ascii},
    (tuple, str, bytes, bytearray),
)


_SHOWING: dict[Any, Callable[..., str]] = {str: str, repr: repr, ascii: ascii, _as_ascii: ascii}
"""What a conversion asks for the text of any value."""


def percent_pieces(template: Any, args: Any, *, remember: bool = True, shown: Shown = _as_it_is) -> list[Any] | None:
    """Do `template % args` in pieces.

    Labels: each piece keeps its own. What a number becomes is a plain text.

    Args:
        template: An exact `str` or `bytes`.
        args: The right side: a tuple, a mapping or one value.
        remember: Keep what the template amounts to; not where it is itself labelled.
        shown: As of `format_pieces`.

    Returns:
        The pieces, of the template's type; None where the native operation is to be asked instead,
        because it will raise.
    """
    is_text = isinstance(template, str)
    source: str = template if is_text else template.decode("latin-1")
    native, exact, conversions, not_mappings = _OF_TEXT if is_text else _OF_BYTES
    parsed = (_remembered if remember and len(source) <= _LONGEST_REMEMBERED else _taken_apart)(source)
    if parsed is None or not parsed.is_answered_by(args, not_mappings):
        return None
    given = iter(args if isinstance(args, tuple) else (args,))
    pieces: list[Any] = []
    for literal, key, flags, width, precision, kind in parsed.directives:
        if literal:
            pieces.append(exact(literal))
        if not kind:
            break
        if kind == "%":
            pieces.append(exact(kind))
            continue
        stars = [next(given) for size in (width, precision) if size == "*"]
        value = args[exact(key)] if key is not None else next(given)
        convert = conversions.get(kind)
        if convert in _SHOWING:
            value = shown(_SHOWING[convert], value)
        if convert is not None and not flags and not width and precision is None:
            pieces.append(convert(value))
            continue
        spec = f"%{flags}{width}" + ("" if precision is None else f".{precision}")
        if convert is None:
            pieces.append(native(exact(spec + kind), (*stars, value)))
            continue
        piece = convert(value)
        padded = native(exact(spec + "s"), (*stars, piece))
        limit = stars[-1] if precision == "*" else None if precision is None else int(precision or 0)
        kept = piece if limit is None else piece[: max(limit, 0)]
        pad = exact(" " * (len(padded) - len(kept)))
        is_left = "-" in flags or (width == "*" and stars[0] < 0)
        pieces += (kept, pad) if is_left else (pad, kept)
    return pieces or [exact("")]
