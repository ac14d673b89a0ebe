"""Operations that a carrier cannot see: library functions, wrapped while `install()` holds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from types import ModuleType

import wrapt

from taint.modes import Mode, current_mode
from taint.propagation import hashing
from taint.propagation.patches import Patch, apply_patches, revert_patches

__all__ = ["add_patches", "install", "uninstall"]

_added: dict[str, Callable[[ModuleType], Iterable[Patch]]] = {}
_watched: set[str] = set()
_is_installed = False


def add_patches(module: str, patches: Callable[[ModuleType], Iterable[Patch]]) -> None:
    """Have `install` wrap, in a module once that is imported, what a layer above this one knows of."""
    _added[module] = patches


def install() -> None:
    """Wrap the standard library's operations on text and bytes, so that their results carry labels on.

    Labels: of the arguments, on what is derived from them. Call it once, early: a name that was
    imported before (`from hashlib import sha256`) stays native. Calling it again changes nothing;
    in mode `off` it does nothing.
    """
    global _is_installed  # noqa: PLW0603  # Modules that are imported later ask whether they are to be wrapped.
    if current_mode() is Mode.OFF:
        return
    _is_installed = True
    apply_patches(hashing.patches())
    for name in _added:
        if name in sys.modules:
            _wrap(sys.modules[name])
        elif name not in _watched:
            _watched.add(name)
            wrapt.register_post_import_hook(_wrap, name)


def uninstall() -> None:
    """Put every original back, the identical object."""
    global _is_installed  # noqa: PLW0603  # As above.
    _is_installed = False
    revert_patches()


def _wrap(module: ModuleType) -> None:
    if _is_installed:
        apply_patches(_added[module.__name__](module))
