"""Processes of one program: what crosses by pickle carries its labels by itself, both ways, fork or spawn."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import uuid
from typing import Any

import pytest

import taint

PHONE = "+14155550100"


def phone() -> str:
    """A labelled number, collected in some span months ago."""
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    return taint.label(PHONE, purpose="security.mfa", source="enrolment", subject="p", trace=trace)


def values() -> dict[str, Any]:
    """Values of every kind of carrier, and one that is none."""
    return {
        "text": phone(),
        "part": "tel:" + phone(),
        "bytes": phone().encode(),
        "uuid": taint.label(uuid.UUID(int=5), purpose="security.mfa"),
        "number": taint.label(7, purpose="security.mfa"),
        "rows": [{"phone": phone()}],
        "plain": PHONE,
    }


def look(given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Say, in another process, what arrived, and give it back."""
    return {name: (taint.labels_of(value), taint.ranges_of(value)) for name, value in given.items()}, given


def through_queues(source: Any, target: Any) -> None:
    """Take from one queue, put into the other."""
    target.put(look(source.get(timeout=60)))


def checked(told: dict[str, Any], back: dict[str, Any]) -> None:
    """Check what arrived there, and what came back."""
    expected = look(values())[0]
    assert told == expected
    assert back == values()
    assert look(back)[0] == expected


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_executor(method: str) -> None:
    """A process pool receives labelled arguments and gives labelled results; unlabelled ones stay so."""
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        checked(*pool.submit(look, values()).result(timeout=60))


def test_threads() -> None:
    """A thread pool hands on the very objects."""
    given = values()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        told, back = pool.submit(look, given).result(timeout=60)
    assert back is given
    assert told == look(given)[0]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing(method: str) -> None:
    """Queues and pools of multiprocessing carry labels both ways."""
    context: Any = multiprocessing.get_context(method)
    source, target = context.Queue(), context.Queue()
    process = context.Process(target=through_queues, args=(source, target))
    process.start()
    source.put(values())
    checked(*target.get(timeout=60))
    process.join(timeout=60)
    with context.Pool(1) as pool:
        checked(*pool.apply(look, (values(),)))
        pool.close()
        pool.join()
