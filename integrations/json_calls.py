"""What the integrations of JSON libraries have in common: wrappers for `dumps`, `dump`, `loads`, `load`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from taint.carriers.proxy import bare
from taint.integrations.calls import plain_call
from taint.propagation.json_tree import label_json_values, labelled_json
from taint.propagation.pairing import Detached, detached
from taint.propagation.patches import Wrapper

__all__ = ["dump_wrapper", "dumps_wrapper", "load_wrapper", "loads"]


def _hooked(
    made: Detached, hook: str, at: int, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Put the plain twin and the hook that sees originals into the arguments of `dumps`."""
    changed = [made.value, *args[1:]]
    if len(changed) > at:
        changed[at] = made.hook(changed[at])
    elif hook in kwargs:
        kwargs = {**kwargs, hook: made.hook(kwargs[hook])}
    return changed, kwargs


def dumps_wrapper(hook: str, *, at: int, looks_into_objects: bool = True) -> Wrapper:
    """Give a wrapper for a function that makes a JSON document of its first argument.

    Args:
        hook: The argument that converts what the library does not know.
        at: Its position.
        looks_into_objects: The library writes objects by methods of theirs (`__json__`, `for_json`, `_asdict`).
    """

    def dumps(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not args:
            return wrapped(*args, **kwargs)
        made = detached(args[0], is_text=True)
        if looks_into_objects and not made.is_exact:
            made.look_into_objects()
        args, kwargs = _hooked(made, hook, at, args, kwargs)  # type: ignore[assignment]  # A list does as well.
        return labelled_json(wrapped(*args, **kwargs), made)

    return dumps


def dump_wrapper(dumps: Callable[..., Any], hook: str) -> Wrapper:
    """Give a wrapper for a function that writes a JSON document of its first argument to a file.

    A labelled document is written in one piece, any other as the library does it.

    Args:
        dumps: The library's function that gives the document, wrapped.
        hook: The argument that converts what the library does not know.
    """

    def dump(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if len(args) < 2 or (not detached(args[0], is_text=True).labels and kwargs.get(hook) is None):  # noqa: PLR2004  # obj, file
            return wrapped(*args, **kwargs)
        value, file, *rest = args
        file.write(dumps(value, *rest, **kwargs))
        return None

    return dump


def loads(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Load a JSON document; labels go from the document to the values, and stay on one that cannot be labelled."""
    value = plain_call(wrapped, args, kwargs)
    return label_json_values(value, args[0]) if args else value


def load_wrapper(loads_: Callable[..., Any]) -> Wrapper:
    """Give a wrapper for a function that loads a JSON document from a file.

    Args:
        loads_: The library's function that loads from text, wrapped.
    """

    def load(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not args or bare(args[0]) is args[0]:
            return wrapped(*args, **kwargs)
        return loads_(args[0].read(), *args[1:], **kwargs)

    return load
