"""Assertions: that data did not flow, that it is labelled, that a violation is found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from taint.carriers import labels_of
from taint.errors import PurposeViolationError
from taint.flows.outcome import listen, unlisten
from taint.labels import Labels
from taint.policy import Flow, Outcome
from taint.purposes import ancestors, purpose_key
from taint.testing.findings import name_matches
from taint.testing.recording import Record, active

__all__ = ["assert_labelled", "assert_no_flow", "expect_violation", "is_expected"]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a flow must be like; None where it does not matter."""

    source: str | None = None
    sink: str | None = None
    purpose: str | None = None
    evidence: str | None = None

    def matches(self, flow: Flow) -> bool:
        return (
            (self.source is None or any(name_matches(one, self.source) for one in flow.labels.sources))
            and (self.sink is None or name_matches(flow.sink, self.sink))
            and (self.purpose is None or self.purpose in ancestors(flow.purpose))
            and (self.evidence is None or flow.evidence.value == self.evidence)
        )

    def __str__(self) -> str:
        said = {"source": self.source, "sink": self.sink, "purpose": self.purpose, "evidence": self.evidence}
        return ", ".join(f"{name} {value!r}" for name, value in said.items() if value is not None) or "any"


def _told(flows: list[Flow]) -> str:
    """List flows for a failed assertion, one a line."""
    if not flows:
        return "  none"
    return "\n".join(
        f"  {flow.outcome.value}: {', '.join(sorted(flow.labels.sources)) or '?'} "
        f"({', '.join(sorted(flow.purposes)) or '?'}) -> {flow.sink} ({flow.purpose}) "
        f"by {flow.evidence.value} at {flow.path}{'' if flow.call_site is None else f', {flow.call_site}'}"
        for flow in flows
    )


def assert_no_flow(*, source: str | None = None, to: str, within: Record | None = None) -> None:
    """Assert that nothing flowed from a source to a sink, allowed or not.

    Labels: read from what was recorded.

    Args:
        source: Name of the source, `*` for any part of it; any source by default.
        to: Name of the sink, likewise.
        within: The record to look into; the innermost one that fills now by default.

    Raises:
        AssertionError: Something did; every such flow is listed.
        LookupError: Nothing is being recorded.
    """
    if within is None:
        if not active:
            raise LookupError(
                "no flows are being recorded here. assert_no_flow looks into a record. Use it inside "
                "`with record():`, in a test with the fixture taint_record, or give it within=."
            )
        within = active[-1]
    wanted = _Wanted(source=source, sink=to)
    found = [flow for flow in within.flows if wanted.matches(flow)]
    if found:
        raise AssertionError(f"expected no flow of {wanted}, but there was:\n{_told(found)}")


def assert_labelled(
    value: object, *, purpose: str | None = None, category: str | None = None, source: str | None = None
) -> None:
    """Assert that a value carries a label, or that one inside it does. The value itself is never shown.

    Labels: read, not changed.

    Args:
        value: Anything; containers are looked into.
        purpose: One of the label's purposes; any by default.
        category: Its category; any by default.
        source: Its source, `*` for any part of the name; any by default.

    Raises:
        AssertionError: No label is like that; those that are there are listed.
    """
    labels = labels_of(value)
    wanted = {"purpose": purpose, "category": category, "source": source}
    for label in labels:
        if (
            (purpose is None or purpose in label.purposes)
            and (category is None or category == label.category)
            and (source is None or name_matches(label.source or "", source))
        ):
            return
    asked = ", ".join(f"{name} {one!r}" for name, one in wanted.items() if one is not None) or "any purpose"
    raise AssertionError(
        f"expected a {type(value).__name__} labelled with {asked}, but its labels are:\n{_listed(labels)}"
    )


def _listed(labels: Labels) -> str:
    if not labels:
        return "  none"
    return "\n".join(
        sorted(
            f"  purpose {', '.join(sorted(label.purposes))}; category {label.category}; source {label.source}"
            for label in labels
        )
    )


_expected: list[_Wanted] = []


def is_expected(flow: Flow) -> bool:
    """Tell whether a test says right now that it expects such a violation."""
    return any(wanted.matches(flow) for wanted in _expected)


@contextmanager
def expect_violation(
    *, source: str | None = None, sink: str | None = None, purpose: str | None = None, evidence: str | None = None
) -> Iterator[Record]:
    """Expect a violation in the block: it fails when there is none like it.

    In mode `block` the error ends the block, as with `pytest.raises`; in `report` the block runs on. Such
    a violation does not fail the test under `--taint`; any other still does.

    Labels: read from the flows of the block.

    Args:
        source: Name of a source of the data, `*` for any part of it.
        sink: Name of the sink or zone, likewise.
        purpose: What the sink uses data for, or an ancestor of it.
        evidence: How it is known: `label`, `lineage`, `comparison`, `content` or `digest`.

    Yields:
        The record of the block.

    Raises:
        AssertionError: There was no such violation; what flowed instead is listed.
    """
    wanted = _Wanted(source, sink, None if purpose is None else purpose_key(purpose), evidence)
    seen = Record()
    listener = seen.flows.append
    listen(listener)
    _expected.append(wanted)
    try:
        yield seen
    except PurposeViolationError as error:
        if not wanted.matches(error.violation):
            raise
    finally:
        _expected.remove(wanted)
        unlisten(listener)
    if not any(wanted.matches(flow) for flow in seen.flows if flow.outcome is Outcome.VIOLATION):
        raise AssertionError(f"expected a violation ({wanted}), but the flows were:\n{_told(seen.flows)}")
