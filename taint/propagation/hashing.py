"""`hashlib` and `hmac`: a digest of a labelled value is labelled.

Hashing does not declassify: platforms match people by the hash of their phone number. A hash object
is a C object that nothing can be added to, so that each is given out in a `TaintedProxy`, also where
nothing labelled has gone in yet: `h = sha256(salt); h.update(phone)`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from taint.carriers import observation
from taint.carriers.proxy import TaintedProxy, carry, unwrapped
from taint.carriers.values import labels_of
from taint.labels import NO_LABELS, Labels
from taint.propagation.patches import Patch, patches_in

__all__ = ["patches"]


def _labels(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Labels:
    labels = NO_LABELS
    for value in (*args, *kwargs.values()):
        labels |= labels_of(value)
    return labels


def _call(wrapped: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return wrapped(*map(unwrapped, args), **{name: unwrapped(value) for name, value in kwargs.items()})


def _hash_object(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return TaintedProxy(_call(wrapped, args, kwargs), _labels(args, kwargs))


def _file_digest(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    content = getattr(args[0], "getvalue", None) if args else None
    labels = labels_of(content()) if content is not None else NO_LABELS
    return TaintedProxy(wrapped(*args, **kwargs), labels)


def _compared(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if observation.active:
        observation.observe(_labels(args, kwargs), "compare_digest")
    return _call(wrapped, args, kwargs)


def _digest(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return carry(_call(wrapped, args, kwargs), _labels(args, kwargs))


def patches(module: ModuleType) -> Iterator[Patch]:
    """Give what there is to wrap in `hashlib` or `hmac`."""
    if module.__name__ in ("hmac", "secrets"):
        return patches_in(module, {"new": _hash_object, "digest": _digest, "compare_digest": _compared})
    objects = dict.fromkeys((*sorted(hashlib.algorithms_available), "new"), _hash_object)
    objects["file_digest"] = _file_digest
    return patches_in(module, objects | dict.fromkeys(("pbkdf2_hmac", "scrypt"), _digest))
