"""Last seen: where a value was when it last carried its labels, while tracing is on.

A `content` or `digest` finding says that a value arrived without its labels, and the question is where it lost
them. Every carrier that is made leaves the steps of its labels under keyed fingerprints of what it
holds, as known values do; a finding by one of these fingerprints shows the steps. Nothing here holds a value.
"""

from __future__ import annotations

import binascii
import contextlib
import threading
from typing import Any, NamedTuple

from taint.carriers.coverage import Coverage, flat, spans_of
from taint.carriers.proxy import exact
from taint.evidence.fingerprints import PLATFORM_HASHES, Digester, Fingerprint, process_fingerprint
from taint.evidence.forms import Region, normal_forms, text_of
from taint.guard import after_fork
from taint.labels import Labels

__all__ = ["MAXIMUM_FINGERPRINTS", "Keys", "forget", "note", "seen_labels", "with_steps"]

MAXIMUM_FINGERPRINTS = 100_000
"""Fingerprints that are kept, the latest: about 5,000 values."""

_seen: dict[int, Labels] = {}
_lock = threading.Lock()


class Keys(NamedTuple):
    """What fingerprints of a value are made with: as its known values have it.

    Args:
        fingerprint: Of the exact bytes of a form.
        region: Of national numbers.
        digesters: Further digests than those of the platforms.
        sizes: Bytes of a digest.
    """

    fingerprint: Fingerprint = process_fingerprint()
    region: Region | None = None
    digesters: tuple[Digester, ...] = ()
    sizes: frozenset[int] = frozenset((16, 20, 32, 64))


def note(value: Any, coverage: Coverage, keys: Keys) -> None:
    """Note a carrier: what its labels cover, with their steps.

    Args:
        value: What it holds.
        coverage: Its labels, with steps.
        keys: What it will be asked for with.
    """
    plain = exact(value)
    if not isinstance(plain, str | bytes):
        _keep(plain, flat(coverage), keys)
        return
    for start, stop, labels in spans_of(coverage, len(plain)):
        _keep(plain[start:stop], labels, keys)


def _keep(plain: Any, labels: Labels, keys: Keys) -> None:
    prints = _fingerprints(plain, keys)
    if not prints:
        return
    with _lock:
        for print_ in prints:
            _seen.pop(print_, None)  # So that it becomes the latest.
            _seen[print_] = labels
        while len(_seen) > MAXIMUM_FINGERPRINTS:
            del _seen[next(iter(_seen))]


def _fingerprints(plain: Any, keys: Keys) -> list[int]:
    """Give the fingerprints of a value's forms and their digests, and of a digest that it is itself."""
    fingerprint = keys.fingerprint
    if isinstance(plain, bytes) and len(plain) in keys.sizes:
        return [fingerprint(plain)]
    text = text_of(plain)
    if text is None:
        return []
    found: list[int] = []
    if len(text) in {2 * size for size in keys.sizes}:
        with contextlib.suppress(ValueError):  # A text of that length, and no digest.
            found.append(fingerprint(binascii.unhexlify(text)))
    forms = normal_forms(text, keys.region)
    if isinstance(forms, str):
        return found
    found += map(fingerprint, forms.texts)
    for form in forms.exact:
        found += [fingerprint(make(form).digest()) for make in PLATFORM_HASHES]
        found += [fingerprint(make(form)) for make in keys.digesters]
    return found


def seen_labels(value: Any, keys: Keys) -> Labels | None:
    """Give the labels, with steps, that a plain value was last seen with; None where it was not seen."""
    for print_ in _fingerprints(exact(value), keys):
        found = _seen.get(print_)
        if found is not None:
            return found
    return None


def with_steps(labels: Labels, fingerprint: int) -> Labels:
    """Give labels with the steps that the value of a fingerprint was last seen with."""
    seen = _seen.get(fingerprint)
    if seen is None:
        return labels
    steps = {label: label for label in seen}
    return Labels(steps.get(label, label) for label in labels)


def forget() -> None:
    """Forget everything that was seen."""
    with _lock:
        _seen.clear()


def _after_fork_in_child() -> None:
    global _lock  # noqa: PLW0603  # Whoever held it is not there.
    _lock = threading.Lock()


after_fork(_after_fork_in_child)
