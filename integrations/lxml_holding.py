"""Elements of lxml that hold carriers. Imported only where lxml is.

lxml's tree is in C and takes plain text. What a program holds of it are elements, which lxml makes when
they are asked for and forgets when nobody holds them; their class may be one of ours. Such an element
gives the tree the plain text, and keeps the carrier that it was given beside it: it is what is read back
for as long as the tree still has that very text there.

The elements of a tree in which something is labelled hold each other (`Tree`), so that none of them, nor
its labels, goes before the tree does. A tree without labels is as it always was.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from lxml import etree

from taint.carriers.coverage import flat
from taint.carriers.operations import coverage_of
from taint.carriers.proxy import TaintedProxy, exact, is_carrier, labels_of_carrier
from taint.carriers.text import TaintedBytes, TaintedStr, carry_text
from taint.labels import NO_LABELS, Labels

__all__ = [
    "CLASSES",
    "HELD",
    "LabelledCDATA",
    "Tree",
    "attribute",
    "give_back",
    "held_by",
    "hold",
    "holds_labels",
    "keep_together",
    "labels_under",
    "leaf",
    "let_go",
    "native_of",
    "take_in",
    "texts",
    "tree_of",
]

HELD = "_taint_held"
"""The attribute under which an element of ours has what it holds."""
_TREE = "_taint_tree"

CLASSES: list[type] = []
"""The classes of elements that hold carriers: ours, and those that were made to."""


class _Texts(threading.local):
    """What elements give in a thread, which is inside of compiled code that takes exact texts only."""

    are_plain = False

    def plainly(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function to which elements give no carriers."""
        self.are_plain = True
        try:
            return call(*args, **kwargs)
        finally:
            self.are_plain = False


texts = _Texts()


def holds_labels(element: object) -> bool:
    """Tell whether an element is of a class that holds carriers."""
    return isinstance(element, tuple(CLASSES))


class Tree:
    """The elements of one tree in which something is labelled: each of them holds this, and this all of them."""

    __slots__ = ("elements",)

    def __init__(self, elements: Iterable[Any]) -> None:
        self.elements: set[Any] = set()
        self.take(elements)

    def take(self, elements: Iterable[Any]) -> None:
        """Count elements in."""
        for element in elements:
            element.__dict__[_TREE] = self
            self.elements.add(element)


def _ours(elements: Iterable[Any]) -> list[Any]:
    return [element for element in elements if holds_labels(element)]


def tree_of(element: Any) -> Tree | None:
    """Give the labelled tree that an element is part of; None where nothing in its tree is labelled."""
    return getattr(element, _TREE, None)


def held_by(element: Any) -> dict[str, Any]:
    """Give the carriers that an element holds, by their place: `text`, `tail`, or `attribute(name)`."""
    return getattr(element, HELD, None) or {}


def attribute(name: Any) -> str:
    """Give the place of an attribute; a name may be text, bytes or a QName."""
    name = exact(name)
    if isinstance(name, bytes):
        name = name.decode("utf-8", "replace")
    return f"@{name if isinstance(name, str) else getattr(name, 'text', name)}"


def leaf(element: Any, place: str, value: Any) -> Any:
    """Give the carrier that is held for a text of the tree, or the text where there is none."""
    held = getattr(element, HELD, None)
    if held is None or value is None:
        return value
    carrier = held.get(place)
    # A text that has changed in the tree is not the one that was labelled.
    return carrier if carrier is not None and str.__eq__(carrier, value) is True and not texts.are_plain else value


def hold(element: Any, place: str, given: Any) -> None:
    """Hold what the tree was given at a place, if it is a carrier; let go what was held there before."""
    carrier = _as_text(given)
    if carrier is not None:
        element.__dict__.setdefault(HELD, {})[place] = carrier
        if tree_of(element) is None:
            keep_together(element)
        return
    held = getattr(element, HELD, None)
    if held:
        held.pop(place, None)


def _as_text(given: Any) -> Any:
    """Give a carrier as a carrier of text; None for what is none."""
    if type(given) is str or given is None:
        return None
    if isinstance(given, LabelledCDATA):
        return given.carrier
    if not is_carrier(given):
        return None
    if isinstance(given, TaintedBytes):
        return given.decode("utf-8", "replace")
    if isinstance(given, TaintedStr):
        return carry_text(str.__str__(given), coverage_of(given))
    return carry_text(str.__str__(exact(given)), labels_of_carrier(given)) if isinstance(given, str) else None


def native_of(given: Any) -> Any:
    """Give what C code takes: not a proxy."""
    return exact(given) if type(given) is TaintedProxy else given


def labels_under(element: Any) -> Labels:
    """Join the labels of what an element, and those under it, hold."""
    labels = NO_LABELS
    if tree_of(element) is not None:
        for one in element.iter():
            for carrier in held_by(one).values():
                labels |= flat(coverage_of(carrier))
    return labels


def keep_together(element: Any) -> None:
    """Have all elements of an element's tree hold each other."""
    top = element
    for top in element.iterancestors():  # noqa: B007  # The last one.
        pass
    Tree(_ours(top.iter()))


def take_in(moved: Any, target: Any) -> None:
    """Count an element and what is under it to the tree of another, where it was moved to."""
    old, new = tree_of(moved), tree_of(target)
    if old is new:
        return
    elements = _ours(moved.iter())
    if new is not None:
        new.take(elements)
    elif any(map(held_by, elements)):
        keep_together(target)
    else:
        _forget(elements)
    if old is not None:
        old.elements.difference_update(elements)


def let_go(taken_out: Any, old: Tree | None) -> None:
    """Count an element that was taken out of its tree, and what is under it, as a tree of its own."""
    if old is None:
        return
    elements = _ours(taken_out.iter())
    old.elements.difference_update(elements)
    if any(map(held_by, elements)):
        Tree(elements)
    else:
        _forget(elements)


def _forget(elements: Iterable[Any]) -> None:
    for element in elements:
        element.__dict__.pop(_TREE, None)


def give_back(original: Any, copied: Any) -> None:
    """Hold in a copy what its original holds."""
    is_labelled = False
    for before, after in zip(original.iter(), copied.iter(), strict=False):
        held = held_by(before)
        if held and holds_labels(after):
            after.__dict__[HELD] = dict(held)
            is_labelled = True
    if is_labelled:
        keep_together(copied)


class LabelledCDATA(etree.CDATA):
    """A section that remembers the carrier it was made of."""

    carrier: Any = None

    @classmethod
    def of(cls, data: Any) -> Any:
        """Make one of a carrier. Labels: held for the element whose text it becomes."""
        made = cls(native_of(data))
        made.carrier = _as_text(data)
        return made
