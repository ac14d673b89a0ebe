"""`logging`: a message is built from its arguments by `%`, which asks nobody. Logs are an outlet too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from taint.carriers.containers import ATOMIC
from taint.carriers.values import labels_of
from taint.propagation.follow import carry_texts
from taint.propagation.patches import Patch, Standing, Wrapper, patches_in

__all__ = ["patches"]


def _message(wrapped: Callable[..., Any], record: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Label the message with the labels of its template and arguments."""
    value = wrapped(*args, **kwargs)
    return carry_texts(value, labels_of(record.args)) if record.args else value


def _before_message(native: Callable[..., Any], concerned: Callable[..., Any]) -> Callable[..., Any]:
    """Build the message of a record that has no arguments, or none that can bring a label."""

    def message(record: Any) -> Any:
        args = record.args
        if args:
            if type(args) is not tuple:
                return concerned(record)
            for value in args:
                if type(value) not in ATOMIC:
                    return concerned(record)
        return native(record)

    return message


def _formatted(wrapped: Callable[..., Any], _style: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Label the line with the labels of the record's message."""
    value = wrapped(*args, **kwargs)
    return carry_texts(value, labels_of(getattr(args[0], "message", None))) if args else value


_STYLES = ("PercentStyle", "StrFormatStyle", "StringTemplateStyle")
_WRAPPERS: dict[str, Wrapper] = {
    "LogRecord.getMessage": Standing(_message, _before_message),
    **{f"{style}._format": _formatted for style in _STYLES},
}


def patches(module: ModuleType) -> Iterator[Patch]:
    """Give what there is to wrap in `logging`."""
    return patches_in(module, _WRAPPERS)
