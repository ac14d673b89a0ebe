"""Looking into containers: which carriers are inside, where, and putting others in their place.

What counts as a container: dict, list, tuple, named tuple, set, frozenset, deque and their subclasses, views of
dicts, the arguments of exceptions, UUIDs and IP addresses (for the number inside), dataclasses, attrs classes,
pydantic models, and the own attributes, slots too, of any other object (but not the attributes of the objects in
those: a database session is not data). Cycles are seen once; depth is bounded by memory only, since nothing here
recurses into a value while it looks.
"""

from __future__ import annotations

import datetime as dt
import enum
import re
import types
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

from taint.carriers.identifiers import IDENTIFIERS, number_in

__all__ = [
    "ATOMIC",
    "Step",
    "children",
    "close_kind",
    "is_atomic",
    "is_bare",
    "is_name",
    "is_ordinary",
    "map_leaves",
    "open_kind",
    "path_text",
    "walk",
]

Step = tuple[Any, str]
"""A way into a container: the steps before it (or None) and the last one, as it is shown."""

_LONGEST_NAME = 64

ATOMIC = frozenset(
    (
        *(type(None), bool, int, float, complex, str, bytes, bytearray, memoryview, range, slice, type(...)),
        *(type, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType),
        *(types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType),
        *(dt.date, dt.datetime, dt.time, dt.timedelta, dt.timezone),
    )
)
"""Exact types in which nothing can be."""

_HEAP_TYPE = 1 << 9
"""The flag of classes that were made by a `class` statement or its like, Py_TPFLAGS_HEAPTYPE."""

_BUILT_IN = frozenset((dict, list, tuple, set, frozenset))

_DICTS: tuple[dict[Any, Any], ...] = ({}, OrderedDict())
_IN_ORDER = (list, deque, *(type(view) for kind in _DICTS for view in (kind.keys(), kind.values(), kind.items())))

_SHORTEST_DIGEST = 16
_DIGEST = re.compile(r"[0-9a-fA-F]{16,}")
"""Half of them begin with a letter, and are identifiers."""

_opened: dict[type, Callable[[Any], Iterable[tuple[str, Any]]]] = {}


def open_kind(kind: type, reader: Callable[[Any], Iterable[tuple[str, Any]]]) -> None:
    """Have a library's own container looked into, such as a database row.

    Args:
        kind: Its exact type.
        reader: Gives what is directly inside, each with its step: `.name` or `[0]`.
    """
    _opened[kind] = reader


def close_kind(kind: type) -> None:
    """Take a library's container for an object again."""
    _opened.pop(kind, None)


def is_atomic(value: object) -> bool:
    """Tell whether nothing can be inside a value, by its exact type."""
    return type(value) in ATOMIC


def is_bare(value: object, depth: int = 3) -> bool:
    """Tell, where that is quick, that nothing in a value can carry labels: a few levels of built-in containers."""
    kind = type(value)
    if kind in ATOMIC:
        return True
    # What holds itself is too deep at the first look.
    if not depth or kind not in _BUILT_IN:
        return False
    before: object = None
    for item in value:  # type: ignore[attr-defined]  # One of these.
        if type(item) not in ATOMIC and item is not before:  # A row may stand in a table a thousand times.
            if not is_bare(item, depth - 1):
                return False
            before = item
    return kind is not dict or is_bare(list(value.values()), depth)  # type: ignore[attr-defined]  # It is a dict.


def _key_step(key: object) -> str:
    """Show a key only where it is a plain name: any other key may itself be personal data, or a digest of it."""
    if type(key) is str and is_name(key):
        return f".{key}"
    return "[*]"


def is_name(key: str) -> bool:
    """Tell whether a key names a field; a digest may be an identifier by chance."""
    size = len(key)
    return key.isidentifier() and (size < _SHORTEST_DIGEST or (size <= _LONGEST_NAME and not _DIGEST.fullmatch(key)))


_NEVER_CHANGED = (type, enum.Enum, dt.tzinfo, str, bytes, int, float, complex)
"""Values themselves, and objects that are the same for everybody: what one caller collected is not put on these."""


def is_ordinary(value: object) -> bool:
    """Tell whether a value is an object of an ordinary class, whose own attributes may be data and may be changed."""
    kind: Any = type(value)
    is_made_in_python = kind.__flags__ & _HEAP_TYPE or kind is types.SimpleNamespace
    if not is_made_in_python or _is_our_own(kind) or isinstance(value, _NEVER_CHANGED):
        return False
    return _own_dict(value) is not None or bool(_slots(kind))


def _field_names(kind: type) -> Iterable[str] | None:
    """Give the field names of a dataclass, attrs class, pydantic model or named tuple."""
    names: Any = getattr(kind, "__dataclass_fields__", None)
    if names is None:
        names = getattr(kind, "__pydantic_fields__", None)
    if names is None:
        attributes = getattr(kind, "__attrs_attrs__", None)
        names = None if attributes is None else [attribute.name for attribute in attributes]
    return names if isinstance(names, Iterable) else None


def _is_our_own(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == "taint"


@lru_cache(maxsize=1024)
def _slots(kind: type) -> dict[str, types.MemberDescriptorType]:
    """Give what a class and those above it list in `__slots__`, by name; nothing of carriers."""
    return {
        name: slot
        for one in kind.__mro__
        if "__slots__" in one.__dict__ and not _is_our_own(one)
        for name, slot in one.__dict__.items()
        if type(slot) is types.MemberDescriptorType
    }


def _own_dict(value: object) -> dict[str, Any] | None:
    try:
        own = object.__getattribute__(value, "__dict__")
    except (AttributeError, TypeError):
        return None
    return own if type(own) is dict else None


def _own_attributes(value: object) -> dict[str, Any]:
    """Read an object's attributes without running any code of its class."""
    found = dict(_own_dict(value) or ())
    if isinstance(value, BaseException):
        found["args"] = BaseException.__dict__["args"].__get__(value)  # A property of a class below runs code.
    kind: Any = type(value)
    for name, slot in _slots(kind).items():
        try:
            found[name] = slot.__get__(value)
        except AttributeError:
            continue  # A slot without a value yet.
    for name in _field_names(kind) or ():
        if name not in found:
            try:
                found[name] = object.__getattribute__(value, name)
            except AttributeError:
                continue  # A field without one.
    return found


def children(value: object) -> Iterable[tuple[str, Any]] | None:
    """Give what is directly inside a value, each with its step; None where it is no container."""
    if isinstance(value, dict | types.MappingProxyType):
        return _mapping_children(value)
    if isinstance(value, tuple):
        names = getattr(type(value), "_fields", None)
        if names is not None:
            return [(f".{name}", item) for name, item in zip(names, value, strict=False)]
        return [(f"[{index}]", item) for index, item in enumerate(value)]
    if isinstance(value, _IN_ORDER):
        return [(f"[{index}]", item) for index, item in enumerate(value)]
    if isinstance(value, set | frozenset):
        return [("[*]", item) for item in value]
    reader = _number if isinstance(value, IDENTIFIERS) else _opened.get(type(value))
    return None if reader is None else reader(value)


def _number(identifier: Any) -> Iterable[tuple[str, Any]]:
    return [("", number_in(identifier))]  # No step of its own: the labels of the number are those of the identifier.


def _mapping_children(value: Any) -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if type(key) is not str:
            yield ".keys()", key
        yield _key_step(key), item


def walk(
    value: object,
    is_leaf: Callable[[object], bool],
    root: str = "",
    *,
    is_skipped: Callable[[object], bool] = is_atomic,
    text_keys: bool = False,
) -> Iterator[tuple[Step, Any]]:
    """Find every leaf inside a value.

    Args:
        value: Anything.
        is_leaf: Tells what is looked for; leaves are not looked into.
        root: What the value itself is called.
        is_skipped: Tells what can be no leaf and have none inside.
        text_keys: Look at text keys of dicts too where they are no plain names; else they are not looked at.

    Yields:
        The way to it and the leaf.
    """
    stack: list[tuple[Step, Any, bool]] = [((None, root), value, True)]
    seen: set[int] = set()
    while stack:
        way, here, is_object_open = stack.pop()
        if is_skipped(here):
            continue
        if is_leaf(here):
            yield way, here
            continue
        if id(here) in seen:
            continue
        seen.add(id(here))
        inside = children(here)
        if inside is None:
            fields = _field_names(type(here))
            if fields is None and not is_object_open:
                continue
            is_object_open = fields is not None and is_object_open
            inside = [(f".{name}", item) for name, item in _own_attributes(here).items()]
        stack.extend(((way, step), item, is_object_open) for step, item in reversed(list(inside)))
        if text_keys and isinstance(here, dict):
            stack.extend(((way, ".keys()"), key, False) for key in here if type(key) is str and not is_name(key))


def path_text(way: Step) -> str:
    """Write a way as it is shown: `rows[3].phone`."""
    steps: list[str] = []
    at: Any = way
    while at is not None:
        at, step = at
        steps.append(step)
    return "".join(reversed(steps)).removeprefix(".")


def map_leaves(value: Any, change: Callable[[Any], Any], *, keys: bool = False, objects: bool = False) -> Any:
    """Replace what is inside a value by what `change` gives for it.

    Containers that can be changed are changed in place, so that whoever else holds them keeps
    holding the same object; tuples, frozen sets and frozen classes are made anew where something
    in them changed.

    Args:
        value: A container or a leaf.
        change: Gives the new leaf, or the same one.
        keys: Replace the keys of dicts too; else they are taken for names, not data.
        objects: Look into objects without declared fields too, where `walk` does.
    """
    return _Mapping(change, keys, objects).map(value)


class _Mapping:
    """One walk of `map_leaves`: what is done with leaves, and what has been mapped already."""

    def __init__(self, change: Callable[[Any], Any], keys: bool, objects: bool) -> None:
        self.change = change
        self.keys = keys
        self.objects = objects
        self.memo: dict[int, tuple[Any, Any]] = {}  # The value too: an id is only good while its object lives.

    def map(self, value: Any) -> Any:
        known = self.memo.get(id(value))
        if known is not None:
            return known[1]
        if isinstance(value, tuple | frozenset):
            result = self._immutable(value)
        elif isinstance(value, dict | list | deque | set):
            self.memo[id(value)] = (value, value)
            if isinstance(value, dict):
                self._dict(value)
            elif isinstance(value, set):
                self._set(value)
            else:
                self._sequence(value)
            result = value
        elif _field_names(type(value)) is not None and not isinstance(value, type):
            self.memo[id(value)] = (value, value)
            result = self._fields(value)
        else:
            result = self.change(value)
            if self.objects and result is value and is_ordinary(value):
                self.memo[id(value)] = (value, value)
                self._object(value)
        self.memo[id(value)] = (value, result)
        return result

    def _immutable(self, value: Any) -> Any:
        items = [self.map(item) for item in value]
        if all(new is old for new, old in zip(items, value, strict=True)):
            return value
        make = getattr(type(value), "_make", type(value))
        return make(items)

    def _dict(self, value: Any) -> None:
        pairs = [(key, self.map(key) if self.keys else key, item, self.map(item)) for key, item in value.items()]
        if any(key is not new_key for key, new_key, _, _ in pairs):
            value.clear()
            value.update((new_key, new) for _, new_key, _, new in pairs)
            return
        for key, _, item, new in pairs:
            if new is not item:
                value[key] = new

    def _sequence(self, value: Any) -> None:
        for index, item in enumerate(list(value)):
            new = self.map(item)
            if new is not item:
                value[index] = new

    def _set(self, value: Any) -> None:
        items = [self.map(item) for item in value]
        if any(new is not old for new, old in zip(items, value, strict=True)):
            value.clear()
            value.update(items)

    def _fields(self, value: Any) -> Any:
        changed = {name: new for name, item in _own_attributes(value).items() if (new := self.map(item)) is not item}
        if not changed:
            return value
        parameters = getattr(type(value), "__dataclass_params__", None)
        if parameters is not None and parameters.frozen:
            value = _shallow_copy(value)
        for name, new in changed.items():
            object.__setattr__(value, name, new)
        return value

    def _object(self, value: Any) -> None:
        """Change an object's own attributes, but no objects in them: a database session is not data."""
        self.objects = False
        kind: Any = type(value)
        own, slots = _own_dict(value), _slots(kind)
        for name, item in _own_attributes(value).items():
            new = self.map(item)
            if new is item:
                continue
            if own is not None and name in own:
                own[name] = new  # Not by a descriptor: an ORM would take it for a change to be stored.
            elif name in slots:
                slots[name].__set__(value, new)
            else:
                object.__setattr__(value, name, new)
        self.objects = True


def _shallow_copy(value: Any) -> Any:
    """Copy a frozen dataclass without running its `__init__` or `__post_init__` again."""
    twin = object.__new__(type(value))
    for name, item in _own_attributes(value).items():
        object.__setattr__(twin, name, item)
    return twin
