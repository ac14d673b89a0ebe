"""A value's own labels, beside it in its row: text with one label a line, and a seal.

The seal holds the labels against the value that they were written with. Where something that does not know of
them has changed the value since (SQL text, another program), or the labels themselves, that is found when both are
read. With a key nobody can make a seal who does not have it; without one it is a short check that finds mistakes.
It is so short, 16 bits, because it stands beside a value that may be encrypted and must not give that away.
"""

from __future__ import annotations

import datetime as dt
import hmac
import inspect
import json
import uuid
from binascii import crc_hqx
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from hmac import compare_digest
from typing import Any

from taint.carriers.proxy import exact
from taint.errors import ConfigurationError
from taint.labels import NO_LABELS, Label, Labels, Trace

__all__ = ["DERIVED", "decoded", "encoded", "opened", "sealed", "set_seal_keys"]

DERIVED = '{"derived":1}'
"""The first line of labels that a statement of SQL joined: of a value that was not known here."""

_SEAL = '{"seal":"'
_UNKEYED = _SEAL + ':%04x"}'
_MIN_KEY_BYTES = 32
_SUBJECT = ',"subject":"'
"""Is never part of a value: a quote in one has a backslash before it."""
_UNCHECKED = "-"
"""Follows the seal of a value that a column may give back as another: it is the labels' alone."""

_keys: dict[str, bytes] = {}

# Those that nothing has wrapped: what they read here is the library's own.
_scan: Callable[[str, int], tuple[Any, int]] = vars(json.JSONDecoder())["scan_once"]
_hmac: Callable[[bytes, bytes, str], bytes] = inspect.unwrap(hmac.digest)


def _label(line: str) -> Label:
    """Read one label; those that differ in the person alone, as those of a table do, are read once."""
    head, mark, rest = line.partition(_SUBJECT)
    subject, _, tail = rest.partition('"')
    if mark and subject.isprintable() and "\\" not in subject:
        one = _label_of(head + tail)
        if one.subject is None:  # Written out, for `dataclasses.replace` takes twice as long.
            return Label(
                one.purposes, one.category, one.source, subject, one.consent, one.trace, derivation=one.derivation
            )
    return _label_of(line)


@lru_cache(maxsize=4096)
def _label_of(line: str) -> Label:
    fields, end = _scan(line, 0)
    if end != len(line):
        raise ValueError
    trace = fields.pop("trace", None)
    purposes = frozenset(map(str, fields.pop("purposes")))
    return Label(purposes, **fields, trace=None if trace is None else Trace.parse(trace))


def set_seal_keys(keys: Mapping[str, bytes]) -> dict[str, bytes]:
    """Exchange the keys of seals: the first one seals, each is accepted. None are left unkeyed seals.

    Args:
        keys: Secrets of at least 32 bytes, by their ids of letters and digits.

    Returns:
        Those before.

    Raises:
        ConfigurationError: One is not usable.
    """
    global _keys  # Replaced as a whole.
    for name, secret in keys.items():
        if not name.isalnum() or len(secret) < _MIN_KEY_BYTES:
            raise ConfigurationError(
                f"a key of seals is not usable: {name!r}. Keys are bytes, at least {_MIN_KEY_BYTES} of them, by ids "
                "of letters and digits. Make one with os.urandom(32), and keep it."
            )
    before, _keys = _keys, dict(keys)
    return before


def encoded(labels: Labels) -> str:
    """Write labels as text, one a line, in a stable order."""
    return "\n".join(sorted(map(_line, labels)))


@lru_cache(maxsize=4096)
def _line(label: Label) -> str:
    fields = {
        "purposes": sorted(label.purposes),
        "category": label.category,
        "source": label.source,
        "subject": label.subject,
        "consent": label.consent,
        "trace": None if label.trace is None else str(label.trace),
        "derivation": None if label.derivation == "direct" else label.derivation,
    }
    return json.dumps({name: value for name, value in fields.items() if value is not None}, separators=(",", ":"))


def decoded(text: str) -> Labels:
    """Read labels that `encoded` wrote; those of several values, joined by line ends, are joined.

    Raises:
        ValueError: It is something else.
    """
    found: list[Label] = []
    for line in text.split("\n"):
        if not line or line == DERIVED or line.startswith(_SEAL):
            continue
        try:
            found.append(_label(line))
        except (AttributeError, KeyError, StopIteration, TypeError, ValueError):
            raise ValueError("not the text of labels") from None
    return Labels(found)


_known = lru_cache(maxsize=4096)(decoded)


@lru_cache(maxsize=4096)
def _begun(lines: str) -> tuple[Labels, int] | None:
    """Read labels, and begin the check without a key of a text, which goes on with its characters; None if joined."""
    if lines.startswith(DERIVED):
        return None
    try:
        return _known(lines), crc_hqx(lines.encode("utf-8", "surrogatepass") + b"\0s", 0)
    except ValueError:
        return None


def sealed(labels: Labels, value: object) -> str | None:
    """Write the labels of a value, none too, with the seal that holds them to it; None for None."""
    value = exact(value)
    if value is None:
        return None
    lines = encoded(labels)
    name, secret = next(iter(_keys.items()), ("", b""))
    check = _UNCHECKED if isinstance(value, float | dt.datetime) or not _canonical(value) else ""
    seal = f'{_SEAL}{name}:{_digest(secret, lines, b"" if check else _canonical(value))}{check}"}}'
    return f"{lines}\n{seal}" if lines else seal


def opened(  # noqa: C901, PLR0911  # One for each thing that may be wrong.
    text: object, value: object = None, *, is_whole: bool
) -> tuple[Labels, str]:
    """Read the labels beside a value.

    Args:
        text: What stands there.
        value: What they belong to, as it was loaded.
        is_whole: It is the value of the column, and not something that is made of it.

    Returns:
        Its labels, and what is wrong with them in words; empty words where nothing is.
    """
    if text is None:
        return NO_LABELS, "a value was written without its labels"
    if not isinstance(text, str):
        return NO_LABELS, "it holds something else than labels"
    lines, _, last = text.rpartition("\n")
    if type(value) is str and is_whole and not _keys and (begun := _begun(lines)) is not None:
        # The commonest, in one comparison: this is run for every row. Whatever else it is, is found below.
        labels, check = begun
        if last == _UNKEYED % crc_hqx(value.rstrip(" ").encode("utf-8", "surrogatepass"), check):
            return labels, ""
    has_seal = last.startswith(_SEAL)
    try:
        labels = _known(lines if has_seal else text)
    except ValueError:
        return NO_LABELS, "it holds something else than labels"
    if text.startswith(DERIVED):
        return labels, "labels were joined by the database, so that they cannot be held against their value"
    if not has_seal:
        return labels, "labels are not sealed"
    name, _, digest = last[len(_SEAL) : -2].partition(":")
    if (secret := _keys.get(name, b"")) == b"" and (name or _keys):
        return labels, "labels are not signed with a key that is known here"
    is_checked = not digest.endswith(_UNCHECKED)
    if is_checked and not is_whole:
        return labels, ""
    wanted = _digest(secret, lines, _canonical(value) if is_checked else b"")
    if compare_digest(wanted, digest.removesuffix(_UNCHECKED)):
        return labels, ""
    return labels, "a value and its labels do not belong together: one was changed without the other"


def _digest(secret: bytes, lines: str, value: bytes) -> str:
    message = lines.encode("utf-8", "surrogatepass") + b"\0" + value
    if secret:
        return _hmac(secret, message, "sha256")[:16].hex()
    return f"{crc_hqx(message, 0):04x}"


def _canonical(value: Any) -> bytes:
    """Write a value so that what a database gives back for it is the same; empty where that is not known."""
    if type(value) is str:
        return b"s" + value.rstrip(" ").encode("utf-8", "surrogatepass")  # CHAR(20) comes back filled.
    value = exact(value)
    if isinstance(value, str):
        return _canonical(str.__str__(value)[:])
    if isinstance(value, bytes):
        return b"b" + bytes(value)
    if isinstance(value, int | float | Decimal):
        return b"n%d" % hash(value)  # That of equal numbers is the same, whatever their types, in every process.
    if isinstance(value, uuid.UUID):
        return b"s" + value.hex.encode()
    return b"s" + value.isoformat().encode() if type(value) is dt.date else b""
