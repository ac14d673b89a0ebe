"""Streams: an entry has its envelopes in a field of its own, `taint-labels`, which is taken off when it is read.

An entry never changes, so that whatever hands it on (`XREADGROUP`, `XCLAIM`, a blocking `XREAD`) hands them on too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from taint.carriers.operations import coverage_of
from taint.carriers.proxy import exact
from taint.envelopes.carrying import arrived
from taint.integrations.redis_envelopes import Step, context_of, first_of, name_of, plain_of, sealed
from taint.losses import count_loss

__all__ = ["FIELD", "STREAMS", "keys_of_streams"]

FIELD = "taint-labels"

_SKIPPED = {"NOMKSTREAM": 1, "KEEPREF": 1, "DELREF": 1, "ACKED": 1, "LIMIT": 2, "IDMPAUTO": 2, "IDMP": 3}
"""How many arguments an option of XADD has, with its name."""
_BOUNDS = frozenset(("MAXLEN", "MINID"))


def keys_of_streams(args: tuple[Any, ...]) -> Sequence[Any]:
    """Give the keys that an XREAD or XREADGROUP reads."""
    words = [name_of(value).upper() for value in args]
    rest = args[words.index("STREAMS") + 1 :]
    return rest[: len(rest) // 2]


def _add(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    key = args[1]
    at = 2
    while (word := name_of(args[at]).upper()) in _SKIPPED or word in _BOUNDS:
        if word in _BOUNDS:
            at += 2 if name_of(args[at + 1]) not in {"=", "~"} else 3
        else:
            at += _SKIPPED[word]
    fields = args[at + 1 :]
    envelopes: dict[str, str] = {}
    for name, value in zip(fields[::2], fields[1::2], strict=False):
        if coverage_of(name):
            count_loss("redis names of fields")
        envelope = sealed(value, context_of(key, name))
        if envelope is not None:
            envelopes[name_of(name)] = envelope
    beside = (FIELD, json.dumps(envelopes)) if envelopes else ()
    return Step((((*plain_of(args), *beside), options),), first_of)


def _read(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    return Step(((plain_of(args), options),), lambda answers: _entries(answers[0], None))


def _read_of_one(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    return Step(((plain_of(args), options),), lambda answers: _entries(answers[0], args[1]))


def _entries(answer: Any, key: Any) -> Any:
    """Label the entries in an answer, whatever its shape is: by stream, in lists of pairs, or one by one."""
    if isinstance(answer, dict):
        return {name: _entries(item, name) for name, item in answer.items()}
    if not isinstance(answer, list | tuple):
        return answer
    kind: Any = type(answer)
    if len(answer) == 2 and isinstance(answer[0], str | bytes):  # noqa: PLR2004  # An entry, or a stream with its entries.
        name, inside = answer
        if isinstance(inside, dict):
            return kind((name, _fields(inside, key)))
        return kind((name, _entries(inside, name if key is None else key)))
    return kind([_entries(item, key) for item in answer])


def _fields(fields: dict[Any, Any], key: Any) -> dict[Any, Any]:
    name = next((name for name in fields if name_of(name) == FIELD), None)
    if name is None:
        return fields
    fields = dict(fields)
    written = fields.pop(name)
    try:
        envelopes = json.loads(written)
    except ValueError:
        envelopes = None
    if not isinstance(envelopes, dict):  # Somebody else's: all of the entry is labelled by nothing that can be read.
        return {name: arrived(value, exact(written), channel="redis") for name, value in fields.items()}
    return {
        name: arrived(value, envelopes[name_of(name)], channel="redis", context=context_of(key, name))
        if name_of(name) in envelopes
        else value
        for name, value in fields.items()
    }


STREAMS: dict[str, Callable[[tuple[Any, ...], dict[str, Any]], Step | None]] = {
    "XADD": _add,
    **dict.fromkeys(("XREAD", "XREADGROUP"), _read),
    **dict.fromkeys(("XRANGE", "XREVRANGE", "XCLAIM", "XAUTOCLAIM"), _read_of_one),
}
"""What is sent instead of a command, by its name."""
