"""Putting wrappers around library functions, and taking every one off again.

A plain function stands in the place of a Python function, wrapt's function wrapper in that of a coroutine
function, and in the place of what C code gives a callable that seems to be that. `uninstall` puts the
identical original back; where somebody else has meanwhile wrapped ours, it stays in their chain and passes
everything through. A wrapped function can be pickled and copied as the native one can.

Most wrappers have nothing to do where no argument is a carrier: one test of each argument's type
decides that here, and costs half of what a wrapt function wrapper does by itself.
"""

from __future__ import annotations

import functools
import inspect
import pkgutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import FunctionType, MethodType, ModuleType
from typing import Any

import wrapt

from taint.carriers.proxy import TaintedProxy
from taint.carriers.text import TaintedBytes, TaintedStr
from taint.errors import IntegrationError

__all__ = [
    "CARRIERS",
    "ForCarriers",
    "Patch",
    "Standing",
    "Swap",
    "Unless",
    "Wrapper",
    "apply_patches",
    "is_ours",
    "patches_in",
    "revert_patches",
]

CARRIERS: set[type] = {TaintedStr, TaintedBytes, TaintedProxy}
"""By exact type: the quickest question, asked of every argument of every wrapped call.

A subclass that is a plain text for whatever it is given to adds itself.
"""

Wrapper = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]
"""wrapt's protocol: (wrapped, instance, args, kwargs)."""


@dataclass(frozen=True, slots=True)
class ForCarriers:
    """A wrapper that is asked only where an argument of the call is a carrier.

    Args:
        wrapper: What is called then.
    """

    wrapper: Wrapper

    def __call__(
        self, wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Call the wrapper, whatever the arguments are."""
        return self.wrapper(wrapped, instance, args, kwargs)


@dataclass(frozen=True, slots=True)
class Unless:
    """A wrapper that is asked only where an argument of the call is of another type than these.

    Args:
        wrapper: What is called then.
        plain: Exact types that bring no label.
    """

    wrapper: Wrapper
    plain: frozenset[type]

    def __call__(
        self, wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Call the wrapper, whatever the arguments are."""
        return self.wrapper(wrapped, instance, args, kwargs)


@dataclass(frozen=True, slots=True)
class Standing:
    """A wrapper before which a function stands that knows most calls to be none of its concern.

    For what every request of a server goes through: it calls the native function itself, with no wrapper between.

    Args:
        wrapper: What is called for the others.
        before: Gives that function, from the native one and the one that calls the wrapper.
    """

    wrapper: Wrapper
    before: Callable[[Callable[..., Any], Callable[..., Any]], Callable[..., Any]]

    def __call__(
        self, wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Call the wrapper, whatever the arguments are."""
        return self.wrapper(wrapped, instance, args, kwargs)


class _Native(functools.partial[Any]):
    """What stands for a callable of C code: it calls ours, and is for everything else the native one.

    A plain function in its place would become a method where a class has it as an attribute.
    """

    _native: Any

    @property  # type: ignore[misc]  # typeshed: it can be set too.
    def __class__(self) -> Any:
        return type(self._native)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        # As an attribute of a class: a method where the native one is (what `lru_cache` makes), else itself.
        return MethodType(self, instance) if instance is not None and hasattr(self._native, "__get__") else self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)

    def __eq__(self, other: object) -> bool:
        return bool(self._native == (other._native if type(other) is _Native else other))

    def __hash__(self) -> int:
        return hash(self._native)

    def __repr__(self) -> str:
        return repr(self._native)

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


class _NativeClass(_Native):
    """What stands for a class: it makes what ours makes of a call, and is the class for everything else."""

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self._native)

    def __subclasscheck__(self, subclass: type) -> bool:
        return issubclass(subclass, self._native)

    def __mro_entries__(self, _bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (self._native,)

    def __getitem__(self, parameters: Any) -> Any:
        return self._native[parameters]

    def __or__(self, other: Any) -> Any:
        return self._native | other

    def __ror__(self, other: Any) -> Any:
        return other | self._native


@dataclass(frozen=True, slots=True)
class Patch:
    """One function to be wrapped.

    Args:
        owner: The module, class or dict that holds it.
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
_places: set[tuple[int, str]] = set()
"""Where each stands; its owner lives as long as it does."""
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
        begun = len(_applied)
        for patch in patches:
            if (id(patch.owner), patch.name) in _places:
                continue
            original = _there(patch)
            if original is _NOTHING:
                _revert_from(begun)
                raise IntegrationError(
                    f"nothing to wrap at {getattr(patch.owner, '__name__', patch.owner)!r}.{patch.name}. "
                    "This version of the library is not supported. Report it, or leave it out of install()."
                )
            applied = _Applied(patch, original, None, group=group)
            if isinstance(patch, Swap):
                applied.replacement = patch.make(original)
            else:
                applied.replacement = _replacement(applied)
            _put(patch, applied.replacement)
            _applied.append(applied)
            _places.add((id(patch.owner), patch.name))


_NOTHING: Any = object()


def _there(patch: Patch | Swap) -> Any:
    if isinstance(patch.owner, dict):
        return patch.owner.get(patch.name, _NOTHING)
    return inspect.getattr_static(patch.owner, patch.name, _NOTHING)


def _put(patch: Patch | Swap, value: Any) -> None:
    if isinstance(patch.owner, dict):
        patch.owner[patch.name] = value
    else:
        setattr(patch.owner, patch.name, value)


def _replacement(applied: _Applied) -> Any:
    original: Any = applied.original
    is_method = isinstance(applied.patch.owner, type)
    if isinstance(original, property) and original.fget is not None:
        return property(_calling(original.fget, applied, _method), original.fset, original.fdel, original.__doc__)
    if isinstance(original, staticmethod):
        return staticmethod(_calling(original.__func__, applied, _function))
    if isinstance(original, classmethod):
        return classmethod(_calling(original.__func__, applied, _method))
    if inspect.iscoroutinefunction(original):
        return _coroutine_function(original, applied)
    # A method in C, or compiled from Python, binds as one in Python does.
    binds = is_method and not isinstance(original, type) and hasattr(type(original), "__get__")
    if binds or type(original) is FunctionType:
        return _calling(original, applied, _method if is_method else _function)
    kind = _NativeClass if isinstance(original, type) else _Native
    replacement = kind(_calling(original, applied, _function))
    replacement._native = original  # noqa: SLF001  # Ours.
    functools.update_wrapper(replacement, original)
    return replacement


def _calling(native: Any, applied: _Applied, make: Callable[[Any, _Applied, Any], Any]) -> Any:
    wrapper = applied.patch.wrapper  # type: ignore[union-attr]  # Not of a swap.
    if isinstance(wrapper, ForCarriers):
        replacement = _on_carriers(native, make(native, applied, wrapper.wrapper))
    elif isinstance(wrapper, Standing):
        replacement = wrapper.before(native, make(native, applied, wrapper.wrapper))
    elif isinstance(wrapper, Unless):
        replacement = _on_others(native, make(native, applied, wrapper.wrapper), wrapper.plain)
    else:
        replacement = make(native, applied, wrapper)
    return functools.update_wrapper(replacement, native)


def _coroutine_function(native: Any, applied: _Applied) -> Any:
    """Stand for a coroutine function, which servers ask for, and call without arguments to see that it refuses."""

    def call(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        wrapper: Any = applied.patch.wrapper  # type: ignore[union-attr]  # Not of a swap.
        return wrapper(wrapped, instance, args, kwargs) if applied.is_on else wrapped(*args, **kwargs)

    return wrapt.FunctionWrapper(native, call)


def _on_carriers(native: Any, concerned: Callable[..., Any]) -> Callable[..., Any]:
    def replacement(*args: Any, **kwargs: Any) -> Any:
        for value in args:
            if type(value) in CARRIERS:
                return concerned(*args, **kwargs)
        if not kwargs:
            return native(*args)
        for value in kwargs.values():
            if type(value) in CARRIERS:
                return concerned(*args, **kwargs)
        return native(*args, **kwargs)

    return replacement


def _on_others(native: Any, concerned: Callable[..., Any], plain: frozenset[type]) -> Callable[..., Any]:
    def replacement(*args: Any, **kwargs: Any) -> Any:
        for value in args:
            if type(value) not in plain:
                return concerned(*args, **kwargs)
        if not kwargs:
            return native(*args)
        for value in kwargs.values():
            if type(value) not in plain:
                return concerned(*args, **kwargs)
        return native(*args, **kwargs)

    return replacement


def _function(native: Any, applied: _Applied, wrapper: Wrapper) -> Callable[..., Any]:
    def replacement(*args: Any, **kwargs: Any) -> Any:
        return wrapper(native, None, args, kwargs) if applied.is_on else native(*args, **kwargs)

    return replacement


def _method(native: Any, applied: _Applied, wrapper: Wrapper) -> Callable[..., Any]:
    def replacement(*args: Any, **kwargs: Any) -> Any:
        if not args or not applied.is_on:
            return native(*args, **kwargs)
        return wrapper(MethodType(native, args[0]), args[0], args[1:], kwargs)

    return replacement


def is_ours(function: Any) -> bool:
    """Tell whether a function is what was put in the place of another, and nobody has wrapped it since."""
    code = getattr(function, "__code__", None)
    return code is not None and code.co_filename == _HERE


_HERE = apply_patches.__code__.co_filename


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
    _places.discard((id(applied.patch.owner), applied.patch.name))
    if _there(applied.patch) is applied.replacement:
        _put(applied.patch, applied.original)


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
