"""Redis: a labelled value that is written comes back labelled, in whatever process reads it.

Source: values whose envelope stands beside them.

Sink: none.

Covered: strings (`set` with its options, `setex`, `setnx`, `mset`, `get`, `getdel`, `getex`, `mget`), hashes (`hset`,
`hget`, `hmget`, `hgetall`, `hvals`, `hscan`, `hdel`), lists, sets and sorted sets (`lpush`, `rpush`, `lpop`, `rpop`,
`blpop`, `brpop`, `lrange`, `lindex`, `sadd`, `smembers`, `spop`, `srandmember`, `sscan`, `srem`, `zadd`, `zincrby`,
every `zrange`, `zpopmin`, `zpopmax`, `bzpopmin`, `bzpopmax`, `zrandmember`, `zscan`, `zrem`), streams (`xadd`,
`xread`, `xreadgroup`, `xrange`, `xrevrange`, `xclaim`, `xautoclaim`), `publish` and what is subscribed to by channel
or pattern, `delete`, `unlink`, `expire` and its kin; sync and async clients, pipelines and transactions, what is read
under `watch`, `decode_responses` or not.

An envelope stands in the key `<key>:taint-labels`, has the time to live of its value, and is written in the same
transaction or script, so that no client sees one without the other; that of a stream's entry is a field of it; that
of a message comes before it on the channel `<channel>:taint-labels`. Clients that do not know it are not disturbed,
and see one key, field or channel more. A value that such a client has changed does not fit its envelope any more:
that is a gap, and it keeps the purposes. So is a command that moves, copies or cuts a labelled value (`rename`,
`lmove`, `getrange`, `zunionstore`, ...; `blpop` in a pipeline).

Not covered: other commands; labels of values that they write are counted as lost. That goes for `append`, `geoadd`,
`spublish`, names of fields, scripts of one's own, and `RedisCluster`. `scan` and `keys` show the keys of envelopes.
Equal elements of a list have the labels of all of them. Who subscribed before `install()` gets messages without
labels. Of equal elements that `blpop` and another consumer take at the same moment, the last may lack its labels.

    import taint
    taint.install(integrations=["redis"])
    import redis
    phone = taint.label("+14155550100", purpose="security.mfa")
    client = redis.Redis()
    # with client.set("user:7:phone", phone), any process that has the keys gets client.get("user:7:phone") labelled
    taint.labels_of(client.get_encoder().encode(phone))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from taint.errors import ConfigurationError
from taint.guard import report_internal_error
from taint.integrations.base import Integration
from taint.integrations.redis_channels import channel_patches
from taint.integrations.redis_commands import step_of
from taint.integrations.redis_envelopes import Command, Step
from taint.modes import is_off
from taint.policy.rules import matches_pattern
from taint.propagation.patches import Patch

__all__ = ["RedisIntegration"]

_INNER = "_taint_inner"


class RedisIntegration(Integration):
    """Writes envelopes beside values, and reads them.

    Args:
        keys: Patterns, with `*` and `?`, of the keys whose values have envelopes: each costs a key more, and reading
            one a transaction.
    """

    identifier = "redis"
    requires = ("redis>=5.0",)

    def __init__(self, *, keys: Iterable[str] = ("*",)) -> None:
        super().__init__()
        if isinstance(keys, str):
            raise ConfigurationError("keys is a text. A list of patterns is expected. Pass keys=['user:*'].")
        self._keys = tuple(keys)

    def _install(self) -> None:
        import redis.asyncio.client
        import redis.client

        # Where every command passes, since 3.0; there are no events. What is asked under `watch` passes by
        # `immediate_execute_command`.
        self._wrap(
            (
                Patch(redis.client.Redis, "execute_command", self._command),
                Patch(redis.client.Pipeline, "execute", self._execute),
                Patch(redis.client.Pipeline, "immediate_execute_command", self._immediate),
                Patch(redis.asyncio.client.Redis, "execute_command", self._command_async),
                Patch(redis.asyncio.client.Pipeline, "execute", self._execute_async),
                Patch(redis.asyncio.client.Pipeline, "immediate_execute_command", self._immediate_async),
                *channel_patches(self._is_kept),
            )
        )

    def _is_kept(self, key: str) -> bool:
        return self._keys == ("*",) or matches_pattern(key, self._keys)

    def _step(self, args: tuple[Any, ...], options: dict[str, Any], *, is_queued: bool = False) -> Step | None:
        if is_off() or not args:
            return None
        try:
            return step_of(args, options, self._is_kept, is_queued=is_queued)
        except Exception as error:  # noqa: BLE001  # The program's command is sent.
            report_internal_error("reading a Redis command", error)
            return None

    def _command(self, wrapped: Callable[..., Any], client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        step = self._step(args, kwargs)
        if step is None:
            return wrapped(*args, **kwargs)
        if len(step.commands) == 1:
            return self._immediate(wrapped, client, args, kwargs, step)
        with client.pipeline(transaction=True) as pipeline:
            setattr(pipeline, _INNER, True)
            for command, options in step.commands:
                pipeline.execute_command(*command, **options)
            return step.answer(pipeline.execute())

    async def _command_async(
        self, wrapped: Callable[..., Any], client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        step = self._step(args, kwargs)
        if step is None:
            return await wrapped(*args, **kwargs)
        if len(step.commands) == 1:
            return await self._immediate_async(wrapped, client, args, kwargs, step)
        async with client.pipeline(transaction=True) as pipeline:
            setattr(pipeline, _INNER, True)
            for command, options in step.commands:
                pipeline.execute_command(*command, **options)
            return step.answer(await pipeline.execute())

    def _immediate(
        self,
        wrapped: Callable[..., Any],
        _client: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        step: Step | None = None,
    ) -> Any:
        """Send the commands of a step one after the other."""
        step = step or self._step(args, kwargs)
        if step is None:
            return wrapped(*args, **kwargs)
        answer: Any = None
        while step is not None:
            answer = step.answer([wrapped(*command, **options) for command, options in step.commands])
            step = step.then and step.then(answer)
        return answer

    async def _immediate_async(
        self,
        wrapped: Callable[..., Any],
        _client: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        step: Step | None = None,
    ) -> Any:
        """Send the commands of a step one after the other."""
        step = step or self._step(args, kwargs)
        if step is None:
            return await wrapped(*args, **kwargs)
        answer: Any = None
        while step is not None:
            answer = step.answer([await wrapped(*command, **options) for command, options in step.commands])
            step = step.then and step.then(answer)
        return answer

    def _expanded(self, pipeline: Any) -> list[tuple[int, Step | None]] | None:
        """Put what is sent into a pipeline; gives how many answers belong to each of its commands."""
        if getattr(pipeline, _INNER, False) or not pipeline.command_stack:
            return None
        steps = [self._step(tuple(args), dict(options), is_queued=True) for args, options in pipeline.command_stack]
        if not any(steps):
            return None
        stack: list[Command] = []
        places: list[tuple[int, Step | None]] = []
        for (args, options), step in zip(pipeline.command_stack, steps, strict=True):
            stack += ((args, options),) if step is None else step.commands
            places.append((1 if step is None else len(step.commands), step))
        pipeline.command_stack = stack
        return places

    def _execute(
        self, wrapped: Callable[..., Any], pipeline: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        places = self._expanded(pipeline)
        answers = wrapped(*args, **kwargs)
        return answers if places is None else _gathered(answers, places)

    async def _execute_async(
        self, wrapped: Callable[..., Any], pipeline: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        places = self._expanded(pipeline)
        answers = await wrapped(*args, **kwargs)
        return answers if places is None else _gathered(answers, places)


def _gathered(answers: list[Any], places: list[tuple[int, Step | None]]) -> list[Any]:
    """Make one answer for each command of a pipeline again."""
    gathered: list[Any] = []
    at = 0
    for count, step in places:
        own = answers[at : at + count]
        at += count
        failed = next((answer for answer in own if isinstance(answer, Exception)), None)
        gathered.append(failed if failed is not None else own[0] if step is None else step.answer(own))
    return gathered
