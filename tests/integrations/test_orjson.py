"""orjson: the labels' places in a document, both ways, with the native bytes."""

import dataclasses
import datetime as dt
import enum
import json
import operator
import uuid
from collections.abc import Callable
from typing import Any

import orjson
import pytest

import taint
from tests.integrations.documents import LEAVES, leaves, marked, record, secret


@dataclasses.dataclass(frozen=True, slots=True)
class User:
    """What orjson writes as an object."""

    phone: str
    name: str


class Kind(enum.Enum):
    """What orjson writes as its value."""

    A = "a"


class Opaque:
    """What orjson does not know."""

    def __init__(self, phone: str) -> None:
        self.phone = phone


@pytest.fixture(autouse=True)
def installed(nothing_installed: None) -> None:
    """Wrap orjson."""
    taint.install(integrations=["orjson"])


@pytest.mark.parametrize(
    "option",
    [None, orjson.OPT_INDENT_2, orjson.OPT_SORT_KEYS, orjson.OPT_PASSTHROUGH_SUBCLASS, orjson.OPT_NON_STR_KEYS],
)
def test_round_trip(option: int | None) -> None:
    """The bytes are those for plain values, and loading them labels the same leaves and no others."""
    document = orjson.dumps(record(secret), option=option)
    assert document == orjson.dumps(record(str), option=option)
    assert leaves(orjson.loads(document)) == LEAVES
    assert json.loads(document) == record(str)
    assert type(orjson.dumps(record(str), option=option)) is bytes


def test_ranges() -> None:
    """Exactly the written characters of the labelled values are labelled, escapes included."""
    assert marked(orjson.dumps({"a": "b", "c": ["tel:" + secret('é"')]})) == ['é\\"'.encode()]


@pytest.mark.parametrize("load", [bytes, operator.methodcaller("decode")])
def test_loads_text(load: Callable[[bytes], Any]) -> None:
    """A document that has become text is loaded with the same labels."""
    assert leaves(orjson.loads(load(orjson.dumps(record(secret))))) == LEAVES


def test_labelled_key() -> None:
    """A labelled key, which orjson refuses in a subclass of str, is written, and labelled when it is loaded."""
    document = orjson.dumps({secret("+1415"): 1, "plain": 2})
    assert document == b'{"+1415":1,"plain":2}'
    assert marked(document) == [b"+1415"]
    loaded = orjson.loads(document)
    assert leaves(loaded) == {".keys()": ["+1415"]}
    assert loaded["+1415"] == 1
    assert leaves(orjson.loads(orjson.dumps({secret("ann"): 1}))) == {".keys()": ["ann"]}


def test_subclasses_of_others_stay_refused() -> None:
    """A key that is another subclass of str is refused as it is natively."""

    class Key(str):
        __slots__ = ()

    with pytest.raises(TypeError, match="Dict key must be"):
        orjson.dumps({Key("a"): secret("x")})


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (5, b'{"v":5}'),
        (dt.date(1980, 2, 29), b'{"v":"1980-02-29"}'),
        (uuid.UUID(int=7), b'{"v":"00000000-0000-0000-0000-000000000007"}'),
        (1.5, b'{"v":1.5}'),
    ],
)
def test_string_like(value: Any, written: bytes) -> None:
    """A labelled number, date or UUID is written as the plain one, labelled."""
    document = orjson.dumps({"v": secret(value), "other": value})
    assert document.startswith(written[:-1])
    assert set(leaves(orjson.loads(document))) == {".v"}


def test_dataclass() -> None:
    """A dataclass's labelled fields are labelled in the document; the object itself stays labelled."""
    user = User(secret("+1415"), "Ann")
    document = orjson.dumps([user, Kind.A], option=orjson.OPT_PASSTHROUGH_SUBCLASS)
    assert document == b'[{"phone":"+1415","name":"Ann"},"a"]'
    assert marked(document) == [b"+1415"]
    assert taint.labels_of(user.phone)


@pytest.mark.parametrize("style", ["positional", "named"])
def test_default(style: str) -> None:
    """`default` sees the original, once, and the labels of what it gives stand where that stands."""
    seen: list[Any] = []

    def default(value: Any) -> Any:
        seen.append(value)
        return {"phone": value.phone, "n": [1]}

    opaque = Opaque(secret("+1415"))
    value = {"clean": "x", "user": opaque}
    document = orjson.dumps(value, default) if style == "positional" else orjson.dumps(value, default=default)
    assert document == b'{"clean":"x","user":{"phone":"+1415","n":[1]}}'
    assert marked(document) == [b"+1415"]
    assert seen == [opaque]


def test_default_sees_the_original_dataclass() -> None:
    """With OPT_PASSTHROUGH_DATACLASS, `default` is given the user's own object with its labels."""
    user = User(secret("+1415"), "Ann")
    seen: list[Any] = []

    def default(value: Any) -> Any:
        seen.append(value)
        return [value.phone]

    document = orjson.dumps(user, default=default, option=orjson.OPT_PASSTHROUGH_DATACLASS)
    assert seen[0] is user
    assert marked(document) == [b"+1415"]


def test_values_are_left_alone() -> None:
    """The values that are dumped are not changed."""
    value = record(secret)
    inner = value["nested"]
    orjson.dumps(value)
    assert value["nested"] is inner
    assert leaves(value) == LEAVES


@pytest.mark.parametrize("value", [object(), {1: secret("x")}, {"a": [secret("x"), object()]}])
def test_same_exceptions(value: Any) -> None:
    """What orjson refuses is refused with its own error."""
    taint.uninstall()
    with pytest.raises(TypeError) as native:
        orjson.dumps(taint.plain(value) if not isinstance(value, dict) else value)
    taint.install(integrations=["orjson"])
    with pytest.raises(type(native.value)):
        orjson.dumps(value)


def test_cycle() -> None:
    """A value that contains itself is refused as it is natively."""
    value: list[Any] = [secret("x")]
    value.append(value)
    with pytest.raises(TypeError, match=r"[Rr]ecursion"):
        orjson.dumps(value)


def test_loads_error() -> None:
    """What is no JSON is refused with orjson's own error, whose document is plain text."""
    with pytest.raises(orjson.JSONDecodeError) as caught:
        orjson.loads(secret("{"))
    assert type(caught.value.doc) is str


def test_whole_document() -> None:
    """A document that is labelled as a whole labels all its texts, odd keys too, but no names and no numbers."""
    loaded = orjson.loads(secret('{"name": ["Ann", 5, null], "+1415": true}'))
    assert leaves(loaded) == {".name[0]": ["Ann"], ".keys()": ["+1415"]}


def test_duplicate_keys() -> None:
    """Where a document has a key twice, the value that counts has its own labels."""
    document = '{"a": "x", "a": ' + secret('"y"') + "}"
    assert leaves(orjson.loads(document)) == {".a": ["y"]}
    assert leaves(orjson.loads('{"a": ' + secret('"y"') + ', "a": "x"}')) == {}


def test_plain_document_stays_plain() -> None:
    """Nothing labelled in, nothing labelled out."""
    assert leaves(orjson.loads(orjson.dumps(record(str)))) == {}
