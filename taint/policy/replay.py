"""What-if: recorded flows under another policy."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from taint.evidence import Evidence
from taint.policy.decision import UNLABELLED, Decider
from taint.policy.outcome import Outcome
from taint.policy.records import FLOW, labels_from_record
from taint.policy.rules import Policy

__all__ = ["Change", "Replay", "replay"]

SUPPRESSED = "suppressed"
"""What stands for the outcome of a violation that is borne."""
_REMEMBERED = 65_536


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """One way in which verdicts change.

    Args:
        before: The recorded outcome; `suppressed` for a violation that was borne.
        after: The outcome under the other policy.
        rule: The rule that decides under it.
        rule_before: The rule that decided.
        sink: At which sink.
        purpose: What it uses data for.
    """

    before: str
    after: str
    rule: str
    rule_before: str
    sink: str
    purpose: str


@dataclass(slots=True)
class Replay:
    """What a replay found.

    Args:
        flows: How many flow records were read.
        changes: How many flows change, by the way they do.
        by_rule: How many flows each rule of the other policy decides, by outcome.
        others: How many records are of another kind.
        unreadable: Numbers of the lines that are no records.
        torn: Numbers of the lines that are cut off, as when their writer was killed or its disk was full; they are
            not read.
    """

    flows: int = 0
    changes: Counter[Change] = field(default_factory=Counter)
    by_rule: Counter[tuple[str, str]] = field(default_factory=Counter)
    others: int = 0
    unreadable: list[int] = field(default_factory=list)
    torn: list[int] = field(default_factory=list)

    @property
    def changed(self) -> int:
        """How many flows change."""
        return self.changes.total()


def replay(lines: Iterable[bytes], policy: Policy) -> Replay:
    """Decide recorded flows again under another policy.

    What depends on a person (consent, rollout by subject) is not in a record: it comes out as a gap, or
    as not in force.

    Args:
        lines: Of an audit file, JSON lines as `flow_record` gives them.
        policy: The other policy.
    """
    found = Replay()
    settler = _Settler(policy)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError:
            # Whoever writes a trail writes its lines from their beginning.
            (found.torn if line.startswith(b"{") else found.unreadable).append(number)
            continue
        try:
            if record["kind"] != FLOW:
                found.others += 1
                continue
            change = settler.change(record)
        except (KeyError, TypeError, ValueError, AttributeError):
            found.unreadable.append(number)
            continue
        found.flows += 1
        found.by_rule[change.rule, change.after] += 1
        if change.after != change.before:
            found.changes[change] += 1
    return found


class _Settler:
    """Decides records, each kind of them once."""

    def __init__(self, policy: Policy) -> None:
        self._decider = Decider(policy)
        self._settled: dict[tuple[str, str, str, str], tuple[str, str]] = {}

    def change(self, record: Mapping[str, Any]) -> Change:
        """Give what was and what would be; raises as `labels_from_record` where it is no record."""
        sink, purpose, evidence, labels = record["sink"], record["purpose"], record["evidence"], record["labels"]
        before = SUPPRESSED if record.get("suppressed") else Outcome(record["outcome"]).value
        if not (isinstance(sink, str) and isinstance(purpose, str) and isinstance(record["rule"], str)):
            raise TypeError
        key = (sink, purpose, evidence, repr(labels))
        after = self._settled.get(key)
        if after is None:
            if len(self._settled) >= _REMEMBERED:
                self._settled.clear()
            after = self._settled[key] = _settle(self._decider, sink, purpose, evidence, labels)
        return Change(before, *after, record["rule"], sink, purpose)


def _settle(decider: Decider, sink: str, purpose: str, evidence: str, labels: Any) -> tuple[str, str]:
    """Give the worst outcome of a record's labels, and its rule."""
    how = Evidence(evidence)
    read = labels_from_record(labels)
    if not read:
        unlabelled = decider.sink_settings(sink).unlabelled
        worst = {"gap": Outcome.GAP, "block": Outcome.VIOLATION}.get(unlabelled or "allow", Outcome.ALLOWED)
        return worst.value, UNLABELLED
    allowed, gap, violation = Outcome.ALLOWED.value, Outcome.GAP.value, Outcome.VIOLATION.value
    found: dict[str, str] = {}
    for label, decision in decider.decisions(read, purpose, sink, how):
        outcome = decision.outcome.value
        if outcome == violation and decider.suppression(decision, label, purpose, sink, how) is not None:
            outcome = SUPPRESSED
        found[outcome] = decision.rule
    return next((one, found[one]) for one in (violation, gap, SUPPRESSED, allowed) if one in found)
