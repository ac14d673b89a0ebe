"""`logging`: a message is built from its arguments by `%`, which asks nobody. Logs are an outlet too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from taint.carriers.values import labels_of
from taint.propagation.follow import carry_texts
from taint.propagation.patches import Patch, Wrapper, patches_in

__all__ = ["patches"]


def _message(wrapped: Callable[..., Any], record: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Label the message with the labels of its template and arguments."""
    value = wrapped(*args, **kwargs)
    return carry_texts(value, labels_of(record.args)) if record.args else value


def _formatted(wrapped: Callable[..., Any], _style: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Label the line with the labels of the record's message."""
    value = wrapped(*args, **kwargs)
    return carry_texts(value, labels_of(getattr(args[0], "message", None))) if args else value


_STYLES = ("PercentStyle", "StrFormatStyle", "StringTemplateStyle")
_WRAPPERS: dict[str, Wrapper] = {
    "LogRecord.getMessage": _message,
    **{f"{style}._format": _formatted for style in _STYLES},
}


def patches(module: ModuleType) -> Iterator[Patch]:
    """Give what there is to wrap in `logging`."""
    return patches_in(module, _WRAPPERS)
