"""What elements of lxml give beside texts: attributes, and what XPath found. Imported only where lxml is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from lxml import etree

from taint.carriers.coverage import flat
from taint.carriers.operations import coverage_of
from taint.carriers.proxy import is_carrier
from taint.carriers.text import TaintedStr, carry_text, join_pieces
from taint.integrations.lxml_holding import Tree, attribute, held_by, hold, leaf, native_of, tree_of
from taint.labels import NO_LABELS, Labels
from taint.propagation.patches import CARRIERS

__all__ = ["Attributes", "Result", "labelled_results"]


class _Absent:
    """A method that dicts have and lxml's attributes do not."""

    def __set_name__(self, _owner: type, name: str) -> None:
        self.name = name

    def __get__(self, attributes: Any, _owner: type) -> Any:
        return getattr(None if attributes is None else attributes._native, self.name)  # Which says that there is none.


class Attributes(dict[str, Any]):
    """An element's attributes, as lxml's `_Attrib` shows them, with labels.

    It is a dict by class alone, and empty as one: `_Attrib` cannot be subclassed, and C code asks for one of the two.
    """

    __slots__ = ("_element", "_native")

    def __init__(self, element: Any, native: Any) -> None:
        self._element, self._native = element, native

    @property  # type: ignore[misc]  # As in `taint.propagation.patches`.
    def __class__(self) -> Any:
        return etree._Attrib

    def __getitem__(self, key: Any) -> Any:
        return leaf(self._element, attribute(key), self._native[key])

    def __setitem__(self, key: Any, value: Any) -> None:
        self._native[key] = native_of(value)
        hold(self._element, attribute(key), value)

    def __delitem__(self, key: Any) -> None:
        del self._native[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._native)

    def __reversed__(self) -> Any:
        return reversed(self._native)

    def __len__(self) -> int:
        return len(self._native)

    def __contains__(self, key: object) -> bool:
        return key in self._native

    def __repr__(self) -> str:
        return repr(self._native)

    def __eq__(self, other: object) -> bool:
        return bool(self._native == (other._native if type(other) is Attributes else other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = object.__hash__  # type: ignore[assignment]  # As `_Attrib`, and as no dict.

    def __copy__(self) -> dict[str, Any]:
        return dict(self.items())

    def __deepcopy__(self, _memo: object) -> dict[str, Any]:
        return dict(self.items())

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._native.__reduce_ex__(protocol)

    def get(self, key: Any, default: Any = None) -> Any:
        """Give a value. Labels: its own."""
        return leaf(self._element, attribute(key), self._native.get(key, default))

    def pop(self, key: Any, *default: Any) -> Any:
        """Take a value out. Labels: its own."""
        return leaf(self._element, attribute(key), self._native.pop(key, *default))

    def update(self, sequence_or_dict: Any) -> None:  # type: ignore[override]  # lxml's has one argument.
        """Set several. Labels: each value's own."""
        pairs = sequence_or_dict.items() if isinstance(sequence_or_dict, dict | etree._Attrib) else sequence_or_dict
        for key, value in pairs:
            self[key] = value

    def clear(self) -> None:
        """Take all out."""
        self._native.clear()

    def has_key(self, key: Any) -> bool:
        """Tell whether there is an attribute."""
        return bool(self._native.has_key(key))

    def keys(self) -> Any:
        """Give the names."""
        return self._native.keys()

    def items(self) -> Any:
        """Give names and values. Labels: each value's own."""
        return [(name, leaf(self._element, f"@{name}", value)) for name, value in self._native.items()]

    def values(self) -> Any:
        """Give the values. Labels: each one's own."""
        return [value for _, value in self.items()]

    def iterkeys(self) -> Iterator[Any]:
        """Give the names, one by one."""
        return iter(self._native)

    def iteritems(self) -> Iterator[Any]:
        """Give names and values, one by one. Labels: each value's own."""
        return iter(self.items())

    def itervalues(self) -> Iterator[Any]:
        """Give the values, one by one. Labels: each one's own."""
        return iter(self.values())

    def __or__(self, other: Any) -> Any:
        return self._native | other  # Which it refuses.

    def __ror__(self, other: Any) -> Any:
        return other | self._native

    __ior__ = __or__
    copy, fromkeys, popitem, setdefault = (_Absent(), _Absent(), _Absent(), _Absent())


class Result(TaintedStr):
    """A text that an XPath expression found, with labels, which still says where it was found."""

    __slots__ = ("_found",)
    _found: Any

    @classmethod
    def of(cls, found: Any, carrier: Any) -> Any:
        """Make one of lxml's own and the carrier that is held for it; where there is none, lxml's own it is."""
        if coverage_of(carrier) is None:
            return found
        result: Any = str.__new__(cls, str.__str__(carrier))
        result._coverage = coverage_of(carrier)
        result._found = found
        return result

    def getparent(self) -> Any:
        """Give the element that the text is of."""
        return self._found.getparent()

    @property
    def is_text(self) -> bool:
        """Whether it is the text of its element."""
        return bool(self._found.is_text)

    @property
    def is_tail(self) -> bool:
        """Whether it stands behind its element."""
        return bool(self._found.is_tail)

    @property
    def is_attribute(self) -> bool:
        """Whether it is an attribute's value."""
        return bool(self._found.is_attribute)

    @property
    def attrname(self) -> str | None:
        """The attribute's name."""
        name: str | None = self._found.attrname
        return name


CARRIERS.add(Result)


def labelled_results(context: Any, result: Any) -> Any:
    """Label what an XPath expression gave.

    Labels: those of the place where a text was found; on a text that was computed, where the labelled
    texts of the tree stand in it, and on all of it where it shows neither them nor anything unlabelled.
    """
    if isinstance(result, list):
        return [labelled_results(context, item) for item in result]
    if not isinstance(result, str) or not result:
        return result
    found: Any = result
    if not hasattr(found, "getparent"):  # With `smart_strings=False`.
        return _computed(context, found)
    element = found.getparent()
    if element is None:
        return Result.of(found, _computed(context, str.__str__(found)))
    place = attribute(found.attrname) if found.is_attribute else "tail" if found.is_tail else "text"
    held = held_by(element).get(place)
    plain = "" if held is None else str.__str__(held)
    if plain == found:
        return Result.of(found, held)
    # Beside a comment or a section there may be a part of it.
    return Result.of(found, carry_text(str.__str__(found), flat(coverage_of(held))) if found in plain else found)


def _computed(context: Any, text: str) -> Any:
    tree = tree_of(context)
    if tree is None:
        return text
    whole = [piece for piece in context.itertext() if piece]
    if "".join(map(str.__str__, whole)) == text:
        return join_pieces(whole)
    carriers = [carrier for element in tree.elements for carrier in held_by(element).values() if carrier]
    labels = NO_LABELS
    for carrier in carriers:
        if str.__str__(carrier) in text or text in str.__str__(carrier):
            labels |= flat(coverage_of(carrier))
    if not labels and not _is_elsewhere(tree, text):
        labels = _all_labels(carriers)
    return carry_text(text, labels)


def _all_labels(carriers: Iterable[Any]) -> Labels:
    labels = NO_LABELS
    for carrier in carriers:
        labels |= flat(coverage_of(carrier))
    return labels


def _is_elsewhere(tree: Tree, text: str) -> bool:
    """Tell whether a text stands in what is not labelled."""
    for element in tree.elements:
        texts = (element.tag, element.text, element.tail, *(element.values() if hasattr(element, "values") else ()))
        if any(isinstance(one, str) and not is_carrier(one) and text in one for one in texts):
            return True
    return False
