"""`wsgiref`: its server asks for exactly `str` and `bytes`, where any subclass would do.

A status, a header or a body that is labelled would end as a response of status 500. Header and status keep their labels
until they are written; a socket keeps none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from taint.propagation.follow import exact, lost
from taint.propagation.patches import ForCarriers, Patch, Wrapper, patches_in

__all__ = ["patches"]


@ForCarriers
def _checked(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Have the exact text checked, and give the labelled one."""
    value = wrapped(*map(exact, args), **kwargs)
    return args[0] if value == args[0] else value


_WRAPPERS: dict[str, dict[str, Wrapper]] = {
    "wsgiref.headers": {"Headers._convert_string_type": _checked},
    "wsgiref.handlers": {
        "BaseHandler._convert_string_type": _checked,
        "BaseHandler.write": lost("wsgiref.handlers.BaseHandler.write"),
    },
}


def patches(module: ModuleType) -> Iterator[Patch]:
    """Give what there is to wrap in one of these modules."""
    return patches_in(module, _WRAPPERS[module.__name__])
