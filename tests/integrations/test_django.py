"""Django: fields of requests and forms, what the ORM loads, queries in zones, and what is not labelled."""

import asyncio
import copy
import datetime as dt
import json
import pickle
from collections.abc import Callable, Iterator
from decimal import Decimal
from types import SimpleNamespace
from typing import Annotated, Any

import django
import pytest
from django import conf, forms, http, test, urls
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, connections, models, transaction, utils

import taint
from taint.carriers.number import TaintedInt
from taint.evidence.catalog import catalog, declare
from taint.flows.requests import CollectedFields
from taint.integrations.django import DjangoIntegration, _is_any
from taint.integrations.django_labels import LabelsField
from taint.testing import record

SECURITY = "security.mfa"
ADS = "advertising.audiences"
NUMBER = "+14155550100"

if not conf.settings.configured:
    conf.settings.configure(
        ALLOWED_HOSTS=["*"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[],
        MIDDLEWARE=["django.middleware.common.CommonMiddleware", "django.middleware.csrf.CsrfViewMiddleware"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="for tests",
        USE_TZ=True,
    )
    django.setup()

Answer = Callable[[http.HttpRequest], Any]
_view: dict[str, Any] = {}


def purposes(value: object) -> set[str]:
    """Give the purposes that a value is labelled with."""
    return set(taint.labels_of(value).purposes)


def sources(value: object) -> set[str]:
    """Give the sources of a value's labels."""
    return set(taint.labels_of(value).sources)


def view(request: http.HttpRequest, **arguments: Any) -> http.HttpResponse:
    """Do what the test put there."""
    _view["seen"] = _view["do"](request, **arguments)
    return http.HttpResponse("done")


async def async_view(request: http.HttpRequest, **arguments: Any) -> http.HttpResponse:
    """Do what the test put there, in a coroutine."""
    await asyncio.sleep(0)
    _view["seen"] = _view["do"](request, **arguments)
    return http.HttpResponse("done")


urlpatterns = [
    urls.path("enrol/", view),
    urls.path("people/<str:phone>/<int:number>/", view),
    urls.path("async/", async_view),
    urls.path("zone/", taint.zone(ADS)(view)),
]


class Person(models.Model):
    """Somebody whose number is there for security."""

    phone: Annotated[str, taint.Collected(SECURITY, category="user.contact.phone_number")] = models.CharField(
        max_length=40
    )
    born: Annotated[dt.date | None, taint.Collected(SECURITY)] = models.DateField(null=True)
    limit: Annotated[Decimal | None, taint.Collected(SECURITY)] = models.DecimalField(
        null=True, max_digits=9, decimal_places=2
    )
    city = models.CharField(max_length=40, default="")

    class Meta:  # noqa: D106  # Django reads it.
        app_label = "people"

    def __str__(self) -> str:
        return str(self.phone)


class Upload(models.Model):
    """A line of an advertiser's list."""

    phone = models.CharField(max_length=40)
    person = models.ForeignKey(Person, null=True, on_delete=models.CASCADE)

    class Meta:  # noqa: D106  # As above.
        app_label = "people"

    def __str__(self) -> str:
        return str(self.phone)


class Contact(models.Model):
    """Somebody whose number is there for security, or for marketing."""

    phone = models.CharField(max_length=40, unique=True)
    phone_labels = LabelsField(of="phone")

    class Meta:  # noqa: D106  # As above.
        app_label = "people"

    def __str__(self) -> str:
        return str(self.phone)


class Enrolment(forms.Form):
    """What somebody enrols with."""

    phone: Annotated[str, taint.Collected(SECURITY)] = forms.CharField()
    city = forms.CharField(required=False)


@pytest.fixture
def installed() -> Iterator[None]:
    """Django with the fields of requests that most tests collect."""
    taint.install(integrations=[DjangoIntegration(collected={"phone": taint.Collected(SECURITY)})])
    yield
    taint.uninstall()


def ask(do: Callable[..., Any], method: str = "get", path: str = "/enrol/", *args: Any, **kwargs: Any) -> Any:
    """Send a request through Django's handler, and give what the view made of it."""
    _view["do"] = do
    answer = getattr(test.Client(), method)(path, *args, **kwargs)
    assert answer.status_code == 200
    return _view.pop("seen")


# Requests


def test_query(installed: None) -> None:
    """A field of the query string is labelled, with the route as its source; another one is not."""
    seen = ask(lambda request: request.GET, path="/enrol/?phone=1&phone=2&city=3")
    assert seen.getlist("phone") == ["1", "2"]
    assert purposes(seen.getlist("phone")) == {SECURITY}
    assert sources(seen["phone"]) == {"GET /enrol/ query:phone"}
    assert purposes(seen["city"]) == set()
    assert type(seen) is http.QueryDict


def test_form(installed: None) -> None:
    """A field of a form is labelled, whatever its encoding; another one is not."""
    for kwargs in ({}, {"data": "phone=1&city=2", "content_type": "application/x-www-form-urlencoded"}):
        given: Any = kwargs or {"data": {"phone": "1", "city": "2"}}
        seen = ask(lambda request: request.POST, "post", **given)
        assert (seen["phone"], seen["city"]) == ("1", "2")
        assert sources(seen["phone"]) == {"POST /enrol/ form:phone"}
        assert purposes(seen["city"]) == set()


def test_body(installed: None) -> None:
    """A JSON body gives the same leaves when it is parsed, labelled; another field is not."""
    given: Any = {"data": {"phone": "1", "city": "2"}, "content_type": "application/json"}
    seen = ask(lambda request: json.loads(request.body), "post", **given)
    assert seen == {"phone": "1", "city": "2"}
    assert sources(seen["phone"]) == {"POST /enrol/ body:phone"}
    assert purposes(seen["city"]) == set()


def test_body_after_form(installed: None) -> None:
    """What a form is made of is read plain, and labelled where the program reads it."""
    given = {"data": "phone=1&city=2", "content_type": "application/x-www-form-urlencoded"}
    form, body = ask(lambda request: (request.POST, request.body), "post", **given)
    assert purposes(form["city"]) == set()
    assert (body, purposes(body)) == (b"phone=1&city=2", {SECURITY})


def test_path(installed: None) -> None:
    """Arguments of the view are labelled; a number that is not named is left to be one."""
    seen = ask(lambda request, **arguments: arguments, path="/people/555/7/")
    assert seen == {"phone": "555", "number": 7}
    assert sources(seen["phone"]) == {"GET /people/<str:phone>/<int:number>/ path:phone"}
    assert type(seen["number"]) is int


def test_headers_and_cookies() -> None:
    """Headers, also in META, and cookies are labelled by their names; others are not."""
    collected = {"header:x-phone": taint.Collected(SECURITY), "cookie:phone": taint.Collected(SECURITY)}
    taint.install(integrations=[DjangoIntegration(collected=collected)])

    def read(request: http.HttpRequest) -> Any:
        return request.headers["X-Phone"], request.META["HTTP_X_PHONE"], request.headers["Accept"], request.COOKIES

    _view["do"] = read
    client = test.Client()
    client.cookies["phone"], client.cookies["theme"] = "1", "dark"
    client.get("/enrol/", headers={"x-phone": NUMBER, "accept": "text/html"})
    header, meta, accept, cookies = _view["seen"]
    assert [purposes(value) for value in (header, meta, accept)] == [{SECURITY}, {SECURITY}, set()]
    assert header == meta == NUMBER
    assert (purposes(cookies["phone"]), purposes(cookies["theme"])) == ({SECURITY}, set())


@pytest.mark.parametrize(
    ("pattern", "labelled"),
    [("query:q", [0]), ("header:x-other", [1]), ("cookie:c", [2]), ("path:phone", [3]), ("form:q", [])],
)
def test_a_request_is_native_only_where_nothing_is_collected(pattern: str, labelled: list[int]) -> None:
    """That the rest of a request is left native takes no label from what is collected."""

    def read(request: http.HttpRequest, phone: str, number: int) -> list[Any]:
        return [request.GET["q"], request.headers["x-other"], request.COOKIES["c"], phone, number]

    integration = DjangoIntegration(collected={pattern: taint.Collected(SECURITY)})
    taint.install(integrations=[integration])
    client = test.Client(headers={"x-other": "2"})
    client.cookies["c"] = "3"
    _view["do"] = read
    assert client.get("/people/4/5/", {"q": "1"}).status_code == 200
    found = _view.pop("seen")
    assert [at for at, value in enumerate(found) if taint.labels_of(value)] == labelled


@pytest.mark.parametrize(("version", "is_any"), [("1.1", False), ("2", True)])
def test_a_body_without_a_length(*, version: str, is_any: bool) -> None:
    """Over HTTP/2 a body needs no length, so that a request may have a collected field where none is announced."""
    fields = CollectedFields({"form:phone": taint.Collected(SECURITY)}).of("POST", "/")
    request = SimpleNamespace(scope={"http_version": version}, META={"HTTP_HOST": "a"})
    assert _is_any(request, SimpleNamespace(args=(), kwargs={}), fields) is is_any


def test_files() -> None:
    """A file's name and contents are labelled; another file's are not."""
    taint.install(integrations=[DjangoIntegration(collected={"file:scan": taint.Collected(SECURITY)})])

    def read(request: http.HttpRequest) -> Any:
        scan, other = request.FILES["scan"], request.FILES["other"]
        return scan.name, scan.read(), b"".join(other.chunks()), other.name, scan.size

    data = {"scan": SimpleUploadedFile("me.txt", b"passport"), "other": SimpleUploadedFile("x.txt", b"else")}
    seen = ask(read, "post", data=data)
    assert seen == ("me.txt", b"passport", b"else", "x.txt", 8)
    assert [purposes(value) for value in seen] == [{SECURITY}, {SECURITY}, set(), set(), set()]


def test_everything() -> None:
    """With `*` all text of a request is labelled, and it reads as it does without."""
    taint.install(integrations=[DjangoIntegration(collected={"*": taint.Collected(SECURITY)})])

    def read(request: http.HttpRequest) -> Any:
        return dict(request.POST), dict(request.GET), request.get_full_path(), request.headers["Content-Type"][:19]

    form, query, path, kind = ask(read, "post", "/enrol/?a=1", data={"phone": "é"})
    assert (form, query, path, kind) == ({"phone": ["é"]}, {"a": ["1"]}, "/enrol/?a=1", "multipart/form-data")
    assert purposes(form) == purposes(query) == purposes(path) == {SECURITY}
    assert purposes(kind) == set()


def test_form_read_by_middleware(installed: None) -> None:
    """A form that was read before the route was known is labelled all the same."""
    request = test.RequestFactory().post("/enrol/", {"phone": "1", "city": "2"})
    assert request.POST["phone"] == "1"
    handler = test.client.ClientHandler(enforce_csrf_checks=False)
    handler.load_middleware()
    handler.resolve_request(request)
    assert purposes(request.POST["phone"]) == {SECURITY}
    assert purposes(request.POST["city"]) == set()


def test_request_is_still_one(installed: None) -> None:
    """A labelled request is of its class, and can be copied and pickled; what it gave stays labelled."""
    request = test.RequestFactory().get("/enrol/?phone=1")
    handler = test.client.ClientHandler(enforce_csrf_checks=False)
    handler.load_middleware()
    handler.resolve_request(request)
    assert isinstance(request, type(test.RequestFactory().get("/")))
    assert type(request).__name__ == "WSGIRequest"
    assert purposes(copy.copy(request).GET["phone"]) == set()  # Not read yet: a copy reads its own.
    assert purposes(request.GET["phone"]) == {SECURITY}
    del request.environ["wsgi.input"], request.environ["wsgi.errors"]
    request.META, request.resolver_match = {}, None  # Which Django does not pickle either.
    again = pickle.loads(pickle.dumps(copy.copy(request)))  # noqa: S301  # Our own.
    assert (again.GET["phone"], purposes(again.GET["phone"])) == ("1", {SECURITY})


def test_async_view(installed: None) -> None:
    """A request to a coroutine, by ASGI, is labelled as any."""

    async def send() -> Any:
        _view["do"] = lambda request: (request.GET["phone"], request.POST, type(request).__name__)
        await test.AsyncClient().post("/async/?phone=1", {"phone": "2"})
        return _view.pop("seen")

    number, form, kind = asyncio.run(send())
    assert (number, kind) == ("1", "ASGIRequest")
    assert sources(number) == {"POST /async/ query:phone"}
    assert purposes(form["phone"]) == {SECURITY}


def test_policy(tmp_path: Any) -> None:
    """What the policy says of a route holds without a word in the program."""
    taint.configure(policy={"collected": {"POST /enrol/": {"phone": {"purpose": SECURITY}}}})
    taint.install(integrations=["django"])
    try:
        assert purposes(ask(lambda request: request.POST["phone"], "post", data={"phone": "1"})) == {SECURITY}
        assert purposes(ask(lambda request: request.GET["phone"], path="/enrol/?phone=1")) == set()
    finally:
        taint.configure(policy={})


def test_request_begins_in_no_zone(installed: None) -> None:
    """A request has no zone of what happens to be around its server; a view under a zone has its own."""
    with record(mode="report") as seen, taint.zone(ADS):
        ask(lambda request: request.GET["phone"] == NUMBER, path="/enrol/?phone=1")
    assert seen.violations == []
    with record(mode="report") as seen:
        ask(lambda request: request.GET["phone"] == NUMBER, path="/zone/?phone=1")
    assert [flow.evidence for flow in seen.violations] == ["comparison"]


def test_response_header_is_exact(installed: None) -> None:
    """A labelled value in a header of the response is sent as an exact text."""
    _view["do"] = lambda request: None
    response = test.Client().get("/enrol/?phone=1")

    def answer(request: http.HttpRequest) -> http.HttpResponse:
        return http.HttpResponse("x", headers={"X-Echo": request.GET["phone"]})

    urlpatterns.append(urls.path("echo/", answer))
    urls.clear_url_caches()
    try:
        response = test.Client().get("/echo/?phone=1")
    finally:
        urlpatterns.pop()
        urls.clear_url_caches()
    assert type(response.headers["X-Echo"]) is str


# Forms


def test_form_annotation() -> None:
    """A form's field that says what it is collected for is labelled after validation; another one is not."""
    taint.install(integrations=["django"])
    form = Enrolment({"phone": f" {NUMBER} ", "city": "Bern"})
    assert form.is_valid()
    assert form.cleaned_data == {"phone": NUMBER, "city": "Bern"}
    assert sources(form.cleaned_data["phone"]) == {f"{__name__}.Enrolment.phone"}
    assert purposes(form.cleaned_data["city"]) == set()


def test_form_keeps_labels_of_the_request(installed: None) -> None:
    """What a request collected goes through a form's validation; an invalid form says what it says without."""
    form = ask(lambda request: Enrolment(request.POST), "post", data={"phone": " 1 "})
    assert form.is_valid()
    assert "POST /enrol/ form:phone" in sources(form.cleaned_data["phone"])
    assert Enrolment({"phone": ""}).errors == {"phone": ["This field is required."]}


# The ORM


@pytest.fixture(params=["default", "postgres"])
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database with the tables, on SQLite and on PostgreSQL."""
    alias = request.param
    if alias == "postgres":
        address = request.getfixturevalue("postgres")
        host, _, port = address.partition(":")
        connections.databases[alias] = {
            **connections.databases["default"],
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "postgres",
            "USER": "taint",
            "HOST": host,
            "PORT": port,
        }
    taint.install(integrations=["django", "psycopg", "sqlite3"])
    with connections[alias].schema_editor() as editor:
        editor.create_model(Person)
        editor.create_model(Upload)
        editor.create_model(Contact)
    yield alias
    with connections[alias].schema_editor() as editor:
        editor.delete_model(Contact)
        editor.delete_model(Upload)
        editor.delete_model(Person)
    connections[alias].close()
    taint.uninstall()
    catalog.withdraw("people_upload.phone")


def enrolled(alias: str) -> Any:
    """Put one person there."""
    born = dt.date(1990, 1, 2)
    return Person.objects.using(alias).create(phone=NUMBER, city="Bern", born=born, limit=Decimal("12.50"))


def test_model(database: str) -> None:
    """A model's column that says what it was collected for is labelled when it is loaded; another one is not."""
    enrolled(database)
    person = Person.objects.using(database).get()
    assert (person.phone, person.city, person.born, person.limit) == (
        NUMBER,
        "Bern",
        dt.date(1990, 1, 2),
        Decimal("12.50"),
    )
    assert sources(person.phone) == {"people_person.phone"}
    assert purposes(person.born) == purposes(person.limit) == {SECURITY}
    assert purposes(person.city) == set()
    person.save(using=database)
    assert Person.objects.using(database).filter(born=person.born, limit=person.limit, phone=person.phone).count() == 1


@pytest.mark.parametrize(
    "query",
    [
        lambda people: people.values_list("phone", flat=True).get(),
        lambda people: people.values("phone").get()["phone"],
        lambda people: people.annotate(low=models.functions.Lower("phone")).get().low,
        lambda people: people.aggregate(most=models.Max("phone"))["most"],
        lambda people: people.only("city").get().phone,
        lambda people: next(people.iterator(chunk_size=1)).phone,
        lambda people: people.in_bulk()[people.get().pk].phone,
        lambda people: people.union(people.filter(city="Bern")).get().phone,
        lambda people: people.raw("SELECT * FROM people_person")[0].phone,
    ],
)
def test_queries(database: str, query: Callable[[Any], Any]) -> None:
    """Whatever way a labelled column is asked for, or what is made of it, is labelled."""
    enrolled(database)
    found = query(Person.objects.using(database).all())
    assert (found, purposes(found)) == (NUMBER, {SECURITY})


def test_what_is_found_by_a_labelled_column(database: str) -> None:
    """Ids of a query that joins by a labelled column carry its label as indirect; by another column, none."""
    enrolled(database)
    found = Person.objects.using(database).filter(phone=NUMBER).values_list("id", flat=True).get()
    assert type(found) is TaintedInt
    assert {label.derivation for label in taint.labels_of(found)} == {"indirect"}
    assert type(Person.objects.using(database).filter(city="Bern").values_list("id", flat=True).get()) is int


def test_related(database: str) -> None:
    """What comes by a join or is fetched beforehand is labelled as what is asked for itself."""
    person = enrolled(database)
    Upload.objects.using(database).create(phone="1", person=person)
    joined = Upload.objects.using(database).select_related("person").get()
    assert purposes(joined.person.phone) == {SECURITY}
    assert purposes(joined.phone) == set()
    fetched = Person.objects.using(database).prefetch_related("upload_set").get()
    assert [upload.phone for upload in fetched.upload_set.all()] == ["1"]
    assert purposes(fetched.phone) == {SECURITY}


def test_cursor(database: str) -> None:
    """SQL text that is given to a cursor is read too."""
    enrolled(database)
    with connections[database].cursor() as cursor:
        cursor.execute("SELECT upper(phone), city FROM people_person WHERE city = %s", ["Bern"])
        (row,) = cursor.fetchall()
        assert [purposes(value) for value in row] == [{SECURITY}, set()]
        cursor.execute("SELECT phone FROM people_person")
        assert [purposes(value) for (value,) in cursor] == [{SECURITY}]
        cursor.execute("SELECT phone FROM people_person")
        assert purposes(cursor.fetchone()[0]) == {SECURITY}
        assert cursor.fetchone() is None


def test_match_is_stopped_before_the_database_is_asked(database: str) -> None:
    """In a zone for advertising a query by a number given for security is not asked; by a city, it is."""
    person = enrolled(database)
    asked = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        asked.append(sql)
        return execute(sql, params, many, context)

    def matched() -> list[int]:
        numbers = Upload.objects.using(database).values("phone")
        return list(Person.objects.using(database).filter(phone__in=numbers).values_list("id", flat=True))

    with taint.zone(ADS):
        with pytest.raises(taint.PurposeViolationError, match=r"people_person\.phone"):
            matched()
        found = Person.objects.using(database).filter(city="Bern").values_list("id", flat=True)
        with connections[database].execute_wrapper(note):
            assert list(found) == [person.pk]
    assert len(asked) == 1


def test_labelled_values_are_written(database: str) -> None:
    """Labelled values of every type are written as plain ones are: saved, in bulk, updated, inserted by a cursor."""
    number = taint.label(NUMBER, purpose=SECURITY)
    born = taint.label(dt.date(1990, 1, 2), purpose=SECURITY)
    limit = taint.label(Decimal("12.50"), purpose=SECURITY)
    people = Person.objects.using(database)
    people.create(phone=number, born=born, limit=limit)
    people.bulk_create([Person(phone=number, born=born, limit=limit, city=number)])
    people.update(city=number, born=born)
    with transaction.atomic(using=database), connections[database].cursor() as cursor:
        cursor.executemany("INSERT INTO people_person (phone, city) VALUES (%s, %s)", [(number, number)])
        cursor.execute("UPDATE people_person SET born = %s", [born])
    assert people.filter(phone=number, born=born, city=number).count() == 3
    assert people.filter(limit=limit).count() == 2


def test_declared_column(database: str) -> None:
    """A column of a table that nobody may change is declared in the catalog, and labelled."""
    Upload.objects.using(database).create(phone="1")
    assert purposes(Upload.objects.using(database).get().phone) == set()
    declare("people_upload.phone", purpose=SECURITY)
    assert purposes(Upload.objects.using(database).get().phone) == {SECURITY}


def test_unreadable_query_is_a_gap(database: str) -> None:
    """A query that cannot be followed is said to be one, and the database answers it."""
    enrolled(database)
    with (
        record(mode="report") as seen,
        pytest.raises(utils.DatabaseError),
        connections[database].cursor() as cursor,
    ):
        cursor.execute("SELECT phone FROM people_person WHERE WHERE")
    assert [flow.sink for flow in seen.gaps] == ["django"]


def labelled(purpose: str, number: str = NUMBER) -> str:
    """Give a number that was collected for something."""
    return taint.label(number, purpose=purpose, source=f"shop.{purpose}")


WRITES: dict[str, Callable[[Any, Any], Any]] = {
    "create": lambda rows, value: rows.create(phone=value),
    "bulk_create": lambda rows, value: rows.bulk_create([Contact(phone=value)]),
    "upsert": lambda rows, value: (
        rows.create(phone=labelled("security")),
        rows.bulk_create(
            [Contact(phone=value)], update_conflicts=True, update_fields=["phone"], unique_fields=["phone"]
        ),
    ),
    "update": lambda rows, value: (rows.create(phone="1"), rows.update(phone=value)),
    "save": lambda rows, value: saved(rows.create(phone=labelled("security", "1")), value),
    "save of one field": lambda rows, value: saved(rows.create(phone="1"), value, update_fields=["phone"]),
    "bulk_update": lambda rows, value: updated(rows, rows.create(phone="1"), value),
    "update_or_create": lambda rows, value: (
        rows.create(phone="1"),
        rows.update_or_create(phone="1", defaults={"phone": value}),
    ),
}


def saved(contact: Any, value: str, **kwargs: Any) -> None:
    """Set a number and save it."""
    contact.phone = value
    contact.save(**kwargs)


def updated(rows: Any, contact: Any, value: str) -> None:
    """Set a number and write it with others."""
    contact.phone = value
    rows.bulk_update([contact], ["phone"])


@pytest.mark.parametrize("purpose", [SECURITY, "marketing", None])
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_own_labels(database: str, write: Callable[[Any, Any], Any], purpose: str | None) -> None:
    """Each value has the labels that it was written with, in whatever way it was written."""
    rows = Contact.objects.using(database)
    with record(mode="report") as seen:
        write(rows, NUMBER if purpose is None else labelled(purpose))
        contact = rows.get()
        assert contact.phone == NUMBER
        assert purposes(contact.phone) == ({purpose} if purpose else set())
        assert seen.gaps == []


def test_own_labels_decide_the_twin(database: str) -> None:
    """Of two numbers in one column the one that was given for advertising is allowed there, the other is not."""
    rows = Contact.objects.using(database)
    rows.create(phone=labelled(SECURITY, "1"))
    rows.create(phone=labelled(ADS, "2"))
    upload = taint.sink(purpose=ADS, name="ads.upload")(lambda numbers: None)
    upload([rows.get(phone_labels__contains="advertising").phone])  # type: ignore[no-untyped-call]
    with pytest.raises(taint.PurposeViolationError):
        upload([contact.phone for contact in rows.all()])  # type: ignore[no-untyped-call]


def test_value_that_was_changed_without_its_labels(database: str) -> None:
    """SQL text that changes a value and not its labels is a gap, when it is run and when the value is read."""
    rows = Contact.objects.using(database)
    rows.create(phone=labelled("marketing"))
    with record(mode="report") as seen, connections[database].cursor() as cursor:
        cursor.execute("UPDATE people_contact SET phone = '2'")
        assert len(seen.gaps) == 1
    with record(mode="report") as seen:
        assert rows.get().phone == "2"
        assert len(seen.gaps) == 1


def test_expression_is_a_gap(database: str) -> None:
    """What an expression of SQL gives has no labels that Django knows, and that is said."""
    rows = Contact.objects.using(database)
    rows.create(phone=labelled("marketing"))
    with record(mode="report") as seen:
        rows.update(phone=models.functions.Upper("phone"))
    assert any("is written" in flow.path for flow in seen.gaps)
    assert {(flow.sink, flow.call_site and flow.call_site.file) for flow in seen.gaps} == {("django", __file__)}


def test_rolled_back(database: str) -> None:
    """Labels go with their value when a transaction does not."""
    rows = Contact.objects.using(database)
    contact = rows.create(phone=labelled("marketing"))
    with transaction.atomic(using=database):
        saved(contact, labelled(SECURITY, "2"))
        transaction.set_rollback(True, using=database)
    assert (rows.get().phone, purposes(rows.get().phone)) == (NUMBER, {"marketing"})


def test_labels_field_is_made_again(database: str) -> None:
    """A migration makes the same field."""
    _, path, args, kwargs = Contact._meta.get_field("phone_labels").deconstruct()
    assert (path, args) == ("taint.integrations.django_labels.LabelsField", [])
    assert LabelsField(*args, **kwargs).of == "phone"


def test_view(database: str) -> None:
    """A view that nobody has declared is followed to its tables."""
    enrolled(database)
    with connections[database].cursor() as cursor:
        cursor.execute("CREATE VIEW numbers AS SELECT phone AS n, city FROM people_person")
        cursor.execute("SELECT n, city FROM numbers")
        assert [purposes(value) for value in cursor.fetchone()] == [{SECURITY}, set()]
        cursor.execute("DROP VIEW numbers")


def test_labelled_parameter_in_a_zone(database: str) -> None:
    """To ask a database with a number that was given for security is to use it, in a zone for advertising."""
    with record(mode="report") as seen, taint.zone(ADS):
        list(Upload.objects.using(database).filter(phone=labelled(ADS)))
        assert seen.violations == []
        list(Upload.objects.using(database).filter(phone=labelled(SECURITY)))
        assert {flow.evidence for flow in seen.violations} == {"comparison"}


def test_off_again(database: str) -> None:
    """After uninstall() nothing is labelled."""
    enrolled(database)
    taint.uninstall()
    assert purposes(Person.objects.using(database).get().phone) == set()
    assert connection.vendor == "sqlite"
