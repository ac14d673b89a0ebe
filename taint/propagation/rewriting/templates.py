"""Templates of `%` and `format` that stand in the source, taken apart into the parts of an f-string."""

from __future__ import annotations

import ast
import re
from _string import formatter_field_name_split  # type: ignore[import-not-found]  # As `string.Formatter` does.
from collections.abc import Iterable
from string import Formatter
from typing import Any

__all__ = ["CONVERSIONS", "format_values", "is_plain", "percent_values"]

CONVERSIONS = {"s": 115, "r": 114, "a": 97}
_PERCENT = re.compile(r"%(?:(%)|([-+ #0]*)([0-9]{0,3})(?:(\.)([0-9]{0,3}))?([sra]))")


def is_plain(node: ast.expr) -> bool:
    """Tell whether to evaluate an expression cannot be noticed, so that it may come a little later."""
    return isinstance(node, ast.Name | ast.Constant)


def _literal(text: Any, place: ast.expr) -> ast.Constant:
    return ast.copy_location(ast.Constant(text), place)


def percent_values(left: ast.Constant, right: ast.expr) -> list[ast.expr] | None:
    """Turn a `%` that CPython itself compiles as an f-string into the parts of it.

    CPython (3.11 to 3.13, `optimize_format` in ast_opt.c) does so for `%s`, `%r` and `%a`, with a width of up to
    three digits, and a tuple of the right length, so that order, number and place of the evaluations are native.
    """
    if not isinstance(left.value, str) or not isinstance(right, ast.Tuple):
        return None
    if any(isinstance(item, ast.Starred) for item in right.elts):
        return None
    items = list(right.elts)
    values: list[ast.expr] = []
    literal, at = "", 0
    for found in _PERCENT.finditer(left.value):
        percent, flags, width, point, precision, kind = found.groups()
        literal += left.value[at : found.start()]
        at = found.end()
        if "%" in literal.replace("%%", "") or (not percent and not items):
            return None
        if percent:
            literal += "%%"
            continue
        if literal:
            values.append(_literal(literal.replace("%%", "%"), left))
            literal = ""
        spec = ">" * (bool(width) and "-" not in flags) + width + (f".{precision or 0}" if point else "")
        item = items.pop(0)
        written = ast.copy_location(ast.JoinedStr([_literal(spec, item)]), item) if spec else None
        values.append(ast.copy_location(ast.FormattedValue(item, CONVERSIONS[kind], written), item))
    literal += left.value[at:]
    if items or "%" in literal.replace("%%", ""):
        return None
    if literal:
        values.append(_literal(literal.replace("%%", "%"), left))
    return values


def _stepped(value: ast.expr, steps: Iterable[tuple[bool, Any]], place: ast.expr) -> ast.expr | None:
    """Follow the attributes and items that a field asks for."""
    for is_attribute, step in steps:
        if is_attribute and (not step.isidentifier() or step.startswith("__")):
            return None  # In a class the compiler would give it another name.
        found: ast.expr = (
            ast.Attribute(value, step, ast.Load())
            if is_attribute
            else ast.Subscript(value, _literal(step, place), ast.Load())
        )
        value = ast.copy_location(found, place)
    return value


def format_values(template: ast.Constant, node: ast.Call) -> list[ast.expr] | None:
    """Turn `"{} {x}".format(a, x=b)` into the parts of an f-string.

    Only where the arguments are names and constants: then it cannot be noticed that an argument is read
    after the one before it was formatted, or read twice.
    """
    named = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
    given: dict[str, ast.expr] = {str(at): arg for at, arg in enumerate(node.args)}
    if len(named) != len(node.keywords) or not all(map(is_plain, (*node.args, *named.values()))):
        return None
    given.update(named)
    try:
        fields = [
            (literal, None if field is None else formatter_field_name_split(field), spec, conversion)
            for literal, field, spec, conversion in Formatter().parse(str(template.value))
        ]
    except ValueError:
        return None
    values: list[ast.expr] = []
    used: set[str] = set()
    firsts = [field[0] for _, field, _, _ in fields if field is not None]
    if "" in firsts and any(isinstance(first, int) for first in firsts):
        return None
    for literal, field, spec, conversion in fields:
        if literal:
            values.append(_literal(literal, template))
        if field is None:
            continue
        name = str(len(used)) if field[0] == "" else str(field[0])
        value = given.get(name)
        if value is None or "{" in (spec or "") or (conversion or "s") not in "sr":
            return None
        used.add(name)
        value = _stepped(value, field[1], node)
        if value is None:
            return None
        written = ast.copy_location(ast.JoinedStr([_literal(spec, template)]), template) if spec else None
        code = CONVERSIONS[conversion] if conversion else -1
        values.append(ast.copy_location(ast.FormattedValue(value, code, written), node))
    # An argument that no field asks for is evaluated all the same, so that it stays a call.
    return values if values and used == set(given) else None
