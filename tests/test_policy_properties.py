"""Properties of every policy: what can make a use allowed, and what cannot."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

import taint
from taint.errors import ConfigurationError
from taint.labels import Label, Labels
from taint.policy import Decider, Policy, make_policy
from taint.testing import strategies

PURPOSES = ["security", "security.mfa", "advertising", "advertising.audiences", "service.delivery"]
SINKS = ["ads.upload", "ads.match", "crm.export"]
RANK = {"violation": 0, "gap": 1, "allowed": 2}

labels_of_one = strategies.labels()
rules = strategies.rule_tables(sinks=SINKS)
policies = st.lists(rules, max_size=6)
uses = st.tuples(st.sampled_from(PURPOSES), st.sampled_from(SINKS))


def _decider(some: list[dict[str, Any]]) -> Decider | None:
    try:
        return Decider(make_policy({"rules": [{**rule, "name": f"r{at}"} for at, rule in enumerate(some)]}))
    except ConfigurationError:
        return None  # Rules that contradict each other make no policy.


def _worst(decider: Decider, labels: Labels, use: tuple[str, str]) -> str:
    outcomes = [decision.outcome.value for _, decision in decider.decisions(labels, *use)]
    return min(outcomes, key=RANK.__getitem__, default="allowed")


@given(policies, st.frozensets(labels_of_one, min_size=1, max_size=3), labels_of_one, uses)
def test_adding_a_label_never_allows(
    some: list[dict[str, Any]], labels: frozenset[Label], more: Label, use: tuple[str, str]
) -> None:
    """A label more on a value never turns a violation or a gap into something better."""
    decider = _decider(some)
    if decider is not None:
        before = _worst(decider, Labels(labels), use)
        assert RANK[_worst(decider, Labels(labels | {more}), use)] <= RANK[before]


@given(policies, rules, st.frozensets(labels_of_one, min_size=1, max_size=3), uses)
def test_adding_a_deny_rule_never_allows_more(
    some: list[dict[str, Any]], more: dict[str, Any], labels: frozenset[Label], use: tuple[str, str]
) -> None:
    """A deny rule more, wherever and with whatever exceptions, allows nothing that was not allowed before."""
    decider, stricter = _decider(some), _decider([*some, {**more, "effect": "deny"}])
    if decider is not None and stricter is not None:
        before = _worst(decider, Labels(labels), use)
        assert RANK[_worst(stricter, Labels(labels), use)] <= RANK[before]


TEXT = "+1 (415) 555-0100"
operations = st.sampled_from(
    [
        lambda text: text.upper(),
        lambda text: text.strip(),
        lambda text: text.replace(" ", ""),
        lambda text: text[2:9],
        lambda text: f"{text}",
        lambda text: "tel:" + text,
        lambda text: text.split(" ")[1],
        lambda text: text.encode().decode(),
        lambda text: text * 2,
        lambda text: text.partition("5")[2],
    ]
)


@given(st.frozensets(st.sampled_from(PURPOSES), min_size=1, max_size=2), st.lists(operations, max_size=4), uses)
def test_declassification_is_the_only_way_to_widen(
    collected_for: frozenset[str], steps: list[Any], use: tuple[str, str]
) -> None:
    """Whatever is done to a value, it is allowed afterwards only where it was before; or where it is declassified."""
    purpose, sink = use
    value = taint.label(TEXT, purpose=collected_for)
    was_allowed = taint.check(value, purpose=purpose, sink=sink).is_allowed
    for step in steps:
        try:
            value = step(value)
        except IndexError:
            continue
        if not value:
            return
        found = taint.check(value, purpose=purpose, sink=sink)
        assert found.flows, "the labels are lost"
        assert found.is_allowed is was_allowed
    widened = taint.declassify(value, to=purpose, reason="agreed", approved_by="privacy")
    assert taint.check(widened, purpose=purpose, sink=sink).is_allowed
    assert taint.check(value, purpose=purpose, sink=sink).is_allowed is was_allowed


@given(policies, st.frozensets(labels_of_one, min_size=1, max_size=2), uses)
def test_index_decides_as_asking_every_rule(
    some: list[dict[str, Any]], labels: frozenset[Label], use: tuple[str, str]
) -> None:
    """The rules that the index finds are those whose conditions hold, in the order of priority, deny and file."""
    decider = _decider(some)
    if decider is None:
        return
    purpose, sink = use
    for label in labels:
        facts = decider._facts(label.purposes, label, purpose, sink, taint.Evidence.LABEL)
        taxonomy = decider.policy.taxonomy
        holding = [
            rule
            for rule in decider.policy.rules
            if rule.conditions.hold(facts, taxonomy, of_all=rule.effect.value == "deny")
        ]
        holding.sort(key=lambda rule: (-rule.priority, rule.effect.value == "allow"))
        assert decider.explained(label, purpose, sink) == holding


@given(strategies.policies(), labels_of_one, uses)
def test_drawn_policies_decide(policy: Policy, label: Label, use: tuple[str, str]) -> None:
    """A policy that is drawn is one: it decides every flow, and names the rule that does."""
    decision = Decider(policy).decide(label, *use)
    assert decision.rule in {"purpose-limitation", *(rule.name for rule in policy.rules)}
