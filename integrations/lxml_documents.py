"""Documents of lxml: which part of one stands for which text of its tree, both ways. Imported only where lxml is.

A document is read once more, with positions, as a sequence of tags; the tree is walked the same way. Where
both agree, each text and attribute has its place. Where they do not (HTML whose tags the parser rearranges,
entities that stay), texts are looked for in the document, and every occurrence counts.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from taint.carriers.coverage import Coverage, Span, flat, spans_of, tidy
from taint.carriers.operations import coverage_of
from taint.carriers.proxy import exact
from taint.carriers.text import carry_bytes, carry_text, join_pieces
from taint.guard import report_internal_error
from taint.integrations.lxml_holding import attribute, held_by, hold, holds_labels, labels_under
from taint.labels import Labels
from taint.propagation.documents import finder
from taint.propagation.pairing import layered

__all__ = ["label_tree", "labelled_document"]

_TOKEN = re.compile(
    r"<!--.*?-->|<\?.*?\?>|<!\[CDATA\[(?P<cdata>.*?)\]\]>|<!DOCTYPE[^>\[]*(?:\[.*?\]\s*)?>|</(?P<end>[^>]*)>"
    r"|<(?P<start>[^\s/>]+)(?P<attributes>(?:[^>\"'/]|\"[^\"]*\"|'[^']*'|/(?!>))*)(?P<empty>/?)>|[^<]+|<",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r"([^\s=]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", re.DOTALL)
_CHARACTER = re.compile(r"&[^;&\s]+;|\r\n|.", re.DOTALL)
_SPACES, _RETURN = re.compile(r"[\r\n\t]"), re.compile("\r")
_VOID = frozenset(
    "area base basefont br col embed frame hr img input isindex link meta param source track wbr".split()  # noqa: SIM905
)
_EVENTS = ("start", "end", "comment", "pi")

Pieces = list[tuple[int, int, bool]]
"""Where a text stands: start, stop, and whether it is written as it is."""


@dataclass(slots=True)
class _Event:
    """A tag, a comment or an instruction of a document.

    Attributes:
        kind: As `etree.iterwalk` calls it.
        attributes: Name and place of each, without declarations of namespaces.
        text: Where the text behind it stands.
    """

    kind: str
    attributes: list[tuple[str, int, int]] = field(default_factory=list)
    text: Pieces = field(default_factory=list)


def _events(text: str, *, is_html: bool) -> list[_Event]:
    events = [_Event("document")]
    for token in _TOKEN.finditer(text):
        start, stop = token.span()
        written = token.group()
        if token["start"]:
            at = token.start("attributes")
            places = [
                (one[1], at + one.start(group), at + one.end(group))
                for one in _ATTRIBUTE.finditer(token["attributes"])
                for group in (2 if one[2] is not None else 3,)
                if one[1] != "xmlns" and not one[1].startswith("xmlns:")
            ]
            events.append(_Event("start", places))
            if token["empty"] or (is_html and token["start"].lower() in _VOID):
                events.append(_Event("end"))
        elif token["end"] is not None:
            events.append(_Event("end"))
        elif token["cdata"] is not None:
            events[-1].text.append((*token.span("cdata"), True))
        elif written.startswith("<!--"):
            events.append(_Event("comment", [("", start + 4, stop - 3)]))
        elif written.startswith("<?"):
            if not written.startswith("<?xml "):
                events.append(_Event("pi"))
        elif not written.startswith("<!"):
            events[-1].text.append((start, stop, False))
    return events


def _is_as_read(text: str, start: int, stop: int, is_literal: bool, *, is_attribute: bool) -> bool:  # noqa: FBT001
    """Tell whether what is written at a place is what is read there, character by character."""
    return (is_literal or text.find("&", start, stop) < 0) and (_SPACES if is_attribute else _RETURN).search(
        text, start, stop
    ) is None


def _characters(text: str, pieces: Pieces, *, is_attribute: bool) -> tuple[str, list[tuple[int, int]]]:
    """Read what is written at some places, with the place of each character."""
    if len(pieces) == 1 and _is_as_read(text, *pieces[0], is_attribute=is_attribute):
        ((start, stop, _),) = pieces
        return text[start:stop], [(at, at + 1) for at in range(start, stop)]
    characters: list[str] = []
    places: list[tuple[int, int]] = []
    for start, stop, is_literal in pieces:
        for one in _CHARACTER.finditer(text, start, stop):
            written = one.group()
            if written in ("\r\n", "\r"):
                read = " " if is_attribute else "\n"
            elif written[0] == "&" and len(written) > 1 and not is_literal:
                read = html.unescape(written)
            else:
                read = " " if is_attribute and written in "\n\t" else written
            if read == written and len(read) > 1:  # No reference after all.
                characters += read
                places += [(at, at + 1) for at in range(one.start(), one.end())]
                continue
            characters += read
            places += [one.span()] * len(read)
    return "".join(characters), places


Leaf = tuple[Any, str, str | None, Pieces]
"""An element, a place in it, the text there, and where that is written."""


def _paired(root: Any, text: str, *, is_html: bool) -> Iterator[Leaf] | None:
    """Give each text and attribute of a tree with its place in a document; None where the two do not agree."""
    walk = list(etree.iterwalk(root, events=_EVENTS))
    events = _events(text, is_html=is_html)
    kinds = [event.kind for event in events]
    begin = kinds.index("start") if "start" in kinds else 0
    within = events[begin : begin + len(walk)]
    if [event.kind for event in within] == [kind for kind, _ in walk]:
        return _leaves(walk, within, text)
    return _in_order(walk, events, text)


def _in_order(walk: Sequence[tuple[str, Any]], events: Sequence[_Event], text: str) -> Iterator[Leaf] | None:
    """Pair where a parser added tags: the same texts and the same attributes follow each other in both."""
    leaves = [
        leaf for leaf in _leaves(walk, [_Event(kind) for kind, _ in walk], text) if leaf[2] and not leaf[2].isspace()
    ]
    written: list[tuple[bool, Pieces]] = []
    for event in events:
        written += ((event.kind == "start", [(start, stop, False)]) for _, start, stop in event.attributes)
        written.append((False, event.text))
    read = [(_characters(text, pieces, is_attribute=of)[0], of, pieces) for of, pieces in written]
    places: list[Leaf] = []
    for of in (False, True):
        wanted = [leaf for leaf in leaves if (leaf[1][0] == "@") is of]
        there = [(value, pieces) for value, is_of, pieces in read if is_of is of and value.strip()]
        if [leaf[2] for leaf in wanted] != [value for value, _ in there]:
            return None
        places += ((*leaf[:3], pieces) for leaf, (_, pieces) in zip(wanted, there, strict=True))
    return iter(places)


def _leaves(walk: Sequence[tuple[str, Any]], events: Sequence[_Event], text: str) -> Iterator[Leaf]:
    for (kind, element), event in zip(walk, events, strict=True):
        place = "text" if kind == "start" else "tail"
        if kind == "comment":
            yield element, "text", element.text, [(start, stop, True) for _, start, stop in event.attributes]
        yield element, place, getattr(element, place), event.text
        if kind != "start":
            continue
        yield from ((element, *found) for found in _attributes(element.items(), event.attributes, text))


def _attributes(
    items: Sequence[tuple[str, str]], written: Sequence[tuple[str, int, int]], text: str
) -> Iterator[tuple[str, str, Pieces]]:
    """Pair attributes by name and value: a canonical form has an order of its own, a document type gives more."""
    there: dict[str, Pieces] = {}
    for name, start, stop in written:
        there.setdefault(name.rpartition(":")[2], []).append((start, stop, False))
    for name, value in items:
        pieces = there.get(name.rpartition("}")[2], [])
        if len(pieces) > 1:  # One name in several namespaces: the first of them that has this value.
            equal = [piece for piece in pieces if _characters(text, [piece], is_attribute=True)[0] == value]
            if equal:
                pieces.remove(equal[0])
                pieces = equal[:1]
        yield attribute(name), value, pieces


# From a tree to its document.


def labelled_document(native: Any, element: Any, encoding: Any, method: str) -> Any:
    """Label a document that was written from an element.

    Labels: where the labelled texts stand; where that cannot be found, on all of it.

    Args:
        native: The document, as lxml wrote it.
        element: What it was written from.
        encoding: As `etree.tostring` has it.
        method: As `etree.tostring` has it.
    """
    labels = labels_under(element)
    if not labels or not isinstance(native, str | bytes):
        return native
    try:
        return _written(native, element, encoding, method, labels)
    except Exception as error:  # noqa: BLE001  # Any failure here means "all of it", never a broken program.
        report_internal_error("finding the labels' places in a document of lxml", error)
        return carry_text(native, labels) if isinstance(native, str) else carry_bytes(native, labels)


def _written(native: Any, element: Any, encoding: Any, method: str, labels: Labels) -> Any:
    if isinstance(native, str):
        return carry_text(native, _places(native, element, method) or labels)
    encoding = encoding or ("utf-8" if method.startswith("c14n") else "ascii")
    text = native.decode(encoding)
    result = carry_text(text, _places(text, element, method) or labels).encode(encoding)
    return result if exact(result) == native else carry_bytes(native, labels)


def _places(text: str, element: Any, method: str) -> Coverage | None:
    if method == "text":
        whole = [piece for piece in element.itertext() if piece]
        if "".join(map(exact, whole)) == text:
            return coverage_of(join_pieces(whole))
    leaves = _paired(element, text, is_html=method == "html")
    if leaves is None:
        return layered(_searched(text, element), len(text))
    spans: list[Span] = []
    for _, place, value, pieces in leaves:
        coverage = coverage_of(value)
        if not coverage or not pieces:
            continue
        start, stop, _ = pieces[0]
        if len(pieces) == 1 and text[start:stop] == value:
            spans += ((start + first, start + last, own) for first, last, own in spans_of(coverage, len(value)))
            continue
        written, places = _characters(text, pieces, is_attribute=place[0] == "@")
        if written == value:
            spans += (
                (places[at][0], places[at][1], own)
                for start, stop, own in spans_of(coverage, len(written))
                for at in range(start, stop)
            )
        else:
            spans += ((start, stop, flat(coverage)) for start, stop, _ in pieces)
    return layered(spans, len(text))


def _searched(text: str, element: Any) -> Iterator[Span]:
    """Look for labelled texts in a document; one that is not there is on all of it."""
    for owner in element.iter():
        for carrier in held_by(owner).values():
            plain, labels = exact(carrier), flat(coverage_of(carrier))
            found = False
            for form in {plain, html.escape(plain, quote=False), html.escape(plain)} - {""}:
                for one in re.finditer(re.escape(form), text):
                    found = True
                    yield one.start(), one.end(), labels
            if plain and not found:
                yield 0, len(text), labels


# From a document to its tree.


def label_tree(root: Any, document: Any, *, is_html: bool = False) -> bool:
    """Label a tree that was parsed from a document.

    Labels: on the texts and attributes whose place in the document is covered, and on no others.

    Args:
        root: Its root.
        document: A carrier.
        is_html: Some tags have no end.

    Returns:
        Whether the elements are of a class that can hold labels.
    """
    if not holds_labels(root):
        return False
    coverage = coverage_of(document)
    if coverage is None:
        return True
    try:
        leaves = list(_read(root, document, coverage, is_html=is_html))
    except Exception as error:  # noqa: BLE001  # As in `labelled_document`.
        report_internal_error("finding the labelled texts of a document of lxml", error)
        leaves = [
            (owner, place, carry_text(value or "", flat(coverage))) for owner, place, value, _ in _all_leaves(root)
        ]
    for owner, place, carrier in leaves:
        if coverage_of(carrier) is not None and holds_labels(owner):
            hold(owner, place, carrier)
    return True


def _read(root: Any, document: Any, coverage: Coverage, *, is_html: bool) -> Iterator[tuple[Any, str, Any]]:
    if type(coverage) is Labels:
        yield from ((owner, place, carry_text(value or "", coverage)) for owner, place, value, _ in _all_leaves(root))
        return
    if isinstance(document, bytes):
        document = document.decode(root.getroottree().docinfo.encoding or "utf-8")
    text = exact(document)
    spans = spans_of(coverage_of(document), len(text))
    leaves = _paired(root, text, is_html=is_html)
    if leaves is None:
        find = finder(document)
        yield from ((owner, place, find(value)) for owner, place, value, _ in _all_leaves(root))
        return
    starts = [start for start, _, _ in spans]
    for owner, place, value, pieces in leaves:
        if not value:
            continue
        near = [
            span
            for start, stop, _ in pieces
            for span in spans[max(bisect_right(starts, start) - 1, 0) : bisect_left(starts, stop)]
            if span[1] > start
        ]
        if near:
            yield owner, place, carry_text(value, _covering(text, value, pieces, near, is_attribute=place[0] == "@"))


def _covering(text: str, value: str, pieces: Pieces, spans: list[Span], *, is_attribute: bool) -> Coverage | None:
    start, stop, _ = pieces[0]
    if len(pieces) == 1 and text[start:stop] == value:
        near = ((max(first, start) - start, min(last, stop) - start, labels) for first, last, labels in spans)
        return tidy(near, len(value))
    read, places = _characters(text, pieces, is_attribute=is_attribute)
    if read != value:
        return flat(tuple(spans))
    return layered(
        (
            (at, at + 1, labels)
            for at, (start, stop) in enumerate(places)
            for first, last, labels in spans
            if first < stop and start < last
        ),
        len(value),
    )


def _all_leaves(root: Any) -> Iterator[Leaf]:
    for element in root.iter():
        if not isinstance(element, etree._Entity):
            yield element, "text", element.text, []
        if element is not root:
            yield element, "tail", element.tail, []
        if isinstance(element.tag, str):
            yield from ((element, attribute(name), value, []) for name, value in element.items())
