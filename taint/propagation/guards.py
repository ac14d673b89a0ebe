"""Functions that stand before a wrapper and let through the calls that are none of its concern.

Most calls of a wrapped function bring no label. Where a function in Python takes a fixed number of
arguments, its guard takes the same ones, by the same names and with the same defaults: it is called
as quickly as a Python function can be, tests each argument's type in one expression, and hands the
arguments on. What stands for any other function collects the arguments first, which costs twice as much.
"""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

from taint.carriers.proxy import TaintedProxy
from taint.carriers.text import TaintedBytes, TaintedStr

__all__ = ["CARRIERS", "on_carriers", "on_others"]

CARRIERS = frozenset((TaintedStr, TaintedBytes, TaintedProxy))
"""By exact type: the quickest question, asked of every argument of every wrapped call."""

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


def _exact(native: Any, concerned: Callable[..., Any], kinds: frozenset[type], test: str, *, asked_from: int) -> Any:
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
    make = _maker(count, len(defaults), names, test, asked_from)
    held = (*defaults, *(by_name[name] for name in names))
    guard = make(native, concerned, kinds, _given, *held)
    guard.__code__ = guard.__code__.replace(
        co_varnames=code.co_varnames[:end], co_posonlyargcount=code.co_posonlyargcount
    )
    guard.__defaults__, guard.__kwdefaults__ = native.__defaults__, native.__kwdefaults__
    return guard


def _given(args: tuple[Any, ...], defaults: tuple[Any, ...]) -> tuple[Any, ...]:
    """Leave out what stands at the end for an argument that was not given."""
    count = len(args)
    for default in reversed(defaults):
        if args[count - 1] is not default:
            break
        count -= 1
    return args[:count]


@functools.cache
def _maker(count: int, optional: int, named: tuple[str, ...], test: str, asked_from: int) -> Callable[..., Any]:
    """Compile what makes guards for functions of one form; a library has some tens of them.

    Args:
        count: Arguments that may be given by position.
        optional: How many of them have a default, which is not asked for its type.
        named: Those that are given by name only; each has a default.
        test: `in` or `not in` the kinds.
        asked_from: The first argument that is asked.
    """
    # The guard's own names begin with one underscore, as those of its arguments do not.
    names = [*(f"a{at}" for at in range(count)), *named]
    defaults = [f"_default_{name}" for name in names[count - optional :]]
    tests = [f"_type({name}) {test} _kinds" for name in names]
    for at in range(count - optional, len(names)):
        tests[at] = f"({names[at]} is _default_{names[at]} or {tests[at]})"
    args, held = ", ".join(names[:count]), ", ".join(defaults[:optional])
    by_name = "".join(f", {name}={name}" for name in named)
    concerned = f"*_given(({args},), ({held},))" if optional else args
    more = "".join(f", **({{}} if {name} is _default_{name} else {{{name!r}: {name}}})" for name in named)
    source = (
        f"def make({', '.join(['_native', '_concerned', '_kinds', '_given', *defaults])}, _type=type):\n"
        f"    def guard({args}{', *' if named else ''}{''.join(f', {name}' for name in named)}):\n"
        f"        if {' and '.join(tests[asked_from:])}:\n"
        f"            return _native({args}{by_name})\n"
        f"        return _concerned({concerned}{more})\n"
        "    return guard\n"
    )
    namespace: dict[str, Any] = {}
    exec(compile(ast.parse(source), __file__, "exec", dont_inherit=True), namespace)  # noqa: S102  # Names of arguments.
    made: Callable[..., Any] = namespace["make"]
    return made
