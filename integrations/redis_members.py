"""Members of sorted sets, and of sets one by one: their envelopes stand in a hash beside the key, by the member itself.

What reads by range is read twice in one transaction, the second time for the envelopes of just these members; what
reads by chance or by a cursor, with all envelopes of the key.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from taint.carriers.proxy import exact
from taint.integrations.redis_envelopes import (
    Command,
    Step,
    context_of,
    first_of,
    labelled_by,
    plain_of,
    sealed,
    side_of,
)

__all__ = ["MEMBERS"]

_ADDED = """
for at = 1, #ARGV, 2 do
  local score = redis.pcall('ZSCORE', KEYS[1], ARGV[at])
  if score and type(score) ~= 'table' then
    local before = redis.call('HGET', KEYS[2], ARGV[at])
    if not before then
      redis.call('HSET', KEYS[2], ARGV[at], ARGV[at + 1])
    elseif not string.find(before, ARGV[at + 1], 1, true) then
      redis.call('HSET', KEYS[2], ARGV[at], before .. '\\n' .. ARGV[at + 1])
    end
    redis.call('PERSIST', KEYS[2])
  end
end
return 0
"""
"""Keeps the envelopes of members that are there now. ARGV: pairs of member and envelope."""
_FOUND = """
local found = redis.call('EXISTS', KEYS[2]) == 1 and redis.pcall(unpack(ARGV, 2)) or {}
if found.err or #found == 0 then return {{}, {}} end
local envelopes = {}
for at, member in ipairs(found) do
  envelopes[at] = redis.call('HGET', KEYS[2], member)
  if ARGV[1] == 'take' then redis.call('HDEL', KEYS[2], member) end
end
return {found, envelopes}
"""
"""Gives members and their envelopes. ARGV: 'take' or 'leave', then the command that finds the members."""


def _add(args: tuple[Any, ...], options: dict[str, Any]) -> Step | None:
    _, key, *rest = args
    at = 0
    while at < len(rest) and str(_word(rest[at])).upper() in _CONDITIONS:
        at += 1
    return _adding(args, options, key, rest[at + 1 :: 2])


_CONDITIONS = frozenset(("NX", "XX", "GT", "LT", "CH", "INCR"))


def _word(value: Any) -> Any:
    plain = exact(value)
    return plain.decode("latin-1") if isinstance(plain, bytes) else plain


def _increase(args: tuple[Any, ...], options: dict[str, Any]) -> Step | None:
    return _adding(args, options, args[1], args[3:4])


def _adding(args: tuple[Any, ...], options: dict[str, Any], key: Any, members: Sequence[Any]) -> Step | None:
    written: list[Any] = []
    for member in members:
        envelope = sealed(member, context_of(key))
        if envelope is not None:
            written += (exact(member), envelope)
    main = plain_of(args)
    if not written:
        return None if all(map(_is_same, args, main)) else Step(((main, options),), first_of)
    return Step(((main, options), (("EVAL", _ADDED, 2, key, side_of(key), *written), {})), first_of)


def _is_same(one: Any, other: Any) -> bool:
    return one is other


def _remove(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    main = plain_of(args)
    return Step(((main, options), (("HDEL", side_of(args[1]), *main[2:]), {})), first_of)


def _range(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    main = plain_of(args)
    members = [value for value in main if str(_word(value)).upper() != "WITHSCORES"]
    return _with_found((main, options), ("leave", *members), is_before=False)


def _pop(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    main = plain_of(args)
    count = int(main[2]) if len(main) > 2 else 1  # noqa: PLR2004  # Name, key, count.
    name = "ZRANGE" if str(main[0]).upper() == "ZPOPMIN" else "ZREVRANGE"
    # Before they are gone. What Redis refuses, it is to refuse itself.
    members = ("take", name, main[1], 0, count - 1) if count > 0 else ("leave", "ZRANGE", main[1], 1, 0)
    return _with_found((main, options), members, is_before=True)


def _with_found(main: Command, members: tuple[Any, ...], *, is_before: bool) -> Step:
    key = main[0][1]
    script: Command = (("EVAL", _FOUND, 2, key, side_of(key), *members), {})

    def answer(answers: Sequence[Any]) -> Any:
        own, (found, envelopes) = reversed(answers) if is_before else answers
        return _labelled(own, dict(zip(found, envelopes, strict=False)), key)

    return Step((script, main) if is_before else (main, script), answer)


def _any(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    main = plain_of(args)
    return Step(
        ((main, options), (("HGETALL", side_of(main[1])), {})),
        lambda answers: _labelled(answers[0], answers[1], main[1]),
    )


def _labelled(answer: Any, envelopes: Mapping[Any, Any], key: Any) -> Any:
    """Label the members in an answer, whatever its shape is."""
    if not envelopes:
        return answer
    if isinstance(answer, list | tuple | set):
        return type(answer)([_labelled(item, envelopes, key) for item in answer])
    if isinstance(answer, dict):
        return {_labelled(name, envelopes, key): item for name, item in answer.items()}
    return labelled_by(answer, envelopes.get(answer), context_of(key)) if isinstance(answer, str | bytes) else answer


def _scan_hash(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    main = plain_of(args)
    key = main[1]

    def answer(answers: Sequence[Any]) -> Any:
        own, envelopes = answers
        if not envelopes or not isinstance(own[1], dict):  # The names alone.
            return own
        fields = {
            name: labelled_by(value, envelopes.get(name), context_of(key, name)) for name, value in own[1].items()
        }
        return type(own)((own[0], fields))

    return Step(((main, options), (("HGETALL", side_of(key)), {})), answer)


def _values(args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    main = plain_of(args)
    key = main[1]

    def answer(answers: Sequence[Any]) -> Any:
        own, names, envelopes = answers
        pairs = zip(own, names, strict=True)
        return [labelled_by(value, envelopes.get(name), context_of(key, name)) for value, name in pairs]

    return Step(((main, options), (("HKEYS", key), {}), (("HGETALL", side_of(key)), {})), answer)


_TAKEN = """
local envelope = redis.call('HGET', KEYS[2], ARGV[2])
if envelope and not redis.pcall(ARGV[1], KEYS[1], ARGV[2]) then redis.call('HDEL', KEYS[2], ARGV[2]) end
return envelope
"""
"""Gives the envelope of an element that was taken, which goes with the last of equal ones. ARGV: what tells, it."""


def _wait(find: str, args: tuple[Any, ...], options: dict[str, Any]) -> Step:
    def then(answer: Any) -> Step | None:
        if not isinstance(answer, list | tuple) or len(answer) < 2:  # noqa: PLR2004  # Key and element.
            return None
        key, element, *rest = answer
        return Step(
            ((("EVAL", _TAKEN, 2, key, side_of(key), find, element), {}),),
            lambda answers: type(answer)((key, labelled_by(element, answers[0], context_of(key)), *rest)),
        )

    return Step(((plain_of(args), options),), first_of, then)


MEMBERS: dict[str, Callable[[tuple[Any, ...], dict[str, Any]], Step | None]] = {
    "ZADD": _add,
    "ZINCRBY": _increase,
    **dict.fromkeys(("ZREM", "SREM"), _remove),
    **dict.fromkeys(
        ("ZRANGE", "ZREVRANGE", "ZRANGEBYSCORE", "ZREVRANGEBYSCORE", "ZRANGEBYLEX", "ZREVRANGEBYLEX"), _range
    ),
    **dict.fromkeys(("ZPOPMIN", "ZPOPMAX"), _pop),
    **dict.fromkeys(("SRANDMEMBER", "ZRANDMEMBER", "SSCAN", "ZSCAN"), _any),
    "HSCAN": _scan_hash,
    "HVALS": _values,
    **dict.fromkeys(("BLPOP", "BRPOP"), functools.partial(_wait, "LPOS")),
    **dict.fromkeys(("BZPOPMIN", "BZPOPMAX"), functools.partial(_wait, "ZSCORE")),
}
"""What is sent instead of a command, by its name."""
