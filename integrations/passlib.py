"""passlib: a labelled password is hashed and verified as a plain one, and its hash is labelled.

Source: none. Sink: none. Inside a zone verifying is a comparison, as it is with `hmac.compare_digest`.

Covered: `hash` of every hasher that derives from `GenericHandler`, so of `CryptContext` too: the hash as a whole;
`verify`, also where the stored hash comes from a labelled column; codes of `passlib.totp`. Of passlib and of libpass,
which goes on with it under the same name and compares equal types only.

Not covered: names imported before `install()` (`from passlib.utils import consteq`); `plaintext` and `htdigest`, whose
hashes are labelled as far as the methods of `str` and `hashlib` do it.

    import taint
    taint.install(integrations=["passlib"])
    from passlib.hash import pbkdf2_sha256
    hashed = pbkdf2_sha256.using(rounds=1).hash(taint.label("lovelace", purpose="security"))
    assert pbkdf2_sha256.verify("lovelace", hashed)
    taint.labels_of(hashed)                                 # Labels of the password
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import wrapt

from taint.carriers import observation
from taint.carriers.proxy import carry
from taint.integrations.base import Integration
from taint.integrations.calls import labels_given, plain_call
from taint.propagation.patches import Patch

__all__ = ["PasslibIntegration"]

_HANDLERS = "passlib.utils.handlers"
_COMPARING = (
    *(_HANDLERS, "passlib.handlers.digests", "passlib.handlers.misc", "passlib.handlers.mssql"),
    *("passlib.handlers.scram", "passlib.totp"),
)
"""Modules that import `consteq` of `passlib.utils` by name."""


class PasslibIntegration(Integration):
    """Lets labelled passwords be hashed and verified."""

    identifier = "passlib"
    requires = ()  # passlib 1.7, or libpass, which is the package `passlib` too.
    waits_for = "passlib.utils"  # Before any of those below.

    def __init__(self) -> None:
        super().__init__()
        self._native: Any = None
        self._is_following = False

    def _install(self) -> None:
        from passlib import utils

        # Both the same since 1.6; passlib has no events. What is imported from here on imports what is put here.
        self._native = utils.consteq
        self._wrap(Patch(owner, "consteq", _compared) for owner in (utils, *_holding(self._native)))
        if _HANDLERS in sys.modules:
            self._hash_by(sys.modules[_HANDLERS])
        elif not self._is_following:  # It cannot be imported from here: its imports may be under way.
            self._is_following = True
            wrapt.register_post_import_hook(self._on_handlers, _HANDLERS)

    def _on_handlers(self, module: Any) -> None:
        with self._lock:
            if self.is_on:
                self._hash_by(module)

    def _hash_by(self, module: Any) -> None:
        self._wrap([Patch(module.GenericHandler, "hash", _hashed)])

    def _uninstall(self) -> None:
        from passlib import utils

        for module in _holding(utils.consteq):
            module.consteq = self._native


def _holding(function: Any) -> list[Any]:
    modules: list[Any] = [sys.modules.get(name) for name in _COMPARING]
    return [module for module in modules if getattr(module, "consteq", None) is function]


def _hashed(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return carry(plain_call(wrapped, args, kwargs), labels_given(args, kwargs))


def _compared(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if observation.active:
        observation.observe(labels_given(args, kwargs), "consteq")
    return plain_call(wrapped, args, kwargs)
