"""What users call on values: `label`, `labels_of`, `ranges_of`, `plain`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, TypeVar

from opentelemetry import context as otel_context
from opentelemetry import trace as otel_trace

from taint import modes
from taint.carriers import observation
from taint.carriers.containers import Step, is_bare, is_ordinary, map_leaves, walk
from taint.carriers.coverage import flat, spans_of
from taint.carriers.identifiers import IDENTIFIERS, number_in, without_labels
from taint.carriers.operations import coverage_of
from taint.carriers.proxy import TaintedProxy, bare, carry, is_carrier, labels_of_carrier
from taint.carriers.text import TaintedStr
from taint.carriers.tracing import last_step
from taint.errors import ConfigurationError
from taint.guard import shown
from taint.labels import NO_LABELS, Label, Labels, Range, Trace, join
from taint.losses import count_loss
from taint.modes import Mode
from taint.purposes import category_key, purpose_keys

__all__ = ["apply_labels", "carriers_in", "collected", "current_trace", "label", "labels_of", "plain", "ranges_of"]

T = TypeVar("T")

Collector = Callable[[object, Labels], None]

collector: Collector | None = None
"""Is told of every value that a source labels, while known values are remembered; None costs one test."""


@lru_cache(maxsize=4096)
def _labels(  # noqa: PLR0917  # Positional, because that is quicker to cache.
    purpose: str | frozenset[str],
    category: str | None,
    subject: str | None,
    consent: str | None,
    source: str | tuple[str, str] | None,
    trace: Trace | None,
) -> Labels:
    """Make the one-label set of a collection; those of one source and one person are one object."""
    if isinstance(source, tuple):
        source = ".".join(source)
    kind = None if category is None else category_key(category)
    return Labels((Label(purpose_keys(purpose), kind, source, subject, consent, trace),))


_context = getattr(getattr(otel_context, "_RUNTIME_CONTEXT", None), "get_current", otel_context.get_current)
"""What `otel_context.get_current` calls, where it is found: that takes half the time, and every `label` asks."""
_caller = sys._getframe
_OFF = Mode.OFF
_new_text = str.__new__

_known: dict[tuple[str, str | None, str | None, str, str | None], Labels] = {}
"""What the commonest calls of `label` put on: quicker to ask than the cache of `_labels`, and as large."""
_MOST_KNOWN = 4096


def _known_from_here(
    purpose: str, category: str | None, consent: str | None, place: str, function: str | None
) -> Labels:
    source = place if function is None else (place, function)
    labels = _labels(purpose, category, None, consent, source, None)
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    _known[purpose, category, consent, place, function] = labels
    return labels


def current_trace() -> Trace | None:
    """Give the span that is current here, if there is one."""
    if not _context():  # Quicker than asking for a span, and true of most programs.
        return None
    span = otel_trace.get_current_span().get_span_context()
    return Trace(span.trace_id, span.span_id) if span.is_valid else None


def collected(
    purpose: str | Iterable[str] | None,
    *,
    category: str | None = None,
    subject: object = None,
    consent: str | None = None,
    source: str | tuple[str, str] | None = None,
    trace: Trace | str | None = None,
) -> Labels:
    """Give the labels that a collection puts on what it collects; arguments and errors as `label`."""
    if trace is None:
        trace = current_trace()
    elif isinstance(trace, str):
        try:
            trace = Trace.parse(trace)
        except ValueError as error:
            msg = f"trace is {error}"
            raise ConfigurationError(msg) from None
    if isinstance(source, str):
        source = shown(source)
    if subject is not None:
        subject = str.__str__(str(subject))
    if purpose is None:
        purpose = observation.collecting.get()
        if purpose is None:
            msg = (
                "a collection without a purpose. It has one of its own, or that of a zone that collects around it. "
                "Pass purpose='...', or collect in taint.zone('...', collects=True)."
            )
            raise ConfigurationError(msg)
    if not isinstance(purpose, str):
        purpose = purpose_keys(purpose)
    return _labels(purpose, category, subject, consent, source, trace)


def label(
    value: T,
    *,
    purpose: str | Iterable[str] | None = None,
    category: str | None = None,
    subject: object = None,
    consent: str | None = None,
    source: str | None = None,
    trace: Trace | str | None = None,
) -> T:
    """Label a value with the purpose it was collected for.

    Labels: the new one is joined to those that the value has. A `str` comes back as a `TaintedStr`, `bytes`
    as `TaintedBytes`, other string-like values (UUID, date, Decimal, int, IP address, path...) as a
    `TaintedProxy`. In containers, every text, byte string and string-like value is labelled, but no
    numbers: lists, dicts, sets and objects keep their identity and are labelled in place; tuples and
    frozen classes are made anew. None, truth values and empty text have nothing to label; what can have no
    labels (an iterator, a table of another library) comes back as it is, and is counted as a loss.

    Args:
        value: What was collected.
        purpose: One key such as `security.mfa`, or several; that of the `zone(..., collects=True)` around by default.
        category: The kind of data, a fideslang key such as `user.contact.phone_number`.
        subject: An opaque key of the person; it never reaches telemetry.
        consent: An identifier of the consent receipt.
        source: Where the value enters; the calling function by default.
        trace: The span of the collection, as a `Trace` or `traceparent`; the current span by default.

    Returns:
        The value, labelled; the value itself in mode `off`.

    Raises:
        ConfigurationError: The purpose is not usable as written.
    """
    if modes._current is _OFF:  # As `is_off`, without its call.
        return value
    function: str | None
    if source is None:
        caller = _caller(1)
        place, function = caller.f_globals.get("__name__", "?"), caller.f_code.co_qualname
    else:
        place, function = source if type(source) is str else shown(source), None
    if trace is None and subject is None and type(purpose) is str and not _context():
        try:
            labels = _known[purpose, category, consent, place, function]
        except KeyError:
            labels = _known_from_here(purpose, category, consent, place, function)
    else:
        where = place if function is None else (place, function)
        labels = collected(purpose, category=category, subject=subject, consent=consent, source=where, trace=trace)
    if type(value) is str and collector is None:
        if not value:
            return value
        result = _new_text(TaintedStr, value)  # As `carry_text`, without its call.
        result._coverage = labels
        return result  # type: ignore[return-value]  # T is str here.
    return apply_labels(value, labels, is_source=True, objects=True)


_SINGLE = (str, bytes, int, float, TaintedProxy)
_NOTHING_LOST = (str, bytes, int, float)
"""Text that is empty, truth values, and numbers in containers, which are keys, counts and prices."""


def apply_labels(value: T, labels: Labels, *, is_source: bool = False, objects: bool = False) -> T:
    """Put labels on a value, or on all that is inside a container. Labels: joined to those there.

    Args:
        value: Anything.
        labels: To put on it.
        is_source: The value enters here, and the collector is told; a load from a store asks for it or not.
        objects: Label the own attributes of objects without declared fields too.
    """
    collect = collector if is_source else None
    if isinstance(value, _SINGLE):
        if collect is not None:
            collect(value, labels)
        return carry(value, labels)  # type: ignore[no-any-return]  # `carry` keeps the type, as seen by isinstance.
    carry_leaf = _carry_or_count if objects else _carry_inside
    return map_leaves(value, lambda leaf: carry_leaf(leaf, labels, collect), objects=objects)  # type: ignore[no-any-return]  # As above.


def _carry_inside(leaf: Any, labels: Labels, collect: Collector | None) -> Any:
    # Numbers in rows are keys, counts and prices, and drivers refuse a proxy of them.
    if type(leaf) is not TaintedProxy and isinstance(leaf, int | float):
        return leaf
    if collect is not None:
        collect(leaf, labels)
    return carry(leaf, labels)


def _carry_or_count(leaf: Any, labels: Labels, collect: Collector | None) -> Any:
    result = _carry_inside(leaf, labels, collect)
    if result is leaf and not (
        leaf is None or isinstance(leaf, _NOTHING_LOST) or is_carrier(leaf) or is_ordinary(leaf)
    ):
        kind = type(leaf)
        count_loss(f"label of {kind.__module__}.{kind.__qualname__}")
    return result


def carriers_in(value: object, root: str = "") -> Iterator[tuple[Step, Any]]:
    """Find every carrier in a value, with the way to it; `root` is what the value itself is called."""
    return walk(value, is_carrier, root)


def labels_of(value: object) -> Labels:
    """Give the labels of a value; of a container, the union of all inside.

    Labels: read, not changed.

    Args:
        value: Anything. Generators and other iterators are not looked into: that would use them up.

    Returns:
        The set of labels, empty for a plain value.
    """
    if type(value) is TaintedStr:
        coverage = value._coverage
        return coverage if type(coverage) is Labels else flat(coverage)
    if is_bare(value):
        return NO_LABELS
    return join(labels_of_carrier(carrier) for _, carrier in carriers_in(value))


def ranges_of(value: object) -> tuple[Range, ...]:
    """Say which part of a text or byte string each set of labels covers.

    Args:
        value: A text or byte string; anything else has no ranges.

    Returns:
        In order, not overlapping; positions in characters or bytes.
    """
    if not isinstance(value, str | bytes):
        return ()
    return tuple(Range(*span) for span in spans_of(coverage_of(value), len(value)))


def plain(value: T) -> T:
    """Give a value without its labels, for a consumer that refuses anything but the exact type.

    Labels: left behind; from here on the value is not followed. Containers are changed as `label` does.

    Args:
        value: A carrier or a container of carriers.

    Returns:
        The exact `str`, `bytes` or wrapped value.
    """
    return map_leaves(value, _plain_leaf, keys=True, objects=True)  # type: ignore[no-any-return]  # The type is kept.


def _plain_leaf(leaf: Any) -> Any:
    if is_carrier(leaf) or (isinstance(leaf, IDENTIFIERS) and is_carrier(number_in(leaf))):
        count_loss("taint.plain")
        last_step(leaf, labels_of(leaf))
    leaf = bare(leaf)
    return without_labels(leaf) if isinstance(leaf, IDENTIFIERS) else leaf
