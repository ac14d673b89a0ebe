"""`Collected` and `collects`: fields that are labelled where they are declared."""

import copy
import dataclasses
import datetime as dt
import pickle
from typing import Annotated, Any

import attrs
import pydantic
import pytest

import taint

Phone = Annotated[str, taint.Collected("security.mfa", category="user.contact.phone_number")]


class Enrolment(pydantic.BaseModel):
    """A model with labelled and plain fields."""

    phone: Annotated[str, taint.Collected("security.mfa", category="user.contact.phone_number")]
    name: str = ""
    backups: list[Phone] = []
    born: Annotated[dt.date | None, taint.Collected("security.account_recovery")] = None
    pin: Annotated[int, taint.Collected("security.mfa")] = 0


class Account(pydantic.BaseModel):
    """A model with a model in it."""

    enrolment: Enrolment
    others: dict[str, Enrolment] = {}


@taint.collects
@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    """A frozen dataclass with slots."""

    phone: Phone
    name: str = ""


@taint.collects
@dataclasses.dataclass
class Loose:
    """A dataclass."""

    phone: Phone
    name: str = ""
    backups: Annotated[list[str], taint.Collected("security.account_recovery")] = dataclasses.field(
        default_factory=list
    )


class Child(Loose):
    """A class that inherits the fields and makes itself."""

    def __init__(self, phone: str, name: str = "") -> None:
        super().__init__(phone, name=name)


@taint.collects
@attrs.define
class Attrs:
    """An attrs class."""

    phone: Phone
    name: str = ""


@taint.collects
@attrs.frozen
class AttrsFrozen:
    """A frozen attrs class."""

    phone: Phone
    name: str = ""


def purposes(value: object) -> frozenset[str]:
    """Give the purposes that a value is labelled with."""
    return taint.labels_of(value).purposes


def test_model() -> None:
    """A validated value is labelled with purpose, category and where it was declared; other fields are not."""
    user = Enrolment(phone="+1415", name="Ann", backups=["+49"], born=dt.date(1980, 2, 29), pin=7)
    assert (user.phone, user.backups, user.born, user.pin) == ("+1415", ["+49"], dt.date(1980, 2, 29), 7)
    (label,) = taint.labels_of(user.phone)
    assert label.purposes == {"security.mfa"}
    assert label.category == "user.contact.phone_number"
    assert label.source == f"{__name__}.Enrolment.phone"
    assert purposes(user.backups[0]) == {"security.mfa"}
    assert purposes(user.born) == {"security.account_recovery"}
    assert purposes(user.pin) == {"security.mfa"}
    assert isinstance(user.born, dt.date)
    assert purposes(user.name) == frozenset()


def test_kept_by_models() -> None:
    """model_dump, model_copy, nesting, validation again, copy and pickle keep the labels."""
    user = Enrolment(phone="+1415", name="Ann", backups=["+49"], born=dt.date(1980, 2, 29), pin=7)
    account = Account(enrolment=user, others={"a": user})
    for kept in (
        user.model_dump(),
        user.model_copy(update={"name": "Bea"}).model_dump(),
        account.model_dump()["enrolment"],
        account.model_dump()["others"]["a"],
        Enrolment.model_validate(user.model_dump()).model_dump(),
        copy.deepcopy(user).model_dump(),
        pickle.loads(pickle.dumps(user)).model_dump(),  # noqa: S301  # Its own bytes.
        pydantic.TypeAdapter(list[Enrolment]).validate_python([{"phone": "+1415", "backups": ["+49"], "pin": 7}])[0],
    ):
        assert purposes(kept["phone"] if isinstance(kept, dict) else kept.phone) == {"security.mfa"}
        assert purposes(kept["backups"] if isinstance(kept, dict) else kept.backups) == {"security.mfa"}
        assert purposes(kept["pin"] if isinstance(kept, dict) else kept.pin) == {"security.mfa"}
        assert purposes(kept["name"] if isinstance(kept, dict) else kept.name) == frozenset()
    assert purposes(pydantic.TypeAdapter(Phone).validate_python("+1415")) == {"security.mfa"}


def test_native_documents() -> None:
    """What is written is what a plain model writes, numbers and dates too, and the schema is the same."""

    class Plain(pydantic.BaseModel):
        phone: str
        name: str = ""
        backups: list[str] = []
        born: dt.date | None = None
        pin: int = 0

    values: dict[str, Any] = {"phone": "+1415", "backups": ["+49"], "born": dt.date(1980, 2, 29), "pin": 7}
    assert Enrolment(**values).model_dump_json() == Plain(**values).model_dump_json()
    assert Enrolment(**values).model_dump(mode="json") == Plain(**values).model_dump(mode="json")
    assert Enrolment(**values).model_dump() == Plain(**values).model_dump()
    schemas = [model.model_json_schema(mode="validation")["properties"] for model in (Enrolment, Plain)]
    assert schemas[0] == schemas[1]
    with pytest.raises(pydantic.ValidationError) as caught:
        Enrolment(phone=5)  # type: ignore[arg-type]  # What is refused.
    with pytest.raises(pydantic.ValidationError) as native:
        Plain(phone=5)  # type: ignore[arg-type]  # As above.
    assert caught.value.errors() == native.value.errors()


@pytest.mark.parametrize("cls", [Frozen, Loose, Child, Attrs, AttrsFrozen])
def test_classes(cls: Any) -> None:
    """A field of a dataclass or attrs class is labelled when an instance is made; other fields are not."""
    one = cls("+1415", name="Ann")
    assert one.phone == "+1415"
    assert purposes(one.phone) == {"security.mfa"}
    assert purposes(one.name) == frozenset()
    assert cls(phone="+1415", name="Ann") == one


def test_list_field() -> None:
    """A collected list has its texts labelled."""
    assert purposes(Loose("+1", backups=["+49"]).backups[0]) == {"security.account_recovery"}


def test_subclass_labels_once() -> None:
    """A decorated subclass labels its own fields and those it inherits."""

    @taint.collects
    @dataclasses.dataclass
    class Decorated(Loose):
        mail: Annotated[str, taint.Collected("marketing")] = ""

    one = Decorated("+1415", mail="a@b.example")
    assert purposes(one.phone) == {"security.mfa"}
    assert purposes(one.mail) == {"marketing"}


def test_sink_stops_a_collected_field() -> None:
    """A collected field is stopped at a sink of another purpose, and allowed at one of its own."""

    @taint.sink(purpose="advertising.audiences")
    def advertise(user: Enrolment) -> None: ...

    @taint.sink(purpose="security.mfa")
    def send_code(user: Enrolment) -> None: ...

    user = Enrolment(phone="+1415")
    with pytest.raises(taint.PurposeViolationError, match=r"Enrolment\.phone"):
        advertise(user)
    send_code(user)


def test_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """In mode `off` nothing is labelled."""
    monkeypatch.setattr("taint.modes._current", taint.Mode.OFF)
    assert type(Enrolment(phone="+1415").phone) is str
    assert type(Frozen("+1415").phone) is str


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: taint.Collected("Not A Key"), "not a purpose"),
        (lambda: taint.collects(int), "dataclasses and attrs classes"),
        (lambda: taint.collects(dataclasses.make_dataclass("None_", [("a", int)]))(1), "no field of it is annotated"),
    ],
)
def test_mistakes(make: Any, message: str) -> None:
    """What cannot mean anything is an error that says what to do."""
    with pytest.raises(taint.ConfigurationError, match=message):
        make()
