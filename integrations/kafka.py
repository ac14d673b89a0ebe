"""kafka-python: the value of a record arrives with its labels, by an envelope in the record's headers.

Source: values of records, by their envelopes.

Sink: none.

Covered: `KafkaProducer.send` and what a `KafkaConsumer` gives, by iteration or `poll`, with serializers and
deserializers: the leaves of JSON exactly, anything else as a whole. The envelope is of the bytes that are sent and of
their topic; consumers that do not know it see one header more.

Not covered: keys of records and headers, whose labels are counted as lost; the admin client. `confluent-kafka` has an
integration of its own; `taint.integrations.kafka.record_headers` and `record_value` are for programs with another one.

    import taint
    taint.install(integrations=["kafka"])
    import kafka
    from taint.integrations.kafka import record_headers
    phone = taint.label("+14155550100", purpose="security.mfa")
    # producer.send("enrolments", phone.encode()) sends the envelope along; consumer records have a labelled value
    taint.labels_of(phone.encode()) and record_headers("enrolments", b"unlabelled") == [] and taint.labels_of(phone)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from taint.carriers.proxy import carry, exact
from taint.carriers.values import apply_labels, labels_of
from taint.envelopes.carrying import arrived, leaving
from taint.envelopes.envelope import MESSAGE_BYTES
from taint.integrations.base import Integration
from taint.losses import count_loss
from taint.modes import is_off
from taint.propagation.patches import Patch

__all__ = ["HEADER", "KafkaIntegration", "record_headers", "record_value"]

HEADER = "taint-envelope"


class KafkaIntegration(Integration):
    """Sends envelopes with records, and reads them."""

    identifier = "kafka"
    requires = ("kafka-python>=3.0",)

    def _install(self) -> None:
        import kafka.consumer.fetcher
        import kafka.producer.kafka

        # There are no events. `send` serialises by `_serialize`; records are deserialised by `_unpack_records`, since
        # 3.0 with their headers.
        producer = kafka.producer.kafka.KafkaProducer
        self._wrap(
            (
                Patch(producer, "send", _send),
                Patch(producer, "_serialize", _serialize),
                Patch(kafka.consumer.fetcher.Fetcher.PartitionRecords, "_unpack_records", _unpack),
            )
        )


def record_headers(topic: str, value: bytes) -> list[tuple[str, bytes]]:
    """Give the headers to be sent with a value. Labels: of the value, in them; none where it has none.

    Args:
        topic: That it is sent to.
        value: Its bytes, with their labels.
    """
    envelope = leaving(value, channel="kafka", context=f"kafka.{topic}", max_bytes=MESSAGE_BYTES)
    return [] if envelope is None else [(HEADER, envelope.encode("ascii"))]


def record_value(topic: str, headers: Iterable[tuple[str, bytes | None]] | None, value: bytes) -> bytes:
    """Label the value of a record that was read. Labels: those of its envelope, joined to its own.

    Args:
        topic: That it was read from.
        headers: Of the record.
        value: Its bytes.
    """
    for name, envelope in headers or ():
        if name == HEADER:
            return arrived(value, envelope or b"", channel="kafka", context=f"kafka.{topic}")
    return value


class _Serialized:
    """Bytes that a serializer has made already."""

    __slots__ = ("data",)

    def __init__(self, data: Any) -> None:
        self.data = data


_NAMES = ("topic", "value", "key", "headers", "partition", "timestamp_ms")


def _send(wrapped: Callable[..., Any], producer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    given = {**dict(zip(_NAMES, args, strict=False)), **kwargs}
    topic, headers = given.get("topic"), given.get("headers")
    if is_off() or not isinstance(topic, str) or not isinstance(headers, list | None):
        return wrapped(*args, **kwargs)
    headers = [pair for pair in headers or () if pair[0] != HEADER]
    value, key = given.get("value"), given.get("key")
    if value is not None:
        data = producer._serialize(producer.config["value_serializer"], topic, headers, value)
        if isinstance(data, bytes | bytearray | memoryview):
            labels = labels_of(data) or labels_of(value)
            if labels:
                body: bytes = data if labels_of(data) and isinstance(data, bytes) else carry(bytes(exact(data)), labels)
                headers += record_headers(topic, body)
            data = exact(data)
        given["value"] = _Serialized(data)
    if labels_of((key, headers)):
        count_loss("kafka keys and headers")
        if key is not None:
            given["key"] = _Serialized(
                exact(producer._serialize(producer.config["key_serializer"], topic, headers, key))
            )
        headers = [(exact(name), exact(content)) for name, content in headers]
    return wrapped(**{**given, "headers": headers})


def _serialize(wrapped: Callable[..., Any], _producer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return args[-1].data if args and type(args[-1]) is _Serialized else wrapped(*args, **kwargs)


class _Reading:
    """The deserializer of a program, which is given a value with its labels."""

    def __init__(self, records: Any, native: Any) -> None:
        self._records, self._native = records, native
        self._error: TypeError | None = None

    def deserialize(self, topic: str, *rest: Any) -> Any:
        """Read a value. The client tries again without the headers where it meets a `TypeError`."""
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        headers, data = rest
        if data is None:
            return self._records._deserialize(self._native, topic, headers, data)
        body = record_value(topic, headers, data)
        try:
            value = self._records._deserialize(self._native, topic, headers, body)
        except TypeError as error:
            self._error = error
            raise
        labels = labels_of(body)
        return apply_labels(value, labels) if labels and not labels_of(value) else value


def _unpack(wrapped: Callable[..., Any], records: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if is_off() or len(args) != 4:  # noqa: PLR2004  # As it is called.
        return wrapped(*args, **kwargs)
    return wrapped(*args[:3], _Reading(records, args[3]), **kwargs)
