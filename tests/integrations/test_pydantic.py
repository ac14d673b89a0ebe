"""Pydantic: labelled input is labelled on the field it went to, and JSON documents keep their places."""

import dataclasses
import datetime as dt
import enum
import uuid
from typing import Annotated, Any

import pydantic
import pydantic_core
import pytest

import taint
from taint.integrations.pydantic import PydanticIntegration
from tests.integrations.documents import leaves, marked, secret


class Kind(enum.StrEnum):
    """A kind, told apart by identity."""

    HOME = "home"


class Address(pydantic.BaseModel):
    """A model inside another."""

    street: str
    kind: Kind = Kind.HOME


class User(pydantic.BaseModel):
    """A model of many kinds of field."""

    model_config = pydantic.ConfigDict(extra="allow", populate_by_name=True)

    phone: str = pydantic.Field(default="", alias="phoneNumber")
    name: Annotated[str, pydantic.StringConstraints(strip_whitespace=True)] = ""
    mail: str = pydantic.Field(default="", validation_alias=pydantic.AliasChoices("email", "e_mail"))
    born: dt.date | None = None
    key: uuid.UUID | None = None
    age: int = 0
    tags: list[str] = []
    homes: dict[str, Address] = {}
    pair: tuple[str, str] = ("", "")
    anything: Any = None


@pytest.fixture(autouse=True)
def installed(nothing_installed: None) -> None:
    """Wrap pydantic, documents too."""
    taint.install(integrations=[PydanticIntegration(documents=True)])


def test_lost_natively() -> None:
    """Without the integration a labelled text loses its label in a model: this is what it is for."""
    taint.uninstall()
    assert taint.labels_of(User(phoneNumber=secret("+1415")).phone) == frozenset()


GIVEN: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"phoneNumber": secret("+1415"), "name": "Ann"}, {".phone": ["+1415"]}),
    ({"phone": secret("+1415"), "name": "Ann"}, {".phone": ["+1415"]}),
    ({"phone": "tel:" + secret("55")}, {".phone": ["55"]}),
    ({"name": secret(" Ann "), "phone": "x"}, {".name": ["Ann"]}),
    ({"email": secret("a@b")}, {".mail": ["a@b"]}),
    ({"e_mail": secret("a@b")}, {".mail": ["a@b"]}),
    ({"born": secret("1980-02-29")}, {".born": [dt.date(1980, 2, 29)]}),
    ({"born": secret(dt.date(1980, 2, 29))}, {".born": [dt.date(1980, 2, 29)]}),
    ({"key": secret(str(uuid.UUID(int=7)))}, {".key": [uuid.UUID(int=7)]}),
    ({"age": secret("41")}, {".age": [41]}),
    ({"tags": ["x", secret("y")]}, {".tags[1]": ["y"]}),
    ({"homes": {"a": {"street": secret("Elm")}, "b": {"street": "Oak"}}}, {".homes.a.street": ["Elm"]}),
    ({"homes": {secret("+49"): {"street": "Oak"}}}, {".homes.keys()": ["+49"]}),
    ({"pair": ("x", secret("y"))}, {".pair[1]": ["y"]}),
    ({"anything": {"a": [secret("z")], "b": 1}}, {".anything.a[0]": ["z"]}),
    ({"unknown": secret("u"), "phone": "x"}, {".unknown": ["u"]}),
    ({"phone": "+1415", "tags": ["x"]}, {}),
]


@pytest.mark.parametrize(("given", "expected"), GIVEN)
@pytest.mark.parametrize("way", ["init", "validate", "adapter", "list"])
def test_validation(way: str, given: dict[str, Any], expected: dict[str, Any]) -> None:
    """The model is the one that plain values make, and just the fields that labelled ones went to are labelled."""

    def make(values: dict[str, Any]) -> User:
        if way == "init":
            return User(**values)
        if way == "validate":
            return User.model_validate(values)
        if way == "adapter":
            return pydantic.TypeAdapter(User).validate_python(values)
        return pydantic.TypeAdapter(list[User]).validate_python([values])[0]

    before = leaves(given)
    user = make(given)
    assert leaves(user.model_dump()) == expected
    assert leaves(given) == before
    taint.uninstall()
    native = User(**taint.plain(_copied(given)))
    assert user == native


def test_what_is_taken_as_it_is() -> None:
    """Where nothing is asked of a value, it comes back itself, labelled or not, and a field that asks makes its own."""
    labelled, plain = {"phone": secret("+1415")}, {"phone": "+1415"}
    for given in (labelled, plain):
        assert pydantic.TypeAdapter(Any).validate_python(given) is given
        made = pydantic.TypeAdapter(dict[str, str]).validate_python(given)
        assert made is not given
        assert leaves(made) == leaves(given)


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def test_attributes() -> None:
    """A model that is made from an object's attributes has their labels."""

    class Row:
        def __init__(self) -> None:
            self.phone, self.name = secret("+1415"), "Ann"

    class FromRow(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(from_attributes=True)
        phone: str
        name: str

    assert leaves(FromRow.model_validate(Row(), from_attributes=True).model_dump()) == {".phone": ["+1415"]}
    assert leaves(FromRow.model_validate(Row()).model_dump()) == {".phone": ["+1415"]}
    assert leaves(pydantic.TypeAdapter(list[FromRow]).validate_python([Row()])[0].model_dump()) == {".phone": ["+1415"]}


def test_alias_path() -> None:
    """Where the way to a field cannot be told, all fields of the model are labelled."""

    class Deep(pydantic.BaseModel):
        first: str = pydantic.Field(validation_alias=pydantic.AliasPath("names", 0))
        other: str = ""

    assert leaves(Deep.model_validate({"names": [secret("Ann")], "other": "x"}).model_dump()) == {
        ".first": ["Ann"],
        ".other": ["x"],
    }
    assert leaves(Deep.model_validate({"names": ["Ann"], "other": "x"}).model_dump()) == {}


def test_validators_run_once() -> None:
    """A user's validator runs as often as without the library, and what it makes of a value is labelled."""
    calls = []

    class Normal(pydantic.BaseModel):
        phone: str

        @pydantic.field_validator("phone")
        @classmethod
        def digits(cls, value: str) -> str:
            calls.append(1)
            return value.replace(" ", "").removeprefix("+")

    user = Normal(phone=secret("+1 415"))
    assert user.phone == "1415"
    assert taint.labels_of(user.phone)
    assert calls == [1]


def test_identity_of_kinds() -> None:
    """An enum member that is not labelled stays the member."""
    home = Address.model_validate({"street": secret("Elm"), "kind": "home"})
    assert home.kind is Kind.HOME


@pytest.mark.parametrize(
    "options", [{}, {"indent": 2}, {"by_alias": True}, {"exclude": {"name"}}, {"exclude_unset": True}]
)
def test_documents(options: dict[str, Any]) -> None:
    """A JSON document is the native one, labelled where the values stand, and gives the labels back."""
    user = User(
        phoneNumber=secret("+1415"), name="Ann", tags=["x", "t:" + secret("y")], homes={"a": Address(street="Elm")}
    )
    document = user.model_dump_json(**options)
    assert marked(document) == ["+1415", "y"]
    assert pydantic.TypeAdapter(User).dump_json(user, **options) == document.encode()
    again = User.model_validate_json(document)
    assert leaves(again.model_dump()) == {".phone": ["+1415"], ".tags[1]": ["y"]}
    assert leaves(pydantic.TypeAdapter(User).validate_json(document.encode()).model_dump()) == leaves(
        again.model_dump()
    )
    taint.uninstall()
    assert document == user.model_dump_json(**options)
    assert User.model_validate_json(taint.plain(document)) == again


def test_documents_are_on_request() -> None:
    """Without the option JSON documents are left alone."""
    taint.uninstall()
    taint.install(integrations=[PydanticIntegration()])
    assert marked(User(phoneNumber=secret("+1415")).model_dump_json()) == []
    assert leaves(User(phoneNumber=secret("+1415")).model_dump()) == {".phone": ["+1415"]}


@pytest.mark.parametrize("documents", [True, False])
@pytest.mark.parametrize("value", [secret, lambda plain: plain], ids=["labelled", "unlabelled"])
def test_numbers_and_dates_are_dumped(value: Any, documents: bool) -> None:
    """A model that holds labelled numbers and dates is dumped as the native one is, without a warning."""
    taint.uninstall()
    given = {"born": "1980-02-29", "age": "41", "key": str(uuid.UUID(int=7)), "anything": {"a": [3]}}
    native = User(**given)  # type: ignore[arg-type]  # As a form gives them.
    adapter = pydantic.TypeAdapter(list[User])
    expected = native.model_dump(), native.model_dump(mode="json"), native.model_dump_json()
    written = adapter.dump_json([native])
    taint.install(integrations=[PydanticIntegration(documents=documents)])
    labelled = given | {name: value(given[name]) for name in ("born", "age", "key")}
    user = User(**(labelled | {"anything": {"a": [value(3)]}}))
    assert (user.model_dump(), user.model_dump(mode="json"), user.model_dump_json()) == expected
    assert adapter.dump_json([user]) == written
    found = {".age": [41], ".anything.a[0]": [3], ".born": [dt.date(1980, 2, 29)], ".key": [uuid.UUID(int=7)]}
    is_labelled = value is secret
    assert leaves(user.model_dump()) == (found if is_labelled else {})
    assert leaves(adapter.dump_python([user])[0]) == (found if is_labelled else {})
    assert type(user.age) is (taint.TaintedProxy if is_labelled else int)


@pytest.mark.parametrize("phone", [secret("+1415"), "+1415"], ids=["labelled", "unlabelled"])
def test_warnings_are_the_programs(phone: str) -> None:
    """What a program put into a field against its type is warned of as without the library, and only once."""
    for age in ("old", taint.label(41, purpose="security.mfa")):
        user = User(phoneNumber=phone)
        user.age = age  # type: ignore[assignment]  # What is warned of.
        user.name = 3  # type: ignore[assignment]  # As above.
        with pytest.warns(UserWarning, match="Expected `str`") as seen:
            user.model_dump()
        assert len(seen) == 1
        assert "TaintedProxy" not in str(seen[0].message)
        with pytest.raises(pydantic_core.PydanticSerializationError):
            user.model_dump(warnings="error")
        assert user.model_dump(warnings=False)["name"] == 3


def test_pydantic_dataclass() -> None:
    """A pydantic dataclass that an adapter makes is labelled as a whole."""

    @pydantic.dataclasses.dataclass
    class Point:
        name: str
        age: int

    point = pydantic.TypeAdapter(Point).validate_python({"name": secret("Ann"), "age": 3})
    assert dataclasses.asdict(point)["name"] == "Ann"
    assert taint.labels_of(point.name)


def test_plain_stays_plain() -> None:
    """Nothing labelled in, nothing labelled out."""
    user = User(phoneNumber="+1415", tags=["x"])
    assert leaves(user.model_dump()) == {}
    assert type(user.model_dump_json()) is str
    assert type(user.phone) is str


def test_same_exceptions() -> None:
    """What is refused is refused with pydantic's own error."""
    with pytest.raises(pydantic.ValidationError) as caught:
        User(age=secret("no number"))
    with pytest.raises(pydantic.ValidationError) as native:
        User(age="no number")  # type: ignore[arg-type]  # What is refused.
    assert caught.value.errors() == native.value.errors()
