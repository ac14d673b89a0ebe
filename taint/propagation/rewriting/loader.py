"""Compiling a rewritten module, and keeping its code in a cache of its own.

The cache lies beside Python's (`__pycache__/name.cpython-311.opt-taint.pyc`, or under
`sys.pycache_prefix`) and never in its place, so that a process without the library reads native code.
An entry is good for one version of the library, of Python and of other rewritings, one source
(time and size), and one level of optimisation; it is written to another name and moved into place.
Where the folder cannot be written, a module is rewritten each time.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import marshal
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from taint.guard import report_internal_error
from taint.propagation.rewriting.transformer import REVISION, rewrite
from taint.version import __version__

__all__ = ["DelegatingLoader", "SourceLoader", "compile_rewritten", "script_code"]

_SETTINGS = f"{__version__} {REVISION} {sys.version} {sys.flags.optimize}"
_PYTEST = "_pytest.assertion.rewrite"

Noted = Callable[[str, str | None], None]
"""Told of each module: its name, and why it was not rewritten."""


def compile_rewritten(source: bytes, path: str, *, before: Callable[[ast.Module], None] | None = None) -> CodeType:
    """Compile source with its expressions rewritten.

    Args:
        source: As it is in the file.
        path: What tracebacks and coverage call it.
        before: Another rewriting of the tree that goes first.

    Raises:
        SyntaxError: As `compile` does.
    """
    tree = ast.parse(source, path)
    if before is not None:
        before(tree)
    return compile(rewrite(tree), path, "exec", dont_inherit=True)


def script_code(source: bytes, path: str) -> CodeType:
    """Compile a script that is run, not imported; as it is where it cannot be rewritten.

    Raises:
        SyntaxError: As `compile` does.
    """
    try:
        return compile_rewritten(source, path)
    except Exception as error:  # noqa: BLE001  # Whatever it is, the script runs as it is.
        code: CodeType = compile(source, path, "exec", dont_inherit=True)
        report_internal_error("rewriting a script", error)
        return code


def _header(settings: str, stamp: tuple[int, int]) -> bytes:
    return hashlib.sha256(f"{settings} {stamp}".encode()).digest()


def _read_cache(path: str, header: bytes) -> CodeType | None:
    try:
        data = Path(path).read_bytes()
        if data[: len(header)] != header:
            return None
        code = marshal.loads(data[len(header) :])  # noqa: S302  # As Python reads its own cache, from the same folder.
    except (OSError, ValueError, EOFError, TypeError):
        return None
    return code if isinstance(code, CodeType) else None


class SourceLoader(importlib.machinery.SourceFileLoader):
    """Loads a source file with its expressions rewritten; everything else is the standard loader's."""

    noted: Noted | None = None

    def get_code(self, fullname: str) -> CodeType | None:
        """Give the rewritten code; the native one where it cannot be rewritten."""
        path = self.get_filename(fullname)
        try:
            stats = self.path_stats(path)
            cache = importlib.util.cache_from_source(path, optimization="taint")
            header = _header(_SETTINGS, (int(stats["mtime"] * 1_000_000_000), int(stats["size"])))
        except (OSError, NotImplementedError):
            cache, header = "", b""
        code = _read_cache(cache, header) if cache else None
        reason = None
        if code is None:
            try:
                code = compile_rewritten(self.get_data(path), path)
            except SyntaxError:
                return super().get_code(fullname)  # It raises, in Python's own words.
            except (RecursionError, ValueError, MemoryError) as error:
                reason = f"it cannot be compiled after the rewriting: {type(error).__name__}"
            except Exception as error:  # noqa: BLE001  # Whatever it is, the module is imported as it is.
                report_internal_error("rewriting a module", error)
                reason = f"the rewriting failed: {type(error).__name__}"
            else:
                if cache and not sys.dont_write_bytecode:
                    self.set_data(cache, header + marshal.dumps(code))
        if self.noted is not None:
            self.noted(fullname, reason)
        return super().get_code(fullname) if code is None else code


class DelegatingLoader(importlib.abc.InspectLoader):
    """Loads from another loader's source (zip files, pytest's test modules); asks that loader for everything else."""

    def __init__(self, loader: Any, spec: importlib.machinery.ModuleSpec, noted: Noted) -> None:
        """Keep the loader that found the module."""
        self._loader, self._spec, self._noted = loader, spec, noted
        self._code: CodeType | None = None

    def __getattr__(self, name: str) -> Any:
        """Give what the other loader has."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._loader, name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """Ask the other loader."""
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def is_package(self, _fullname: str) -> bool:
        """Tell whether the module is a package."""
        return self._spec.submodule_search_locations is not None

    def get_source(self, fullname: str) -> str | None:
        """Ask the other loader."""
        get_source = getattr(self._loader, "get_source", None)
        if get_source is not None:
            text: str | None = get_source(fullname)
            return text
        origin = self._spec.origin
        return importlib.util.decode_source(Path(origin).read_bytes()) if origin else None

    def get_code(self, fullname: str) -> CodeType | None:
        """Give the rewritten code; where it cannot be rewritten, the other loader's."""
        if self._code is None:
            self._code = self._compiled(fullname)
        return self._code

    def exec_module(self, module: ModuleType) -> None:
        """Run the rewritten code; a loader that gives none out runs its own."""
        if self.get_code(module.__name__) is None:
            self._loader.exec_module(module)
        else:
            super().exec_module(module)

    def _compiled(self, fullname: str) -> CodeType | None:
        path = self._spec.origin
        text = self.get_source(fullname)
        if path is None or text is None:
            self._noted(fullname, "its loader has no source")
            return self._native_code(fullname)
        try:
            code = compile_rewritten(text.encode(), path, before=self._before(text, path))
        except SyntaxError:
            return self._native_code(fullname)  # It raises, in the other loader's words.
        except Exception as error:  # noqa: BLE001  # Whatever it is, the module is imported as it is.
            report_internal_error("rewriting a module", error)
            self._noted(fullname, f"the rewriting failed: {type(error).__name__}")
            return self._native_code(fullname)
        self._noted(fullname, None)
        return code

    def _native_code(self, fullname: str) -> CodeType | None:
        get_code = getattr(self._loader, "get_code", None)
        code: CodeType | None = get_code(fullname) if get_code is not None else None
        return code

    def _before(self, text: str, path: str) -> Callable[[ast.Module], None] | None:
        if type(self._loader).__module__ != _PYTEST:
            return None
        # No public function gives pytest's rewriting of a tree. This one has had these arguments since 5.0.
        rewrite_asserts = sys.modules[_PYTEST].rewrite_asserts
        return lambda tree: rewrite_asserts(tree, text.encode(), path, self._loader.config)
