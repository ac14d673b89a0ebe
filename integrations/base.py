"""What every integration is: a name, the versions it supports, and a way to put itself on and off.

An integration waits until its library is imported, so that installing it imports nothing. All it
changes are functions of its library, wrapped by `taint.propagation.patches`, so that taking it off
puts the identical objects back.
"""

from __future__ import annotations

import functools
import importlib.metadata
import re
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

import wrapt

from taint.errors import IntegrationError
from taint.guard import report_internal_error
from taint.propagation.patches import Patch, Swap, apply_patches, revert_patches

__all__ = ["Integration", "unmet"]

_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)\s*(?P<bounds>[^;]*)")
_BOUND = re.compile(r"\s*(?P<sign>>=|<=|==|!=|>|<)\s*(?P<version>[0-9.]+)\s*")
_VERSION = re.compile(r"^Version: *(\S+)$", re.MULTILINE)
_RELEASE = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_SIGNS = {
    ">=": lambda order: order >= 0,
    "<=": lambda order: order <= 0,
    "==": lambda order: order == 0,
    "!=": lambda order: order != 0,
    ">": lambda order: order > 0,
    "<": lambda order: order < 0,
}


class Integration(ABC):
    """Base of all integrations. A subclass names itself and says in `_install` what it wraps.

    Attributes:
        identifier: The file's name, the extra's name and the name of the library's package.
        requires: What it supports, as PEP 508 requirements without markers or extras.
        waits_for: The module whose import puts it on; the identifier where it is empty.
    """

    identifier: ClassVar[str]
    requires: ClassVar[tuple[str, ...]]
    waits_for: ClassVar[str] = ""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._is_wanted = False
        self._is_waiting = False
        self._is_on = False

    @property
    def is_on(self) -> bool:
        """Whether it has wrapped its library: installed, and the library imported."""
        return self._is_on

    def install(self) -> None:
        """Put it on: now where its library is imported already, else as soon as it is.

        Labels: what they do is each integration's own; see its module. A second call changes nothing.

        Raises:
            IntegrationError: The library is not installed, or its version is not supported.
        """
        missing = unmet(self.requires)
        if missing:
            raise IntegrationError(
                f"integration {self.identifier!r} cannot be installed: {missing}. It supports "
                f"{' and '.join(map(repr, self.requires))}. Install that (the extra {self.identifier!r} of "
                "purpose-taint has it), or leave the integration out of install(integrations=[...])."
            )
        with self._lock:
            self._is_wanted = True
            module = self.waits_for or self.identifier
            if module in sys.modules:
                self._put_on()
            elif not self._is_waiting:
                self._is_waiting = True
                wrapt.register_post_import_hook(self._on_import, module)

    def uninstall(self) -> None:
        """Take it off: every function of the library is the identical object it was before."""
        with self._lock:
            self._is_wanted = False
            if self._is_on:
                self._is_on = False
                self._uninstall()
                revert_patches(group=self.identifier)

    def _on_import(self, _module: Any) -> None:
        # The program is in the middle of an import of its own: whatever is wrong here must not stop it.
        with self._lock:
            self._is_waiting = False
            if self._is_wanted:
                try:
                    self._put_on()
                except Exception as error:  # noqa: BLE001  # See above.
                    report_internal_error(f"installing the integration {self.identifier!r}", error)

    def _put_on(self) -> None:
        if self._is_on:
            return
        try:
            self._install()
        except BaseException:
            revert_patches(group=self.identifier)
            raise
        self._is_on = True

    def _wrap(self, patches: Iterable[Patch | Swap]) -> None:
        """Wrap functions of the library; they are put back by `uninstall`."""
        apply_patches(patches, group=self.identifier)

    @abstractmethod
    def _install(self) -> None:
        """Wrap what is to be wrapped; the library is imported by now."""

    def _uninstall(self) -> None:  # noqa: B027  # Only for what is not wrapped by `_wrap`: most have nothing.
        """Undo what `_wrap` did not do."""


def unmet(requires: Iterable[str]) -> str:
    """Say which requirement the installed distributions do not meet, and what is there instead.

    Args:
        requires: PEP 508 requirements: a name, then bounds. Of a version only the numbers count.

    Returns:
        Words for a message; empty where all is met.

    Raises:
        IntegrationError: A requirement is not written as one.
    """
    for requirement in requires:
        found = _REQUIREMENT.fullmatch(requirement)
        bounds = [] if found is None else [_BOUND.fullmatch(part) for part in found["bounds"].split(",") if part]
        if found is None or None in bounds:
            raise IntegrationError(
                f"not a requirement: {requirement!r}. It is a name and bounds, as in 'orjson>=3.9,<4'. "
                "Correct `requires` of the integration."
            )
        version = _installed_version(found["name"])
        if version is None:
            return f"{found['name']!r} is not installed"
        for bound in bounds:
            if bound is not None and not _SIGNS[bound["sign"]](_order(version, bound["version"])):
                return f"{found['name']!r} {version} is installed"
    return ""


@functools.lru_cache(maxsize=256)
def _installed_version(name: str) -> str | None:
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return None
    # `version` parses the whole of it as a message, which for all integrations is most of what `install()` takes.
    found = _VERSION.search((distribution.read_text("METADATA") or "").partition("\n\n")[0])
    return found[1] if found else distribution.version


def _order(version: str, bound: str) -> int:
    """Compare by the numbers of the release: below 0, 0 or above."""
    here, there = ([int(part) for part in _RELEASE.findall(text)[0].split(".")] for text in (version, bound))
    size = max(len(here), len(there))
    here, there = here + [0] * (size - len(here)), there + [0] * (size - len(there))
    return (here > there) - (here < there)
