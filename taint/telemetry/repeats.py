"""Repeats: a violation in a loop is one signal with a count, not a storm.

The first of a kind is told at once. What repeats it within an interval is counted, and told as one
at the interval's end. A kind is (sources, sink, rule, call site), with the event and the evidence.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from opentelemetry.context import Context

from taint.labels import Trace
from taint.policy import CallSite, Flow
from taint.telemetry.spans import MAX_LINKS, collection_traces

__all__ = ["MAX_KINDS", "Repeated", "Repeats"]

MAX_KINDS = 1000
"""How many kinds are told one by one in an interval; any more are told together."""

Kind = tuple[str, str, str, str, CallSite | None, frozenset[str]]


@dataclass(slots=True)
class Repeated:
    """One kind.

    Args:
        flow: The last one.
        context: Of the first one: its span alone, so that nothing else of a request is kept.
        count: How many have not been told yet.
        first_ns: When the first of these happened, since the epoch.
        last_ns: When the last did.
        traces: The spans in which their data was collected; as many as a span can link to.
        is_mixed: It stands for all kinds past the bound.
    """

    flow: Flow
    context: Context
    count: int
    first_ns: int
    last_ns: int
    is_mixed: bool = False
    traces: set[Trace] = field(default_factory=set)


class Repeats:
    """The kinds of the current interval; bounded, and safe with threads."""

    def __init__(self) -> None:
        self._kinds: dict[Kind | str, Repeated] = {}
        self._lock = threading.Lock()

    def begins(self, event: str, flow: Flow, now_ns: int) -> Repeated | None:
        """Note a flow.

        Returns:
            The kind that begins with it, which is to be told at once; None where it was counted as a
            repeat, or together with all others past the bound of kinds.
        """
        kind = (event, flow.evidence.value, flow.sink, flow.rule, flow.call_site, flow.labels.sources)
        with self._lock:
            found = self._kinds.get(kind)
            if found is None:
                if len(self._kinds) < MAX_KINDS:
                    begun = self._kinds[kind] = Repeated(flow, Context(), 0, now_ns, now_ns)
                    return begun
                found = self._kinds.setdefault(event, Repeated(flow, Context(), 0, now_ns, now_ns, is_mixed=True))
            if not found.count:
                found.first_ns = now_ns
            found.flow = flow
            found.count += 1
            found.last_ns = now_ns
            if len(found.traces) < MAX_LINKS:
                found.traces |= collection_traces(flow.labels)
            return None

    def end_interval(self) -> list[Repeated]:
        """Give the kinds that were repeated, and forget those that were not."""
        with self._lock:
            repeated = {kind: one for kind, one in self._kinds.items() if one.count}
            self._kinds = {
                kind: Repeated(one.flow, one.context, 0, one.last_ns, one.last_ns)
                for kind, one in repeated.items()
                if not one.is_mixed
            }
            return list(repeated.values())

    def __len__(self) -> int:
        """Give the number of kinds that are held."""
        return len(self._kinds)
