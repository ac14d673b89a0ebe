"""What stands on what: imports run downward only, and are made when a module is, so that the structure can be read."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

CHECKOUT = Path(__file__).resolve().parent.parent

LAYERS = (
    *("version", "wording", "errors", "guard", "modes", "losses", "labels", "purposes", "carriers"),
    *("propagation", "evidence", "policy", "telemetry", "flows", "envelopes", "integrations"),
    *("installation", "configuration", "launching", "instrumentor", "report", "testing", "cli", "__main__"),
)
"""The packages and single modules of taint, from the bottom; `taint` itself, which names what is public, is above."""

NAMED_FROM_BELOW = {
    ("taint.errors", "taint.policy.verdict"),  # An error holds the flow that was stopped.
    ("taint.policy.messages", "taint.policy.verdict"),  # A flow asks for its own message.
}
"""Types that a module names of one above it, for the type checker alone."""

CORE = {"opentelemetry", "wrapt"}
"""The libraries that are always there; any other is imported where it is wanted."""


class Imported(NamedTuple):
    """One imported module: by whom, which, and whether inside of a function or for the type checker alone."""

    by: str
    name: str
    is_inside: bool
    is_for_types: bool


@cache
def modules() -> dict[str, Path]:
    """Give the modules of the library by name."""
    found = {}
    for folder, package in (("taint", "taint"), ("integrations", "taint.integrations")):
        for path in (CHECKOUT / folder).rglob("*.py"):
            parts = path.relative_to(CHECKOUT / folder).with_suffix("").parts
            if folder == "taint" and parts[0] == "integrations":
                continue  # The link.
            found[".".join((package, *parts)).removesuffix(".__init__")] = path
    return found


def imports_in(node: ast.AST, by: str, *, is_inside: bool = False, is_for_types: bool = False) -> Iterator[Imported]:
    """Give what is imported below a node of a module."""
    for child in ast.iter_child_nodes(node):
        names: list[str] = []
        if isinstance(child, ast.Import):
            names = [alias.name for alias in child.names]
        elif isinstance(child, ast.ImportFrom):
            assert not child.level, f"{by} imports relatively"
            candidates = [f"{child.module}.{alias.name}" for alias in child.names]
            names = [name if name in modules() else str(child.module) for name in candidates]
        yield from (Imported(by, name, is_inside, is_for_types) for name in names)
        yield from imports_in(
            child,
            by,
            is_inside=is_inside or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda),
            is_for_types=is_for_types or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)),
        )


@cache
def imports_of(module: str) -> tuple[Imported, ...]:
    """Give what a module imports."""
    return tuple(imports_in(ast.parse(modules()[module].read_text(encoding="utf-8")), module))


def layer(module: str) -> int:
    """Give the place of a module in the order."""
    return len(LAYERS) if module == "taint" else LAYERS.index(module.split(".")[1])


def is_ours(name: str) -> bool:
    """Tell whether a module is the library's."""
    return name.split(".", maxsplit=1)[0] == "taint"


@cache
def is_optional(name: str) -> bool:
    """Tell whether importing a module takes a library that may not be there, or a part of Python that may not."""
    top = name.split(".", maxsplit=1)[0]
    if is_ours(name):
        return any(is_optional(one.name) for one in imports_of(name) if not one.is_inside and not one.is_for_types)
    return top == "sqlite3" or top not in {*sys.stdlib_module_names, *CORE}


def ours(module: str) -> Iterator[Imported]:
    """Give what a module imports of the library."""
    return (one for one in imports_of(module) if is_ours(one.name))


def test_imports_run_downward() -> None:
    """A module imports of the library only what stands below it, or beside it in its own package."""
    imported = [one for module in modules() for one in ours(module) if not one.is_for_types]
    assert [(one.by, one.name) for one in imported if layer(one.name) > layer(one.by)] == []


def test_no_module_needs_itself() -> None:
    """Within a package too, no module imports one that imports it."""
    below: dict[str, set[str]] = {}

    def needs(module: str, way: tuple[str, ...] = ()) -> set[str]:
        assert module not in way, " > ".join((*way, module))
        if module not in below:
            direct = {one.name for one in ours(module) if not one.is_for_types}
            below[module] = direct.union(*(needs(name, (*way, module)) for name in sorted(direct)))
        return below[module]

    assert len([needs(module) for module in modules()]) == len(modules())


def test_functions_import_optional_libraries_only() -> None:
    """What is always there is imported with the module, never inside of a function."""
    inside = [one for module in modules() for one in imports_of(module) if one.is_inside]
    assert [(one.by, one.name) for one in inside if not is_optional(one.name)] == []


def test_types_named_from_below() -> None:
    """What a module names of one above it for the type checker alone is what is listed, and no more."""
    named = (one for module in modules() for one in ours(module) if one.is_for_types)
    assert {(one.by, one.name) for one in named} == NAMED_FROM_BELOW
