"""ujson: the labels' places in a document, both ways, with the native text."""

import io
from typing import Any

import pytest
import ujson

import taint
from tests.integrations.documents import LEAVES, leaves, marked, record, secret


@pytest.fixture(autouse=True)
def installed(nothing_installed: None) -> None:
    """Wrap ujson."""
    taint.install(integrations=["ujson"])


@pytest.mark.parametrize(
    "options", [{}, {"ensure_ascii": False}, {"sort_keys": True}, {"indent": 2}, {"separators": (",", ":")}]
)
def test_round_trip(options: dict[str, Any]) -> None:
    """The text is that for plain values, and loading it labels the same leaves and no others."""
    document = ujson.dumps(record(secret), **options)
    assert document == ujson.dumps(record(str), **options)
    assert leaves(ujson.loads(document)) == LEAVES
    assert leaves(ujson.loads(document.encode())) == LEAVES
    assert type(ujson.dumps(record(str), **options)) is str


def test_ranges() -> None:
    """Exactly the written characters of the labelled values are labelled, escapes included."""
    assert marked(ujson.dumps({"a": "b", "c": ["tel:" + secret('é"')]})) == ['\\u00e9\\"']


def test_key_and_number() -> None:
    """Labelled keys and numbers are written as plain ones, labelled, and come back labelled."""
    document = ujson.dumps({secret("+1415"): secret(5), "n": 5})
    assert marked(document) == ["+1415", "5"]
    assert leaves(ujson.loads(document)) == {".keys()": ["+1415"], ".+1415": [5]}


def test_default() -> None:
    """The labels of what `default` gives stand where that stands."""
    assert marked(ujson.dumps(["x", {1: object()}], default=lambda _value: secret("made"))) == ["made"]


def test_files() -> None:
    """A labelled document that is written to a file and read again is labelled where the file keeps labels."""
    written: list[str] = []

    class File(io.StringIO):
        def write(self, text: str) -> int:
            written.append(text)
            return super().write(text)

    ujson.dump(record(secret), File())
    (document,) = written
    assert document == ujson.dumps(record(str))
    assert leaves(ujson.load(secret(io.StringIO('["x", 1]')))) == {"[0]": ["x"]}
    assert leaves(ujson.load(io.StringIO('["x", 1]'))) == {}


def test_same_exceptions() -> None:
    """What it refuses is refused with its own error."""
    with pytest.raises(TypeError):
        ujson.dumps([secret("x"), object()])
    with pytest.raises(ValueError, match=r"."):
        ujson.loads(secret("{"))


def test_plain_document_stays_plain() -> None:
    """Nothing labelled in, nothing labelled out."""
    assert leaves(ujson.loads(ujson.dumps(record(str)))) == {}
