"""Which part of a body labels are on, as JSON Pointers (RFC 6901), and back.

`""` is the whole body, of any format. Any other pointer names a value of a JSON body, or a field of a form
(`name=value&name=value`); labels on a part of a text are on all of it, labels on the name of a member are on
the object that has it, labels on the name of a field on the whole form.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import unquote_plus

from taint.carriers.coverage import Coverage, Span, cut, flat, spans_of
from taint.labels import NO_LABELS, Labels
from taint.propagation.json_tree import json_tree
from taint.propagation.pairing import Node, layered

__all__ = ["WHOLE", "coverage_at", "field_labels", "pointers_of"]

WHOLE = ""

_FIELD = re.compile(r"((?:[A-Za-z0-9*._~+-]|%[0-9A-Fa-f]{2})+)=((?:[A-Za-z0-9*._~+-]|%[0-9A-Fa-f]{2})*)")
"""A field as `application/x-www-form-urlencoded` writes it: what is written otherwise is read in more ways than one."""

Placed = dict[str, Labels]
"""Labels by pointer."""


def pointers_of(text: str | None, coverage: Coverage | None) -> Placed:
    """Say by pointers what a coverage covers.

    Args:
        text: The body as an exact `str`; None where it is not text.
        coverage: In characters of that text.

    Returns:
        Labels by pointer; by `""` alone where the body is neither JSON nor a form, or is labelled as a whole.
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
        return _fields_touched(text, spans) or {WHOLE: everything}
    return found


def _fields_touched(text: str, spans: Sequence[Span]) -> Placed:
    """Find the fields of a form that spans are in; nothing where it is no form, or a span goes beyond a value."""
    found: Placed = {}
    fields = _fields(text)
    starts = [start for _, start, _ in fields]
    for start, stop, labels in spans:
        at = bisect_right(starts, start) - 1
        if at < 0 or stop > fields[at][2]:
            return {}
        pointer = f"/{_escaped(fields[at][0])}"
        found[pointer] = found.get(pointer, NO_LABELS) | labels
    return found


def _fields(text: str) -> list[tuple[str, int, int]]:
    """Give the fields of a form: the name of each, and where its value is; none where it is no form."""
    fields: list[tuple[str, int, int]] = []
    at = 0
    while at <= len(text):
        field = _FIELD.match(text, at)
        if field is None or text[field.end() : field.end() + 1] not in {"", "&"}:
            return []
        fields.append((unquote_plus(field[1]), *field.span(2)))
        at = field.end() + 1
    return fields


def field_labels(text: str, coverage: Coverage) -> dict[str, Labels]:
    """Give the labels of each field of a form by its name; nothing where it is no form.

    Labels: of all fields with the name, and of the names of fields.

    Args:
        text: The body as an exact `str`.
        coverage: In characters of that text.
    """
    fields = _fields(text)
    found: dict[str, Labels] = {}
    begin, names = 0, NO_LABELS
    for name, start, stop in fields:
        names |= flat(cut(coverage, begin, start))
        found[name] = found.get(name, NO_LABELS) | flat(cut(coverage, start, stop))
        begin = stop
    return {name: labels | names for name, labels in found.items()}


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
        fields = _fields(text or "")
        for pointer, labels in rest:
            places = [] if tree is None or not pointer.startswith("/") else _followed(tree, pointer.split("/")[1:])
            places = places or [(start, stop) for name, start, stop in fields if f"/{_escaped(name)}" == pointer]
            if not places:
                return Labels(label for _, labels in pairs for label in labels)
            spans += ((start, stop, labels) for start, stop in places)
    return layered(spans, length)


def _followed(tree: Node, steps: list[str]) -> list[tuple[int, int]]:
    nodes = [tree]
    for step in steps:
        # A name that an object has several times: all of them, since parsers do not agree on which one counts.
        nodes = [part for node in nodes for name, part in _parts(node) if name == step]
    return [_extent(node) for node in nodes]


def _extent(node: Node) -> tuple[int, int]:
    return (node.edges[0], node.edges[-1]) if node.edges and node.text else (node.start, node.stop)
