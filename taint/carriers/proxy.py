"""`TaintedProxy`: labels for what is string-like but neither text nor bytes.

A `wrapt.ObjectProxy` around a UUID, date, Decimal, IP address, path, number, hash object, buffer and
their kin. It is an instance of the value's class for `isinstance`; what its methods, attributes and
operators give back carries the labels on. Where a value has state (a hash object, a buffer), what
is put into it adds its labels to it.
"""

from __future__ import annotations

import array
import copy
import datetime as dt
import decimal
import fractions
import functools
import hashlib
import hmac
import io
import ipaddress
import operator
import pathlib
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import wrapt

from taint.carriers import observation
from taint.carriers.containers import map_leaves, walk
from taint.carriers.coverage import flat, joined
from taint.carriers.identifiers import IDENTIFIERS, number_in
from taint.carriers.number import TaintedInt
from taint.carriers.operations import coverage_of
from taint.carriers.text import TaintedBytes, TaintedStr, carry_bytes, carry_text
from taint.labels import NO_LABELS, Labels

__all__ = [
    "STRING_LIKE",
    "TaintedHash",
    "TaintedProxy",
    "add_labels",
    "bare",
    "carry",
    "exact",
    "is_carrier",
    "labels_of_carrier",
    "unwrapped",
]

_NEVER = (type(None), bool, type(NotImplemented), type(...), type)


class TaintedProxy(wrapt.ObjectProxy):  # type: ignore[type-arg]  # wrapt 1 has no types to name at run time.
    """A value with labels, seen as the value itself.

    Equality, ordering, hash, truth, `repr` and formatting are those of the value.
    """

    _self_labels: Labels

    def __init__(self, wrapped: Any, labels: Labels) -> None:
        """Hold a value and its labels."""
        super().__init__(wrapped)
        self._self_labels = labels

    def __getattr__(self, name: str) -> Any:
        """Give the attribute, labelled; a method gives labelled results."""
        found = getattr(self.__wrapped__, name)
        if callable(found) and not isinstance(found, type):
            return _carrying_method(self, found)
        return carry(found, self._self_labels)

    def __str__(self) -> str:
        """Give the text of the value. Labels: on all of it."""
        text: str = carry(str(self.__wrapped__), self._self_labels)
        return text

    def __repr__(self) -> str:
        """Show the value. Labels: on all of it."""
        text: str = carry(repr(self.__wrapped__), self._self_labels)
        return text

    def __format__(self, spec: str) -> str:
        """Format the value. Labels: on all of it."""
        text: str = carry(format(self.__wrapped__, spec), self._self_labels)
        return text

    def __bytes__(self) -> bytes:
        """Give the bytes of the value. Labels: on all of it."""
        return carry_bytes(bytes(self.__wrapped__), self._self_labels)

    def __fspath__(self) -> str | bytes:
        """Give a path as text. Labels: on all of it.

        Raises:
            TypeError: The value is not a path.
        """
        path: str | bytes = carry(operator.methodcaller("__fspath__")(self.__wrapped__), self._self_labels)
        return path

    def __hash__(self) -> int:
        """Hash as the value; a zone is told."""
        if observation.active:
            observation.observe(self._self_labels, "hash")
        return hash(self.__wrapped__)

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the value, labelling each item."""
        return (carry(item, self._self_labels) for item in self.__wrapped__)

    def __getitem__(self, key: Any) -> Any:
        """Give the item, labelled."""
        return carry(self.__wrapped__[key], self._self_labels)

    def __setitem__(self, key: Any, value: Any) -> None:
        """Put an item in; its labels are added to the whole."""
        _add_labels(self, value)
        self.__wrapped__[key] = unwrapped(value)

    def __contains__(self, value: Any) -> bool:
        """Tell whether a value is inside; a zone is told."""
        _compared(self, value, "in")
        return unwrapped(value) in self.__wrapped__

    def __enter__(self) -> Any:
        """Enter the value; where it gives itself, give this carrier."""
        entered = self.__wrapped__.__enter__()
        return self if entered is self.__wrapped__ else entered

    def __copy__(self) -> Any:
        """Copy the value; the copy carries the labels."""
        return TaintedProxy(copy.copy(self.__wrapped__), self._self_labels)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Copy the value deeply; the copy carries the labels."""
        return TaintedProxy(copy.deepcopy(self.__wrapped__, memo), self._self_labels)

    def __reduce_ex__(self, _protocol: Any) -> Any:
        """Pickle with labels, where the value itself can be pickled."""
        return TaintedProxy, (self.__wrapped__, self._self_labels)


_HASHED = frozenset((TaintedStr, TaintedBytes, TaintedProxy))


class TaintedHash:
    """A hash object that remembers the labels of what went into it.

    A C object that nothing can be added to; without labels this stand-in costs a call for each method.
    """

    __slots__ = ("_native", "labels")

    def __init__(self, native: Any, labels: Labels) -> None:
        """Hold a native hash object, and the labels of what it has hashed."""
        self._native = native
        self.labels = labels

    @property  # type: ignore[misc]  # typeshed: it can be set too.
    def __class__(self) -> Any:
        return type(self._native)

    def __getattr__(self, name: str) -> Any:
        """Give the native attribute: names and sizes."""
        return getattr(self._native, name)

    def __repr__(self) -> str:
        """Show the native object."""
        return repr(self._native)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Refuse to be pickled, as a hash object does."""
        return self._native.__reduce_ex__(protocol)

    @property
    def native(self) -> Any:
        """The hash object itself."""
        return self._native

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Hash more. Labels: are added to those of the object."""
        if len(args) == 1 and not kwargs and type(args[0]) not in _HASHED:
            self._native.update(args[0])
            return
        for value in (*args, *kwargs.values()) if kwargs else args:
            if type(value) in _HASHED:
                self.labels |= labels_of_carrier(value)
                args = tuple(map(unwrapped, args))
        self._native.update(*args, **kwargs)

    def digest(self, *args: Any, **kwargs: Any) -> bytes:
        """Give the digest. Labels: of all that went in."""
        value: bytes = self._native.digest(*args, **kwargs) if args or kwargs else self._native.digest()
        return carry_bytes(value, self.labels) if self.labels else value

    def hexdigest(self, *args: Any, **kwargs: Any) -> str:
        """Give the digest as text. Labels: of all that went in."""
        value: str = self._native.hexdigest(*args, **kwargs) if args or kwargs else self._native.hexdigest()
        return carry_text(value, self.labels) if self.labels else value

    def copy(self) -> TaintedHash:
        """Give another that has hashed the same. Labels: the same."""
        return TaintedHash(self._native.copy(), self.labels)


def is_carrier(value: object) -> bool:
    """Tell whether a value carries labels itself (what is inside a container does not count)."""
    kind = type(value)
    return kind is TaintedStr or kind is TaintedBytes or kind is TaintedProxy or isinstance(value, _CARRIERS)


def labels_of_carrier(value: object) -> Labels:
    """Give the labels that a value carries itself."""
    if isinstance(value, TaintedProxy):
        labels: Labels = value._self_labels
        return labels
    if isinstance(value, TaintedInt) or type(value) is TaintedHash:
        return value.labels
    return flat(coverage_of(value))


def unwrapped(value: Any) -> Any:
    """Give what a proxy holds, and the exact number of an identifier; anything else as it is."""
    if isinstance(value, TaintedProxy):
        return value.__wrapped__
    if type(value) is TaintedHash:
        return value.native
    return int(value) if isinstance(value, TaintedInt) else value


def exact(value: Any) -> Any:
    """Give what a carrier holds, as the exact type; anything else as it is. Labels: left behind."""
    kind = type(value)
    if kind is TaintedStr:
        return str.__str__(value)
    if kind is TaintedBytes:
        return bytes.__getitem__(value, slice(None))
    if kind is TaintedInt:
        return int(value)
    return unwrapped(value)


def bare(value: Any) -> Any:
    """Give what `exact` does, and of a carrier that is of another class too, such as markup, the text alone."""
    if isinstance(value, TaintedStr):
        return str.__str__(value)
    if isinstance(value, TaintedBytes):
        return bytes.__getitem__(value, slice(None))
    return exact(value)


def carry(value: Any, labels: Labels) -> Any:
    """Put labels on all of a value that was derived from labelled ones.

    Labels: joined to those that it has. In a container every text, byte string and string-like value
    inside is labelled. What is not string-like (None, truth values, open files, any other object) is
    given back as it is.
    """
    kind = type(value)
    if kind is str:
        return carry_text(value, labels)
    if kind is bytes:
        return carry_bytes(value, labels)
    if not labels or isinstance(value, _NEVER):
        result = value
    elif isinstance(value, TaintedStr | TaintedBytes):
        result = add_labels(value, labels)
    elif kind is TaintedInt:
        result = value if value.labels >= labels else TaintedInt(int(value), value.labels | labels)
    elif kind is TaintedHash:
        value.labels |= labels
        result = value
    elif isinstance(value, TaintedProxy):
        own = value._self_labels
        result = value if own >= labels else TaintedProxy(value.__wrapped__, own | labels)
    elif isinstance(value, STRING_LIKE):
        inside = number_in(value) if isinstance(value, IDENTIFIERS) else value
        result = TaintedProxy(value, labels | inside.labels if isinstance(inside, TaintedInt) else labels)
    elif isinstance(value, tuple | list | dict | set | frozenset):
        result = map_leaves(value, lambda leaf: carry(leaf, labels))
    else:
        result = value
    return result


def add_labels(value: Any, labels: Labels) -> Any:
    """Add labels to every position of a text or bytes carrier, as a new carrier."""
    coverage = joined(value._coverage, labels, len(value))
    if isinstance(value, str):
        return carry_text(str.__str__(value), coverage)
    return carry_bytes(bytes.__getitem__(value, slice(None)), coverage)


_CARRIERS = (TaintedStr, TaintedBytes, TaintedInt, TaintedProxy, TaintedHash)

STRING_LIKE: tuple[type, ...] = (
    *(int, float, complex, decimal.Decimal, fractions.Fraction, uuid.UUID),
    *(dt.date, dt.time, dt.timedelta),
    *(ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Network, ipaddress.IPv6Network),
    *(ipaddress.IPv4Interface, ipaddress.IPv6Interface, pathlib.PurePath),
    *(bytearray, memoryview, array.array, str, bytes, re.Match, io.StringIO, io.BytesIO),
    *(type(hashlib.sha256()), type(hashlib.blake2b()), type(hashlib.blake2s()), hmac.HMAC),
)
"""What a `TaintedProxy` carries; `str` and `bytes` stand for subclasses of others, such as `Markup` or an enum."""

_STATEFUL = (bytearray, array.array, io.StringIO, io.BytesIO, *STRING_LIKE[-4:])
"""Where a method's arguments stay in the value, so that their labels do too."""


def _add_labels(proxy: TaintedProxy, *values: Any) -> None:
    more = NO_LABELS
    for value in values:
        for _, carrier in walk(value, is_carrier):
            more |= labels_of_carrier(carrier)
    if more:
        proxy._self_labels |= more


def _compared(proxy: TaintedProxy, other: Any, operation: str) -> None:
    if observation.active and other is not None:
        observation.observe(proxy._self_labels | labels_of_carrier(other), operation)


def _carrying_method(proxy: TaintedProxy, method: Callable[..., Any]) -> Callable[..., Any]:
    """Call a method of the value with plain arguments; label what it gives with those of both."""

    @functools.wraps(method, updated=())
    def call(*args: Any, **kwargs: Any) -> Any:
        labels = proxy._self_labels
        for value in (*args, *kwargs.values()):
            labels |= labels_of_carrier(value)
        result = method(*map(unwrapped, args), **{name: unwrapped(value) for name, value in kwargs.items()})
        if isinstance(proxy.__wrapped__, _STATEFUL):
            _add_labels(proxy, *args, *kwargs.values())
        return proxy if result is proxy.__wrapped__ else carry(result, labels)

    return call


def _binary(operation: Callable[[Any, Any], Any]) -> Callable[[TaintedProxy, Any], Any]:
    def method(self: TaintedProxy, other: Any) -> Any:
        result = operation(self.__wrapped__, unwrapped(other))
        return carry(result, self._self_labels | labels_of_carrier(other))

    return method


def _reflected(operation: Callable[[Any, Any], Any]) -> Callable[[TaintedProxy, Any], Any]:
    def method(self: TaintedProxy, other: Any) -> Any:
        result = operation(unwrapped(other), self.__wrapped__)
        return carry(result, self._self_labels | labels_of_carrier(other))

    return method


def _in_place(operation: Callable[[Any, Any], Any]) -> Callable[[TaintedProxy, Any], Any]:
    def method(self: TaintedProxy, other: Any) -> Any:
        wrapped = self.__wrapped__
        result = operation(wrapped, unwrapped(other))
        if result is wrapped:
            _add_labels(self, other)
            return self
        # wrapt would put the result into this proxy, and every other name of it would change too.
        return carry(result, self._self_labels | labels_of_carrier(other))

    return method


def _unary(operation: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: TaintedProxy, *args: Any) -> Any:
        return carry(operation(self.__wrapped__, *args), self._self_labels)

    return method


def _comparison(operation: Callable[[Any, Any], Any], name: str) -> Callable[[TaintedProxy, Any], Any]:
    def method(self: TaintedProxy, other: Any) -> Any:
        _compared(self, other, name)
        return operation(self.__wrapped__, unwrapped(other))

    return method


def _define_operators() -> None:
    """Replace wrapt's operators, which give back plain results."""
    methods: dict[str, Callable[..., Any]] = {}
    for name in (
        "add",
        "sub",
        "mul",
        "truediv",
        "floordiv",
        "mod",
        "pow",
        "lshift",
        "rshift",
        "and",
        "or",
        "xor",
        "matmul",
    ):
        operation = getattr(operator, f"__{name}__")
        methods[f"__{name}__"] = _binary(operation)
        methods[f"__r{name}__"] = _reflected(operation)
        methods[f"__i{name}__"] = _in_place(getattr(operator, f"__i{name}__"))
    methods["__divmod__"], methods["__rdivmod__"] = _binary(divmod), _reflected(divmod)
    for name in ("neg", "pos", "abs", "invert"):
        methods[f"__{name}__"] = _unary(getattr(operator, f"__{name}__"))
    methods["__round__"] = _unary(round)
    for name, sign in (("eq", "=="), ("ne", "!="), ("lt", "<"), ("le", "<="), ("gt", ">"), ("ge", ">=")):
        methods[f"__{name}__"] = _comparison(getattr(operator, f"__{name}__"), sign)
    for name, method in methods.items():
        method.__name__, method.__qualname__ = name, f"{TaintedProxy.__qualname__}.{name}"
        setattr(TaintedProxy, name, method)


_define_operators()
