"""simplejson: the labels' places in a document, both ways, with the native text."""

import io
from typing import Any

import pytest
import simplejson

import taint
from tests.integrations.documents import LEAVES, leaves, marked, record, secret


@pytest.fixture(autouse=True)
def installed(nothing_installed: None) -> None:
    """Wrap simplejson."""
    taint.install(integrations=["simplejson"])


@pytest.mark.parametrize(
    "options", [{}, {"ensure_ascii": False}, {"sort_keys": True}, {"indent": 2}, {"separators": (",", ":")}]
)
def test_round_trip(options: dict[str, Any]) -> None:
    """The text is that for plain values, and loading it labels the same leaves and no others."""
    document = simplejson.dumps(record(secret), **options)
    assert document == simplejson.dumps(record(str), **options)
    assert leaves(simplejson.loads(document)) == LEAVES
    assert leaves(simplejson.loads(document.encode())) == LEAVES
    assert type(simplejson.dumps(record(str), **options)) is str


def test_ranges() -> None:
    """Exactly the written characters of the labelled values are labelled, escapes included."""
    assert marked(simplejson.dumps({"a": "b", "c": ["tel:" + secret('é"')]})) == ['\\u00e9\\"']


def test_key_and_number() -> None:
    """Labelled keys and numbers are written as plain ones, labelled, and come back labelled."""
    document = simplejson.dumps({secret("+1415"): secret(5), "n": 5})
    assert marked(document) == ["+1415", "5"]
    assert leaves(simplejson.loads(document)) == {".keys()": ["+1415"], ".+1415": [5]}


def test_default() -> None:
    """The labels of what `default` gives stand where that stands."""
    assert marked(simplejson.dumps(["x", {1: object()}], default=lambda _value: secret("made"))) == ["made"]


def test_files() -> None:
    """A labelled document that is written to a file and read again is labelled where the file keeps labels."""
    written: list[str] = []

    class File(io.StringIO):
        def write(self, text: str) -> int:
            written.append(text)
            return super().write(text)

    simplejson.dump(record(secret), File())
    (document,) = written
    assert document == simplejson.dumps(record(str))
    assert leaves(simplejson.load(secret(io.StringIO('["x", 1]')))) == {"[0]": ["x"]}
    assert leaves(simplejson.load(io.StringIO('["x", 1]'))) == {}


def test_same_exceptions() -> None:
    """What it refuses is refused with its own error."""
    with pytest.raises(TypeError):
        simplejson.dumps([secret("x"), object()])
    with pytest.raises(ValueError, match=r"."):
        simplejson.loads(secret("{"))


def test_plain_document_stays_plain() -> None:
    """Nothing labelled in, nothing labelled out."""
    assert leaves(simplejson.loads(simplejson.dumps(record(str)))) == {}
