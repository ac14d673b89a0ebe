"""Sources: what is labelled where personal data enters."""

from __future__ import annotations

import asyncio
import datetime as dt
import enum
import uuid
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry import trace

import taint
from taint import losses
from taint.carriers import values

PHONE = "+14155550100"


@dataclass
class Form:
    """What a person filled in."""

    phone: str
    age: int = 44
    agreed: bool = True


@dataclass(frozen=True)
class FrozenForm:
    """The same, not to be changed."""

    phone: str


_source = taint.source(purpose="security.mfa", category="user.contact.phone_number", name="shop.enrol")


def test_what_a_function_returns_is_labelled() -> None:
    """The label says purpose, category and source; the value is what it was."""
    phone = _source(lambda: PHONE)()
    (label,) = taint.labels_of(phone)
    assert phone == PHONE
    assert isinstance(phone, str)
    assert label.purposes == {"security.mfa"}
    assert label.category == "user.contact.phone_number"
    assert label.source == "shop.enrol"


def test_source_is_named_after_the_function() -> None:
    """Without a name a source is called what its function is called."""

    @taint.source(purpose="security.mfa")
    def read_enrolment() -> str:
        return PHONE

    (source,) = taint.labels_of(read_enrolment()).sources
    assert source.endswith("test_source_is_named_after_the_function.<locals>.read_enrolment")


def test_coroutines_and_generators_give_labelled_values() -> None:
    """A coroutine's result and every item of a generator are labelled."""

    @_source
    async def coroutine() -> str:
        await asyncio.sleep(0)
        return PHONE

    @_source
    def generator() -> Iterator[str]:
        yield PHONE
        yield PHONE

    @_source
    async def async_generator() -> AsyncIterator[str]:
        await asyncio.sleep(0)
        yield PHONE

    async def gather() -> list[str]:
        return [await coroutine(), *[item async for item in async_generator()]]

    assert all(map(taint.labels_of, [*asyncio.run(gather()), *generator()]))


def test_generator_still_takes_what_is_sent_and_thrown() -> None:
    """A decorated generator is a generator: send, throw, close and its return value work."""
    log: list[object] = []

    @_source
    def generator() -> Generator[Any, Any, str]:
        try:
            log.append((yield "a"))
            try:
                yield "b"
            except KeyError:
                yield "c"
            return "end"
        finally:
            log.append("closed")

    running: Any = generator()
    assert next(running) == "a"
    assert running.send("sent") == "b"
    assert running.throw(KeyError()) == "c"
    with pytest.raises(StopIteration) as stop:
        next(running)
    assert stop.value.value == "end"
    assert log == ["sent", "closed"]
    closing: Any = generator()
    next(closing)
    closing.close()
    assert log == ["sent", "closed", "closed"]


def test_arguments_are_labelled_as_the_body_gets_them() -> None:
    """`arguments` names what the body receives labelled; the rest, and the result, stay plain."""
    got: dict[str, object] = {}

    @taint.source(purpose="security.mfa", arguments=["phone", "form"], subject="user_id")
    def enrol(user_id: int, phone: str, note: str, *, form: Form | None = None) -> str:
        got.update(phone=phone, note=note, form=form)
        return "enrolled"

    assert not taint.labels_of(enrol(7, PHONE, "hello", form=Form(PHONE)))
    assert taint.labels_of(got["phone"])
    assert taint.labels_of(got["form"])
    assert not taint.labels_of(got["note"])
    assert {label.subject for label in taint.labels_of(got)} == {"7"}


def test_containers_are_labelled_deeply_and_stay_what_they_are() -> None:
    """Text, bytes and string-like values inside are labelled in place; numbers, truth values and keys are not."""
    inner = {
        "phone": PHONE,
        "raw": b"x",
        "id": uuid.UUID(int=1),
        "born": dt.date(2000, 1, 1),
        "n": 7,
        "ok": True,
        "no": None,
    }
    rows = [inner, (PHONE, 1), Form(PHONE), FrozenForm(PHONE)]
    labelled = taint.label(rows, purpose="security.mfa")
    assert labelled is rows
    assert rows[0] is inner
    assert [name for name, value in inner.items() if taint.labels_of(value)] == ["phone", "raw", "id", "born"]
    assert all(not taint.labels_of(key) for key in inner)
    assert type(inner["n"]) is int
    assert type(rows[1]) is tuple
    assert all(map(taint.labels_of, rows))
    assert rows[2:] == [Form(PHONE), FrozenForm(PHONE)]


class User:
    """An object of an ordinary class: data, a list of it, a number and another object."""

    def __init__(self) -> None:
        self.phone = PHONE
        self.others = [PHONE]
        self.age = 7
        self.session = Session()

    @property
    def shout(self) -> str:
        """Fail: nobody asks properties."""
        raise AssertionError


class Session:
    """What is not data."""

    def __init__(self) -> None:
        self.url = "sqlite://"


class Shadowing:
    """A subclass below has a property where this class has a slot."""

    __slots__ = ("phone",)


class Shadowed(Shadowing):
    """Nobody asks the property, and nobody sets it."""

    def __init__(self) -> None:
        Shadowing.__dict__["phone"].__set__(self, PHONE)

    @property
    def phone(self) -> str:
        """Fail."""
        raise AssertionError


def test_slot_behind_a_property_is_labelled_without_it() -> None:
    """What is kept is read and changed where it is kept: no code of the class runs."""
    user = taint.label(Shadowed(), purpose="security.mfa")
    assert taint.labels_of(user)
    assert taint.labels_of(Shadowing.__dict__["phone"].__get__(user))


class SlottedUser:
    """The same with slots."""

    __slots__ = ("phone",)

    def __init__(self) -> None:
        self.phone = PHONE


@pytest.mark.parametrize("make", [User, SlottedUser], ids=["dict", "slots"])
@pytest.mark.parametrize("around", [lambda user: user, lambda user: [{"a": user}]], ids=["itself", "in containers"])
def test_own_attributes_of_an_object_are_labelled(make: Callable[[], Any], around: Callable[[Any], Any]) -> None:
    """An object that a source returns is labelled in place, where `labels_of` looks; `plain` takes it back."""
    user = make()
    assert taint.labels_of(taint.source(purpose="security.mfa")(lambda: around(user))())
    assert taint.labels_of(user.phone)
    assert user.phone == PHONE
    taint.plain(user)
    assert type(user.phone) is str


def test_objects_in_an_object_are_not_data() -> None:
    """What hangs on an object, such as a database session, keeps its own attributes, and numbers stay numbers."""
    user = taint.label(User(), purpose="security.mfa")
    assert taint.labels_of(user.others)
    assert type(user.age) is int
    assert type(user.session.url) is str


class Channel(enum.Enum):
    """The same object for everybody."""

    SMS = "sms"


def test_shared_objects_are_left_alone() -> None:
    """What one caller collected is not put on a member of an enumeration, a class or a time zone."""
    for value in (Channel.SMS, User, dt.UTC, Channel):
        assert taint.label([value], purpose="security.mfa") == [value]
    assert type(Channel.SMS.value) is str


def test_what_cannot_be_labelled_is_counted() -> None:
    """An iterator has no labels, and is no silent loss; what is nothing, or only a number in a row, is none."""
    losses.reset()
    taint.label([iter([PHONE])], purpose="security.mfa")
    assert losses.counts() == {"label of builtins.list_iterator": 1}
    losses.reset()
    taint.label(
        [PHONE, "", b"", None, True, 7, 1.5, User(), taint.label(PHONE, purpose="security.mfa")], purpose="security.mfa"
    )
    assert losses.counts() == {}


RETURNED: dict[str, Callable[[], Any]] = {
    "generator": lambda: (phone for phone in [PHONE]),
    "map": lambda: map(str, [PHONE]),
    "filter": lambda: filter(None, [PHONE]),
    "zip": lambda: zip([PHONE], strict=True),
}


@pytest.mark.parametrize("make", RETURNED.values(), ids=RETURNED)
def test_items_of_an_iterator_that_is_returned_are_labelled(make: Callable[[], Any]) -> None:
    """`return (row.phone for row in rows)` is as good as a list of them, and so is such an argument."""
    got: list[Any] = []
    taint.source(purpose="security.mfa", arguments=["phones"])(lambda phones: got.extend(phones))(make())
    for items in (taint.source(purpose="security.mfa")(make)(), got):
        assert [bool(taint.labels_of(item)) for item in items] == [True]


def test_labels_of_two_collections_join() -> None:
    """A value that is collected twice keeps both labels."""
    phone = taint.label(taint.label(PHONE, purpose="security.mfa"), purpose="advertising")
    assert taint.labels_of(phone).purposes == {"security.mfa", "advertising"}
    assert len(taint.labels_of(phone)) == 2


@pytest.mark.parametrize("value", ["", b"", None, True, False])
def test_nothing_to_protect_is_not_labelled(value: object) -> None:
    """Empty text, None and truth values come back as they are."""
    labelled = taint.label(value, purpose="security.mfa")
    assert labelled is value or labelled == value
    assert not taint.labels_of(labelled)


def test_label_names_the_caller_as_source() -> None:
    """Without a source, a label names the function that called."""
    (source,) = taint.labels_of(taint.label(PHONE, purpose="security.mfa")).sources
    assert source.endswith("test_label_names_the_caller_as_source")


def test_label_keeps_the_span_of_the_collection() -> None:
    """The current span is on the label; without one there is none; one that is given wins."""
    assert [label.trace for label in taint.labels_of(taint.label(PHONE, purpose="security.mfa"))] == [None]
    with trace.get_tracer("test").start_as_current_span("enrol") as span:
        here = span.get_span_context()
        (label,) = taint.labels_of(taint.label(PHONE, purpose="security.mfa"))
    assert label.trace == (here.trace_id, here.span_id)
    (given,) = taint.labels_of(taint.label(PHONE, purpose="security.mfa", trace=str(label.trace)))
    assert given.trace == label.trace


def test_each_call_of_label_puts_on_what_it_says() -> None:
    """Collections that differ in one thing never get each other's label; equal ones share one object."""

    def collect(**more: Any) -> taint.Labels:
        return taint.labels_of(taint.label(PHONE, **{"purpose": "security.mfa", **more}))

    ways: list[dict[str, Any]] = [
        {},
        {"purpose": "advertising"},
        {"category": "user.contact.phone_number"},
        {"consent": "user.contact.phone_number"},
        {"source": __name__},
        {"source": "shop.enrol"},
        {"subject": "shop.enrol"},
        {"trace": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
    ]
    first = [collect(**way) for way in ways]
    assert len(set(first)) == len(ways)
    assert all(collect(**way) is found for way, found in zip(ways, first, strict=True))


def test_what_label_remembers_is_bounded() -> None:
    """As many places as there may be do not fill the memory, and the labels stay right."""
    for number in range(2 * values._MOST_KNOWN + 1):
        (found,) = taint.labels_of(taint.label(PHONE, purpose="security.mfa", source=f"place.{number}"))
        assert found.source == f"place.{number}"
    assert len(values._known) <= values._MOST_KNOWN


def test_plain_gives_the_exact_type() -> None:
    """`plain` leaves the labels behind, deep in containers too."""
    assert type(taint.plain(taint.label(PHONE, purpose="security.mfa"))) is str
    assert type(taint.plain(taint.label(b"x", purpose="security.mfa"))) is bytes
    assert type(taint.plain(taint.label(uuid.UUID(int=1), purpose="security.mfa"))) is uuid.UUID
    rows = taint.label([{"a": (PHONE,)}], purpose="security.mfa")
    assert not taint.labels_of(taint.plain(rows))
    assert rows == [{"a": (PHONE,)}]
