"""Fields of web requests: which pattern holds, what is labelled, and where from."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import trace as otel

import taint
from taint import Collected
from taint.carriers import TaintedProxy
from taint.flows.requests import LONGEST_KEPT, MAX_KEPT, CollectedFields, Collection, Table
from taint.modes import set_mode

MFA = Collected("security.mfa")
ADS = Collected("advertising")
OPS = Collected("service.operations")
PHONE = Collected("security.mfa", category="user.contact.phone_number")


def collection(table: Table, method: str = "POST", template: str | None = "/enrol", **kwargs: Any) -> Collection:
    """One request to a route."""
    return Collection(CollectedFields(table).of(method, template), **kwargs)


HOLDS: list[tuple[str, Table, tuple[str, ...], str | None]] = [
    ("name", {"phone": MFA}, ("form", "phone"), "security.mfa"),
    ("other name", {"phone": MFA}, ("form", "name"), None),
    ("any place", {"phone": MFA}, ("query", "phone"), "security.mfa"),
    ("place", {"form:phone": MFA}, ("form", "phone"), "security.mfa"),
    ("other place", {"form:phone": MFA}, ("query", "phone"), None),
    ("star", {"*": MFA}, ("cookie", "session"), "security.mfa"),
    ("pattern", {"ph?n*": MFA}, ("body", "phones"), "security.mfa"),
    ("name before star", {"*": ADS, "phone": MFA}, ("form", "phone"), "security.mfa"),
    ("name before pattern", {"phone*": ADS, "phone": MFA}, ("form", "phone"), "security.mfa"),
    ("longer pattern", {"ph*": ADS, "phone*": MFA}, ("form", "phones"), "security.mfa"),
    ("name before place", {"form:*": ADS, "phone": MFA}, ("form", "phone"), "security.mfa"),
    ("place before none", {"phone": ADS, "form:phone": MFA}, ("form", "phone"), "security.mfa"),
    ("route before name", {"phone": ADS, "POST /enrol": {"*": MFA}}, ("form", "phone"), "security.mfa"),
    ("other route", {"POST /other": {"phone": MFA}}, ("form", "phone"), None),
    ("other method", {"PUT /enrol": {"phone": MFA}}, ("form", "phone"), None),
    ("any method", {"/enrol": {"phone": MFA}}, ("form", "phone"), "security.mfa"),
    ("method in small letters", {"post /enrol": {"phone": MFA}}, ("form", "phone"), "security.mfa"),
    ("method before any", {"/enrol": {"x": ADS}, "POST /enrol": {"x": MFA}}, ("form", "x"), "security.mfa"),
    ("pattern of routes", {"POST /en*": {"phone": MFA}}, ("form", "phone"), "security.mfa"),
    ("inside a document", {"phone": MFA}, ("body", "user", "phone"), "security.mfa"),
    ("all inside a field", {"user": MFA}, ("body", "user", "phone"), "security.mfa"),
    ("way", {"user.phone": MFA}, ("body", "user", "phone"), "security.mfa"),
    ("all inside a way", {"user.phone": MFA}, ("body", "user", "phone", "home"), "security.mfa"),
    ("other way", {"user.phone": MFA}, ("body", "owner", "phone"), None),
    ("header in any case", {"header:X-Phone": MFA}, ("header", "x-phone"), "security.mfa"),
    ("headers of the protocol", {"*": MFA}, ("header", "content-type"), None),
    ("other headers", {"*": MFA}, ("header", "x-phone"), "security.mfa"),
    ("header of the protocol by name", {"header:host": MFA}, ("header", "host"), "security.mfa"),
    ("name with a colon", {"*:xml:lang": MFA}, ("body", "xml:lang"), "security.mfa"),
]


@pytest.mark.parametrize(("table", "field", "purpose"), [row[1:] for row in HOLDS], ids=[row[0] for row in HOLDS])
def test_which_pattern_holds(table: Table, field: tuple[str, ...], purpose: str | None) -> None:
    """Of the patterns that match a field the most specific holds: by route, name, place."""
    found = collection(table).labels(*field)
    assert found.purposes == ({purpose} if purpose else set())


def test_label() -> None:
    """A label says purpose, category, route with field, person and span."""
    trace = taint.Trace.parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    context = otel.SpanContext(trace.trace_id, trace.span_id, is_remote=False)
    with otel.use_span(otel.NonRecordingSpan(context)):
        (label,) = collection({"phone": PHONE}, subject=lambda: "p-17").labels("body", "user", "phone")
    assert label.purposes == {"security.mfa"}
    assert label.category == "user.contact.phone_number"
    assert label.source == "POST /enrol body:user.phone"
    assert label.subject == "p-17"
    assert label.trace == trace


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (("phone",), "POST /enrol body:phone"),
        (("x-phone",), "POST /enrol body:x-phone"),
        (("users", "+14155550100"), "POST /enrol body:users.[*]"),
        (("deadbeefdeadbeef",), "POST /enrol body:[*]"),
        ((), "POST /enrol body"),
    ],
)
def test_source_shows_plain_names_only(path: tuple[str, ...], source: str) -> None:
    """A name that may itself be somebody's data is not shown."""
    assert collection({"*": MFA}).labels("body", *path).sources == {source}


def test_unknown_route() -> None:
    """A request without a route is no particular one: its path may hold data, and is not shown."""
    table: Table = {"phone": MFA, "POST /enrol": {"name": ADS}}
    assert collection(table, template=None).labels("form", "phone").sources == {"POST * form:phone"}
    assert not collection(table, template=None).labels("form", "name")


def test_document() -> None:
    """Leaves of a document are labelled by their names, in place; others are not."""
    value: Any = {"user": {"phone": "+1", "name": "Ann"}, "phones": ["+2", {"phone": "+3"}], "phone": ["+4"], "n": 5}
    twin = {"user": {"phone": "+1", "name": "Ann"}, "phones": ["+2", {"phone": "+3"}], "phone": ["+4"], "n": 5}
    labelled = collection({"phone": MFA}).document(value)
    assert labelled is value
    assert labelled == twin
    found = [taint.labels_of(one).sources for one in (value["user"], value["phones"][1], value["phone"])]
    assert found == [{"POST /enrol body:user.phone"}, {"POST /enrol body:phones.phone"}, {"POST /enrol body:phone"}]
    assert not taint.labels_of([value["user"]["name"], value["phones"][0], value["n"]])


def test_deep_document() -> None:
    """A document may be as deep as its parser allows."""
    value: Any = {"phone": "+1"}
    for _ in range(20_000):
        value = [value]
    found = collection({"phone": MFA}).document(value)
    while isinstance(found, list):
        found = found[0]
    assert taint.labels_of(found["phone"])


def test_leaf_document() -> None:
    """A document of one value has no name: what holds for any field does."""
    assert taint.labels_of(collection({"body:*": MFA}).document("+1"))
    assert not taint.labels_of(collection({"phone": MFA}).document("+1"))


def test_numbers() -> None:
    """A number is labelled where its field is named, and stays exact under a pattern; truth and null stay."""
    value: dict[str, Any] = {"age": 5, "size": 6, "is_adult": True, "none": None}
    collection({"age": MFA, "is_adult": MFA, "none": MFA, "*": ADS}).document(value)
    assert value["age"] == 5
    kinds = [type(one) for one in value.values()]
    assert kinds == [TaintedProxy, int, bool, type(None)]


def test_whole() -> None:
    """What holds several fields carries the labels of all that may be there."""
    found = collection({"phone": MFA, "query:q": ADS, "file:photo": OPS}).whole("form", "file")
    assert found.purposes == {"security.mfa", "service.operations"}
    assert found.sources == {"POST /enrol form", "POST /enrol file"}


def test_places() -> None:
    """A route knows where there is anything to label."""
    assert CollectedFields({"query:q": MFA}).of("GET", "/").places == {"query"}
    assert CollectedFields({"POST /enrol": {"phone": MFA}}).of("GET", "/").places == set()


def test_policy() -> None:
    """The policy's table holds beside the program's; of equal patterns the policy's does; it may be read again."""
    fields = CollectedFields({"phone": ADS, "name": ADS})
    assert Collection(fields.of("POST", "/enrol")).labels("form", "phone").purposes == {"advertising"}
    taint.configure(policy={"collected": {"*": {"phone": {"purpose": ["security.mfa", "marketing"]}}}})
    found = Collection(fields.of("POST", "/enrol"))
    assert found.labels("form", "phone").purposes == {"security.mfa", "marketing"}
    assert found.labels("form", "name").purposes == {"advertising"}
    assert CollectedFields()
    taint.configure(policy={})
    assert not CollectedFields()


def test_off() -> None:
    """In mode `off` nothing is collected."""
    fields = CollectedFields({"phone": MFA})
    assert fields
    set_mode(taint.Mode.OFF)
    assert not fields


def test_known_values_are_told() -> None:
    """What a request collects is remembered where known values are on: an unlabelled copy is found at a sink."""
    taint.configure(known_values=True)
    collection({"phone": MFA}).document({"phone": "+14155550100"})
    try:
        verdict = taint.check("+14155550100", purpose="advertising", sink="ads")
    finally:
        taint.configure(known_values=False)
    assert [flow.evidence for flow in verdict.flows] == ["content"]


def test_subject_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """Where it cannot be told whose request it is, the field is labelled without, and that is said."""

    def subject() -> object:
        raise KeyError("+14155550100")

    (label,) = collection({"phone": MFA}, subject=subject).labels("form", "phone")
    assert label.subject is None
    assert "asking whose request it is" in caplog.text
    assert "+1415" not in caplog.text


def test_names_from_outside_are_bounded() -> None:
    """A stranger who sends ever new names does not fill the memory."""
    fields = CollectedFields({"*": MFA})
    route = fields.of("POST", "/enrol")
    for index in range(MAX_KEPT + 10):
        route.find("form", (f"n{index}",))
    route.find("form", ("n" * 10_000,))
    assert max(map(len, route.answers.values())) <= MAX_KEPT
    for index in range(MAX_KEPT + 10):
        fields.of("POST", f"/{index}")
    assert len(fields._routes) <= MAX_KEPT


BAD: list[tuple[Any, str]] = [
    ({"headers:x": MFA}, "Did you mean 'header:x'"),
    ({"xml:lang": MFA}, r"write '\*:xml:lang'"),
    ({"form:": MFA}, "a field without a name: 'form:'"),
    ({"POST enrol": {"x": MFA}}, "not a route: 'POST enrol'"),
    ({"phone": "security.mfa"}, "'phone' is neither a table nor a taint.Collected: 'str'"),
    ({"/enrol": {"phone": "security.mfa"}}, "field 'phone' is collected for a 'str'"),
    (["phone"], "'collected' is neither a table"),
    ({"phone": Collected("security.mfa", category="user.contact.phone")}, "unknown category"),
]


@pytest.mark.parametrize(("table", "message"), BAD)
def test_mistakes(table: Any, message: str) -> None:
    """A table that cannot be meant is refused when it is given, and says what to write."""
    with pytest.raises(taint.ConfigurationError, match=message):
        CollectedFields(table)


SENT: list[tuple[str, Table, str, bytes, bool]] = [
    ("field", {"phone": MFA}, "query", b"a=1&phone=2", True),
    ("field that is encoded", {"phone": MFA}, "query", b"a=1&%70hone=2", True),
    ("field with a space", {"my phone": MFA}, "query", b"my+phone=2", True),
    ("cookie", {"cookie:session": MFA}, "cookie", b"a=b; session=1", True),
    ("any field", {"query:*": MFA}, "query", b"a=1", True),
    ("pattern", {"ph?ne": MFA}, "query", b"a=1", True),
    ("brackets", {"[ab]": MFA}, "query", b"a=1", True),
    ("other letters", {"téléphone": MFA}, "query", b"a=1", True),
    ("other field", {"phone": MFA}, "query", b"a=1&b=%70hone", False),
    ("other cookie", {"phone": MFA}, "cookie", b"a=b; session=1", False),
    ("other place", {"body:*": MFA}, "query", b"phone=1", False),
    ("nothing sent", {"phone": MFA}, "query", b"", False),
]


@pytest.mark.parametrize(("table", "place", "sent", "is_in"), [row[1:] for row in SENT], ids=[row[0] for row in SENT])
def test_may_be_in_what_was_sent(*, table: Table, place: str, sent: bytes, is_in: bool) -> None:
    """What may have a collected field is told before it is taken apart, and more may than does."""
    assert CollectedFields(table).of("GET", "/").may_be_in(place, sent) is is_in


def test_heads_that_look_the_same() -> None:
    """Whether a head has a collected header depends on all of its names, and is kept for a bounded number of heads."""
    fields = CollectedFields({"header:x-phone": MFA}).of("GET", "/")
    for number in range(MAX_KEPT):
        assert not fields.is_any_of("header", ("host", f"x-{number}"))
        assert len(fields.heads["header"]) <= LONGEST_KEPT  # The bound, which nothing public tells.
    assert fields.is_any_of("header", ("host", "x-phone"))
    assert fields.is_any_of("header", ("host", "X-Phone"))
    assert not fields.is_any_of("path", ("x-phone",))


SENT_BY_CGI: list[tuple[str, Table, dict[str, str], tuple[str, ...], bool]] = [
    ("query", {"phone": MFA}, {"QUERY_STRING": "phone=1"}, (), True),
    ("cookie", {"cookie:c": MFA}, {"HTTP_COOKIE": "c=1"}, (), True),
    ("header", {"header:x-phone": MFA}, {"HTTP_X_PHONE": "1"}, (), True),
    ("path", {"path:p": MFA}, {}, ("p",), True),
    ("body", {"body:phone": MFA}, {"CONTENT_LENGTH": "9"}, (), True),
    ("body in pieces", {"form:phone": MFA}, {"HTTP_TRANSFER_ENCODING": "chunked"}, (), True),
    ("body without a length", {"file:f": MFA}, {"wsgi.input_terminated": "1", "SERVER_PROTOCOL": "HTTP/2"}, (), True),
    ("nothing", {"phone": MFA}, {"QUERY_STRING": "q=1", "HTTP_COOKIE": "c=1", "HTTP_HOST": "a"}, ("p",), False),
    ("no body", {"body:phone": MFA}, {"CONTENT_LENGTH": "0", "REQUEST_METHOD": "GET"}, (), False),
    ("other body", {"query:phone": MFA}, {"CONTENT_LENGTH": "9"}, (), False),
    ("kept alive", {"form:f": MFA}, {"wsgi.input_terminated": "1", "SERVER_PROTOCOL": "HTTP/1.1"}, (), False),
]


@pytest.mark.parametrize(
    ("table", "environ", "parameters", "is_any"), [row[1:] for row in SENT_BY_CGI], ids=[row[0] for row in SENT_BY_CGI]
)
def test_what_a_request_may_have(
    *, table: Table, environ: dict[str, str], parameters: tuple[str, ...], is_any: bool
) -> None:
    """Whether a request may have a collected field is told by its head, as often as it is asked."""
    fields = CollectedFields(table).of("POST", "/")
    assert [bool(fields.is_any_in(environ, parameters)) for _ in range(2)] == [is_any] * 2


def test_collecting_follows_the_policy_and_the_mode() -> None:
    """A request is told what its route collects now, not what it collected when it was first asked for."""
    fields = CollectedFields()
    assert fields.collecting("GET", "/enrol") is None
    taint.configure(policy={"collected": {"GET /enrol": {"phone": {"purpose": "security.mfa"}}}})
    assert fields.collecting("HEAD", "/enrol") is fields.collecting("GET", "/enrol") is fields.of("GET", "/enrol")
    assert fields.collecting("GET", "/other") is None
    set_mode(taint.Mode.OFF)
    assert fields.collecting("GET", "/enrol") is None


def test_names_of_headers_that_are_none_are_bounded() -> None:
    """Ever new names of headers do not fill the memory, and that of cookies is never taken for one of nothing."""
    fields = CollectedFields({"cookie:c": MFA}).of("GET", "/")
    for number in range(MAX_KEPT + 10):
        assert not fields.is_any_header((b"cookie", b"x-%d" % number, b"n" * 10_000))
    assert len(fields.plain_headers) <= MAX_KEPT
    assert b"cookie" not in fields.plain_headers
    assert b"n" * 10_000 not in fields.plain_headers
