"""lxml: texts and attributes keep their labels in a tree, and a document knows which of its parts are labelled.

Source: none. Sink: none.

Covered: what `Element`, `SubElement` and `ElementMaker` make holds labels in `text`, `tail`, `get`, `set`,
`attrib`, through moves between trees, copies and removals; so does a tree that was parsed (`fromstring`,
`XML`, `HTML`, `parse` of a stream in memory) from a labelled document; `lxml.html` whatever it parsed.
`tostring` labels where the labelled texts stand; `fromstring(tostring(x))` labels the same leaves and no
others. `itertext`, `findtext`, `text_content`, and what `xpath` finds; a text that XPath computes, where
labelled texts stand in it, else as a whole.

Not covered: a labelled text put into a tree that was parsed from an unlabelled document, or by a parser
with element classes of its own; `Comment`, `ProcessingInstruction`; `objectify`, `iterparse`, XSLT,
`xmlfile`, `XPathEvaluator`, parser targets, whose results C code makes; `strip_tags`.

    import taint
    taint.install(integrations=["lxml"])
    from lxml import etree
    person = etree.Element("person")
    person.text = taint.label("+14155550100", purpose="security.mfa")
    taint.labels_of(etree.fromstring(etree.tostring(person)).text)      # Labels of the phone
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import wrapt

from taint.carriers.operations import coverage_of
from taint.carriers.proxy import TaintedProxy, exact, is_carrier
from taint.integrations.base import Integration
from taint.losses import count_loss
from taint.propagation.follow import carry_texts, labels_in_call
from taint.propagation.pairing import detached
from taint.propagation.patches import ForCarriers, Patch, Swap
from taint.propagation.streams import TaintedBytesIO, TaintedStringIO

__all__ = ["LxmlIntegration"]


class LxmlIntegration(Integration):
    """Keeps labels in trees and through documents."""

    identifier = "lxml"
    requires = ("lxml>=5.0",)
    waits_for = "lxml.etree"

    def __init__(self) -> None:
        super().__init__()
        self._is_hooked = False

    def _install(self) -> None:
        from lxml import etree

        from taint.integrations.lxml_elements import element_class
        from taint.integrations.lxml_holding import CLASSES

        # Custom element classes are lxml's own way to have an element be more than the tree; which parser or
        # factory makes them is the program's affair, so that these are wrapped. Since lxml 2; no events.
        classes = [etree.ElementBase, etree.CommentBase, etree.PIBase, etree.EntityBase]
        CLASSES[:] = map(element_class, classes)
        parsing = {"fromstring": False, "XML": False, "HTML": True}
        self._wrap(
            (
                Patch(etree, "Element", _element),
                Patch(etree, "SubElement", _subelement),
                Patch(etree, "ElementTree", _element_tree),
                Patch(etree, "CDATA", ForCarriers(_cdata)),
                Patch(etree, "XPath", _xpath),
                Patch(etree, "tostring", _tostring),
                Patch(etree, "parse", _parse),
                *(Patch(etree, name, ForCarriers(_parsing(is_html=is_html))) for name, is_html in parsing.items()),
            )
        )
        later = {"html": self._put_on_html, "html.diff": self._put_on_diff, "builder": self._put_on_builder}
        for name, put_on in later.items():
            module = f"lxml.{name}"
            if module in sys.modules:
                put_on(sys.modules[module])
            elif not self._is_hooked:
                wrapt.register_post_import_hook(put_on, module)
        self._is_hooked = True

    def _uninstall(self) -> None:
        from taint.integrations.lxml_holding import CLASSES

        del CLASSES[4:]

    def _put_on_html(self, html: Any) -> None:
        if not self._is_wanted:
            return
        from taint.integrations.lxml_elements import members_for
        from taint.integrations.lxml_holding import CLASSES

        kinds = (html.HtmlElement, html.HtmlComment, html.HtmlProcessingInstruction, html.HtmlEntity)
        CLASSES.extend(kinds)
        # Its elements are classes in Python, which its parsers and functions all know.
        self._wrap(Swap(kind, name, make) for kind in kinds for name, make in members_for(kind).items())
        self._wrap((Patch(html, "tostring", _tostring),))  # It searches what etree's gives by a compiled pattern.

    def _put_on_diff(self, diff: Any) -> None:
        if self._is_wanted:
            self._wrap(Patch(diff, name, _comparing) for name in ("htmldiff", "html_annotate"))

    def _put_on_builder(self, builder: Any) -> None:
        if self._is_wanted:  # It took etree's own factory when it was imported.
            from lxml import etree

            self._wrap((Swap(builder, "E", lambda _: builder.ElementMaker(makeelement=etree.Element)),))


def _element(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    from lxml import etree

    native = wrapped(*_plain(args), **_plain_named(kwargs))
    if type(native) is not etree._Element:  # The program has element classes of its own.
        return native
    element = _parser().makeelement(*_plain(args), **_plain_named(kwargs))
    _hold_attributes(element, args[1:2], kwargs)
    return element


def _subelement(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    from taint.integrations.lxml_holding import take_in

    element = wrapped(*_plain(args), **_plain_named(kwargs))
    take_in(element, args[0] if args else kwargs["_parent"])
    _hold_attributes(element, args[2:3], kwargs)
    return element


def _comparing(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Wrap what was compiled for exact texts. Labels: on all of the result."""
    from taint.integrations.lxml_holding import labels_under, texts

    labels = labels_in_call(args, kwargs)
    for element in args:
        labels |= labels_under(element)
    if not labels:
        return texts.plainly(wrapped, *args, **kwargs)
    return carry_texts(texts.plainly(wrapped, *detached(args).value, **detached(kwargs).value), labels)


def _parser() -> Any:
    """Give a parser that makes elements of ours; it is only asked for them."""
    from lxml import etree

    parser = etree.XMLParser()
    parser.set_element_class_lookup(_lookup())
    return parser


def _lookup() -> Any:
    from lxml import etree

    from taint.integrations.lxml_holding import CLASSES

    element, comment, instruction, entity = CLASSES[:4]
    return etree.ElementDefaultClassLookup(element=element, comment=comment, pi=instruction, entity=entity)


def _plain(args: Iterable[Any]) -> list[Any]:
    return [exact(value) if type(value) is TaintedProxy else value for value in args]


def _plain_named(kwargs: dict[str, Any]) -> dict[str, Any]:
    return dict(zip(kwargs, _plain(kwargs.values()), strict=True))


def _hold_attributes(element: Any, attrib: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    from taint.integrations.lxml_holding import attribute, hold, holds_labels

    given = dict(attrib[0] if attrib and attrib[0] else kwargs.get("attrib") or {})
    given |= {name: value for name, value in kwargs.items() if name not in ("attrib", "nsmap")}
    for name, value in given.items():
        if is_carrier(value):
            if holds_labels(element):
                hold(element, attribute(name), value)
            else:
                count_loss("an element of lxml")


def _element_tree(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return _ours(wrapped(*args, **kwargs))


def _ours(tree: Any) -> Any:
    from lxml import etree

    from taint.integrations.lxml_elements import LabelledTree

    return LabelledTree.of(tree) if type(tree) is etree._ElementTree else tree


def _cdata(_wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    from taint.integrations.lxml_holding import LabelledCDATA

    return LabelledCDATA.of(*args, **kwargs)


def _xpath(_wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    from taint.integrations.lxml_elements import LabelledXPath

    return LabelledXPath(*args, **kwargs)


def _tostring(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    document = wrapped(*args, **kwargs)
    element: Any = args[0] if args else kwargs.get("element_or_tree")
    if hasattr(element, "getroot"):
        element = element.getroot()
    if getattr(element, "__dict__", None):
        from taint.integrations.lxml_documents import labelled_document

        is_html = wrapped.__module__ == "lxml.html"
        method = kwargs.get("method") or ("html" if is_html else "xml")
        return labelled_document(document, element, kwargs.get("encoding"), str(method))
    return document


def _parsing(*, is_html: bool) -> Callable[..., Any]:
    def wrapper(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        document = args[0] if args else kwargs["text"]
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
    from lxml import etree

    from taint.integrations.lxml_documents import label_tree

    if coverage_of(document) is None:
        return root
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
    if again is None:
        count_loss("a parser of lxml that has classes of its own, or cannot be copied")
        return root
    return again


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
    from lxml import etree

    from taint.integrations.lxml_documents import label_tree

    kinds = {etree._Element, etree._Comment, etree._ProcessingInstruction, etree._Entity}
    if not kinds.issuperset(map(type, native.iter())):
        return None
    given = args[1] if len(args) > 1 else kwargs.get("parser")
    named = {name: value for name, value in kwargs.items() if name not in {"parser", "text"}}
    again = parse(args[0] if args else kwargs["text"], _like(given, is_html=is_html), **named)
    top = again.getroot() if isinstance(again, etree._ElementTree) else again
    if etree.tostring(top.getroottree()) != etree.tostring(native.getroottree()):
        return None
    label_tree(top, document, is_html=is_html)
    return again


def _like(parser: Any, *, is_html: bool) -> Any:
    """Give a parser as another one is, that makes elements of ours."""
    from lxml import etree

    if parser is None:
        parser = etree.get_default_parser()
        if is_html and not isinstance(parser, etree.HTMLParser):
            parser = etree.HTMLParser()
    ours = parser.copy()
    ours.set_element_class_lookup(_lookup())
    return ours


def _parse(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    source: Any = args[0] if args else kwargs.get("source")
    if not _is_labelled_stream(source):
        return wrapped(*map(exact, args), **{name: exact(value) for name, value in kwargs.items()})
    document = source.read()

    def parse(text: Any, *others: Any, **named: Any) -> Any:
        return wrapped(io.BytesIO(text) if isinstance(text, bytes) else io.StringIO(text), *others, **named)

    args = (exact(document), *args[1:])
    kwargs = {name: value for name, value in kwargs.items() if name != "source"}
    return _ours(_labelled(parse, parse(*args, **kwargs), document, args, kwargs))


def _is_labelled_stream(source: Any) -> bool:
    if type(source) is TaintedProxy:
        return hasattr(source, "read")
    # By what it has: of native streams too the metaclass says that they are instances.
    return isinstance(source, TaintedStringIO | TaintedBytesIO) and bool(getattr(source, "_labels_at", _NOTHING).spans)


_NOTHING = SimpleNamespace(spans=())
