"""FastAPI: parameters, bodies and answers, with labels by pattern and by annotation, and zones by dependency."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Body, Cookie, Depends, FastAPI, File, Form, Header, Path, Query, Request, UploadFile
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

import taint
from taint import Collected
from taint.flows import current_zone
from taint.flows.requests import Table
from taint.integrations.fastapi import FastapiIntegration, in_zone
from tests.asgi import Answer, get, multipart, post

MFA = Collected("security.mfa", category="user.contact.phone_number")
OPS = Collected("service.operations")
FORM = "application/x-www-form-urlencoded"


class Address(BaseModel):
    """A part of a body."""

    city: str
    since: dt.date | None = None


class Person(BaseModel):
    """A body that says nothing of purposes."""

    phone: str
    age: int = 5
    address: Address | None = None


class Enrolment(BaseModel):
    """A body that says what it is collected for."""

    phone: Annotated[str, MFA]
    name: str = ""


class PhoneForm(BaseModel):
    """A form."""

    phone: str


def install(collected: Table | None = None, **kwargs: Any) -> None:
    """Put the integration on."""
    taint.install(integrations=[FastapiIntegration(collected=collected, **kwargs)])


found: list[Any] = []


async def read_query(phone: str) -> None:
    """Keep what it gets."""
    found.append(phone)


async def read_query_annotated(phone: Annotated[str, Query(min_length=1), MFA]) -> None:
    """Keep what it gets."""
    found.append(phone)


async def read_header(x_phone: Annotated[str, Header()]) -> None:
    """Keep what it gets."""
    found.append(x_phone)


async def read_header_annotated(x_phone: Annotated[str, Header(), MFA]) -> None:
    """Keep what it gets."""
    found.append(x_phone)


async def read_cookie(phone: Annotated[str, Cookie()]) -> None:
    """Keep what it gets."""
    found.append(phone)


async def read_path(phone: Annotated[str, Path()]) -> None:
    """Keep what it gets."""
    found.append(phone)


async def read_form(phone: Annotated[str, Form()]) -> None:
    """Keep what it gets."""
    found.append(phone)


async def read_form_annotated(phone: Annotated[str, Form(), MFA]) -> None:
    """Keep what it gets."""
    found.append(phone)


async def read_form_model(data: Annotated[PhoneForm, Form()]) -> None:
    """Keep what it gets."""
    found.append(data.phone)


def read_on_a_thread(phone: Annotated[str, Form()]) -> None:
    """Keep what it gets."""
    found.append(phone)


async def read_model(person: Person) -> None:
    """Keep what it gets."""
    found.append(person.phone)


async def read_model_annotated(person: Enrolment) -> None:
    """Keep what it gets."""
    found.append(person.phone)


async def read_field(phone: Annotated[str, Body(embed=True)]) -> None:
    """Keep what it gets."""
    found.append(phone)


async def read_document(document: dict[str, Any]) -> None:
    """Keep what it gets."""
    found.append(document)


async def read_raw(request: Request) -> None:
    """Keep what it gets."""
    found.append(await request.json())


async def read_data(text: Annotated[bytes, Body(media_type="text/plain")]) -> None:
    """Keep what it gets."""
    found.append(text)


async def read_dependency(phone: Annotated[str, Depends(lambda phone: phone)]) -> None:
    """Keep what it gets."""
    found.append(phone)


ASK: dict[str, tuple[str, Callable[[FastAPI], Answer]]] = {
    "query": ("GET / query:phone", lambda app: get(app, "/?phone=1")),
    "query_annotated": ("annotation", lambda app: get(app, "/?phone=1")),
    "header": ("GET / header:x-phone", lambda app: get(app, "/", headers={"x-phone": "1"})),
    "header_annotated": ("annotation", lambda app: get(app, "/", headers={"x-phone": "1"})),
    "cookie": ("GET / cookie:phone", lambda app: get(app, "/", headers={"cookie": "phone=1"})),
    "path": ("GET /{phone} path:phone", lambda app: get(app, "/1")),
    "form": ("POST / form:phone", lambda app: post(app, "/", b"phone=1", kind=FORM)),
    "form_annotated": ("annotation", lambda app: post(app, "/", b"phone=1", kind=FORM)),
    "form_model": ("POST / form:phone", lambda app: post(app, "/", b"phone=1", kind=FORM)),
    "on_a_thread": ("POST / form:phone", lambda app: post(app, "/", b"phone=1", kind=FORM)),
    "model": ("POST / body:phone", lambda app: post(app, "/", {"phone": "1"})),
    "model_annotated": ("annotation", lambda app: post(app, "/", {"phone": "1"})),
    "field": ("POST / body:phone", lambda app: post(app, "/", {"phone": "1"})),
    "document": ("POST / body:phone", lambda app: post(app, "/", {"phone": "1"})),
    "raw": ("POST / body:phone", lambda app: post(app, "/", {"phone": "1"})),
    "data": ("POST / body", lambda app: post(app, "/", b"1", kind="text/plain")),
}


@pytest.mark.parametrize("kind", ASK)
def test_parameters(kind: str) -> None:
    """A parameter of every kind carries the label of its pattern or annotation; without either it carries none."""
    source, ask = ASK[kind]
    is_annotated = source == "annotation"

    def answered() -> Any:
        found.clear()
        app = FastAPI()
        app.add_api_route("/{phone}" if kind == "path" else "/", globals()[f"read_{kind}"], methods=["GET", "POST"])
        assert ask(app).status == 200
        return found[0]

    native = answered()
    install({} if is_annotated else {"phone": MFA, "x-phone": MFA, "body:*": MFA})
    labelled = answered()
    assert labelled == native
    (label,) = taint.labels_of(labelled)
    assert label.purposes == {"security.mfa"}
    assert label.category == MFA.category
    assert label.source is not None
    assert is_annotated or label.source == source
    taint.uninstall()
    install({"other": MFA})
    assert bool(taint.labels_of(answered())) is is_annotated


def test_model_keeps_which_field() -> None:
    """Of a body each field of a model has the labels of its own, converted values too."""
    install({"phone": MFA, "address": OPS})
    kept: list[Person] = []

    async def enrol(person: Person) -> Person:
        kept.append(person)
        return person

    app = FastAPI()
    app.post("/", response_model=Person)(enrol)
    given = {"phone": "+1", "age": 6, "address": {"city": "Wien", "since": "2026-01-31"}}
    assert post(app, "/", given).json() == given
    (person,) = kept
    assert person.address is not None
    assert [taint.labels_of(one).purposes for one in (person.phone, person.address.city, person.address.since)] == [
        {"security.mfa"},
        {"service.operations"},
        {"service.operations"},
    ]
    assert type(person.age) is int


def test_included_router() -> None:
    """Of an included router the whole template is the route."""
    router = APIRouter(prefix="/users/{who}")
    kept: list[Any] = []

    @router.get("/phone")
    async def phone(who: str) -> None:
        kept.append(who)

    app = FastAPI()
    app.include_router(router, prefix="/v1")
    install({"GET /v1/users/{who}/phone": {"who": MFA}})
    assert get(app, "/v1/users/ann/phone").status == 200
    assert taint.labels_of(kept).sources == {"GET /v1/users/{who}/phone path:who"}


def test_upload() -> None:
    """Uploads are labelled, as objects and as bytes."""
    kept: list[Any] = []

    async def enrol(photo: UploadFile, scan: Annotated[bytes, File()]) -> None:
        kept.extend([photo.filename, await photo.read(), scan])

    app = FastAPI()
    app.post("/")(enrol)
    install({"file:*": MFA})
    body, kind = multipart({}, {"photo": ("a.png", b"abc"), "scan": ("b.png", b"def")})
    assert post(app, "/", body, kind=kind).status == 200
    assert kept == ["a.png", b"abc", b"def"]
    assert [taint.labels_of(one).sources for one in kept] == [
        {"POST / file:photo"},
        {"POST / file:photo"},
        {"POST / file:scan"},
    ]


@pytest.mark.parametrize("where", ["route", "router", "application", "decorator"])
@pytest.mark.parametrize("is_async", [True, False])
def test_zone(where: str, is_async: bool) -> None:
    """A route may stand under a zone, as a coroutine or in the thread pool; a route beside it does not."""
    install({"phone": MFA})
    zones = [Depends(in_zone("advertising.audiences", name="ads"))]

    async def match(phone: str) -> bool:
        return phone == "1"

    def match_on_a_thread(phone: str) -> bool:
        return phone == "1"

    async def page(phone: str) -> dict[str, Any]:
        return {"zone": current_zone() is None, "same": phone == "1"}

    view: Any = match if is_async else match_on_a_thread
    app = FastAPI(dependencies=zones if where == "application" else None)
    router = APIRouter(dependencies=zones if where == "router" else None)
    if where == "decorator":
        view = taint.zone("advertising.audiences", name="ads")(view)
    router.get("/match", dependencies=zones if where == "route" else None)(view)
    app.include_router(router)
    beside = FastAPI()
    beside.get("/page")(page)
    with pytest.raises(taint.PurposeViolationError) as caught:
        get(app, "/match?phone=1")
    assert (caught.value.violation.evidence, caught.value.violation.sink) == ("comparison", "ads")
    assert get(beside, "/page?phone=1").json() == {"zone": True, "same": True}
    install_again = {"phone": Collected(["security.mfa", "advertising"])}
    taint.uninstall()
    install(install_again)
    assert get(app, "/match?phone=1").body == b"true"


@pytest.mark.parametrize("with_model", [False, True])
@pytest.mark.parametrize("as_dict", [False, True])
def test_answers(with_model: bool, as_dict: bool) -> None:
    """An answer of labelled texts, numbers and dates is that of plain ones, with and without a response model."""

    class Out(BaseModel):
        text: str
        number: int
        day: dt.date
        id: uuid.UUID
        many: list[str]

    plain: dict[str, Any] = {
        "text": "é",
        "number": 5,
        "day": dt.date(2026, 1, 31),
        "id": uuid.UUID(int=7),
        "many": ["a"],
    }
    labelled = {
        name: [taint.label("a", purpose="security")] if name == "many" else taint.label(value, purpose="security")
        for name, value in plain.items()
    }

    def answer(value: dict[str, Any]) -> Answer:
        app = FastAPI()

        def out() -> Any:
            return value if as_dict else Out.model_construct(**value)

        app.get("/", response_model=Out if with_model else None)(out)
        return get(app, "/")

    native = answer(plain)
    assert native.status == 200
    install()
    assert answer(labelled) == native
    assert taint.labels_of(labelled["number"])  # What others hold was left as it was.


def test_errors_are_the_applications_own() -> None:
    """What is refused is refused with the same words."""

    async def enrol(person: Person) -> None: ...

    app = FastAPI()
    app.post("/")(enrol)
    asks: list[Callable[[], Answer]] = [
        lambda: post(app, "/", {"phone": 5}),
        lambda: post(app, "/", {"phone": "1", "age": "old"}),
        lambda: post(app, "/", b"{"),
        lambda: post(app, "/", b"phone=1", kind=FORM),
        lambda: post(app, "/", b""),
    ]
    native = [ask() for ask in asks]
    assert {answer.status for answer in native} == {422}
    install({"*": MFA})
    assert [ask() for ask in asks] == native


def test_answer_that_cannot_be_written() -> None:
    """An answer that is refused without labels is refused with them, by the same error."""

    class Strange:
        __slots__ = ()

    def out() -> Any:
        return {"phone": taint.label("1", purpose="security"), "what": Strange()}

    app = FastAPI()
    app.get("/", response_model=None)(out)
    with pytest.raises(ValueError, match=r"not iterable|__dict__"):
        get(app, "/")
    install()
    with pytest.raises(ValueError, match=r"not iterable|__dict__"):
        get(app, "/")


def test_beside_an_integration_of_starlette() -> None:
    """Whichever of the two is put on first, what each was given holds."""
    taint.install(integrations=["starlette"])
    install({"phone": MFA})
    kept: list[Any] = []

    async def view(phone: str) -> PlainTextResponse:
        kept.append(phone)
        return PlainTextResponse(phone)

    app = FastAPI()
    app.get("/")(view)
    assert get(app, "/?phone=1").body == b"1"
    assert taint.labels_of(kept)
