"""`KnownValues`: what was labelled here, as keyed fingerprints, never as plaintext.

Remembering: the normal forms of a value (`forms`) are cut into words (`words`), and the fingerprints of these and of
their digests (`fingerprints`) are kept (`memory`). All of it is done in the call, since a digest that is computed
later needs the plaintext until then. No form is stored, not even for a moment longer than the call.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from taint.carriers.tracing import is_tracing
from taint.errors import ConfigurationError
from taint.evidence import last_seen
from taint.evidence.fingerprints import (
    Digester,
    hmac_digester,
    process_fingerprint,
    salted_digesters,
    shared_fingerprint,
)
from taint.evidence.forms import normal_forms, region_of, text_of
from taint.evidence.label_sets import COMMON
from taint.evidence.memory import Bounds, Memory
from taint.evidence.shared import SharedFile, write_shared
from taint.evidence.table import BUCKETS, NUMBER, Kind, Lookup, filter_bits
from taint.guard import report_internal_error
from taint.labels import Labels

__all__ = ["KnownValues", "Statistics"]

_logger = logging.getLogger("taint")

RECENT = 65_536
"""Values of which it is known without working out their forms that they are remembered: hashes, 3 MB of them."""

_BUCKET_BYTES = 136
"""An `array` without its slots (80), the room it keeps spare (48) and the reference to it, on a 64-bit machine."""
_SLOT_BYTES = 9
"""Eight, and a sixteenth that a growing `array` keeps spare."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """What is known and what was left out, in numbers.

    Args:
        values: Values in memory now.
        entries: Slots they take.
        size_bytes: Memory of tables and filters.
        evicted: Values dropped because of a bound.
        refused: Values that were not remembered, by reason: `short`, `long`, `date`, `number`, `common`
            (words), `subjects` (of too many people), `labels` (too many sets of labels).
        unread: Payload parts that a scan did not decode because they were too large or nested too deep.
        label_sets: Distinct sets of labels.
        reduced_label_sets: How many of them lost subject, consent and trace to the bound.
    """

    values: int
    entries: int
    size_bytes: int
    evicted: int
    refused: dict[str, int]
    unread: int
    label_sets: int
    reduced_label_sets: int


class KnownValues:
    """A set of values that carry labels, as keyed fingerprints.

    Labels: remembered with each value, by reference. Thread-safe; a forked child keeps its copy.

    Args:
        max_values: How many are remembered; at least half of it is kept when a bound is reached.
        max_bytes: What the tables may take.
        max_age_seconds: How long a value is remembered after it was last seen, at most; at least half of it.
        max_subjects: A value seen from more people than this is nobody's: a switchboard, a shared mailbox.
        default_region: Two letters of the country whose national numbers are brought into E.164; needs `phonenumbers`.
        key: A key that processes share; needed to export. By default the key is the process's own.
        base: A file of other processes' values, that is looked up too; made with the same key.

    Raises:
        ConfigurationError: A bound is not positive, a key or region is not usable, or the file is not of this key.
    """

    def __init__(
        self,
        *,
        max_values: int = 1_000_000,
        max_bytes: int = 400_000_000,
        max_age_seconds: float = 7 * 86_400.0,
        max_subjects: int = 5,
        default_region: str | None = None,
        key: bytes | None = None,
        base: str | os.PathLike[str] | None = None,
    ) -> None:
        """Begin empty."""
        bounds = (max_values, max_bytes, max_age_seconds, max_subjects)
        names = ("max_values", "max_bytes", "max_age_seconds", "max_subjects")
        for name, bound in zip(names, bounds, strict=True):
            if not bound > 0:
                raise ConfigurationError(
                    f"{name} is not positive. It bounds what is remembered. Leave it out for the default."
                )
        self._settings: dict[str, Any] = {
            "max_values": max_values,
            "max_bytes": max_bytes,
            "max_age_seconds": max_age_seconds,
            "max_subjects": max_subjects,
            "default_region": default_region,
            "key": key,
            "base": base,
        }
        bits = filter_bits(max_values)
        fixed = (3 << bits) + 2 * BUCKETS * _BUCKET_BYTES
        if max_bytes <= fixed + 1_000_000:
            raise ConfigurationError(
                f"max_bytes is too small for max_values={max_values!r}. Filters and buckets alone take {fixed!r}. "
                f"Allow more than {fixed + 1_000_000!r}, or fewer values."
            )
        self._bounds = Bounds(
            bits=bits,
            half_values=max(1, max_values // 2),
            half_slots=(max_bytes - fixed) // 2 // _SLOT_BYTES,
            half_age_seconds=max_age_seconds / 2,
            max_subjects=max_subjects,
        )
        self._region = None if default_region is None else region_of(default_region)
        self._key = key
        self.fingerprint = process_fingerprint() if key is None else shared_fingerprint(key)
        self._shared: SharedFile | None = None
        if base is not None:
            if key is None:
                raise ConfigurationError(
                    "base is a file of fingerprints, but no key is given. A file is read with the key that it was "
                    "written with. Pass key=."
                )
            self._shared = SharedFile(base, key)
        self._digesters: tuple[Digester, ...] = ()
        self.digest_sizes: frozenset[int] = frozenset((16, 20, 32, 64))
        self.unread = 0
        self._lock = threading.Lock()
        self._memory = Memory(self._bounds, self.fingerprint)
        _all.add(self)

    def __repr__(self) -> str:
        """Say how many values are known."""
        return f"<KnownValues: {self.values} values>"

    @property
    def values(self) -> int:
        """How many values are known in memory."""
        return self._memory.values

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to look for."""
        return self._memory.is_empty and self._shared is None

    def fresh(self) -> KnownValues:
        """Give an empty set with the same bounds, key and base, for a test or a tenant."""
        twin = KnownValues(**self._settings)
        twin._digesters, twin.digest_sizes = self._digesters, self.digest_sizes
        return twin

    @property
    def keys(self) -> last_seen.Keys:
        """What fingerprints of a value are made with."""
        return last_seen.Keys(self.fingerprint, self._region, self._digesters, self.digest_sizes)

    def clear(self) -> None:
        """Forget every value; registered keys and salts stay."""
        with self._lock:
            self._memory = Memory(self._bounds, self.fingerprint)
            self.unread = 0

    def register_hmac(self, key: bytes, algorithm: str = "sha256") -> None:
        """Know the HMACs under a key of the application's of every value that is remembered from here on.

        Args:
            key: As the application uses it.
            algorithm: A name that hashlib knows.

        Raises:
            ConfigurationError: The key is empty, or there is no such algorithm.
        """
        self._register((hmac_digester(key, algorithm),))

    def register_salt(self, salt: bytes, algorithms: tuple[str, ...] = ("sha256",)) -> None:
        """Know the digests of salt and value, in either order, of every value that is remembered from here on.

        Args:
            salt: As the application uses it.
            algorithms: Names that hashlib knows.

        Raises:
            ConfigurationError: The salt is empty, or there is no such algorithm.
        """
        self._register(salted_digesters(salt, algorithms))

    def _register(self, digesters: tuple[Digester, ...]) -> None:
        with self._lock:
            self._digesters += digesters
            self.digest_sizes |= {len(digester(b"")) for digester in digesters}

    def remember(self, value: object, labels: Labels) -> bool:
        """Remember one value with its labels.

        Labels: kept by reference, beyond 16,384 different sets without subject, consent and trace.

        Args:
            value: Text, bytes that are UTF-8, an int, UUID, IP address, path or Decimal; or a carrier of one.
            labels: Of the value.

        Returns:
            Whether it is remembered; `statistics()` counts why not.
        """
        text = value if type(value) is str else text_of(value)
        if text is None or not labels:
            return False
        seen = hash((text, labels)) if self.fingerprint is hash else None
        if seen in self._memory.recent:
            return True
        forms = normal_forms(text, self._region)
        with self._lock:
            memory = self._memory
            if isinstance(forms, str):
                memory.refuse(forms)
                return False
            is_remembered = memory.remember(forms, labels, self._digesters)
            if is_remembered and seen is not None:
                if len(memory.recent) >= RECENT:
                    memory.recent.clear()
                memory.recent.add(seen)
        return is_remembered

    def expire(self) -> None:
        """Drop what is older than allowed; done by itself when values are added or looked for."""
        with self._lock:
            self._memory.expire()

    def filters(self) -> tuple[tuple[Any, int], ...]:
        """Give the filters, as pairs of what is indexed and the mask for it."""
        both = self._memory.filter
        own = (both.bytes_, both.mask)
        return (own,) if self._shared is None else (own, (self._shared.filter_bytes, self._shared.mask))

    def look_up(self, fingerprint: int) -> Iterator[tuple[Kind, int, Labels | None]]:
        """Give what a fingerprint stands for: kind, number and, of texts and digests, the labels.

        The labels of what is common to too many people are None.
        """
        memory = self._memory
        if not memory.is_settled:
            with self._lock:
                memory.settle()
        tables: list[tuple[Lookup, list[Labels]]] = [(table, memory.labels.sets) for table in memory.tables]
        if self._shared is not None:
            tables.append((self._shared, self._shared.labels))
        for table, labels in tables:
            for payload in table.find(fingerprint):
                kind, number = payload >> 22, payload & NUMBER
                is_value = kind in {Kind.TEXT, Kind.DIGEST}
                yield Kind(kind), number, labels[number] if is_value and number != COMMON else None

    def labels_behind(self, fingerprint: int, kind: Kind) -> tuple[Labels, ...]:
        """Give every set of labels of a text or digest; none where it is common to too many people."""
        found: dict[Labels, None] = {}
        for one, _, labels in self.look_up(fingerprint):
            if one is kind:
                if labels is None:
                    return ()
                found[labels] = None
        if is_tracing():
            return tuple(last_seen.with_steps(labels, fingerprint) for labels in found)
        return tuple(found)

    def statistics(self) -> Statistics:
        """Count what is known, and what was left out and why."""
        with self._lock:
            memory = self._memory
            memory.settle()
            return Statistics(
                values=memory.values,
                entries=sum(table.slots for table in memory.tables),
                size_bytes=memory.size_bytes,
                evicted=memory.evicted,
                refused=dict(memory.refused),
                unread=self.unread,
                label_sets=len(memory.labels.sets),
                reduced_label_sets=memory.labels.reduced,
            )

    def export(self, path: str | os.PathLike[str]) -> None:
        """Write a file that other processes look up in, with the same key: `KnownValues(key=..., base=path)`.

        Labels: purposes, category and source; not subject, consent and trace, which are about one person. What
        the file held that this set was made with is not in it.

        Args:
            path: Of the file, which is replaced in one step.

        Raises:
            ConfigurationError: These fingerprints are under the key of this process, which no other one has.
        """
        if self._key is None:
            raise ConfigurationError(
                "known values under the key of this process cannot be exported: no other process has it. "
                "Only those under a key of the application's can. Make them with KnownValues(key=...)."
            )
        with self._lock:
            memory = self._memory
            memory.settle()
            write_shared(path, self._key, list(memory.tables), memory.filter, memory.labels.sets)

    def after_fork(self) -> None:
        """Make the lock anew in a forked child: whoever held it is not there."""
        self._lock = threading.Lock()


_all: weakref.WeakSet[KnownValues] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for one in _all:
        try:
            one.after_fork()
        except Exception as error:  # noqa: BLE001  # A fork must not fail because of the library.
            report_internal_error("taking known values over a fork", error)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
