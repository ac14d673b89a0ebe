"""What holds for every library that has the interface of `json`: a class of tests for each to derive from."""

from __future__ import annotations

import io
from typing import Any

import pytest

import taint
from tests.integrations.documents import LEAVES, leaves, marked, record, secret

__all__ = ["JsonLibrary"]


class JsonLibrary:
    """The labels' places in a document, both ways, with the native text."""

    library: Any

    @pytest.fixture(autouse=True)
    def installed(self, nothing_installed: None) -> None:
        """Wrap the library."""
        taint.install(integrations=[self.library.__name__])

    @pytest.mark.parametrize(
        "options", [{}, {"ensure_ascii": False}, {"sort_keys": True}, {"indent": 2}, {"separators": (",", ":")}]
    )
    def test_round_trip(self, options: dict[str, Any]) -> None:
        """The text is that for plain values, and loading it labels the same leaves and no others."""
        document = self.library.dumps(record(secret), **options)
        assert document == self.library.dumps(record(str), **options)
        assert leaves(self.library.loads(document)) == LEAVES
        assert leaves(self.library.loads(document.encode())) == LEAVES
        assert type(self.library.dumps(record(str), **options)) is str

    def test_ranges(self) -> None:
        """Exactly the written characters of the labelled values are labelled, escapes included."""
        assert marked(self.library.dumps({"a": "b", "c": ["tel:" + secret('é"')]})) == ['\\u00e9\\"']

    def test_key_and_number(self) -> None:
        """Labelled keys and numbers are written as plain ones, labelled, and come back labelled."""
        document = self.library.dumps({secret("+1415"): secret(5), "n": 5})
        assert marked(document) == ["+1415", "5"]
        assert leaves(self.library.loads(document)) == {".keys()": ["+1415"], ".+1415": [5]}

    def test_default(self) -> None:
        """The labels of what `default` gives stand where that stands."""
        assert marked(self.library.dumps(["x", {1: object()}], default=lambda _value: secret("made"))) == ["made"]

    def test_files(self) -> None:
        """A labelled document that is written to a file and read again is labelled where the file keeps labels."""
        written: list[str] = []

        class File(io.StringIO):
            def write(self, text: str) -> int:
                written.append(text)
                return super().write(text)

        self.library.dump(record(secret), File())
        (document,) = written
        assert document == self.library.dumps(record(str))
        assert leaves(self.library.load(secret(io.StringIO('["x", 1]')))) == {"[0]": ["x"]}
        assert leaves(self.library.load(io.StringIO('["x", 1]'))) == {}

    def test_same_exceptions(self) -> None:
        """What it refuses is refused with its own error."""
        with pytest.raises(TypeError):
            self.library.dumps([secret("x"), object()])
        with pytest.raises(ValueError, match=r"."):
            self.library.loads(secret("{"))

    def test_plain_document_stays_plain(self) -> None:
        """Nothing labelled in, nothing labelled out."""
        assert leaves(self.library.loads(self.library.dumps(record(str)))) == {}
