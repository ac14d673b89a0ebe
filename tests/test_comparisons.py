"""Comparisons inside a zone: the match itself is the leak, and is seen at its line."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import taint
from taint.testing import record

PHONE = "+14155550100"
OTHER = "+14155550199"


def security() -> str:
    """Give a number that was collected for security."""
    return taint.label(PHONE, purpose="security.mfa", source="shop.enrol")


def advertising() -> str:
    """Give a number that was collected for advertising: the safe twin."""
    return taint.label(PHONE, purpose="advertising", source="shop.newsletter")


USES: dict[str, Callable[[Any], object]] = {
    "==": lambda phone: phone == PHONE,
    "== from the left": lambda phone: phone == phone[:-1],
    "==, right side": lambda phone: PHONE == phone,  # noqa: SIM300  # The side is the point.
    "== that is false": lambda phone: phone == OTHER,
    "!=": lambda phone: phone != OTHER,
    "<": lambda phone: phone < OTHER,
    ">=": lambda phone: phone >= OTHER,
    "in a text": lambda phone: "415" in phone,
    "in a plain list": lambda phone: phone in [PHONE],
    "plain in a list": lambda phone: PHONE in [phone],
    "dict lookup": lambda phone: {PHONE: 7}.get(phone),
    "dict lookup that misses": lambda phone: {OTHER: 7}.get(phone),
    "set lookup": lambda phone: phone in {PHONE},
    "set algebra": lambda phone: {PHONE} & {phone},
    "sorted": lambda phone: sorted([phone, OTHER]),
    "startswith": lambda phone: phone.startswith("+1"),
    "endswith": lambda phone: phone.endswith("0100"),
    "find": lambda phone: phone.find("415"),
    "count": lambda phone: phone.count("5"),
    "bytes": lambda phone: phone.encode() == PHONE.encode(),
    "of a part": lambda phone: phone[2:] == PHONE[2:],
    "of what was derived": lambda phone: f"{phone.strip('+')}" == "14155550100",
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
class TestUses:
    """Every way of comparing is a use of the value."""

    def test_violation_is_stopped_at_the_line(self, use: Callable[[str], object]) -> None:
        """Security data compared in an advertising zone is a violation with evidence `comparison`."""
        phone = security()
        with taint.zone("advertising.audiences"), pytest.raises(taint.PurposeViolationError) as stopped:
            use(phone)
        violation = stopped.value.violation
        assert violation.evidence == "comparison"
        assert violation.purpose == "advertising.audiences"
        assert violation.call_site is not None
        assert violation.call_site.file == __file__

    def test_report_mode_gives_the_native_result(self, use: Callable[[str], object]) -> None:
        """In report mode the comparison comes out as for plain text, and is recorded."""
        phone = security()
        with record(mode="report") as seen:
            with taint.zone("advertising.audiences"):
                result = use(phone)
            assert result == use(taint.plain(phone))
        assert seen.violations

    def test_safe_twin_passes(self, use: Callable[[str], object]) -> None:
        """Data that was given for advertising may be compared there."""
        with record() as seen, taint.zone("advertising.audiences"):
            use(advertising())
        assert not seen.violations

    def test_outside_a_zone_nothing_is_said(self, use: Callable[[str], object]) -> None:
        """Comparing is no finding where no purpose is stated."""
        with record() as seen:
            use(security())
        assert not seen.flows


PRESENCE: dict[str, Callable[[str], object]] = {
    "is None": lambda phone: phone is None,
    "== None": lambda phone: phone == None,  # noqa: E711  # As older code has it.
    "truth": bool,
    "len": len,
    "== empty": lambda phone: phone == "",
    "!= empty": lambda phone: phone != "",
    "isinstance": lambda phone: isinstance(phone, str),
    "moving": lambda phone: [phone, {"phone": phone}, (phone,)],
    "formatting": lambda phone: f"{phone} {phone.upper()} {phone[1:]}",
}


@pytest.mark.parametrize("use", PRESENCE.values(), ids=PRESENCE)
def test_presence_is_no_comparison(use: Callable[[str], object]) -> None:
    """Whether there is a value may be asked in any zone."""
    with record() as seen, taint.zone("advertising.audiences"):
        use(security())
    assert not seen.flows


def test_match_of_2019_inside_a_sink_needs_one_decorator() -> None:
    """A sink's body is a zone of its purpose: what it loads by itself and matches is seen, only ids would leave."""
    left: list[int] = []
    users = {7: security(), 8: advertising()}

    @taint.sink(purpose="advertising.audiences")
    def match_and_upload(uploaded: set[str], ids: list[int]) -> None:
        left.extend(user for user in ids if users[user] in uploaded)

    with pytest.raises(taint.PurposeViolationError) as stopped:
        match_and_upload({PHONE}, [7, 8])
    assert stopped.value.violation.sink.endswith("match_and_upload")
    assert not left
    match_and_upload({PHONE}, [8])
    assert left == [8]


def _compare(phone: str) -> bool:
    return phone == PHONE


async def _compare_later(phone: str) -> bool:
    await asyncio.sleep(0)
    return phone == PHONE


def _compare_lazily(phone: str) -> Iterator[bool]:
    yield phone == PHONE


DECORATED: dict[str, Callable[[str], object]] = {
    "function": taint.zone("advertising")(_compare),
    "coroutine": lambda phone: asyncio.run(taint.zone("advertising")(_compare_later)(phone)),
    "generator": lambda phone: next(taint.zone("advertising")(_compare_lazily)(phone)),
}


@pytest.mark.parametrize("call", DECORATED.values(), ids=DECORATED)
def test_zone_decorates_every_kind_of_function(call: Callable[[str], object]) -> None:
    """The body is the zone; its safe twin passes."""
    with pytest.raises(taint.PurposeViolationError):
        call(security())
    assert call(advertising()) is True


def test_zone_of_a_generator_does_not_reach_its_consumer() -> None:
    """Between two items the consumer is outside of the zone."""

    @taint.zone("advertising")
    def generate() -> Iterator[int]:
        yield 1
        yield 2

    for _ in generate():
        assert security() == PHONE


def test_zone_follows_await_and_tasks_but_not_its_neighbours() -> None:
    """A task started inside a zone is in it; one that runs beside it is not."""

    async def inside() -> list[bool]:
        async with taint.zone("advertising"):
            results = await asyncio.gather(
                _compare_later(security()), _compare_later(advertising()), return_exceptions=True
            )
        return [isinstance(result, taint.PurposeViolationError) for result in results]

    async def beside() -> bool:
        for _ in range(10):
            assert await _compare_later(security())
        return True

    async def both() -> tuple[list[bool], bool]:
        return await asyncio.gather(inside(), beside())

    assert list(asyncio.run(both())) == [[True, False], True]


def test_zone_does_not_reach_other_threads_and_ends_with_its_block() -> None:
    """A thread that was not started for the zone is outside of it, and so is what comes after it, errors or not."""
    results: list[bool] = []
    with taint.zone("advertising"):
        thread = threading.Thread(target=lambda: results.append(security() == PHONE))
        thread.start()
        thread.join()
    assert results == [True]
    with pytest.raises(KeyError), taint.zone("advertising"):
        raise KeyError
    assert security() == PHONE


def test_inner_zone_governs_and_the_outer_one_holds_again() -> None:
    """Zones nest: one that narrows governs alone, one that would widen leaves the one around it in force."""
    with taint.zone("security"):
        with taint.zone("security.mfa"):
            assert security() == PHONE
        assert taint.label(PHONE, purpose="security") == PHONE
    with taint.zone("advertising"):
        with taint.zone("security.mfa"), pytest.raises(taint.PurposeViolationError, match="'advertising'"):
            _compare(security())
        with pytest.raises(taint.PurposeViolationError):
            _compare(security())


def test_one_zone_object_can_be_used_again_and_within_itself() -> None:
    """A zone is a statement, not a state."""
    zone = taint.zone("advertising")
    for _ in range(2):
        with zone, zone:
            assert advertising() == PHONE
    assert security() == PHONE
