"""How a wrapped function's result gets the labels of its arguments: the parts that all groups share.

A wrapper lets the native function make the value first, from exact `str` and `bytes`, so that value
and exceptions are the native ones. Then a rule puts the labels on: at exact positions where it can
prove them, on the whole result where not. A rule that fails is reported and costs positions only.

Results that are neither text nor bytes (numbers, dates) stay what they are: database drivers and C
code refuse a proxy of them, and the library never breaks the program it watches.
"""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable, Iterable, Sequence
from marshal import dumps as _marshal  # Before it is wrapped itself.
from pickle import Pickler
from typing import Any

from taint.carriers.containers import ATOMIC, is_bare, map_leaves
from taint.carriers.coverage import Coverage, concatenated, flat, spans_of, tidy
from taint.carriers.number import TaintedInt
from taint.carriers.operations import coverage_of
from taint.carriers.proxy import add_labels, exact
from taint.carriers.text import TaintedBytes, TaintedStr, carry_bytes, carry_text
from taint.carriers.tracing import last_step
from taint.carriers.values import labels_of
from taint.guard import report_internal_error
from taint.labels import NO_LABELS, Labels
from taint.losses import count_loss
from taint.propagation.patches import CARRIERS, ForCarriers, Unless, Wrapper

__all__ = [
    "CARRIERS",
    "LEAVES",
    "Rule",
    "by_characters",
    "carry_pieces",
    "carry_texts",
    "checksum",
    "covered",
    "exact",
    "followed",
    "is_built_in",
    "is_plain",
    "is_plain_document",
    "known",
    "labels_in_call",
    "lazily",
    "lost",
    "on_all",
    "piecewise",
    "segments",
    "through",
]

Rule = Callable[[Any, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""(native value, native function, the call's own arguments) -> the value, labelled."""


def is_plain(value: Any) -> bool:
    """Tell, at the speed of C, that there is no text carrier in a value of built-in types.

    marshal refuses every subclass of `str` and every proxy. It takes subclasses of `bytes`.
    """
    try:
        _marshal(value, 2)
    except (ValueError, TypeError):
        return False
    return True


class _Refusing(Pickler):
    """Refuses whatever is not of a built-in type, exactly."""

    def __init__(self) -> None:
        super().__init__(_NOWHERE, 4)
        self.fast = True  # Keeps nothing of what it has seen.

    def reducer_override(self, _value: object) -> Any:
        raise TypeError


class _Nowhere:
    write: Callable[[object], object] = staticmethod(collections.deque[object](maxlen=0).append)


_NOWHERE = _Nowhere()
_spare: list[_Refusing] = []


def is_built_in(value: Any) -> bool:
    """Tell, at the speed of C, that a value and all in it are of built-in types, exactly: no carrier of any kind.

    False where that is not known: cycles.
    """
    try:
        pickler = _spare.pop()  # One that nobody else uses meanwhile: collecting garbage may call anything.
    except IndexError:
        pickler = _Refusing()
    try:
        pickler.dump(value)
    except (TypeError, ValueError, RecursionError):
        return False
    _spare.append(pickler)
    return True


class _Known(threading.local):
    """What a thread is writing at this moment, and was found plain as it began: the encoder need not ask again."""

    document: object = None

    def written(self, write: Callable[..., Any], document: object, *args: Any, **kwargs: Any) -> Any:
        """Write a document that is plain."""
        self.document = document
        try:
            return write(*args, **kwargs)
        finally:
            self.document = None  # Before anybody can put something into it.


known = _Known()

LEAVES = frozenset((str, int, float, bool, type(None)))
_CONTAINERS = frozenset((dict, list, tuple))
_MOST_CONTAINERS = 10_000


def is_plain_document(value: Any) -> bool:
    """Tell, quickly, that a value has nothing in it but what JSON knows, of the exact types: no carrier of any kind.

    False where that is not known: cycles, very many containers.
    """
    kind = type(value)
    if kind not in _CONTAINERS:
        return kind in LEAVES
    stack = [value]
    for _ in range(_MOST_CONTAINERS):
        here = stack.pop()
        if type(here) is dict:
            if not LEAVES.issuperset(map(type, here)):
                return False
            here = here.values()
        if not LEAVES.issuperset(map(type, here)):
            for item in here:
                kind = type(item)
                if kind in _CONTAINERS:
                    stack.append(item)
                elif kind not in LEAVES:
                    return False
        if not stack:
            return True
    return False


def labels_in_call(args: Iterable[Any], kwargs: dict[str, Any]) -> Labels:
    """Join the labels of all arguments, also of what is inside them."""
    labels = NO_LABELS
    for value in (*args, *kwargs.values()):
        if not is_bare(value):
            labels |= labels_of(value)
    return labels


def carry_texts(value: Any, labels: Labels) -> Any:
    """Put labels on all text and bytes in a result, keys too; what is not text stays as it is."""
    if not labels:
        return value
    if isinstance(value, tuple | list | dict | set | frozenset):
        return map_leaves(value, lambda leaf: _carry_leaf(leaf, labels), keys=True)
    return _carry_leaf(value, labels)


def _carry_leaf(value: Any, labels: Labels) -> Any:
    kind = type(value)
    if kind is str:
        return carry_text(value, labels)
    if kind is bytes:
        return carry_bytes(value, labels)
    return add_labels(value, labels) if isinstance(value, TaintedStr | TaintedBytes) else value


def covered(value: Any, coverage: Coverage | None) -> Any:
    """Put a coverage on an exact text or bytes."""
    return carry_text(value, coverage) if isinstance(value, str) else carry_bytes(value, coverage)


def segments(value: Any) -> list[tuple[Labels, Any]]:
    """Cut a text or bytes where its labels change: each stretch, exact, with its labels."""
    found: list[tuple[Labels, Any]] = []
    plain = exact(value)
    at = 0
    for start, stop, labels in spans_of(coverage_of(value), len(plain)):
        if at < start:
            found.append((NO_LABELS, plain[at:start]))
        found.append((labels, plain[start:stop]))
        at = stop
    if at < len(plain):
        found.append((NO_LABELS, plain[at:]))
    return found


def carry_pieces(value: Any, pieces: Sequence[tuple[Labels, Any]], labels: Labels) -> Any:
    """Label a value that pieces claim to make up; where they do not, `labels` go on all of it."""
    if value[:0].join([piece for _, piece in pieces]) == value:
        return covered(value, concatenated((own, len(piece)) for own, piece in pieces))
    return covered(value, labels)


def piecewise(value: Any, change: Callable[[Any], Any], text: Any) -> Any:
    """Label `value = change(text)` by changing each stretch of the text on its own."""
    coverage = coverage_of(text)
    if coverage is None or type(coverage) is Labels:
        return covered(value, coverage)
    try:
        pieces = [(labels, change(piece)) for labels, piece in segments(text)]
    except ValueError:  # A stretch cut in the middle of a code has no meaning of its own.
        return covered(value, flat(coverage))
    return carry_pieces(value, pieces, flat(coverage))


def by_characters(text: Any, parts: Sequence[Any], dropped: str) -> list[Any]:
    """Label parts that hold the characters of a text in their order, apart from some that come and go.

    Labels: the n-th character of the parts that is not among the dropped is the n-th such one of the
    text. Dropped ones (a space that was made a line break) have the labels of those that stood there.
    Where the two sequences differ, all parts are covered.

    Args:
        text: The labelled text.
        parts: Exact texts that were made of it, in order.
        dropped: Characters that may appear and disappear.
    """
    coverage = coverage_of(text)
    if coverage is None:
        return list(parts)
    kept = [at for at, character in enumerate(exact(text)) if character not in dropped]
    plain = exact(text)
    found = [character for part in parts for character in part if character not in dropped]
    # Characters at the end may be left out: the order proves where the others came from.
    if type(coverage) is Labels or [plain[at] for at in kept[: len(found)]] != found:
        labels = flat(coverage)
        return [covered(part, labels) for part in parts]
    labels_at: list[Labels] = [NO_LABELS] * len(plain)
    for start, stop, labels in spans_of(coverage, len(plain)):
        labels_at[start:stop] = [labels] * (stop - start)
    return _aligned(plain, labels_at, parts, dropped)


def _aligned(plain: str, labels_at: list[Labels], parts: Sequence[str], dropped: str) -> list[Any]:
    """Walk through parts and text together: runs of dropped characters stand between the same others."""
    result: list[Any] = []
    at, last = 0, NO_LABELS
    for part in parts:
        own: list[Labels] = []
        here = 0
        while here < len(part):
            run_end = here
            while run_end < len(part) and part[run_end] in dropped:
                run_end += 1
            source_end = at
            while source_end < len(plain) and plain[source_end] in dropped:
                source_end += 1
            run = run_end - here
            if part[here:run_end] == plain[at:source_end]:
                own += labels_at[at:source_end]
            elif run:
                following = labels_at[source_end] if source_end < len(plain) else NO_LABELS
                between = NO_LABELS
                for labels in labels_at[at:source_end]:
                    between |= labels
                own += [between or (last | following if last and following else NO_LABELS)] * run
            at, here = source_end, run_end
            if here < len(part):
                last = labels_at[at]
                own.append(last)
                at, here = at + 1, here + 1
        result.append(covered(part, tidy(((n, n + 1, labels) for n, labels in enumerate(own)), len(part))))
    return result


def on_all(value: Any, _native: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Rule: the labels of all arguments, on all of the result."""
    return carry_texts(value, labels_in_call(args, kwargs))


def through(value: Any, native: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Rule: stretch by stretch of the first argument; labels of the others on all of it."""
    first, *rest = args
    plain_rest = [exact(other) for other in rest]
    plain_kwargs = {name: exact(other) for name, other in kwargs.items()}
    result = piecewise(value, lambda piece: native(piece, *plain_rest, **plain_kwargs), first)
    return carry_texts(result, labels_in_call(rest, kwargs))


def followed(
    rule: Rule, *, deep: bool = False, plain: bool = True, owner: Callable[[Any], Labels] | None = None
) -> Wrapper:
    """Give the wrapper that lets the native function work and labels its result.

    Args:
        rule: Puts the labels on.
        deep: Labelled values may be inside a container or object that is an argument.
        plain: Pass exact values on; else the carriers themselves.
        owner: For a method whose object counts as its last argument for the rule: gives the labels of the object.
    """

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        is_asked = deep or owner is not None
        if is_asked and not labels_in_call(args, kwargs) and not (owner and owner(instance)):
            return wrapped(*args, **kwargs)
        if plain:
            value = wrapped(*map(exact, args), **{name: exact(value) for name, value in kwargs.items()})
        else:
            value = wrapped(*args, **kwargs)
        if owner:
            args = (*args, instance)
        try:
            return rule(value, wrapped, args, kwargs)
        except Exception as error:  # noqa: BLE001  # Whatever fails in a rule, the program gets its value.
            report_internal_error(f"following {wrapped.__name__}", error)
            return _whole_after_error(value, args, kwargs)

    if owner is not None:
        return wrapper
    return Unless(wrapper, ATOMIC) if deep else ForCarriers(wrapper)


def lazily(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Wrap a function that gives an iterator: each item gets the labels of all arguments when it is asked for."""
    result = wrapped(*args, **kwargs)
    labels = labels_in_call(args, kwargs)
    return (carry_texts(item, labels) for item in result) if labels else result


def _whole_after_error(value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        return carry_texts(value, labels_in_call(args, kwargs))
    except Exception as error:  # noqa: BLE001  # As above.
        report_internal_error("labelling a whole result", error)
        return value


def _checksum(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    value = wrapped(*map(exact, args), **{name: exact(value) for name, value in kwargs.items()})
    labels = labels_in_call(args, kwargs)
    return TaintedInt(value, labels) if labels else value


checksum = Unless(_checksum, ATOMIC)
"""Wraps a function that gives a checksum: a number, that C code takes only where it is an `int`."""


def lost(consumer: str) -> Wrapper:
    """Give the wrapper of a function whose result cannot carry labels: it counts them."""

    def wrapper(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        count_loss(consumer)
        for value in (*args, *kwargs.values()):
            if type(value) in CARRIERS:
                last_step(value, labels_of(value))
        return wrapped(*map(exact, args), **{name: exact(value) for name, value in kwargs.items()})

    return ForCarriers(wrapper)
