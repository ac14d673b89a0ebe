"""Redis commands and the envelopes beside their values: what is sent instead of one, and what is made of the answer.

The envelope of a string stands in the key `<key>:taint-labels`; of a hash in a hash of that name, field by field; of
the elements of a list or set in a hash of that name, by the element itself: what is equal cannot be told apart, so
that its envelopes are kept together, one a line, and all of them count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from taint.carriers.operations import coverage_of
from taint.carriers.proxy import carry, exact
from taint.carriers.values import labels_of
from taint.envelopes.carrying import arrived, leaving
from taint.envelopes.envelope import MESSAGE_BYTES
from taint.losses import count_loss

__all__ = ["SUFFIX", "Command", "Step", "step_of"]

SUFFIX = ":taint-labels"

Command = tuple[tuple[Any, ...], dict[str, Any]]
"""A command's arguments and the client's options for it."""

_CONDITIONAL = """
local answer = redis.call(unpack(ARGV, 3, 2 + tonumber(ARGV[1])))
if answer then redis.call(unpack(ARGV, 3 + tonumber(ARGV[1]))) end
return answer
"""
"""Runs a command, and another one where the first did something. ARGV: its length, nothing, it, the other."""
_PUSH = """
local answer = redis.call(unpack(ARGV, 2, 1 + tonumber(ARGV[1])))
redis.call('PERSIST', KEYS[2])
for at = 2 + tonumber(ARGV[1]), #ARGV, 2 do
  local before = redis.call('HGET', KEYS[2], ARGV[at])
  if not before then
    redis.call('HSET', KEYS[2], ARGV[at], ARGV[at + 1])
  elseif not string.find(before, ARGV[at + 1], 1, true) then
    redis.call('HSET', KEYS[2], ARGV[at], before .. '\\n' .. ARGV[at + 1])
  end
end
return answer
"""
"""Adds elements and their envelopes. ARGV: the command's length, it, then pairs of element and envelope."""
_TAKE = """
local answer = redis.call(unpack(ARGV, 2))
local found, envelopes = answer, {}
if type(answer) ~= 'table' then found = answer and {answer} or {} end
if redis.call('EXISTS', KEYS[2]) == 1 then
  for at, element in ipairs(found) do
    envelopes[at] = redis.call('HGET', KEYS[2], element)
    if ARGV[1] == 'SPOP' then redis.call('HDEL', KEYS[2], element) end
    if (ARGV[1] == 'LPOP' or ARGV[1] == 'RPOP') and not redis.call('LPOS', KEYS[1], element) then
      redis.call('HDEL', KEYS[2], element)
    end
  end
end
return {answer, envelopes}
"""
"""Reads or takes elements with their envelopes, which go with the last of equal ones. ARGV: the command's name, it."""


@dataclass(frozen=True, slots=True)
class Step:
    """What is sent instead of one command.

    Args:
        commands: In this order; in one transaction where there are several.
        answer: Makes the command's answer of theirs.
    """

    commands: tuple[Command, ...]
    answer: Callable[[Sequence[Any]], Any]


def _side(key: Any) -> Any:
    return exact(key) + (SUFFIX.encode() if isinstance(key, bytes) else SUFFIX)


def _name(text: Any) -> str:
    plain = exact(text)
    return plain.decode("utf-8", "surrogateescape") if isinstance(plain, bytes) else str(plain)


def _context(key: Any, field: Any = None) -> str:
    return f"redis.{_name(key)}" if field is None else f"redis.{_name(key)}.{_name(field)}"


def _sealed(value: Any, context: str) -> str | None:
    """Give the envelope of a value as it is stored."""
    if not isinstance(value, str | bytes):
        labels = labels_of(value)
        if not labels:
            return None
        value = carry(repr(exact(value)), labels)  # As the client's encoder writes numbers.
    return leaving(value, channel="redis", context=context, max_bytes=MESSAGE_BYTES)


def _labelled(value: Any, envelopes: Any, context: str) -> Any:
    """Label a value that was read; of equal elements all envelopes count."""
    if value is None or envelopes is None or not isinstance(value, str | bytes):
        return value
    labelled: Any = value
    for envelope in envelopes.split(b"\n") if isinstance(envelopes, bytes) else envelopes.split("\n"):
        labelled = arrived(labelled, envelope, channel="redis", context=context)
    return labelled


def _first(answers: Sequence[Any]) -> Any:
    return answers[0]


def step_of(args: tuple[Any, ...], options: dict[str, Any], is_kept: Callable[[str], bool]) -> Step | None:
    """Say what is sent instead of a command; None where it is sent as it is.

    Labels: of the values that it writes, in envelopes. Of a command that is not known here they are counted as lost.

    Args:
        args: The command.
        options: The client's, for its answer.
        is_kept: Tells by a key's name whether its values have envelopes.
    """
    name = str(args[0]).upper()
    make = _STEPS.get(name)
    keys = args[1 :: _EACH.get(name, len(args))]
    if make is None or len(args) < 2 or not any(is_kept(_name(key)) for key in keys):  # noqa: PLR2004  # Name and key.
        if make is None and name not in _OWN and any(coverage_of(value) for value in args[1:]):
            count_loss(f"redis {name}" if name.replace(" ", "").isalpha() else "redis")
        return None
    return make(tuple(exact(value) if at < 2 else value for at, value in enumerate(args)), options)  # noqa: PLR2004  # As above.


_EACH = {"DEL": 1, "UNLINK": 1, "MGET": 1, "MSET": 2}
"""How far keys are apart in a command that has several."""
_OWN = frozenset(("SELECT", "AUTH", "HELLO"))


def _plain(args: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(map(exact, args))


_TTL = {"EX": 2, "PX": 2, "EXAT": 2, "PXAT": 2, "KEEPTTL": 1}


def _set(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    _, key, value, *rest = args
    envelope = _sealed(value, _context(key))
    words = [str(word).upper() for word in rest]
    ttl: list[Any] = []
    for at, word in enumerate(words):
        if word in _TTL:
            ttl = rest[at : at + _TTL[word]]
            break
    beside = ("DEL", _side(key)) if envelope is None else ("SET", _side(key), envelope, *ttl)
    main = _plain(args)
    if "GET" in words:
        commands: tuple[Command, ...] = ((("GET", _side(key)), {}), (main, options), (beside, {}))
        return Step(commands, lambda answers: _labelled(answers[1], answers[0], _context(key)))
    if {"NX", "XX"} & set(words):
        script = ("EVAL", _CONDITIONAL, 2, key, _side(key), len(main), "", *main, *beside)
        return Step(((script, {}),), lambda answers: True if answers[0] in (b"OK", "OK", True) else None)
    return Step(((main, options), (beside, {})), _first)


def _setex(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    name, key, ttl, value = args
    envelope = _sealed(value, _context(key))
    beside = ("DEL", _side(key)) if envelope is None else (name, _side(key), ttl, envelope)
    return Step(((_plain(args), options), (beside, {})), _first)


def _setnx(args: tuple[Any, ...], _options: dict[str, Any]) -> Step:
    _, key, value = args
    step = _set(("SET", key, value, "NX"), {})
    return Step(step.commands, lambda answers: step.answer(answers) is not None)


def _mset(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    pairs = [(exact(key), value) for key, value in zip(args[1::2], args[2::2], strict=True)]
    written: list[Any] = []
    for key, value in pairs:
        envelope = _sealed(value, _context(key))
        if envelope is not None:
            written += (_side(key), envelope)
    commands: list[Command] = [(_plain(args), options), (("DEL", *(_side(key) for key, _ in pairs)), {})]
    if written:
        commands.append((("MSET", *written), {}))
    return Step(tuple(commands), _first)


def _get(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    name, key, *rest = args
    beside = (name, _side(key), *rest)
    return Step(((args, options), (beside, {})), lambda answers: _labelled(answers[0], answers[1], _context(key)))


def _mget(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    keys = args[1:]

    def answer(answers: Sequence[Any]) -> Any:
        found = zip(answers[0], answers[1], keys, strict=True)
        return [_labelled(value, envelope, _context(key)) for value, envelope, key in found]

    return Step(((_plain(args), options), (("MGET", *map(_side, keys)), {})), answer)


def _delete(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    return Step(((_plain(args), options), ((args[0], *map(_side, args[1:])), {})), _first)


def _expire(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    name, key, *rest = args
    return Step(((args, options), ((name, _side(key), *rest), {})), _first)


def _hset(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    _, key, *pairs = args
    fields = [exact(field) for field in pairs[::2]]
    written: list[Any] = []
    for field, value in zip(fields, pairs[1::2], strict=True):
        envelope = _sealed(value, _context(key, field))
        if envelope is not None:
            written += (field, envelope)
    commands: list[Command] = [(_plain(args), options), (("HDEL", _side(key), *fields), {})]
    if written:
        commands.append((("HSET", _side(key), *written), {}))
    return Step(tuple(commands), _first)


def _hget(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    _, key, field = args
    beside = ("HGET", _side(key), field)
    return Step(
        ((_plain(args), options), (beside, {})),
        lambda answers: _labelled(answers[0], answers[1], _context(key, field)),
    )


def _hmget(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    _, key, *fields = args

    def answer(answers: Sequence[Any]) -> Any:
        found = zip(answers[0], answers[1], fields, strict=True)
        return [_labelled(value, envelope, _context(key, field)) for value, envelope, field in found]

    return Step(((_plain(args), options), (("HMGET", _side(key), *fields), {})), answer)


def _hgetall(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    _, key = args

    def answer(answers: Sequence[Any]) -> Any:
        values, envelopes = answers
        return {field: _labelled(value, envelopes.get(field), _context(key, field)) for field, value in values.items()}

    return Step(((args, options), (("HGETALL", _side(key)), {})), answer)


def _hdel(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    return Step(((_plain(args), options), (("HDEL", _side(args[1]), *_plain(args[2:])), {})), _first)


def _push(args: tuple[Any, ...], options: dict[str, Any]) -> Step | None:
    _, key, *elements = args
    written: list[Any] = []
    for element in elements:
        envelope = _sealed(element, _context(key))
        if envelope is not None:
            written += (exact(element), envelope)
    main = _plain(args)
    if not written:
        return (
            None
            if all(value is plain for value, plain in zip(args, main, strict=True))
            else Step(((main, options),), _first)
        )
    return Step(((("EVAL", _PUSH, 2, key, _side(key), len(main), *main, *written), {}),), _first)


def _take(args: tuple[Any, ...], _options: dict[str, Any]) -> Step:
    name, key = str(args[0]).upper(), args[1]
    script = ("EVAL", _TAKE, 2, key, _side(key), name, name, *args[1:])

    def answer(answers: Sequence[Any]) -> Any:
        found, envelopes = answers[0]
        if not isinstance(found, list):
            return _labelled(found, envelopes[0] if envelopes else None, _context(key))
        envelopes = [*envelopes, *[None] * (len(found) - len(envelopes))]
        items = [_labelled(item, own, _context(key)) for item, own in zip(found, envelopes, strict=True)]
        return set(items) if name == "SMEMBERS" else items

    return Step(((script, {}),), answer)


_STEPS: dict[str, Callable[[tuple[Any, ...], dict[str, Any]], Step | None]] = {
    "SET": _set,
    "SETNX": _setnx,
    "MSET": _mset,
    "MGET": _mget,
    "HGET": _hget,
    "HMGET": _hmget,
    "HGETALL": _hgetall,
    "HDEL": _hdel,
    **dict.fromkeys(("SETEX", "PSETEX"), _setex),
    **dict.fromkeys(("GET", "GETDEL", "GETEX"), _get),
    **dict.fromkeys(("DEL", "UNLINK"), _delete),
    **dict.fromkeys(("EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT", "PERSIST"), _expire),
    **dict.fromkeys(("HSET", "HMSET"), _hset),
    **dict.fromkeys(("LPUSH", "RPUSH", "SADD"), _push),
    **dict.fromkeys(("LPOP", "RPOP", "LRANGE", "LINDEX", "SPOP", "SMEMBERS"), _take),
}
