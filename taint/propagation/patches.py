"""Putting wrappers around library functions, and taking every one off again.

One way for all of them: `wrapt.FunctionWrapper` around the original, put where the original was.
`uninstall` puts the identical original back; where somebody else has meanwhile wrapped our wrapper,
it stays in their chain and passes everything through.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import wrapt

from taint.errors import IntegrationError

__all__ = ["Patch", "Wrapper", "apply_patches", "revert_patches"]

Wrapper = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]
"""wrapt's protocol: (wrapped, instance, args, kwargs)."""


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


@dataclass(slots=True)
class _Applied:
    patch: Patch
    original: Any
    replacement: Any
    is_on: bool = True
    group: str = ""


_applied: list[_Applied] = []
_lock = threading.RLock()


def apply_patches(patches: Iterable[Patch], *, group: str = "") -> None:
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
            applied.replacement = wrapt.FunctionWrapper(
                original, patch.wrapper, enabled=functools.partial(getattr, applied, "is_on")
            )
            setattr(patch.owner, patch.name, applied.replacement)
            _applied.append(applied)


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
