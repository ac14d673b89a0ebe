"""Which part of a body labels are on, as JSON Pointers (RFC 6901), and back.

`""` is the whole body, of any format. Any other pointer names a value of a JSON body; labels on a part
of a text are on all of it, labels on the name of a member are on the object that has it.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

from taint.carriers.coverage import Coverage, Span, spans_of
from taint.labels import NO_LABELS, Labels
from taint.propagation.json_tree import json_tree
from taint.propagation.pairing import Node, layered

__all__ = ["WHOLE", "coverage_at", "pointers_of"]

WHOLE = ""

Placed = dict[str, Labels]
"""Labels by pointer."""


def pointers_of(text: str | None, coverage: Coverage | None) -> Placed:
    """Say by pointers what a coverage covers.

    Args:
        text: The body as an exact `str`; None where it is not text.
        coverage: In characters of that text.

    Returns:
        Labels by pointer; by `""` alone where the body is not JSON or is labelled as a whole.
    """
    if not coverage:
        return {}
    if type(coverage) is Labels:
        return {WHOLE: coverage}
    spans = spans_of(coverage, 0)
    everything = Labels(label for _, _, labels in spans for label in labels)
    if text is None:
        return {WHOLE: everything}
    try:
        json.JSONDecoder().decode(text)  # The tree's reader takes it to be a document.
        found: Placed = {}
        for pointer, labels in _touched(json_tree(text), WHOLE, spans):
            found[pointer] = found.get(pointer, NO_LABELS) | labels
    except (ValueError, RecursionError, LookupError):
        return {WHOLE: everything}
    return found


def _touched(node: Node, pointer: str, spans: Sequence[Span]) -> Iterator[tuple[str, Labels]]:
    """Find the smallest values that spans touch: in order, not overlapping, and each of them touching this value."""
    missed = set(range(len(spans)))
    starts = [start for start, _, _ in spans]
    for name, part in _parts(node):
        first = max(bisect_right(starts, part.start) - 1, 0)
        inside = [at for at in range(first, bisect_left(starts, part.stop)) if spans[at][1] > part.start]
        if not inside:
            continue
        missed.difference_update(inside)
        if isinstance(name, Node):
            yield from ((pointer, spans[at][2]) for at in inside)
        else:
            yield from _touched(part, f"{pointer}/{name}", [spans[at] for at in inside])
    yield from ((pointer, spans[at][2]) for at in missed)


def _parts(node: Node) -> Iterator[tuple[str | Node, Node]]:
    """Give what is in a value: each item by its escaped name, and each member's own name as a node."""
    for at, item in enumerate(node.items or ()):
        yield str(at), item
    for key, item in node.members or ():
        yield key, key
        yield _escaped(str(key.text)), item


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def coverage_at(text: str | None, placed: Iterable[tuple[str, Labels]], length: int) -> Coverage | None:
    """Give the coverage that pointers stand for; all of the body where one cannot be followed.

    Args:
        text: The body as an exact `str`; None where it is not text.
        placed: Labels by pointer.
        length: Of the body, in characters where it is text.
    """
    pairs = [(pointer, labels) for pointer, labels in placed if labels]
    whole = NO_LABELS
    for pointer, labels in pairs:
        if pointer == WHOLE:
            whole |= labels
    rest = [pair for pair in pairs if pair[0] != WHOLE]
    spans: list[Span] = [(0, length, whole)]
    if rest:
        try:
            tree = json_tree(text or "")
        except (ValueError, RecursionError, LookupError):
            tree = None
        for pointer, labels in rest:
            nodes = [] if tree is None or not pointer.startswith("/") else _followed(tree, pointer.split("/")[1:])
            if not nodes:
                return Labels(label for _, labels in pairs for label in labels)
            spans += ((*_extent(node), labels) for node in nodes)
    return layered(spans, length)


def _followed(tree: Node, steps: list[str]) -> list[Node]:
    nodes = [tree]
    for step in steps:
        # A name that an object has several times: all of them, since parsers do not agree on which one counts.
        nodes = [part for node in nodes for name, part in _parts(node) if name == step]
    return nodes


def _extent(node: Node) -> tuple[int, int]:
    return (node.edges[0], node.edges[-1]) if node.edges and node.text else (node.start, node.stop)
