"""Which modules are rewritten: those of the named packages, found by whoever finds them otherwise.

The finder stands first, asks the others in their order, and puts a rewriting loader in the place of
the one that they give. So pytest's finder, zip files and namespace packages work as without it.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import logging
import sys
import threading
import zipimport
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import Any

from taint.errors import ConfigurationError
from taint.guard import shown
from taint.propagation.rewriting.loader import DelegatingLoader, SourceLoader

__all__ = ["RewritingStatus", "remove_rewriting", "rewrite_packages", "rewriting_status"]

_logger = logging.getLogger("taint")
_lock = threading.RLock()
_SOURCES = importlib.machinery.SourceFileLoader
_PYTEST = "_pytest.assertion.rewrite"
_WRAPT = "wrapt.importer"


@dataclass(frozen=True, slots=True)
class RewritingStatus:
    """What the rewriting has done so far in this process.

    Args:
        packages: Those that were named.
        rewritten: Modules that were rewritten.
        left: Modules of these packages that were not, each with the reason.
    """

    packages: frozenset[str]
    rewritten: frozenset[str]
    left: Mapping[str, str]


_rewritten: set[str] = set()
_left: dict[str, str] = {}


def _note(name: str, reason: str | None) -> None:
    with _lock:
        if reason is None:
            _rewritten.add(name)
            _left.pop(name, None)
            return
        is_new = name not in _left
        _left[name] = reason
    if is_new:
        _logger.warning(
            "module %r is not rewritten: %s. Labels can be lost in what it formats and joins.", name, reason
        )


class _Finder:
    """Stands first in `sys.meta_path`, and knows the packages."""

    packages: frozenset[str] = frozenset()

    def covers(self, name: str) -> bool:
        """Tell whether a module is one of the packages or inside one."""
        while name:
            if name in self.packages:
                return True
            name = name.rpartition(".")[0]
        return False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Ask the finders after this one, and rewrite what they found."""
        if not self.covers(fullname):
            return None
        for finder in list(sys.meta_path):
            find_spec = getattr(finder, "find_spec", None)
            if isinstance(finder, _Finder) or find_spec is None:
                continue
            spec = find_spec(fullname, path, target)
            if spec is not None:
                _put_loader(spec)
                return spec  # type: ignore[no-any-return]  # Of somebody else's finder.
        return None

    def invalidate_caches(self) -> None:
        """Keep nothing; the others have caches."""


def _put_loader(spec: Any) -> None:
    loader = spec.loader
    if isinstance(loader, SourceLoader | DelegatingLoader):
        return
    if type(loader).__module__ == _WRAPT:
        # A post-import hook waits for the module: it holds the loader proper, and has to go on doing so.
        spec.loader = inner = loader.__wrapped__
        _put_loader(spec)
        spec.loader = loader if spec.loader is inner else type(loader)(spec.loader)
        return
    if type(loader) is _SOURCES:
        spec.loader = SourceLoader(loader.name, loader.path)
        spec.loader.noted = _note
    elif isinstance(loader, zipimport.zipimporter) or type(loader).__module__ == _PYTEST:
        spec.loader = DelegatingLoader(loader, spec, _note)
    elif loader is not None and not isinstance(loader, importlib.machinery.NamespaceLoader):
        has_own_way = isinstance(loader, importlib.abc.SourceLoader)
        why = "compiles it in its own way" if has_own_way else "gives no source"
        _note(spec.name, f"its loader, {type(loader).__name__}, {why}")


_finder = _Finder()


def rewrite_packages(packages: Iterable[str]) -> None:
    """Rewrite packages as they are imported from here on.

    A module that is already imported stays as it is: it is counted in `rewriting_status()`, and a
    warning says so, once for each package.

    Args:
        packages: Names of packages or modules; sub-packages are included.

    Raises:
        ConfigurationError: This is no list of dotted names.
    """
    if isinstance(packages, str):
        text = shown(packages)
        raise ConfigurationError(f"packages is one text: {text!r}. It is a list of names. Write packages=[{text!r}].")
    wanted = list(packages)
    for name in wanted:
        if not all(part.isidentifier() for part in str(name).split(".")):
            given: object = name
            said = shown(given) if isinstance(given, str) else given
            raise ConfigurationError(
                f"packages holds what is no name of a package: {said!r}. Names are those that `import` takes. "
                "Write a name such as 'shop' or 'shop.orders'."
            )
    with _lock:
        new = set(wanted) - _finder.packages
        _finder.packages |= new
        if _finder.packages and _finder not in sys.meta_path:
            sys.meta_path.insert(0, _finder)
        early = sorted(
            name
            for name in list(sys.modules)
            if name not in _rewritten and any(name == package or name.startswith(f"{package}.") for package in new)
        )
        for name in early:
            _left[name] = "it was imported before install()"
    if early:
        first = ", ".join(map(repr, early[:5])) + (f" and {len(early) - 5} more" if len(early) > 5 else "")  # noqa: PLR2004
        _logger.warning(
            "imported before taint.install(packages=...), so not rewritten: %s. Labels can be lost in what they "
            "format and join. Call install() before they are imported.",
            first,
        )


def remove_rewriting() -> None:
    """Import as without the library from here on; what was rewritten stays so, and does what it did natively."""
    with _lock:
        _finder.packages = frozenset()
        _rewritten.clear()
        _left.clear()
        if _finder in sys.meta_path:
            sys.meta_path.remove(_finder)


def rewriting_status() -> RewritingStatus:
    """Say which modules were rewritten, and which were not and why."""
    with _lock:
        return RewritingStatus(_finder.packages, frozenset(_rewritten), MappingProxyType(dict(_left)))
