"""`KnownValues`: what was labelled here, as keyed fingerprints, never as plaintext.

Remembering: the normal forms of a value (`forms`) are cut into words (`words`), and each form leaves
one fingerprint of its text and one of each of its digests (`fingerprints`) in a table (`table`). All
of it is done in the call, since a digest that is computed later needs the plaintext until then. No
form is stored, not even for a moment longer than the call.

Bounds: two generations. Values go into the young one; when it holds half of what is allowed, or is
half as old as allowed, it becomes the old one, and the old one is dropped, counted and logged. So
eviction costs nothing per value, and a value that is still in use is remembered anew.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from taint.carriers.tracing import is_tracing
from taint.errors import ConfigurationError
from taint.evidence import last_seen
from taint.evidence.fingerprints import (
    PLATFORM_HASHES,
    Digester,
    hmac_digester,
    process_fingerprint,
    salted_digesters,
    shared_fingerprint,
)
from taint.evidence.forms import Forms, normal_forms, region_of, text_of
from taint.evidence.generation import Generation
from taint.evidence.label_sets import COMMON, LabelSets
from taint.evidence.shared import SharedFile, write_shared
from taint.evidence.table import BUCKETS, NUMBER, Kind, Lookup, filter_bits
from taint.guard import report_internal_error
from taint.labels import Labels

__all__ = ["KnownValues", "Statistics"]

_logger = logging.getLogger("taint")

_TEXT = Kind.TEXT << 22
_DIGEST = Kind.DIGEST << 22
_SUBJECT = Kind.SUBJECT << 22
_ANCHOR = Kind.ANCHOR << 22
_KINDS = 3 << 22
MAXIMUM_WORDS = 7
ANCHOR_PLACES = 3
SHORTEST_ANCHOR = 4
"""A value of several words is found by its longest word, one of the first three, of four letters at least."""

RECENT = 65_536
"""Values of which it is known without working out their forms that they are remembered: hashes, 3 MB of them."""

WAITING = 4_096
"""Lists of fingerprints, two of a value, that are put into the table at once: 5 ms, every so many new values."""

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
        self.max_subjects = max_subjects
        self._half_values = max(1, max_values // 2)
        self._half_age = max_age_seconds / 2
        self._bits = filter_bits(max_values)
        fixed = (3 << self._bits) + 2 * BUCKETS * _BUCKET_BYTES
        if max_bytes <= fixed + 1_000_000:
            raise ConfigurationError(
                f"max_bytes is too small for max_values={max_values!r}. Filters and buckets alone take {fixed!r}. "
                f"Allow more than {fixed + 1_000_000!r}, or fewer values."
            )
        self._half_slots = (max_bytes - fixed) // 2 // _SLOT_BYTES
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
        self._begin()
        _all.add(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._young = Generation(self._bits)
        self._old: Generation | None = None
        self._all_filter = self._young.filter  # One, until there is an old generation too.
        self._labels = LabelSets()
        self._recent: set[int | None] = set()
        self._evicted = 0
        self._refused: dict[str, int] = {}
        self.unread = 0
        self._lookups: tuple[Lookup, ...] = ()
        self._look_up_in()

    def _look_up_in(self) -> None:
        found: list[Lookup] = [self._young.table]
        if self._old is not None:
            found.append(self._old.table)
        self._lookups = tuple(found)

    def __repr__(self) -> str:
        """Say how many values are known."""
        return f"<KnownValues: {self.values} values>"

    @property
    def values(self) -> int:
        """How many values are known in memory."""
        return self._young.values + (self._old.values if self._old is not None else 0)

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to look for."""
        return not self._young.values and self._old is None and self._shared is None

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
            lock = self._lock
            self._begin()
            self._lock = lock

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
        if seen in self._recent:
            return True
        forms = normal_forms(text, self._region)
        if isinstance(forms, str):
            self._refused[forms] = self._refused.get(forms, 0) + 1
            return False
        with self._lock:
            is_remembered = self._remember(forms, labels)
            if is_remembered and seen is not None:
                if len(self._recent) >= RECENT:
                    self._recent.clear()
                self._recent.add(seen)
        return is_remembered

    def _remember(self, forms: Forms, labels: Labels) -> bool:
        first = self.fingerprint(forms.texts[0])
        number = self._labels.number(labels)
        if number is None:
            self._refused["labels"] = self._refused.get("labels", 0) + 1
            return False
        here = self._young.find(first)
        is_new = not any(one & _KINDS == _TEXT for one in here)
        if is_new:
            if self._is_full():
                self._turn()
            if self._old is not None:
                here = self._old.find(first)
                if any(one & _KINDS == _TEXT for one in here):
                    self._old.values -= 1  # It moves.
            self._young.values += 1
        is_known = not is_new and _TEXT | number in here
        if (here or self._labels.has_subject[number]) and self._is_common(first, here, labels, is_new=is_new):
            self._refused["subjects"] = self._refused.get("subjects", 0) + 1
            if _TEXT | COMMON in here and not is_new:
                return False
            number = COMMON
            self._recent.clear()
        elif is_known and self._is_spelling_known(forms, number):
            return True
        self._fill(forms, number)
        return number != COMMON

    def _is_full(self) -> bool:
        young = self._young
        return (
            young.values >= self._half_values
            or young.table.slots >= self._half_slots
            or time.monotonic() - young.born > self._half_age
        )

    def _is_spelling_known(self, forms: Forms, number: int) -> bool:
        """Tell whether this very spelling was remembered, and not only another one with the same words."""
        self._young.settle()
        digest = PLATFORM_HASHES[0](forms.exact[0]).digest()
        return _DIGEST | number in self._young.table.find(self.fingerprint(digest))

    def _fill(self, forms: Forms, number: int) -> None:
        """Put the fingerprints of a value where they wait for the table, and into the filters at once."""
        fingerprint = self.fingerprint
        md5, sha1, sha256, sha512 = PLATFORM_HASHES
        prints: list[int] = []
        for exact in forms.exact:
            prints += (
                fingerprint(md5(exact).digest()),
                fingerprint(sha1(exact).digest()),
                fingerprint(sha256(exact).digest()),
                fingerprint(sha512(exact).digest()),
            )
        if self._digesters:
            prints += [fingerprint(digester(exact)) for exact in forms.exact for digester in self._digesters]
        young = self._young
        waiting = young.waiting
        waiting.append((_DIGEST | number, prints))
        prints = [fingerprint(text) for text in forms.texts]
        waiting.append((_TEXT | number, prints))
        if len(waiting) >= WAITING:
            young.settle()
        self._pass(prints)
        for text in forms.texts:
            if b" " in text:
                self._anchor(text)

    def _pass(self, prints: list[int]) -> None:
        own = self._young.filter
        own.add_all(prints)
        if self._all_filter is not own:
            self._all_filter.add_all(prints)

    def _anchor(self, text: bytes) -> None:
        words = text.split()
        if len(words) > MAXIMUM_WORDS:
            return
        lengths = list(map(len, words[:ANCHOR_PLACES]))
        longest = max(lengths)
        place = lengths.index(longest)
        if longest < SHORTEST_ANCHOR:
            return
        shape = 1 << (place * 7 + len(words) - 1)
        print_ = self.fingerprint(words[place])
        table = self._young.table
        # The filter spares most new words the search of a bucket, which takes longer the more is known.
        for payload in table.find(print_) if self._young.filter.passes(print_) else ():
            if payload & _KINDS == _ANCHOR:
                table.replace(print_, payload, payload | shape)
                return
        table.add(print_, _ANCHOR | shape)
        self._pass([print_])

    def _is_common(self, first: int, here: list[int], labels: Labels, *, is_new: bool) -> bool:
        """Take note of whose a value is; tell whether it is of too many people."""
        if _TEXT | COMMON in here:
            return True
        counted = {payload for payload in here if payload & _KINDS == _SUBJECT} if here else set()
        table = self._young.table
        if is_new:  # What the old generation has counted is not forgotten when the value is seen again.
            for payload in counted:
                table.add(first, payload)
        for label in labels:
            if label.subject is not None:
                payload = _SUBJECT | (self.fingerprint(label.subject.encode(errors="surrogatepass")) & NUMBER)
                if payload not in counted:
                    counted.add(payload)
                    table.add(first, payload)
        return len(counted) > self.max_subjects

    def _turn(self) -> None:
        """Make the young generation the old one, and drop the old one."""
        self._young.settle()
        if self._old is not None:
            if not self._evicted:
                _logger.warning(
                    "purpose-taint forgets known values: the bound on their number, bytes or age is reached. "
                    "KnownValues.statistics() counts them; raise max_values, max_bytes or max_age_seconds. "
                    "This is said once."
                )
            self._evicted += self._old.values
        self._old = self._young
        self._young = Generation(self._bits)
        self._all_filter = self._old.filter.copy()
        self._recent.clear()
        self._look_up_in()

    def expire(self) -> None:
        """Drop what is older than allowed; done by itself when values are added or looked for."""
        now = time.monotonic()
        with self._lock:
            age = now - self._young.born
            if age > self._half_age and (self._young.values or self._old is not None):
                self._turn()
                if age > 2 * self._half_age:
                    self._turn()

    def filters(self) -> tuple[tuple[Any, int], ...]:
        """Give the filters, as pairs of what is indexed and the mask for it."""
        own = (self._all_filter.bytes_, self._all_filter.mask)
        return (own,) if self._shared is None else (own, (self._shared.filter_bytes, self._shared.mask))

    def look_up(self, fingerprint: int) -> Iterator[tuple[Kind, int, Labels | None]]:
        """Give what a fingerprint stands for: kind, number and, of texts and digests, the labels.

        The labels of what is common to too many people are None.
        """
        if self._young.waiting:
            with self._lock:
                self._young.settle()
        tables: list[tuple[Lookup, list[Labels]]] = [(table, self._labels.sets) for table in self._lookups]
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
            self._young.settle()
            generations = [one for one in (self._young, self._old) if one is not None]
            size = sum(one.table.size_bytes() + len(one.filter.bytes_) for one in generations)
            return Statistics(
                values=self.values,
                entries=sum(one.table.slots for one in generations),
                size_bytes=size + (0 if self._old is None else len(self._all_filter.bytes_)),
                evicted=self._evicted,
                refused=dict(self._refused),
                unread=self.unread,
                label_sets=len(self._labels.sets),
                reduced_label_sets=self._labels.reduced,
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
            self._young.settle()
            tables = [one.table for one in (self._young, self._old) if one is not None]
            write_shared(path, self._key, tables, self._all_filter, self._labels.sets)

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
