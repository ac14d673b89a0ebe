"""Scanning: which known values stand in a payload, and where.

Text is cut into words and phone-like runs by C code (`bytes.translate`, `split`, `set`, one regular
expression), the distinct ones go through the filter in a chain of C iterators, and only what passes it
is looked at in Python: few words, even where a million values are known. What a known value costs is
therefore its bytes in the filter, and the time is that of the payload. Places are worked out only
where something was found.
"""

from __future__ import annotations

import binascii
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import compress, repeat
from operator import and_
from typing import Any

from taint.carriers.containers import Step, is_atomic, walk
from taint.evidence.decoding import views_of
from taint.evidence.forms import MAXIMUM_DIGITS, MINIMUM_DIGITS, WRITTEN_OUT
from taint.evidence.kinds import Evidence
from taint.evidence.known import KnownValues
from taint.evidence.memory import ANCHOR_PLACES, MAXIMUM_WORDS
from taint.evidence.table import PATTERNS, Kind
from taint.evidence.words import EDGES, cut, email_forms, foldable, folded
from taint.labels import Labels

__all__ = ["LONGEST", "Match", "scan", "scan_across"]

BLOCK = 1 << 16
"""Bytes that are cut at once: their words stay in the processor's cache, which is worth a third of the time."""
LONGEST = 640
"""Bytes that a block has in common with the next: more than the longest value, as it is written."""
MAXIMUM_MATCHES = 10_000
"""Places that one scan reports: each costs a record. A payload of more is a finding without the rest."""

_RUN = re.compile(rb"[0-9][0-9 ().\-/]{5,}[0-9]")
_GROUP = re.compile(rb"[0-9]+")
_WORD = re.compile(rb"[^ ]+")
# Both begin with a letter of their own, which `re` looks for at the speed of memory.
_PLUS_EMAIL = re.compile(rb"\+[^ @]*@")
_GMAIL = re.compile(rb"@g(?:oogle)?mail\.com")
_BETWEEN_DIGITS = b" ().-/"
_BASE64 = bytes(
    byte if chr(byte).isalnum() and byte < 128 else {43: 43, 45: 43, 47: 47, 95: 47}.get(byte, 32)  # noqa: PLR2004
    for byte in range(256)
)
_SHORTEST_WORD = 4
_SHORTEST_DIGEST = 20
"""MD5 in base64 has 22 characters, of which two may be cut off as edges."""


@dataclass(frozen=True, slots=True)
class Match:
    """One known value in a payload.

    Args:
        way: Where: the way to the text, and the characters in it as `[12:24]`.
        evidence: `content` or `digest`.
        labels: Each set of labels that the value was remembered with.
    """

    way: Step
    evidence: Evidence
    labels: tuple[Labels, ...]


@dataclass(slots=True)
class _Part:
    """One text of a payload, in the form that it is scanned in."""

    way: Step
    text: str | bytes
    data: bytes
    is_plain: bool


def scan(known: KnownValues, value: object, root: str = "value") -> list[Match]:
    """Find every known value in the unlabelled text, bytes and numbers inside a value.

    Labels: read from what is known; what carries labels itself is not looked at.

    Args:
        known: What to look for.
        value: Anything; containers are looked into.
        root: What the value is called.

    Returns:
        One match for each place, at most 10,000.
    """
    if known.is_empty:
        return []
    known.expire()
    matches: list[Match] = []
    parts: list[_Part] = []
    for way, leaf in walk(value, _is_text, root, is_skipped=_is_skipped, text_keys=True):
        if isinstance(leaf, bytes):
            matches += _raw_digests(known, way, leaf)
        parts += _parts(known, way, leaf)
    if parts:
        matches += _scan_parts(known, parts)
    return matches[:MAXIMUM_MATCHES]


def scan_across(known: KnownValues, before: bytes, after: bytes, root: str) -> list[Match]:
    """Find the known values that begin in one piece of a text and end in the next; not those in one of them.

    Labels: as `scan`.

    Args:
        known: What to look for.
        before: The end of what came before, at most `LONGEST` bytes.
        after: The beginning of the piece, at most as many.
        root: What the piece is called.
    """
    together, *alone = (part.decode(errors="replace") for part in (before + after, before, after))
    found = scan(known, together, root)
    if found:
        inside = Counter((match.evidence, match.labels) for part in alone for match in scan(known, part, root))
        across = Counter((match.evidence, match.labels) for match in found) - inside
        found = [Match((None, root), evidence, labels) for evidence, labels in across]
    return found


def _is_text(leaf: object) -> bool:
    kind = type(leaf)
    return kind is str or kind is bytes or kind is bytearray or kind in _WRITTEN_OUT


_WRITTEN_OUT = frozenset(WRITTEN_OUT)


def _is_skipped(leaf: object) -> bool:
    return is_atomic(leaf) and not _is_text(leaf)


def _parts(known: KnownValues, way: Step, leaf: Any) -> Iterator[_Part]:
    if isinstance(leaf, int):
        if leaf < 10 ** (MINIMUM_DIGITS - 1):
            return
        leaf = str(leaf)
    elif not isinstance(leaf, str | bytes):
        leaf = bytes(leaf) if isinstance(leaf, bytearray) else str(leaf)
    if len(leaf) < _SHORTEST_WORD:
        return
    yield _part(way, leaf)
    for name, view in views_of(leaf, known):
        yield _part((way, f"<{name}>"), view)


def _part(way: Step, text: str | bytes) -> _Part:
    if isinstance(text, bytes):
        if text.isascii():
            return _Part(way, text, text, is_plain=True)
        try:
            decoded = text.decode()
        except UnicodeDecodeError:
            return _Part(way, text, text, is_plain=True)
        return _Part(way, decoded, folded(decoded).encode(errors="surrogatepass"), is_plain=False)
    if text.isascii():
        return _Part(way, text, text.encode(), is_plain=True)
    return _Part(way, text, folded(text).encode(errors="surrogatepass"), is_plain=False)


def _raw_digests(known: KnownValues, way: Step, data: bytes) -> Iterator[Match]:
    for size in sorted(known.digest_sizes):
        if data and len(data) % size == 0 and len(data) <= size * MAXIMUM_MATCHES:
            for at in range(0, len(data), size):
                labels = known.labels_behind(known.fingerprint(data[at : at + size]), Kind.DIGEST)
                if labels:
                    yield Match((way, f"[{at}:]"), Evidence.DIGEST, labels)


def _scan_parts(known: KnownValues, parts: list[_Part]) -> list[Match]:
    starts: list[int] = []
    at = 0
    for part in parts:
        starts.append(at)
        at += len(part.data) + 1
    blob = b"\0".join(part.data for part in parts)
    words = cut(blob)
    spans: dict[tuple[int, int, Evidence], tuple[Labels, ...]] = {}
    first = 0
    while first < len(blob):
        last = words.rfind(b" ", first + BLOCK // 2, first + BLOCK) + 1 if first + BLOCK < len(blob) else len(blob)
        if last <= 0:
            last = words.find(b" ", first + BLOCK) + 1 or len(blob)
        for start, stop, evidence, labels in _scan_block(known, blob[first:last], words[first:last]):
            begins_with_plus = blob[first + start - 1 : first + start] == b"+" and blob[first + start] in b"0123456789"
            spans.setdefault((first + start - begins_with_plus, first + stop, evidence), labels)
        if len(spans) >= MAXIMUM_MATCHES or last == len(blob):
            break
        # The next block begins at a word, a little before this one ends.
        back = words.find(b" ", max(first + 1, last - LONGEST), last)
        first = back + 1 if back >= 0 else last
    found: list[Match] = []
    for (start, _, evidence), labels in sorted(spans.items()):
        index = bisect_right(starts, start) - 1
        part = parts[index]
        found.append(Match((part.way, _place(part, start - starts[index])), evidence, labels))
    return found


def _place(part: _Part, start: int) -> str:
    """Say where a match begins in the text as it was given; where it ends would tell how long the value is."""
    if part.is_plain:
        return f"[{start}:]"
    before = len(part.data[:start].decode(errors="replace"))
    text = part.text
    if isinstance(text, str) and len(folded(text)) == len(text):
        return f"[{before}:]"
    places = foldable(text if isinstance(text, str) else text.decode())
    return f"[{places[min(before, len(places) - 1)]}:]"


_Span = tuple[int, int, Evidence, tuple[Labels, ...]]


def _passing(known: KnownValues, candidates: list[bytes]) -> Iterator[tuple[bytes, int]]:
    """Give the candidates that the filters let through, each with its fingerprint."""
    prints = list(map(known.fingerprint, candidates))
    for bits, mask in known.filters():
        passing = map(bits.__getitem__, map(and_, prints, repeat(mask)))
        for word, print_ in compress(zip(candidates, prints, strict=True), passing):
            wanted = PATTERNS[print_ >> 56 & 63]
            if bits[print_ & mask] & wanted == wanted:
                yield word, print_


def _scan_block(known: KnownValues, raw: bytes, words: bytes) -> Iterator[_Span]:
    distinct = set(words.split())
    if b"/" in words:
        distinct.update(b"/".join([word for word in distinct if b"/" in word]).split(b"/"))
    candidates = list(map(bytes.strip, distinct, repeat(EDGES)))
    texts: dict[bytes, tuple[Labels, ...]] = {}
    anchors: dict[bytes, int] = {}
    for word, print_ in _passing(known, candidates):
        shape = 0
        is_text = False
        for kind, number, _ in known.look_up(print_):
            if kind is Kind.ANCHOR:
                shape |= number
            is_text = is_text or kind is Kind.TEXT
        if shape:
            anchors[word] = shape
        labels = known.labels_behind(print_, Kind.TEXT) if is_text else ()
        if labels:
            texts[word] = labels
    _add_emails(known, words, texts)
    if texts:
        yield from _places_of_words(words, texts, Evidence.CONTENT)
    if anchors:
        yield from _sequences(known, words, anchors)
    yield from _scan_runs(known, raw)
    yield from _scan_digests(known, raw, words, [word for word in candidates if len(word) >= _SHORTEST_DIGEST])


def _add_emails(known: KnownValues, words: bytes, texts: dict[bytes, tuple[Labels, ...]]) -> None:
    """Look up addresses without plus-suffix and dots: the payload may have them where the value had not."""
    for pattern in (_PLUS_EMAIL, _GMAIL):
        for found in pattern.finditer(words):
            start, stop = words.rfind(b" ", 0, found.start()) + 1, words.find(b" ", found.end())
            word = words[start : stop if stop >= 0 else len(words)].strip(EDGES)
            word = word[word.rfind(b"/", 0, word.find(b"@")) + 1 :]
            if word in texts:
                continue
            for _, print_ in _passing(known, list(email_forms(word)[1:])):
                labels = known.labels_behind(print_, Kind.TEXT)
                if labels:
                    texts[word] = labels
                    break


def _pieces(words: bytes) -> Iterator[tuple[int, bytes]]:
    """Give every word, without what belongs to the sentence, and where it begins."""
    for found in _WORD.finditer(words):
        word = found[0].lstrip(EDGES)
        yield found.end() - len(word), word.rstrip(EDGES)


def _places_of_words(words: bytes, texts: dict[bytes, tuple[Labels, ...]], evidence: Evidence) -> Iterator[_Span]:
    for at, word in _pieces(words):
        if word in texts:
            yield at, at + len(word), evidence, texts[word]
        elif b"/" in word:
            start = at
            for piece in word.split(b"/"):
                bare = piece.strip(EDGES)
                if bare in texts:
                    begin = start + piece.index(bare)
                    yield begin, begin + len(bare), evidence, texts[bare]
                start += len(piece) + 1


def _sequences(known: KnownValues, words: bytes, anchors: dict[bytes, int]) -> Iterator[_Span]:
    """Find values of several words around their anchors."""
    line = words.replace(b"/", b" ")
    row = [word for word in map(bytes.strip, line.split(), repeat(EDGES)) if word]
    places: list[tuple[int, int]] | None = None
    hits: dict[bytes, tuple[Labels, ...]] = {}
    for index, word in enumerate(row):
        shape = anchors.get(word)
        if shape is None:
            continue
        for before in range(min(ANCHOR_PLACES, index + 1)):
            for length in range(max(2, before + 1), MAXIMUM_WORDS + 1):
                first = index - before
                if shape >> (before * 7 + length - 1) & 1 and first + length <= len(row):
                    text = b" ".join(row[first : first + length])
                    if text not in hits:
                        hits[text] = known.labels_behind(known.fingerprint(text), Kind.TEXT)
                    if hits[text]:
                        if places is None:
                            places = [(at, at + len(word)) for at, word in _pieces(line) if word]
                        yield places[first][0], places[first + length - 1][1], Evidence.CONTENT, hits[text]


def _windows(run: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Give every stretch of whole groups of digits that may be a number, with its place in the run."""
    groups = [(found.start(), found.end()) for found in _GROUP.finditer(run)]
    if len(groups) == 2 and run[groups[0][1] : groups[1][0]] == b".":  # noqa: PLR2004  # A decimal number.
        return
    for first in range(len(groups)):
        digits = b""
        for start, stop in groups[first : first + MAXIMUM_DIGITS]:
            digits += run[start:stop]
            if len(digits) > MAXIMUM_DIGITS:
                break
            if len(digits) >= MINIMUM_DIGITS:
                yield groups[first][0], stop, digits


def _scan_runs(known: KnownValues, raw: bytes) -> Iterator[_Span]:
    """Find numbers that are written with spaces, dashes, brackets, dots."""
    runs = set(_RUN.findall(raw))
    if not runs:
        return
    spaced = [run for run in runs if b" " in run]
    candidates: list[bytes] = list(runs)
    candidates += [run.partition(b" ")[2] for run in spaced]
    candidates += [run.rpartition(b" ")[0] for run in spaced]
    digits = set(b"\n".join(candidates).translate(None, _BETWEEN_DIGITS).split())
    is_long = [run for run in spaced if run.count(b" ") > 3]  # noqa: PLR2004  # Cut above, up to four pieces are all there is.
    for run in is_long:
        digits.update(window for _, _, window in _windows(run))
    texts: dict[bytes, tuple[Labels, ...]] = {}
    for word, print_ in _passing(known, [one for one in digits if len(one) >= MINIMUM_DIGITS]):
        labels = known.labels_behind(print_, Kind.TEXT)
        if labels:
            texts[word] = labels
    if texts:
        for found in _RUN.finditer(raw):
            for start, stop, window in _windows(found[0]):
                if window in texts and _stands_alone(raw, found.start() + start, found.start() + stop):
                    yield found.start() + start, found.start() + stop, Evidence.CONTENT, texts[window]


def _stands_alone(raw: bytes, start: int, stop: int) -> bool:
    """Tell whether a number is not a part of a longer word, such as a digest or an order number."""
    before, after = raw[start - 1 : start], raw[stop : stop + 1]
    return not (before.isalnum() or after.isalnum())


def _scan_digests(known: KnownValues, raw: bytes, words: bytes, long: list[bytes]) -> Iterator[_Span]:
    """Find digests, in hex of either case and in base64 of either alphabet."""
    sizes = known.digest_sizes
    hexes = {2 * size for size in sizes}
    spelled = [word for word in long if len(word) in hexes]
    if spelled:
        yield from _decoded_digests(known, words, spelled, binascii.unhexlify)
    # Words are in lower case, which base64 is not; what was cut off at an edge may be a part of it, twice at most.
    lengths = {(4 * size + 2) // 3 for size in sizes}
    near = lengths | {length - 1 for length in lengths} | {length - 2 for length in lengths}
    if not near.isdisjoint(map(len, b" ".join(long).translate(_BASE64).split())):
        line = raw.translate(_BASE64)
        spelled = [word for word in set(line.split()) if len(word) in lengths]
        if spelled:
            yield from _decoded_digests(known, line, spelled, _from_base64)


def _from_base64(word: bytes) -> bytes:
    return binascii.a2b_base64(word + b"=" * (-len(word) % 4))


def _decoded_digests(
    known: KnownValues, line: bytes, spelled: list[bytes], decode: Callable[[bytes], bytes]
) -> Iterator[_Span]:
    texts: dict[bytes, tuple[Labels, ...]] = {}
    for word in spelled:
        try:
            digest = decode(word)
        except ValueError:
            continue  # Of the length of a digest, and something else.
        labels = known.labels_behind(known.fingerprint(digest), Kind.DIGEST)
        if labels:
            texts[word] = labels
    if texts:
        yield from _places_of_words(line, texts, Evidence.DIGEST)
