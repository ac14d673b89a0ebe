"""kafka-python against the broker for tests that librdkafka brings: values of records arrive with their labels."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("kafka", reason="the extra 'kafka' is not installed")
pytest.importorskip("confluent_kafka", reason="confluent-kafka, whose library has a broker for tests, is not installed")

import confluent_kafka
import kafka
import kafka.serializer

import taint
from taint.envelopes.facts import DISTRUSTED
from taint.envelopes.keys import EnvelopeKeys, set_keys
from taint.integrations.kafka import HEADER, record_headers, record_value
from taint.testing import record

SECRET = bytes(range(32))
PHONE = "+14155550100"


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """A broker on loopback; it lives as long as the client that has it."""
    owner = confluent_kafka.Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "none:1", "log_level": 0})
    (found,) = owner.list_topics(timeout=20).brokers.values()
    yield f"{found.host}:{found.port}"
    owner.flush(1)


@pytest.fixture(autouse=True)
def _set_up() -> Iterator[None]:
    before = set_keys(EnvelopeKeys({"k1": SECRET}))
    taint.install(integrations=["kafka"])
    yield
    set_keys(before)


@pytest.fixture
def topic() -> str:
    """A topic of the test's own."""
    return f"topic-{uuid.uuid4().hex}"


def producing(broker: str, **options: Any) -> Any:
    """Make a producer; the broker for tests knows the protocol up to 2.3."""
    return kafka.KafkaProducer(bootstrap_servers=broker, api_version=(2, 3), **options)


def consumed(broker: str, topic: str, count: int = 1, **options: Any) -> list[Any]:
    """Read records from the beginning.

    The partition is assigned: a subscription that is made while the client's first request for metadata is on its way
    is forgotten with the answer to that (kafka-python 3.0, `ClusterMetadata.set_topics`), and nothing is read.
    """
    consumer = kafka.KafkaConsumer(
        bootstrap_servers=broker,
        api_version=(2, 3),
        auto_offset_reset="earliest",
        consumer_timeout_ms=10_000,
        enable_auto_commit=False,
        **options,
    )
    consumer.assign([kafka.TopicPartition(topic, 0)])
    try:
        return list(itertools.islice(consumer, count))
    finally:
        consumer.close()


def phone() -> str:
    """A labelled number."""
    return taint.label(PHONE, purpose="security.mfa", source="enrolment")


def encode(value: Any) -> bytes:
    """Serialise as JSON."""
    return json.dumps(value).encode()


def serializer(function: Callable[[Any], Any]) -> Any:
    """Make a serializer of a function."""

    class Using(kafka.serializer.Serializer):  # type: ignore[misc]  # Untyped.
        def serialize(self, _topic: str, _headers: Any, data: Any) -> Any:
            return function(data)

    return Using()


def deserializer(function: Callable[[Any], Any]) -> Any:
    """Make a deserializer of a function."""

    class Using(kafka.serializer.Deserializer):  # type: ignore[misc]  # Untyped.
        def deserialize(self, _topic: str, _headers: Any, data: Any) -> Any:
            return function(data)

    return Using()


def test_json(broker: str, topic: str) -> None:
    """The leaves of a value arrive with their labels, and no others; one without labels has no envelope."""
    producer = producing(broker, value_serializer=serializer(encode))
    producer.send(topic, partition=0, value={"id": 7, "phone": phone(), "name": "x"}, headers=[("a", b"b")]).get(
        timeout=20
    )
    producer.send(topic, {"id": 7, "phone": PHONE}, None, None, 0).get(timeout=20)
    producer.close()
    with record() as seen:
        first, second = consumed(broker, topic, 2, value_deserializer=deserializer(json.loads))
    assert seen.gaps == []
    assert first.value == {"id": 7, "phone": PHONE, "name": "x"}
    assert taint.labels_of(first.value["phone"]) == taint.labels_of(phone())
    assert not taint.labels_of([first.value["id"], first.value["name"], second.value])
    assert [name for name, _ in first.headers] == ["a", HEADER]
    assert second.headers == []


VALUES: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "bytes": (lambda: phone().encode(), {}),
    "part of bytes": (lambda: b"number: " + phone().encode(), {}),
    "serializer that drops labels": (
        phone,
        {"value_serializer": serializer(lambda text: bytes(bytearray(text.encode())))},
    ),
    "compressed": (lambda: phone().encode(), {"compression_type": "gzip"}),
}


@pytest.mark.parametrize(("make", "options"), VALUES.values(), ids=VALUES)
def test_other_values(broker: str, topic: str, make: Callable[[], Any], options: dict[str, Any]) -> None:
    """Bytes are labelled as a whole, also where a serializer drops labels."""
    producer = producing(broker, **options)
    producer.send(topic, partition=0, value=make()).get(timeout=20)
    producer.close()
    (found,) = consumed(broker, topic)
    assert found.value.endswith(PHONE.encode())
    assert taint.labels_of(found.value) == taint.labels_of(phone())


def test_keys_are_counted(broker: str, topic: str) -> None:
    """A labelled key is sent as its bytes, and its labels are counted as lost."""
    producer = producing(broker)
    producer.send(topic, partition=0, value=b"x", key=phone().encode()).get(timeout=20)
    producer.close()
    (found,) = consumed(broker, topic)
    assert found.key == PHONE.encode()
    assert not taint.labels_of(found)
    assert taint.losses.counts()["kafka keys and headers"] == 1


def test_forged_and_of_another_topic(broker: str, topic: str) -> None:
    """An envelope that is forged, or of another topic, adds a label and is a gap."""
    headers = record_headers("elsewhere", phone().encode())
    taint.uninstall()
    producer = producing(broker)
    for sent in (headers, [(HEADER, headers[0][1][:-4] + b"AAAA")], [(HEADER, b"9.k.x.y")], [(HEADER, b"")]):
        producer.send(topic, partition=0, value=PHONE.encode(), headers=sent).get(timeout=20)
    producer.close()
    taint.install(integrations=["kafka"])
    with record() as seen:
        found = consumed(broker, topic, 4)
    rules = ["envelope-replayed", "envelope-forged", "envelope-unknown-version", "envelope-missing"]
    assert [gap.rule for gap in seen.gaps] == rules
    assert [{label.source for label in taint.labels_of(one.value)} for one in found[:2]] == [{DISTRUSTED}] * 2
    assert [one.value for one in found] == [PHONE.encode()] * 4


def test_consumers_that_do_not_know_it(broker: str, topic: str) -> None:
    """Without the integration a record is read as it was sent."""
    producer = producing(broker)
    producer.send(topic, partition=0, value=phone().encode()).get(timeout=20)
    producer.close()
    taint.uninstall()
    (found,) = consumed(broker, topic)
    assert (found.value, type(found.value)) == (PHONE.encode(), bytes)


def test_errors_are_native(broker: str, topic: str) -> None:
    """What a serializer or deserializer raises, and what the client refuses, is raised as before."""

    def refuse(_value: Any) -> Any:
        msg = "not this one"
        raise ValueError(msg)

    producer = producing(broker, value_serializer=serializer(refuse))
    with pytest.raises(ValueError, match="not this one"):
        producer.send(topic, partition=0, value=phone())
    producer.close()
    producer = producing(broker)
    with pytest.raises(TypeError):
        producer.send(topic, partition=0, value=7)
    with pytest.raises(TypeError):
        producer.send(topic, partition=0, value=b"x", headers={"a": b"b"})
    with pytest.raises(ValueError, match="at least one"):
        producer.send(topic)
    producer.send(topic, partition=0, value=b"x", key=b"k").get(timeout=20)
    producer.close()


def test_functions_for_other_clients() -> None:
    """A client that is not integrated sends what `record_headers` gives, and labels by `record_value`."""
    value = encode({"phone": phone()})
    headers = record_headers("t", value)
    plain = bytes(bytearray(value))
    assert taint.labels_of(json.loads(record_value("t", headers, plain))["phone"]) == taint.labels_of(phone())
    assert record_headers("t", plain) == []
    assert record_value("t", None, plain) is plain
    assert record_value("t", [("other", b"x")], plain) is plain


def test_off(broker: str, topic: str) -> None:
    """In mode `off` no envelope is sent."""
    with record(mode="off"):
        producer = producing(broker)
        producer.send(topic, partition=0, value=PHONE.encode()).get(timeout=20)
        producer.close()
        (found,) = consumed(broker, topic)
    assert found.headers == []
