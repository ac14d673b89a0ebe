"""The rewriting of a syntax tree: what C code would build in one go becomes calls of `aspects`.

Only expressions are replaced, each by one at the same place that evaluates the same operands once and
in the same order, so that lines, columns and scopes stay. A user's code is called from the user's own
frame wherever that can be had: f-strings give their finished pieces, methods are looked up natively
and called natively unless they turn out to be a method of a C object. The names that are used come
from one import statement, put after the docstring and the `__future__` imports, on the line of the
first statement; a module in which nothing is replaced stays as it is.

Left alone, since the carrier is asked: `+`, `+=`, `*`, slices. Left alone, since their result would be
refused by C code: `int(x)`, `float(x)`. Left alone, since nobody sees the call: a method that is passed
on uncalled, as in `map(",".join, rows)`; a pattern's method that is given a name
(`find = PATTERN.search`) is followed.
"""

from __future__ import annotations

import ast
from typing import Any, TypeVar

from taint.propagation.rewriting.templates import CONVERSIONS, format_values, is_plain, percent_values

__all__ = ["REVISION", "rewrite"]

REVISION = 8
"""To be raised with every change of what is written, so that no cached code outlives it."""

_PREFIX = "taint.propagation.rewriting."
_ON_TEXT = ("replace", "center", "ljust", "rjust")
_OF_PATTERN = {
    **dict.fromkeys(("match", "fullmatch", "search", "split", "findall", "finditer", "scanner"), slice(1)),
    **dict.fromkeys(("sub", "subn"), slice(2)),
}
_OF_CONTAINERS = ("join", "format", "format_map")
"""Methods that are mostly given what has others inside."""

_METHODS = {
    **dict.fromkeys(_OF_CONTAINERS, slice(None)),
    **dict.fromkeys(_ON_TEXT, slice(1, 2)),
    **_OF_PATTERN,
}
"""Methods of `str`, `bytes` and compiled patterns, and which of their arguments the result holds."""

_MOST_TESTS = 4
"""Names whose types are tested where they stand; for more of them one call costs less."""

_SHOWING = frozenset(("str", "repr", "ascii"))
_GIVES_NO_CONTAINER = frozenset(
    (
        *("str", "repr", "ascii", "format", "len", "int", "float", "round", "sum", "abs", "hash", "id", "type"),
        *("ord", "chr", "hex", "oct", "bin", "isinstance", "bool"),
    )
)
_GIVES_TEXT = frozenset(
    (
        *("upper", "lower", "title", "capitalize", "casefold", "swapcase", "strip", "lstrip", "rstrip", "join"),
        *("replace", "format", "removeprefix", "removesuffix", "ljust", "rjust", "center", "zfill", "decode"),
        *("isoformat", "strftime", "hexdigest"),
    )
)
"""Builtins and methods whose result is not looked into, since it is a text, a number or a class."""

_HELD = {-1: "held", CONVERSIONS["s"]: "held_str", CONVERSIONS["r"]: "held_repr"}
_CONVERTING = frozenset(("str", "bytes"))
_OF_NO_TEXT = frozenset(("maketrans", "fromhex", "__new__", "__init__"))
_PYTEST_TEMPORARY = "@py_assert"
"""pytest looks a method up in one statement and calls it in another, so that it can show both."""

_Located = TypeVar("_Located", bound=ast.expr)


def rewrite(tree: ast.Module) -> ast.Module:
    """Replace, in place, what a carrier cannot see.

    Labels: of the operands, at their places, once the code runs.

    Args:
        tree: A module as `ast.parse` gives it; another rewriting may have been there before.

    Returns:
        The same tree.
    """
    rewriter = _Rewriter()
    rewriter.visit(tree)
    if rewriter.used:
        _put_import(tree, sorted(rewriter.used))
    return tree


def _put_import(tree: ast.Module, names: list[str]) -> None:
    at = 0
    body = tree.body
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        at = int(isinstance(body[0].value.value, str))
    while at < len(body) and isinstance(here := body[at], ast.ImportFrom) and here.module == "__future__":
        at += 1
    first = body[at]
    line = min([first.lineno, *(node.lineno for node in getattr(first, "decorator_list", ()))])
    place = {"lineno": line, "col_offset": 0, "end_lineno": line, "end_col_offset": 0}
    for module, wanted in (
        ("aspects", [name for name in names if not name.isupper()]),
        ("fstrings", [name for name in names if name.isupper()]),
    ):
        if wanted:
            aliases = [ast.alias(name, f"__taint_{name}__", **place) for name in wanted]
            body.insert(at, ast.ImportFrom(_PREFIX + module, aliases, 0, **place))


def _is_constant(node: ast.expr) -> bool:
    """Tell whether nothing labelled can come from an expression."""
    if isinstance(node, ast.Constant | ast.Lambda):
        return True
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.Not) or _is_constant(node.operand)
    if isinstance(node, ast.IfExp):
        return _is_constant(node.body) and _is_constant(node.orelse)
    return isinstance(node, ast.Tuple) and all(map(_is_constant, node.elts))


def _is_small(node: ast.expr) -> bool:
    """Tell whether an expression may stand in the code twice, of which one is run."""
    steps: Any = node
    while isinstance(steps, ast.Attribute):
        steps = steps.value
    return is_plain(steps)


def _is_small_display(node: ast.expr) -> bool:
    """Tell whether a tuple or list of small expressions, or one of those, may stand in the code twice."""
    return all(map(_is_small, node.elts)) if isinstance(node, ast.Tuple | ast.List) else _is_small(node)


class _Rewriter(ast.NodeTransformer):
    """Replaces expressions, from the inside out, and notes which helpers it used."""

    def __init__(self) -> None:
        self.used: set[str] = set()

    def _name(self, helper: str, place: ast.expr) -> ast.Name:
        self.used.add(helper)
        return ast.copy_location(ast.Name(f"__taint_{helper}__", ast.Load()), place)

    def _call(self, helper: str, args: list[ast.expr], place: ast.expr) -> ast.Call:
        return ast.copy_location(ast.Call(self._name(helper, place), args, []), place)

    def _guarded(self, operands: list[ast.expr], native: ast.expr, aspect: ast.expr) -> ast.expr:
        """Stay native where all operands are names and constants of types that cannot bring a label.

        A name can be read twice without being noticed. This costs a third of a call.
        """
        tested = {operand.id: operand for operand in operands if isinstance(operand, ast.Name)}
        if not tested or len(tested) > _MOST_TESTS or not all(map(is_plain, operands)):
            return aspect
        is_clean: list[ast.expr] = [
            ast.copy_location(
                ast.Compare(self._call("type_of", [_again(name)], name), [ast.In()], [self._name("clean", name)]),
                native,
            )
            for name in tested.values()
        ]
        test = is_clean[0] if len(is_clean) == 1 else ast.copy_location(ast.BoolOp(ast.And(), is_clean), native)
        return ast.copy_location(ast.IfExp(test, native, aspect), native)

    # What is evaluated elsewhere, or shown as text, or is no expression at all.

    def visit_arguments(self, node: ast.arguments) -> ast.arguments:
        node.defaults = [self.visit(default) for default in node.defaults]
        node.kw_defaults = [default and self.visit(default) for default in node.kw_defaults]
        return node

    def _function(self, node: Any) -> Any:
        self.visit(node.args)
        node.decorator_list = [self.visit(decorator) for decorator in node.decorator_list]
        node.body = [self.visit(statement) for statement in node.body]
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = _function  # noqa: N815  # ast calls them so.

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        node.target = self.visit(node.target)
        node.value = node.value and self.visit(node.value)
        return node

    def visit_match_case(self, node: ast.match_case) -> ast.match_case:
        node.guard = node.guard and self.visit(node.guard)
        node.body = [self.visit(statement) for statement in node.body]
        return node

    def visit_TypeAlias(self, node: ast.AST) -> ast.AST:
        return node

    # A method that is kept under a name, to be called later.

    def visit_Assign(self, node: ast.Assign) -> ast.Assign:
        self.generic_visit(node)
        if isinstance(node.value, ast.Attribute) and node.value.attr in _OF_PATTERN:
            node.value = self._call("method", [node.value], node.value)
        return node

    # f-strings

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.FormattedValue:
        node.value = self.visit(node.value)
        if isinstance(node.format_spec, ast.JoinedStr):
            for value in node.format_spec.values:
                self.visit(value)
        return node

    def _field(self, node: ast.expr) -> ast.expr:
        """Rewrite one part of an f-string into an expression that gives its finished text; a literal stays."""
        if not isinstance(node, ast.FormattedValue):
            return node
        value, conversion, spec = node.value, node.conversion, node.format_spec
        parts = spec.values if isinstance(spec, ast.JoinedStr) else []
        if conversion == CONVERSIONS["a"]:
            # It makes a copy where it has something to escape.
            value = self._call("escaped", [value], value)
        elif _may_be_container(value) and (conversion != -1 or not parts):
            value = self._call(_HELD[conversion], [value], value)
        if spec is None or all(isinstance(part, ast.Constant) for part in parts):
            return _text(node, value, conversion, spec)
        if conversion != -1:
            value = _text(node, value, conversion, None)
        given = self._call("specified", [value, self._pieces(parts, spec)], node)
        starred = ast.copy_location(ast.Starred(given, ast.Load()), node)
        return self._call("format_of", [starred], node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        self.generic_visit(node)
        return self._pieces(node.values, node)

    def _pieces(self, values: list[ast.expr], place: _Located) -> ast.expr:
        native = ast.copy_location(ast.JoinedStr(values), place)
        shown = [value for value in values if isinstance(value, ast.FormattedValue)]
        if not shown:
            return native
        fields = list(map(self._field, values))
        if len(fields) == 1:
            aspect = fields[0]
            if isinstance(aspect, ast.JoinedStr) and ast.dump(aspect) == ast.dump(native):
                return native
        else:
            pattern = "".join("D" if isinstance(value, ast.FormattedValue) else "L" for value in values)
            aspect = self._call(pattern, fields, place)
        operands: list[ast.expr] = []
        for value in shown:
            used = _used(value)
            if used is None:
                return aspect
            operands += used
        return self._guarded(operands, native, aspect)

    # %

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        left, right = node.left, node.right
        if not isinstance(node.op, ast.Mod) or _is_constant(right):
            return node
        operands = right.elts if isinstance(right, ast.Tuple) else [right]
        aspect: ast.expr = self._call("percent", [left, right], node)
        if isinstance(left, ast.Constant):
            values = percent_values(left, right)
            if values is not None:
                return self._pieces(values, node)
            aspect = aspect if isinstance(left.value, str | bytes) else node
        elif is_plain(left) and (_is_small(right) or all(map(is_plain, operands))):
            # Mostly numbers, and objects with a `%` of their own, which are called from here.
            is_text = ast.Compare(self._call("type_of", [left], left), [ast.In()], [self._name("texts", left)])
            aspect = ast.copy_location(ast.IfExp(ast.copy_location(is_text, node), aspect, node), node)
        return aspect if aspect is node or not _is_small(left) else self._guarded(operands, node, aspect)

    # in

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        if len(node.ops) != 1 or not isinstance(node.ops[0], ast.In | ast.NotIn):
            return node
        left, right = node.left, node.comparators[0]
        if not (_is_small(left) and _is_small(right)) or _is_constant(left) or _is_constant(right):
            return node
        observed: ast.expr = self._call("contains", [left, right], node)
        if isinstance(node.ops[0], ast.NotIn):
            observed = ast.copy_location(ast.UnaryOp(ast.Not(), observed), node)
        is_watched = ast.copy_location(ast.Attribute(self._name("observation", node), "active", ast.Load()), node)
        return ast.copy_location(ast.IfExp(is_watched, observed, node), node)

    # calls

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        function = node.func
        if isinstance(function, ast.Name):
            return self._builtin(node, function)
        if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
            is_first_seen = bool(node.args) and not isinstance(node.args[0], ast.Starred)
            if function.value.id in _CONVERTING and is_first_seen and function.attr not in _OF_NO_TEXT:
                aspect = self._call("of_class", [function, *node.args], node)
                aspect.keywords = node.keywords
                return aspect
        if isinstance(function, ast.Attribute) and function.attr in _METHODS:
            return self._method(node, function)
        return node

    def _builtin(self, node: ast.Call, function: ast.Name) -> ast.expr:
        args = node.args
        if function.id.startswith(_PYTEST_TEMPORARY):
            node.func = self._call("method", [function], node)
            return node
        if any(isinstance(arg, ast.Starred) for arg in args):
            return node
        if len(args) == 1 and not node.keywords and not _is_constant(args[0]):
            if function.id in _SHOWING:
                shown = self._call("shown", [_again(function), args[0]], args[0])
                aspect = ast.copy_location(ast.Call(function, [shown], []), node)
                return self._guarded(args, node, aspect)
        elif function.id in _CONVERTING and args and not _is_constant(args[0]) and len(args) + len(node.keywords) > 1:
            node.func, node.args = self._name("converted", function), [function, *args]
        return node

    def _method(self, node: ast.Call, function: ast.Attribute) -> ast.expr:
        args, receiver, name = node.args, function.value, function.attr
        held = args if any(isinstance(arg, ast.Starred) for arg in args) else args[_METHODS[name]]
        held = [*held, *(keyword.value for keyword in node.keywords)]
        if all(_is_constant(arg) and not isinstance(arg, ast.Lambda) for arg in held):
            return node
        if name == "join" and (len(args) != 1 or node.keywords or isinstance(args[0], ast.Starred)):
            return node
        place = _at_attribute(node, function)
        native = ast.copy_location(ast.Call(function, args, node.keywords), place)
        if isinstance(receiver, ast.Constant) and isinstance(receiver.value, str | bytes):
            known = self._on_constant(native, receiver, name)
            if known is not None:
                return known
        if name == "join" and is_plain(receiver) and _is_small_display(args[0]):
            is_text = ast.copy_location(
                ast.Compare(self._call("type_of", [receiver], receiver), [ast.In()], [self._name("texts", receiver)]),
                node,
            )
            return ast.copy_location(ast.IfExp(is_text, self._call("joined", [receiver, args[0]], place), native), node)
        node.func = self._call("method" if name in _OF_CONTAINERS else "asking", [function], place)
        ast.copy_location(node, place)
        return self._guarded(held, native, node) if _is_small(receiver) and all(map(_is_small, args)) else node

    def _on_constant(self, native: ast.Call, receiver: ast.Constant, name: str) -> ast.expr | None:
        """Rewrite `",".join(...)` and the like, where it is known whose method it is."""
        if name == "join":
            return self._call("joined", [receiver, _listed(native.args[0], native)], native)
        if name in _ON_TEXT and not native.keywords:
            helper = f"text_{name}"
        elif name == "format" and isinstance(receiver.value, str):
            values = format_values(receiver, native)
            if values is not None:
                return self._pieces(values, native)
            helper = "formatted_with_names" if native.keywords else "formatted"
        else:
            return None
        aspect = self._name(helper, native)
        return ast.copy_location(ast.Call(aspect, [receiver, *native.args], native.keywords), native)


def _used(value: ast.FormattedValue) -> list[ast.expr] | None:
    """Give what a field is made of; None where its specification may not stand in the code twice."""
    if value.format_spec is None:
        return [value.value]
    if not isinstance(value.format_spec, ast.JoinedStr):
        return None
    fields = [field for field in value.format_spec.values if isinstance(field, ast.FormattedValue)]
    if not all(field.format_spec is None and is_plain(field.value) for field in fields):
        return None
    return [value.value, *(field.value for field in fields)]


def _text(node: ast.FormattedValue, value: ast.expr, conversion: int, spec: ast.expr | None) -> ast.JoinedStr:
    """Make the f-string of one field that stands where another does."""
    field = ast.copy_location(ast.FormattedValue(value, conversion, spec), node)
    return ast.copy_location(ast.JoinedStr([field]), node)


def _may_be_container(node: ast.expr) -> bool:
    """Tell whether an expression may give what has labelled values inside, as far as its form says."""
    if _is_constant(node) or isinstance(node, ast.JoinedStr):
        return False
    if isinstance(node, ast.Attribute):
        return not (node.attr.startswith("__") and node.attr.endswith("__"))
    if isinstance(node, ast.Call):
        function = node.func
        if isinstance(function, ast.Name):
            return function.id not in _GIVES_NO_CONTAINER
        return not isinstance(function, ast.Attribute) or function.attr not in _GIVES_TEXT
    return True


def _again(name: ast.Name) -> ast.Name:
    return ast.copy_location(ast.Name(name.id, ast.Load()), name)


def _at_attribute(node: ast.Call, function: ast.Attribute) -> ast.Call:
    """Give a call the place that the compiler gives a method call: in a chain over lines, its own line."""
    if function.lineno != function.end_lineno and function.end_lineno and function.end_col_offset is not None:
        node.lineno = function.end_lineno
        node.col_offset = max(function.end_col_offset - len(function.attr), 0)
    return node


def _listed(node: ast.expr, place: ast.Call) -> ast.expr:
    """Run a generator expression from its own frame, as `join` would have done."""
    if not isinstance(node, ast.GeneratorExp):
        return node
    if any(isinstance(inner, ast.Await) or getattr(inner, "is_async", 0) for inner in ast.walk(node)):
        return node
    starred = ast.copy_location(ast.Starred(node, ast.Load()), place)
    return ast.copy_location(ast.List([starred], ast.Load()), place)
