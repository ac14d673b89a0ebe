"""Selection: what comes out of a violating comparison is remembered for the rest of the zone.

In mode `report` a comparison is told and gives its result. What it selected, mostly ids, carries no label
and leaves later: a sink that is reached then gets a finding that names the comparison. Whether these very
arguments were selected by it nobody knows, so that such a finding never stops anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from taint.evidence import Evidence
from taint.flows.finding import flows_of
from taint.modes import Mode
from taint.policy import Flow, Outcome

__all__ = ["MAXIMUM_COMPARISONS", "held", "is_nothing", "named_in", "remember", "selected_flows"]

MAXIMUM_COMPARISONS = 32
"""Comparisons that one zone remembers, each once for a place in the code and a source: later ones are told only."""

held: ContextVar[list[Flow] | None] = ContextVar("taint_compared", default=None)
"""The violating comparisons of the outermost zone here. A list, so that tasks started in the zone add to the same."""

_EMPTY = (str, bytes, list, tuple, dict, set, frozenset)


def remember(compared: list[Flow], flows: Iterable[Flow]) -> None:
    """Remember comparisons, each place and source once.

    Args:
        compared: Where to, as `held` gives it.
        flows: Findings of comparisons that were let through.
    """
    for flow in flows:
        if flow.outcome is not Outcome.VIOLATION or flow.suppressed is not None:
            continue
        key = _key(flow)
        at = next((index for index, one in enumerate(compared) if _key(one) == key), len(compared))
        if at == len(compared) < MAXIMUM_COMPARISONS:
            compared.append(flow)
        elif at < len(compared) and compared[at].path == "hash":
            compared[at] = flow  # A lookup hashes first and then compares: `==` says more.


def _key(flow: Flow) -> tuple[object, ...]:
    labels = flow.labels
    return flow.call_site or flow.path, labels.purposes, labels.sources, labels.categories


def is_nothing(value: Any) -> bool:
    """Tell that an argument cannot be what was selected: there is nothing in it."""
    return value is None or isinstance(value, bool) or (type(value) in _EMPTY and not value)


def selected_flows(
    flows: Iterable[Flow], values: Iterable[object], *, sink: str, purpose: str, mode: Mode | None
) -> list[Flow]:
    """Give a finding for each comparison of the zone whose data the sink may not use either.

    Labels: those that were compared are decided again, for the sink's purpose.

    Args:
        flows: What the check of the sink's arguments found; where that is a violation already, nothing is added.
        values: The arguments.
        sink: The sink's name.
        purpose: What it uses data for.
        mode: As `flows_of`.
    """
    compared = held.get()
    if not compared or any(flow.outcome is Outcome.VIOLATION for flow in flows) or all(map(is_nothing, values)):
        return []
    return named_in(compared, sink=sink, purpose=purpose, mode=mode)


def named_in(compared: Iterable[Flow], *, sink: str, purpose: str, mode: Mode | None) -> list[Flow]:
    """Decide the data of comparisons for a sink, as findings that name the comparison; never in mode `block`."""
    return [
        replace(found, mode=Mode.REPORT, path=_named(one), selected_at=one.call_site)
        for one in tuple(compared)
        for found in flows_of(
            (((None, ""), one.labels),),
            sink=sink,
            purpose=purpose,
            mode=mode,
            evidence=Evidence.COMPARISON,
            keep_allowed=False,
        )
        if found.outcome is Outcome.VIOLATION
    ]


def _named(flow: Flow) -> str:
    """Name a comparison: the operation, and where it was made."""
    site = flow.call_site
    where = "" if site is None else f" in {site.function} ({PurePath(site.file).name}:{site.line})"
    return f"selected by {flow.path}{where}"
