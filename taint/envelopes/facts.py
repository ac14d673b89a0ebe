"""Labels as JSON, the way envelopes carry them, and what is made of labels that nobody vouches for."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from taint.errors import ConfigurationError
from taint.labels import Grant, Label, Labels, Trace
from taint.purposes import category_key, purpose_key

__all__ = [
    "DISTRUSTED",
    "UNDISCLOSED",
    "canonical",
    "distrusted",
    "label_from",
    "label_table",
    "reduced",
    "undisclosed",
]

UNDISCLOSED = "undisclosed"
"""The purpose that stands for labels that did not fit: no sink has it, so that it allows nothing."""
DISTRUSTED = "envelope (not verified)"
"""The source of labels that stood in an envelope which could not be verified."""


def canonical(value: Any) -> str:
    """Write JSON in the one form that is signed: sorted keys, no spaces, every character as itself."""
    return json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode(value)


def label_table(label: Label) -> dict[str, Any]:
    """Give a label as a JSON object; what is not there is left out. docs/envelopes.md lists the keys."""
    table = {
        "p": sorted(label.purposes),
        "c": label.category,
        "s": label.source,
        "u": label.subject,
        "n": label.consent,
        "t": None if label.trace is None else str(label.trace),
        "g": sorted(map(_grant_table, label.grants), key=canonical) or None,
        "d": None if label.derivation == "direct" else label.derivation,
    }
    return {key: value for key, value in table.items() if value is not None}


def _grant_table(grant: Grant) -> dict[str, Any]:
    table = {
        "p": sorted(grant.purposes),
        "a": grant.approved_by,
        "n": grant.consent,
        "e": None if grant.expires is None else grant.expires.astimezone(dt.UTC).isoformat(),
    }
    return {key: value for key, value in table.items() if value is not None}


def label_from(table: Mapping[str, Any]) -> Label:
    """Read what `label_table` wrote.

    Raises:
        ValueError: It is something else.
    """
    trace = table.get("t")
    return Label(
        _keys(table["p"]),
        _text(table, "c"),
        _text(table, "s"),
        _text(table, "u"),
        _text(table, "n"),
        None if trace is None else Trace.parse(str(trace)),
        frozenset(map(_grant_from, table.get("g", ()))),
        _text(table, "d") or "direct",
    )


def _grant_from(table: Mapping[str, Any]) -> Grant:
    expires = _text(table, "e")
    ends = None if expires is None else dt.datetime.fromisoformat(expires)
    if ends is not None and ends.tzinfo is None:
        raise ValueError("a time without its zone")
    return Grant(_keys(table["p"]), str(table["a"]), _text(table, "n"), ends)


def _keys(found: Any) -> frozenset[str]:
    if not isinstance(found, list) or not found or not all(isinstance(key, str) for key in found):
        raise ValueError("not a list of purposes")
    return frozenset(found)


def _text(table: Mapping[str, Any], key: str) -> str | None:
    found = table.get(key)
    if found is not None and not isinstance(found, str):
        raise ValueError("not a text")
    return found


def reduced(labels: Iterable[Label]) -> Labels:
    """Keep of labels only what they forbid with: no person, consent, trace or declassification. Allows no more."""
    return Labels(replace(label, subject=None, consent=None, trace=None, grants=frozenset()) for label in labels)


def undisclosed() -> Labels:
    """Give the labels that allow nothing: where there were too many to write down."""
    return Labels((Label(frozenset((UNDISCLOSED,)), source="envelope"),))


def distrusted(labels: Iterable[Label]) -> Labels:
    """Give what an envelope that is not verified may add: known purposes and categories, and nothing else of it.

    Labels: no declassification, person or name of its own, since whoever wrote it chose them.
    """
    return Labels(
        Label(_known(label.purposes), _known_category(label.category), DISTRUSTED, derivation=label.derivation)
        for label in labels
    )


def _known(purposes: frozenset[str]) -> frozenset[str]:
    known = set()
    for purpose in purposes:
        try:
            known.add(purpose_key(purpose))
        except ConfigurationError:
            continue
    return frozenset(known or (UNDISCLOSED,))


def _known_category(category: str | None) -> str | None:
    try:
        return None if category is None else category_key(category)
    except ConfigurationError:
        return None
