"""Operations that a carrier cannot see: library functions, wrapped while `install()` holds."""

from __future__ import annotations

from taint.modes import Mode, current_mode
from taint.propagation import hashing
from taint.propagation.patches import apply_patches, revert_patches

__all__ = ["install", "uninstall"]


def install() -> None:
    """Wrap the standard library's operations on text and bytes, so that their results carry labels on.

    Labels: of the arguments, on what is derived from them. Call it once, early: a name that was
    imported before (`from hashlib import sha256`) stays native. Calling it again changes nothing;
    in mode `off` it does nothing.
    """
    if current_mode() is not Mode.OFF:
        apply_patches(hashing.patches())


def uninstall() -> None:
    """Put every original back, the identical object."""
    revert_patches()
