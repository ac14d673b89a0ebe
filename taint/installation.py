"""`install` and `uninstall`: the standard library's operations and the integrations, together."""

from __future__ import annotations

from collections.abc import Iterable

from taint import propagation
from taint.integrations.base import Integration
from taint.integrations.registry import install_integrations, uninstall_integrations
from taint.modes import is_off
from taint.policy import current_policy

__all__ = ["install", "uninstall"]


def install(*, packages: Iterable[str] = (), integrations: Iterable[str | Integration] | None = None) -> None:
    """Wrap the operations of libraries on text and bytes, so that their results carry labels on.

    Labels: of the arguments, on what is derived from them. Call it once, early: a name that was
    imported before (`from hashlib import sha256`) stays native, and so does a package that was imported
    before. Calling it again adds packages and changes nothing else; in mode `off` it does nothing. It
    imports no library: an integration waits for its library.

    Args:
        packages: Packages and modules to make exact, sub-packages included: they are rewritten as they
            are imported, so that f-strings, `join`, `%` and `format` in them keep labels.
        integrations: Which ones, by name (`"orjson"`) or made with options; all whose library is
            installed by default, none with `[]`.

    Raises:
        ConfigurationError: `packages` is no list of names, or the policy that was found is wrong.
        IntegrationError: An integration that was asked for is unknown, or its library is not there
            or not supported.
    """
    current_policy()  # Its mode may be `off`, and nobody may have named a purpose yet.
    if not is_off():
        propagation.install(packages=packages)
        install_integrations(integrations)


def uninstall() -> None:
    """Put every original back, the identical object.

    Labels: values keep theirs; what the standard library and integrations make of them carries none from here on.
    """
    uninstall_integrations()
    propagation.uninstall()
