"""confluent-kafka: the value of a record arrives with its labels, by an envelope in the record's headers.

Source: values of records, by their envelopes, which are those of the integration `kafka`.

Sink: none.

Covered: `Producer.produce`, `Consumer.poll` and `consume`, classes derived from both, `SerializingProducer` and
`DeserializingConsumer`, `AIOConsumer`: the leaves of JSON exactly where the serializer keeps labels, anything else as a
whole. The classes are compiled and cannot be changed: while it is on, the package's names `Producer` and `Consumer` are
classes derived from them, which are equal to them for `isinstance`.

Not covered: clients that were made, and names that were imported, before `install()`; keys of records and headers,
whose labels are counted as lost; `produce_batch`, which `AIOProducer` uses, and which sends no headers: a gap where a
value is labelled; share consumers; `confluent_kafka.cimpl`.

    import taint
    taint.install(integrations=["confluent_kafka"])
    import confluent_kafka
    from taint.integrations.kafka import record_headers, record_value
    phone = taint.label("+14155550100", purpose="security.mfa").encode()
    # Producer({...}).produce("enrolments", phone) sends the envelope along; what `poll` gives has a labelled value
    taint.labels_of(record_value("enrolments", record_headers("enrolments", phone), bytes(bytearray(phone)))) or phone
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from taint.carriers.proxy import carry, exact
from taint.carriers.values import apply_labels, labels_of
from taint.envelopes.carrying import report_problem
from taint.envelopes.envelope import Problem
from taint.guard import report_internal_error
from taint.integrations.base import Integration
from taint.integrations.kafka import HEADER, record_headers, record_value
from taint.losses import count_loss
from taint.modes import is_off
from taint.propagation.patches import Patch, Swap

__all__ = ["ConfluentKafkaIntegration"]


class ConfluentKafkaIntegration(Integration):
    """Sends envelopes with records, and reads them."""

    identifier = "confluent_kafka"
    requires = ("confluent-kafka>=2.5",)

    def _install(self) -> None:
        import confluent_kafka

        # There are no interceptors for Python, and methods of a compiled class cannot be replaced.
        self._wrap(
            (
                Swap(confluent_kafka, "Producer", _producer_class),
                Swap(confluent_kafka, "Consumer", _consumer_class),
                Patch(confluent_kafka.SerializingProducer, "produce", _produce_serialized),
                Patch(confluent_kafka.DeserializingConsumer, "poll", _poll_deserialized),
            )
        )


class _StandsFor(type):
    """The class of classes that stand for a native one: what is an instance of that is one of theirs."""

    _native: Any

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls._native) if "_native" in vars(cls) else type.__instancecheck__(cls, instance)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, cls._native) if "_native" in vars(cls) else type.__subclasscheck__(cls, subclass)


def _standing_for(native: Any, methods: dict[str, Any]) -> Any:
    names = {"__module__": native.__module__, "__doc__": native.__doc__, "__qualname__": native.__qualname__}
    return _StandsFor(native.__name__, (native,), {**methods, **names, "_native": native})


_PRODUCED = ("topic", "value", "key", "partition", "on_delivery", "timestamp", "headers")
_SERIALIZED = ("topic", "key", "value", "partition", "on_delivery", "timestamp", "headers")


def _producer_class(native: Any) -> Any:
    def produce(self: Any, *args: Any, **kwargs: Any) -> None:
        if is_off() or len(args) > len(_PRODUCED):
            native.produce(self, *args, **kwargs)
            return
        given = {**dict(zip(_PRODUCED, args, strict=False)), **kwargs}
        _guarded(_add_envelope, given)
        native.produce(self, **given)

    def produce_batch(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not is_off() and labels_of((args, kwargs)):
            # It sends no headers.
            count_loss("kafka produce_batch")
            report_problem(Problem.UNFOLLOWED, "kafka", labels_of((args, kwargs)))
        return native.produce_batch(self, *args, **kwargs)

    own = {"produce": produce}
    return _standing_for(native, {**own, "produce_batch": produce_batch} if hasattr(native, "produce_batch") else own)


def _guarded(prepare: Callable[[dict[str, Any]], None], given: dict[str, Any]) -> None:
    try:
        prepare(given)
    except Exception as error:  # noqa: BLE001  # The record is sent all the same; what it is refused for is native.
        report_internal_error("writing the envelope of a record", error)


def _add_envelope(given: dict[str, Any]) -> None:
    """Put the envelope of a value among the headers, and exact values in the place of carriers."""
    value, topic = given.get("value"), given.get("topic")
    _plain_rest(given)
    if not isinstance(topic, str):
        return
    given["topic"] = exact(topic)
    labels = labels_of(value)
    if not labels:
        return
    given["value"] = exact(value)
    body = value.encode() if isinstance(value, str) else value if isinstance(value, bytes) else None
    if body is None:
        body = carry(bytes(exact(value)), labels)
    given["headers"] = [*_headers(given), *record_headers(exact(topic), body)]


def _headers(given: dict[str, Any]) -> list[Any]:
    headers = given.get("headers") or ()
    return [pair for pair in (headers.items() if isinstance(headers, dict) else headers) if pair[0] != HEADER]


def _plain_rest(given: dict[str, Any]) -> None:
    """Count what labels are on a record's key and headers, which carry none."""
    if labels_of((given.get("key"), given.get("headers"))):
        count_loss("kafka keys and headers")
        given["key"] = exact(given.get("key"))
        given["headers"] = [(exact(name), exact(content)) for name, content in _headers(given)]


class _Serializer:
    """The serializer of a program, after which the envelope is put among the headers of the record."""

    def __init__(self, native: Any) -> None:
        self._native = native

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)

    def __call__(self, value: Any, context: Any) -> Any:
        data = self._native(value, context)
        labels = labels_of(data) or labels_of(value)
        if labels and isinstance(data, bytes) and isinstance(context.headers, list) and not is_off():
            body = data if labels_of(data) else carry(exact(data), labels)
            context.headers += record_headers(exact(context.topic), body)
        return exact(data)


def _produce_serialized(
    wrapped: Callable[..., Any], producer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    serializer = producer._value_serializer
    if is_off() or len(args) > len(_SERIALIZED):
        return wrapped(*args, **kwargs)
    given = {**dict(zip(_SERIALIZED, args, strict=False)), **kwargs}
    if serializer is None:
        _guarded(_add_envelope, given)
        return wrapped(**given)
    if type(serializer) is not _Serializer:
        producer._value_serializer = _Serializer(serializer)
    _plain_rest(given)
    given["headers"] = _headers(given)  # A list, which the serializer adds to.
    return wrapped(**given)


def _consumer_class(native: Any) -> Any:
    def poll(self: Any, *args: Any, **kwargs: Any) -> Any:
        return _labelled(native.poll(self, *args, **kwargs))

    def consume(self: Any, *args: Any, **kwargs: Any) -> Any:
        messages = native.consume(self, *args, **kwargs)
        for message in messages:
            _labelled(message)
        return messages

    return _standing_for(native, {"poll": poll, "consume": consume})


def _labelled(message: Any) -> Any:
    if message is None or is_off() or message.error() is not None or not isinstance(message.value(), bytes):
        return message
    value = message.value()
    labelled = record_value(message.topic(), message.headers(), value)
    if labelled is not value:
        message.set_value(labelled)
    return message


class _Deserializer:
    """The deserializer of a program, which is given a value with its labels."""

    def __init__(self, native: Any) -> None:
        self._native = native

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)

    def __call__(self, data: Any, context: Any) -> Any:
        if is_off() or not isinstance(data, bytes):
            return self._native(data, context)
        body = record_value(context.topic, context.headers, data)
        value = self._native(body, context)
        labels = labels_of(body)
        return apply_labels(value, labels) if labels and not labels_of(value) else value


def _poll_deserialized(
    wrapped: Callable[..., Any], consumer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    deserializer = consumer._value_deserializer
    if deserializer is None:
        return _labelled(wrapped(*args, **kwargs))
    if type(deserializer) is not _Deserializer and not is_off():
        consumer._value_deserializer = _Deserializer(deserializer)
    return wrapped(*args, **kwargs)
