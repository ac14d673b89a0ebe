"""What rules of one policy must not say of each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taint.policy.mistakes import Mistakes
from taint.policy.rules import PURPOSE_LIMITATION, Conditions, Effect, Rule, matches_pattern
from taint.purposes import Taxonomy

__all__ = ["check_contradictions", "check_names"]


def check_names(table: Mapping[str, Any], rules: tuple[Rule, ...], names: set[str], mistakes: Mistakes) -> None:
    """Find rules of one name, exceptions that always hold, and names of rules that there are not.

    Args:
        table: As `make_policy`.
        rules: Of it.
        names: Of all rules, the built-in one's too.
        mistakes: Get what is found.
    """
    seen: set[str] = {PURPOSE_LIMITATION}
    for at, rule in enumerate(rules):
        if rule.name in seen:
            mistakes.found.append(
                (("rules", at, "name"), f"another rule has the name {rule.name!r}. Names tell rules apart")
            )
        seen.add(rule.name)
        if rule.unless == Conditions():
            mistakes.found.append(
                (("rules", at, "unless"), "an 'unless' without conditions always holds: the rule never would")
            )
    for name in table.get("rollout", {}):
        if name not in names:
            mistakes.found.append(
                (("rollout", name), f"there is no rule {name!r}. Rules are {', '.join(sorted(names))}")
            )
    for at, row in enumerate(table.get("suppressions", ())):
        if not any(matches_pattern(name, (row["rule"],)) for name in names):
            mistakes.found.append((("suppressions", at, "rule"), f"there is no rule {row['rule']!r}"))


def check_contradictions(rules: tuple[Rule, ...], taxonomy: Taxonomy, mistakes: Mistakes) -> None:
    """Find allow rules that can never decide, for a deny rule of equal priority holds wherever they do."""
    denying = [
        rule for rule in rules if rule.effect is Effect.DENY and rule.unless is None and not rule.conditions.consent
    ]
    for at, rule in enumerate(rules):
        if rule.effect is Effect.DENY:
            continue
        for deny in denying:
            if deny.priority == rule.priority and _covers(deny.conditions, rule.conditions, taxonomy):
                what = (
                    f"allow rule {rule.name!r} contradicts deny rule {deny.name!r}, which has the same priority "
                    f"({rule.priority}) and holds wherever it does. Give one the higher priority, or narrow one"
                )
                mistakes.found.append((("rules", at), what))


def _covers(wide: Conditions, narrow: Conditions, taxonomy: Taxonomy) -> bool:
    def below(keys: tuple[str, ...], of: tuple[str, ...]) -> bool:
        return not of or (bool(keys) and all(not set(of).isdisjoint(taxonomy.ancestors(key)) for key in keys))

    def among(keys: tuple[str, ...], of: tuple[str, ...]) -> bool:
        return not of or (bool(keys) and set(keys) <= set(of))

    def matched(names: tuple[str, ...], of: tuple[str, ...]) -> bool:
        return not of or (bool(names) and all(name in of or matches_pattern(name, of) for name in names))

    return (
        below(narrow.collected_for, wide.collected_for)
        and below(narrow.used_for, wide.used_for)
        and below(narrow.categories, wide.categories)
        and matched(narrow.sources, wide.sources)
        and matched(narrow.sinks, wide.sinks)
        and among(narrow.evidence, wide.evidence)
        and among(narrow.from_jurisdictions, wide.from_jurisdictions)
        and among(narrow.to_jurisdictions, wide.to_jurisdictions)
    )
