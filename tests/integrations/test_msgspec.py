"""msgspec: labelled values that it refuses natively are encoded, and labels keep their places both ways."""

import dataclasses
import datetime as dt
import uuid
from types import ModuleType
from typing import Any

import msgspec
import pytest

import taint
from tests.integrations.documents import LEAVES, leaves, marked, record, secret


class User(msgspec.Struct, frozen=True, rename="camel"):
    """An object with a field that is called otherwise in the document."""

    phone_number: str
    born: dt.date | None = None
    friends: list["User"] = []


@dataclasses.dataclass
class Plain:
    """A dataclass."""

    phone: str


FORMATS = [msgspec.json, msgspec.msgpack]


@pytest.fixture(autouse=True)
def installed(nothing_installed: None) -> None:
    """Wrap msgspec."""
    taint.install(integrations=["msgspec"])


def test_refused_natively() -> None:
    """Without the integration a labelled text is refused: this is what the integration is for."""
    taint.uninstall()
    with pytest.raises(TypeError):
        msgspec.json.encode(secret("x"))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("order", [None, "deterministic", "sorted"])
def test_round_trip(form: ModuleType, order: str | None) -> None:
    """The bytes are those for plain values, and decoding them labels the same leaves and no others."""
    document = form.encode(record(secret), order=order)
    assert document == form.encode(record(str), order=order)
    assert leaves(form.decode(document)) == LEAVES
    assert leaves(form.Decoder().decode(form.Encoder(order=order).encode(record(secret)))) == LEAVES
    assert leaves(form.decode(form.encode(record(str)))) == {}


def test_ranges() -> None:
    """Exactly the written bytes of the labelled values are labelled."""
    assert marked(msgspec.json.encode(["b", "tel:" + secret('é"')])) == ['é\\"'.encode()]


@pytest.mark.parametrize("form", FORMATS)
def test_struct(form: ModuleType) -> None:
    """Fields of a frozen, renamed, nested Struct are labelled where they stand, and after typed decoding."""
    user = User(secret("+1415"), secret(dt.date(1980, 2, 29)), [User("clean"), User(secret("+49"))])
    plain = User("+1415", dt.date(1980, 2, 29), [User("clean"), User("+49")])
    document = form.encode(user)
    assert document == form.encode(plain)
    for loaded in (form.decode(document, type=User), form.Decoder(User).decode(document)):
        assert loaded == plain
        assert type(loaded) is User
        assert marked(loaded.phone_number) == ["+1415"]
        assert isinstance(loaded.born, dt.date)
        assert taint.labels_of(loaded.born)
        assert [marked(friend.phone_number) for friend in loaded.friends] == [[], ["+49"]]
        assert taint.labels_of(loaded.friends[0].born) == frozenset()
    assert taint.labels_of(user.phone_number)


@pytest.mark.parametrize("form", FORMATS)
def test_dataclass_and_key(form: ModuleType) -> None:
    """Dataclass fields and keys are labelled where they stand."""
    document = form.encode([Plain(secret("+1415")), {secret("k@x"): 1}])
    assert marked(document) == [b"+1415", b"k@x"]
    assert leaves(form.decode(document)) == {"[0].phone": ["+1415"], "[1].keys()": ["k@x"]}


@pytest.mark.parametrize("form", FORMATS)
def test_enc_hook(form: ModuleType) -> None:
    """`enc_hook` sees the user's object, and the labels of what it gives stand where that stands."""
    one = object()
    seen: list[Any] = []

    def hook(value: Any) -> Any:
        seen.append(value)
        return ["x", secret("made")]

    assert marked(form.encode(["x", one], enc_hook=hook)) == [b"made"]
    assert marked(form.Encoder(enc_hook=hook).encode(["x", one])) == [b"made"]
    assert seen == [one, one]


def test_lines() -> None:
    """Lines are labelled as a whole, and not at all where nothing was labelled."""
    document = msgspec.json.Encoder().encode_lines([{"a": secret("x")}, {"a": "y"}])
    assert document == b'{"a":"x"}\n{"a":"y"}\n'
    assert marked(document) == [document]
    assert leaves(msgspec.json.Decoder().decode_lines(document)) == {"[0].a": ["x"], "[1].a": ["y"]}
    assert marked(msgspec.json.Encoder().encode_lines([{"a": "x"}])) == []


def test_format() -> None:
    """A document that is laid out anew is labelled as a whole, and not at all where it was not labelled."""
    for value in ("x", secret("x")):
        document = '["' + value + '", "y"]'
        for given, expected in ((document, '["x","y"]'), (document.encode(), b'["x","y"]')):
            made = msgspec.json.format(given, indent=-1)
            assert made == expected
            assert marked(made) == ([expected] if taint.labels_of(value) else [])


def test_encode_into() -> None:
    """Encoding into the caller's buffer writes the plain bytes."""
    buffer = bytearray()
    msgspec.json.Encoder().encode_into({"a": secret("x")}, buffer)
    assert buffer == b'{"a":"x"}'


def test_classes_stay_classes() -> None:
    """Wrapped classes are subscripted and asked for as before."""
    assert isinstance(msgspec.json.Encoder(), msgspec.json.Encoder)
    assert isinstance(msgspec.json.Decoder(int), msgspec.json.Decoder)
    assert msgspec.json.Decoder[int] is not None
    assert msgspec.json.Decoder(int).type is int


@pytest.mark.parametrize("form", FORMATS)
def test_same_exceptions(form: ModuleType) -> None:
    """What it refuses is refused with its own error."""
    with pytest.raises(TypeError, match="object"):
        form.encode([secret("x"), object()])
    with pytest.raises(msgspec.ValidationError):
        form.decode(form.encode(secret("x")), type=int)
    with pytest.raises(msgspec.DecodeError):
        form.decode(secret(b"\xc1{"))


def test_to_builtins() -> None:
    """What `to_builtins` refuses in a carrier it converts as plain, labelled; other refusals are the native ones."""
    value = {"a": secret("x"), "b": secret("y").encode(), "c": "plain", "d": b"z"}
    made = msgspec.to_builtins(value)
    assert made == msgspec.to_builtins(taint.plain(dict(value)))
    assert [name for name, item in made.items() if taint.labels_of(item)] == ["a", "b"]
    assert msgspec.to_builtins(object, enc_hook=lambda kind: kind.__name__) == "object"
    with pytest.raises(TypeError, match="Encoding objects of type object is unsupported"):
        msgspec.to_builtins([object()])


def test_uuid_of_a_labelled_text() -> None:
    """A UUID with a number that is no exact `int` is refused; one made of a labelled text is encoded, labelled."""
    number = "11111111-1111-4111-8111-111111111111"
    document = msgspec.json.encode({"a": uuid.UUID(secret(number)), "b": 1})
    assert document == msgspec.json.encode({"a": uuid.UUID(number), "b": 1})
    assert [(part.start, part.stop) for part in taint.ranges_of(document)] == [(5, 43)]
