"""XML and property lists: a document built from labelled values knows which part was labelled.

`xml.etree` escapes and writes text with methods of `str`, which keep labels; its attributes go
through `%`, which asks nobody, and its parser is in C. Both are found again in the document: where a
text occurs more often than it is labelled, every occurrence counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from taint.carriers.coverage import cut, flat, joined, spans_of
from taint.carriers.operations import coverage_of
from taint.carriers.text import join_pieces
from taint.carriers.values import labels_of
from taint.labels import NO_LABELS, Labels
from taint.propagation.follow import (
    CARRIERS,
    carry_texts,
    covered,
    exact,
    followed,
    labels_in_call,
    on_all,
    piecewise,
    through,
)
from taint.propagation.patches import Patch, Swap, Wrapper, patches_in
from taint.propagation.streams import stream_swaps

__all__ = ["finder", "patches"]


def _with_labels_at(value: Any, start: int, stop: int, labels: Labels) -> Any:
    """Add labels to one part of a text or bytes."""
    coverage, plain = coverage_of(value), exact(value)
    parts = ((0, start, NO_LABELS), (start, stop, labels), (stop, len(plain), NO_LABELS))
    pieces = [
        covered(plain[first:last], joined(cut(coverage, first, last), more, last - first))
        for first, last, more in parts
    ]
    return join_pieces(pieces)


def _written(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Wrap `tostring`: texts are labelled already, attributes are found in the document."""
    value = wrapped(*args, **kwargs)
    root: Any = args[0] if args else kwargs.get("element")
    for element in root.iter():
        for text in element.attrib.values():
            if type(text) in CARRIERS:
                value = _attribute(wrapped, value, text)
    return value


def _attribute(wrapped: Any, value: Any, text: Any) -> Any:
    escaped = wrapped.__globals__["_escape_attrib"](exact(text))
    quoted: Any = f'="{escaped}"'
    plain = exact(value)
    if isinstance(plain, bytes):
        quoted = quoted.encode("ascii", "xmlcharrefreplace")
    at = plain.find(quoted)
    if at < 0:  # In an encoding of its own.
        return carry_texts(value, labels_of(text))
    while at >= 0:
        value = _with_labels_at(value, at + 2, at + len(quoted) - 1, labels_of(text))
        at = plain.find(quoted, at + 1)
    return value


def finder(document: Any) -> Callable[[Any], Any]:
    """Give what labels a text of a tree: with the labels of every place in the document where it stands."""
    plain, labels = exact(document), flat(coverage_of(document))
    text = plain if isinstance(plain, str) else plain.decode("latin-1")
    spans = spans_of(coverage_of(document), len(plain))

    def labelled(leaf: Any) -> Any:
        if not leaf:
            return leaf
        at = text.find(leaf)
        if at < 0 or type(coverage_of(document)) is Labels:
            return carry_texts(leaf, labels)
        if isinstance(document, str) and text.find(leaf, at + 1) < 0:
            return document[at : at + len(leaf)]
        found = NO_LABELS
        while at >= 0:
            for start, stop, own in spans:
                if start < at + len(leaf) and at < stop:
                    found |= own
            at = text.find(leaf, at + 1)
        return carry_texts(leaf, found)

    return labelled


def _parsed(value: Any, _native: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Rule of `fromstring`: texts and attributes that occur in a labelled part of the document."""
    labelled = finder(args[0] if args else kwargs["text"])
    for element in value.iter():
        element.text, element.tail = labelled(element.text), labelled(element.tail)
        for name, content in list(element.attrib.items()):
            element.set(name, labelled(content))
    return value


class _Source:
    """Gives a parser, which asks for exact text, what a stream has, and takes note of it."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self.taken: list[Any] = []

    def read(self, *args: Any) -> Any:
        data = self._source.read(*args)
        self.taken.append(data)
        return exact(data)


def _parse(wrapped: Callable[..., Any], _tree: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if not args or not hasattr(args[0], "read"):
        return wrapped(*args, **kwargs)
    source = _Source(args[0])
    root = wrapped(source, *args[1:], **kwargs)
    document = join_pieces(source.taken) if labels_of(source.taken) else None
    return root if document is None else _parsed(root, wrapped, (document,), {})


class _TextWriter:
    """Takes what a text node writes and passes it on, labelled."""

    def __init__(self, writer: Any, labels: Labels) -> None:
        self._writer, self._labels = writer, labels

    def write(self, text: str) -> Any:
        return self._writer.write(carry_texts(text, self._labels))


def _node(wrapped: Callable[..., Any], node: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    labels = labels_of(node.data)
    return wrapped(*((_TextWriter(args[0], labels), *args[1:]) if labels else args), **kwargs)


def _quoted(value: Any, native: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Rule of `quoteattr`: between the quotes, stretch by stretch."""
    if len(args) != 1 or kwargs:
        return carry_texts(value, labels_in_call(args, kwargs))
    inside = piecewise(value[1:-1], lambda piece: native(piece)[1:-1], args[0])
    return value[0] + inside + value[-1]


_WRAPPERS: dict[str, dict[str, Wrapper]] = {
    "xml.etree.ElementTree": {
        "tostring": _written,
        "fromstring": followed(_parsed),
        "XML": followed(_parsed),
        "canonicalize": followed(on_all),
        **dict.fromkeys(("_escape_cdata", "_escape_attrib"), followed(through)),
        "ElementTree.parse": _parse,
    },
    "xml.sax.saxutils": {
        "quoteattr": followed(_quoted),
        **dict.fromkeys(("escape", "unescape"), followed(through)),
    },
    "xml.dom.minidom": {f"{kind}.writexml": _node for kind in ("Text", "CDATASection", "Comment")},
    "plistlib": {"dumps": followed(on_all, deep=True, plain=False), "loads": followed(on_all)},
}


def patches(module: ModuleType) -> Iterator[Patch | Swap]:
    """Give what there is to wrap in one of these modules."""
    yield from patches_in(module, _WRAPPERS[module.__name__])
    yield from stream_swaps(module)
