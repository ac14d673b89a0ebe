"""`uuid` and `ipaddress`: an identifier that is made from a labelled text, and its way back to text.

The classes stay the identical ones, and so do their objects: drivers and C code ask for them. Their
one number is given as an `int` that remembers labels, and what turns it into text or bytes gives
them on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from taint.carriers.containers import ATOMIC
from taint.carriers.identifiers import number_in, put_labels
from taint.carriers.number import TaintedInt
from taint.labels import NO_LABELS
from taint.propagation.follow import carry_texts, exact, labels_in_call
from taint.propagation.patches import Patch, Standing, Unless, Wrapper, patches_in

__all__ = ["patches"]


def _made(wrapped: Callable[..., Any], identifier: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    labels = labels_in_call(args, kwargs)
    if not labels:
        wrapped(*args, **kwargs)
        return
    wrapped(*map(exact, args), **{name: exact(value) for name, value in kwargs.items()})
    put_labels(identifier, labels)


def _from_name(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Wrap `uuid3` and `uuid5`, which hash the name."""
    identifier = wrapped(*args, **kwargs)
    labels = labels_in_call(args, kwargs)
    if labels:
        put_labels(identifier, labels)
    return identifier


def _shown(wrapped: Callable[..., Any], identifier: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    number = number_in(identifier)
    return carry_texts(wrapped(*args, **kwargs), number.labels if type(number) is TaintedInt else NO_LABELS)


def _before_uuid(native: Callable[..., Any], concerned: Callable[..., Any]) -> Callable[..., Any]:
    """Show a UUID whose number has no labels."""

    def shown(identifier: Any, /, *args: Any) -> Any:
        return native(identifier, *args) if type(identifier.int) is int else concerned(identifier, *args)

    return shown


def _before_address(native: Callable[..., Any], concerned: Callable[..., Any]) -> Callable[..., Any]:
    """Show an address whose number has no labels; a network has none of its own."""

    def shown(identifier: Any, /, *args: Any) -> Any:
        number = getattr(identifier, "_ip", None)
        return concerned(identifier, *args) if type(number) is TaintedInt else native(identifier, *args)

    return shown


def _exact_number(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Wrap `__int__`, which may give nothing but an exact `int`: `int()` warns of any subclass."""
    return int(wrapped(*args, **kwargs))


_UUID = ("hex", "urn", "bytes", "bytes_le", "__str__", "__repr__")
_INTERFACES = ("_BaseV4", "_BaseV6", "IPv4Interface", "IPv6Interface")
_ADDRESS = (
    "with_prefixlen",
    "__str__",
    "__repr__",
    "packed",
    "reverse_pointer",
    "exploded",
    "compressed",
    "__format__",
)
_MADE = Unless(_made, ATOMIC)
_WRAPPERS: dict[str, dict[str, Wrapper]] = {
    "uuid": {
        "UUID.__init__": _MADE,
        "UUID.__int__": _exact_number,
        **dict.fromkeys(("uuid3", "uuid5"), _from_name),
        **{f"UUID.{name}": Standing(_shown, _before_uuid) for name in _UUID},
    },
    "ipaddress": {
        "_BaseAddress.__int__": _exact_number,
        **{f"{kind}.__init__": _MADE for kind in ("IPv4Address", "IPv6Address")},
        **{
            f"{kind}.{name}": Standing(_shown, _before_address)
            for kind in ("IPv4Address", "IPv6Address", "_IPAddressBase", "_BaseAddress", *_INTERFACES)
            for name in _ADDRESS
        },
    },
}


def patches(module: ModuleType) -> Iterator[Patch]:
    """Give what there is to wrap in `uuid` or `ipaddress`."""
    return patches_in(module, _WRAPPERS[module.__name__])
