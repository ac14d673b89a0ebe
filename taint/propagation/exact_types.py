"""What asks for exactly `str` or `bytes`, where any subclass would do: `wsgiref` and `collections.namedtuple`.

`wsgiref` would answer a labelled status, header or body with status 500. Header and status keep their labels until they
are written; a socket keeps none. The names of a `namedtuple`, which may be the first row of a file, are plain ones.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from taint.carriers.text import TaintedStr
from taint.propagation.follow import exact, lost
from taint.propagation.patches import ForCarriers, Patch, Standing, Wrapper, patches_in

__all__ = ["patches"]


@ForCarriers
def _checked(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Have the exact text checked, and give the labelled one."""
    value = wrapped(*map(exact, args), **kwargs)
    return args[0] if value == args[0] else value


def _named(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return wrapped(
        *map(_names, args), **{name: _names(value) if name in _NAMES else value for name, value in kwargs.items()}
    )


_NAMES = ("typename", "field_names")


def _names(value: Any) -> Any:
    if isinstance(value, list | tuple) and any(type(name) is TaintedStr for name in value):
        return list(map(exact, value))
    return exact(value)


def _before_naming(_native: Callable[..., Any], concerned: Callable[..., Any]) -> Callable[..., Any]:
    """Say which module it is that makes a class: the native function would take ours for it."""

    def namedtuple(*args: Any, **kwargs: Any) -> Any:
        if kwargs.get("module") is None:
            kwargs["module"] = sys._getframe(1).f_globals.get("__name__", "__main__")  # noqa: SLF001  # As the native one.
        return concerned(*args, **kwargs)

    return namedtuple


_WRAPPERS: dict[str, dict[str, Wrapper]] = {
    "collections": {"namedtuple": Standing(_named, _before_naming)},
    "wsgiref.headers": {"Headers._convert_string_type": _checked},
    "wsgiref.handlers": {
        "BaseHandler._convert_string_type": _checked,
        "BaseHandler.write": lost("wsgiref.handlers.BaseHandler.write"),
    },
}


def patches(module: ModuleType) -> Iterator[Patch]:
    """Give what there is to wrap in one of these modules."""
    return patches_in(module, _WRAPPERS[module.__name__])
