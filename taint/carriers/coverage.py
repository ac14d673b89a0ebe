"""Coverage: which part of a text which labels cover, and the algebra of cutting and joining it.

A coverage is either one `Labels`, for the whole of the value (the fast path), or a tuple of
`(start, stop, labels)` spans: in order, not overlapping, none empty, where the value is mixed.
Where an operation does not preserve positions, the whole result is covered: more, never less.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator

from taint.labels import NO_LABELS, Labels

__all__ = [
    "Coverage",
    "Span",
    "Spans",
    "concatenated",
    "cut",
    "flat",
    "joined",
    "picked",
    "placed",
    "repeated",
    "spans_of",
    "tidy",
]

Span = tuple[int, int, Labels]
Spans = tuple[Span, ...]
Coverage = Labels | Spans


def flat(coverage: Coverage | None) -> Labels:
    """Join all labels of a coverage: what an operation that keeps no positions gives its result."""
    if type(coverage) is Labels:
        return coverage
    if not coverage:
        return NO_LABELS
    labels = NO_LABELS
    for _, _, more in coverage:  # type: ignore[misc]  # `Labels` was excluded above, but not for mypy.
        labels |= more
    return labels


def spans_of(coverage: Coverage | None, length: int) -> Spans:
    """Give any coverage of a value of `length` as spans."""
    if type(coverage) is Labels:
        return ((0, length, coverage),) if coverage and length else ()
    return coverage or ()  # type: ignore[return-value]  # As above.


def tidy(spans: Iterable[Span], length: int) -> Coverage | None:
    """Merge neighbours with equal labels and give the simplest form for a value of `length`.

    Args:
        spans: In order, not overlapping; empty ones are dropped.
        length: Of the value, in characters or bytes.

    Returns:
        None where nothing is covered, `Labels` where one set covers all, else spans.
    """
    merged: list[Span] = []
    for span in spans:
        start, stop, labels = span
        if start >= stop or not labels:
            continue
        if merged:
            last_start, last_stop, last_labels = merged[-1]
            if last_stop == start and (last_labels is labels or last_labels == labels):
                merged[-1] = (last_start, stop, last_labels)
                continue
        merged.append(span)
    if not merged:
        return None
    first = merged[0]
    if first[0] == 0 and first[1] == length:
        return first[2]
    return tuple(merged)


def joined(coverage: Coverage | None, labels: Labels, length: int) -> Coverage | None:
    """Add labels to every position of a coverage, covered or not."""
    if not labels:
        return coverage
    if type(coverage) is Labels:
        return coverage | labels
    result: list[Span] = []
    at = 0
    for start, stop, own in spans_of(coverage, length):
        result += ((at, start, labels), (start, stop, own | labels))
        at = stop
    result.append((at, length, labels))
    return tidy(result, length)


def _stop(span: Span) -> int:
    return span[1]


def _clipped(spans: Spans, start: int, stop: int) -> Iterator[Span]:
    for at in range(bisect_right(spans, start, key=_stop), len(spans)):
        first, last, labels = spans[at]
        if first >= stop:
            return
        yield max(first, start) - start, min(last, stop) - start, labels


def cut(coverage: Coverage | None, start: int, stop: int) -> Coverage | None:
    """Give the coverage of the part from `start` to `stop` (0 <= start <= stop <= length)."""
    if type(coverage) is Labels or not coverage:
        return coverage
    return tidy(_clipped(spans_of(coverage, stop), start, stop), stop - start)


def picked(coverage: Coverage | None, positions: range) -> Coverage | None:
    """Give the coverage of single positions put one after another, as an extended slice does."""
    if type(coverage) is Labels or not coverage:
        return coverage
    start, step, size = positions.start, positions.step, len(positions)

    def index(edge: int) -> int:
        """Tell how many of the positions come before an edge, in the direction of the slice."""
        return min(max(-((start - edge) // step), 0), size)

    spans = spans_of(coverage, 0)
    if step > 0:
        found = [(index(first), index(last), labels) for first, last, labels in spans]
    else:
        found = [(index(last - 1), index(first - 1), labels) for first, last, labels in reversed(spans)]
    return tidy(found, size)


def repeated(coverage: Coverage, length: int, count: int) -> Coverage | None:
    """Give the coverage of a value of `length` that is put `count` times one after another."""
    if type(coverage) is Labels:
        return coverage
    return tidy(
        (
            (start + turn * length, stop + turn * length, labels)
            for turn in range(count)
            for start, stop, labels in spans_of(coverage, length)
        ),
        length * count,
    )


def placed(coverage: Coverage | None, at: int, length: int, total: int) -> Coverage | None:
    """Give the coverage of a value of `length` that stands in one of `total`, where nothing else is covered."""
    if type(coverage) is Labels:
        return ((at, at + length, coverage),) if 0 < length < total and coverage else coverage
    if not at or not coverage:
        return coverage
    return tuple([(start + at, stop + at, labels) for start, stop, labels in spans_of(coverage, length)])


def concatenated(pieces: Iterable[tuple[Coverage | None, int]]) -> Coverage | None:
    """Give the coverage of pieces put one after another.

    Args:
        pieces: The coverage and the length of each.
    """
    spans: list[Span] = []
    at = begin = end = 0
    last = NO_LABELS  # Of the span from `begin` to `end`, which the next piece may go on with.
    for coverage, length in pieces:
        if coverage and length:
            for start, stop, labels in ((0, length, coverage),) if type(coverage) is Labels else coverage:  # type: ignore[misc]  # Spans.
                if end != at + start or (last is not labels and last != labels):
                    if last:
                        spans.append((begin, end, last))
                    begin, last = at + start, labels
                end = at + stop
        at += length
    if begin == 0 and end == at:
        return last or None
    return (*spans, (begin, end, last)) if last else None
