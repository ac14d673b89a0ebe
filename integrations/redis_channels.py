"""Channels: the envelope of a message comes before it, on the channel beside its own, and is never shown.

Who subscribes to a channel or a pattern is subscribed to the one beside it too. A message and its envelope are
published by one script, so that between two messages of a channel no envelope of another one comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from taint.envelopes.carrying import arrived
from taint.guard import report_internal_error
from taint.integrations.redis_envelopes import SUFFIX, context_of, name_of, side_of
from taint.modes import is_off
from taint.propagation.patches import Patch

__all__ = ["channel_patches"]

_STATE = "_taint_channels"
_ASKING = frozenset(("SUBSCRIBE", "PSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE"))
_CONFIRMING = frozenset(("subscribe", "psubscribe", "unsubscribe", "punsubscribe"))


class _State:
    """What is known of one subscriber.

    Attributes:
        sides: Channels and patterns beside others, which the server has confirmed.
        waiting: Envelopes whose message has not come yet, by pattern and channel.
    """

    __slots__ = ("sides", "waiting")

    def __init__(self) -> None:
        self.sides: set[tuple[bool, str]] = set()
        self.waiting: dict[tuple[str, str], Any] = {}


def channel_patches(is_kept: Callable[[str], bool]) -> Iterator[Patch]:
    """Give what to wrap of subscribers: every command and every answer of theirs passes by two methods, since 2.10.

    Args:
        is_kept: Tells by a channel's name, or a pattern, whether its messages have envelopes.
    """
    import redis.asyncio.client
    import redis.client

    def asked(args: tuple[Any, ...]) -> tuple[Any, ...]:
        if is_off() or not args or str(args[0]).upper() not in _ASKING:
            return args
        # Those beside first, so that the last answer is one that the program waits for.
        return (args[0], *(side_of(name) for name in args[1:] if is_kept(name_of(name))), *args[1:])

    def ask(wrapped: Callable[..., Any], _subscriber: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return wrapped(*asked(args), **kwargs)

    async def ask_async(
        wrapped: Callable[..., Any], _subscriber: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        return await wrapped(*asked(args), **kwargs)

    def read(wrapped: Callable[..., Any], subscriber: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        while _is_beside(subscriber, response := wrapped(*args, **kwargs)):
            pass
        return _labelled(subscriber, response)

    async def read_async(
        wrapped: Callable[..., Any], subscriber: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        while _is_beside(subscriber, response := await wrapped(*args, **kwargs)):
            pass
        return _labelled(subscriber, response)

    yield Patch(redis.client.PubSub, "execute_command", ask)
    yield Patch(redis.client.PubSub, "parse_response", read)
    yield Patch(redis.asyncio.client.PubSub, "execute_command", ask_async)
    yield Patch(redis.asyncio.client.PubSub, "parse_response", read_async)


def _state(subscriber: Any) -> _State:
    state: _State | None = vars(subscriber).get(_STATE)
    if state is None:
        state = vars(subscriber)[_STATE] = _State()
    return state


def _is_beside(subscriber: Any, response: Any) -> bool:
    """Take in what came from a channel beside another one; tell whether it did."""
    if not isinstance(response, list | tuple) or len(response) < 3 or response[-2] is None:  # noqa: PLR2004  # Kind, channel, content.
        return False
    kind, channel = name_of(response[0]), name_of(response[-2])
    if not channel.endswith(SUFFIX):
        return False
    state, of = _state(subscriber), channel.removesuffix(SUFFIX)
    if kind in _CONFIRMING:
        if response[-1] == 1 and kind in {"subscribe", "psubscribe"}:
            state.sides.clear()  # The first of a new connection.
        side = (kind.startswith("p"), of)
        (state.sides.add if kind in {"subscribe", "psubscribe"} else state.sides.discard)(side)
    elif kind == "message":
        state.waiting["", of] = response[-1]
    elif kind == "pmessage":  # A pattern that ends with `*` matches it too, and has it twice.
        state.waiting[name_of(response[1]).removesuffix(SUFFIX), of] = response[-1]
    return True


def _labelled(subscriber: Any, response: Any) -> Any:
    """Label a message, and count subscriptions as if there were none beside."""
    state: _State | None = vars(subscriber).get(_STATE)
    if state is None or not isinstance(response, list | tuple) or len(response) < 3:  # noqa: PLR2004  # As above.
        return response
    try:
        kind, last = name_of(response[0]), response[-1]
        if kind in _CONFIRMING:
            return [*response[:-1], last - len(state.sides)]
        if kind in {"message", "pmessage"}:
            channel = name_of(response[-2])
            envelope = state.waiting.pop((name_of(response[1]) if kind == "pmessage" else "", channel), None)
            if envelope is not None:
                data = arrived(last, envelope, channel="redis", context=context_of("channel", channel))
                return [*response[:-1], data]
    except Exception as error:  # noqa: BLE001  # The program gets its message.
        report_internal_error("reading a message of a channel", error)
    return response
