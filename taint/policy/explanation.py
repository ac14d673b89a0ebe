"""Explaining a verdict before it happens: why, and what would allow it."""

from __future__ import annotations

from collections.abc import Iterator

from taint.evidence import Evidence
from taint.labels import Label
from taint.policy.decision import DECLASSIFICATION, Decider, Decision
from taint.policy.outcome import Outcome
from taint.policy.rules import PURPOSE_LIMITATION, Conditions, Effect, Facts, Rule

__all__ = ["explain"]


def explain(decider: Decider, label: Label, purpose: str, sink: str, evidence: Evidence) -> tuple[Decision, list[str]]:
    """Say why data with a label may or may not be used for a purpose.

    Args:
        decider: By which policy.
        label: Of the data.
        purpose: What it is to be used for.
        sink: Where.
        evidence: How the flow is known.

    Returns:
        The decision, and lines of text.
    """
    decision = decider.decide(label, purpose, sink, evidence)
    collected = " and ".join(sorted(label.purposes))
    what = label.category or "data"
    lines = [
        f"{decision.outcome.value}: {what} collected for {collected} at {sink!r}, which uses it for {purpose}",
        f"  decided by: {decision.rule}",
        f"  policy:     {decider.policy.origin}",
        f"  {purpose} stands below: {', '.join(decider.policy.taxonomy.ancestors(purpose)[1:]) or 'nothing'}",
    ]
    rules = decider.explained(label, purpose, sink, evidence)
    lines += ["", "why", *(f"  - {line}" for line in _why(decider, rules, label, purpose))]
    if decision.message:
        lines.append(f"  - it says: {decision.message}")
    if decision.outcome is not Outcome.ALLOWED:
        effect = decider.enforcement(decision, label, None, sink).value
        suppression = decider.suppression(decision, label, purpose, sink, evidence)
        if suppression is not None:
            lines.append(
                f"  - it is suppressed until {suppression.expires} ({suppression.owner}: {suppression.reason}), "
                "so that it is told and stops nothing"
            )
        else:
            lines.append(f"  - mode here: {effect}")
        lines += [
            "",
            "what would allow it",
            *(f"  - {line}" for line in _cures(decider, decision, label, purpose, sink)),
        ]
    return decision, lines


def _why(decider: Decider, rules: list[Rule], label: Label, purpose: str) -> Iterator[str]:
    policy = decider.policy
    for rule in rules:
        conditions = []
        if rule.conditions.consent:
            conditions.append("if the subject's consent is given")
        if rule.unless is not None:
            conditions.append("unless " + ("consent is given" if rule.unless.consent else "its exception holds"))
        if rule.name in policy.rollout:
            conditions.append("as far as it is rolled out")
        said = f" ({', '.join(conditions)})" if conditions else ""
        yield f"rule {rule.name!r} (priority {rule.priority}) {rule.effect.value}s it{said}"
    above = set(policy.taxonomy.ancestors(purpose))
    allowing = sorted(label.purposes & above)
    if allowing:
        yield f"purpose limitation allows it: {allowing[0]} is {purpose} or stands above it"
    else:
        yield f"purpose limitation does not allow it: no purpose of collection is {purpose} or stands above it"


def _cures(decider: Decider, decision: Decision, label: Label, purpose: str, sink: str) -> Iterator[str]:
    policy = decider.policy
    if decision.outcome is Outcome.GAP:
        yield "an answer of the consent store: configure(consent=...), and labels with subject=..."
        return
    is_denied = decision.rule not in (PURPOSE_LIMITATION, DECLASSIFICATION)
    rule = next((one for one in policy.rules if one.name == decision.rule), None)
    if rule is not None and rule.unless is not None:
        yield f"what rule {rule.name!r} excepts: {_conditions(rule.unless)}"
    for one in decider.explained(label, purpose, sink):
        if one.effect is Effect.ALLOW and one.conditions.consent:
            yield f"consent of the label's subject, which rule {one.name!r} asks for"
    if not is_denied or (rule is not None and rule.conditions.collected_for):
        above = policy.taxonomy.ancestors(purpose)
        yield f"collecting it for {purpose} too: purpose=[..., {purpose!r}]" + (
            f", or for {' or '.join(above[1:])}" if len(above) > 1 else ""
        )
        yield _declassification(decider, label, purpose)
    priority = f", priority = {rule.priority + 1}" if rule is not None else ""
    source = ", ".join(f'"{one}"' for one in sorted(label.purposes))
    rule_text = f'name = "...", effect = "allow", from = [{source}], to = ["{purpose}"]{priority}'
    yield f"a rule of the policy: [[rules]] {rule_text}"


def _declassification(decider: Decider, label: Label, purpose: str) -> str:
    policy = decider.policy
    call = f"taint.declassify(value, to={purpose!r}, reason=..., approved_by=...)"
    if policy.declassification_forbidden:
        return f"not {call}: the policy forbids declassification"
    if not policy.declassification_limits:
        return call
    facts = Facts(label.purposes, label.category, label.source, purpose, "", Evidence.LABEL.value)
    approvers = sorted(
        {
            name
            for limit in policy.declassification_limits
            if limit.conditions.hold(facts, policy.taxonomy, of_all=True)
            for name in limit.approvers
        }
    )
    return f"{call}, approved by {' or '.join(approvers)}" if approvers else f"not {call}: nobody may approve it"


def _conditions(conditions: Conditions) -> str:
    found = {
        "from": conditions.collected_for,
        "to": conditions.used_for,
        "categories": conditions.categories,
        "sources": conditions.sources,
        "sinks": conditions.sinks,
        "evidence": conditions.evidence,
        "from_jurisdictions": conditions.from_jurisdictions,
        "to_jurisdictions": conditions.to_jurisdictions,
    }
    said = [f"{key} {' or '.join(names)}" for key, names in found.items() if names]
    if conditions.consent:
        said.append("consent")
    return ", ".join(said)
