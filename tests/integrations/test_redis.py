"""Redis with a real server: what is written labelled is read labelled, and nobody else is disturbed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("redis", reason="the extra 'redis' is not installed")

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

import taint
from taint.envelopes.facts import DISTRUSTED
from taint.envelopes.keys import EnvelopeKeys, set_keys
from taint.integrations.redis import RedisIntegration
from taint.integrations.redis_envelopes import SUFFIX
from taint.testing import record
from tests.redis_server import running_redis

SECRET = bytes(range(32))
PHONE = "+14155550100"


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


@pytest.fixture(params=[True, False], ids=["text", "bytes"])
def client(port: int, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A client, whose answers are text or bytes."""
    with redis.Redis(port=port, decode_responses=request.param) as client:
        client.flushall()
        yield client


def phone(purpose: str = "security.mfa") -> str:
    """A labelled number."""
    return taint.label(PHONE, purpose=purpose, source="enrolment")


LABELS = {"security.mfa"}

ROUND_TRIPS: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any], Any]]] = {
    "set": (lambda db, value: db.set("k", value), lambda db: db.get("k")),
    "set with a time to live": (lambda db, value: db.set("k", value, ex=100), lambda db: db.get("k")),
    "set nx": (lambda db, value: db.set("k", value, nx=True), lambda db: db.get("k")),
    "set get": (lambda db, value: db.set("k", value, get=True), lambda db: db.set("k", "new", get=True)),
    "setex": (lambda db, value: db.execute_command("SETEX", "k", 100, value), lambda db: db.get("k")),
    "setnx": (lambda db, value: db.execute_command("SETNX", "k", value), lambda db: db.get("k")),
    "bytes": (lambda db, value: db.set(b"k", value.encode()), lambda db: db.get("k")),
    "getdel": (lambda db, value: db.set("k", value), lambda db: db.getdel("k")),
    "getex": (lambda db, value: db.set("k", value), lambda db: db.getex("k", ex=50)),
    "mset": (lambda db, value: db.mset({"a": 1, "k": value}), lambda db: db.mget("a", "k", "none")[1]),
    "hset": (lambda db, value: db.hset("h", "phone", value), lambda db: db.hget("h", "phone")),
    "hset mapping": (lambda db, value: db.hset("h", mapping={"id": 7, "p": value}), lambda db: db.hmget("h", "p")[0]),
    "hgetall": (
        lambda db, value: db.hset("h", mapping={"id": 7, "p": value}),
        lambda db: list(db.hgetall("h").values())[1],
    ),
    "rpush lpop": (lambda db, value: db.rpush("l", value), lambda db: db.lpop("l")),
    "lpush rpop": (lambda db, value: db.lpush("l", value, "x"), lambda db: db.rpop("l")),
    "lpop several": (lambda db, value: db.rpush("l", value, "x"), lambda db: db.lpop("l", 5)[0]),
    "lrange": (lambda db, value: db.rpush("l", "x", value), lambda db: db.lrange("l", 0, -1)[1]),
    "lindex": (lambda db, value: db.rpush("l", "x", value), lambda db: db.lindex("l", 1)),
    "sadd": (lambda db, value: db.sadd("s", value), lambda db: next(iter(db.smembers("s")))),
    "spop": (lambda db, value: db.sadd("s", value), lambda db: db.spop("s")),
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
    assert [type(one) for one in answers[1]] == [type(one) for one in native]


NATIVE: dict[str, Callable[[Any], Any]] = {
    "nothing there": lambda db: [db.get("x"), db.mget("x", "y"), db.hget("x", "y"), db.hgetall("x"), db.lpop("x")],
    "empty": lambda db: [db.lrange("x", 0, -1), db.smembers("x"), db.spop("x"), db.lpop("x", 2), db.lindex("x", 0)],
    "counts": lambda db: [
        db.set("k", 1),
        db.delete("k", "x"),
        db.hset("h", "f", 1),
        db.hdel("h", "f"),
        db.rpush("l", 1),
    ],
    "conditions": lambda db: [db.set("k", 1, xx=True), db.set("k", 1, nx=True), db.set("k", 2, nx=True), db.get("k")],
    "times": lambda db: [
        db.set("k", 1, px=90_000),
        db.expire("k", 50),
        db.persist("k"),
        db.ttl("k"),
        db.expire("x", 5),
    ],
    "numbers": lambda db: [db.set("k", 1.5), db.incrbyfloat("k", 1), db.get("k"), db.append("k", "x"), db.strlen("k")],
    "sets": lambda db: [db.sadd("s", 1, 2), sorted(db.smembers("s")), db.spop("s", 5) is not None, db.scard("s")],
}


@pytest.mark.parametrize("use", NATIVE.values(), ids=NATIVE)
def test_answers_are_native(client: Any, use: Callable[[Any], Any]) -> None:
    """With the integration on every answer is equal to the one without it."""
    ours = use(client)
    client.flushall()
    taint.uninstall()
    assert ours == use(client)


def test_errors_are_native(client: Any) -> None:
    """A command that Redis refuses raises the same error."""
    client.rpush("l", "x")
    asks: list[Callable[[], Any]] = [
        lambda: client.get("l"),
        lambda: client.hset("l", "f", phone()),
        lambda: client.lpop("h2", "x"),
    ]
    for ask in asks:
        with pytest.raises(redis.ResponseError):
            ask()


def test_labels_do_not_run_together(client: Any) -> None:
    """The same number, given for security under one key and for marketing under another, keeps its own labels."""
    client.set("a", phone())
    client.set("b", phone("marketing"))
    client.hset("h", mapping={"a": phone(), "b": phone("marketing"), "c": PHONE})
    assert taint.labels_of(client.get("a")).purposes == LABELS
    assert taint.labels_of(client.get("b")).purposes == {"marketing"}
    values = list(client.hgetall("h").values())
    assert [set(taint.labels_of(value).purposes) for value in values] == [LABELS, {"marketing"}, set()]


def test_equal_elements_have_all_labels(client: Any) -> None:
    """Equal elements of a list cannot be told apart, so that each has the labels of all."""
    client.rpush("l", phone(), phone("marketing"), PHONE, "x")
    for element in client.lrange("l", 0, 2):
        assert taint.labels_of(element).purposes == {"security.mfa", "marketing"}
    assert not taint.labels_of(client.lindex("l", 3))
    assert len(client.hgetall("l" + SUFFIX)) == 1
    for _ in range(3):
        assert taint.labels_of(client.lpop("l")).purposes == {"security.mfa", "marketing"}
    assert client.hgetall("l" + SUFFIX) == {}


def test_overwritten_by_an_unlabelled_value(client: Any) -> None:
    """What is written later without labels has none: the envelope before is gone with its value."""
    client.set("k", phone())
    client.set("k", PHONE)
    client.hset("h", "f", phone())
    client.hset("h", "f", PHONE)
    with record() as seen:
        assert not taint.labels_of([client.get("k"), client.hget("h", "f")])
    assert seen.gaps == []


def test_envelopes_go_with_their_values(client: Any) -> None:
    """Time to live, deletion and conditions hold for value and envelope alike."""
    client.set("k", phone(), ex=100)
    assert 90 < client.ttl("k" + SUFFIX) <= 100
    client.expire("k", 50)
    assert client.ttl("k" + SUFFIX) <= 50
    client.persist("k")
    assert client.ttl("k" + SUFFIX) == -1
    client.set("k", "other", nx=True)
    assert taint.labels_of(client.get("k")).purposes == LABELS
    client.delete("k")
    assert client.keys("*") == []


def test_pipeline(client: Any) -> None:
    """A pipeline's answers are in their places, labelled where the values are."""
    with client.pipeline() as pipeline:
        pipeline.set("k", phone()).incr("n").get("k").rpush("l", phone()).lrange("l", 0, -1).hgetall("none")
        answers = pipeline.execute()
    assert [bool(taint.labels_of(answer)) for answer in answers] == [False, False, True, False, True, False]
    taint.uninstall()
    client.flushall()
    with client.pipeline(transaction=False) as pipeline:
        pipeline.set("k", PHONE).incr("n").get("k").rpush("l", PHONE).lrange("l", 0, -1).hgetall("none")
        assert pipeline.execute() == answers


def test_failing_pipeline(client: Any) -> None:
    """A command that fails in a pipeline is its own answer, and the others are what they are."""
    with client.pipeline(transaction=False) as pipeline:
        pipeline.rpush("l", "x").get("l").set("k", phone()).get("k")
        answers = pipeline.execute(raise_on_error=False)
    assert isinstance(answers[1], redis.ResponseError)
    assert taint.labels_of(answers[3]).purposes == LABELS


def test_async(port: int) -> None:
    """The asynchronous client keeps labels too, in pipelines too."""

    async def run() -> None:
        async with redis.asyncio.Redis(port=port, decode_responses=True) as client:
            await client.flushall()
            await client.set("k", phone())
            await client.rpush("l", phone())
            assert taint.labels_of(await client.get("k")).purposes == LABELS
            assert taint.labels_of(await client.lpop("l")).purposes == LABELS
            async with client.pipeline() as pipeline:
                queued: Any = pipeline
                answers = await queued.hset("h", "f", phone()).hget("h", "f").get("none").execute()
            assert answers == [1, PHONE, None]
            assert taint.labels_of(answers[1]).purposes == LABELS

    asyncio.run(run())


def test_another_process(port: int) -> None:
    """Another process reads the labels, with the span of the collection."""
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with redis.Redis(port=port) as client:
        client.set("k", taint.label(PHONE, purpose="security.mfa", source="enrolment", trace=trace))
    code = f"""
import taint, redis
taint.install(integrations=["redis"])
with redis.Redis(port={port}) as client:
    for label in taint.labels_of(client.get("k")):
        print(*label.purposes, label.source, label.trace)
"""
    environment = {**os.environ, "TAINT_ENVELOPE_KEYS": "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == f"security.mfa enrolment {trace}"


def test_changed_by_somebody_else(client: Any) -> None:
    """A value that was changed past its envelope, or stored under another's name, keeps the purposes, and is a gap."""
    client.set("k", phone())
    client.append("k", "9")
    client.set("other", phone("marketing"))
    client.execute_command("RENAME", "other" + SUFFIX, "k2" + SUFFIX)
    client.execute_command("RENAME", "other", "k2")
    with record() as seen:
        first, second = client.get("k"), client.get("k2")
    assert [gap.rule for gap in seen.gaps] == ["envelope-replayed"] * 2
    assert [label.source for value in (first, second) for label in taint.labels_of(value)] == [DISTRUSTED] * 2
    assert taint.labels_of(first).purposes == LABELS


def test_clients_that_do_not_know_it(client: Any) -> None:
    """A client without the integration reads and writes as before."""
    client.set("k", phone())
    client.hset("h", "f", phone())
    client.rpush("l", phone())
    taint.uninstall()
    plain = [client.get("k"), client.hget("h", "f"), client.lpop("l")]
    assert [bytes(one, "ascii") if isinstance(one, str) else one for one in plain] == [PHONE.encode()] * 3
    client.set("k", "new")
    taint.install(integrations=["redis"])
    assert client.get("k") in ("new", b"new")


def test_other_commands_are_counted(client: Any) -> None:
    """A labelled value that another command writes is stored without labels, and that is counted."""
    client.append("k", phone())
    client.setrange("k2", 0, phone())
    counts = taint.losses.counts()
    assert counts["redis APPEND"] == counts["redis SETRANGE"] == 1


def test_key_patterns(client: Any) -> None:
    """With patterns, values under other keys are left alone."""
    taint.uninstall()
    taint.install(integrations=[RedisIntegration(keys=["user:*"])])
    client.mset({"user:7": phone(), "x": 1})
    client.set("y", phone())
    assert taint.labels_of(client.get("user:7")).purposes == LABELS
    assert not taint.labels_of(client.get("y"))
    with pytest.raises(taint.ConfigurationError, match="keys is a text"):
        RedisIntegration(keys="user:*")


def test_no_key(client: Any) -> None:
    """Without an envelope key the value is written, its labels are lost, and that is a gap."""
    set_keys(EnvelopeKeys({}))
    with record() as seen:
        client.set("k", phone())
    assert [gap.rule for gap in seen.gaps] == ["envelope-no-key"]
    assert client.get("k") in (PHONE, PHONE.encode())


def test_server_that_is_down() -> None:
    """Where Redis does not answer, the error is the client's own, and value and labels are as they were."""
    with running_redis() as port:
        client: Any = redis.Redis(port=port, socket_timeout=2, retry=Retry(NoBackoff(), 0))
        client.set("k", phone())
        client.config_set("save", "")
    value = phone()
    asks: list[Callable[[], Any]] = [lambda: client.set("k", value), lambda: client.get("k"), lambda: client.lpop("l")]
    for ask in asks:
        with pytest.raises(redis.ConnectionError):
            ask()
    with client.pipeline() as pipeline, pytest.raises(redis.ConnectionError):
        pipeline.set("k", value).execute()
    assert taint.labels_of(value).purposes == LABELS
    with running_redis(port):
        assert client.set("k", value)
        assert taint.labels_of(client.get("k")).purposes == LABELS
        client.close()


def test_off(client: Any) -> None:
    """In mode `off` nothing is written beside a value."""
    with record(mode="off"):
        client.set("k", phone())
        assert client.keys("*") in (["k"], [b"k"])
