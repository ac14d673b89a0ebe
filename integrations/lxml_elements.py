"""Our classes of lxml's elements, trees and expressions: what each does differently. Imported only where lxml is."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Iterator
from typing import Any

from lxml import etree

from taint.integrations.lxml_documents import labelled_document
from taint.integrations.lxml_found import Attributes, labelled_results
from taint.integrations.lxml_holding import (
    HELD,
    attribute,
    give_back,
    held_by,
    hold,
    holds_labels,
    leaf,
    let_go,
    native_of,
    take_in,
    tree_of,
)

__all__ = ["BASES", "LabelledTree", "LabelledXPath", "Member", "element_class", "members_for"]

Member = Callable[[Any], Any]
"""Takes the native member of a class and gives ours."""


def _text_at(place: str) -> Member:
    def make(native: Any) -> Any:
        native_get, native_set = native.__get__, native.__set__

        def get(self: Any) -> Any:
            value = native_get(self)
            return value if getattr(self, HELD, None) is None else leaf(self, place, value)

        def put(self: Any, value: Any) -> None:
            native_set(self, native_of(value))
            if type(value) is not str or getattr(self, HELD, None):
                hold(self, place, value)

        def remove(self: Any) -> None:
            native.__delete__(self)

        return property(get, put, remove, native.__doc__)

    return make


def _get(native: Any) -> Any:
    def get(self: Any, key: Any, default: Any = None) -> Any:
        value = native(self, key, default)
        return value if getattr(self, HELD, None) is None else leaf(self, attribute(key), value)

    return get


def _set(native: Any) -> Any:
    def put(self: Any, key: Any, *value: Any, **named: Any) -> None:
        given = value[0] if value else named.get("value")
        if type(given) is str:
            native(self, key, *value, **named)
        else:
            native(self, key, *map(native_of, value), **{name: native_of(one) for name, one in named.items()})
        if type(given) is not str or getattr(self, HELD, None):
            hold(self, attribute(key), given)

    return put


def _items(native: Any) -> Any:
    def items(self: Any) -> Any:
        pairs = native(self)
        return [(name, leaf(self, f"@{name}", value)) for name, value in pairs] if held_by(self) else pairs

    return items


def _values(native: Any) -> Any:
    def values(self: Any) -> Any:
        return [value for _, value in self.items()] if held_by(self) else native(self)

    return values


def _attrib(native: Any) -> Any:
    def attrib(self: Any) -> Any:
        return Attributes(self, native.__get__(self))

    return property(attrib, doc=native.__doc__)


def _taking(at: int) -> Member:
    """For a method that takes an element in."""

    def make(native: Any) -> Any:
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            result = native(self, *args, **kwargs)
            take_in(args[at] if len(args) > at else kwargs["element"], self)
            return result

        return method

    return make


def _extend(native: Any) -> Any:
    def extend(self: Any, elements: Any) -> Any:
        taken: list[Any] = []

        def noted() -> Iterator[Any]:
            for element in elements:
                taken.append(element)
                yield element

        try:
            return native(self, noted())
        finally:
            for element in taken:
                if etree.iselement(element) and element.getparent() is self:
                    take_in(element, self)

    return extend


def _replace(native: Any) -> Any:
    def replace(self: Any, old_element: Any, new_element: Any) -> Any:
        tree = tree_of(self)
        result = native(self, old_element, new_element)
        let_go(old_element, tree)
        take_in(new_element, self)
        return result

    return replace


def _remove(native: Any) -> Any:
    def remove(self: Any, element: Any) -> Any:
        tree = tree_of(self)
        result = native(self, element)
        let_go(element, tree)
        return result

    return remove


def _changing(native: Any) -> Any:
    """For a method after which there may be other children."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        tree = tree_of(self)
        before = list(self) if tree is not None else []
        result = native(self, *args, **kwargs)
        after = list(self)
        for element in before:
            if element.getparent() is not self:
                let_go(element, tree)
        for element in after:
            take_in(element, self)
        return result

    return method


def _copying(native: Any) -> Any:
    def method(self: Any, *memo: Any) -> Any:
        copied = native(self, *memo)
        if tree_of(self) is not None:
            give_back(self, copied)
        return copied

    return method


def _getroottree(native: Any) -> Any:
    def getroottree(self: Any) -> Any:
        return LabelledTree.of(native(self))

    return getroottree


def _searching(native: Any) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return labelled_results(self, native(self, *args, **kwargs))

    return method


_OF_ALL: dict[str, Member] = {
    "text": _text_at("text"),
    "tail": _text_at("tail"),
    "addnext": _taking(0),
    "addprevious": _taking(0),
    "__copy__": _copying,
    "__deepcopy__": _copying,
    "getroottree": _getroottree,
}
_OF_ELEMENTS: dict[str, Member] = {
    **_OF_ALL,
    "attrib": _attrib,
    "get": _get,
    "set": _set,
    "items": _items,
    "values": _values,
    "append": _taking(0),
    "insert": _taking(1),
    "extend": _extend,
    "replace": _replace,
    "remove": _remove,
    "clear": _changing,
    "__setitem__": _changing,
    "__delitem__": _changing,
    "xpath": _searching,
}


def members_for(kind: type) -> dict[str, Member]:
    """Give what is different in a class of elements, by name; `text_content` is what `lxml.html` has besides."""
    if issubclass(kind, etree._Entity):
        return {name: make for name, make in _OF_ALL.items() if name != "text"}
    if issubclass(kind, etree.CommentBase | etree.PIBase):
        return _OF_ALL
    return {**_OF_ELEMENTS, "text_content": _searching} if hasattr(kind, "text_content") else _OF_ELEMENTS


@functools.cache
def element_class(native: Any) -> Any:
    """Make our class of one of lxml's bases; it is called as lxml's own elements are."""
    members = {name: make(getattr(native, name)) for name, make in members_for(native).items()}
    return type(BASES[native], (native,), {"__module__": "lxml.etree", "__doc__": native.__doc__, **members})


BASES = {
    etree.ElementBase: "_Element",
    etree.CommentBase: "_Comment",
    # Which lxml has for style sheets alone: a lookup knows one class for all instructions.
    etree._XSLTProcessingInstruction: "_ProcessingInstruction",
    etree.EntityBase: "_Entity",
}
"""The classes that ours are made of, and what lxml's own are called."""


class LabelledTree(etree._ElementTree):
    """What a labelled document does differently."""

    @classmethod
    def of(cls, native: Any) -> Any:
        """Give the tree of elements of ours; any other as it is."""
        root = native.getroot()
        if not holds_labels(root):
            return native
        tree = cls()
        tree._setroot(root)
        return tree

    def xpath(self, *args: Any, **kwargs: Any) -> Any:
        """Search. Labels: as `labelled_results`."""
        found: Any = super().xpath(*args, **kwargs)
        return labelled_results(self.getroot(), found)

    def write(self, file: Any, **options: Any) -> None:
        """Write. Labels: as `tostring`, where it is written to an object."""
        root = self.getroot()
        if tree_of(root) is None or not hasattr(file, "write") or options.get("compression"):
            super().write(file, **options)
            return
        stream = io.BytesIO()
        super().write(stream, **options)
        method = str(options.get("method") or "xml")
        file.write(labelled_document(stream.getvalue(), root, options.get("encoding"), method))

    def __copy__(self) -> Any:
        return type(self).of(super().__copy__())

    def __deepcopy__(self, memo: Any) -> Any:
        copied: Any = type(self).of(super().__deepcopy__(memo))
        if tree_of(self.getroot()) is not None:
            give_back(self.getroot(), copied.getroot())
        return copied


class LabelledXPath(etree.XPath):
    """A compiled expression whose results are labelled."""

    def __call__(self, element_or_tree: Any, *args: Any, **kwargs: Any) -> Any:
        """Search. Labels: as `labelled_results`."""
        found = super().__call__(element_or_tree, *args, **kwargs)
        context = element_or_tree.getroot() if hasattr(element_or_tree, "getroot") else element_or_tree
        return labelled_results(context, found)


for _ours, _native in ((LabelledTree, etree._ElementTree), (LabelledXPath, etree.XPath)):
    _ours.__module__, _ours.__name__, _ours.__qualname__ = "lxml.etree", _native.__name__, _native.__qualname__
