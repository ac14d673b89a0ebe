"""What a violating comparison selected: the sink that is reached later names the comparison."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import taint
from taint.flows import selection
from taint.policy import flow_from_record, flow_record
from taint.testing import record

PHONE = "+14155550100"
OTHER = "+14155550199"
USERS = {7: PHONE, 8: OTHER}


def collect(purpose: str) -> dict[int, str]:
    """Give people with numbers that were collected for a purpose."""
    return {user: taint.label(phone, purpose=purpose, source="shop.enrol") for user, phone in USERS.items()}


@taint.sink(purpose="advertising.audiences", name="ads.upload")
def upload(ids: object) -> object:
    """Send ids to a platform."""
    return ids


@taint.sink(purpose="security.mfa", name="shop.alert")
def alert(ids: object) -> object:
    """Tell people of a log-in."""
    return ids


def by_loop(users: dict[int, str]) -> list[int]:
    """Match one by one."""
    return [user for user, phone in users.items() if phone == PHONE]


def by_set(users: dict[int, str]) -> list[int]:
    """Match by a lookup."""
    wanted = {PHONE}
    return [user for user, phone in users.items() if phone in wanted]


def by_part(users: dict[int, str]) -> list[int]:
    """Match by the beginning."""
    return [user for user, phone in users.items() if phone.startswith("+1415555010")]


def _sync(match: Callable[[dict[int, str]], list[int]], users: dict[int, str]) -> None:
    with taint.zone("advertising.audiences", name="ads.match"):
        upload(match(users))


def _decorated(match: Callable[[dict[int, str]], list[int]], users: dict[int, str]) -> None:
    @taint.zone("advertising.audiences", name="ads.match")
    def run() -> None:
        upload(match(users))

    run()


def _nested(match: Callable[[dict[int, str]], list[int]], users: dict[int, str]) -> None:
    with taint.zone("advertising", name="ads.job"):
        with taint.zone("advertising.audiences", name="ads.match"):
            ids = match(users)
        upload(ids)


def _in_a_sink(match: Callable[[dict[int, str]], list[int]], users: dict[int, str]) -> None:
    @taint.sink(purpose="advertising.audiences", name="ads.match")
    def match_and_upload(count: int) -> None:
        upload(match(users)[:count])

    match_and_upload(1)


def _generator(match: Callable[[dict[int, str]], list[int]], users: dict[int, str]) -> None:
    @taint.zone("advertising.audiences", name="ads.match")
    def run() -> Iterator[int]:
        ids = match(users)
        yield len(ids)
        upload(ids)

    assert list(run()) == [1]


def _async(match: Callable[[dict[int, str]], list[int]], users: dict[int, str]) -> None:
    async def run() -> None:
        async with taint.zone("advertising.audiences", name="ads.match"):
            await asyncio.sleep(0)
            upload(match(users))

    asyncio.run(run())


def _tasks(match: Callable[[dict[int, str]], list[int]], users: dict[int, str]) -> None:
    async def find() -> list[int]:
        await asyncio.sleep(0)
        return match(users)

    async def run() -> None:
        with taint.zone("advertising.audiences", name="ads.match"):
            (ids,) = await asyncio.gather(find())
            upload(ids)

    asyncio.run(run())


def _to_thread(match: Callable[[dict[int, str]], list[int]], users: dict[int, str]) -> None:
    async def run() -> None:
        with taint.zone("advertising.audiences", name="ads.match"):
            upload(await asyncio.to_thread(match, users))

    asyncio.run(run())


def _pool(match: Callable[[dict[int, str]], list[int]], users: dict[int, str]) -> None:
    taint.install(integrations=[])
    with ThreadPoolExecutor(1) as pool, taint.zone("advertising.audiences", name="ads.match"):
        upload(pool.submit(match, users).result())


def _in_the_pool(match: Callable[[dict[int, str]], list[int]], users: dict[int, str]) -> None:
    taint.install(integrations=[])
    with ThreadPoolExecutor(1) as pool, taint.zone("advertising.audiences", name="ads.match"):
        ids = match(users)
        pool.submit(upload, ids).result()


SHAPES = {
    "with": _sync,
    "decorator": _decorated,
    "nested": _nested,
    "sink's body": _in_a_sink,
    "generator": _generator,
    "async with": _async,
    "tasks": _tasks,
    "to_thread": _to_thread,
    "compared in a pool": _pool,
    "sent by a pool": _in_the_pool,
}
MATCHES = {"loop": by_loop, "set": by_set, "part": by_part}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("match", MATCHES.values(), ids=MATCHES)
class TestShapes:
    """However zone and sink are written, the ids that leave name the comparison."""

    def test_ids_name_the_comparison(
        self,
        match: Callable[[dict[int, str]], list[int]],
        shape: Callable[[Callable[[dict[int, str]], list[int]], dict[int, str]], None],
    ) -> None:
        """A sink that gets ids in the zone is told which comparison selected them, and goes on."""
        with record(mode="report") as seen:
            shape(match, collect("security.mfa"))
        (flow,) = [one for one in seen.violations if one.sink == "ads.upload"]
        assert (flow.evidence, flow.mode, flow.purpose) == ("comparison", "report", "advertising.audiences")
        assert flow.labels.sources == {"shop.enrol"}
        assert flow.selected_at is not None
        assert flow.selected_at.function.startswith(f"{__name__}.{match.__name__}")
        assert flow.path.startswith("selected by ")
        assert f"test_selection.py:{flow.selected_at.line})" in flow.path
        assert flow.call_site is not None
        assert flow.call_site != flow.selected_at
        assert PHONE not in f"{flow} {flow.message}"

    def test_safe_twin_passes(
        self,
        match: Callable[[dict[int, str]], list[int]],
        shape: Callable[[Callable[[dict[int, str]], list[int]], dict[int, str]], None],
    ) -> None:
        """Ids that were selected by data that may be used so name nothing."""
        with record(mode="report") as seen:
            shape(match, collect("advertising"))
        assert seen.violations == []


QUIET: dict[str, Callable[[dict[int, str]], object]] = {
    "after the zone": lambda users: _after(users),
    "another zone": lambda users: _another(users),
    "another thread": lambda users: _thread(users),
    "nothing was selected": lambda users: _empty(users),
    "a purpose that the data has": lambda users: _allowed(users),
}


def _after(users: dict[int, str]) -> None:
    with taint.zone("advertising.audiences"):
        ids = by_loop(users)
    upload(ids)


def _another(users: dict[int, str]) -> None:
    _after(users)
    with taint.zone("advertising.audiences"):
        upload([7])


def _thread(users: dict[int, str]) -> None:
    with taint.zone("advertising.audiences"):
        ids = by_loop(users)
        thread = threading.Thread(target=upload, args=(ids,))
        thread.start()
        thread.join()


def _empty(users: dict[int, str]) -> None:
    with taint.zone("advertising.audiences"):
        by_loop(users)
        nothing: tuple[object, ...] = ([], None, "", {}, False)
        for one in nothing:
            upload(one)


def _allowed(users: dict[int, str]) -> None:
    with taint.zone("advertising.audiences"):
        alert(by_loop(users))


@pytest.mark.parametrize("use", QUIET.values(), ids=QUIET)
def test_no_false_alarm(use: Callable[[dict[int, str]], object]) -> None:
    """Outside of the zone of the comparison, or where the data may be used, a sink is told nothing."""
    with record(mode="report") as seen:
        use(collect("security.mfa"))
    assert [one for one in seen.violations if one.selected_at is not None] == []
    assert [one for one in seen.violations if one.evidence == "comparison"]


def test_quick_check_does_not_skip_it() -> None:
    """A sink that nobody listens to, with the simplest of values, is checked all the same."""
    taint.configure(mode="report")
    users = collect("security.mfa")
    with record() as seen, taint.zone("advertising.audiences"):
        by_loop(users)
    assert seen.violations
    with taint.zone("advertising.audiences"):
        by_loop(users)
        verdict = taint.check(7, purpose="advertising.audiences", sink="ads.export")
    assert [flow.evidence for flow in verdict.violations] == ["comparison"]
    assert taint.check(7, purpose="advertising.audiences", sink="ads.export").is_allowed


def test_quick_check_reaches_telemetry(spans: object) -> None:
    """Without any listener a span tells of it."""
    taint.configure(mode="report")
    users = collect("security.mfa")
    with taint.zone("advertising.audiences"):
        by_loop(users)
        upload(7)
    taint.telemetry.flush()
    told = [span.attributes["taint.sink.name"] for span in spans.violations]  # type: ignore[attr-defined]  # See conftest.
    assert "ads.upload" in told


def test_once_for_each_comparison() -> None:
    """A loop of comparisons is one, also with many people; two places are two; each call of a sink is told."""
    users = {
        user: taint.label(f"+1415555{user:04d}", purpose="security.mfa", subject=user, source="shop.enrol")
        for user in range(50)
    }
    with record(mode="report") as seen, taint.zone("advertising.audiences"):
        by_loop(users)
        upload([1])
        by_part(users)
        upload([2])
    told = [one.path.split("(")[0] for one in seen.violations if one.sink == "ads.upload"]
    assert [path.split()[2] for path in told] == ["==", "==", "startswith"]


def test_bounded() -> None:
    """A zone remembers so many comparisons and no more."""
    users = [
        taint.label(PHONE, purpose="security.mfa", source=f"shop.source{n}")
        for n in range(2 * selection.MAXIMUM_COMPARISONS)
    ]
    with record(mode="report") as seen, taint.zone("advertising.audiences"):
        assert all(phone == PHONE for phone in users)
        upload([1])
    assert len([one for one in seen.violations if one.sink == "ads.upload"]) == selection.MAXIMUM_COMPARISONS


def test_a_label_of_its_own_says_more() -> None:
    """Where the arguments carry a violating label, that is the finding, and the only one."""
    users = collect("security.mfa")
    with record(mode="report") as seen, taint.zone("advertising.audiences"):
        by_loop(users)
        upload(users)
    assert {one.evidence.value for one in seen.violations if one.sink == "ads.upload"} == {"label"}


def test_items_of_a_generator_are_not_told_one_by_one() -> None:
    """What a sink takes lazily is one call."""
    users = collect("security.mfa")
    with record(mode="report") as seen, taint.zone("advertising.audiences"):
        ids = by_loop(users) * 5
        list(upload(one for one in ids))  # type: ignore[call-overload]  # It is what went in.
    assert len([one for one in seen.violations if one.selected_at is not None]) == 1


def test_block_mode_stops_at_the_comparison() -> None:
    """In mode `block` nothing was selected, so that a sink that is reached all the same is told nothing."""
    users = collect("security.mfa")
    with record(mode="block") as seen, taint.zone("advertising.audiences"):
        with pytest.raises(taint.PurposeViolationError):
            by_loop(users)
        upload([7])
    assert [one for one in seen.violations if one.sink == "ads.upload"] == []


def test_a_sink_that_blocks_goes_on() -> None:
    """Nobody knows that these ids were selected, so that not even a sink in mode `block` is stopped."""
    block = taint.sink(purpose="advertising.audiences", name="ads.strict", mode="block")(len)
    users = collect("security.mfa")
    with record() as seen, taint.zone("advertising.audiences", mode="report"):
        assert block(by_loop(users)) == 1
    (flow,) = [one for one in seen.violations if one.sink == "ads.strict"]
    assert flow.mode == "report"


def test_written_down() -> None:
    """The audit file keeps where it was selected."""
    users = collect("security.mfa")
    with record(mode="report") as seen:
        _sync(by_loop, users)
    (flow,) = [one for one in seen.violations if one.sink == "ads.upload"]
    assert flow_from_record(flow_record(flow)) == flow
