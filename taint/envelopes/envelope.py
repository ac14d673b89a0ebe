"""The format: an envelope is `version.key id.payload.signature`, all of it safe in a header.

The payload is canonical JSON in base64url: the labels, where in the body they are, and a keyed digest
of the body and of the place that it is sent to. The signature is HMAC-SHA256 (RFC 2104) of everything
before it. docs/envelopes.md says it byte by byte, for other languages.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import lru_cache
from itertools import accumulate
from typing import Any, NamedTuple

from taint.carriers.coverage import Coverage, spans_of
from taint.carriers.operations import coverage_of
from taint.carriers.proxy import exact
from taint.envelopes.facts import canonical, label_from, label_table, reduced, undisclosed
from taint.envelopes.keys import EnvelopeKeys, current_keys
from taint.envelopes.pointers import WHOLE, coverage_at, pointers_of
from taint.labels import NO_LABELS, Label, Labels
from taint.propagation.pairing import layered

__all__ = ["HEADER_BYTES", "MAX_BYTES", "MESSAGE_BYTES", "Opened", "Problem", "open_envelope", "seal", "seal_at"]

VERSION = "1"
HEADER_BYTES = 4096
"""The most that is sent in an HTTP header: half of what common servers accept for all headers (nginx: 8 KB)."""
MESSAGE_BYTES = 65536
"""The most that is sent with a message or kept beside a stored value."""
MAX_BYTES = 1 << 20
"""The most that is read."""

_FORM = re.compile(r"(?P<key>[A-Za-z0-9_-]{1,32})\.(?P<payload>[A-Za-z0-9_-]+)\.(?P<mac>[A-Za-z0-9_-]{43})", re.ASCII)
_VERSION = re.compile(r"[0-9A-Za-z]{1,8}\.", re.ASCII)


class Problem(StrEnum):
    """Why an envelope does not say what a body carries."""

    MISSING = "missing"
    TRUNCATED = "truncated"
    """Not of the form that it has to have; cut off, mostly."""
    UNKNOWN_VERSION = "unknown-version"
    UNKNOWN_KEY = "unknown-key"
    FORGED = "forged"
    """The signature is not that of the key."""
    REPLAYED = "replayed"
    """Signed, but for another body or another place."""
    TOO_LARGE = "too-large"
    """The body is larger than what is held back for it."""
    NO_KEY = "no-key"
    """There was nothing to sign with: labels could not be sent."""
    UNFOLLOWED = "unfollowed"
    """A store handed a value on, and not the envelope beside it."""


class Opened(NamedTuple):
    """What an envelope says.

    Args:
        coverage: Of the body, verified.
        claimed: Labels that stand in an envelope which could not be verified.
        problem: Why it could not; None where it could.
        placed: The labels by their pointers, verified.
    """

    coverage: Coverage | None = None
    claimed: Labels = NO_LABELS
    problem: Problem | None = None
    placed: tuple[tuple[str, Labels], ...] = ()


def seal(
    body: str | bytes,
    *,
    context: str = "",
    keys: EnvelopeKeys | None = None,
    max_bytes: int = HEADER_BYTES,
    is_always: bool = False,
) -> str | None:
    """Write the envelope of a body.

    Labels: those of the body, each on the parts that carry it; on all of it where that takes too much
    room; then without what only describes them; then as one label that allows nothing. None is left out.

    Args:
        body: As it is sent; text is meant as UTF-8.
        context: What the body is bound to besides: an envelope of one context is not accepted in another.
        keys: Whose first one signs; those of the process by default.
        max_bytes: The longest that it may be.
        is_always: A body without labels has one too, which says so.

    Returns:
        The envelope; None where the body carries no label and it is not wanted always.

    Raises:
        LookupError: There is no key to sign with.
    """
    coverage = coverage_of(body)
    if not coverage and not is_always:
        return None
    plain = exact(body)
    placed = pointers_of(*_as_text(plain, coverage)) if coverage else {}
    return seal_at(_data(plain), placed, context=context, keys=keys, max_bytes=max_bytes)


def seal_at(
    body: bytes,
    placed: Mapping[str, Labels],
    *,
    context: str = "",
    keys: EnvelopeKeys | None = None,
    max_bytes: int = HEADER_BYTES,
) -> str:
    """Write the envelope of a body whose labels are known by pointer. Labels and arguments as `seal`.

    Raises:
        LookupError: There is no key to sign with.
    """
    signing = (current_keys() if keys is None else keys).signing
    if signing is None:
        raise LookupError("no envelope key")
    key_id, secret = signing
    digest = _body_digest(secret, body, context)
    envelope = ""
    for statement in _statements(placed):
        payload = _base64(canonical(_payload(statement, digest)).encode())
        envelope = f"{VERSION}.{key_id}.{payload}"
        if len(envelope) + 44 <= max_bytes:
            break
    return f"{envelope}.{_mac(secret, envelope)}"


def _statements(placed: Mapping[str, Labels]) -> Iterator[Mapping[str, Labels]]:
    """Give what may be said, the most exact first, the shortest last."""
    yield placed
    everything = Labels(label for labels in placed.values() for label in labels)
    yield {WHOLE: everything}
    yield {WHOLE: reduced(everything)}
    yield {WHOLE: undisclosed()}


def _as_text(body: str | bytes, coverage: Coverage) -> tuple[str | None, Coverage | None]:
    if isinstance(body, str) or type(coverage) is Labels:
        return (body if isinstance(body, str) else None), coverage
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None, coverage
    if len(text) == len(body):
        return text, coverage
    # Of each span, the characters that its bytes belong to.
    ends = _ends(text)
    spans = spans_of(coverage, len(body))
    return text, layered(((bisect_right(ends, a) - 1, bisect_left(ends, b), own) for a, b, own in spans), len(text))


def _ends(text: str) -> list[int]:
    """Give where each character begins in UTF-8, and where the last one ends."""
    return [0, *accumulate(len(character.encode()) for character in text)]


@lru_cache(maxsize=4096)
def _label_text(label: Label) -> str:
    return canonical(label_table(label))


def _payload(placed: Mapping[str, Labels], digest: str) -> dict[str, Any]:
    tables = {label: _label_text(label) for label in {one for labels in placed.values() for one in labels}}
    written = sorted(set(tables.values()))
    index = {text: at for at, text in enumerate(written)}
    return {
        "b": digest,
        "l": [json.loads(text) for text in written],
        "p": [[at, sorted({index[tables[label]] for label in placed[at]})] for at in sorted(placed)],
    }


def open_envelope(
    envelope: object, body: str | bytes, *, context: str = "", keys: EnvelopeKeys | None = None
) -> Opened:
    """Read the envelope of a body, and check that it is of this body and of nobody else's making.

    Args:
        envelope: As it came; anything.
        body: As it came.
        context: As `seal`.
        keys: Which are accepted; those of the process by default.
    """
    if isinstance(envelope, bytes):
        envelope = envelope.decode("latin-1")
    form = _parsed(envelope)
    if isinstance(form, Problem):
        return Opened(problem=form)
    digest, placed = _read(form["payload"])
    secret = (current_keys() if keys is None else keys).secret(form["key"])
    plain = exact(body)
    if secret is None:
        problem = Problem.UNKNOWN_KEY
    elif not hmac.compare_digest(_mac(secret, form.string[: form.start("mac") - 1]), form["mac"]):
        problem = Problem.FORGED
    elif not hmac.compare_digest(_body_digest(secret, _data(plain), context), digest):
        problem = Problem.REPLAYED
    else:
        return Opened(_coverage(plain, placed), placed=tuple(placed))
    return Opened(claimed=Labels(label for _, labels in placed for label in labels), problem=problem)


def _parsed(envelope: object) -> re.Match[str] | Problem:
    if not isinstance(envelope, str) or not envelope:
        return Problem.TRUNCATED if envelope else Problem.MISSING
    version = _VERSION.match(envelope)
    if version is not None and version[0] != f"{VERSION}.":
        return Problem.UNKNOWN_VERSION
    form = _FORM.fullmatch(envelope, version.end()) if version is not None and len(envelope) <= MAX_BYTES else None
    return form or Problem.TRUNCATED


def _read(text: str) -> tuple[str, list[tuple[str, Labels]]]:
    """Read a payload. What is none has no labels to add, and a digest that fits no body."""
    try:
        payload = json.loads(_bytes(text))
        digest, placed = payload["b"], _placed(payload)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return "", []
    return (digest, placed) if isinstance(digest, str) and digest.isascii() else ("", placed)


def _placed(payload: dict[str, Any]) -> list[tuple[str, Labels]]:
    labels = [label_from(table) for table in payload["l"]]
    return [(str(pointer), Labels(labels[at] for at in indexes)) for pointer, indexes in payload["p"]]


def _coverage(body: str | bytes, placed: list[tuple[str, Labels]]) -> Coverage | None:
    if isinstance(body, str):
        return coverage_at(body, placed, len(body))
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return coverage_at(None, placed, len(body))
    coverage = coverage_at(text, placed, len(text))
    if type(coverage) is Labels or not coverage or len(text) == len(body):
        return coverage
    ends = _ends(text)
    return tuple((ends[start], ends[stop], labels) for start, stop, labels in spans_of(coverage, len(text)))


def _data(body: str | bytes) -> bytes:
    return body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body


def _body_digest(secret: bytes, body: bytes, context: str) -> str:
    place = context.encode()
    begin = b"taint-envelope-body.%d." % len(place) + place + b"."
    return _base64(hmac.new(secret, begin + body, hashlib.sha256).digest()[:16])


def _mac(secret: bytes, envelope: str) -> str:
    return _base64(hmac.new(secret, b"taint-envelope." + envelope.encode("ascii"), hashlib.sha256).digest())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
