"""What is wrapped of lxml: factories, parsing, writing. Imported only where lxml is."""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Callable
from typing import Any

from lxml import etree

from taint.carriers.operations import coverage_of
from taint.carriers.proxy import TaintedProxy, exact, is_carrier
from taint.integrations.lxml_documents import label_tree, labelled_document
from taint.integrations.lxml_elements import LabelledTree, LabelledXPath
from taint.integrations.lxml_holding import (
    CLASSES,
    LabelledCDATA,
    attribute,
    hold,
    holds_labels,
    labels_under,
    take_in,
    texts,
)
from taint.losses import count_loss
from taint.propagation.follow import carry_texts, labels_in_call
from taint.propagation.pairing import detached
from taint.propagation.streams import TaintedBytesIO, TaintedStringIO

__all__ = [
    "cdata",
    "comparing",
    "element",
    "element_tree",
    "parse",
    "parse_any",
    "parsing",
    "subelement",
    "tostring",
    "xpath",
]


def element(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Wrap `Element`. Labels: those of the attributes, each on its own."""
    plain, named = _plain(args), _plain_named(kwargs)
    native = wrapped(*plain, **named)
    if type(native) is not etree._Element:  # The program has element classes of its own.
        return native
    element = _parser().makeelement(*plain, **named)
    _hold_attributes(element, args[1:2], kwargs)
    return element


def subelement(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Wrap `SubElement`. Labels: as `element`."""
    element = wrapped(*_plain(args), **_plain_named(kwargs))
    take_in(element, args[0] if args else kwargs["_parent"])
    _hold_attributes(element, args[2:3], kwargs)
    return element


def comparing(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Wrap what was compiled for exact texts. Labels: on all of the result."""
    labels = labels_in_call(args, kwargs)
    for element in args:
        labels |= labels_under(element)
    if not labels:
        return texts.plainly(wrapped, *args, **kwargs)
    return carry_texts(texts.plainly(wrapped, *detached(args).value, **detached(kwargs).value), labels)


@functools.cache
def _parser() -> Any:
    """Give a parser that makes elements of ours; it parses nothing."""
    parser = etree.XMLParser()
    parser.set_element_class_lookup(_lookup())
    return parser


@functools.cache
def _lookup() -> Any:
    element, comment, instruction, entity = CLASSES[:4]
    return etree.ElementDefaultClassLookup(element=element, comment=comment, pi=instruction, entity=entity)


def _plain(args: tuple[Any, ...]) -> tuple[Any, ...]:
    for value in args:
        if type(value) is TaintedProxy:
            return tuple(exact(one) if type(one) is TaintedProxy else one for one in args)
    return args


def _plain_named(kwargs: dict[str, Any]) -> dict[str, Any]:
    return dict(zip(kwargs, _plain(tuple(kwargs.values())), strict=True)) if kwargs else kwargs


def _hold_attributes(element: Any, attrib: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if not attrib and not kwargs:
        return

    given = dict((attrib[0] if attrib else kwargs.get("attrib")) or {})
    given |= {name: value for name, value in kwargs.items() if name not in {"attrib", "nsmap"}}
    for name, value in given.items():
        if is_carrier(value):
            if holds_labels(element):
                hold(element, attribute(name), value)
            else:
                count_loss("an element of lxml")


def element_tree(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Wrap `ElementTree`. Labels: those of its elements."""
    return _ours(wrapped(*args, **kwargs))


def _ours(tree: Any) -> Any:
    return LabelledTree.of(tree) if type(tree) is etree._ElementTree else tree


def cdata(_wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Wrap `CDATA`. Labels: on the text that it becomes."""
    return LabelledCDATA.of(*args, **kwargs)


def xpath(_wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Wrap `XPath`. Labels: on what the expression finds."""
    return LabelledXPath(*args, **kwargs)


def tostring(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Wrap `tostring`. Labels: where the labelled texts stand."""
    document = wrapped(*args, **kwargs)
    element: Any = args[0] if args else kwargs.get("element_or_tree")
    if hasattr(element, "getroot"):
        element = element.getroot()
    if getattr(element, "__dict__", None):
        is_html = wrapped.__module__ == "lxml.html"
        method = kwargs.get("method") or ("html" if is_html else "xml")
        return labelled_document(document, element, kwargs.get("encoding"), str(method))
    return document


def parsing(*, is_html: bool) -> Callable[..., Any]:
    """Give the wrapper of a function that parses a text. Labels: on what stands for a labelled part of it.

    Where it is asked for an unlabelled text too, the tree is of elements that can be given labels.
    """

    def wrapper(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        document = args[0] if args else kwargs.get("text")
        args, kwargs = tuple(map(exact, args)), {name: exact(value) for name, value in kwargs.items()}
        root = wrapped(*args, **kwargs)
        return _labelled(wrapped, root, document, args, kwargs, is_html=is_html)

    return wrapper


def _labelled(
    parse: Callable[..., Any],
    root: Any,
    document: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    is_html: bool = False,
) -> Any:
    """Label what was parsed: in the tree itself where its elements can hold labels, else in one of ours."""
    given = args[1] if len(args) > 1 else kwargs.get("parser")
    is_html = is_html or isinstance(given, etree.HTMLParser)
    top = root.getroot() if isinstance(root, etree._ElementTree) else root
    if label_tree(top, document, is_html=is_html):
        return root
    again = None
    # Whether a parser has classes of its own is not to be asked; what it makes shows it.
    if type(top) is etree._Element:
        with contextlib.suppress(Exception):  # What a parser calls may give each thing once. There is a tree already.
            again = _parsed_again(parse, top, document, args, kwargs, is_html=is_html)
    if again is None and coverage_of(document) is not None:
        count_loss("a parser of lxml that has classes of its own, or cannot be copied")
    return root if again is None else again


def _parsed_again(
    parse: Callable[..., Any],
    native: Any,
    document: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    is_html: bool,
) -> Any:
    """Parse a document into elements of ours; None where that would be another tree."""
    instructions = {etree._ProcessingInstruction, etree._XSLTProcessingInstruction}
    kinds = {etree._Element, etree._Comment, etree._Entity} | instructions
    if not kinds.issuperset(map(type, native.iter())):
        return None
    given = args[1] if len(args) > 1 else kwargs.get("parser")
    named = {name: value for name, value in kwargs.items() if name not in {"parser", "source", "text"}}
    again = parse(args[0] if args else kwargs.get("text", kwargs.get("source")), _like(given, is_html=is_html), **named)
    top = again.getroot() if isinstance(again, etree._ElementTree) else again
    if etree.tostring(top.getroottree()) != etree.tostring(native.getroottree()):
        return None
    label_tree(top, document, is_html=is_html)
    return again


def _like(parser: Any, *, is_html: bool) -> Any:
    """Give a parser as another one is, that makes elements of ours."""
    if parser is None:
        parser = etree.get_default_parser()
        if is_html and not isinstance(parser, etree.HTMLParser):
            parser = etree.HTMLParser()
    ours = parser.copy()
    ours.set_element_class_lookup(_lookup())
    return ours


def parse(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Wrap `parse`. Labels: those of a stream in memory."""
    source: Any = args[0] if args else kwargs.get("source")
    if _is_labelled_stream(source):
        return _parsed_stream(wrapped, source, args, kwargs)
    return wrapped(*map(exact, args), **{name: exact(value) for name, value in kwargs.items()})


def parse_any(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Wrap `parse`, so that every tree is of elements that can be given labels, but that of an open file."""
    source: Any = args[0] if args else kwargs.get("source")
    if _is_labelled_stream(source) or isinstance(source, io.StringIO | io.BytesIO):
        return _parsed_stream(wrapped, source, args, kwargs)
    args, kwargs = tuple(map(exact, args)), {name: exact(value) for name, value in kwargs.items()}
    tree = wrapped(*args, **kwargs)
    return tree if hasattr(source, "read") else _ours(_labelled(wrapped, tree, None, args, kwargs))


def _parsed_stream(wrapped: Callable[..., Any], source: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    # As lxml reads it: what is in memory is taken from there, and can be parsed again.
    document = source.getvalue() if hasattr(source, "getvalue") and not source.tell() else source.read()

    def parse(text: Any, *others: Any, **named: Any) -> Any:
        return wrapped(io.BytesIO(text) if isinstance(text, bytes) else io.StringIO(text), *others, **named)

    args = (exact(document), *args[1:])
    kwargs = {name: value for name, value in kwargs.items() if name != "source"}
    return _ours(_labelled(parse, parse(*args, **kwargs), document, args, kwargs))


def _is_labelled_stream(source: Any) -> bool:
    if type(source) is TaintedProxy:
        return hasattr(source, "read")
    # By what it has: of native streams too the metaclass says that they are instances.
    labelled = getattr(source, "_labels_at", None) if isinstance(source, TaintedStringIO | TaintedBytesIO) else None
    return labelled is not None and bool(labelled.spans)
