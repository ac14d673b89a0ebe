"""The standard library under `install()`: exact ranges, native values, and everything put back."""

from __future__ import annotations

import asyncio
import base64
import binascii
import configparser
import copy
import csv
import hashlib
import hmac
import html
import inspect
import io
import ipaddress
import json
import math
import pickle
import re
import shlex
import string
import sys
import types
import urllib.parse
import uuid
import xml.sax.saxutils
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import taint
from taint import losses
from taint.carriers.containers import path_text
from taint.carriers.values import carriers_in
from taint.propagation import GROUPS
from taint.propagation.follow import known
from taint.propagation.patches import Patch, _applied, apply_patches, revert_patches
from taint.testing import record

PHONE: Any = taint.label("0100", purpose="security.mfa", source="test")
MIXED: Any = "a " + PHONE + " b"


@pytest.fixture(autouse=True)
def _installed() -> Iterator[None]:
    taint.install()
    yield
    taint.uninstall()


def marked(value: Any) -> Any:
    """Show a value with its labelled parts in angle quotes."""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, str):
        text = str.__str__(value)
        for start, stop, _ in reversed(taint.ranges_of(value)):
            text = f"{text[:start]}«{text[start:stop]}»{text[stop:]}"
        return text
    if isinstance(value, dict):
        return {marked(key): marked(item) for key, item in value.items()}
    return [marked(item) for item in value] if isinstance(value, list | tuple) else value


def _csv_line(row: list[Any]) -> str:
    stream = io.StringIO()
    csv.writer(stream).writerow(row)
    return stream.getvalue()


SPECIAL: Any = "x<" + taint.label('é"&', purpose="security.mfa") + ">"


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (lambda: urllib.parse.quote(SPECIAL), "x%3C«%C3%A9%22%26»%3E"),
        (lambda: urllib.parse.unquote(urllib.parse.quote(SPECIAL)), 'x<«é"&»>'),
        (lambda: html.escape(SPECIAL), "x&lt;«é&quot;&amp;»&gt;"),
        (lambda: shlex.quote("x " + taint.label("a'b", purpose="service")), """'x «a'"'"'b»'"""),
        (lambda: xml.sax.saxutils.escape(SPECIAL), 'x&lt;«é"&amp;»&gt;'),
        (lambda: _csv_line(["x", SPECIAL]), 'x,"x<«é""&»>"\r\n'),
        (lambda: html.unescape(html.escape(SPECIAL)), 'x<«é"&»>'),
        (lambda: json.dumps([SPECIAL]), '["x<«\\u00e9\\"&»>"]'),
        (lambda: json.dumps({SPECIAL: 1}, ensure_ascii=False, indent=1), '{\n "x<«é\\"&»>": 1\n}'),
        (lambda: json.loads(json.dumps({SPECIAL: [SPECIAL, "x"]})), {'x<«é"&»>': ['x<«é"&»>', "x"]}),
        (lambda: base64.b64encode(b"abc" + PHONE.encode() + b"\xff\xff"), "YWJj«MDEwMP//»"),
        (lambda: re.sub(r"(\w) ", r"[\1]\n", MIXED), "[a]\n«010»[«0»]\nb"),
        (lambda: re.sub("[ab]", PHONE, "a-b"), "«0100»-«0100»"),
        (lambda: re.split("(0)", MIXED), ["a ", "«0»", "«1»", "«0»", "", "«0»", " b"]),
        (lambda: re.match("(?P<x>z)?(a) (0+)", MIXED).groups("-"), ["-", "a", "«0»"]),  # type: ignore[union-attr]
        (lambda: io.StringIO(MIXED).read(4), "a «01»"),
        (lambda: next(csv.reader(['1,"' + MIXED + '"'])), ["1", "a «0100» b"]),
    ],
)
def test_ranges_are_where_the_labelled_data_went(run: Callable[[], Any], expected: Any) -> None:
    """Escapes, codes and groups that stand for labelled characters are labelled, and nothing beside them."""
    assert marked(run()) == expected


def test_a_stream_is_labelled_where_it_was_written() -> None:
    """Writing over a labelled part takes its label away; what is behind it stays."""
    stream = io.StringIO()
    stream.write("ab" + PHONE + PHONE)
    stream.seek(3)
    stream.write("zz")
    assert marked(stream.getvalue()) == "ab«0»zz«00100»"
    stream.truncate(4)
    assert marked(stream.getvalue()) == "ab«0»z"


def test_a_function_given_to_sub_sees_a_labelled_match_once_for_each() -> None:
    """It is called as often as natively, with a match that is one for isinstance."""
    seen: list[Any] = []

    def replace(match: re.Match[str]) -> str:
        assert isinstance(match, re.Match)
        seen.append(marked(match[0]))
        return match[0].upper()

    assert marked(re.sub("a|0+|b", replace, MIXED)) == "A «0100» B"
    assert seen == ["a", "«0»", "«00»", "b"]


def test_finditer_is_lazy() -> None:
    """Nothing is searched before it is asked for."""
    found = re.finditer("a|(?:0)", MIXED)
    assert next(iter(found)).start() == 0
    assert not isinstance(found, list)


def test_default_is_given_labelled_bytes() -> None:
    """Labelled bytes in an otherwise plain document keep their labels through `default`."""
    document = {"a": 1, "b": [MIXED.encode()]}
    assert marked(json.dumps(document, default=lambda leaf: leaf.decode())) == '{"a": 1, "b": ["a «0100» b"]}'
    assert marked(json.dumps({"a": 1, "b": [b"a"]}, default=lambda leaf: leaf.decode())) == '{"a": 1, "b": ["a"]}'


def test_known_document_is_asked_again_afterwards() -> None:
    """A document that was found plain, and written, is not taken for plain once something labelled is in it."""
    document: dict[str, Any] = {"a": 1}
    assert known.written(json.dumps, document, document) == '{"a": 1}'
    document["b"] = MIXED
    assert marked(json.dumps(document)) == '{"a": 1, "b": "a «0100» b"}'


def test_default_is_asked_once_and_its_answer_keeps_labels() -> None:
    """`default` runs as often as natively, also where its answers bring the labels."""
    asked: list[object] = []

    def default(value: object) -> Any:
        asked.append(value)
        return MIXED

    assert marked(json.dumps([object(), 1], default=default)) == '["a «0100» b", 1]'
    assert len(asked) == 1


def test_equal_keys_keep_their_own_labels() -> None:
    """Json shares equal keys of a document; a labelled one is not shared with a plain one."""
    first, second = json.loads('[{"0100": 1}, {"' + PHONE + '": 2}]')
    assert marked([first, second]) == [{"0100": 1}, {"«0100»": 2}]


def test_a_cache_gives_no_labels_to_an_equal_plain_text() -> None:
    """`urlsplit` and `re` remember texts; labels must not come out of their caches."""
    labelled = "https://b.io/" + PHONE
    assert marked(urllib.parse.urlsplit(labelled).path) == "/«0100»"
    assert marked(urllib.parse.urlsplit(taint.plain(labelled)).path) == "/0100"
    assert marked(urllib.parse.urlsplit(labelled).path) == "/«0100»"
    assert marked(re.compile(PHONE).pattern) == "«0100»"
    assert marked(re.compile("0100").pattern) == "0100"


def test_a_compiled_pattern_is_the_native_one() -> None:
    """Class, copies, pickles and matches of a pattern are native; so is one found in the standard library."""
    pattern = re.compile("0+")
    assert type(pattern) is re.Pattern
    assert type(re.search(pattern, "0100")) is re.Match
    assert type(string.Template.pattern) is re.Pattern
    assert copy.deepcopy(pattern) is pattern
    assert pickle.loads(pickle.dumps(pattern)) == pattern  # noqa: S301  # Written just here.
    found: Any = re.search(pattern, PHONE)
    assert found.re is pattern


def test_a_pattern_of_a_labelled_text_tells_a_zone_what_it_looks_for() -> None:
    """Looking for somebody by a pattern is a comparison, also in code that is not rewritten."""
    pattern = re.compile(re.escape(PHONE))
    assert isinstance(pattern, re.Pattern)
    with record(mode="report") as seen, taint.zone("advertising.audiences"):
        assert pattern.search("tel: 0100")
    assert [violation.evidence for violation in seen.violations] == ["comparison"]
    with record(mode="report") as seen, taint.zone("advertising.audiences"):
        assert re.compile("0100").search("tel: 0100")
    assert not seen.violations


def test_a_parser_of_configuration_reads_by_its_own_patterns() -> None:
    """Delimiters of its own, and a parser that was made before `install()`; its patterns are its own again after."""
    taint.uninstall()
    parser = configparser.ConfigParser(delimiters=("->",))
    taint.install()
    before = dict(vars(parser))
    parser.read_string("[a]\nb -> " + MIXED)
    assert marked(parser["a"]["b"]) == "a «0100» b"
    assert vars(parser).keys() == before.keys()
    assert vars(parser)["_optcre"] is before["_optcre"]


def test_a_template_is_filled_by_its_own_pattern() -> None:
    """A subclass with its own pattern, and values that only turn out to be labelled when they are asked for."""

    class Percent(string.Template):
        delimiter = "%"

    class Late(dict[str, str]):
        def __missing__(self, _key: str) -> Any:
            return PHONE

    assert marked(Percent("tel %name").substitute(name=PHONE)) == "tel «0100»"
    assert marked(string.Template("$a").safe_substitute(Late())) == "«0100»"
    assert marked(string.Template("tel $name").substitute(name="0100")) == "tel 0100"
    with pytest.raises(TypeError):
        string.Template.substitute()  # type: ignore[call-arg]  # That is what is tried.


class UserError(Exception):
    """What a user's function raises."""


def _fail(*_args: object, **_kwargs: object) -> str:
    raise UserError


@pytest.mark.parametrize(
    "run",
    [
        lambda: re.sub("0", _fail, MIXED),
        lambda: json.dumps([MIXED, object()], default=_fail),
        lambda: json.loads('{"a": "' + MIXED + '"}', object_hook=_fail),
        lambda: urllib.parse.urlencode({"a": MIXED}, quote_via=_fail),
    ],
)
def test_an_error_of_the_user_passes_untouched(run: Callable[[], object]) -> None:
    """It is not caught, not wrapped and not reported as ours."""
    with pytest.raises(UserError):
        run()


@pytest.mark.parametrize(
    ("native", "labelled"),
    [
        (lambda: json.loads('{"a": x0100}'), lambda: json.loads('{"a": x' + PHONE + "}")),
        (lambda: re.match("(", "0100"), lambda: re.match("(", PHONE)),
        (lambda: base64.b64decode("010"), lambda: base64.b64decode(PHONE[:3])),
        (lambda: json.dumps(["0100", object]), lambda: json.dumps([PHONE, object])),
    ],
)
def test_errors_are_the_native_ones(native: Callable[[], object], labelled: Callable[[], object]) -> None:
    """Class and message are the same as for plain text."""
    with pytest.raises(Exception) as expected:  # noqa: PT011  # Whatever it is: the other has to be the same.
        native()
    with pytest.raises(expected.type) as seen:
        labelled()
    assert str(seen.value) == str(expected.value)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("https", "b.io", "/" + PHONE, "k", "q", "f"), "https://b.io/«0100»;k?q#f"),
        (("https", "b.io", "/p", PHONE, "", ""), "https://b.io/p;«0100»"),
        (("https", "b.io", "/p", "k", PHONE, ""), "https://b.io/p;k?«0100»"),
        ((b"https", b"b.io", b"/" + PHONE.encode(), b"k", b"", b""), "https://b.io/«0100»;k"),
        (["https", "b.io", "/p", "k", "", ""], "https://b.io/p;k"),
    ],
)
def test_parameters_of_an_address_leave_its_labels(parts: Any, expected: str) -> None:
    """A path with parameters has its labels and theirs, also where an address is taken apart first."""
    made: Any = urllib.parse.urlunparse(parts)
    assert marked(made) == expected
    assert marked(urllib.parse.urlparse(made).geturl()) == expected
    assert marked(urllib.parse.urldefrag(made)[0]) == expected.partition("#")[0]


def test_a_rule_that_fails_costs_positions_only(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """An error of ours gives the native value, labelled as a whole, and is reported."""
    monkeypatch.setattr("taint.propagation.follow.segments", _fail)
    monkeypatch.setattr("taint.guard._reported", set())
    assert marked(urllib.parse.quote(MIXED)) == "«a%200100%20b»"
    assert "following quote" in caplog.text
    assert "0100" not in caplog.text


@pytest.mark.parametrize("function", [json.dumps, urllib.parse.quote, base64.b64encode, re.sub])
def test_a_wrapped_function_is_pickled_and_copied_as_itself(function: Any) -> None:
    """So that it can be sent to another process, or stand in a configuration that is copied."""
    owner = sys.modules[function.__module__]
    wrapped = getattr(owner, function.__name__)
    assert pickle.loads(pickle.dumps(wrapped)) is wrapped  # noqa: S301  # Our own pickle.
    assert copy.deepcopy({"f": wrapped})["f"] is wrapped


def test_a_wrapped_function_is_for_everything_else_the_native_one() -> None:
    """As an attribute of a class, for `isinstance`, `inspect` and C code that asks which function it is given."""

    class Own:
        shown = binascii.hexlify
        hashed = hashlib.sha256
        encoded = staticmethod(base64.b64encode)
        split = urllib.parse.urlsplit

    own: Any = Own()
    assert (own.shown(b"a"), own.encoded(b"a")) == (b"61", b"YQ==")
    assert own.split.__self__ is own
    assert own.hashed(b"a").hexdigest() == hashlib.new("sha256", b"a").hexdigest()
    assert isinstance(binascii.hexlify, types.BuiltinFunctionType)
    assert str(inspect.signature(base64.b64encode)) == "(s, altchars=None)"
    assert inspect.signature(json.JSONEncoder.encode).parameters.keys() == {"self", "o"}
    mac: Any = hmac.new(b"key", b"a", hashlib.sha256)
    assert mac._hmac is not None  # OpenSSL's, not the one in Python.
    assert mac.name == "hmac-sha256"
    assert type(mac) is hmac.HMAC


def test_what_a_class_holds_is_wrapped_as_what_it_is() -> None:
    """A coroutine, static or class method, property or item stays one, and the wrapper is told whose it is."""

    class Owner:
        async def awaited(self, value: int) -> int:
            return value

        @staticmethod
        def static(value: int) -> int:
            return value

        @classmethod
        def of_class(cls, value: int) -> int:
            return value

        @property
        def read(self) -> int:
            return 1

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        told.append(instance)
        return wrapped(*args, **kwargs)

    table = {"item": math.floor}
    before = dict(vars(Owner)), dict(table)
    told: list[Any] = []
    names = ("awaited", "static", "of_class", "read")
    apply_patches((*(Patch(Owner, name, wrapper) for name in names), Patch(table, "item", wrapper)), group="test")
    owner = Owner()
    assert inspect.iscoroutinefunction(owner.awaited)
    assert asyncio.run(owner.awaited(2)) == Owner.static(2) == owner.of_class(2) == table["item"](2.5) == 2
    assert owner.read == 1
    assert told == [owner, None, Owner, None, owner]
    revert_patches(group="test")
    assert (dict(vars(Owner)), table) == before


def test_a_wrapped_function_that_somebody_keeps_passes_everything_through() -> None:
    """After `uninstall` it does what the native one does, with labelled arguments too."""
    kept = (base64.b64encode, binascii.hexlify, hashlib.sha256, json.JSONEncoder.iterencode, re.compile)
    assert marked(kept[1](PHONE.encode())) == "«30313030»"
    taint.uninstall()
    assert marked(kept[0](PHONE.encode())) == "MDEwMA=="
    assert marked(kept[1](PHONE.encode())) == "30313030"
    assert type(kept[2](PHONE.encode())) is type(hashlib.sha256())
    assert not any(map(taint.labels_of, kept[3](json.JSONEncoder(), [PHONE])))
    assert type(kept[4](PHONE)) is re.Pattern


def test_a_hash_object_remembers_what_went_into_it() -> None:
    """Whatever the order, in a copy too, and not in a copy that was made before; else it is the native one."""
    made: Any = hashlib.sha256(b"salt")
    before = made.copy()
    made.update(PHONE.encode())
    assert taint.labels_of(made.hexdigest()) == taint.labels_of(PHONE)
    assert taint.labels_of(made.copy().digest()) == taint.labels_of(PHONE)
    assert taint.labels_of([made]) == taint.labels_of(PHONE)
    assert not taint.labels_of(before.hexdigest())
    assert (made.name, made.digest_size) == ("sha256", 32)
    taint.uninstall()
    assert isinstance(made, type(hashlib.sha256()))
    with pytest.raises(TypeError, match="cannot pickle"):
        pickle.dumps(made)


@pytest.mark.parametrize("digest", ["sha256", lambda *data: hashlib.blake2b(*data), hashlib.sha256])
def test_an_hmac_made_by_its_class_remembers_what_went_into_it(digest: Any) -> None:
    """OpenSSL's and the one in Python: the key, the message, what is added later; the plain one has no labels."""
    later = hmac.HMAC(b"key", digestmod=digest)
    before = later.copy()
    later.update(PHONE.encode())
    for made in (later, later.copy(), hmac.HMAC(PHONE.encode(), b"a", digest), hmac.HMAC(b"a", PHONE.encode(), digest)):
        assert taint.labels_of(made.hexdigest()) == taint.labels_of(made) == taint.labels_of(PHONE)
    assert not taint.labels_of(before.digest())
    taint.uninstall()
    assert hmac.new(b"key", b"0100", digest).digest() == taint.plain(later.digest())


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_are_the_native_ones(protocol: int) -> None:
    """Pickle writes `codecs.encode` into old pickles of bytes: the native one, and nothing of ours."""
    made = pickle.dumps([b"plain", "text", json.dumps], protocol)
    taint.uninstall()
    assert made == pickle.dumps([b"plain", "text", json.dumps], protocol)


def test_stream_classes_are_classes() -> None:
    """`io.StringIO` serves as a base class, a class attribute, in `match` and for streams made before."""

    class Own(io.StringIO):
        kind = io.BytesIO

    taint.uninstall()
    before = io.StringIO()
    taint.install()
    assert isinstance(before, io.StringIO)
    assert isinstance(Own("x"), io.StringIO)
    assert Own("x").kind(b"y").read() == b"y"
    assert not isinstance(io.BytesIO(), io.StringIO)
    match Own("x"):
        case io.StringIO():
            pass
        case _:
            pytest.fail("a pattern did not match")


def test_a_loss_is_counted_by_its_consumer() -> None:
    """What is lost can be asked for; the plain twin counts nothing."""
    losses.reset()
    io.BytesIO(b"plain").getbuffer()
    assert losses.counts() == {}
    io.BytesIO(PHONE.encode()).getbuffer()
    assert losses.counts() == {"io.BytesIO.getbuffer": 1}


def test_everything_is_put_back() -> None:
    """After `uninstall` every name holds the identical object that it held before `install`."""
    taint.uninstall()
    before = {
        (name, attribute): value for name in GROUPS if name in sys.modules for attribute, value in _names_in(name)
    }
    taint.install()
    changed = [(applied.patch.owner, applied.patch.name) for applied in _applied]
    assert len(changed) > 100
    taint.uninstall()
    for name in {name for name, _ in before}:
        for attribute, value in _names_in(name):
            assert value is before[name, attribute], f"{name}.{attribute}"


def _names_in(name: str) -> Iterator[tuple[str, object]]:
    for attribute, value in vars(sys.modules[name]).items():
        yield attribute, value
        if isinstance(value, type) and value.__module__.partition(".")[0] == name.partition(".")[0]:
            for own, item in vars(value).items():
                if not own.startswith("_abc"):
                    yield f"{attribute}.{own}", item


def test_plain_arguments_give_plain_results() -> None:
    """The safe twin of all of this: nothing labelled goes in, nothing labelled comes out."""
    for run in (
        lambda: json.loads(json.dumps({"a": ["0100"]})),
        lambda: re.findall("0", "0100"),
        lambda: urllib.parse.urlencode({"a": "0100"}),
        lambda: list(csv.reader(["0100,1"])),
        lambda: io.StringIO("0100").read(),
    ):
        assert not taint.labels_of(run())


UUID: Any = taint.label("11111111-1111-4111-8111-111111111111", purpose="security.mfa", source="test")


@pytest.mark.parametrize(
    "made",
    [
        lambda: uuid.UUID(UUID),
        lambda: uuid.uuid5(uuid.NAMESPACE_DNS, UUID),
        lambda: copy.copy(uuid.UUID(UUID)),
        lambda: pickle.loads(pickle.dumps(uuid.UUID(UUID))),  # noqa: S301  # Written just here.
        lambda: ipaddress.ip_address(taint.label("192.0.2.7", purpose="security.mfa", source="test")),
        lambda: ipaddress.ip_interface(taint.label("2001:db8::7/64", purpose="security.mfa", source="test")),
    ],
)
def test_an_identifier_made_of_a_labelled_text_has_labels(made: Callable[[], Any]) -> None:
    """A UUID or an IP address is of its exact class and has the text's labels, in a container too, and not in plain."""
    identifier = made()
    assert type(identifier).__module__ in ("uuid", "ipaddress")
    assert taint.labels_of(identifier) == taint.labels_of(UUID)
    assert taint.labels_of({"rows": [(identifier,)]}) == taint.labels_of(UUID)
    assert taint.plain(identifier) == identifier
    assert not taint.labels_of(taint.plain(identifier))
    assert type(int(identifier)) is int
    more = taint.label(identifier, purpose="service", source="test")
    assert taint.labels_of(more) > taint.labels_of(UUID)


def test_an_identifier_is_called_by_its_own_place() -> None:
    """The number inside adds no step to the way that a finding shows."""
    ways = [path_text(way) for way, _ in carriers_in({"rows": [uuid.UUID(UUID)]}, "a")]
    assert ways == ["a.rows[0]"]


def test_an_identifier_of_plain_text_has_no_labels() -> None:
    """A plain UUID and a plain address stay themselves, and `plain` gives the identical object."""
    for identifier in (uuid.UUID(taint.plain(UUID)), ipaddress.ip_address("192.0.2.7")):
        assert not taint.labels_of([identifier])
        assert taint.plain(identifier) is identifier


def test_the_number_of_an_identifier_is_labelled_and_a_document_of_it_too() -> None:
    """`int` of a labelled UUID is an `int` with labels, written by `json` as any number."""
    number = uuid.UUID(UUID).int
    assert number == uuid.UUID(taint.plain(UUID)).int
    assert marked(json.dumps([1, number])) == f"[1, «{int(number)}»]"
    assert type(taint.plain(number)) is int
