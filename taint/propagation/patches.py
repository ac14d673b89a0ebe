"""Putting wrappers around library functions, and taking every one off again.

One way for all of them: `wrapt.FunctionWrapper` around the original, put where the original was.
`uninstall` puts the identical original back; where somebody else has meanwhile wrapped our wrapper,
it stays in their chain and passes everything through. A wrapped function can be pickled and copied
as the native one can.
"""

from __future__ import annotations

import functools
import inspect
import pkgutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import wrapt

from taint.errors import IntegrationError

__all__ = ["Patch", "Swap", "Wrapper", "apply_patches", "patches_in", "revert_patches"]

Wrapper = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]
"""wrapt's protocol: (wrapped, instance, args, kwargs)."""


class _BoundWrapper(wrapt.BoundFunctionWrapper[Any, Any]):
    """A wrapped method, bound: pickled as the native bound method is."""

    def __reduce_ex__(self, _protocol: Any) -> Any:
        return getattr, (self._self_instance, self.__name__)

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, _memo: object) -> Any:
        return self


class _FunctionWrapper(wrapt.FunctionWrapper[Any, Any]):
    """A wrapped function: pickled by its name and copied as itself, as functions are."""

    __bound_function_wrapper__ = _BoundWrapper

    def __reduce_ex__(self, _protocol: Any) -> Any:
        place = f"{self.__module__}:{self.__qualname__}"
        try:
            is_there = pkgutil.resolve_name(place) is self
        except (ImportError, AttributeError):
            is_there = True  # Which pickle refuses, as it would the native function.
        # `struct.pack` says that it is `_struct.pack`, where the native one still is.
        return self.__qualname__ if is_there else (pkgutil.resolve_name, (place,))

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, _memo: object) -> Any:
        return self


@dataclass(frozen=True, slots=True)
class Patch:
    """One function to be wrapped.

    Args:
        owner: The module or class that holds it.
        name: Its name there.
        wrapper: What is called instead, with the original.
    """

    owner: Any
    name: str
    wrapper: Wrapper


@dataclass(frozen=True, slots=True)
class Swap:
    """One name that is not a function (a compiled pattern, a class that was imported) and is exchanged.

    Args:
        owner: The module or class that holds it.
        name: Its name there.
        make: Gives what is put there, from what is there.
    """

    owner: Any
    name: str
    make: Callable[[Any], Any]


@dataclass(slots=True)
class _Applied:
    patch: Patch | Swap
    original: Any
    replacement: Any
    is_on: bool = True
    group: str = ""


_applied: list[_Applied] = []
_lock = threading.RLock()


def apply_patches(patches: Iterable[Patch | Swap], *, group: str = "") -> None:
    """Wrap functions; those that are wrapped already stay as they are.

    Args:
        patches: What to wrap.
        group: Under which name `revert_patches` finds them; the standard library's have none.

    Raises:
        IntegrationError: A function does not exist. What was wrapped before it is put back.
    """
    with _lock:
        done = {(id(applied.patch.owner), applied.patch.name) for applied in _applied}
        begun = len(_applied)
        for patch in patches:
            if (id(patch.owner), patch.name) in done:
                continue
            try:
                original = inspect.getattr_static(patch.owner, patch.name)
            except AttributeError:
                _revert_from(begun)
                raise IntegrationError(
                    f"nothing to wrap at {getattr(patch.owner, '__name__', patch.owner)!r}.{patch.name}. "
                    "This version of the library is not supported. Report it, or leave it out of install()."
                ) from None
            applied = _Applied(patch, original, None, group=group)
            if isinstance(patch, Swap):
                applied.replacement = patch.make(original)
            else:
                is_on = functools.partial(getattr, applied, "is_on")
                applied.replacement = _replacement(original, patch.wrapper, is_on)
            setattr(patch.owner, patch.name, applied.replacement)
            _applied.append(applied)


def _replacement(original: Any, wrapper: Wrapper, is_on: Callable[[], bool]) -> Any:
    if (
        isinstance(original, property) and original.fget is not None
    ):  # wrapt binds functions only; a property's getter is one.
        getter = _FunctionWrapper(original.fget, wrapper, enabled=is_on)
        return property(getter, original.fset, original.fdel, original.__doc__)
    return _FunctionWrapper(original, wrapper, enabled=is_on)


def revert_patches(*, group: str = "") -> None:
    """Put every original of a group back, the last one first."""
    with _lock:
        reverted = [applied for applied in _applied if applied.group == group]
        _applied[:] = [applied for applied in _applied if applied.group != group]
        for applied in reversed(reverted):
            _revert(applied)


def _revert_from(begun: int) -> None:
    while len(_applied) > begun:
        _revert(_applied.pop())


def _revert(applied: _Applied) -> None:
    applied.is_on = False
    owner, name = applied.patch.owner, applied.patch.name
    if inspect.getattr_static(owner, name, None) is applied.replacement:
        setattr(owner, name, applied.original)


def patches_in(module: ModuleType, wrappers: Mapping[str, Wrapper]) -> Iterator[Patch]:
    """Give the patches of a module; a name that this Python does not have is left out.

    Args:
        module: Where the names are.
        wrappers: By name, which may be dotted: `JSONEncoder.encode`.
    """
    for path, wrapper in wrappers.items():
        *way, name = path.split(".")
        owner: Any = module
        for step in way:
            owner = getattr(owner, step, None)
        if owner is not None and name in vars(owner):
            yield Patch(owner, name, wrapper)
