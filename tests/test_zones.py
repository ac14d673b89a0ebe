"""Zones: how they nest, what they follow, what they give and see, and that they do not leak."""

from __future__ import annotations

import asyncio
import contextvars
import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from typing import Any

import pytest

import taint
from taint.carriers import observation
from taint.flows import current_zone
from taint.testing import record

PHONE = "+14155550100"


def _inside() -> tuple[str, ...]:
    """Give the purposes that data is used for here."""
    zone = current_zone()
    return () if zone is None else (zone.purpose, *zone.widens)


def _inside_of(_: object) -> tuple[str, ...]:
    return _inside()


def _phone(*purposes: str) -> str:
    return taint.label(PHONE, purpose=purposes)


NESTS: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    (("advertising",), ("advertising",)),
    (("advertising", "advertising"), ("advertising",)),
    (("advertising", "advertising.audiences"), ("advertising.audiences",)),
    (("advertising.audiences", "advertising"), ("advertising", "advertising.audiences")),
    (("advertising", "security.mfa"), ("security.mfa", "advertising")),
    (("advertising", "security", "security.mfa"), ("security.mfa", "advertising")),
    (("advertising", "service.operations"), ("service.operations",)),
    (("advertising", "security", "service.operations"), ("service.operations", "security")),
]


@pytest.mark.parametrize(("zones", "expected"), NESTS, ids=["/".join(zones) for zones, _ in NESTS])
def test_nesting(zones: tuple[str, ...], expected: tuple[str, ...]) -> None:
    """A zone that narrows governs alone; one that widens adds to the one around it, unless the policy lets it."""
    change = {"inside": "advertising", "may_enter": ["service.operations"], "reason": "Jobs alert those on call."}
    taint.configure(policy={"zones": [change]})
    entered = [taint.zone(purpose) for purpose in zones]
    for zone in entered:
        zone.__enter__()
    assert _inside() == expected
    for zone in reversed(entered):
        zone.__exit__(None, None, None)
    assert _inside() == ()


def test_widening_does_not_launder() -> None:
    """Entering a security zone inside an advertising one does not make a comparison for advertising disappear."""
    with record(mode="report") as seen, taint.zone("advertising"), taint.zone("security.mfa", name="helper"):
        assert _phone("security.mfa") == PHONE
        assert _phone("security.mfa", "advertising") == PHONE
    assert [(flow.sink, flow.purpose, flow.outcome) for flow in seen.violations] == [
        ("helper", "advertising", "violation")
    ]


def test_loading_is_a_use() -> None:
    """Calling a source in a zone that its labels do not allow is a violation; its twin and loading outside are none."""

    @taint.source(purpose="security.mfa", name="shop.enrolled")
    def enrolled() -> dict[str, str]:
        return {"phone": PHONE}

    @taint.source(purpose=["security.mfa", "advertising"], name="shop.agreed")
    def agreed() -> dict[str, str]:
        return {"phone": PHONE}

    enrolled()
    with taint.zone("advertising.audiences", name="ads.match"):
        agreed()
        with pytest.raises(
            taint.PurposeViolationError, match=r"zone 'ads.match' .* here \(load\).*'shop.enrolled'"
        ) as caught:
            enrolled()
    assert caught.value.violation.evidence == "comparison"
    assert PHONE not in str(caught.value)


def test_receiving_is_not_loading() -> None:
    """A source that labels what it receives collects in a zone, and does not load."""

    @taint.source(purpose="security.mfa", arguments=["phone"])
    def enrol(phone: str) -> int:
        return len(phone)

    with taint.zone("advertising"):
        assert enrol(PHONE) == len(PHONE)


def test_a_zone_gives_its_purpose_to_what_it_collects() -> None:
    """Inside a zone that collects, what has no purpose of its own is collected for the zone's."""

    @taint.source(category="user.contact.phone_number")
    def form() -> str:
        return PHONE

    with taint.zone("security.mfa", collects=True):
        assert taint.labels_of(taint.label(PHONE)).purposes == {"security.mfa"}
        assert taint.labels_of(form()).purposes == {"security.mfa"}
        assert taint.labels_of(_phone("security")).purposes == {"security"}
        with taint.zone("security.mfa.sms"):
            assert taint.labels_of(form()).purposes == {"security.mfa"}
        with taint.zone("security.mfa.sms", collects=True):
            assert taint.labels_of(form()).purposes == {"security.mfa.sms"}
        assert taint.labels_of(form()).purposes == {"security.mfa"}
    for collect in (form, lambda: taint.label(PHONE)):
        with pytest.raises(taint.ConfigurationError, match=r"a collection without a purpose.*collects=True"):
            collect()
        with taint.zone("security.mfa"), pytest.raises(taint.ConfigurationError, match="without a purpose"):
            collect()


def test_decorated_function_collects() -> None:
    """`collects` works on a decorated function too."""

    @taint.zone("security.mfa", collects=True)
    def enrol() -> str:
        return taint.label(PHONE)

    assert taint.labels_of(enrol()).purposes == {"security.mfa"}


def test_zone_follows_await_tasks_and_to_thread() -> None:
    """A zone holds in what is awaited, in tasks started inside it and in `asyncio.to_thread`, and nowhere beside."""

    async def other(begun: asyncio.Event) -> tuple[str, ...]:
        await begun.wait()
        return _inside()

    async def asked() -> tuple[str, ...]:
        await asyncio.sleep(0)
        return _inside()

    async def main() -> None:
        begun = asyncio.Event()
        beside = asyncio.create_task(other(begun))
        async with taint.zone("advertising"):
            begun.set()
            assert await asked() == ("advertising",)
            assert await asyncio.create_task(asked()) == ("advertising",)
            assert await asyncio.to_thread(_inside) == ("advertising",)
            assert await beside == ()
        assert await asked() == ()

    asyncio.run(main())


def test_zone_in_a_loops_executor() -> None:
    """With `install()`, `run_in_executor` runs in the zone too; without, asyncio does not hand it over."""

    async def main() -> tuple[str, ...]:
        with taint.zone("advertising"):
            return await asyncio.get_running_loop().run_in_executor(None, _inside)

    assert asyncio.run(main()) == ()
    taint.install()
    assert asyncio.run(main()) == ("advertising",)


def _submitted(executor: Executor) -> tuple[str, ...]:
    return executor.submit(_inside).result(timeout=60)


def _mapped(executor: Executor) -> tuple[str, ...]:
    (found,) = executor.map(_inside_of, [1])
    return found


@pytest.mark.parametrize("hand", [_submitted, _mapped])
def test_thread_pool(hand: Callable[[Executor], tuple[str, ...]]) -> None:
    """With `install()`, what is handed to a thread pool inside a zone runs in it, and nothing after it does."""
    with ThreadPoolExecutor(max_workers=1) as executor:
        with taint.zone("advertising"), taint.zone("security"):
            assert hand(executor) == ()
        taint.install()
        with taint.zone("advertising"), taint.zone("security"):
            assert hand(executor) == ("security", "advertising")
        assert hand(executor) == ()
        taint.uninstall()
        with taint.zone("advertising"):
            assert hand(executor) == ()


def _compares() -> list[tuple[str, str]]:
    with record(mode="report") as seen:
        _ = _phone("security.mfa") == PHONE
    return [(flow.sink, flow.purpose) for flow in seen.violations]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_process_pool(method: str) -> None:
    """With `install()`, what is handed to a process pool inside a zone runs in it; a worker does not keep the zone."""
    taint.install()
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as executor:
        with taint.zone("advertising", name="ads.match"):
            assert executor.submit(_compares).result(timeout=60) == [("ads.match", "advertising")]
            assert executor.submit(_inside).result(timeout=60) == ("advertising",)
        assert executor.submit(_inside).result(timeout=60) == ()
        assert executor.submit(_compares).result(timeout=60) == []


POOL_CALLS: list[tuple[str, Callable[[Any], Any]]] = [
    ("apply", lambda pool: pool.apply(_inside)),
    ("apply_async", lambda pool: pool.apply_async(_inside).get(60)),
    ("apply_async by name", lambda pool: pool.apply_async(func=_inside).get(60)),
    ("map", lambda pool: pool.map(_inside_of, [1])[0]),
    ("map_async", lambda pool: pool.map_async(_inside_of, [1]).get(60)[0]),
    ("starmap", lambda pool: pool.starmap(_inside_of, [(1,)])[0]),
    ("starmap_async", lambda pool: pool.starmap_async(_inside_of, [(1,)]).get(60)[0]),
    ("imap", lambda pool: next(pool.imap(_inside_of, [1]))),
    ("imap_unordered", lambda pool: next(pool.imap_unordered(_inside_of, [1]))),
]


@pytest.mark.parametrize("call", [row[1] for row in POOL_CALLS], ids=[row[0] for row in POOL_CALLS])
def test_multiprocessing_pool(call: Callable[[Any], Any]) -> None:
    """With `install()`, every way to hand work to a pool of `multiprocessing` hands the zone over."""
    taint.install()
    with ThreadPool(1) as pool:
        with taint.zone("advertising"):
            assert call(pool) == ("advertising",)
        assert call(pool) == ()


def test_forked_process_leaves_the_zone() -> None:
    """A process that is forked inside a zone does not run in it."""
    with taint.zone("advertising", collects=True):
        child = os.fork()
        if not child:
            os._exit(0 if current_zone() is None and observation.collecting.get() is None else 1)
        assert os.waitpid(child, 0)[1] == 0


def test_zone_does_not_reach_other_threads_and_contexts() -> None:
    """A thread, and a context made before, know nothing of a zone here."""
    before = contextvars.copy_context()
    found: list[tuple[str, ...]] = []
    with taint.zone("advertising"):
        thread = threading.Thread(target=lambda: found.append(_inside()))
        thread.start()
        thread.join()
        found.append(before.run(_inside))
    assert found == [(), ()]


def test_mode_of_a_zone_by_policy() -> None:
    """A zone is a sink for the policy: its mode and its rules are found by its name."""
    taint.configure(policy={"sinks": {"ads.*": {"mode": "report"}}})
    with record() as seen, taint.zone("advertising", name="ads.match"):
        assert _phone("security") == PHONE
    assert [flow.mode for flow in seen.violations] == ["report"]
    with taint.zone("advertising", name="crm.match"), pytest.raises(taint.PurposeViolationError):
        assert _phone("security") == PHONE
