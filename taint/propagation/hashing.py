"""`hashlib` and `hmac`: a digest of a labelled value is labelled.

Hashing does not declassify: platforms match people by the hash of their phone number. A hash object
is a C object that nothing can be added to, so that each is given out in a `TaintedHash`, also where
nothing labelled has gone in yet: `h = sha256(salt); h.update(phone)`. An `hmac.HMAC` is the native one
and holds such a hash object.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

from taint.carriers import observation
from taint.carriers.containers import open_kind
from taint.carriers.proxy import TaintedHash, carry, unwrapped
from taint.carriers.values import labels_of
from taint.labels import NO_LABELS, Labels
from taint.propagation.patches import CARRIERS, ForCarriers, Patch, Wrapper, patches_in

__all__ = ["patches"]


def _labels(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Labels:
    labels = NO_LABELS
    for value in (*args, *kwargs.values()):
        labels |= labels_of(value)
    return labels


def _call(wrapped: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return wrapped(*map(unwrapped, args), **{name: unwrapped(value) for name, value in kwargs.items()})


def _hash_object(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    for value in (*args, *kwargs.values()) if kwargs else args:
        if type(value) in CARRIERS:
            return TaintedHash(_call(wrapped, args, kwargs), _labels(args, kwargs))
    return TaintedHash(wrapped(*args, **kwargs), NO_LABELS)


def _keyed(wrapped: Callable[..., Any], mac: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Let an `HMAC` work with a hash object that remembers labels, in the place of OpenSSL's own or of the two."""
    _call(wrapped, args, kwargs)
    labels = _labels(args, kwargs)
    if mac._hmac is not None:  # noqa: SLF001  # It has slots, and no public one.
        mac._hmac = TaintedHash(mac._hmac, labels)  # noqa: SLF001  # As above.
    else:
        mac._inner = TaintedHash(unwrapped(mac._inner), labels | labels_of(mac._inner))  # noqa: SLF001  # As above.
        mac._outer = TaintedHash(unwrapped(mac._outer), labels)  # noqa: SLF001  # As above.


def _inside_mac(mac: Any) -> Iterable[tuple[str, Any]]:
    return [("", mac._hmac), ("", getattr(mac, "_inner", None))]  # noqa: SLF001  # As above.


def _file_digest(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    content = getattr(args[0], "getvalue", None) if args else None
    labels = labels_of(content()) if content is not None else NO_LABELS
    return TaintedHash(unwrapped(wrapped(*args, **kwargs)), labels)


def _compared(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if observation.active:
        observation.observe(_labels(args, kwargs), "compare_digest")
    return _call(wrapped, args, kwargs)


def _digest(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return carry(_call(wrapped, args, kwargs), _labels(args, kwargs))


_ON_DIGEST = ForCarriers(_digest)


def patches(module: ModuleType) -> Iterator[Patch]:
    """Give what there is to wrap in `hashlib` or `hmac`."""
    if module.__name__ == "hmac":
        open_kind(module.HMAC, _inside_mac)
        wrappers: dict[str, Wrapper] = {
            "HMAC.__init__": _keyed,
            "digest": _ON_DIGEST,
            "compare_digest": ForCarriers(_compared),
        }
        return patches_in(module, wrappers)
    if module.__name__ == "secrets":
        return patches_in(module, {"compare_digest": ForCarriers(_compared)})
    objects: dict[str, Wrapper] = dict.fromkeys((*sorted(hashlib.algorithms_available), "new"), _hash_object)
    objects["file_digest"] = _file_digest
    return patches_in(module, objects | dict.fromkeys(("pbkdf2_hmac", "scrypt"), _ON_DIGEST))
