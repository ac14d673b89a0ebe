"""The decision: may data with this label be used for that purpose, and which rule says so."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable
from typing import NamedTuple

from taint.carriers.values import current_trace
from taint.evidence import Evidence
from taint.labels import Grant, Label, Labels, without_steps
from taint.modes import Mode, current_mode
from taint.policy.addresses import AddressBook
from taint.policy.consent import ask_consent, current_consent_store
from taint.policy.index import RuleIndex
from taint.policy.outcome import Outcome
from taint.policy.rules import (
    PURPOSE_LIMITATION,
    UNKNOWN,
    Effect,
    Facts,
    Policy,
    Rule,
    SinkSettings,
    Suppression,
    matches_pattern,
)

__all__ = ["DECLASSIFICATION", "UNLABELLED", "Decider", "Decision"]

DECLASSIFICATION = "declassification"
"""What decides where a label's own purposes do not allow a use, and a declassification does."""
UNLABELLED = "unlabelled"
"""What decides where a sink asks for labels and the data has none."""

_REMEMBERED = 8192


class Decision(NamedTuple):
    """What was decided about one label at one sink.

    Args:
        outcome: Whether it is allowed.
        rule: The name of the rule that decided.
        message: What the rule tells people to do, or why there is no answer.
        mode: The rule's own mode.
    """

    outcome: Outcome
    rule: str
    message: str = ""
    mode: Mode | None = None


class _Step(NamedTuple):
    """A rule that meets a flow, and what about it can only be told at the moment of the check."""

    rule: Rule
    decision: Decision
    asks: bool
    unless_asks: bool
    is_rolled_out: bool

    @property
    def is_certain(self) -> bool:
        return not (self.asks or self.unless_asks or self.is_rolled_out)


class _Plan(NamedTuple):
    """The rules that meet a flow up to the first that decides without asking, and what holds after them."""

    steps: tuple[_Step, ...]
    otherwise: Decision


_ALLOWED = Decision(Outcome.ALLOWED, PURPOSE_LIMITATION)
_VIOLATION = Decision(Outcome.VIOLATION, PURPOSE_LIMITATION)


class Decider:
    """A policy made ready to decide: pure, but for consent, rollout and expiry, and cached.

    Args:
        policy: What is allowed.
    """

    def __init__(self, policy: Policy) -> None:
        """Make the tables."""
        self.policy = policy
        self.addresses = AddressBook(policy.addresses)
        self._index = RuleIndex(policy.rules, policy.taxonomy)
        self._certain: dict[tuple[Labels, str, str, Evidence], tuple[tuple[Label, Decision], ...]] = {}
        self._allowed: set[tuple[Labels, str, str]] = set()
        self._plans: dict[tuple[frozenset[str], str | None, str | None, str, str, Evidence], _Plan] = {}
        self._sinks: dict[str, SinkSettings] = {}

    def decisions(
        self, labels: Labels, purpose: str, sink: str, evidence: Evidence = Evidence.LABEL
    ) -> tuple[tuple[Label, Decision], ...]:
        """Decide every label of a value at a sink.

        Args:
            labels: Of the value.
            purpose: What the sink uses data for.
            sink: Its name.
            evidence: How the labels are known.
        """
        key = (labels, purpose, sink, evidence)
        found = self._certain.get(key)
        if found is not None:
            return found
        found = tuple((label, self.decide(label, purpose, sink, evidence)) for label in labels)
        if all(self._is_certain(label, purpose, sink, evidence) for label in labels):
            if len(self._certain) >= _REMEMBERED:
                self._certain.clear()
            self._certain[key] = tuple((without_steps(label), decision) for label, decision in found)
        return found

    def allows(self, labels: Labels, purpose: str, sink: str) -> bool:
        """Tell whether every label of a value is allowed at a sink, as quickly as can be told."""
        if (labels, purpose, sink) in self._allowed:
            return True
        key = (labels, purpose, sink, Evidence.LABEL)
        is_allowed = all(decision.outcome is Outcome.ALLOWED for _, decision in self.decisions(labels, purpose, sink))
        if is_allowed and key in self._certain:
            if len(self._allowed) >= _REMEMBERED:
                self._allowed.clear()
            self._allowed.add((labels, purpose, sink))
        return is_allowed

    def is_certain(self, labels: Labels, purpose: str, sink: str) -> bool:
        """Tell whether what `allows` has allowed stays so while this policy holds: nobody had to be asked."""
        return (labels, purpose, sink) in self._allowed

    def decide(self, label: Label, purpose: str, sink: str, evidence: Evidence = Evidence.LABEL) -> Decision:
        """Decide one label at a sink; arguments as `decisions`."""
        own = self._settled(self._plan(label.purposes, label, purpose, sink, evidence), 0, label, purpose)
        if not label.grants or own.outcome is Outcome.ALLOWED:
            return own
        live, unknown = self._grants(label)
        for grants, is_sure in ((live, True), (live | unknown, False)):
            plan = self._plan(label.purposes | grants, label, purpose, sink, evidence)
            decision = self._settled(plan, 0, label, purpose)
            if decision.outcome is Outcome.ALLOWED:
                return (
                    Decision(Outcome.ALLOWED, DECLASSIFICATION)
                    if is_sure
                    else self._unanswered(
                        DECLASSIFICATION, "The consent that it was declassified with could not be asked for"
                    )
                )
        return own

    def explained(self, label: Label, purpose: str, sink: str, evidence: Evidence = Evidence.LABEL) -> list[Rule]:
        """Give the rules that meet a flow, in the order in which they decide."""
        return list(self._index.meeting(self._facts(label.purposes, label, purpose, sink, evidence)))

    def enforcement(self, decision: Decision, label: Label, mode: Mode | None, sink: str) -> Mode:
        """Say what a decision that is not `allowed` does.

        Args:
            decision: What was decided.
            label: About which label.
            mode: That of the sink, if it was given one in the code.
            sink: Its name.

        Returns:
            The rule's own mode, else the sink's, in the code or in the policy, else that of the process;
            `report` where the rule is not in force yet.
        """
        rollout = self.policy.rollout.get(decision.rule)
        if rollout is not None and not self._is_in_force(decision.rule, label):
            return Mode.REPORT
        return decision.mode or mode or self.sink_settings(sink).mode or current_mode()

    def suppression(
        self, decision: Decision, label: Label, purpose: str, sink: str, evidence: Evidence
    ) -> Suppression | None:
        """Give the suppression that holds for a violation today, if one does."""
        if not self.policy.suppressions:
            return None
        today = dt.datetime.now(dt.UTC).date()
        facts = self._facts(label.purposes, label, purpose, sink, evidence)
        for suppression in self.policy.suppressions:
            if (
                today <= suppression.expires
                and matches_pattern(decision.rule, (suppression.rule,))
                and suppression.conditions.hold(facts, self.policy.taxonomy, of_all=False)
            ):
                return suppression
        return None

    def sink_settings(self, sink: str) -> SinkSettings:
        """Give what the policy says of a sink: of the names that match, the longest that says something."""
        found = self._sinks.get(sink)
        if found is None:
            mode, unlabelled, jurisdiction = None, self.policy.unlabelled, UNKNOWN
            for name in sorted(self.policy.sinks, key=lambda name: (name == sink, len(name))):
                if name == sink or matches_pattern(sink, (name,)):
                    settings = self.policy.sinks[name]
                    mode = settings.mode or mode
                    unlabelled = settings.unlabelled or unlabelled
                    jurisdiction = settings.jurisdiction or jurisdiction
            if len(self._sinks) >= _REMEMBERED:
                self._sinks.clear()
            found = self._sinks[sink] = SinkSettings(mode, unlabelled, jurisdiction)
        return found

    def may_enter(self, outer: str, inner: str) -> bool:
        """Tell whether a zone may begin inside another without answering for that one's purpose too."""
        taxonomy = self.policy.taxonomy
        above = taxonomy.ancestors(inner)
        return outer in above or any(
            change.inside in taxonomy.ancestors(outer) and not set(change.may_enter).isdisjoint(above)
            for change in self.policy.zones
        )

    def _facts(self, purposes: frozenset[str], label: Label, purpose: str, sink: str, evidence: Evidence) -> Facts:
        return Facts(
            purposes,
            label.category,
            label.source,
            purpose,
            sink,
            evidence.value,
            self._source_jurisdiction(label.source),
            self.sink_settings(sink).jurisdiction or UNKNOWN,
        )

    def _source_jurisdiction(self, source: str | None) -> str:
        if not self.policy.sources:
            return UNKNOWN
        matching = [name for name in self.policy.sources if matches_pattern(source, (name,))]
        return self.policy.sources[max(matching, key=len)] if matching else UNKNOWN

    def _plan(self, purposes: frozenset[str], label: Label, purpose: str, sink: str, evidence: Evidence) -> _Plan:
        key = (purposes, label.category, label.source, purpose, sink, evidence)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._made_plan(self._facts(purposes, label, purpose, sink, evidence))
            if len(self._plans) >= _REMEMBERED:
                self._plans.clear()
            self._plans[key] = plan
        return plan

    def _made_plan(self, facts: Facts) -> _Plan:
        taxonomy = self.policy.taxonomy
        steps: list[_Step] = []
        for rule in self._index.meeting(facts):
            unless_asks = False
            if rule.unless is not None and rule.unless.hold(facts, taxonomy, of_all=rule.effect is Effect.ALLOW):
                if not rule.unless.consent:
                    continue
                unless_asks = True
            outcome = Outcome.ALLOWED if rule.effect is Effect.ALLOW else Outcome.VIOLATION
            # A deny rule that is not in force yet decides all the same, and is reported: see `enforcement`.
            is_rolled_out = rule.effect is Effect.ALLOW and rule.name in self.policy.rollout
            step = _Step(
                rule,
                Decision(outcome, rule.name, rule.message, rule.mode),
                rule.conditions.consent,
                unless_asks,
                is_rolled_out,
            )
            if step.is_certain:
                return _Plan(tuple(steps), step.decision)
            steps.append(step)
        is_allowed = not facts.purposes.isdisjoint(taxonomy.ancestors(facts.purpose))
        return _Plan(tuple(steps), _ALLOWED if is_allowed else _VIOLATION)

    def _is_certain(self, label: Label, purpose: str, sink: str, evidence: Evidence) -> bool:
        return not label.grants and not self._plan(label.purposes, label, purpose, sink, evidence).steps

    def _settled(self, plan: _Plan, at: int, label: Label, purpose: str) -> Decision:
        """Go through the steps from one on; where one cannot be told, it matters only if it would change something."""
        for index in range(at, len(plan.steps)):
            step = plan.steps[index]
            applies: bool | None = True
            if step.is_rolled_out and not self._is_in_force(step.rule.name, label):
                continue
            if step.asks or step.unless_asks:
                answer = ask_consent(label.subject, purpose, label.consent)
                applies = answer if step.asks else None if answer is None else not answer
            if applies:
                return step.decision
            if applies is None:
                rest = self._settled(plan, index + 1, label, purpose)
                if rest.outcome is step.decision.outcome:
                    return rest
                return self._unanswered(
                    step.rule.name, "The rule asks for consent, and the consent store did not answer"
                )
        return plan.otherwise

    def _unanswered(self, rule: str, message: str) -> Decision:
        return Decision(
            Outcome.GAP, rule, message, Mode.REPORT if self.policy.consent_unavailable == "report" else None
        )

    def _grants(self, label: Label) -> tuple[frozenset[str], frozenset[str]]:
        """Give the purposes that a label's declassifications add now, and those that nobody can tell."""
        now = dt.datetime.now(dt.UTC)
        live: set[str] = set()
        unknown: set[str] = set()
        for grant in label.grants:
            if grant.expires is not None and grant.expires <= now:
                continue
            answers = self._grant_answers(label, grant)
            for purpose, answer in answers:
                if answer is not False:
                    (live if answer else unknown).add(purpose)
        return frozenset(live), frozenset(unknown)

    def _grant_answers(self, label: Label, grant: Grant) -> Iterable[tuple[str, bool | None]]:
        if grant.consent is None or current_consent_store() is None:
            return [(purpose, True) for purpose in grant.purposes]
        return [(purpose, ask_consent(label.subject, purpose, grant.consent)) for purpose in grant.purposes]

    def _is_in_force(self, rule: str, label: Label) -> bool:
        """Tell whether a rule that is rolled out is in force for this label, or this trace."""
        rollout = self.policy.rollout[rule]
        if rollout.starts is not None and dt.datetime.now(dt.UTC).date() < rollout.starts:
            return False
        if rollout.share >= 1:
            return True
        if rollout.by == "subject":
            who = label.subject
        else:
            trace = current_trace()
            who = None if trace is None else f"{trace.trace_id:032x}"
        if who is None:
            return False
        digest = hashlib.blake2b(f"{rule}\0{who}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") < rollout.share * (1 << 64)
