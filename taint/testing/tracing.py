"""`trace()`: the way of one value, from its source to here, for people."""

from __future__ import annotations

from typing import Any

from taint.carriers.containers import path_text
from taint.carriers.proxy import labels_of_carrier
from taint.carriers.tracing import is_tracing
from taint.carriers.values import carriers_in
from taint.evidence import last_seen
from taint.evidence.current import current_keys
from taint.labels import Label

__all__ = ["trace"]

_OFF = (
    "Tracing was off when it was made. Make it while tracing is on: record(trace=True), taint.configure(trace=True) "
    "or TAINT_TRACE=1."
)


def trace(value: Any) -> str:
    """Show where a value has been: the operations on it, the last 16 of each label, and their places.

    Labels: read, not changed. Of a plain value the way to where it was last seen with labels is shown.

    Args:
        value: A value, or a container of values.

    Returns:
        Text of several lines, without any value in it.
    """
    found = [(path_text(way), labels_of_carrier(carrier)) for way, carrier in carriers_in(value, "value")]
    if found:
        return "\n".join(_shown(path, label) for path, labels in found for label in sorted(labels, key=repr))
    seen = last_seen.seen_labels(value, current_keys())
    if seen is not None:
        lines = [_shown("value, plain here", label) for label in sorted(seen, key=repr)]
        return "\n".join([*lines, "  from there on it was plain"])
    lines = ["value: carries no label, and was not seen with one."]
    return "\n".join(lines if is_tracing() else [*lines, f"  {_OFF}"])


def _shown(path: str, label: Label) -> str:
    source = f" by {label.source!r}" if label.source else ""
    purposes = " and ".join(map(repr, sorted(label.purposes)))
    steps = [f"  {number}. {step}" for number, step in enumerate(label.steps, 1)]
    return "\n".join([f"{path}: collected{source} for {purposes}", *(steps or [f"  {_OFF}"])])
