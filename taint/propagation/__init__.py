"""Operations that a carrier cannot see: library functions, wrapped while `install()` holds.

A module of the standard library is wrapped when it is imported, or at once where it already is, so
that `install()` imports nothing that the program does not use.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType

import wrapt

from taint.modes import is_off
from taint.propagation.patches import Patch, Swap, apply_patches, revert_patches
from taint.propagation.rewriting import remove_rewriting, rewrite_packages

__all__ = ["GROUPS", "add_patches", "install", "uninstall"]

GROUPS: dict[str, str] = {
    **dict.fromkeys(("re", "fnmatch"), "regex"),
    **dict.fromkeys(("json.decoder", "json.encoder"), "jsontext"),
    **dict.fromkeys(("hashlib", "hmac", "secrets"), "hashing"),
    **dict.fromkeys(("base64", "binascii", "quopri", "codecs", "struct", "marshal", "pickle"), "encodings"),
    **dict.fromkeys(("zlib", "gzip", "bz2", "lzma"), "compression"),
    **dict.fromkeys(("urllib.parse", "html", "html.parser", "http.cookies"), "urls"),
    **dict.fromkeys(("string", "textwrap", "unicodedata", "shlex", "pprint", "reprlib", "ast", "locale"), "texts"),
    **dict.fromkeys(("difflib", "stringprep"), "texts"),
    **dict.fromkeys(("io",), "streams"),
    **dict.fromkeys(("csv",), "rows"),
    **dict.fromkeys(("configparser",), "settings"),
    **dict.fromkeys(("posixpath", "ntpath", "glob", "pathlib", "sys", "subprocess"), "paths"),
    **dict.fromkeys(("uuid", "ipaddress"), "identifiers"),
    **dict.fromkeys(("xml.etree.ElementTree", "xml.sax.saxutils", "xml.dom.minidom", "plistlib"), "documents"),
    **dict.fromkeys(("email.message", "email.header", "email.utils", "email.quoprimime"), "mail"),
    **dict.fromkeys(("email.base64mime", "email", "email.mime.text"), "mail"),
    **dict.fromkeys(("logging",), "records"),
    **dict.fromkeys(("wsgiref.headers", "wsgiref.handlers", "collections"), "exact_types"),
}
"""A module of the standard library -> the module here that knows what to wrap in it."""


@dataclass(slots=True)
class _State:
    """What a module that is imported later has to know."""

    is_installed: bool = False


_added: dict[str, Callable[[ModuleType], Iterable[Patch | Swap]]] = {}
_watched: set[str] = set()
_state = _State()


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
    if is_off():
        return
    _state.is_installed = True
    for name in (*GROUPS, *_added):
        module = sys.modules.get(name)
        if module is not None:
            _wrap(module)
        elif name not in _watched:
            _watched.add(name)
            wrapt.register_post_import_hook(_wrap, name)
    rewrite_packages(packages)


def add_patches(module: str, patches: Callable[[ModuleType], Iterable[Patch | Swap]]) -> None:
    """Have `install` wrap, in a module once that is imported, what a layer above this one knows of."""
    _added[module] = patches


def uninstall() -> None:
    """Put every original back, the identical object; packages are imported as they are from here on."""
    _state.is_installed = False
    revert_patches()
    remove_rewriting()


def _wrap(module: ModuleType) -> None:
    if not _state.is_installed:
        return
    if module.__name__ in _added:
        apply_patches(_added[module.__name__](module))
    group = GROUPS.get(module.__name__)
    if group is None:
        return
    patches = getattr(importlib.import_module(f"{__name__}.{group}"), "patches", None)
    if patches is None:
        return  # The group itself has just imported this module, and is dealt with when it is ready.
    for name, own in GROUPS.items():
        if own == group and name in sys.modules:
            apply_patches(patches(sys.modules[name]))
