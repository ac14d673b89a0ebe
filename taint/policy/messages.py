"""What is said of a flow: what happened, what is allowed, what to do, and the way of the value; never the value.

`Flow.message` and `Flow.way` are made here, so that a record stays a record and all wording is in one place.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from taint.evidence import Evidence
from taint.policy.outcome import Outcome
from taint.policy.rules import PURPOSE_LIMITATION

if TYPE_CHECKING:
    from taint.policy.verdict import Flow  # The record asks for its own message, so that it stands above.

__all__ = ["ENVELOPE_RULE", "message_of", "way_of"]

ENVELOPE_RULE = "envelope"
"""The rule, with the problem after it, by which an envelope that is of no use is a gap."""


def message_of(flow: Flow) -> str:
    """Say what happened, what is allowed and what to do, without any value."""
    return _of_gap(flow) if flow.outcome is Outcome.GAP else _of_violation(flow)


def _of_gap(flow: Flow) -> str:
    if flow.evidence is Evidence.LINEAGE:
        return _unread_query(flow)
    if flow.rule.startswith(f"{ENVELOPE_RULE}-"):
        return _envelope(flow)
    if not flow.labels:
        return _unlabelled(flow)
    if flow.selected_at is not None:
        return _perhaps_selected(flow)
    return _undecided(flow)


def _of_violation(flow: Flow) -> str:
    if not flow.labels:
        return _unlabelled(flow)
    if flow.selected_at is not None:
        return _selected(flow)
    if flow.evidence is Evidence.COMPARISON:
        return _compared(flow)
    if flow.evidence is Evidence.LINEAGE:
        return _queried(flow)
    return _received(flow)


def way_of(flow: Flow) -> str:
    """Show where the data of a flow has been, one step a line, and how it was found."""
    is_plain = flow.evidence in {Evidence.CONTENT, Evidence.DIGEST}
    last = "then it was seen without its labels, at the sink" if is_plain else "then it reached the sink"
    if flow.evidence is Evidence.COMPARISON:
        last = "then it was compared"
    if flow.call_site is not None:
        last = f"{last}: {flow.call_site}"
    return "\n".join(("the way here:", *(f"  {at}. {step}" for at, step in enumerate(flow.steps, 1)), f"  {last}"))


def _envelope(flow: Flow) -> str:
    return (
        f"the labels of a body that went through {flow.path!r} could not be carried: "
        f"{flow.rule.removeprefix(f'{ENVELOPE_RULE}-')}. Labels travel in an envelope that is signed for its "
        f"body; one that is not verified removes nothing. {flow.advice}."
    )


def _unread_query(flow: Flow) -> str:
    return (
        f"a query in {flow.sink!r} could not be followed: {flow.path}. "
        "Write it so that it can be read, or declare the tables that it uses."
    )


def _unlabelled(flow: Flow) -> str:
    return (
        f"sink {flow.sink!r} asks for labelled data, but argument {_argument(flow)} carries no label. "
        f"Labels come from sources. {flow.advice or 'Label it where it is collected.'}"
    )


def _perhaps_selected(flow: Flow) -> str:
    return (
        f"whether sink {flow.sink!r} may use what it got for {flow.purpose!r} could not be decided: it may be "
        f"{flow.path}, of data that was {_collected(flow)}. {flow.advice}. Put a zone around that work."
    )


def _selected(flow: Flow) -> str:
    return (
        f"sink {flow.sink!r} uses data for {flow.purpose!r}, and what it got may be {flow.path}: there data "
        f"was compared that was {_collected(flow)}{_denied(flow)}. "
        f"{flow.advice or 'Select by data that was collected for that purpose.'}"
    )


def _undecided(flow: Flow) -> str:
    return (
        f"whether sink {flow.sink!r} may use argument {_argument(flow)} for {flow.purpose!r} could "
        f"not be decided by {flow.rule!r}: it was {_collected(flow)}. {flow.advice}. See that it can be answered."
    )


def _compared(flow: Flow) -> str:
    cure = f"Leave such values out before the zone begins, collect them for that purpose too, or {_declassify(flow)}."
    return (
        f"zone {flow.sink!r} works for {flow.purpose!r}, but here ({flow.path}) it uses data that was "
        f"{_collected(flow)}{_denied(flow)}. {flow.advice or cure}"
    )


def _queried(flow: Flow) -> str:
    cure = f"Leave the column out of the query, collect its data for that purpose too, or {_declassify(flow)}."
    return (
        f"zone {flow.sink!r} works for {flow.purpose!r}, but its query uses {flow.path}, "
        f"{_collected(flow)}{_denied(flow)}. {flow.advice or cure}"
    )


def _received(flow: Flow) -> str:
    cure = f"Leave it out, collect it for that purpose too, or {_declassify(flow)}."
    return (
        f"sink {flow.sink!r} uses data for {flow.purpose!r}, but argument {_argument(flow)} was "
        f"{_collected(flow)}{_denied(flow)}. {flow.advice or cure}"
    )


def _argument(flow: Flow) -> str:
    return f"{flow.path} (and {flow.count - 1} more)" if flow.count > 1 else flow.path


def _collected(flow: Flow) -> str:
    sources = flow.labels.sources
    return f"collected{' by ' + _listed(sources) if sources else ''} for {_listed(flow.purposes)}"


def _denied(flow: Flow) -> str:
    return "" if flow.rule == PURPOSE_LIMITATION else f", which rule {flow.rule!r} denies"


def _declassify(flow: Flow) -> str:
    return f"taint.declassify(..., to={flow.purpose!r}, reason=..., approved_by=...)"


def _listed(keys: Iterable[str]) -> str:
    return " and ".join(map(repr, sorted(keys)))
