"""Reading a JSON document with positions, so that labels of values and of the document can be paired."""

from __future__ import annotations

import re
from collections.abc import Callable
from json.decoder import scanstring  # type: ignore[attr-defined]  # As old as the module; typeshed has not got it.
from typing import Any

from taint.carriers.coverage import Coverage
from taint.carriers.operations import coverage_of
from taint.carriers.proxy import exact
from taint.carriers.text import TaintedStr, carry_text
from taint.propagation.follow import is_plain
from taint.propagation.json_strings import label_strings, string_coverage, strings_in
from taint.propagation.pairing import Detached, Node, detached, label_loaded, labelled_document

__all__ = ["json_tree", "json_written_from", "label_json_values", "labelled_json", "plain_document"]

_LEAVES = frozenset((str, int, float, bool, type(None)))

_TOKEN = re.compile(
    r'(?P<text>"[^"\\]*(?:\\.[^"\\]*)*")|(?P<open>[\[{])|(?P<close>[\]}])|(?P<other>[^\s,:\[\]{}"]+)', re.DOTALL
)
# A pair of surrogates is one character.
_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|[^\\]", re.DOTALL
)


def json_tree(document: str) -> Node:
    """Read a JSON document that a parser or serialiser has accepted.

    Args:
        document: An exact `str`.

    Raises:
        ValueError: There is no value in it.
    """
    stack: list[tuple[int, bool, list[Node]]] = []
    for found in _TOKEN.finditer(document):
        kind = found.lastgroup
        start, stop = found.span()
        if kind == "open":
            stack.append((start, document[start] == "{", []))
            continue
        if kind == "close":
            begun, is_mapping, nodes = stack.pop()
            if is_mapping:
                node = Node(begun, stop, members=tuple(zip(nodes[::2], nodes[1::2], strict=True)))
            else:
                node = Node(begun, stop, items=tuple(nodes))
        elif kind == "text":
            node = _text(document, start, stop)
        else:
            node = Node(start, stop)
        if not stack:
            return node
        stack[-1][2].append(node)
    msg = "no value in the document"
    raise ValueError(msg)


def _text(document: str, start: int, stop: int) -> Node:
    raw = document[start + 1 : stop - 1]
    if "\\" not in raw:
        return Node(start, stop, raw, range(start + 1, stop))
    text = scanstring(document, start + 1, False)[0]  # noqa: FBT003  # It takes no names: not strict.
    edges = [start + 1 + escape.start() for escape in _ESCAPE.finditer(raw)] + [stop - 1]
    return Node(start, stop, text, edges if len(edges) == len(text) + 1 else None)


def labelled_json(document: Any, made: Detached) -> Any:
    """Put labels on a JSON document, text or UTF-8 bytes. Labels: where each value stands in it.

    Args:
        document: What the serialiser gave for `made.value`.
        made: What it was made from.
    """
    if not made.labels:
        return document
    labelled = None if made.has_hooked else _labelled(document, made.original)
    if labelled is not None:
        return labelled
    if type(document) is not bytes:
        return labelled_document(document, made, json_tree)
    return labelled_document(document.decode(), made, json_tree).encode()


def json_written_from(document: Any, value: Any) -> Any:
    """Do what `labelled_json` does, for a document that needed no plain twin of the value."""
    labelled = _labelled(document, value)
    return labelled_json(document, detached(value)) if labelled is None else labelled


def _labelled(document: Any, value: Any) -> Any:
    """Label a document whose labels are all on strings; None where that is not known."""
    is_text = type(document) is str
    texts = strings_in(value) if is_text or type(document) is bytes else None
    if texts is None:
        return None
    text = document if is_text else document.decode()
    coverage = string_coverage(text, texts)
    if coverage is None:
        return None
    return carry_text(text, coverage) if is_text else carry_text(text, coverage).encode()


def label_json_values(value: Any, document: Any, force: Callable[[Any, str, Any], None] = object.__setattr__) -> Any:
    """Put the labels of a JSON document on what was loaded from it. Labels: on the leaves they cover.

    Args:
        value: As the native parser gave it.
        document: The document, with its labels: text, or bytes in UTF-8.
        force: Sets a field of a loaded object.
    """
    coverage: Coverage | None = coverage_of(document)
    if isinstance(document, bytes) and coverage:
        document = document.decode()
        coverage = coverage_of(document)
    if not coverage:
        return value
    if (labelled := label_strings(value, str.__str__(document), coverage)) is not None:
        return labelled
    return label_loaded(value, coverage, lambda: json_tree(str.__str__(document)), force)


def plain_document(value: Any) -> Any:
    """Give a twin of a value that goes out as a document, with exact texts in the place of labelled ones.

    Labels: left behind; the value itself keeps them. A container in which nothing is labelled may be the same one.
    """
    if is_plain(value):
        return value
    try:
        return _plain_document(value)
    except RecursionError:  # A cycle is the serialiser's to refuse.
        return value


def _plain_document(value: Any) -> Any:
    kind = type(value)
    if kind is TaintedStr:
        return str.__str__(value)
    if kind is dict:
        return {
            (key if type(key) is str else exact(key)): (
                item
                if type(item) in _LEAVES
                else str.__str__(item)
                if type(item) is TaintedStr
                else _plain_document(item)
            )
            for key, item in value.items()
        }
    if kind is list or kind is tuple:
        return kind(item if type(item) in _LEAVES else _plain_document(item) for item in value)
    return detached(value).value
