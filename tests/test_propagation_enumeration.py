"""Nothing of the standard library's text modules is forgotten: each consumer has a row, or stands on a list."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.losses.table import all_rows
from tests.losses.typeshed import consumers

MODULES = frozenset(
    (
        *("re", "json", "json.decoder", "json.encoder", "hashlib", "hmac", "base64", "binascii", "quopri", "codecs"),
        *("struct", "marshal", "pickle", "copy", "zlib", "gzip", "bz2", "lzma", "urllib.parse", "html", "html.parser"),
        *("http.cookies", "mimetypes", "string", "textwrap", "unicodedata", "shlex", "pprint", "reprlib", "difflib"),
        *("ast", "locale", "stringprep", "fnmatch", "glob", "io", "csv", "configparser", "posixpath", "ntpath"),
        *("pathlib", "uuid", "ipaddress", "decimal", "fractions", "datetime", "time", "email", "email.message"),
        *("email.utils", "email.header", "email.quoprimime", "email.base64mime", "email.mime.text", "plistlib"),
        *("xml.etree.ElementTree", "xml.sax.saxutils", "xml.dom.minidom", "logging", "subprocess", "tomllib"),
        *("sys", "operator", "collections", "tokenize", "traceback", "linecache", "keyword", "inspect"),
    )
)
UNCLASSED = Path(__file__).parent / "losses" / "unclassed.lst"


def unclassed() -> list[str]:
    """Give the consumers that no row names."""
    sources = "\n".join(row.source for row in all_rows())
    words = set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", sources))
    found = consumers(MODULES)
    return [] if found is None else [name for name in found if name.rpartition(".")[2] not in words]


def test_every_consumer_has_a_row_or_stands_on_the_list() -> None:
    """A new function of a new Python, and a row that was taken away, are noticed."""
    if consumers(frozenset(("re",))) is None:
        pytest.skip("typeshed comes with mypy, which is not installed")
    listed = set(UNCLASSED.read_text(encoding="utf-8").split())
    assert set(unclassed()) <= listed


def test_the_list_names_nothing_that_has_a_row() -> None:
    """A consumer that gets a row leaves the list."""
    words = {word for row in all_rows() for word in re.findall(r"[A-Za-z_][A-Za-z0-9_]*", row.source)}
    listed = UNCLASSED.read_text(encoding="utf-8").split()
    assert not [name for name in listed if name.rpartition(".")[2] in words]
