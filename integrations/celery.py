"""Celery: a task's arguments arrive in the worker with their labels, and its result comes back with them.

Source: the bodies of messages and the records of results, by their envelopes.

Sink: none.

Covered: arguments of tasks by `delay`, `apply_async`, `send_task`, in chains, groups and chords, retried and delayed
ones, with compression; what a task returns, for who waits for it and for the next task of a chain; every transport
and result backend that stores text; workers that fork, threads, eager ones. A task begins in no zone of another one.
Exactly with the serializer `json`, which is Celery's default; with `yaml` and `msgpack` as a whole. Who does not know
the envelope passes over it: it is a header of the message, and a key of the result's record. Keys are those of
docs/envelopes.md.

Not covered: the serializer `pickle` has no envelope: it carries labels by itself, unsigned as everything in it.
Progress that a task reports by `update_state`; exceptions of tasks; zones, which end with the message: a task that
runs for a purpose says so itself. The broker's own copies of arguments (`argsrepr` in headers, events) hold values.

    import taint
    taint.install(integrations=["celery"])                  # in the module of the application, for clients and workers
    import celery
    from kombu.serialization import dumps
    phone = taint.label("+14155550100", purpose="security.mfa")
    taint.labels_of(dumps([[phone], {}], "json"))           # what is sent for notify.delay(phone), with its labels
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from taint.carriers.operations import coverage_of
from taint.carriers.proxy import exact
from taint.envelopes.carrying import arrived, leaving
from taint.envelopes.envelope import MESSAGE_BYTES
from taint.flows.handover import clean_state
from taint.guard import report_internal_error
from taint.integrations.base import Integration
from taint.propagation.json_tree import label_json_values, labelled_json
from taint.propagation.pairing import detached
from taint.propagation.patches import Patch

__all__ = ["CeleryIntegration"]

HEADER, KEY = "taint-envelope", "taint_envelope"
TASK, RESULT = "celery.task", "celery.result"

_OWN_LABELS = frozenset(("application/x-python-serialize",))
"""Content types that carry labels by themselves: pickle."""


class CeleryIntegration(Integration):
    """Sends envelopes with messages and results, and reads them."""

    identifier = "celery"
    requires = ("celery>=5.3",)
    waits_for = "celery.app.base"
    _native: tuple[Any, Any]

    def _install(self) -> None:
        import celery.backends.base
        import kombu.message
        import kombu.messaging
        from celery.signals import task_postrun, task_prerun
        from kombu.serialization import registry  # type: ignore[attr-defined]  # Not in its stubs.

        task_prerun.connect(_begin, weak=False)
        task_postrun.connect(_end, weak=False)
        # The signal `before_task_publish` comes before the body is made, `task_prerun` after it was read, in a
        # process that has not seen the message. All of them since kombu 5.0 and Celery 5.0.
        self._wrap(
            (
                Patch(kombu.messaging.Producer, "_prepare", _prepare),
                Patch(kombu.message.Message, "__init__", _received),
                Patch(celery.backends.base.Backend, "_get_result_meta", _stored),
                Patch(celery.backends.base.Backend, "decode", _loaded),
            )
        )
        # Its functions for JSON write dates and numbers by methods that refuse a carrier; registering others is public.
        self._native = registry._encoders["json"], registry._decoders["application/json"]
        registry.register("json", _dumps, _loads, content_type="application/json", content_encoding="utf-8")

    def _uninstall(self) -> None:
        from celery.signals import task_postrun, task_prerun
        from kombu.serialization import registry  # type: ignore[attr-defined]  # Not in its stubs.

        task_prerun.disconnect(_begin)
        task_postrun.disconnect(_end)
        registry._encoders["json"], registry._decoders["application/json"] = self._native


def _begin(sender: Any, **_signal: Any) -> None:
    """Begin a task in no zone of the one before, which a worker's process or thread may have left open."""
    if not sender.request.is_eager:  # Which is a call, of the zone that it stands in.
        sender.request.taint_state = state = clean_state()
        state.__enter__()


def _end(sender: Any, **_signal: Any) -> None:
    state = getattr(sender.request, "taint_state", None)
    if state is not None:
        state.__exit__()


def _dumps(data: Any) -> str:
    from kombu.utils import json

    made = detached(data, is_text=True)
    if not made.is_exact:
        made.look_into_objects()
    return labelled_json(json.dumps(made.value), made)  # type: ignore[no-any-return]  # A text, as it was.


def _loads(document: Any) -> Any:
    from kombu.utils import json

    return label_json_values(json.loads(exact(document)), document)


_NAMES = ("body", "serializer", "content_type", "content_encoding", "compression", "headers")


def _prepare(wrapped: Callable[..., Any], _producer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Sign a body between its serialisation and its compression."""
    from kombu.compression import compress

    given = {**dict(zip(_NAMES, args, strict=False)), **kwargs}
    compression, headers = given.pop("compression", None), given.get("headers")
    body, content_type, content_encoding = wrapped(**given)
    if isinstance(headers, dict):
        for name, value in headers.items():
            headers[name] = exact(value)  # A repr of arguments, which is looked at by nobody but people.
        headers.pop(HEADER, None)
        if coverage_of(body) and content_type not in _OWN_LABELS:
            envelope = leaving(body, channel="celery", context=TASK, max_bytes=MESSAGE_BYTES)
            if envelope is not None:
                headers[HEADER] = envelope
    body = exact(body)
    if compression:
        body, headers["compression"] = compress(body, compression)  # type: ignore[index]  # As kombu does it.
    return body, content_type, content_encoding


def _received(wrapped: Callable[..., None], message: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    wrapped(*args, **kwargs)
    envelope = message.headers.get(HEADER)
    if envelope is not None and isinstance(message.body, str | bytes):
        body: Any = message.body
        message.body = arrived(body, envelope, channel="celery", context=TASK)


def _stored(wrapped: Callable[..., Any], backend: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Put the envelope of a result into its record; it is of the result's own document, which a reader makes again."""
    meta = wrapped(*args, **kwargs)
    if backend.serializer == "json":
        try:
            envelope = leaving(_dumps(meta["result"]), channel="celery", context=RESULT, max_bytes=MESSAGE_BYTES)
            if envelope is not None:
                meta[KEY] = envelope
        except Exception as error:  # noqa: BLE001  # The result is stored all the same.
            report_internal_error("writing the envelope of a result", error)
    return meta


def _loaded(wrapped: Callable[..., Any], _backend: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    meta = wrapped(*args, **kwargs)
    if isinstance(meta, dict) and KEY in meta:
        envelope = meta.pop(KEY)
        try:
            document = arrived(_dumps(meta["result"]), envelope, channel="celery", context=RESULT)
            if coverage_of(document):
                meta["result"] = _loads(document)
        except Exception as error:  # noqa: BLE001  # The program gets its result.
            report_internal_error("reading the envelope of a result", error)
    return meta
