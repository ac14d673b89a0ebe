"""What stands before a wrapper: a call that is none of its concern is native, and every other one reaches it."""

from __future__ import annotations

import csv
import email
import email.message
import email.policy
import inspect
import io
import ipaddress
import itertools
import json
import json.encoder
import logging
import re
import string
import uuid
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import taint
from taint.carriers.identifiers import put_labels
from taint.carriers.number import TaintedInt
from taint.propagation.guards import on_carriers, on_others
from taint.propagation.rewriting.loader import compile_rewritten

PHONE: Any = taint.label("+14155550100", purpose="security.mfa")
DATA: Any = taint.label(b"+14155550100", purpose="security.mfa")


def one(a: Any) -> Any:
    """Take one argument."""
    return (a,)


def optional(a: Any, b: Any = "x", c: Any = None) -> Any:
    """Take one, and two more."""
    return a, b, c


def by_position(a: Any, b: Any = "x", /) -> Any:
    """Take what has no name."""
    return a, b


def named(a: Any, *, b: Any = "x", type: Any = None) -> Any:  # noqa: A002  # As the guard's own words.
    """Take what is named, once as a word of the guard."""
    return a, b, type


def needed(a: Any, *, b: Any) -> Any:
    """Take what is named and has no default."""
    return a, b


def hidden(a: Any, *, _native: Any = "x") -> Any:
    """Take a name as the guard's own are."""
    return a, _native


def any_number(a: Any, *args: Any, **kwargs: Any) -> Any:
    """Take any number of them."""
    return a, *args, *kwargs.values()


FUNCTIONS = (one, optional, by_position, named, needed, hidden, any_number)


def arguments() -> Iterator[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]]:
    """Give calls that each function takes, with every value in every place."""
    for value, other in itertools.product(("a", PHONE, DATA, None, "x"), repeat=2):
        yield one, (value,), {}
        yield one, (), {"a": value}
        for function in (optional, by_position, any_number):
            yield function, (value,), {}
            yield function, (value, other), {}
        yield optional, (value,), {"c": other}
        yield optional, (), {"b": other, "a": value}
        yield optional, (value, "x", other), {}
        yield any_number, (value,), {"b": other}
        yield named, (value,), {"b": other}
        yield named, (value,), {"type": other}
        yield needed, (value,), {"b": other}
        yield hidden, (value,), {"_native": other}


def _noting(asked: list[Any], function: Callable[..., Any]) -> Callable[..., Any]:
    def concerned(*args: Any, **kwargs: Any) -> Any:
        asked.append((args, kwargs))
        return function(*args, **kwargs)

    return concerned


@pytest.mark.parametrize("is_method", [False, True])
@pytest.mark.parametrize("make", ["carriers", "others"])
def test_a_guard_asks_every_argument(make: str, is_method: bool) -> None:
    """The wrapper is called where an argument is a carrier, and the native function with the same everywhere else."""
    for function, args, kwargs in arguments():
        asked: list[Any] = []
        concerned = _noting(asked, function)
        guard = (
            on_carriers(function, concerned, is_method=is_method)
            if make == "carriers"
            else on_others(function, concerned, frozenset((str, type(None))), is_method=is_method)
        )
        expected = function(*args, **kwargs)
        given = guard(*args, **kwargs)
        assert all(one is other for one, other in zip(given, expected, strict=True)), (function, args, kwargs)
        owner = args[:1] or (kwargs.get("a"),)
        is_labelled = any(value is PHONE or value is DATA for value in (*args, *kwargs.values()))
        if is_method and owner[0] in (PHONE, DATA):
            continue  # The object of a method: each form may ask it or not.
        assert bool(asked) is is_labelled, (function, args, kwargs)


def test_a_wrapper_is_not_given_what_was_left_out() -> None:
    """A default that nobody gave does not reach the wrapper, whose rules count arguments."""
    seen: list[Any] = []

    def concerned(*args: Any, **kwargs: Any) -> None:
        seen.append((args, kwargs))

    on_carriers(optional, concerned)(PHONE)
    on_carriers(optional, concerned)("a", "x", PHONE)
    on_carriers(named, concerned)(PHONE, b="y")
    assert seen == [((PHONE,), {}), (("a", "x", PHONE), {}), ((PHONE,), {"b": "y"})]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_a_guard_refuses_what_the_function_refuses(function: Any) -> None:
    """Its own form is that of the function: the same arguments are missing, too many or unknown, in the same words."""
    if function not in (any_number, hidden, needed):
        guard = _guard(function)
        guard("a")
        assert inspect.signature(guard).replace(return_annotation="Any") == inspect.Signature(
            [parameter.replace(annotation=inspect.Parameter.empty) for parameter in _parameters(function)],
            return_annotation="Any",
        )
    for args, kwargs in (((), {}), (("a",) * 5, {}), (("a",), {"unknown": 1}), (("a",), {"a": 1})):
        try:
            function(*args, **kwargs)
        except TypeError as error:
            with pytest.raises(TypeError, match=f"^{re.escape(str(error))}$"):
                _guard(function)(*args, **kwargs)


def _guard(function: Any) -> Any:
    guard = on_carriers(function, function)
    guard.__name__, guard.__qualname__ = function.__name__, function.__qualname__
    return guard


def _parameters(function: Any) -> list[inspect.Parameter]:
    return list(inspect.signature(function).parameters.values())


@pytest.fixture
def installed() -> Iterator[None]:
    """Wrap the standard library, and nothing else."""
    taint.install(integrations=[])
    yield
    taint.uninstall()


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("run", "is_labelled"),
    [
        (lambda: zlib.crc32(b"a", TaintedInt(1, taint.labels_of(PHONE))), True),
        (lambda: zlib.crc32(b"a", 1), False),
        (lambda: _message("%s %s", ("a", [[PHONE]])), True),
        (lambda: _message("to %(a)s", ({"a": PHONE},)), True),
        (lambda: str(_labelled(uuid.UUID(int=5))), True),
        (lambda: str(uuid.UUID(int=5)), False),
        (lambda: str(_labelled(ipaddress.ip_address("192.0.2.7"))), True),
        (lambda: str(ipaddress.ip_network("192.0.2.0/24")), False),
        (lambda: _message(PHONE, ()), True),
        (lambda: _message("%s %s", ("a", [["b"]])), False),
        (lambda: string.Template("$a").substitute({"a": PHONE}), True),
        (lambda: string.Template("$a").substitute(a=PHONE), True),
        (lambda: string.Template(PHONE).substitute(a="b"), True),
        (lambda: string.Template("$a").substitute(a="b"), False),
        (lambda: re.sub("a", lambda _: PHONE, "a"), True),
        (lambda: re.sub(pattern="a", repl=PHONE, string="a"), True),
        (lambda: re.sub("a", lambda _: "b", "a"), False),
    ],
)
def test_what_may_bring_a_label_is_looked_at(run: Callable[[], Any], is_labelled: bool) -> None:
    """A label that comes by another way than the first plain argument is kept, and none comes from nowhere."""
    assert bool(taint.labels_of(run())) is is_labelled


def _labelled(identifier: Any) -> Any:
    put_labels(identifier, taint.labels_of(PHONE))
    return identifier


def _message(template: Any, args: Any) -> str:
    return logging.LogRecord("a", 20, "f", 1, template, args, None).getMessage()


@pytest.mark.usefixtures("installed")
def test_a_parameter_of_a_header_has_the_labels_of_headers() -> None:
    """What the message itself says does not show in the name of a file, and what its headers say does."""
    message = email.message.Message()
    message["Content-Disposition"] = 'attachment; filename="a.txt"'
    message.set_payload(PHONE)
    assert not taint.labels_of(message.get_filename())
    message["X-Phone"] = PHONE
    assert taint.labels_of(message.get_param("filename", header="content-disposition"))


@pytest.mark.usefixtures("installed")
def test_a_document_that_holds_itself_is_refused_natively() -> None:
    """What is written without a search for cycles was found to have none."""
    document: dict[str, Any] = {"a": [1]}
    document["a"].append(document)
    with pytest.raises(ValueError, match=r"^Circular reference detected$"):
        json.dumps(document)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"ensure_ascii": False},
        {"separators": (",", ":")},
        {"sort_keys": True},
        {"skipkeys": True},
        {"indent": 1},
        {"check_circular": False},
        {"default": str},
    ],
    ids=str,
)
def test_a_plain_document_is_written_as_natively(settings: dict[str, Any]) -> None:
    """Every setting of the encoder counts where it is json's encoder in C that writes."""
    document = {"é": [1.5, float("inf"), None, {"z": "\n", "b": ()}], "a": "é"}
    native = "".join(json.encoder.JSONEncoder.iterencode.__wrapped__(json.JSONEncoder(**settings), document))  # type: ignore[attr-defined]  # Ours.
    assert json.dumps(document, **settings) == native


@pytest.mark.usefixtures("installed")
def test_an_encoder_that_was_taken_away_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that has json encode in Python, to write numbers of its own, goes on so."""
    monkeypatch.setattr("json.encoder.c_make_encoder", None)
    monkeypatch.setattr("json.encoder.FLOAT_REPR", None, raising=False)
    monkeypatch.setattr("json.encoder.encode_basestring_ascii", lambda text: f"<{text}>")
    assert json.dumps({"a": ["b"]}) == "{<a>: [<b>]}"


@pytest.mark.usefixtures("installed")
def test_a_row_has_the_labels_of_its_own_lines() -> None:
    """Also after a row that could not be read, and where a row takes several lines."""
    lines = ["a,b", PHONE + ",c", 5, 'd,"', 'e"', '"' + PHONE, 'x",f', "g"]
    reader = csv.reader(lines)
    assert not taint.labels_of(next(reader))
    assert taint.labels_of(next(reader))
    with pytest.raises(csv.Error):
        next(reader)
    assert [bool(taint.labels_of(row)) for row in reader] == [False, True, False]


@pytest.mark.usefixtures("installed")
def test_a_writer_keeps_its_form_for_the_first_labelled_row() -> None:
    """The writer that labels is made for the first row that needs it, by the settings of the first."""
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=";", quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(["a", "b"])
    writer.writerow(["a", PHONE])
    assert stream.getvalue() == '"a";"b"\n"a";"+14155550100"\n'
    assert [(start, stop) for start, stop, _ in taint.ranges_of(stream.getvalue())] == [(13, 25)]


@pytest.mark.usefixtures("installed")
def test_a_stream_reads_natively_until_it_is_labelled() -> None:
    """A method that was taken from a stream before gives labels afterwards, too."""
    stream = io.StringIO("a\n")
    read, whole = stream.readline, stream.getvalue
    assert (read(), whole(), stream.read(0)) == ("a\n", "a\n", "")
    stream.write(PHONE)
    stream.seek(2)
    assert taint.labels_of(read())
    assert taint.labels_of(whole())
    with pytest.raises(TypeError, match="expected at most 1 argument"):
        stream.read(1, 2)  # type: ignore[call-arg]  # That is the point.


REPLACING = """
def same(value): return value
class Own:
    search = "-".join
    def split(self, *args): import sys; return sys._getframe(1).f_code.co_name
def replaced(text, old, new): return same(text).replace(same(old), same(new))
def limited(text, old, new): return same(text).replace(same(old), same(new), same(1))
def other(items): return Own().search(same(items))
def caller(): return Own().split(same(1))
def wrong(text): return same(text).replace(same(1))
"""


def test_a_method_of_computed_arguments_is_asked_by_them() -> None:
    """It keeps labels where an argument has some; whose method it is decides, not its name here."""
    names: dict[str, Any] = {"__name__": "shop"}
    exec(compile_rewritten(REPLACING.encode(), "shop.py"), names)  # noqa: S102  # What is tested is code.
    assert names["replaced"]("a-b", "-", "+") == "a+b"
    assert type(names["replaced"]("a-b", "-", "+")) is str
    assert taint.labels_of(names["replaced"]("a-b", "-", PHONE))
    assert taint.labels_of(names["limited"](b"a-b", b"-", DATA))
    assert names["other"](["a", "b"]) == "a-b"
    assert taint.labels_of(names["other"](["a", PHONE]))
    assert names["caller"]() == "caller"
    with pytest.raises(TypeError) as native:
        "a".replace(1)  # type: ignore[call-arg, arg-type]  # That is the point.
    with pytest.raises(TypeError, match=f"^{re.escape(str(native.value))}$"):
        names["wrong"]("a")
