"""A function with a decorator of this library around it: still a function for `inspect`, for copies and for pickle."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import wrapt

__all__ = ["Decorated"]


def _found(module: str, name: str) -> Any:
    return attrgetter(name)(importlib.import_module(module))


def _reduced(wrapper: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Say how another process finds the same function: by its name, as pickle has it for every function.

    Raises:
        PicklingError: What is found by that name is another one, which nothing stands around.
    """
    native = wrapper.__wrapped__
    owner = getattr(native, "__self__", None)
    if owner is not None:
        return getattr, (owner, native.__name__)
    module, name = native.__module__, native.__qualname__
    try:
        is_there = _found(module, name).__wrapped__ is native
    except (ImportError, AttributeError):
        is_there = False
    if not is_there:
        msg = (
            f"function {name!r} of {module!r} cannot be pickled: it is not found under that name. What another process "
            "imports can be. Decorate it where it is defined, at the top of a module or class."
        )
        raise pickle.PicklingError(msg)
    return _found, (module, name)


class _ByName:
    """Copied as every function is, which is not at all, and pickled by name."""

    def __reduce_ex__(self, _protocol: object) -> Any:
        return _reduced(self)

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, _memo: object) -> Any:
        return self


class _Method(_ByName, wrapt.BoundFunctionWrapper):  # type: ignore[type-arg]  # `cast` has a decorated function's types.
    """A decorated function as a class or an instance gives it."""


class Decorated(_ByName, wrapt.FunctionWrapper):  # type: ignore[type-arg]  # As above.
    """A decorated function: pools take it."""

    __bound_function_wrapper__ = _Method
