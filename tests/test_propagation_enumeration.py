"""Nothing of the standard library's text modules is forgotten: each consumer has a row in the loss table."""

from __future__ import annotations

import re

import pytest

from taint.carriers.overrides import MAKERS
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


def unclassed() -> list[str]:
    """Give the consumers that no row names."""
    sources = "\n".join(row.source for row in all_rows())
    words = set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", sources))
    found = consumers(MODULES)
    return [] if found is None else [name for name in found if name.rpartition(".")[2] not in words]


def test_every_consumer_has_a_row() -> None:
    """A new function of a new Python, and a row that was taken away, are noticed."""
    if consumers(frozenset(("re",))) is None:
        pytest.skip("typeshed comes with mypy, which is not installed")
    assert not unclassed()


@pytest.mark.parametrize(("native", "group"), [(str, "Carriers: what str has"), (bytes, "Carriers: what bytes has")])
def test_every_method_of_a_carrier_has_a_row(native: type, group: str) -> None:
    """Each public method of `str` and `bytes` stands in the table, and each operator that gives labels on."""
    sources = [row.source for row in all_rows() if row.group == group]
    assert not [name for name in dir(native) if name[0] != "_" and not any(f".{name}(" in line for line in sources)]
    forms = {"__getitem__": r"^\w\[", "__add__": r"^\w \+", "__radd__": r"^b?\"a\" \+", "__mul__": r"^\w \*"}
    forms |= {"__rmul__": r"^\d \*", "__iter__": r"^(\[c for|list\(b)"}
    overridden = {name for name in MAKERS if name.startswith("__")}
    assert overridden == set(forms)
    assert not [name for name in overridden if not any(re.match(forms[name], line) for line in sources)]
