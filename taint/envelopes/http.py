"""Envelopes over HTTP: what a client adds to a request, what a server answers, and who is asked at all.

A client adds an envelope to every request to one of our own hosts, also where there are no labels: it
shows that the client has a key, and only to such a client does a server answer with labels.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from urllib.parse import urlsplit

from taint.envelopes.carrying import arrived, leaving
from taint.envelopes.hosts import is_own_host
from taint.envelopes.keys import current_keys
from taint.modes import is_off

__all__ = ["HEADER", "REQUEST", "RESPONSE", "add_to_request", "answer", "is_own", "read_response"]

HEADER = "Taint-Envelope"
REQUEST, RESPONSE = "http.request", "http.response"
"""The contexts that envelopes of requests and of responses are bound to."""

_PORTS = {"http": 80, "https": 443}


def is_own(url: str) -> bool:
    """Tell whether a URL is of one of our own hosts."""
    try:
        parts = urlsplit(str.__str__(url))
        return is_own_host(parts.hostname, parts.port or _PORTS.get(parts.scheme))
    except ValueError:
        return False


def add_to_request(url: str, headers: MutableMapping[str, str], body: bytes | None) -> None:
    """Add the envelope of a request that is about to be sent; to a foreign host, take one off.

    Labels: of the body, in the header. Those of a body that is made as it is sent are not sent.

    Args:
        url: Where it goes.
        headers: Of the request; changed in place.
        body: Its bytes with their labels; None where they are not known yet.
    """
    if is_off():
        return
    headers.pop(HEADER, None)
    if not is_own(url) or body is None:
        return
    envelope = leaving(body, channel="http", context=REQUEST, is_always=current_keys().signing is not None)
    if envelope is not None:
        headers[HEADER] = envelope


def read_response(url: str, envelope: str | None, body: bytes) -> bytes:
    """Label what one of our own hosts has answered. Labels: those of the envelope; of a foreign host none are read."""
    if envelope is None or not is_own(url):
        return body
    return arrived(body, envelope, channel="http", context=RESPONSE)


def answer(body: bytes) -> str | None:
    """Give the envelope of a response to a client that has shown one; None where there is nothing to say."""
    return leaving(body, channel="http", context=RESPONSE)
