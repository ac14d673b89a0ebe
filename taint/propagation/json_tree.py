"""Reading a JSON document with positions, so that labels of values and of the document can be paired."""

from __future__ import annotations

import re
from collections.abc import Callable
from json.decoder import scanstring  # type: ignore[attr-defined]  # As old as the module; typeshed has not got it.
from typing import Any

from taint.carriers.coverage import Coverage
from taint.carriers.operations import coverage_of
from taint.propagation.pairing import Detached, Node, label_loaded, labelled_document

__all__ = ["json_tree", "label_json_values", "labelled_json"]

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
    if type(document) is not bytes:
        return labelled_document(document, made, json_tree)
    if not made.labels:
        return document
    return labelled_document(document.decode(), made, json_tree).encode()


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
    return label_loaded(value, coverage, lambda: json_tree(str.__str__(document)), force)
