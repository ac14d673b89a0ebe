"""Sinks: what reaches the body, what does not, and what is said about it."""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import itertools
import multiprocessing
import pickle
from collections import OrderedDict, deque, namedtuple
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

import taint
from taint.testing import record

PHONE = "+14155550100"


def security() -> str:
    """Give a number that was collected for security."""
    return taint.label(PHONE, purpose="security.mfa", category="user.contact.phone_number", source="shop.enrol")


def advertising() -> str:
    """Give a number that was collected for advertising: the safe twin."""
    return taint.label(PHONE, purpose="advertising", source="shop.newsletter")


def both() -> str:
    """Give a number that one person gave for both purposes at once."""
    return taint.label(PHONE, purpose=["security.mfa", "advertising.audiences"], source="shop.enrol")


@dataclass
class Person:
    """A row as a dataclass."""

    phone: str
    friends: list[Any] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Frozen:
    """A row as a frozen, slotted dataclass."""

    phone: str


class RefusedError(Exception):
    """An exception of the application's."""


class Slotted:
    """A row as an object with slots, one of them private, and a subclass with a dict beside them."""

    __slots__ = ("__phone",)

    def __init__(self, phone: object) -> None:
        self.__phone = phone


class SlottedBelow(Slotted):
    """The class below has no slots of its own."""


class Ordinary:
    """A row as an object without any declared field."""

    def __init__(self, phone: object) -> None:
        self.phone = phone


Pair = namedtuple("Pair", "phone other")  # noqa: PYI024  # The untyped kind is what older code has.

CONTAINERS: list[tuple[str, Callable[[str], object], str]] = [
    ("itself", lambda phone: phone, "rows"),
    ("list", lambda phone: ["a", phone], "rows[1]"),
    ("rows", lambda phone: [{}, {}, {}, {"phone": phone}], "rows[3].phone"),
    ("tuple", lambda phone: (1, (phone,)), "rows[1][0]"),
    ("named tuple", lambda phone: Pair(phone, 1), "rows.phone"),
    ("set", lambda phone: {phone}, "rows[*]"),
    ("frozenset", lambda phone: frozenset({phone}), "rows[*]"),
    ("deque", lambda phone: deque([phone]), "rows[0]"),
    ("mapping proxy", lambda phone: MappingProxyType({"a": phone}), "rows.a"),
    ("key", lambda phone: {phone: 1}, "rows.keys()"),
    ("values of a dict", lambda phone: {"a": phone}.values(), "rows[0]"),
    ("items of a dict", lambda phone: {"a": phone}.items(), "rows[0][1]"),
    ("keys of a dict", lambda phone: {phone: 1}.keys(), "rows[0]"),
    ("values of an ordered dict", lambda phone: OrderedDict(a=phone).values(), "rows[0]"),
    ("exception", ValueError, "rows.args[0]"),
    ("exception of one's own", RefusedError, "rows.args[0]"),
    ("under a key that is no name", lambda phone: {"+1 415": phone}, "rows[*]"),
    ("under a number", lambda phone: {7: phone}, "rows[*]"),
    ("dataclass", Person, "rows.phone"),
    ("nested dataclass", lambda phone: Person("", [Frozen(phone)]), "rows.friends[0].phone"),
    ("namespace", lambda phone: SimpleNamespace(phone=phone), "rows.phone"),
    ("object", Ordinary, "rows.phone"),
    ("slots", Slotted, "rows._Slotted__phone"),
    ("slots of the class above", SlottedBelow, "rows._Slotted__phone"),
    ("list in an object", lambda phone: Ordinary([phone]), "rows.phone[0]"),
    ("bytes", lambda phone: [phone.encode()], "rows[0]"),
    ("range of a text", lambda phone: f"{phone}" + "!", "rows"),
]


@pytest.mark.parametrize(("make", "path"), [row[1:] for row in CONTAINERS], ids=[row[0] for row in CONTAINERS])
class TestContainers:
    """Arguments are looked into, and the path says where."""

    def test_violation_is_stopped_with_its_path(self, make: Callable[[str], object], path: str) -> None:
        """Security data anywhere in an argument does not reach an advertising sink."""
        ran = []

        @taint.sink(purpose="advertising.audiences")
        def upload(rows: object) -> None:
            ran.append(rows)

        with pytest.raises(taint.PurposeViolationError) as stopped:
            upload(make(security()))
        violation = stopped.value.violation
        assert not ran
        assert violation.path == path
        assert violation.evidence == "label"
        assert violation.purpose == "advertising.audiences"
        assert violation.purposes == {"security.mfa"}
        assert violation.rule == "purpose-limitation"

    @pytest.mark.parametrize("given", [advertising, both])
    def test_safe_twin_passes(self, make: Callable[[str], object], path: str, given: Callable[[], str]) -> None:
        """The same shape with data that was given for advertising reaches the body, unchanged."""
        ran = []

        @taint.sink(purpose="advertising.audiences")
        def upload(rows: object) -> None:
            ran.append(rows)

        rows = make(given())
        with record() as seen:
            upload(rows)
        assert ran[0] is rows
        assert not seen.violations
        assert [flow.path for flow in seen.flows] == [path]


def _function(rows: object) -> object:
    return rows


async def _coroutine(rows: object) -> object:
    await asyncio.sleep(0)
    return rows


def _generator(rows: object) -> Iterator[object]:
    yield rows


async def _async_generator(rows: object) -> AsyncIterator[object]:
    await asyncio.sleep(0)
    yield rows


async def _gather(items: Any) -> list[object]:
    return [item async for item in items]


class Job:
    """Every way in which a class holds a function."""

    @taint.sink(purpose="advertising")
    def method(self, rows: object) -> object:
        """Give back what it gets."""
        return rows

    @taint.sink(purpose="advertising")
    @classmethod
    def class_method(cls, rows: object) -> object:
        """Give back what it gets."""
        return rows

    @classmethod
    @taint.sink(purpose="advertising")
    def inner_class_method(cls, rows: object) -> object:
        """Give back what it gets."""
        return rows

    @taint.sink(purpose="advertising")
    @staticmethod
    def static_method(rows: object) -> object:
        """Give back what it gets."""
        return rows

    @staticmethod
    @taint.sink(purpose="advertising")
    def inner_static_method(rows: object) -> object:
        """Give back what it gets."""
        return rows


_sink = taint.sink(purpose="advertising")
KINDS: dict[str, Callable[[object], object]] = {
    "function": _sink(_function),
    "lambda": _sink(lambda rows: rows),
    "coroutine": lambda rows: asyncio.run(_sink(_coroutine)(rows)),
    "generator": lambda rows: next(_sink(_generator)(rows)),
    "async generator": lambda rows: asyncio.run(_gather(_sink(_async_generator)(rows)))[0],
    "method": lambda rows: Job().method(rows),
    "unbound method": lambda rows: Job.method(Job(), rows),
    "class method": lambda rows: Job.class_method(rows),
    "class method of an instance": lambda rows: Job().class_method(rows),
    "inner class method": lambda rows: Job.inner_class_method(rows),
    "static method": lambda rows: Job.static_method(rows),
    "static method of an instance": lambda rows: Job().static_method(rows),
    "inner static method": lambda rows: Job().inner_static_method(rows),
    "by name": lambda rows: Job().method(rows=rows),
}


@pytest.mark.parametrize("call", KINDS.values(), ids=KINDS)
class TestKinds:
    """A sink may stand on every kind of function."""

    def test_violation_is_stopped(self, call: Callable[[object], object]) -> None:
        """The argument has the name that it has in the signature."""
        with pytest.raises(taint.PurposeViolationError) as stopped:
            call([security()])
        assert stopped.value.violation.path == "rows[0]"

    def test_safe_twin_passes(self, call: Callable[[object], object]) -> None:
        """Allowed data gives what the function gives."""
        rows = [advertising()]
        assert call(rows) is rows


def test_signature_is_kept() -> None:
    """People, inspect and frameworks see the function that was decorated."""
    decorated = _sink(_coroutine)
    assert inspect.signature(decorated) == inspect.signature(_coroutine)
    assert inspect.iscoroutinefunction(decorated)
    assert inspect.isasyncgenfunction(_sink(_async_generator))
    assert inspect.isgeneratorfunction(_sink(_generator))
    assert decorated.__name__ == "_coroutine"
    assert _sink(_function).__doc__ == _function.__doc__


class Campaign:
    """A method that gives away what its object holds."""

    def __init__(self, phone: str) -> None:
        self.phone = phone

    @taint.sink(purpose="advertising.audiences")
    def start(self) -> str:
        """Give it away."""
        return self.phone

    @taint.sink(purpose="advertising.audiences")
    def start_with(self, _campaign: Campaign) -> None:
        """Give it away through an argument."""


def test_the_object_of_a_method_is_not_looked_into() -> None:
    """A documented limit: an object may hold a whole cache; as an argument it is looked into."""
    campaign = Campaign(security())
    assert campaign.start() == PHONE
    with pytest.raises(taint.PurposeViolationError, match=r"_campaign\.phone"):
        campaign.start_with(campaign)


class Uploader:
    """Can be called."""

    def __call__(self, rows: object) -> object:
        """Give them back."""
        return rows


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (functools.partial(functools.partial(Uploader.__call__), Uploader()), "Uploader.__call__"),
        (Uploader(), "Uploader"),
    ],
    ids=["partial", "object"],
)
def test_what_has_no_name_is_named_after_what_runs(function: Callable[[object], object], name: str) -> None:
    """A partial function is called as the function, an object as its class."""
    with record() as seen:
        assert taint.sink(purpose="advertising")(function)(advertising())
    assert [flow.sink for flow in seen.flows] == [f"{__name__}.{name}"]


def test_extra_arguments_have_a_path() -> None:
    """What goes into *args and **kwargs is checked under the name of its parameter or its own."""

    @taint.sink(purpose="advertising")
    def upload(*rows: object, **options: object) -> None:
        """Take anything."""

    with record(mode="report") as seen:
        upload("a", security(), option=[security()])
    assert [flow.path for flow in seen.violations] == ["rows[1]", "option[0]"]


LAZY: dict[str, Callable[[Iterable[str]], Iterable[object]]] = {
    "generator": lambda phones: (phone for phone in phones),
    "map": lambda phones: map(str, phones),
    "filter": lambda phones: filter(None, phones),
    "zip": zip,
    "enumerate": enumerate,
    "iter": iter,
    "iter of a tuple": lambda phones: iter(tuple(phones)),
    "iter of values": lambda phones: iter(dict(enumerate(phones)).values()),
    "chain": itertools.chain,
    "islice": lambda phones: itertools.islice(phones, 2),
}


@pytest.mark.parametrize("make", LAZY.values(), ids=LAZY)
def test_items_of_a_generator_are_checked_as_they_are_taken(
    make: Callable[[Iterable[str]], Iterable[object]],
) -> None:
    """A lazy argument is neither used up by the check nor let through: what came before is what the body got."""
    got: list[object] = []

    @taint.sink(purpose="advertising")
    def upload(rows: Iterable[object]) -> None:
        got.extend(rows)

    upload(make([advertising(), advertising()]))
    assert len(got) == 2
    got.clear()

    @taint.sink(purpose="advertising")
    def upload_singly(rows: Iterable[object]) -> None:
        for row in rows:
            got.append(row)  # noqa: PERF402  # One at a time is the point.

    with pytest.raises(taint.PurposeViolationError) as stopped:
        upload_singly(make([advertising(), security()]))
    assert len(got) == 1
    assert stopped.value.violation.path.startswith("rows[1]")


def test_cycle_and_depth_end() -> None:
    """A container that holds itself, and one of 100,000 levels, are looked through once."""
    rows: list[Any] = [security()]
    rows.append(rows)
    deep: list[Any] = [security()]
    for _ in range(100_000):
        deep = [deep]
    for value in (rows, deep):
        verdict = taint.check(value, purpose="advertising", sink="test")
        assert verdict.outcome == "violation"
        assert len(verdict.flows) == 1
    while deep:  # Undone level by level: the interpreter would recurse.
        inner = deep.pop()
        deep = inner if isinstance(inner, list) else []


class TestQuickCheck:
    """What a sink asks first of the simplest values is as strict as the whole check, and says the same."""

    @pytest.mark.parametrize("depth", [1, 3, 4, 5, 9])
    def test_depth_hides_nothing(self, depth: int) -> None:
        """A list in lists is looked into however deep; its safe twin passes."""
        nested: Callable[[object], object] = lambda value: [value] if depth == 1 else [value, {"a": (value,)}]  # noqa: E731

        @taint.sink(purpose="advertising.audiences")
        def upload(rows: object) -> object:
            return rows

        allowed: object = advertising()
        refused: object = security()
        for _ in range(depth):
            allowed, refused = nested(allowed), nested(refused)
        assert upload(allowed) is allowed
        with pytest.raises(taint.PurposeViolationError):
            upload(refused)

    def test_container_that_holds_itself(self) -> None:
        """A cycle ends, and what stands beside it is found."""

        @taint.sink(purpose="advertising.audiences")
        def upload(rows: object) -> object:
            return rows

        rows: list[object] = [advertising()]
        rows.append(rows)
        assert upload(rows) is rows
        rows.append(security())
        with pytest.raises(taint.PurposeViolationError):
            upload(rows)

    def test_policy_that_is_set_later_holds(self) -> None:
        """What was allowed, quietly and with a listener, is not when another policy says so."""
        taint.configure(mode="report")

        @taint.sink(purpose="advertising.audiences", name="ads.upload")
        def upload(rows: object) -> None:
            """Send them."""

        deny = {"rules": [{"name": "never", "effect": "deny", "from": ["advertising"], "to": ["advertising"]}]}
        for value in (advertising(), {"phone": advertising()}):
            taint.configure(policy={})
            upload(value)
            with record() as seen:
                upload(value)
                taint.configure(policy=deny)
                upload(value)
            assert [flow.outcome.value for flow in seen.flows] == ["allowed", "violation"]
        with record() as seen:
            for name in ("one", "two"):
                taint.configure(policy={"rules": [{"name": name, "effect": "allow"}]})
                upload(advertising())
        assert [flow.rule for flow in seen.flows] == ["one", "two"]

    def test_records_of_a_listener(self) -> None:
        """A check that was made before gives a record of its own call; other labels, names and modes give others."""

        @taint.sink(purpose="advertising.audiences", name="ads.upload")
        def upload(rows: object, more: object = None) -> None:
            """Send them."""

        for mode in ("report", "block"):
            with record(mode=mode) as seen:
                for value in (advertising(), advertising(), both()):
                    upload(value, more=value)
                upload(advertising())
            lines = [flow.call_site.line for flow in seen.flows if flow.call_site is not None]
            assert lines == [lines[0]] * 6 + [lines[0] + 1]
            assert [flow.path for flow in seen.flows] == ["rows", "more"] * 3 + ["rows"]
            sources = [source for flow in seen.flows for source in flow.labels.sources]
            assert sources == ["shop.newsletter"] * 4 + ["shop.enrol"] * 2 + ["shop.newsletter"]
            assert {flow.mode.value for flow in seen.flows} == {mode}

    def test_consent_is_asked_each_time(self) -> None:
        """Consent that is withdrawn between two calls is, for a listener too."""

        class Store:
            """Consent that can be taken back."""

            answer = True

            def is_given(self, *, subject: str | None, purpose: str, receipt: str | None) -> bool:
                """Give it, until it is taken back."""
                return self.answer

        store = Store()
        allow = {"name": "agreed", "effect": "allow", "from": ["security"], "to": ["advertising"], "consent": True}
        taint.configure(mode="report", consent=store)

        @taint.sink(purpose="advertising.audiences", name="ads.upload")
        def upload(rows: object) -> None:
            """Send them."""

        phone = taint.label(PHONE, purpose="security.mfa", subject="7", source="shop.enrol")
        anyhow = {"name": "anyhow", "effect": "allow", "priority": -1}
        for rules, after in (([allow], ("violation", "purpose-limitation")), ([allow, anyhow], ("allowed", "anyhow"))):
            taint.configure(policy={"rules": rules})
            with record() as seen:
                for store.answer in (True, False):
                    upload(phone)
            assert [(flow.outcome.value, flow.rule) for flow in seen.flows] == [("allowed", "agreed"), after]

    def test_steps_are_those_of_each_value(self) -> None:
        """With tracing, equal labels that have been elsewhere are told with their own way."""

        @taint.sink(purpose="advertising.audiences", name="ads.upload")
        def upload(rows: object) -> None:
            """Send them."""

        for trace in (False, True):
            with record(trace=trace) as seen:
                for value in (advertising().strip(), advertising().upper()):
                    upload(value)
            steps = [[step.operation for step in flow.steps] for flow in seen.flows]
            assert steps == ([["label", "str.strip"], ["label", "str.upper"]] if trace else [[], []])


def test_many_values_of_one_source_are_one_flow() -> None:
    """A thousand rows of the same source are one finding with a count, the first row and every label."""
    rows = [
        {"phone": taint.label(PHONE, purpose="security.mfa", source="shop.enrol", subject=subject)}
        for subject in range(1000)
    ]
    verdict = taint.check(rows, purpose="advertising", sink="test")
    (flow,) = verdict.violations
    assert (flow.path, flow.count, len(flow.labels)) == ("value[0].phone", 1000, 1000)


def test_every_label_must_allow() -> None:
    """A value that joins allowed and other data is not allowed."""
    joined = advertising() + security()
    assert taint.check(joined, purpose="advertising", sink="test").outcome == "violation"
    assert taint.check(advertising() + both(), purpose="advertising.audiences", sink="test").is_allowed


ANCESTRY = [
    ("security", "security.mfa", True),
    ("security.mfa", "security.mfa", True),
    ("security.mfa", "security.mfa.sms", True),
    ("security.mfa", "security", False),
    ("security.mfa", "security.fraud", False),
    ("security.mfa", "advertising", False),
]


@pytest.mark.parametrize(("collected_for", "used_for", "is_allowed"), ANCESTRY)
def test_purpose_or_ancestor_allows(collected_for: str, used_for: str, is_allowed: bool) -> None:
    """A purpose allows itself and what is below it, not what is above or beside it."""
    phone = taint.label(PHONE, purpose=collected_for)
    assert taint.check(phone, purpose=used_for, sink="test").is_allowed is is_allowed


def test_report_mode_goes_on_and_says_so() -> None:
    """In report mode the body runs, and the violation is recorded."""

    @taint.sink(purpose="advertising", name="ads.upload")
    def upload(rows: list[str]) -> int:
        return len(rows)

    with record(mode="report") as seen:
        assert upload([security()]) == 1
    (flow,) = seen.violations
    assert (flow.sink, flow.mode, flow.count) == ("ads.upload", "report", 1)
    assert flow.call_site is not None
    assert flow.call_site.file == __file__
    assert flow.call_site.function.endswith("test_report_mode_goes_on_and_says_so")


def test_mode_of_a_sink_is_its_own() -> None:
    """One sink can be in report mode while the process blocks."""

    @taint.sink(purpose="advertising", mode="report")
    def upload(rows: str) -> str:
        return rows

    with record() as seen:
        assert upload(security()) == PHONE
    assert len(seen.violations) == 1


def test_off_is_off() -> None:
    """In mode off nothing is labelled and nothing is checked."""
    phone = security()

    @taint.sink(purpose="advertising")
    def upload(rows: str) -> str:
        return rows

    @taint.source(purpose="security.mfa")
    def read() -> str:
        return PHONE

    with record(mode="off") as seen:
        assert upload(phone) == PHONE
        assert type(taint.label(PHONE, purpose="security.mfa")) is str
        assert type(read()) is str
        assert taint.check(phone, purpose="advertising", sink="test").is_allowed
        with taint.zone("advertising"):
            assert phone == PHONE
    assert not seen.flows


def test_exception_of_the_body_passes_untouched() -> None:
    """What the program raises is the program's."""
    error = KeyError("own")

    @taint.sink(purpose="advertising")
    def upload(rows: object) -> None:
        raise error

    with pytest.raises(KeyError) as raised:
        upload(advertising())
    assert raised.value is error


def test_message_says_what_happened_and_what_to_do() -> None:
    """The message names sink, purposes, source, path and a cure, and holds no value."""

    @taint.sink(purpose="advertising.audiences", name="ads.upload_audience")
    def upload(rows: object) -> None:
        """Take anything."""

    with pytest.raises(taint.PurposeViolationError) as stopped:
        upload([{}, {}, {}, {"phone": security()}])
    message = str(stopped.value)
    for part in ("'ads.upload_audience'", "'advertising.audiences'", "rows[3].phone", "'shop.enrol'", "'security.mfa'"):
        assert part in message
    assert PHONE not in message
    assert PHONE not in repr(stopped.value)
    assert PHONE not in repr(stopped.value.violation)


def test_check_never_raises() -> None:
    """`check` gives a verdict; what to do with it is the caller's."""
    verdict = taint.check({"phone": security()}, purpose="advertising", sink="crm.export")
    assert verdict.outcome == "violation"
    assert verdict.violations[0].path == "value.phone"
    assert verdict.violations[0].sink == "crm.export"
    assert taint.check({"phone": advertising()}, purpose="advertising", sink="crm.export").is_allowed
    assert taint.check({"phone": PHONE}, purpose="advertising", sink="crm.export").flows == ()


@taint.sink(purpose="advertising.audiences")
def matched(rows: object) -> object:
    """Can be found by its name, as what a pool runs must be."""
    return rows


class Nightly:
    """Has a sink of each kind."""

    @taint.sink(purpose="advertising.audiences")
    def run(self, rows: object) -> object:
        """Of an instance."""
        return rows

    @taint.sink(purpose="advertising.audiences")
    @classmethod
    def run_class(cls, rows: object) -> object:
        """Of the class."""
        return rows

    @taint.sink(purpose="advertising.audiences")
    @staticmethod
    def run_static(rows: object) -> object:
        """Of nobody."""
        return rows


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "function",
    [matched, Nightly().run, Nightly.run_class, Nightly.run_static, functools.partial(Nightly.run, Nightly())],
)
def test_decorated_functions_are_pickled_by_name(function: Callable[[object], object], protocol: int) -> None:
    """Pools pickle what they run: the sink that comes out checks as the one that went in."""
    for again in (pickle.loads(pickle.dumps(function, protocol)), copy.copy(function), copy.deepcopy(function)):  # noqa: S301  # Our own.
        assert again(advertising()) == PHONE
        with pytest.raises(taint.PurposeViolationError):
            again(security())


def test_sink_in_a_process_pool() -> None:
    """A decorated function runs in another process, and stops there what it would stop here."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(matched, advertising()).result(timeout=60) == PHONE
        assert isinstance(pool.submit(matched, security()).exception(timeout=60), taint.PurposeViolationError)


def test_what_is_not_found_by_its_name_is_not_pickled() -> None:
    """A function whose name leads to the undecorated one, or nowhere, would run unchecked elsewhere: it is refused."""
    for function in (security, lambda rows: rows):
        with pytest.raises(pickle.PicklingError, match="where it is defined"):
            pickle.dumps(taint.sink(purpose="advertising")(function))


def test_a_decorated_function_is_copied_as_itself() -> None:
    """As every function is."""
    assert copy.deepcopy([matched]) == [matched]
    assert copy.copy(matched) is matched
