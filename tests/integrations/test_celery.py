"""Celery with a real worker and a real Redis: arguments and results carry their labels."""

from __future__ import annotations

import base64
import datetime as dt
import importlib
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("celery", reason="the extra 'celery' is not installed")

import celery
import kombu
from opentelemetry import trace

import taint
from taint.envelopes.facts import DISTRUSTED
from taint.envelopes.keys import EnvelopeKeys, set_keys
from taint.integrations.celery import HEADER, KEY
from taint.testing import record
from tests.redis_server import running_redis

SECRET = bytes(range(32))
OLD = b"o" * 32
PHONE = "+14155550100"
TOLD = [["security.mfa", "enrolment", "person-17"]]
CHECKOUT = Path(__file__).resolve().parent.parent.parent


def encoded(secret: bytes) -> str:
    """Write a secret as the environment has it."""
    return base64.b64encode(secret).decode()


@pytest.fixture(scope="module")
def worker() -> Iterator[Any]:
    """A worker with two forked processes; gives the application that asks it."""
    with running_redis() as port:
        environment = {
            **os.environ,
            "TAINT_TEST_REDIS": f"redis://127.0.0.1:{port}/0",
            "TAINT_ENVELOPE_KEYS": f"k1:{encoded(SECRET)},old:{encoded(OLD)}",
            "TAINT_MODE": "block",
        }
        command = [sys.executable, "-m", "celery", "-A", "tests.celery_app", "worker", "-c", "2", "-l", "error"]
        options = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        with subprocess.Popen(
            [*command, *options], cwd=CHECKOUT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            address = environment["TAINT_TEST_REDIS"]
            app = celery.Celery("asking", broker=address, backend=address)
            app.conf.broker_connection_retry_on_startup = True
            try:
                yield app
            finally:
                app.close()
                process.terminate()
                process.wait(timeout=60)


@pytest.fixture(autouse=True)
def _keys() -> Iterator[None]:
    """The asking process has the same keys, and the integration."""
    before = set_keys(EnvelopeKeys({"k1": SECRET, "old": OLD}))
    taint.install(integrations=["celery"])
    yield
    set_keys(before)


def phone() -> str:
    """A labelled number."""
    return taint.label(PHONE, purpose="security.mfa", source="enrolment", subject="person-17")


def ask(app: Any, name: str, *args: Any, wait: float = 60, **options: Any) -> Any:
    """Have the worker run a task."""
    return app.send_task(f"tests.celery_app.{name}", args, **options).get(timeout=wait)


def test_arguments(worker: Any) -> None:
    """A worker receives each argument with its own labels, in another process, and an unlabelled one without."""
    told = ask(worker, "look", phone(), kwargs={"rows": [{"phone": phone()}], "other": PHONE, "n": 7})
    assert told == {"phone": TOLD, "type": "TaintedStr", "rows": TOLD, "other": [], "n": []}


def test_unlabelled(worker: Any) -> None:
    """The safe twin: an unlabelled argument stays exact."""
    assert ask(worker, "look", PHONE) == {"phone": [], "type": "str"}


@pytest.mark.parametrize(
    "value",
    [uuid.UUID(int=5), Decimal("1.50"), dt.datetime(2026, 1, 2, tzinfo=dt.UTC), dt.date(2026, 1, 2), 17, b"bytes"],
    ids=lambda value: type(value).__name__,
)
def test_other_types(worker: Any, value: Any) -> None:
    """What Celery itself carries besides text arrives with labels, and comes back equal."""
    labelled = taint.label(value, purpose="security.mfa", source="enrolment", subject="person-17")
    back = ask(worker, "echo", labelled)
    assert back == value
    assert taint.labels_of(back) == taint.labels_of(labelled)


@pytest.mark.parametrize("options", [{"compression": "zlib"}, {"countdown": 0.01}], ids=str)
def test_options(worker: Any, options: dict[str, Any]) -> None:
    """Compressed or delayed, arguments are labelled all the same."""
    assert ask(worker, "look", phone(), **options)["phone"] == TOLD


def test_result(worker: Any) -> None:
    """What a task returns comes back with its labels, each on its leaf."""
    with record() as seen:
        back = ask(worker, "echo", {"id": 7, "phone": phone(), "name": "x"})
    assert back == {"id": 7, "phone": PHONE, "name": "x"}
    assert taint.labels_of(back["phone"]) == taint.labels_of(phone())
    assert not taint.labels_of([back["id"], back["name"]])
    assert seen.gaps == []


def test_chain(worker: Any) -> None:
    """The next task of a chain receives the result with its labels."""
    chain = celery.chain(
        worker.signature("tests.celery_app.echo", (phone(),)), worker.signature("tests.celery_app.look")
    )
    assert chain.apply_async().get(timeout=60)["phone"] == TOLD


def test_retry(worker: Any) -> None:
    """A task that is tried again receives its arguments with their labels again."""
    assert ask(worker, "retried", phone()) == TOLD


def test_killed(worker: Any, tmp_path: Path) -> None:
    """A worker process that is killed in the middle loses no label: the message comes again."""
    assert ask(worker, "die_once", phone(), str(tmp_path / "mark")) == TOLD


def test_collection_span_is_linked(worker: Any) -> None:
    """A violation in the worker is linked to the span in which the value was collected, in the asking process."""
    with trace.get_tracer("shop").start_as_current_span("POST /two-factor") as collection:
        number = phone()
    context = collection.get_span_context()
    assert ask(worker, "upload", number) == ["label", [[f"{context.trace_id:x}", f"{context.span_id:x}"]]]
    assert ask(worker, "upload", PHONE) is None


def test_task_begins_in_no_zone(worker: Any) -> None:
    """A zone that a task leaves open is not the next task's in the same process; a task's own zone is."""
    left = {ask(worker, "leave_a_zone_open") for _ in range(6)}
    compared = [ask(worker, "compare", phone())]
    while not left & {process for _, process in compared} and len(compared) < 100:  # Which child takes it is chance.
        compared.append(ask(worker, "compare", phone()))
    assert left & {process for _, process in compared}
    assert {what for what, _ in compared} == {"no match"}
    assert ask(worker, "compare_in_zone", phone())[0] == "comparison"


def test_eager_task_keeps_the_zone() -> None:
    """A task that is called in the same process is in the zone of who calls it."""
    celery_app = importlib.import_module("tests.celery_app")  # It installs the library.
    with taint.zone("advertising.audiences", mode="block"):
        assert celery_app.compare.apply((phone(),)).get()[0] == "comparison"
    assert celery_app.compare.apply((phone(),)).get()[0] == "no match"


def test_rotated_in_flight(worker: Any) -> None:
    """A message that was signed with the key before is read by a worker that signs with the new one."""
    set_keys(EnvelopeKeys({"old": OLD, "k1": SECRET}))
    assert ask(worker, "look", phone())["phone"] == TOLD


def test_unknown_key(worker: Any) -> None:
    """A message of somebody without our key: what is in its envelope is added, and vouched for by nobody."""
    set_keys(EnvelopeKeys({"other": b"x" * 32}))
    told = ask(worker, "look", phone(), kwargs={"other": PHONE})
    assert told["phone"] == told["other"] == [["security.mfa", DISTRUSTED, ""]]


BAD: list[Any] = [
    ("envelope-forged", lambda one: one[:-4] + "AAAA"),
    ("envelope-truncated", lambda one: one[:-40]),
    ("envelope-unknown-version", lambda one: "9" + one[1:]),
]


def sent_and_received(body: Any, change: Any = lambda one: one, **options: Any) -> tuple[Any, Any]:
    """Make a message by kombu and receive it; gives what was sent along and the message."""
    headers: dict[str, Any] = {}
    with kombu.Connection("memory://") as connection:
        data, kind, encoding = connection.Producer()._prepare(body, headers=headers, serializer="json", **options)
    headers[HEADER] = change(headers[HEADER])
    received: Any = kombu.message.Message
    message = received(
        body=data, content_type=kind, content_encoding=encoding, headers=headers, accept={"application/json"}
    )
    return headers, message


@pytest.mark.parametrize(("rule", "change"), BAD, ids=[rule for rule, _ in BAD])
def test_bad_envelope(rule: str, change: Any) -> None:
    """An envelope that is forged, cut or of another version is a gap, and takes no label off."""
    taint.install(integrations=["celery"])
    with record() as seen:
        _, message = sent_and_received({"phone": phone()}, change)
        assert message.payload == {"phone": PHONE}
    assert [gap.rule for gap in seen.gaps] == [rule]
    assert {label.source for label in taint.labels_of(message.payload)} <= {DISTRUSTED}


def test_replayed() -> None:
    """The envelope of another message is a gap."""
    headers, _ = sent_and_received({"phone": phone()})
    with record() as seen:
        kombu.message.Message(body='{"phone": "x"}', headers=headers)
    assert [gap.rule for gap in seen.gaps] == ["envelope-replayed"]


def test_compressed() -> None:
    """The envelope is of the body before it is compressed."""
    headers, message = sent_and_received({"phone": phone()}, compression="zlib")
    assert headers["compression"]
    assert taint.labels_of(message.payload["phone"]) == taint.labels_of(phone())


def test_what_is_stored_is_plain() -> None:
    """The body that is sent is exact, and so are its headers: other integrations have nothing to add to a queue."""
    with kombu.Connection("memory://") as connection:
        headers: dict[str, Any] = {"argsrepr": phone()}
        body: Any
        body, *_ = connection.Producer()._prepare({"phone": phone()}, serializer="json", headers=headers)
    assert type(body) is str
    assert {type(value) for value in headers.values()} == {str}


def test_who_does_not_know_it(worker: Any) -> None:
    """A client without the library reads a result's record as before: the envelope is one more key."""
    asked = worker.send_task("tests.celery_app.echo", (phone(),))
    asked.get(timeout=60)
    taint.uninstall()
    stored = json.loads(asked.backend.get(asked.backend.get_key_for_task(asked.id)))
    assert stored["result"] == PHONE
    assert KEY in stored
    assert type(worker.AsyncResult(asked.id).get(timeout=5)) is str


def test_forged_result(worker: Any) -> None:
    """A result's record whose envelope is forged adds a label and is a gap."""
    asked = worker.send_task("tests.celery_app.echo", (phone(),))
    asked.get(timeout=60)
    key = asked.backend.get_key_for_task(asked.id)
    stored = json.loads(asked.backend.get(key))
    stored["result"] = "+14155550199"
    asked.backend.client.set(key, json.dumps(stored))
    with record() as seen:
        again = worker.AsyncResult(asked.id).get(timeout=5)
    assert again == "+14155550199"
    assert {label.source for label in taint.labels_of(again)} == {DISTRUSTED}
    assert [gap.rule for gap in seen.gaps] == ["envelope-replayed"]
