"""Redis with a real server: sorted sets, streams, channels and what waits keep labels, and what cannot says so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("redis", reason="the extra 'redis' is not installed")

import redis
import redis.asyncio

import taint
from taint.envelopes.facts import DISTRUSTED
from taint.envelopes.keys import EnvelopeKeys, set_keys
from taint.integrations.redis import RedisIntegration
from taint.integrations.redis_envelopes import SUFFIX
from taint.integrations.redis_streams import FIELD
from taint.testing import record
from tests.redis_server import running_redis

SECRET = bytes(range(32))
PHONE = "+14155550100"
SECURITY = {"security.mfa"}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server."""
    with running_redis() as port:
        yield port


@pytest.fixture(autouse=True)
def _set_up() -> Iterator[None]:
    before = set_keys(EnvelopeKeys({"k1": SECRET}))
    taint.install(integrations=["redis"])
    yield
    set_keys(before)


@pytest.fixture(params=[(True, 2), (False, 2), (True, 3)], ids=["text", "bytes", "resp3"])
def client(port: int, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A client, whose answers are text or bytes, by either version of the protocol."""
    is_text, protocol = request.param
    with redis.Redis(port=port, decode_responses=is_text, protocol=protocol) as client:
        client.flushall()
        yield client


def phone(purpose: str = "security.mfa") -> str:
    """A labelled number."""
    return taint.label(PHONE, purpose=purpose, source="enrolment")


def of(value: Any) -> frozenset[str]:
    """Its purposes."""
    return taint.labels_of(value).purposes


def text(value: Any) -> str:
    """An answer as text."""
    return value.decode() if isinstance(value, bytes) else str(value)


def _grouped(db: Any) -> Any:
    db.xgroup_create("x", "g", id="0")
    return db.xreadgroup("g", "c", {"x": ">"})


def _claimed(db: Any) -> Any:
    _grouped(db)
    (entry,) = (one["message_id"] for one in db.xpending_range("x", "g", "-", "+", 5))
    return [db.xclaim("x", "g", "other", 0, [entry]), db.xautoclaim("x", "g", "third", 0)]


ROUND_TRIPS: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any], Any]]] = {
    "zrange": (lambda db, value: db.zadd("z", {"a": 1, value: 2}), lambda db: db.zrange("z", 0, -1)),
    "zrange scores": (
        lambda db, value: db.zadd("z", {value: 2}, ch=True),
        lambda db: db.zrange("z", 0, -1, withscores=True),
    ),
    "zrange by score": (
        lambda db, value: db.zadd("z", {value: 2, "a": 1}),
        lambda db: db.zrange("z", 2, 3, byscore=True),
    ),
    "zrangebyscore": (
        lambda db, value: db.zadd("z", {value: 2}, nx=True),
        lambda db: db.zrangebyscore("z", 0, 3, withscores=True),
    ),
    "zrevrange": (lambda db, value: db.zadd("z", {value: 2}), lambda db: db.zrevrange("z", 0, 5)),
    "zrangebylex": (lambda db, value: db.zadd("z", {value: 0}), lambda db: db.zrangebylex("z", "-", "+")),
    "zincrby": (lambda db, value: db.zincrby("z", 3, value), lambda db: db.zrange("z", 0, -1, withscores=True)),
    "zadd incr": (lambda db, value: db.zadd("z", {value: 2}, incr=True), lambda db: db.zrange("z", 0, 0)),
    "zpopmin": (lambda db, value: db.zadd("z", {"a": 9, value: 2}), lambda db: db.zpopmin("z")),
    "zpopmax several": (lambda db, value: db.zadd("z", {"a": 1, value: 2}), lambda db: db.zpopmax("z", 5)),
    "bzpopmin": (lambda db, value: db.zadd("z", {value: 2}), lambda db: db.bzpopmin(["none", "z"], 1)),
    "zrandmember": (lambda db, value: db.zadd("z", {value: 2}), lambda db: db.zrandmember("z", 3)),
    "zscan": (lambda db, value: db.zadd("z", {value: 2}), lambda db: db.zscan("z")),
    "srandmember": (lambda db, value: db.sadd("s", value), lambda db: db.srandmember("s")),
    "sscan": (lambda db, value: db.sadd("s", value), lambda db: list(db.sscan_iter("s"))),
    "hscan": (lambda db, value: db.hset("h", "f", value), lambda db: db.hscan("h")),
    "hvals": (lambda db, value: db.hset("h", mapping={"a": 1, "f": value}), lambda db: db.hvals("h")),
    "blpop": (lambda db, value: db.rpush("l", value), lambda db: db.blpop(["none", "l"], 1)),
    "brpop": (lambda db, value: db.rpush("l", "a", value), lambda db: db.brpop("l", 1)),
    "xrange": (lambda db, value: db.xadd("x", {"id": 7, "phone": value}, id="1-1"), lambda db: db.xrange("x")),
    "xrevrange": (
        lambda db, value: db.xadd("x", {"phone": value}, id="1-1", maxlen=10, approximate=False),
        lambda db: db.xrevrange("x"),
    ),
    "xread": (lambda db, value: db.xadd("x", {"phone": value}, id="1-1"), lambda db: db.xread({"x": 0}, block=1)),
    "xreadgroup": (lambda db, value: db.xadd("x", {"phone": value}, id="1-1", minid="0-1", limit=5), _grouped),
    "xclaim": (lambda db, value: db.xadd("x", {"phone": value}, id="1-1"), _claimed),
}


@pytest.mark.parametrize(("write", "read"), ROUND_TRIPS.values(), ids=ROUND_TRIPS)
def test_round_trip(client: Any, write: Callable[[Any, Any], Any], read: Callable[[Any], Any]) -> None:
    """What is written labelled is read with the same labels, answers are the native ones, and unlabelled stays so."""
    answers = []
    for value in (phone(), PHONE):
        client.flushall()
        with record() as seen:
            answers.append((write(client, value), read(client)))
        assert seen.gaps == []
        assert taint.labels_of(answers[-1]) == taint.labels_of(value)
    taint.uninstall()
    client.flushall()
    native = (write(client, PHONE), read(client))
    assert answers == [native, native]


def test_members_do_not_run_together(client: Any) -> None:
    """A member has its own labels and no other one's, a score none; one that is removed takes its envelope along."""
    client.zadd("z", {phone(): 1, "a": 2, taint.label("b" + PHONE, purpose="marketing"): 3})
    (first, score), (second, _), (third, _) = client.zrange("z", 0, -1, withscores=True)
    assert [of(first), of(score), of(second), of(third)] == [SECURITY, set(), set(), {"marketing"}]
    client.zrem("z", phone())
    client.zadd("z", {phone("marketing"): 1}, xx=True)  # It is not there, and is not added.
    assert client.hlen("z" + SUFFIX) == 1
    client.zpopmax("z")
    assert client.keys("*") in (["z"], [b"z"])
    client.rpush("l", phone(), phone())
    assert [of(client.blpop("l", 1)) for _ in range(2)] == [SECURITY, SECURITY]
    assert client.keys("*") in (["z"], [b"z"])
    client.sadd("s", phone())
    client.srem("s", phone())
    client.sadd("s", PHONE)
    assert not of(client.smembers("s"))


def test_errors_are_native(client: Any) -> None:
    """A command that Redis refuses raises the same error, and writes no envelope."""
    client.set("k", "x")
    asks: list[Callable[[], Any]] = [
        lambda: client.zadd("k", {phone(): 1}),
        lambda: client.zadd("z", {phone(): 1}, nx=True, xx=True),
        lambda: client.zrange("k", 0, -1),
        lambda: client.zpopmin("k"),
        lambda: client.execute_command("ZPOPMIN", "z", "x"),
        lambda: client.xadd("k", {"f": phone()}),
        lambda: client.xrange("k"),
        lambda: client.blpop("k", 1),
        lambda: client.hvals("k"),
    ]

    def refused() -> list[str]:
        told = []
        for ask in asks:
            with pytest.raises(redis.RedisError) as error:
                ask()
            told.append(f"{type(error.value).__name__} {str(error.value).split(' ')[-2:]}")
        return told

    ours = refused()
    assert client.keys("*") in (["k"], [b"k"])
    taint.uninstall()
    assert ours == refused()


def test_answers_of_nothing(client: Any) -> None:
    """Where nothing is there, every answer is the native one."""

    def ask() -> list[Any]:
        client.flushall()
        return [
            *(client.zrange("z", 0, -1), client.zpopmin("z"), client.zpopmax("z", 0), client.bzpopmin("z", 0.01)),
            *(
                client.zrandmember("z"),
                client.zscan("z"),
                client.hvals("h"),
                client.hscan("h"),
                client.blpop("l", 0.01),
            ),
            *(client.xrange("x"), client.xread({"x": 0}), client.xread({"x": "$"}, block=1), client.srandmember("s")),
            *(
                client.zadd("z", {"a": 1}),
                client.zrem("z", "a", "b"),
                client.zincrby("z", 1.5, "a"),
                client.zscore("z", "a"),
            ),
            client.xautoclaim("x", "g", "c", 0) if client.xgroup_create("x", "g", mkstream=True) else None,
        ]

    ours = ask()
    taint.uninstall()
    assert ours == ask()


def test_entry_for_others(client: Any) -> None:
    """Who does not know it sees one field more in an entry; an entry without labels has none."""
    client.xadd("x", {"id": 7, "phone": phone()})
    client.xadd("x", {"id": 7, "phone": PHONE})
    taint.uninstall()
    labelled, plain = ([text(name) for name in fields] for _, fields in client.xrange("x"))
    assert (labelled, plain) == (["id", "phone", FIELD], ["id", "phone"])


@pytest.mark.parametrize("written", ["no JSON", "[]", '{"phone": "v1.k1.x.y"}'])
def test_forged_entry(client: Any, written: str) -> None:
    """Envelopes in an entry that cannot be read, or are not signed, are a gap, and the values are there."""
    taint.uninstall()
    client.xadd("x", {"phone": PHONE, FIELD: written})
    taint.install(integrations=["redis"])
    with record() as seen:
        ((_, fields),) = client.xrange("x")
    assert {text(name): text(value) for name, value in fields.items()} == {"phone": PHONE}
    assert len(seen.gaps) == 1


def test_entry_of_another_stream(client: Any) -> None:
    """Envelopes that were copied to another stream keep the purposes, and are a gap."""
    client.xadd("x", {"phone": phone()})
    taint.uninstall()
    ((_, fields),) = client.xrange("x")
    client.xadd("other", fields)
    taint.install(integrations=["redis"])
    with record() as seen:
        ((_, fields),) = client.xrange("other")
    assert [gap.rule for gap in seen.gaps] == ["envelope-replayed"]
    assert of(fields) == SECURITY
    assert [label.source for label in taint.labels_of(fields)] == [DISTRUSTED]


def messages(subscriber: Any, count: int) -> list[Any]:
    """Wait for messages."""
    found: list[Any] = []
    end = time.monotonic() + 20
    while len(found) < count:
        assert time.monotonic() < end
        message = subscriber.get_message(timeout=1)
        if message is not None:
            found.append(message)
    return found


def test_channels(client: Any) -> None:
    """A message arrives with its labels, by channel and by pattern, and one without labels has none."""
    with client.pubsub(ignore_subscribe_messages=True) as subscriber:
        subscriber.subscribe("news", "other")
        subscriber.psubscribe("n?ws", "n*")
        while subscriber.get_message(timeout=0.2) is not None:
            pass
        assert client.publish("news", PHONE) == 3
        assert client.publish("news", phone()) == 3
        assert client.publish("news", PHONE) == 3
        assert client.publish("other", phone("marketing")) == 1
        assert client.publish("nobody", phone()) == 1  # The pattern `n*`.
        with record() as seen:
            found = messages(subscriber, 11)
    assert seen.gaps == []
    assert {text(one["data"]) for one in found} == {PHONE}
    assert [of(one["data"]) for one in found] == [
        *[frozenset()] * 3,
        *[SECURITY] * 3,
        *[frozenset()] * 3,
        {"marketing"},
        SECURITY,
    ]
    assert {text(one["channel"]) for one in found} == {"news", "other", "nobody"}


def test_subscriptions_are_native(client: Any) -> None:
    """What a subscriber is told of its subscriptions is what it is told without the library; so are handlers."""

    def ask() -> list[Any]:
        handled: list[Any] = []
        with client.pubsub() as subscriber:
            subscriber.subscribe("a", b=handled.append)
            told = messages(subscriber, 2)
            subscriber.psubscribe("p*")
            client.publish("b", phone())
            client.publish("b", PHONE)
            told += messages(subscriber, 1)
            while len(handled) < 2:
                subscriber.get_message(timeout=1)
            subscriber.connection.disconnect()  # It is connected and subscribed again.
            told += messages(subscriber, 3)
            subscriber.unsubscribe("a")
            told += messages(subscriber, 1)
            subscriber.unsubscribe()
            subscriber.punsubscribe()
            told += messages(subscriber, 2)
            assert not subscriber.subscribed
            subscriber.subscribe("c")
            return [*told, *messages(subscriber, 1), *handled]

    ours = ask()
    assert [of(one["data"]) for one in ours[-2:]] == [SECURITY, set()]
    taint.uninstall()
    assert ours == ask()


def test_subscribers_that_do_not_know_it(client: Any) -> None:
    """A subscriber without the integration gets the message as it is."""
    taint.uninstall()
    with client.pubsub(ignore_subscribe_messages=True) as subscriber:
        subscriber.subscribe("news")
        assert subscriber.get_message(timeout=5) is None
        taint.install(integrations=["redis"])
        client.publish("news", phone())
        taint.uninstall()
        (message,) = messages(subscriber, 1)
    assert text(message["data"]) == PHONE


def test_forged_message(client: Any) -> None:
    """An envelope that does not belong to the message that follows keeps the purposes, and is a gap."""
    with client.pubsub(ignore_subscribe_messages=True) as subscriber:
        subscriber.subscribe("a", "b")
        while subscriber.get_message(timeout=0.2) is not None:
            pass
        taint.uninstall()
        client.publish("a" + SUFFIX, "v1.k1.x.y")
        client.publish("a", PHONE)
        taint.install(integrations=["redis"])
        with record() as seen:
            (message,) = messages(subscriber, 1)
    assert text(message["data"]) == PHONE
    assert len(seen.gaps) == 1


@pytest.mark.parametrize("is_transaction", [True, False])
def test_pipeline(client: Any, is_transaction: bool) -> None:
    """In a pipeline or transaction every answer is in its place, labelled where the values are."""

    def ask(value: str) -> list[Any]:
        client.flushall()
        with client.pipeline(transaction=is_transaction) as pipeline:
            pipeline.zadd("z", {value: 1}).zrange("z", 0, -1).incr("n").xadd("x", {"f": value}, id="1-1").xrange("x")
            pipeline.publish("c", value).zpopmin("z").zrem("z", "a").rpush("l", value).hvals("none")
            answers: list[Any] = pipeline.execute()
            return answers

    ours = ask(phone())
    assert [bool(of(one)) for one in ours] == [at in {1, 4, 6} for at in range(10)]
    assert not of(ask(PHONE))
    taint.uninstall()
    assert ours == ask(PHONE)


def test_watch(client: Any) -> None:
    """What is read under `watch` is labelled, and what is written after it too."""
    client.set("k", phone())
    with record() as seen:
        client.transaction(
            lambda pipeline: (value := pipeline.get("k"), pipeline.multi(), pipeline.set("copy", value)), "k"
        )
    assert seen.gaps == []
    assert of(client.get("copy")) == SECURITY


UNFOLLOWED: dict[str, Callable[[Any, str], Any]] = {
    "rename": lambda db, value: (db.set("k", value), db.rename("k", "new")),
    "copy": lambda db, value: (db.set("k", value), db.copy("k", "new")),
    "lmove": lambda db, value: (db.rpush("k", value), db.lmove("k", "new")),
    "blmove": lambda db, value: (db.rpush("k", value), db.blmove("k", "new", 1)),
    "sunion": lambda db, value: (db.sadd("k", value), db.sunion("none", "k")),
    "zunionstore": lambda db, value: (db.zadd("k", {value: 1}), db.zunionstore("new", ["k", "none"])),
    "getrange": lambda db, value: (db.set("k", value), db.getrange("k", 0, 5)),
    "getset": lambda db, value: (db.set("k", value), db.getset("k", "new")),
    "sort": lambda db, value: (db.rpush("k", value), db.sort("k", alpha=True)),
    "blpop in a pipeline": lambda db, value: (db.rpush("k", value), db.pipeline().blpop("k", 1).execute()),
    "rename in a pipeline": lambda db, value: (db.set("k", value), db.pipeline().rename("k", "new").execute()),
}


@pytest.mark.parametrize("use", UNFOLLOWED.values(), ids=UNFOLLOWED)
def test_unfollowed(client: Any, use: Callable[[Any, str], Any]) -> None:
    """What hands a value on without its labels is natively done, and a gap where there are any labels."""
    with record() as seen:
        ours = use(client, phone())
    assert [gap.rule for gap in seen.gaps] == ["envelope-unfollowed"]
    client.flushall()
    with record() as seen:
        assert use(client, PHONE) == ours
    assert seen.gaps == []
    taint.uninstall()
    client.flushall()
    assert use(client, PHONE) == ours


def test_key_patterns(client: Any) -> None:
    """With patterns, other keys and channels are left alone."""
    taint.uninstall()
    taint.install(integrations=[RedisIntegration(keys=["user:*"])])
    client.zadd("z", {phone(): 1})
    client.zadd("user:z", {phone(): 1})
    client.xadd("x", {"f": phone()})
    client.xadd("user:x", {"f": phone()})
    with client.pubsub(ignore_subscribe_messages=True) as subscriber:
        subscriber.subscribe("c", "user:c")
        client.publish("c", phone())
        client.publish("user:c", phone())
        found = [one["data"] for one in messages(subscriber, 2)]
    assert [of(one) for one in found] == [set(), SECURITY]
    answers = client.xread({"x": 0, "user:x": 0})
    for key, entries in answers.items() if isinstance(answers, dict) else answers:
        assert of(entries) == (SECURITY if text(key) == "user:x" else set())
    assert [of(client.zrange(key, 0, -1)) for key in ("z", "user:z")] == [set(), SECURITY]


def test_async(port: int) -> None:
    """The asynchronous client does the same: sorted sets, streams, channels, what waits, what is read under `watch`."""

    async def run() -> None:
        async with redis.asyncio.Redis(port=port, decode_responses=True) as found:
            client: Any = found
            await client.flushall()
            await client.zadd("z", {phone(): 1, "a": 2})
            assert [of(one) for one in await client.zrange("z", 0, -1)] == [SECURITY, set()]
            await client.xadd("x", {"phone": phone(), "id": 7})
            assert of(await client.xread({"x": 0})) == SECURITY
            await client.rpush("l", phone(), PHONE + "1")
            assert [of(await client.blpop("l", 1)) for _ in range(2)] == [SECURITY, set()]
            async with client.pipeline() as pipeline:
                answers = await pipeline.zadd("z", {phone(): 3}).zpopmax("z", 2).execute()
            assert [of(answer) for answer in answers] == [set(), SECURITY]
            await client.set("k", phone())
            async with client.pipeline() as pipeline:
                await pipeline.watch("k")
                assert of(await pipeline.get("k")) == SECURITY
            async with client.pubsub() as subscriber:
                await subscriber.subscribe("news")
                assert (await subscriber.get_message(timeout=5))["data"] == 1
                await client.publish("news", phone())
                await client.publish("news", PHONE)
                read = [await subscriber.get_message(timeout=5) for _ in range(2)]
            assert [of(one["data"]) for one in read] == [SECURITY, set()]
            with record() as seen:
                await client.rename("k", "new")
            assert [gap.rule for gap in seen.gaps] == ["envelope-unfollowed"]

    asyncio.run(run())


def test_off(client: Any) -> None:
    """In mode `off` nothing is written beside a value."""
    with record(mode="off"):
        client.zadd("z", {phone(): 1})
        client.xadd("x", {"f": phone()})
        assert sorted(map(text, client.keys("*"))) == ["x", "z"]
        assert [list(map(text, fields)) for _, fields in client.xrange("x")] == [["f"]]
