"""Commands that hand values on past their envelopes: where there are any, that is a gap.

They move or copy a value to another key, put several together, or take a part of one: no envelope fits what comes of
it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from taint.envelopes.carrying import report_problem
from taint.envelopes.envelope import Problem
from taint.integrations.redis_envelopes import Command, Step, name_of, plain_of, side_of
from taint.losses import count_loss

__all__ = ["unfollowed"]

_PASSING = frozenset(
    (
        *("RENAME", "RENAMENX", "COPY", "DUMP", "SORT", "SORT_RO", "GETSET", "GETRANGE", "SUBSTR", "HRANDFIELD"),
        *("HGETDEL", "HGETEX", "SMOVE", "LMOVE", "RPOPLPUSH", "LMPOP", "ZMPOP", "SINTER", "SUNION", "SDIFF"),
        *("SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE", "ZINTER", "ZUNION", "ZDIFF"),
        *("ZINTERSTORE", "ZUNIONSTORE", "ZDIFFSTORE", "ZRANGESTORE", "GEORADIUS", "GEOSEARCH", "GEOSEARCHSTORE"),
    )
)
_WAITING = frozenset(("BLMOVE", "BRPOPLPUSH", "BLMPOP", "BZMPOP", "BLPOP", "BRPOP", "BZPOPMIN", "BZPOPMAX"))
"""The last four hand their values on with their labels, but not in a pipeline."""


def unfollowed(
    name: str, args: tuple[Any, ...], options: dict[str, Any], is_kept: Callable[[str], bool], *, is_queued: bool
) -> Step | None:
    """Say what is sent instead of a command that hands values on; None for any other.

    Labels: not on its answer; that there were any is a gap, and counted as lost.

    Args:
        name: Of the command.
        args: The command.
        options: The client's, for its answer.
        is_kept: Tells by a key's name whether its values have envelopes.
        is_queued: It stands in a pipeline.
    """
    if name not in _PASSING and name not in _WAITING:
        return None
    # Whichever of them are keys: what is no key has nothing beside it.
    sides = [side_of(value) for value in args[1:] if isinstance(value, str | bytes) and is_kept(name_of(value))]
    if not sides:
        return None
    main = (plain_of(args), options)
    asked: Command = (("EXISTS", *sides), {})

    def told(answers: Sequence[Any]) -> Any:
        if answers[-1]:
            count_loss(f"redis {name}")
            report_problem(Problem.UNFOLLOWED, "redis")
        return answers[0]

    if name in _PASSING or is_queued:
        return Step((main, asked), told)
    return Step(
        (main,), lambda answers: answers[0], lambda answer: Step((asked,), lambda found: told((answer, *found)))
    )
