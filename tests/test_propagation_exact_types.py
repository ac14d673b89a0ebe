"""What asks for exactly `str` and `bytes` takes what is labelled as it takes the same plain."""

from __future__ import annotations

import collections
import csv
import io
import pickle
import re
from collections.abc import Iterator
from typing import Any
from wsgiref.handlers import SimpleHandler
from wsgiref.headers import Headers

import pytest

import taint
from taint import losses


@pytest.fixture(autouse=True)
def _installed() -> Iterator[None]:
    taint.install(integrations=[])
    yield
    taint.uninstall()


def phone() -> Any:
    """Give a labelled text."""
    return taint.label("0100", purpose="security.mfa")


def served(status: Any, headers: list[tuple[Any, Any]], body: list[Any]) -> tuple[bytes, str]:
    """Give a response without its date, and what is said of errors."""
    out, errors = io.BytesIO(), io.StringIO()

    def application(_environment: Any, start_response: Any) -> list[Any]:
        start_response(status, headers)
        return body

    handler = SimpleHandler(io.BytesIO(), out, errors, {"SERVER_PROTOCOL": "HTTP/1.1", "REQUEST_METHOD": "GET"})
    handler.run(application)
    return re.sub(rb"Date: [^\r]*\r\n", b"", out.getvalue()), errors.getvalue()


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        ("200 OK", [("X-Phone", phone())], [b"body"]),
        ("200 OK", [("X-" + phone(), "a " + phone())], [b"body"]),
        ("200 " + phone(), [], [b"body"]),
        ("200 OK", [], [phone().encode(), b" and ", phone().encode()]),
        ("200 OK", [("X-Phone", "0100")], [b"0100"]),
    ],
)
def test_a_response_is_the_native_one(status: Any, headers: list[tuple[Any, Any]], body: list[Any]) -> None:
    """Labels change nothing of what is sent, and no error is said."""
    response, errors = served(status, list(headers), list(body))
    plain = [(taint.plain(name), taint.plain(value)) for name, value in headers]
    assert (response, errors) == served(taint.plain(status), plain, list(map(taint.plain, body)))
    assert errors == ""
    assert b"200 " in response


def test_what_the_server_refuses_it_still_refuses() -> None:
    """A header that is no text is an error, as natively."""
    with pytest.raises(AssertionError, match="must be of type str"):
        Headers([("X-Phone", 100)])  # type: ignore[list-item]  # On purpose.
    assert "must be of type str" in served("200 OK", [("X-Phone", phone().encode())], [])[1]


def test_headers_keep_labels_and_a_socket_does_not() -> None:
    """A header is labelled until it is written; a body that is written is counted, a plain one is not."""
    assert taint.labels_of(Headers([("X-Phone", phone())])["x-phone"])
    assert not taint.labels_of(Headers([("X-Phone", "0100")])["x-phone"])
    losses.reset()
    served("200 OK", [], [b"0100"])
    assert losses.counts() == {}
    served("200 OK", [], [phone().encode()])
    assert losses.counts() == {"wsgiref.handlers.BaseHandler.write": 1}
    losses.reset()


def namedtuple(*args: Any, **kwargs: Any) -> Any:
    """Make a class, by the function that stands there now."""
    make: Any = vars(collections)["namedtuple"]
    return make(*args, **kwargs)


def named(text: Any) -> Any:
    """Give a labelled text of a name."""
    return taint.label(text, purpose="security.mfa")


@pytest.mark.parametrize(
    ("typename", "names"),
    [
        ("Row", named("name, phone")),
        ("Row", "name " + named("phone")),
        ("Row", [named("name"), "phone"]),
        ("Row", ("name", named("phone"))),
        (named("Row"), ["name", "phone"]),
        ("Row", "name phone"),
    ],
)
def test_a_named_tuple_is_the_native_one(typename: Any, names: Any) -> None:
    """Its names are plain, and what is put into it keeps labels."""
    made = namedtuple(typename, names)
    assert (made.__name__, made._fields, made.__module__) == ("Row", ("name", "phone"), __name__)
    assert {type(name) for name in made._fields} == {str}
    row = made("Ada", phone())
    assert repr(row) == "Row(name='Ada', phone='0100')"
    assert (bool(taint.labels_of(row.phone)), bool(taint.labels_of(row.name))) == (True, False)


def test_the_first_row_of_a_file_names_a_tuple() -> None:
    """The usual way to read a file of rows."""
    rows = csv.reader(["name,phone", "Ada," + phone()])
    made = namedtuple("Row", next(rows))
    assert taint.labels_of(made(*next(rows)).phone)
    labelled = csv.reader([named("name,phone"), "Ada,0100"])
    made = namedtuple("Row", next(labelled))
    assert not taint.labels_of(made(*next(labelled)))


Pair = namedtuple("Pair", "a b")


def test_the_rest_of_a_named_tuple_is_the_native_one() -> None:
    """Its errors, its options, its module; and it is put back."""
    wrapped: Any = vars(collections)["namedtuple"]
    with pytest.raises(ValueError, match="cannot be a keyword: 'class'"):
        wrapped("Row", named("class"))
    with pytest.raises(TypeError, match=r"^namedtuple\(\) missing 1 required positional argument: 'field_names'$"):
        wrapped("Row")
    made = wrapped(field_names=named("a a"), typename="Row", rename=True, defaults=[phone()], module="elsewhere")
    assert (made._fields, made.__module__) == (("a", "_1"), "elsewhere")
    assert taint.labels_of(made("x"))
    assert pickle.loads(pickle.dumps(Pair("x", phone()))) == ("x", "0100")  # noqa: S301  # Made just here.
    taint.uninstall()
    assert wrapped is not vars(collections)["namedtuple"]
    assert namedtuple("Row", "a").__module__ == __name__
