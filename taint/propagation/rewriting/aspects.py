"""What rewritten expressions call. Each does what stood there before, and keeps the labels.

The value, and every exception, is the native one. Where nothing is labelled each function costs one
call and a test of each operand's type; a method is given back as it is, so that it is called from the
user's own frame. An internal error gives the native result and is reported once.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import fractions
import os
import re
import reprlib
import types
import uuid
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping
from typing import Any

from taint.carriers import observation
from taint.carriers.formatting import LOOKUPS, format_pieces, percent_pieces
from taint.carriers.operations import labels_in
from taint.carriers.proxy import is_carrier, labels_of_carrier
from taint.carriers.text import TaintedBytes, TaintedStr, join_pieces, with_labels
from taint.carriers.values import labels_of
from taint.guard import report_internal_error
from taint.labels import NO_LABELS, Labels
from taint.propagation.regex import TaintedPattern

__all__ = [
    "asking",
    "clean",
    "contains",
    "converted",
    "escaped",
    "format_of",
    "formatted",
    "formatted_with_names",
    "held",
    "held_repr",
    "held_str",
    "joined",
    "method",
    "observation",
    "of_class",
    "percent",
    "shown",
    "specified",
    "text_center",
    "text_ljust",
    "text_replace",
    "text_rjust",
    "texts",
    "type_of",
]

type_of = type
format_of = format
texts = frozenset((str, bytes))

_TEXT_CARRIERS = frozenset((TaintedStr, TaintedBytes))
clean = frozenset(
    (
        *(str, bytes, int, float, bool, complex, type(None), range, decimal.Decimal, fractions.Fraction, uuid.UUID),
        *(dt.date, dt.datetime, dt.time, dt.timedelta),
    )
)
"""Exact types whose text holds nothing but the value itself."""

_CONTAINERS = frozenset(
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
    code = _raised_in(error)
    return code is not None and code.co_filename.startswith(_OWN_FILES)


def _raised_in(error: BaseException) -> types.CodeType | None:
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return None if last is None else last.tb_frame.f_code


def _native_after(error: Exception, doing: str, native: Callable[[], Any]) -> Any:
    """Decide on an error in an operation done in pieces: the native operation raises its own, or gives the result.

    It is called when the error is no longer being handled, so that it does not become the context of the native one.
    """
    if not _is_ours(error) or _raised_in(error) in LOOKUPS:  # A field that is not there, as natively.
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
        items = list(iter(items))  # As `join` itself: nobody is asked for a length.
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
        pieces = percent_pieces(template, args, shown=shown)
        if pieces is not None:
            return join_pieces(pieces) if pieces else template % args
    except Exception as error:  # noqa: BLE001  # Sorted out by whose it is.
        failed = error
    else:
        return template % args
    return _native_after(failed, "formatting with %", lambda: template % args)


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
        return join_pieces(format_pieces(template, args, kwargs, with_labels, shown))
    except Exception as error:  # noqa: BLE001  # Sorted out by whose it is.
        failed = error
    return _native_after(failed, "formatting", lambda: template.format(*args, **kwargs))


def _formatted_map(template: str, mapping: Mapping[str, Any], /) -> str:
    try:
        return join_pieces(format_pieces(template, None, mapping, with_labels, shown))
    except Exception as error:  # noqa: BLE001  # Sorted out by whose it is.
        failed = error
    result: str = _native_after(failed, "formatting", lambda: template.format_map(mapping))
    return result


# Showing and converting


class _Shown:
    """Stands for a value while C code asks for its text: gives it, labelled."""

    __slots__ = ("labels", "value")

    def __init__(self, value: Any, labels: Labels) -> None:
        self.value, self.labels = value, labels

    def __str__(self) -> str:
        return with_labels(str(self.value), self.labels)

    def __repr__(self) -> str:
        return with_labels(repr(self.value), self.labels)

    def __format__(self, spec: str) -> str:
        return with_labels(format(self.value, spec), self.labels)


class _Escaped(_Shown):
    """Stands for a value while `ascii` asks for its `repr`, of which it would make a copy."""

    __slots__ = ()

    def __repr__(self) -> str:
        return with_labels(ascii(self.value), self.labels)


_plain_str: Any = object.__str__
_plain_format: Any = object.__format__


def held(value: Any, /) -> Any:
    """Give what a field of an f-string is to show. Labels: of all that a container shows, on its whole text."""
    kind: Any = type(value)
    # A type with a method of its own, as carriers have, is shown by it.
    if kind in clean or kind.__str__ is not _plain_str or kind.__format__ is not _plain_format:
        return value
    return held_repr(value)


def held_str(value: Any, /) -> Any:
    """Give what `str` is to be called with. Labels: as `held`."""
    kind: Any = type(value)
    return value if kind in clean or kind.__str__ is not _plain_str else held_repr(value)


def held_repr(value: Any, /) -> Any:
    """Give what `repr` is to be called with. Labels: as `held`."""
    kind = type(value)
    if kind in clean or kind in _TEXT_CARRIERS:
        return value
    labels = _labels_shown(value)
    return _Shown(value, labels) if labels else value


def shown(function: Any, value: Any, /) -> Any:
    """Give what `str`, `repr`, `ascii` or `format` is to be called with. Labels: as `held`."""
    if function is str:
        kind: Any = type(value)
        return value if kind in clean or kind.__str__ is not _plain_str else held_repr(value)
    helper = _HELPERS.get(function) if type(function) in _FUNCTIONS else None
    return value if helper is None else helper(value)


def escaped(value: Any, /) -> Any:
    """Give what `ascii` is to be called with. Labels: on all of the text."""
    if type(value) in clean:
        return value
    labels = _labels_shown(value)
    return _Escaped(value, labels) if labels else value


_FUNCTIONS = frozenset((type, types.BuiltinFunctionType))
_HELPERS: dict[Any, Callable[[Any], Any]] = {format: held, str: held_str, repr: held_repr, ascii: escaped}


def specified(value: Any, spec: str, /) -> tuple[Any, str]:
    """Give what `format` is to be called with. Labels: of the specification, on the whole field."""
    if type(spec) is str:
        return value, spec
    labels = labels_in((spec,))
    return (_Shown(value, labels), str.__str__(spec)) if labels else (value, spec)


_NATIVE_REPRS = frozenset(kind.__repr__ for kind in _CONTAINERS)
_COLLECTIONS = collections.Counter.update.__code__.co_filename
_RECURSIVE = frozenset((dataclasses.dataclass.__code__.co_filename, reprlib.recursive_repr.__code__.co_filename))


def _shows_contents(kind: Any) -> bool:
    """Tell whether it is C code or generated code that gives the `repr` of what is of a type."""
    function = kind.__repr__
    code = getattr(function, "__code__", None)
    if code is None:
        return type(function) is types.WrapperDescriptorType and function in _NATIVE_REPRS
    file: str = code.co_filename
    if file in _RECURSIVE and hasattr(kind, "__dataclass_fields__"):
        # What `dataclass` makes is compiled from text, and put into a function that minds cycles.
        inner = [getattr(cell.cell_contents, "__code__", None) for cell in function.__closure__ or ()]
        return any(code is not None and code.co_filename == "<string>" for code in inner)
    return file == _COLLECTIONS or file.startswith("<attrs generated")


def _labels_shown(value: Any) -> Labels:
    """Give the labels of what C code or generated code shows of a value; none where a user's code shows it."""
    kind = type(value)
    try:
        if kind in _FLAT:
            return NO_LABELS if _is_clean(value) else labels_of(value)
        if kind not in _CONTAINERS and not _shows_contents(kind):
            return labels_of_carrier(value) if is_carrier(value) else NO_LABELS
        fields = getattr(kind, "__dataclass_fields__", None)
        if fields and not all(field.repr for field in fields.values()):
            value = [_stored(value, name) for name, field in fields.items() if field.repr]
        return labels_of(value)
    except Exception as error:  # noqa: BLE001  # Whatever it is, the program goes on with the native text.
        report_internal_error("looking into a container", error)
        return NO_LABELS


def _stored(value: Any, name: str) -> Any:
    """Read an attribute without running a user's code."""
    own = getattr(value, "__dict__", {})
    if name in own:
        return own[name]
    slot = getattr(type(value), name, None)
    return slot.__get__(value) if isinstance(slot, types.MemberDescriptorType) else None


def _is_clean(value: Any, depth: int = 4) -> bool:
    """Tell, where that is quick, that nothing in a value can be labelled."""
    kind = type(value)
    if kind in clean:
        return True
    if not depth or kind not in _FLAT:
        return False
    for item in value:
        if type(item) not in clean and not _is_clean(item, depth - 1):
            return False
    if kind is dict:
        for item in value.values():
            if type(item) not in clean and not _is_clean(item, depth - 1):
                return False
    return True


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


def asking(bound: Any, /) -> Any:
    """Give the method that is to be called, as `method`, whose arguments are asked first: mostly that is all."""
    if type(bound) in _NATIVE_METHODS and type(bound.__self__) in _OF_TYPE:
        return _bind(_asked, bound)
    return bound


def _asked(bound: Any, /, *args: Any, **kwargs: Any) -> Any:
    if kwargs:
        return method(bound)(*args, **kwargs)
    for arg in args:
        if type(arg) not in clean:
            return method(bound)(*args)
    return bound(*args)


def of_class(function: Any, /, *args: Any, **kwargs: Any) -> Any:
    """Do `str.upper(x)`. Labels: as `x.upper()`, which is asked of the class of `x` here."""
    if args and type(function) is types.MethodDescriptorType:
        kind = type(args[0])
        if kind in _TEXT_CARRIERS and isinstance(args[0], function.__objclass__):
            return getattr(kind, function.__name__)(*args, **kwargs)
        if kind is function.__objclass__:
            return method(function.__get__(args[0]))(*args[1:], **kwargs)
    return function(*args, **kwargs)


def _with_carrier(name: str) -> Callable[..., Any]:
    def aspect(owner: Any, /, *args: Any, **kwargs: Any) -> Any:
        for arg in args:
            if type(arg) in _TEXT_CARRIERS:
                break
        else:
            return getattr(owner, name)(*args, **kwargs) if kwargs else getattr(owner, name)(*args)
        result = getattr(owner, name)(*args, **kwargs)
        try:
            return getattr(_carrier_of(owner), name)(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  # The native call was right, so that this one is at fault.
            report_internal_error(f"calling {name}", error)
            return result

    return aspect


text_center, text_ljust, text_replace, text_rjust = map(_with_carrier, ("center", "ljust", "replace", "rjust"))


_OF_PATTERN = {
    **dict.fromkeys(("match", "fullmatch", "search", "findall", "finditer", "scanner"), ("string", "pos", "endpos")),
    "split": ("string", "maxsplit"),
    **dict.fromkeys(("sub", "subn"), ("repl", "string", "count")),
}


def _of_pattern(name: str, takes: tuple[str, ...]) -> Callable[..., Any]:
    native = getattr(re.Pattern, name)
    needed = frozenset(takes[: takes.index("string") + 1])

    def aspect(owner: Any, /, *args: Any, **kwargs: Any) -> Any:
        for arg in (*args, *kwargs.values()) if kwargs else args:
            if type(arg) not in clean and (is_carrier(arg) or callable(arg)):
                break
        else:
            return native(owner, *args, **kwargs) if kwargs else native(owner, *args)
        given = {*takes[: len(args)], *kwargs}
        if len(args) + len(kwargs) != len(given) or not needed <= given <= {*takes}:
            return native(owner, *args, **kwargs)  # Which raises.
        return getattr(TaintedPattern(owner), name)(*args, **kwargs)

    aspect.__name__ = name  # Under which pickle finds the native method of one that is kept.
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
    re.Pattern: {name: _of_pattern(name, takes) for name, takes in _OF_PATTERN.items()},
}
