"""Documents built from values: which part of a document stands for which value, both ways.

A serialiser gets plain values and gives its native document. That document is then read again, with
positions, as a tree of `Node`, and laid beside the values that went in: each label is put where its
value stands. Loading is the same the other way round. Every format needs a reader of its own that
makes the tree (`taint.propagation.json_tree`); all that pairs trees with values is here, once. What
cannot be paired is covered as a whole: more, never less.
"""

from __future__ import annotations

import copy
import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from taint.carriers.containers import children
from taint.carriers.coverage import Coverage, Span, flat, spans_of, tidy
from taint.carriers.identifiers import IDENTIFIERS, without_labels
from taint.carriers.number import TaintedInt
from taint.carriers.proxy import TaintedProxy, carry, is_carrier, labels_of_carrier, unwrapped
from taint.carriers.text import TaintedBytes, TaintedStr, carry_bytes, carry_text
from taint.carriers.values import apply_labels, labels_of
from taint.guard import report_internal_error
from taint.labels import NO_LABELS, Labels, join
from taint.propagation.follow import is_plain

__all__ = ["Detached", "Node", "detached", "label_loaded", "labelled_document", "layered"]

_PLAIN = frozenset((str, bytes, int, float, bool, type(None), bytearray, complex))


class Node(NamedTuple):
    """A part of a document that stands for one value.

    Args:
        start: Where it begins, its quotes or brackets included.
        stop: Where it ends, exclusive.
        text: What it says where it is a text or byte string; None for any other value.
        edges: Where each character of `text` begins, and where the last one ends; None where unknown.
        members: Keys and values of a mapping.
        items: Of a sequence.
    """

    start: int
    stop: int
    text: str | bytes | None = None
    edges: Sequence[int] | None = None
    members: tuple[tuple[Node, Node], ...] | None = None
    items: tuple[Node, ...] | None = None


def layered(spans: Iterable[Span], length: int) -> Coverage | None:
    """Give the coverage of spans that may overlap and come in any order: where they do, labels join."""
    wanted = [span for span in spans if span[0] < span[1] and span[2]]
    ordered = sorted(wanted, key=lambda span: span[:2])
    if all(before[1] <= after[0] for before, after in pairwise(ordered)):
        return tidy(ordered, length)
    edges = sorted({edge for start, stop, _ in ordered for edge in (start, stop)})
    pieces = [NO_LABELS] * len(edges)
    for start, stop, labels in ordered:
        for index in range(bisect_left(edges, start), bisect_left(edges, stop)):
            pieces[index] |= labels
    return tidy(zip(edges, edges[1:], pieces, strict=False), length)


def _field_names(value: Any) -> dict[str, str] | None:
    """Give what each field is called in a document, and its attribute; None where a value has no fields."""
    kind = type(value)
    if isinstance(value, type):
        return None
    encoded = getattr(kind, "__struct_encode_fields__", None)  # msgspec, where a field may be renamed.
    if encoded is not None:
        return dict(zip(encoded, kind.__struct_fields__, strict=True))
    names: Any = getattr(kind, "__dataclass_fields__", None)
    if names is None:
        attributes = getattr(kind, "__attrs_attrs__", None)
        names = None if attributes is None else [attribute.name for attribute in attributes]
    return None if names is None else {name: name for name in names}


def _as_mapping(value: Any) -> dict[Any, Any] | None:
    if isinstance(value, dict):
        return value
    names = _field_names(value)
    return None if names is None else {shown: getattr(value, name, None) for shown, name in names.items()}


def _key_text(key: Any) -> str | bytes | None:
    """Give what a key of a mapping is called in a document, as far as the formats agree."""
    if isinstance(key, TaintedProxy):
        key = key.__wrapped__
    if isinstance(key, str):
        return str.__str__(key)
    if isinstance(key, bytes):
        return bytes.__getitem__(key, slice(None))
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    if type(key) in (int, float):
        return repr(key)
    return str(key) if type(key) is uuid.UUID else None


@dataclass(slots=True)
class Detached:
    """A plain twin of a value, for a serialiser that refuses or forgets carriers, and the way back.

    Attributes:
        value: What the serialiser is to be given: the value itself where nothing in it is labelled.
        original: What it was made from.
        labels: Of all that was met so far, in the value and in what a conversion hook gave.
        is_exact: It is known to have nothing but plain values in it.
    """

    original: Any
    force: Callable[[Any, str, Any], None]
    value: Any = None
    labels: Labels = NO_LABELS
    is_exact: bool = False
    _twins: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    _originals: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    _converted: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    _converted_labels: Labels = NO_LABELS

    def hook(self, convert: Callable[[Any], Any] | None) -> Callable[[Any], Any] | None:
        """Give a user's conversion hook (`default=`) that sees the originals, and whose results are detached too."""
        if convert is None:
            return None

        def converting(value: Any) -> Any:
            original = self._originals.get(id(value), (None, value))[1]
            given = convert(original)
            before, self.labels = self.labels, NO_LABELS
            plain = self._plain(given)
            self._converted_labels |= self.labels
            self.labels |= before
            self._converted[id(original)] = (original, given)
            return plain

        return converting

    @property
    def has_hooked(self) -> bool:
        """Tell whether a conversion hook gave what stands in the place of something."""
        return bool(self._converted)

    def look_into_objects(self) -> None:
        """Count the labels inside objects that only the serialiser looks into. Labels: on all that stands for one."""
        self.labels |= labels_of(self.original)
        self._twins.clear()

    def _is_clean(self, value: Any) -> bool:
        """Tell whether a container was looked into and had nothing to detach: it is not searched again."""
        twins = self._twins.get(id(value))
        return twins is not None and twins[1] is value and children(value) is not None

    def _plain(self, value: Any) -> Any:
        kind = type(value)
        if kind in _PLAIN:
            return value
        if isinstance(value, TaintedStr):
            self.labels |= flat(value._coverage)
            return str.__str__(value)
        if isinstance(value, TaintedBytes):
            self.labels |= flat(value._coverage)
            return bytes.__getitem__(value, slice(None))
        if kind is TaintedProxy or kind is TaintedInt:
            self.labels |= labels_of_carrier(value)
            return self._plain(unwrapped(value))
        known = self._twins.get(id(value))
        if known is not None:
            return known[1]
        self._twins[id(value)] = (value, value)  # Cycles are the serialiser's to refuse.
        twin = self._plain_container(value)
        if twin is not value:
            self._twins[id(value)] = (value, twin)
            self._originals[id(twin)] = (twin, value)
        return twin

    def _plain_container(self, value: Any) -> Any:
        if isinstance(value, dict):
            return self._plain_mapping(value)
        if isinstance(value, list | tuple | set | frozenset):
            items = [self._plain(item) for item in value]
            if all(new is item for new, item in zip(items, value, strict=True)):
                return value
            if not isinstance(value, list):
                return getattr(type(value), "_make", type(value))(items)
            if type(value) is list:
                return items
            twin = copy.copy(value)
            twin[:] = items
            return twin
        if isinstance(value, IDENTIFIERS):  # msgspec refuses one whose number is not an exact `int`.
            self.labels |= labels_of(value)
            twin = without_labels(value)
        else:
            twin = self._plain_fields(value, _field_names(value) or {})
        return twin

    def _plain_mapping(self, value: dict[Any, Any]) -> Any:
        pairs: list[tuple[Any, Any]] = []
        found: list[Labels] = []
        is_same = True
        for key, item in value.items():
            new_key = key if type(key) in _PLAIN else self._plain(key)
            kind = type(item)
            if kind is TaintedStr:  # As `_plain`, without its call.
                found.append(flat(item._coverage))
                new = str.__str__(item)
            else:
                new = item if kind in _PLAIN else self._plain(item)
            is_same = is_same and key is new_key and item is new
            pairs.append((new_key, new))
        if is_same:
            return value
        self.labels |= join(found)
        twin: dict[Any, Any] = {} if type(value) is dict else copy.copy(value)
        twin.clear()
        twin.update(pairs)
        return twin

    def _plain_fields(self, value: Any, names: dict[str, str]) -> Any:
        items = {name: getattr(value, name, None) for name in names.values()}
        changed = {name: new for name, item in items.items() if (new := self._plain(item)) is not item}
        if not changed:
            return value
        twin = copy.copy(value)
        for name, new in changed.items():
            self.force(twin, name, new)
        return twin

    def spans(self, tree: Node) -> Iterator[Span]:
        """Say where the labels of the original stand in the document that was made from the twin."""
        stack: list[tuple[Node, Any]] = [(tree, self.original)]
        while stack:
            node, value = stack.pop()
            value = self._converted.get(id(value), (None, value))[1]
            if type(value) in _PLAIN or (not self._converted and self._is_clean(value)):
                continue
            if is_carrier(value):
                yield from _leaf_spans(node, value)
            elif isinstance(value, list | tuple) and node.items is not None and len(node.items) == len(value):
                stack.extend(zip(node.items, value, strict=True))
            elif node.members is not None and (mapping := _as_mapping(value)) is not None:
                for found, key, item in _pairs(node.members, mapping):
                    if found is None:
                        yield node.start, node.stop, labels_of(key) | labels_of(item) | self._converted_labels
                        continue
                    if is_carrier(key):
                        yield from _leaf_spans(found[0], key)
                    stack.append((found[1], item))
            else:
                yield node.start, node.stop, labels_of(value) | self._converted_labels


def detached(
    value: Any, force: Callable[[Any, str, Any], None] = object.__setattr__, *, is_text: bool = False
) -> Detached:
    """Make a plain twin of a value; nothing in the value itself is changed.

    Labels: remembered, to be put on the document by `labelled_document`.

    Args:
        value: What is to be serialised.
        force: Sets a field of a copied dataclass, also of a frozen one.
        is_text: The format has no byte strings, which lets a plain value be recognised quickly.
    """
    made = Detached(value, force)
    if is_text and is_plain(value):
        made.value, made.is_exact = value, True
        return made
    made.value = made._plain(value)
    return made


def _leaf_spans(node: Node, value: Any) -> Iterator[Span]:
    if node.edges is None or node.text is None:
        yield node.start, node.stop, labels_of_carrier(value)
    elif isinstance(value, TaintedStr | TaintedBytes) and _key_text(value) == node.text:
        for start, stop, labels in spans_of(value._coverage, len(node.text)):
            yield node.edges[start], node.edges[stop], labels
    else:
        yield node.edges[0], node.edges[-1], labels_of_carrier(value)


def _pairs(
    members: tuple[tuple[Node, Node], ...], mapping: dict[Any, Any], *, last: bool = False
) -> Iterator[tuple[tuple[Node, Node] | None, Any, Any]]:
    """Pair a mapping with what stands for it: in order where the keys agree, else by key (sorted keys).

    Args:
        members: Of the document.
        mapping: Of the program.
        last: Where a document has a key several times, only the last one counts; else every one does,
            since `{1: ..., "1": ...}` is written so.
    """
    names = [_key_text(key) for key in mapping]
    if len(members) == len(names) and all(
        found.text is None or found.text == name for (found, _), name in zip(members, names, strict=True)
    ):
        yield from ((pair, key, item) for pair, (key, item) in zip(members, mapping.items(), strict=True))
        return
    by_name: dict[str | bytes | None, list[tuple[Node, Node]]] = {}
    for pair in members:
        by_name.setdefault(pair[0].text, []).append(pair)
    by_name.pop(None, None)
    for name, (key, item) in zip(names, mapping.items(), strict=True):
        places: Sequence[tuple[Node, Node] | None] = by_name.get(name) or (None,)
        for found in places[-1:] if last else places:
            yield found, key, item


def labelled_document(document: Any, made: Detached, read: Callable[[Any], Node]) -> Any:
    """Put labels on a document where the values stand that it was made from.

    Labels: exact where document and values can be paired; on all of it where they cannot.

    Args:
        document: An exact `str` or `bytes`, as the serialiser gave it for `made.value`.
        made: What it was made from.
        read: Gives the tree of a document of this kind. Its positions are those of `document`.
    """
    if not made.labels or not isinstance(document, str | bytes):
        return document
    try:
        coverage = layered(made.spans(read(document)), len(document))
    except Exception as error:  # noqa: BLE001  # Any failure here means "all of it", never a broken program.
        report_internal_error("finding the labels' places in a document", error)
        coverage = made.labels
    coverage = coverage or made.labels  # Labels went in: a document without any would say nothing of them.
    return carry_text(document, coverage) if isinstance(document, str) else carry_bytes(document, coverage)


def label_loaded(
    value: Any,
    coverage: Coverage | None,
    read: Callable[[], Node],
    force: Callable[[Any, str, Any], None] = object.__setattr__,
) -> Any:
    """Put a document's labels on the values that were loaded from it.

    Labels: on the leaves whose place in the document is covered, and on no others; where value and
    document cannot be paired, on every leaf of the part but numbers, as `taint.label` does it. Keys of
    a mapping count where they are covered for themselves, or do not look like a plain name.

    Args:
        value: As the native loader gave it: new objects, which are labelled in place.
        coverage: Of the document.
        read: Gives the document's tree; not called where the document is labelled as a whole.
        force: Sets a field of a loaded object.
    """
    if not coverage:
        return value
    if type(coverage) is Labels:
        return _whole(value, coverage)
    try:
        tree = read()
        return _Loaded(spans_of(coverage, tree.stop), force).labelled(tree, value)
    except Exception as error:  # noqa: BLE001  # As in `labelled_document`.
        report_internal_error("finding the labelled values of a document", error)
        return _whole(value, flat(coverage))


def _whole(value: Any, labels: Labels) -> Any:
    """Label every leaf, and every key that does not look like a plain name."""
    if not labels:
        return value
    labelled = apply_labels(value, labels)
    _label_odd_keys(labelled, labels)
    return labelled


def _label_odd_keys(value: Any, labels: Labels) -> None:
    stack, seen = [value], set()
    while stack:
        here = stack.pop()
        if id(here) in seen or not isinstance(here, dict | list | tuple):
            continue
        seen.add(id(here))
        if isinstance(here, dict):
            if any(_is_data(key) for key in here):
                pairs = [(carry(key, labels) if _is_data(key) else key, item) for key, item in here.items()]
                here.clear()
                here.update(pairs)
            stack.extend(here.values())
        else:
            stack.extend(here)


def _is_data(key: object) -> bool:
    return not is_carrier(key) and isinstance(key, str | bytes) and not (isinstance(key, str) and key.isidentifier())


class _Loaded:
    """One labelling of loaded values."""

    def __init__(self, spans: Sequence[Span], force: Callable[[Any, str, Any], None]) -> None:
        self.spans = spans
        self.starts = [start for start, _, _ in spans]
        self.force = force

    def over(self, start: int, stop: int) -> list[Span]:
        """Give the spans that overlap a part."""
        first = max(bisect_right(self.starts, start) - 1, 0)
        last = bisect_left(self.starts, stop)
        return [span for span in self.spans[first:last] if span[1] > start]

    def labelled(self, node: Node, value: Any) -> Any:
        spans = self.over(node.start, node.stop)
        if not spans:
            return value
        if node.members is not None and isinstance(value, dict):
            return self.mapping(node.members, node, value)
        if node.members is not None and (names := _field_names(value)) is not None:
            return self.fields(node, value, names)
        if node.items is not None and isinstance(value, list | tuple) and len(value) == len(node.items):
            return self.sequence(node.items, value)
        if node.edges is not None and node.text is not None and value == node.text and type(value) in (str, bytes):
            return _put(value, self.leaf(node, spans))
        return _whole(value, flat(tuple(spans)))

    def sequence(self, parts: tuple[Node, ...], value: Any) -> Any:
        items = [self.labelled(part, item) for part, item in zip(parts, value, strict=True)]
        if isinstance(value, list):
            value[:] = items
            return value
        return getattr(type(value), "_make", type(value))(items)

    def leaf(self, node: Node, spans: Iterable[Span]) -> Coverage | None:
        """Give the coverage of a text: a character is covered where any part of what stands for it is."""
        edges = node.edges or ()
        size = len(edges) - 1
        return layered(
            (
                (max(bisect_right(edges, start) - 1, 0), min(bisect_left(edges, stop), size), labels)
                for start, stop, labels in spans
            ),
            size,
        )

    def mapping(self, members: tuple[tuple[Node, Node], ...], node: Node, value: dict[Any, Any]) -> Any:
        pairs = []
        for found, key, item in list(_pairs(members, value, last=True)):
            if found is None:
                return _whole(value, flat(tuple(self.over(node.start, node.stop))))
            pairs.append((key, self.key(found[0], key), item, self.labelled(found[1], item)))
        if any(key is not new_key for key, new_key, _, _ in pairs):
            value.clear()
            value.update((new_key, new) for _, new_key, _, new in pairs)
        else:
            value.update({key: new for key, _, item, new in pairs if new is not item})
        return value

    def key(self, node: Node, key: Any) -> Any:
        spans = self.over(node.start, node.stop)
        if not spans or not (_is_data(key) or any(start >= node.start for start, _, _ in spans)):
            return key
        if node.edges is not None and node.text == key and type(key) in (str, bytes):
            return _put(key, self.leaf(node, spans))
        return carry(key, flat(tuple(spans)))

    def fields(self, node: Node, value: Any, names: dict[str, str]) -> Any:
        # What is not among them is a tag of the class, or a field that it leaves out.
        found = {key.text: part for key, part in node.members or () if isinstance(key.text, str) and key.text in names}
        for shown, part in found.items():
            item = getattr(value, names[shown], None)
            new = self.labelled(part, item)
            if new is not item:
                self.force(value, names[shown], new)
        return value


def _put(value: Any, coverage: Coverage | None) -> Any:
    return carry_text(value, coverage) if type(value) is str else carry_bytes(value, coverage)
