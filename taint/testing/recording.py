"""`record()`: the flows of a stretch of code, to look at and to assert on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from taint.carriers.tracing import is_tracing, set_tracing
from taint.evidence import last_seen, set_known_values
from taint.flows.outcome import listen, unlisten
from taint.modes import Mode, current_mode, set_mode
from taint.policy import Flow, Outcome

__all__ = ["Record", "active", "record"]


@dataclass(slots=True, eq=False)
class Record:
    """What was seen: flows of labelled data into sinks and zones, allowed or not.

    Each has `sink`, `purpose`, `labels`, `evidence`, `path`, `rule`, `mode`, `count`, `call_site`, and
    with tracing `steps`; none holds a value.
    """

    flows: list[Flow] = field(default_factory=list)

    @property
    def violations(self) -> list[Flow]:
        """The flows that are violations."""
        return [flow for flow in self.flows if flow.outcome is Outcome.VIOLATION]

    @property
    def gaps(self) -> list[Flow]:
        """The flows that could not be decided."""
        return [flow for flow in self.flows if flow.outcome is Outcome.GAP]


active: list[Record] = []
"""The records that fill now, the innermost last: assertions look into it where they are given none."""


@contextmanager
def record(mode: str | None = None, *, trace: bool | None = None) -> Iterator[Record]:
    """Record every flow of the process while the block runs, in all threads and tasks.

    Labels: neither read nor changed by recording itself.

    Args:
        mode: The mode of the process meanwhile, such as `report`; unchanged by default.
        trace: Whether labels keep the operations from their source to here, so that a flow has `steps` and shows its
            `way`; unchanged by default.

    Yields:
        The record, which fills as the code runs.

    Raises:
        ConfigurationError: There is no such mode.
    """
    seen = Record()
    wanted = current_mode() if mode is None else Mode.parse(mode, setting="mode")
    before = set_mode(wanted)
    known = set_known_values(None)
    set_known_values(None if known is None else known.fresh())  # What other tests collected is not known in this one.
    listener = seen.flows.append  # Kept, for each `seen.flows.append` is another object.
    listen(listener)
    active.append(seen)
    traced = is_tracing()
    if trace is not None:
        set_tracing(is_on=trace)
        last_seen.forget()  # What other tests made is not shown in this one.
    try:
        yield seen
    finally:
        set_tracing(is_on=traced)
        unlisten(listener)
        active.remove(seen)
        set_known_values(known)
        set_mode(before)
