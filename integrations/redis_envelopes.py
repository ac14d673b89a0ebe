"""What the commands of Redis have in common: where envelopes stand, what they are bound to, what is sent instead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from taint.carriers.proxy import carry, exact
from taint.carriers.values import labels_of
from taint.envelopes.carrying import arrived, leaving
from taint.envelopes.envelope import MESSAGE_BYTES

__all__ = [
    "SUFFIX",
    "Command",
    "Step",
    "context_of",
    "first_of",
    "labelled_by",
    "name_of",
    "plain_of",
    "sealed",
    "side_of",
]

SUFFIX = ":taint-labels"

Command = tuple[tuple[Any, ...], dict[str, Any]]
"""A command's arguments and the client's options for it."""


@dataclass(frozen=True, slots=True)
class Step:
    """What is sent instead of one command.

    Args:
        commands: In this order; in one transaction where there are several.
        answer: Makes the command's answer of theirs.
        then: Gives, from that answer, the step that finds its envelopes: for a command that waits, which no transaction
            does.
    """

    commands: tuple[Command, ...]
    answer: Callable[[Sequence[Any]], Any]
    then: Callable[[Any], Step | None] | None = None


def side_of(key: Any) -> Any:
    """Give the key beside a key, where envelopes stand."""
    return exact(key) + (SUFFIX.encode() if isinstance(key, bytes) else SUFFIX)


def name_of(text: Any) -> str:
    """Give the name of a key or field as text."""
    plain = exact(text)
    return plain.decode("utf-8", "surrogateescape") if isinstance(plain, bytes) else str(plain)


def context_of(key: Any, field: Any = None) -> str:
    """Say what the envelope of a value is bound to."""
    return f"redis.{name_of(key)}" if field is None else f"redis.{name_of(key)}.{name_of(field)}"


def sealed(value: Any, context: str) -> str | None:
    """Give the envelope of a value as it is stored."""
    if not isinstance(value, str | bytes):
        labels = labels_of(value)
        if not labels:
            return None
        value = carry(repr(exact(value)), labels)  # As the client's encoder writes numbers.
    return leaving(value, channel="redis", context=context, max_bytes=MESSAGE_BYTES)


def labelled_by(value: Any, envelopes: Any, context: str) -> Any:
    """Label a value that was read; of equal elements all envelopes count."""
    if value is None or envelopes is None or not isinstance(value, str | bytes):
        return value
    labelled: Any = value
    for envelope in envelopes.split(b"\n") if isinstance(envelopes, bytes) else envelopes.split("\n"):
        labelled = arrived(labelled, envelope, channel="redis", context=context)
    return labelled


def first_of(answers: Sequence[Any]) -> Any:
    """Give the answer of the first command: the program's own."""
    return answers[0]


def plain_of(args: Iterable[Any]) -> tuple[Any, ...]:
    """Give the arguments of a command as Redis takes them."""
    return tuple(map(exact, args))
