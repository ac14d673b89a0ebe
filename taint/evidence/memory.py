"""What is remembered of values: keyed fingerprints in two generations, under bounds.

A value leaves one fingerprint of the text of each of its forms and one of each of their digests; one of several
words also leaves its longest word, by which a scan finds it.

Values go into the young generation; when it holds half of what is allowed, or is half as old as allowed, it
becomes the old one, and the old one is dropped, counted and logged. So eviction costs nothing per value, and a
value that is still in use is remembered anew.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from taint.evidence.fingerprints import PLATFORM_HASHES, Digester
from taint.evidence.forms import Forms
from taint.evidence.generation import Generation
from taint.evidence.label_sets import COMMON, LabelSets
from taint.evidence.table import NUMBER, Kind, Table
from taint.labels import Labels

__all__ = ["ANCHOR_PLACES", "MAXIMUM_WORDS", "Bounds", "Memory"]

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

WAITING = 4_096
"""Lists of fingerprints, two of a value, that are put into the table at once: 5 ms, every so many new values."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """When the young generation becomes the old one, and when a value is nobody's.

    Args:
        bits: Of the filters.
        half_values: How many values a generation holds.
        half_slots: How many slots of its table.
        half_age_seconds: For how long values go into it.
        max_subjects: A value seen from more people than this is nobody's.
    """

    bits: int
    half_values: int
    half_slots: int
    half_age_seconds: float
    max_subjects: int


class Memory:
    """The generations, the sets of labels that their fingerprints name, and what was left out.

    Not thread-safe: `KnownValues` has the lock.

    Args:
        bounds: Of the generations.
        fingerprint: Makes fingerprints, under a key.
    """

    def __init__(self, bounds: Bounds, fingerprint: Callable[[bytes], int]) -> None:
        """Begin empty."""
        self._bounds = bounds
        self._fingerprint = fingerprint
        self._young = Generation(bounds.bits)
        self._old: Generation | None = None
        self.filter = self._young.filter
        """Of both generations: one, until there is an old one."""
        self.tables: tuple[Table, ...] = (self._young.table,)
        """The young generation's, and the old one's."""
        self.labels = LabelSets()
        self.recent: set[int | None] = set()
        """Hashes of values that are known to be remembered."""
        self.evicted = 0
        self.refused: dict[str, int] = {}

    @property
    def values(self) -> int:
        """How many values are known."""
        return sum(one.values for one in self._generations())

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to look for."""
        return not self._young.values and self._old is None

    @property
    def is_settled(self) -> bool:
        """Tell whether nothing waits to be put into a table."""
        return not self._young.waiting

    @property
    def size_bytes(self) -> int:
        """Memory of tables and filters."""
        size = sum(one.table.size_bytes() + len(one.filter.bytes_) for one in self._generations())
        return size + (0 if self._old is None else len(self.filter.bytes_))

    def _generations(self) -> tuple[Generation, ...]:
        return (self._young,) if self._old is None else (self._young, self._old)

    def settle(self) -> None:
        """Put what waits into its table."""
        self._young.settle()

    def refuse(self, reason: str) -> None:
        """Count a value that is not remembered."""
        self.refused[reason] = self.refused.get(reason, 0) + 1

    def remember(self, forms: Forms, labels: Labels, digesters: tuple[Digester, ...]) -> bool:
        """Remember one value.

        Labels: kept by reference, beyond 16,384 different sets without subject, consent and trace.

        Args:
            forms: The value's.
            labels: Of the value.
            digesters: What makes digests of it, besides the platforms' hashes.

        Returns:
            Whether it is remembered; `refused` counts why not.
        """
        first = self._fingerprint(forms.texts[0])
        number = self.labels.number(labels)
        if number is None:
            self.refuse("labels")
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
        if (here or self.labels.has_subject[number]) and self._is_common(first, here, labels, is_new=is_new):
            self.refuse("subjects")
            if _TEXT | COMMON in here and not is_new:
                return False
            number = COMMON
            self.recent.clear()
        elif is_known and self._is_spelling_known(forms, number):
            return True
        self._fill(forms, number, digesters)
        return number != COMMON

    def _is_full(self) -> bool:
        young, bounds = self._young, self._bounds
        return (
            young.values >= bounds.half_values
            or young.table.slots >= bounds.half_slots
            or time.monotonic() - young.born > bounds.half_age_seconds
        )

    def _is_spelling_known(self, forms: Forms, number: int) -> bool:
        """Tell whether this very spelling was remembered, and not only another one with the same words."""
        self._young.settle()
        digest = PLATFORM_HASHES[0](forms.exact[0]).digest()
        return _DIGEST | number in self._young.table.find(self._fingerprint(digest))

    def _fill(self, forms: Forms, number: int, digesters: tuple[Digester, ...]) -> None:
        """Put the fingerprints of a value where they wait for the table, and into the filters at once."""
        fingerprint = self._fingerprint
        md5, sha1, sha256, sha512 = PLATFORM_HASHES
        prints: list[int] = []
        for exact in forms.exact:
            prints += (
                fingerprint(md5(exact).digest()),
                fingerprint(sha1(exact).digest()),
                fingerprint(sha256(exact).digest()),
                fingerprint(sha512(exact).digest()),
            )
        if digesters:
            prints += [fingerprint(digester(exact)) for exact in forms.exact for digester in digesters]
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
        if self.filter is not own:
            self.filter.add_all(prints)

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
        print_ = self._fingerprint(words[place])
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
                payload = _SUBJECT | (self._fingerprint(label.subject.encode(errors="surrogatepass")) & NUMBER)
                if payload not in counted:
                    counted.add(payload)
                    table.add(first, payload)
        return len(counted) > self._bounds.max_subjects

    def _turn(self) -> None:
        """Make the young generation the old one, and drop the old one."""
        self._young.settle()
        if self._old is not None:
            if not self.evicted:
                _logger.warning(
                    "purpose-taint forgets known values: the bound on their number, bytes or age is reached. "
                    "KnownValues.statistics() counts them; raise max_values, max_bytes or max_age_seconds. "
                    "This is said once."
                )
            self.evicted += self._old.values
        self._old = self._young
        self._young = Generation(self._bounds.bits)
        self.tables = (self._young.table, self._old.table)
        self.filter = self._old.filter.copy()
        self.recent.clear()

    def expire(self) -> None:
        """Drop what is older than allowed."""
        half_age = self._bounds.half_age_seconds
        age = time.monotonic() - self._young.born
        if age > half_age and (self._young.values or self._old is not None):
            self._turn()
            if age > 2 * half_age:
                self._turn()
