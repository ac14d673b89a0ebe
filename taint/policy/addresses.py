"""Finding the sink that holds at an address: a request's, a file's, a bucket's, a recipient's, a logger's, a program's.

A policy names addresses by patterns, `[sinks."ads.api"] at = { http = ["https://api.ads.example/*"] }`. Of
those that match, the most specific holds: the one with the most characters that are no `*` or `?`.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from taint.policy.rules import Address

__all__ = ["AddressBook", "address_mistake"]

_REMEMBERED = 1024
_URL = re.compile(r"([A-Za-z*?][A-Za-z0-9+.*?-]*)://([^/]*)(.*)", re.DOTALL)
_REQUEST = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^?#]*)")
_SCHEMES = frozenset(("http", "https", "ws", "wss"))
_PORTS = {"http": ":80", "https": ":443", "ws": ":80", "wss": ":443"}


def address_mistake(kind: str, pattern: str) -> str:
    """Say what is wrong with a pattern of a kind; nothing where it can be meant."""
    if kind == "mail" and "@" not in pattern and pattern != "*":
        return f"{pattern!r} is no recipient's address. It has an @, as in '*@ads.example'"
    if kind == "http":
        if any(letter.isspace() for letter in pattern):
            return f"{pattern!r} has a space, which no address of a request has. Take it out"
        scheme = pattern.partition("://")[0] if "://" in pattern else "*"
        if not any(_compiled(scheme)(known) for known in _SCHEMES):
            return f"{pattern!r} has the scheme {scheme!r}. Requests have http, https, ws or wss. Name one of them"
    return ""


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> Callable[[str], object]:
    """Make a matcher of whole texts; a bracket is a bracket, as in an IPv6 address."""
    pieces = {"*": ".*", "?": "."}
    written = "".join(pieces.get(letter) or re.escape(letter) for letter in pattern)
    return re.compile(written, re.DOTALL).fullmatch


def _specificity(pattern: str) -> tuple[int, int]:
    return sum(letter not in "*?" for letter in pattern), len(pattern)


class _Request(NamedTuple):
    """A pattern of requests: each part is matched by itself, so that `*` in a host never reaches into a path."""

    scheme: Callable[[str], object]
    host: Callable[[str], object]
    path: Callable[[str], object] | None
    address: Address


def _request(address: Address) -> _Request:
    pattern = address.pattern if "://" in address.pattern else f"*://{address.pattern}"
    found = _URL.fullmatch(pattern)
    scheme, host, path = ("*", address.pattern, "") if found is None else found.groups()
    scheme = scheme.lower()
    return _Request(
        _compiled(scheme),
        _compiled(_host(scheme, host)),
        None if path in {"", "/*", "*"} else _compiled(_path(path)),
        address,
    )


def _host(scheme: str, authority: str) -> str:
    host = authority.rpartition("@")[2].lower()
    if not host.isascii():
        with contextlib.suppress(UnicodeError):  # Not the name of a host: it matches what is written like it.
            host = host.encode("idna").decode()
    return host.removesuffix(_PORTS.get(scheme, ":")).removesuffix(".")


def _path(path: str) -> str:
    """Give a path as servers read it: `/v1/%61ds` and `/v1/x/../ads` are `/v1/ads`."""
    if "%" in path:
        path = unquote(path, errors="replace")
    if "//" in path or "/." in path:
        end = "/" if path.endswith(("/", "/.", "/..")) else ""
        path = posixpath.normpath("/" + path.lstrip("/")).rstrip("/") + end
    return path or "/"


class AddressBook:
    """The addresses of a policy's sinks.

    Args:
        addresses: In the order of the file, of which the first holds where two are equally specific.
    """

    def __init__(self, addresses: Iterable[Address]) -> None:
        ordered = sorted(addresses, key=lambda one: _specificity(one.pattern), reverse=True)
        self.kinds = frozenset(one.kind for one in ordered)
        self._requests = [_request(one) for one in ordered if one.kind == "http"]
        self._others: dict[str, list[tuple[Callable[[str], object], Address]]] = {}
        for one in ordered:
            if one.kind != "http":
                self._others.setdefault(one.kind, []).append((_compiled(_written(one)), one))
        self._by_host: dict[tuple[str, str], tuple[_Request, ...]] = {}

    def find(self, kind: str, *names: str) -> Address | None:
        """Give the address that holds.

        Args:
            kind: Of address.
            names: What it is called; one that has several names (a program, by itself and by its path) has all.
        """
        if kind == "http":
            return self._find_request(names[0])
        for matches, address in self._others.get(kind, ()):
            if any(matches(name) for name in names):
                return address
        return None

    def _find_request(self, url: str) -> Address | None:
        parts = _REQUEST.match(url)
        if parts is None:
            return None
        scheme, authority, path = parts.groups()
        key = scheme, authority
        requests = self._by_host.get(key)
        if requests is None:
            scheme = scheme.lower()
            host = _host(scheme, authority)
            requests = tuple(one for one in self._requests if one.scheme(scheme) and one.host(host))
            if len(self._by_host) >= _REMEMBERED:
                self._by_host.clear()
            self._by_host[key] = requests
        if not requests:
            return None
        path = _path(path)
        return next((one.address for one in requests if one.path is None or one.path(path)), None)


def _written(address: Address) -> str:
    """Give the pattern as names of its kind are written."""
    pattern = address.pattern
    if address.kind == "file" and not pattern.startswith("*"):
        return os.path.abspath(os.path.expanduser(pattern))  # noqa: PTH100, PTH111  # Text, with wildcards in it.
    if address.kind == "bucket" and "/" not in pattern:
        return f"{pattern}/*"
    return pattern.lower() if address.kind == "mail" else pattern
