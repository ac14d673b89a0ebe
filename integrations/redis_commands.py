"""Redis commands and the envelopes beside their values: what is sent instead of one, and what is made of the answer.

The envelope of a string stands in the key `<key>:taint-labels`; of a hash in a hash of that name, field by field; of
the elements of a list or set in a hash of that name, by the element itself: what is equal cannot be told apart, so
that its envelopes are kept together, one a line, and all of them count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from taint.carriers.operations import coverage_of
from taint.carriers.proxy import exact
from taint.integrations.redis_envelopes import (
    Command,
    Step,
    context_of,
    first_of,
    labelled_by,
    name_of,
    plain_of,
    sealed,
    side_of,
)
from taint.integrations.redis_members import MEMBERS
from taint.integrations.redis_streams import STREAMS, keys_of_streams
from taint.integrations.redis_unfollowed import unfollowed
from taint.losses import count_loss

__all__ = ["step_of"]

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


_PUBLISH = """
redis.call('PUBLISH', ARGV[1], ARGV[2])
return redis.call('PUBLISH', ARGV[3], ARGV[4])
"""
"""Sends an envelope, and nothing in between, before its message. ARGV: the channel beside, it, channel, message."""


def step_of(
    args: tuple[Any, ...], options: dict[str, Any], is_kept: Callable[[str], bool], *, is_queued: bool = False
) -> Step | None:
    """Say what is sent instead of a command; None where it is sent as it is.

    Labels: of the values that it writes, in envelopes. Of a command that is not known here they are counted as lost.

    Args:
        args: The command.
        options: The client's, for its answer.
        is_kept: Tells by a key's name whether its values have envelopes.
        is_queued: It stands in a pipeline.
    """
    name = str(args[0]).upper()
    make = _STEPS.get(name)
    if len(args) < 2 or (make is not None and not any(is_kept(name_of(key)) for key in _keys(name, args))):  # noqa: PLR2004  # Name and key.
        return None
    if make is None:
        if name not in _OWN and any(coverage_of(value) for value in args[1:]):
            count_loss(f"redis {name}" if name.replace(" ", "").isalpha() else "redis")
        return unfollowed(name, args, options, is_kept, is_queued=is_queued)
    step = make(tuple(exact(value) if at < 2 else value for at, value in enumerate(args)), options)  # noqa: PLR2004  # As above.
    if is_queued and step is not None and step.then is not None:
        return unfollowed(name, args, options, is_kept, is_queued=True)
    return step


def _keys(name: str, args: tuple[Any, ...]) -> Sequence[Any]:
    return keys_of_streams(args) if name in {"XREAD", "XREADGROUP"} else args[1 :: _EACH.get(name, len(args))]


_EACH = {"DEL": 1, "UNLINK": 1, "MGET": 1, "MSET": 2}
"""How far keys are apart in a command that has several."""
_OWN = frozenset(("SELECT", "AUTH", "HELLO"))
_TTL = {"EX": 2, "PX": 2, "EXAT": 2, "PXAT": 2, "KEEPTTL": 1}


def _set(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    _, key, value, *rest = args
    envelope = sealed(value, context_of(key))
    words = [str(word).upper() for word in rest]
    ttl: list[Any] = []
    for at, word in enumerate(words):
        if word in _TTL:
            ttl = rest[at : at + _TTL[word]]
            break
    beside = ("DEL", side_of(key)) if envelope is None else ("SET", side_of(key), envelope, *ttl)
    main = plain_of(args)
    if "GET" in words:
        commands: tuple[Command, ...] = ((("GET", side_of(key)), {}), (main, options), (beside, {}))
        return Step(commands, lambda answers: labelled_by(answers[1], answers[0], context_of(key)))
    if {"NX", "XX"} & set(words):
        script = ("EVAL", _CONDITIONAL, 2, key, side_of(key), len(main), "", *main, *beside)
        return Step(((script, {}),), lambda answers: True if answers[0] in (b"OK", "OK", True) else None)
    return Step(((main, options), (beside, {})), first_of)


def _setex(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    name, key, ttl, value = args
    envelope = sealed(value, context_of(key))
    beside = ("DEL", side_of(key)) if envelope is None else (name, side_of(key), ttl, envelope)
    return Step(((plain_of(args), options), (beside, {})), first_of)


def _setnx(args: tuple[Any, ...], _options: dict[str, Any]) -> Step:
    _, key, value = args
    step = _set(("SET", key, value, "NX"), {})
    return Step(step.commands, lambda answers: step.answer(answers) is not None)


def _mset(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    pairs = [(exact(key), value) for key, value in zip(args[1::2], args[2::2], strict=True)]
    written: list[Any] = []
    for key, value in pairs:
        envelope = sealed(value, context_of(key))
        if envelope is not None:
            written += (side_of(key), envelope)
    commands: list[Command] = [(plain_of(args), options), (("DEL", *(side_of(key) for key, _ in pairs)), {})]
    if written:
        commands.append((("MSET", *written), {}))
    return Step(tuple(commands), first_of)


def _get(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    name, key, *rest = args
    beside = (name, side_of(key), *rest)
    return Step(((args, options), (beside, {})), lambda answers: labelled_by(answers[0], answers[1], context_of(key)))


def _mget(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    keys = args[1:]

    def answer(answers: Sequence[Any]) -> Any:
        found = zip(answers[0], answers[1], keys, strict=True)
        return [labelled_by(value, envelope, context_of(key)) for value, envelope, key in found]

    return Step(((plain_of(args), options), (("MGET", *map(side_of, keys)), {})), answer)


def _delete(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    return Step(((plain_of(args), options), ((args[0], *map(side_of, args[1:])), {})), first_of)


def _expire(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    name, key, *rest = args
    return Step(((args, options), ((name, side_of(key), *rest), {})), first_of)


def _hset(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    _, key, *pairs = args
    fields = [exact(field) for field in pairs[::2]]
    written: list[Any] = []
    for field, value in zip(fields, pairs[1::2], strict=True):
        envelope = sealed(value, context_of(key, field))
        if envelope is not None:
            written += (field, envelope)
    commands: list[Command] = [(plain_of(args), options), (("HDEL", side_of(key), *fields), {})]
    if written:
        commands.append((("HSET", side_of(key), *written), {}))
    return Step(tuple(commands), first_of)


def _hget(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    _, key, field = args
    beside = ("HGET", side_of(key), field)
    return Step(
        ((plain_of(args), options), (beside, {})),
        lambda answers: labelled_by(answers[0], answers[1], context_of(key, field)),
    )


def _hmget(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    _, key, *fields = args

    def answer(answers: Sequence[Any]) -> Any:
        found = zip(answers[0], answers[1], fields, strict=True)
        return [labelled_by(value, envelope, context_of(key, field)) for value, envelope, field in found]

    return Step(((plain_of(args), options), (("HMGET", side_of(key), *fields), {})), answer)


def _hgetall(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    _, key = args

    def answer(answers: Sequence[Any]) -> Any:
        values, envelopes = answers
        return {
            field: labelled_by(value, envelopes.get(field), context_of(key, field)) for field, value in values.items()
        }

    return Step(((args, options), (("HGETALL", side_of(key)), {})), answer)


def _hdel(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    return Step(((plain_of(args), options), (("HDEL", side_of(args[1]), *plain_of(args[2:])), {})), first_of)


def _push(args: tuple[Any, ...], options: dict[str, Any]) -> Step | None:
    _, key, *elements = args
    written: list[Any] = []
    for element in elements:
        envelope = sealed(element, context_of(key))
        if envelope is not None:
            written += (exact(element), envelope)
    main = plain_of(args)
    if not written:
        return (
            None
            if all(value is plain for value, plain in zip(args, main, strict=True))
            else Step(((main, options),), first_of)
        )
    return Step(((("EVAL", _PUSH, 2, key, side_of(key), len(main), *main, *written), {}),), first_of)


def _take(args: tuple[Any, ...], _options: dict[str, Any]) -> Step:
    name, key = str(args[0]).upper(), args[1]
    script = ("EVAL", _TAKE, 2, key, side_of(key), name, name, *args[1:])

    def answer(answers: Sequence[Any]) -> Any:
        found, envelopes = answers[0]
        if not isinstance(found, list):
            return labelled_by(found, envelopes[0] if envelopes else None, context_of(key))
        envelopes = [*envelopes, *[None] * (len(found) - len(envelopes))]
        items = [labelled_by(item, own, context_of(key)) for item, own in zip(found, envelopes, strict=True)]
        return set(items) if name == "SMEMBERS" else items

    return Step(((script, {}),), answer)


def _publish(args: tuple[Any, ...], options: dict[str, Any]) -> Step | None:
    _, channel, message = args
    envelope = sealed(message, context_of("channel", channel))
    if envelope is None:
        return None if exact(message) is message else Step(((plain_of(args), options),), first_of)
    script = ("EVAL", _PUBLISH, 0, side_of(channel), envelope, channel, exact(message))
    return Step(((script, {}),), first_of)


_STEPS: dict[str, Callable[[tuple[Any, ...], dict[str, Any]], Step | None]] = {
    **MEMBERS,
    **STREAMS,
    "PUBLISH": _publish,
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
