"""What rewritten expressions call. Each does what stood there before, and keeps the labels.

The value, and every exception, is the native one. Where nothing is labelled each function costs one
call and a test of each operand's type; a method is given back as it is, so that it is called from the
user's own frame. An internal error gives the native result and is reported once.
"""

from __future__ import annotations

import datetime as dt
import decimal
import fractions
import os
import re
import types
import uuid
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping
from typing import Any

from taint.carriers import observation
from taint.carriers.formatting import format_pieces, percent_pieces
from taint.carriers.operations import labels_in
from taint.carriers.proxy import carry, is_carrier, labels_of_carrier, unwrapped
from taint.carriers.text import TaintedBytes, TaintedStr, join_pieces
from taint.carriers.values import labels_of
from taint.guard import report_internal_error
from taint.labels import NO_LABELS, Labels

__all__ = [
    "clean",
    "containers",
    "contains",
    "converted",
    "escaped",
    "formatted",
    "formatted_with_names",
    "joined",
    "method",
    "observation",
    "percent",
    "shown",
    "text_center",
    "text_ljust",
    "text_replace",
    "text_rjust",
    "texts",
    "type_of",
]

type_of = type
texts = frozenset((str, bytes))

_TEXT_CARRIERS = frozenset((TaintedStr, TaintedBytes))
clean = frozenset(
    (
        *(str, bytes, int, float, bool, complex, type(None), range, decimal.Decimal, fractions.Fraction, uuid.UUID),
        *(dt.date, dt.datetime, dt.time, dt.timedelta),
    )
)
"""Exact types whose text holds nothing but the value itself."""

containers = frozenset(
    (list, tuple, dict, set, frozenset, deque, OrderedDict, defaultdict, types.MappingProxyType, types.SimpleNamespace)
)
"""What shows its contents in C code."""

_FLAT = frozenset((list, tuple, set, frozenset, dict))

_bind = types.MethodType
_NATIVE_METHODS = frozenset((type("".join), type(re.compile("").match)))
"""Two types: a C method that is told its defining class is of a subtype, which has no name in `types`."""

_OWN_FILES = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))  # noqa: PTH120  # Compared with co_filename.


def _is_ours(error: BaseException) -> bool:
    """Tell whether an error comes from this library or from C code that it called, and not from a user's function."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and last.tb_frame.f_code.co_filename.startswith(_OWN_FILES)


def _native_after(error: Exception, doing: str, native: Callable[[], Any]) -> Any:
    """Decide on an error in an operation done in pieces: the native operation raises its own, or gives the result."""
    if not _is_ours(error):
        raise error
    result = native()
    report_internal_error(doing, error)
    return result


# Joining


def joined(separator: Any, items: Any, /) -> Any:
    """Do `separator.join(items)` for an exact `str` or `bytes`. Labels: of each item, at its place."""
    kind = type(items)
    if kind is not list and kind is not tuple:
        if not hasattr(kind, "__iter__") and not hasattr(kind, "__getitem__"):
            return separator.join(items)
        items = list(items)
    exact = type(separator)
    for item in items:
        if type(item) is not exact:
            break
    else:
        return separator.join(items)
    value = separator.join(items)
    kinds = set(map(type, items))
    if TaintedStr in kinds or TaintedBytes in kinds:
        try:
            return _carrier_of(separator).join(items)
        except Exception as error:  # noqa: BLE001  # Whatever it is, the program goes on with the native text.
            report_internal_error("joining", error)
    return value


def _carrier_of(value: Any) -> Any:
    """Give a text as a carrier without labels, whose methods ask their arguments."""
    return TaintedStr(value) if type(value) is str else TaintedBytes(value)


# Formatting


def percent(template: Any, args: Any, /) -> Any:
    """Do `template % args`. Labels: of each argument, where it stands."""
    kind = type(template)
    if kind is not str and kind is not bytes:
        return template % args
    if type(args) is tuple:
        for arg in args:
            if type(arg) not in clean and not _is_clean(arg):
                break
        else:
            return template % args
    elif isinstance(args, kind) or _is_clean(args):
        return template % args  # A subclass has the first word, through its `__rmod__`; so has a carrier.
    try:
        pieces = percent_pieces(template, args)
        if pieces is not None:
            return join_pieces(pieces) if pieces else template % args
    except Exception as error:  # noqa: BLE001  # Sorted out by whose it is.
        return _native_after(error, "formatting with %", lambda: template % args)
    return template % args


def formatted(template: Any, /, *args: Any) -> Any:
    """Do `template.format(...)` for an exact `str`. Labels: of each field, where it stands."""
    for arg in args:
        if type(arg) not in clean:
            return _formatted(template, args, {})
    return template.format(*args)


def formatted_with_names(template: Any, /, *args: Any, **kwargs: Any) -> Any:
    """Do `template.format(...)` as `formatted`, with named arguments."""
    for arg in args:
        if type(arg) not in clean:
            return _formatted(template, args, kwargs)
    for arg in kwargs.values():
        if type(arg) not in clean:
            return _formatted(template, args, kwargs)
    return template.format(*args, **kwargs)


def _formatted(template: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        return join_pieces(format_pieces(template, args, kwargs))
    except Exception as error:  # noqa: BLE001  # Sorted out by whose it is.
        return _native_after(error, "formatting", lambda: template.format(*args, **kwargs))


def _formatted_map(template: str, mapping: Mapping[str, Any], /) -> str:
    try:
        return join_pieces(format_pieces(template, None, mapping))
    except Exception as error:  # noqa: BLE001  # Sorted out by whose it is.
        result: str = _native_after(error, "formatting", lambda: template.format_map(mapping))
        return result


# Showing and converting


class _Shown:
    """Stands for a value while C code asks for its text: gives it once, labelled."""

    __slots__ = ("as_text", "labels", "value")

    def __init__(self, as_text: Callable[[Any], str], value: Any, labels: Labels) -> None:
        self.as_text, self.value, self.labels = as_text, value, labels

    def __str__(self) -> str:
        text: str = carry(self.as_text(self.value), self.labels)
        return text

    __repr__ = __str__


def shown(function: Any, value: Any, /) -> Any:
    """Give what `str`, `repr` or `ascii` is to be called with. Labels: of all in a container, on its whole text."""
    if type(value) in containers and (function is str or function is repr or function is ascii):
        labels = _labels_inside(value)
        return _Shown(function, value, labels) if labels else value
    return escaped(value) if function is ascii else value


def escaped(value: Any, /) -> Any:
    """Give what `ascii` is to be called with. Labels: on all of the text."""
    if type(value) in containers or is_carrier(value):
        labels = _labels_inside(value)
        return _Shown(ascii, value, labels) if labels else value
    return value


def _is_clean(value: Any, depth: int = 4) -> bool:
    """Tell, where that is quick, that nothing in a value can be labelled."""
    kind = type(value)
    if kind in clean:
        return True
    if not depth or kind not in _FLAT:
        return False
    for item in (*value, *value.values()) if kind is dict else value:
        if type(item) not in clean and not _is_clean(item, depth - 1):
            return False
    return True


def _labels_inside(value: Any) -> Labels:
    try:
        if _is_clean(value):
            return NO_LABELS
        return labels_of(value)
    except Exception as error:  # noqa: BLE001  # Whatever it is, the program goes on with the native text.
        report_internal_error("looking into a container", error)
        return NO_LABELS


def converted(function: Any, /, *args: Any, **kwargs: Any) -> Any:
    """Do `str(data, encoding)` and `bytes(text, encoding)`. Labels: character for character."""
    value: Any = args[0] if args else None
    if (function is str and type(value) is TaintedBytes) or (function is bytes and type(value) is TaintedStr):
        result = function(*args, **kwargs)
        try:
            return getattr(value, "decode" if function is str else "encode")(*args[1:], **kwargs)
        except Exception as error:  # noqa: BLE001  # The native conversion was right, so that this one is at fault.
            report_internal_error("converting between text and bytes", error)
            return result
    return function(*args, **kwargs)


# Containment


def contains(value: Any, whole: Any, /) -> bool:
    """Do `value in whole`; a zone is told where C code compares two texts."""
    if observation.active and type(whole) in texts and type(value) in _TEXT_CARRIERS:
        observation.observe(labels_in((value,)), "in")
    return value in whole


# Methods of C objects


def method(bound: Any, /) -> Any:
    """Give the method that is to be called: a C object's one that asks its arguments for labels, any other as it is."""
    if type(bound) in _NATIVE_METHODS:
        owner = bound.__self__
        known = _OF_TYPE.get(type(owner))
        if known is not None:
            aspect = known.get(bound.__name__)
            if aspect is not None:
                return _bind(aspect, owner)
    return bound


def _with_carrier(name: str) -> Callable[..., Any]:
    def aspect(owner: Any, /, *args: Any, **kwargs: Any) -> Any:
        for arg in args:
            if type(arg) in _TEXT_CARRIERS:
                break
        else:
            return getattr(owner, name)(*args, **kwargs)
        result = getattr(owner, name)(*args, **kwargs)
        try:
            return getattr(_carrier_of(owner), name)(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  # The native call was right, so that this one is at fault.
            report_internal_error(f"calling {name}", error)
            return result

    return aspect


text_center, text_ljust, text_replace, text_rjust = map(_with_carrier, ("center", "ljust", "replace", "rjust"))


def _of_pattern(name: str) -> Callable[..., Any]:
    native = getattr(re.Pattern, name)

    def aspect(owner: Any, /, *args: Any, **kwargs: Any) -> Any:
        if not kwargs:
            for arg in args:
                if type(arg) not in clean and is_carrier(arg):
                    break
            else:
                return native(owner, *args)
        elif not any(map(is_carrier, (*args, *kwargs.values()))):
            return native(owner, *args, **kwargs)
        labels = NO_LABELS
        for arg in (*args, *kwargs.values()):
            labels |= labels_of_carrier(arg)
        result = native(owner, *map(unwrapped, args), **{key: unwrapped(arg) for key, arg in kwargs.items()})
        if name == "finditer":
            return (carry(match, labels) for match in result)
        if name == "subn":
            return carry(result[0], labels), result[1]
        return carry(result, labels)

    return aspect


_STR = {
    "join": joined,
    "format": formatted_with_names,
    "format_map": _formatted_map,
    "center": text_center,
    "ljust": text_ljust,
    "replace": text_replace,
    "rjust": text_rjust,
}
_OF_TYPE: dict[type, dict[str, Callable[..., Any]]] = {
    str: _STR,
    bytes: {name: aspect for name, aspect in _STR.items() if "format" not in name},
    re.Pattern: {
        name: _of_pattern(name)
        for name in ("match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer")
    },
}
