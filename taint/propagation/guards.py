"""Functions that stand before a wrapper and let through the calls that are none of its concern.

Most calls of a wrapped function bring no label. Where a function in Python takes a fixed number of
arguments, its guard takes the same ones, by the same names and with the same defaults: it is called
as quickly as a Python function can be, tests each argument's type in one expression, and hands the
arguments on. It takes this form when it is called first. What stands for any other function collects
the arguments, which costs twice as much.
"""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from types import CodeType, FunctionType
from typing import Any

from taint.carriers.proxy import TaintedProxy
from taint.carriers.text import TaintedBytes, TaintedStr

__all__ = ["CARRIERS", "on_carriers", "on_others"]

CARRIERS: set[type] = {TaintedStr, TaintedBytes, TaintedProxy}
"""By exact type: the quickest question, asked of every argument of every wrapped call.

A subclass that is a plain text for whatever it is given to adds itself.
"""

_MOST_ARGUMENTS = 8


def on_carriers(
    native: Callable[..., Any], concerned: Callable[..., Any], *, is_method: bool = False
) -> Callable[..., Any]:
    """Give a function that calls the native one, and `concerned` where an argument is a carrier.

    Args:
        native: What is called where none is.
        concerned: What is called where one is.
        is_method: The first argument is the object, which is not asked.
    """
    exact: Callable[..., Any] | None = _exact(native, concerned, CARRIERS, "not in", asked_from=int(is_method))
    if exact is not None:
        return exact

    def guard(*args: Any, **kwargs: Any) -> Any:
        for value in args:
            if type(value) in CARRIERS:
                return concerned(*args, **kwargs)
        if not kwargs:
            return native(*args)
        for value in kwargs.values():
            if type(value) in CARRIERS:
                return concerned(*args, **kwargs)
        return native(*args, **kwargs)

    return guard


def on_others(
    native: Callable[..., Any], concerned: Callable[..., Any], plain: frozenset[type], *, is_method: bool = False
) -> Callable[..., Any]:
    """Give a function that calls the native one, and `concerned` where an argument is of another type than these.

    Args:
        native: What is called where none is.
        concerned: What is called where one is.
        plain: Exact types.
        is_method: The first argument is the object, which is not asked.
    """
    exact: Callable[..., Any] | None = _exact(native, concerned, plain, "in", asked_from=int(is_method))
    if exact is not None:
        return exact

    def guard(*args: Any, **kwargs: Any) -> Any:
        for value in args[1:] if is_method else args:
            if type(value) not in plain:
                return concerned(*args, **kwargs)
        if not kwargs:
            return native(*args)
        for value in kwargs.values():
            if type(value) not in plain:
                return concerned(*args, **kwargs)
        return native(*args, **kwargs)

    return guard


def _exact(native: Any, concerned: Callable[..., Any], kinds: AbstractSet[type], test: str, *, asked_from: int) -> Any:
    """Make a guard that takes what a Python function takes; None for what takes any number, or has no code."""
    if type(native) is not FunctionType:
        return None
    code, defaults, by_name = native.__code__, native.__defaults__ or (), native.__kwdefaults__ or {}
    count, end = code.co_argcount, code.co_argcount + code.co_kwonlyargcount
    names = code.co_varnames[count:end]
    is_open = code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS) or by_name.keys() != {*names}
    is_open = is_open or any(name.startswith("_") for name in names)
    if is_open or not asked_from < end <= _MOST_ARGUMENTS:
        return None
    first = count - len(defaults)
    known: dict[str, Any] = {
        "__builtins__": builtins,
        "__name__": __name__,
        "_native": native,
        "_concerned": concerned,
        "_kinds": kinds,
        "_given": _given,
        "_type": type,
        **{f"_default_a{at}": default for at, default in enumerate(defaults, first)},
        **{f"_default_{name}": by_name[name] for name in names},
    }
    guard = FunctionType(_first_call.__code__, known, native.__name__, native.__defaults__)
    guard.__kwdefaults__ = native.__kwdefaults__

    def become() -> FunctionType:
        form = _form(count, len(defaults), names, test, asked_from)
        guard.__code__ = form.replace(co_varnames=code.co_varnames[:end], co_posonlyargcount=code.co_posonlyargcount)
        return guard

    known["_become"] = become
    return guard


_become: Callable[[], FunctionType]
"""Of each guard: gives it its own form."""


def _first_call(*args: Any, **kwargs: Any) -> Any:
    """Stand for a guard until it is called: a program calls few of the functions that are wrapped."""
    return _become()(*args, **kwargs)  # noqa: F821  # Among the guard's own names.


def _given(args: tuple[Any, ...], defaults: tuple[Any, ...]) -> tuple[Any, ...]:
    """Leave out what stands at the end for an argument that was not given."""
    count = len(args)
    for default in reversed(defaults):
        if args[count - 1] is not default:
            break
        count -= 1
    return args[:count]


@functools.cache
def _form(count: int, optional: int, named: tuple[str, ...], test: str, asked_from: int) -> CodeType:
    """Compile the guard of functions of one form; a library has some tens of them.

    Args:
        count: Arguments that may be given by position.
        optional: How many of them have a default, which is not asked for its type.
        named: Those that are given by name only; each has a default.
        test: `in` or `not in` the kinds.
        asked_from: The first argument that is asked.
    """
    # What the guard itself needs begins with an underscore, as the names of these arguments do not.
    names = [*(f"a{at}" for at in range(count)), *named]
    tests = [f"_type({name}) {test} _kinds" for name in names]
    for at in range(count - optional, len(names)):
        tests[at] = f"({names[at]} is _default_{names[at]} or {tests[at]})"
    args, defaults = ", ".join(names[:count]), ", ".join(f"_default_a{at}" for at in range(count - optional, count))
    by_name = "".join(f", {name}={name}" for name in named)
    concerned = f"*_given(({args},), ({defaults},))" if optional else args
    more = "".join(f", **({{}} if {name} is _default_{name} else {{{name!r}: {name}}})" for name in named)
    source = (
        f"def guard({args}{', *' if named else ''}{''.join(f', {name}' for name in named)}):\n"
        f"    if {' and '.join(tests[asked_from:])}:\n"
        f"        return _native({args}{by_name})\n"
        f"    return _concerned({concerned}{more})\n"
    )
    module = compile(ast.parse(source), __file__, "exec", dont_inherit=True)
    [code] = [constant for constant in module.co_consts if isinstance(constant, CodeType)]
    return code
