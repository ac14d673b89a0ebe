"""lxml: texts and attributes keep their labels in a tree, and a document knows which of its parts are labelled.

Source: none. Sink: none.

Covered: what `Element`, `SubElement` and `ElementMaker` make holds labels in `text`, `tail`, `get`, `set`,
`attrib`, through moves between trees, copies and removals; so does a tree that was parsed (`fromstring`,
`XML`, `HTML`, `parse` of a stream in memory) from a labelled document; `lxml.html` whatever it parsed.
`tostring` labels where the labelled texts stand; `fromstring(tostring(x))` labels the same leaves and no
others. `itertext`, `findtext`, `text_content`, and what `xpath` finds; a text that XPath computes, where
labelled texts stand in it, else as a whole.

`LxmlIntegration(documents=True)` does so for trees of unlabelled documents: templates that are filled in.

Not covered: without that, a labelled text put into a tree that was parsed from an unlabelled document;
one put into a tree of a parser with element classes of its own; `Comment`, `ProcessingInstruction`;
`objectify`, `iterparse`, XSLT, `xmlfile`, `XPathEvaluator`, parser targets, whose results C code makes;
`strip_tags`.

    import taint
    taint.install(integrations=["lxml"])
    from lxml import etree
    person = etree.Element("person")
    person.text = taint.label("+14155550100", purpose="security.mfa")
    taint.labels_of(etree.fromstring(etree.tostring(person)).text)      # Labels of the phone
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import wrapt

from taint.guard import report_internal_error
from taint.integrations.base import Integration
from taint.propagation.patches import ForCarriers, Patch, Swap

__all__ = ["LxmlIntegration"]


class LxmlIntegration(Integration):
    """Keeps labels in trees and through documents.

    Args:
        documents: Parse every document into elements that can be given labels, not the labelled ones alone: for
            templates that labelled values are put into. Each is parsed twice for that, an open file excepted.
    """

    identifier = "lxml"
    requires = ("lxml>=5.0",)
    waits_for = "lxml.etree"

    def __init__(self, *, documents: bool = False) -> None:
        super().__init__()
        self.documents = documents
        self._is_hooked = False

    def _install(self) -> None:
        from lxml import etree

        from taint.integrations import lxml_calls as calls
        from taint.integrations.lxml_elements import BASES, element_class
        from taint.integrations.lxml_holding import CLASSES

        # Custom element classes are lxml's own way to have an element be more than the tree; which parser or
        # factory makes them is the program's affair, so that these are wrapped. Since lxml 2; no events.
        CLASSES[:] = map(element_class, BASES)
        asked = (lambda wrapper: wrapper) if self.documents else ForCarriers
        parsing = {"fromstring": False, "XML": False, "HTML": True}
        self._wrap(
            (
                Patch(etree, "Element", calls.element),
                Patch(etree, "SubElement", calls.subelement),
                Patch(etree, "ElementTree", calls.element_tree),
                Patch(etree, "CDATA", ForCarriers(calls.cdata)),
                Patch(etree, "XPath", calls.xpath),
                Patch(etree, "tostring", calls.tostring),
                Patch(etree, "parse", calls.parse_any if self.documents else calls.parse),
                *(Patch(etree, name, asked(calls.parsing(is_html=is_html))) for name, is_html in parsing.items()),
            )
        )
        later = {"html": self._put_on_html, "html.diff": self._put_on_diff, "builder": self._put_on_builder}
        for name, put_on in later.items():
            module = f"lxml.{name}"
            if module in sys.modules:
                put_on(sys.modules[module])
            elif not self._is_hooked:
                wrapt.register_post_import_hook(functools.partial(self._put_on_later, put_on), module)
        self._is_hooked = True

    def _put_on_later(self, put_on: Callable[[Any], None], module: Any) -> None:
        if self._is_wanted:
            try:
                put_on(module)
            except Exception as error:  # noqa: BLE001  # As in `_on_import`: the program is importing.
                report_internal_error(f"installing the integration {self.identifier!r}", error)

    def _uninstall(self) -> None:
        from taint.integrations.lxml_holding import CLASSES

        del CLASSES[4:]

    def _put_on_html(self, html: Any) -> None:
        from taint.integrations import lxml_calls as calls
        from taint.integrations.lxml_elements import members_for
        from taint.integrations.lxml_holding import CLASSES

        kinds = (html.HtmlElement, html.HtmlComment, html.HtmlProcessingInstruction, html.HtmlEntity)
        CLASSES.extend(kinds)
        # Its elements are classes in Python, which its parsers and functions all know.
        self._wrap(Swap(kind, name, make) for kind in kinds for name, make in members_for(kind).items())
        self._wrap((Patch(html, "tostring", calls.tostring),))  # It puts what etree's gives through a compiled pattern.

    def _put_on_diff(self, diff: Any) -> None:
        from taint.integrations import lxml_calls as calls

        self._wrap(Patch(diff, name, calls.comparing) for name in ("htmldiff", "html_annotate"))

    def _put_on_builder(self, builder: Any) -> None:
        from lxml import etree

        # It took etree's own factory when it was imported.
        self._wrap((Swap(builder, "E", lambda _: builder.ElementMaker(makeelement=etree.Element)),))
