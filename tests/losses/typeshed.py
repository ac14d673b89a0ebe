"""What the standard library has that takes text or bytes and gives something back, according to typeshed.

typeshed comes with mypy. A function is meant where one of its parameters is annotated with a text, bytes
or path type and what it gives is more than None or a truth value; classes count by their constructor.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import warnings
from collections.abc import Iterator
from pathlib import Path

__all__ = ["consumers", "exists"]

_TEXT = frozenset(
    ("str", "bytes", "AnyStr", "LiteralString", "ReadableBuffer", "Buffer", "StrPath", "BytesPath", "StrOrBytesPath")
)
_NOTHING = frozenset(("None", "bool", "Never", "NoReturn", "TypeGuard", "TypeIs"))


def _stubs() -> Path | None:
    found = importlib.util.find_spec("mypy")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "typeshed" / "stdlib"


def _names(node: ast.expr | None) -> set[str]:
    if node is None:
        return set()
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)} | {
        part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)
    }


def _is_meant(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    given = function.args
    parameters = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    parameters += [extra for extra in (given.vararg, given.kwarg) if extra is not None]
    if not any(_names(parameter.annotation) & _TEXT for parameter in parameters):
        return False
    return function.name in ("__init__", "__new__") or bool(_names(function.returns) - _NOTHING)


def _in(body: list[ast.stmt], prefix: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.If):
            yield from _in(node.body, prefix)
            yield from _in(node.orelse, prefix)
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _in(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _is_meant(node):
            if node.name in ("__init__", "__new__"):
                yield prefix.removesuffix(".")
            elif not node.name.startswith("_"):
                yield prefix + node.name


def consumers(modules: frozenset[str]) -> list[str] | None:
    """Give the dotted names of all that is meant in some modules; None without mypy."""
    root = _stubs()
    if root is None:
        return None
    found: set[str] = set()
    for module in modules:
        base = root.joinpath(*module.split("."))
        path = base.with_suffix(".pyi")
        if not path.exists():
            path = base / "__init__.pyi"
        if path.exists():
            found.update(_in(ast.parse(path.read_text(encoding="utf-8")).body, f"{module}."))
    return sorted(name for name in found if exists(name, modules))


def exists(name: str, modules: frozenset[str]) -> bool:
    """Tell whether this Python has it."""
    module = max((known for known in modules if name.startswith(f"{known}.")), key=len)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Some names are deprecated, and say so when they are asked for.
        try:
            value: object = importlib.import_module(module)
        except ImportError:
            return False
        for step in name[len(module) + 1 :].split("."):
            value = getattr(value, step, None)
    return value is not None
