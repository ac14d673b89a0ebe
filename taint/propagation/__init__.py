"""Operations that a carrier cannot see: library functions, wrapped while `install()` holds."""

from __future__ import annotations

from collections.abc import Iterable

from taint.modes import Mode, current_mode
from taint.propagation import hashing
from taint.propagation.patches import apply_patches, revert_patches
from taint.propagation.rewriting import remove_rewriting, rewrite_packages

__all__ = ["install", "uninstall"]


def install(*, packages: Iterable[str] = ()) -> None:
    """Wrap the standard library's operations on text and bytes, so that their results carry labels on.

    Labels: of the arguments, on what is derived from them. Call it once, early: a name that was
    imported before (`from hashlib import sha256`) stays native, and so does a package that was
    imported before. Calling it again adds packages and changes nothing else; in mode `off` it does nothing.

    Args:
        packages: Packages and modules to make exact, sub-packages included: they are rewritten as they
            are imported, so that f-strings, `join`, `%` and `format` in them keep labels.

    Raises:
        ConfigurationError: `packages` is no list of names.
        IntegrationError: A function to be wrapped does not exist. Nothing is wrapped then.
    """
    if current_mode() is not Mode.OFF:
        apply_patches(hashing.patches())
        rewrite_packages(packages)


def uninstall() -> None:
    """Put every original back, the identical object; packages are imported as they are from here on."""
    revert_patches()
    remove_rewriting()
