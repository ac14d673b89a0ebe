"""JSON documents whose labels are all on strings: paired with their values at the speed of json's C code.

A string of a document begins and ends with a quote, and outside of strings there is none. So the strings of a
document, in order, are those of the value that it was written from, keys among them; and putting a mark in the place of
what stands between two quotes changes one leaf of what is loaded, and nothing else. Whatever is not as simple as that
is left to `taint.propagation.json_tree` and to json's own Python code, which find every place: None says so.
"""

from __future__ import annotations

import re
from itertools import accumulate
from json.decoder import JSONDecoder, scanstring  # type: ignore[attr-defined]  # As in `json_tree`.
from typing import Any

from taint.carriers.coverage import Coverage, Span, Spans, spans_of
from taint.carriers.text import TaintedStr, carry_text
from taint.labels import Labels

__all__ = ["cover_texts", "label_strings", "string_coverage", "strings_in"]

_STRING = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_SILENT = frozenset((int, float, bool, type(None)))
_MARK = "\ue000"  # For private use: a document that has it is none of the simple ones.
_MARKS = (_MARK, "\\ue000", "\\uE000")  # As it may be written.
_scan: Any = JSONDecoder(strict=False).scan_once  # type: ignore[attr-defined]  # Not in typeshed.


class _NotSimpleError(Exception):
    """A value is not made of what has one way to be written."""


def strings_in(value: Any) -> list[str] | None:
    """Give the strings of a value, keys among them, in the order in which a document has them.

    Labels: each string keeps its own.

    Returns:
        None where the value has anything in it that has more than one way to be written.
    """
    texts: list[str] = []
    try:
        _collect(value, texts)
    except (_NotSimpleError, RecursionError):
        return None
    return texts


def string_coverage(document: str, texts: list[str] | None, *, is_in_order: bool = False) -> Coverage | None:
    """Say where the labels of a value stand in the document that was written from it.

    Labels: of each string, between its quotes.

    Args:
        document: An exact `str`, as a serialiser gave it.
        texts: The strings of the value.
        is_in_order: The document is known to have all of them in their order.

    Returns:
        None where that is not known: another order, something that was left out; or where nothing is labelled.
    """
    # Alternately what is outside of strings and what is inside of one.
    pieces = _STRING.split(document) if '\\"' in document else document.split('"')
    inside = pieces[1::2]
    if texts is None or len(inside) != len(texts):
        return None
    if not is_in_order and not all(map(_is_written, inside, map(_exact, texts))):
        return None
    edges = [0, *accumulate(map(len, pieces))]
    spans: list[Span] = []
    for number, text in enumerate(texts):
        if type(text) is TaintedStr:
            at, coverage = 2 * number + 1, text._coverage  # noqa: SLF001  # As in `carry_text`.
            start = edges[at] + at  # Each piece before has a quote after it.
            if type(coverage) is Labels:
                spans.append((start, edges[at + 1] + at, coverage))
            elif inside[number] != _exact(text):  # An escape is longer than what it stands for.
                return None
            else:
                own = spans_of(coverage, len(text))
                spans += [(start + first, start + last, labels) for first, last, labels in own]
    return tuple(spans) or None


_exact = str.__str__


def _is_written(inside: str, text: str) -> bool:
    """Tell whether this is how a document has a text between two quotes."""
    return inside == text or ("\\" in inside and scanstring(f'{inside}"', 0, False)[0] == text)  # noqa: FBT003  # It takes no names: not strict.


def _collect(value: Any, texts: list[str]) -> None:
    kind = type(value)
    if kind is str or kind is TaintedStr:
        texts.append(value)
    elif kind is dict:
        for key, item in value.items():
            if type(key) is not str and type(key) is not TaintedStr:
                raise _NotSimpleError
            texts.append(key)
            if type(item) is str or type(item) is TaintedStr:  # As below, without its call.
                texts.append(item)
            else:
                _collect(item, texts)
    elif kind is list or kind is tuple:
        for item in value:
            _collect(item, texts)
    elif kind not in _SILENT:
        raise _NotSimpleError


def label_strings(value: Any, document: str, coverage: Coverage, at: int = 0) -> Any:
    """Put a document's labels on what was loaded from it, where each covers what stands between two quotes.

    Labels: on those strings. Dicts and lists are changed in place.

    Args:
        value: As a parser gave it, of dicts and lists; never None.
        document: An exact `str`.
        coverage: Of the document.
        at: Where in it the value begins.

    Returns:
        The value; None, and nothing is changed, where a label covers anything else.
    """
    if type(coverage) is Labels or any(mark in document for mark in _MARKS):
        return None
    try:
        text, marks = _marked(document, spans_of(coverage, len(document)), at)
        puts: list[tuple[Any, Any, Labels]] = []
        around = [value]
        _find(around, [_scan(text, at)[0]], marks, puts)
    except (_NotSimpleError, ValueError, StopIteration, LookupError, TypeError, RecursionError):
        return None
    if len(puts) != len(marks):
        return None
    for container, key, labels in puts:
        container[key] = carry_text(container[key], labels)
    return around[0]


def _marked(document: str, spans: Spans, at: int) -> tuple[str, dict[str, Labels]]:
    """Put a mark in the place of what each span covers; the quotes of the document stay as they are."""
    pieces: list[str] = []
    marks: dict[str, Labels] = {}
    done = 0
    for number, (start, stop, labels) in enumerate(spans):
        piece = document[start:stop]
        is_whole = start > at and document[start - 1] == '"' and document[stop : stop + 1] == '"'
        if not is_whole or '"' in piece or piece[-1] == "\\":
            raise _NotSimpleError
        mark = f"{_MARK}{number}"
        marks[mark] = labels
        pieces += (document[done:start], mark)
        done = stop
    pieces.append(document[done:])
    return "".join(pieces), marks


def _find(value: Any, marked: Any, marks: dict[str, Labels], puts: list[tuple[Any, Any, Labels]]) -> None:
    """Find the marks, and what stands in their place; of lists and dicts, whose other leaves are the same."""
    if type(value) is not type(marked) or len(value) != len(marked):
        raise _NotSimpleError
    for key, item in marked.items() if type(marked) is dict else enumerate(marked):
        kind = type(item)
        if kind is str:
            labels = marks.get(item)
            if labels is not None:
                if type(value[key]) is not str:
                    raise _NotSimpleError
                puts.append((value, key, labels))
        elif kind is dict or kind is list:
            _find(value[key], item, marks, puts)


def cover_texts(value: Any, labels: Labels) -> Any:
    """Put labels on all strings that were loaded from a document, keys too, however deep they are."""
    around = [value]
    stack: list[Any] = [around]
    while stack:
        here = stack.pop()
        if type(here) is dict:
            pairs = [(carry_text(key, labels), item) for key, item in here.items()]
            here.clear()
            here.update(pairs)
        for key, item in here.items() if type(here) is dict else enumerate(here):
            if type(item) is str:
                here[key] = carry_text(item, labels)
            elif type(item) in (dict, list):
                stack.append(item)
    return around[0]
