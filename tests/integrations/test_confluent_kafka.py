"""confluent-kafka against the broker for tests that librdkafka brings: values of records arrive with their labels."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("confluent_kafka", reason="the extra 'confluent_kafka' is not installed")

import confluent_kafka
from confluent_kafka.serialization import StringDeserializer, StringSerializer

import taint
from taint.envelopes.facts import DISTRUSTED
from taint.envelopes.keys import EnvelopeKeys, set_keys
from taint.integrations.kafka import HEADER, record_headers
from taint.testing import record

SECRET = bytes(range(32))
PHONE = "+14155550100"
NATIVE = (confluent_kafka.Producer, confluent_kafka.Consumer)


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """A broker on loopback; it lives as long as the client that has it."""
    owner = NATIVE[0]({"test.mock.num.brokers": 1, "bootstrap.servers": "none:1", "log_level": 0})
    (found,) = owner.list_topics(timeout=20).brokers.values()
    yield f"{found.host}:{found.port}"
    owner.flush(1)


@pytest.fixture(autouse=True)
def _set_up() -> Iterator[None]:
    before = set_keys(EnvelopeKeys({"k1": SECRET}))
    taint.install(integrations=["confluent_kafka"])
    yield
    set_keys(before)


@pytest.fixture
def topic() -> str:
    """A topic of the test's own."""
    return f"topic-{uuid.uuid4().hex}"


def producing(broker: str, kind: Any = None, **options: Any) -> Any:
    """Make a producer."""
    return (kind or confluent_kafka.Producer)({"bootstrap.servers": broker, "linger.ms": 0, "log_level": 0, **options})


def send(broker: str, topic: str, *records: dict[str, Any], kind: Any = None, **options: Any) -> None:
    """Send records."""
    producer = producing(broker, kind, **options)
    for one in records:
        producer.produce(topic, partition=0, **one)
    assert producer.flush(20) == 0


def reading(broker: str, topic: str, kind: Any = None, **options: Any) -> Any:
    """Make a consumer that is at the beginning."""
    settings = {"bootstrap.servers": broker, "group.id": "tests", "log_level": 0, **options}
    consumer = (kind or confluent_kafka.Consumer)(settings)
    consumer.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
    return consumer


def consumed(broker: str, topic: str, count: int = 1, kind: Any = None, **options: Any) -> list[Any]:
    """Read records from the beginning."""
    consumer = reading(broker, topic, kind, **options)
    found: list[Any] = []
    end = time.monotonic() + 20
    while len(found) < count:
        assert time.monotonic() < end
        message = consumer.poll(0.5)
        if message is not None and message.error() is None:
            found.append(message)
    consumer.close()
    return found


def phone() -> str:
    """A labelled number."""
    return taint.label(PHONE, purpose="security.mfa", source="enrolment")


def document(number: str) -> bytes:
    """A document with a number."""
    return json.dumps({"id": 7, "phone": number}).encode()


def test_json(broker: str, topic: str) -> None:
    """The leaves of a value arrive with their labels, and no others; one without labels has no envelope."""
    send(broker, topic, {"value": document(phone()), "headers": [("a", b"b")]}, {"value": document(PHONE)})
    with record() as seen:
        labelled, plain = consumed(broker, topic, 2)
    assert seen.gaps == []
    assert labelled.value() == plain.value() == document(PHONE)
    assert taint.labels_of(json.loads(labelled.value())["phone"]) == taint.labels_of(phone())
    assert not taint.labels_of([json.loads(labelled.value())["id"], plain.value()])
    assert [name for name, _ in labelled.headers()] == ["a", HEADER]
    assert plain.headers() is None


RECORDS: dict[str, Callable[[str], dict[str, Any]]] = {
    "text": lambda number: {"value": number},
    "bytes": lambda number: {"value": b"to " + number.encode()},
    "headers as a dict": lambda number: {"value": number, "headers": {"a": "b"}},
    "compressed": lambda number: {"value": number * 20},
}


@pytest.mark.parametrize("make", RECORDS.values(), ids=RECORDS)
def test_other_values(broker: str, topic: str, make: Callable[[str], dict[str, Any]]) -> None:
    """Whatever is sent labelled arrives labelled, by `poll` and by `consume`; what is not, does not."""
    send(broker, topic, make(phone()), make(PHONE), **{"compression.type": "gzip"})
    consumer = reading(broker, topic)
    by_consume: list[Any] = []
    while len(by_consume) < 2:
        by_consume += consumer.consume(2 - len(by_consume), 5)
    consumer.close()
    for found in (consumed(broker, topic, 2), by_consume):
        assert [bool(taint.labels_of(one.value())) for one in found] == [True, False]
        assert found[0].value() == found[1].value()


def test_serializers(broker: str, topic: str) -> None:
    """Serializers and deserializers of the package's own classes keep labels; without labels there are none."""
    options = {"value.serializer": StringSerializer(), "key.serializer": StringSerializer()}
    kind = confluent_kafka.SerializingProducer
    send(broker, topic, {"value": phone(), "key": "k"}, {"value": PHONE, "key": "k"}, kind=kind, **options)
    send(broker, topic, {"value": phone().encode()}, kind=kind)
    read = {"value.deserializer": StringDeserializer()}
    found = consumed(broker, topic, 3, confluent_kafka.DeserializingConsumer, **read)
    assert [one.value() for one in found] == [PHONE] * 3
    assert [bool(taint.labels_of(one.value())) for one in found] == [True, False, True]
    (first, *_) = consumed(broker, topic, 3, confluent_kafka.DeserializingConsumer)
    assert (first.value(), bool(taint.labels_of(first.value()))) == (PHONE.encode(), True)


def test_serializer_that_drops_labels(broker: str, topic: str) -> None:
    """What a serializer or deserializer makes without labels has those of what it was made of."""
    write = {"value.serializer": lambda text, _context: bytes(bytearray(text.encode()))}
    send(broker, topic, {"value": phone()}, kind=confluent_kafka.SerializingProducer, **write)
    read = {"value.deserializer": lambda data, _context: str(bytearray(data), "ascii")}
    (found,) = consumed(broker, topic, 1, confluent_kafka.DeserializingConsumer, **read)
    assert (found.value(), taint.labels_of(found.value())) == (PHONE, taint.labels_of(phone()))


def test_derived_classes(broker: str, topic: str) -> None:
    """Classes derived from the package's carry labels too, and all of them are what they seem to be."""

    class Own(confluent_kafka.Producer):
        def produce(self, *args: Any, **kwargs: Any) -> None:
            super().produce(*args, **kwargs)

    send(broker, topic, {"value": phone()}, kind=Own)
    (found,) = consumed(broker, topic)
    assert taint.labels_of(found.value()) == taint.labels_of(phone())
    native = NATIVE[0]({"bootstrap.servers": broker})
    assert isinstance(native, confluent_kafka.Producer)
    assert isinstance(producing(broker, Own), confluent_kafka.Producer)
    assert isinstance(producing(broker), NATIVE[0])
    assert not isinstance(native, Own)
    assert issubclass(NATIVE[0], confluent_kafka.Producer)
    assert confluent_kafka.Producer.__name__ == "Producer"
    taint.uninstall()
    assert (confluent_kafka.Producer, confluent_kafka.Consumer) == NATIVE


def test_async_consumer(broker: str, topic: str) -> None:
    """The consumer for asyncio gives labelled values too."""
    aio = pytest.importorskip("confluent_kafka.aio", reason="since confluent-kafka 2.13")
    send(broker, topic, {"value": phone()}, {"value": PHONE})

    async def read() -> list[Any]:
        consumer = aio.AIOConsumer({"bootstrap.servers": broker, "group.id": "tests"}, max_workers=2)
        await consumer.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
        found: list[Any] = []
        while len(found) < 2:
            message = await consumer.poll(5)
            found += [] if message is None else [message.value()]
        await consumer.close()
        return found

    assert [bool(taint.labels_of(value)) for value in asyncio.run(read())] == [True, False]


def test_batches_are_a_gap(broker: str, topic: str) -> None:
    """A batch has no headers: its labelled values are sent and are a gap, others are sent."""
    producer = producing(broker)
    if not hasattr(producer, "produce_batch"):
        pytest.skip("since confluent-kafka 2.13")
    with record() as seen:
        producer.produce_batch(topic, [{"value": PHONE.encode()}], partition=0)
    assert seen.gaps == []
    with record() as seen:
        producer.produce_batch(topic, [{"value": phone().encode()}], partition=0)
    assert [gap.rule for gap in seen.gaps] == ["envelope-unfollowed"]
    assert producer.flush(20) == 0
    assert [one.value() for one in consumed(broker, topic, 2)] == [PHONE.encode()] * 2


def test_keys_are_counted(broker: str, topic: str) -> None:
    """A labelled key or header is sent as its bytes, and its labels are counted as lost."""
    send(broker, topic, {"value": b"x", "key": phone(), "headers": {"h": phone().encode()}})
    (found,) = consumed(broker, topic)
    assert (found.key(), found.headers()) == (PHONE.encode(), [("h", PHONE.encode())])
    assert not taint.labels_of([found.key(), found.value(), found.headers()])
    assert taint.losses.counts()["kafka keys and headers"] == 1


def test_forged_and_of_another_topic(broker: str, topic: str) -> None:
    """An envelope that is forged, or of another topic, adds a label and is a gap."""
    headers = record_headers("elsewhere", phone().encode())
    forged = [(HEADER, headers[0][1][:-4] + b"AAAA")]
    send(broker, topic, *({"value": PHONE, "headers": one} for one in (headers, forged)), kind=NATIVE[0])
    with record() as seen:
        found = consumed(broker, topic, 2)
    assert [gap.rule for gap in seen.gaps] == ["envelope-replayed", "envelope-forged"]
    assert [{label.source for label in taint.labels_of(one.value())} for one in found] == [{DISTRUSTED}] * 2


def test_consumers_that_do_not_know_it(broker: str, topic: str) -> None:
    """Without the integration a record is read as it was sent; clients that were made with it go on."""
    producer = producing(broker)
    producer.produce(topic, phone(), partition=0)
    producer.flush(20)
    (found,) = consumed(broker, topic, kind=NATIVE[1])
    assert (found.value(), type(found.value())) == (PHONE.encode(), bytes)


def test_errors_are_native(broker: str, topic: str) -> None:
    """What the client refuses is refused as before."""
    producer, native = producing(broker), NATIVE[0]({"bootstrap.servers": broker})
    asks: list[Callable[[Any], Any]] = [
        lambda client: client.produce(),
        lambda client: client.produce(7),
        lambda client: client.produce(topic, 7),
        lambda client: client.produce(topic, b"x", nothing=1),
        lambda client: client.produce(topic, b"x", headers=7),
        lambda client: client.produce(topic, b"x", b"k", 0, None, 0, None, 0, 0),
    ]
    for ask in asks:
        told = []
        for client in (producer, native):
            with pytest.raises((TypeError, ValueError)) as refused:
                ask(client)
            told.append((refused.type, str(refused.value)))
        assert told[0] == told[1]


def test_off(broker: str, topic: str) -> None:
    """In mode `off` no envelope is sent or read."""
    with record(mode="off"):
        send(broker, topic, {"value": phone()})
        (found,) = consumed(broker, topic)
    assert found.headers() is None
