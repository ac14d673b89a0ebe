"""Decoding: other readings of a text that a value may hide in, each bounded in size and depth.

URL-encoded, HTML-escaped and JSON-escaped text; bodies in base64 and gzip. A reading is tried only
where the text bears its mark (`%40`, `&amp;`, a backslash, the gzip magic), so that plain JSON and
CSV are read once.
"""

from __future__ import annotations

import binascii
import html
import re
import zlib
from collections.abc import Iterator
from typing import Protocol
from urllib.parse import unquote_plus

__all__ = ["Counter", "views_of"]

MAXIMUM_DEPTH = 3
MAXIMUM_BYTES = 64 * 1024 * 1024
"""What one body may unpack to, so that a small payload cannot fill the memory."""

_GZIP = b"\x1f\x8b\x08"
_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")
_ENTITY = re.compile(r"&(?:#[0-9]+|#x[0-9A-Fa-f]+|[A-Za-z]+);")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_BASE64 = re.compile(r"(?:data:[^,\s]*;base64,|[Bb]asic )?([A-Za-z0-9+/_\-\r\n]{12,}={0,2})\s*")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


class Counter(Protocol):
    """Who is told that something was not read."""

    unread: int


def views_of(text: str | bytes, counter: Counter, depth: int = 0) -> Iterator[tuple[str, str | bytes]]:
    """Give the other readings of a text, and the readings of those.

    Args:
        text: A text, or bytes of UTF-8 or gzip.
        counter: Is told of what is not read, because it is too large or nested too deep.
        depth: How many readings lead to the text; leave it out.

    Yields:
        The name of the reading (`url`, `html`, `escapes`, `base64`, `gzip`) and what it gives.
    """
    for name, view in _views(text, counter, is_first=depth == 0):
        if depth >= MAXIMUM_DEPTH:
            counter.unread += 1
            return  # Said, not followed: each reading may be larger than the one before.
        yield name, view
        for inner, deeper in views_of(view, counter, depth + 1):
            yield f"{name}.{inner}", deeper


def _views(text: str | bytes, counter: Counter, *, is_first: bool) -> Iterator[tuple[str, str | bytes]]:
    if isinstance(text, bytes):
        if text.startswith(_GZIP):
            unpacked = _gunzip(text, counter)
            if unpacked is not None:
                yield "gzip", unpacked
            return
        try:
            text = text.decode()
        except UnicodeDecodeError:
            return
    if "%" in text and _PERCENT.search(text):
        yield "url", unquote_plus(text, errors="replace")
    elif is_first and "+" in text and "=" in text and not any(mark in text for mark in ' \n"<{'):
        yield "url", text.replace("+", " ")
    if "&" in text and _ENTITY.search(text):
        yield "html", html.unescape(text)
    if "\\" in text:
        yield "escapes", _ESCAPE.sub(_unescaped, text)
    body = _BASE64.fullmatch(text)
    decoded = _base64(body[1]) if body is not None else None
    if decoded is not None:
        yield "base64", decoded


def _unescaped(found: re.Match[str]) -> str:
    code = found[1] or found[2]
    return chr(int(code, 16)) if code else _ESCAPED.get(found[3], found[3])


def _base64(text: str) -> str | bytes | None:
    """Decode a body, where it is text or gzip: anything else that looks like base64 is a key or a word."""
    packed = "".join(text.split()).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        data = binascii.a2b_base64(packed + "=" * (-len(packed) % 4))
    except ValueError:
        return None
    if data.startswith(_GZIP):
        return data
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _gunzip(data: bytes, counter: Counter) -> bytes | None:
    unpacker = zlib.decompressobj(31)  # 16 for the gzip header and 15 for the largest window.
    try:
        found = unpacker.decompress(data, MAXIMUM_BYTES)
    except zlib.error:
        return None
    if unpacker.unconsumed_tail or not unpacker.eof:
        counter.unread += 1
    return found
