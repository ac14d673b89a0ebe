"""Finding the rules that a flow may meet, without asking each of them.

A set of rules is a number with one bit for each, lowest first decides. For every condition a table
says which rules a key meets; what meets all conditions is the `&` of the numbers. So a policy of 500
rules is decided in about the time of one of five.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from taint.policy.rules import Conditions, Effect, Facts, Rule, matches_pattern
from taint.purposes import Taxonomy

__all__ = ["RuleIndex"]

_REMEMBERED = 4096


class _Keys:
    """Rules by the keys of one condition; `widen` gives the keys that a key meets."""

    def __init__(self, rules: Sequence[Rule], keys: Callable[[Conditions], tuple[str, ...]]) -> None:
        self.free = 0
        self.by_key: dict[str, int] = {}
        for at, rule in enumerate(rules):
            bit = 1 << at
            if not keys(rule.conditions):
                self.free |= bit
            for key in keys(rule.conditions):
                self.by_key[key] = self.by_key.get(key, 0) | bit

    def meeting(self, keys: Iterable[str]) -> int:
        found, by_key = self.free, self.by_key
        if by_key:
            for key in keys:
                found |= by_key.get(key, 0)
        return found


class _Patterns:
    """Rules by patterns of names: whole names and `some.prefix.*` are looked up, others tried one by one."""

    def __init__(self, rules: Sequence[Rule], patterns: Callable[[Conditions], tuple[str, ...]]) -> None:
        self._names = _Keys(rules, patterns)
        self._others: list[tuple[str, int]] = []
        self._prefixes: dict[str, int] = {}
        self._known: dict[str, int] = {}
        for pattern in [key for key in self._names.by_key if not set(key).isdisjoint("*?[")]:
            rules_of = self._names.by_key.pop(pattern)
            prefix = pattern.removesuffix(".*")
            if prefix != pattern and set(prefix).isdisjoint("*?["):
                self._prefixes[prefix] = rules_of
            else:
                self._others.append((pattern, rules_of))

    def meeting(self, name: str) -> int:
        found = self._known.get(name)
        if found is None:
            found = self._names.meeting((name,))
            for end in [at for at, letter in enumerate(name) if letter == "."]:
                found |= self._prefixes.get(name[:end], 0)
            for pattern, rules in self._others:
                if matches_pattern(name, (pattern,)):
                    found |= rules
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[name] = found
        return found


class RuleIndex:
    """The rules of a policy in the order in which they decide, and which of them a flow may meet.

    Args:
        rules: In any order: the highest priority decides, then deny before allow, then the order of the file.
        taxonomy: Says what stands below what.
    """

    def __init__(self, rules: Iterable[Rule], taxonomy: Taxonomy) -> None:
        ordered = tuple(sorted(rules, key=lambda rule: (-rule.priority, rule.effect is Effect.ALLOW)))
        self.rules = ordered
        self._ancestors = taxonomy.ancestors
        self._denying = sum(1 << at for at, rule in enumerate(ordered) if rule.effect is Effect.DENY)
        self._collected_for = _Keys(ordered, lambda conditions: conditions.collected_for)
        self._used_for = _Keys(ordered, lambda conditions: conditions.used_for)
        self._categories = _Keys(ordered, lambda conditions: conditions.categories)
        self._sources = _Patterns(ordered, lambda conditions: conditions.sources)
        self._sinks = _Patterns(ordered, lambda conditions: conditions.sinks)
        self._evidence = _Keys(ordered, lambda conditions: conditions.evidence)
        self._from = _Keys(ordered, lambda conditions: conditions.from_jurisdictions)
        self._to = _Keys(ordered, lambda conditions: conditions.to_jurisdictions)

    def meeting(self, facts: Facts) -> Iterator[Rule]:
        """Give the rules whose conditions hold of a flow, but for consent, first the one that decides first."""
        ancestors = self._ancestors
        found = self._used_for.meeting(ancestors(facts.purpose)) & self._sinks.meeting(facts.sink)
        if not found:
            return
        any_purpose, all_purposes = 0, -1
        for purpose in facts.purposes:
            met = self._collected_for.meeting(ancestors(purpose))
            any_purpose |= met
            all_purposes &= met
        found &= (all_purposes & self._denying) | (any_purpose & ~self._denying)
        found &= self._categories.meeting(() if facts.category is None else ancestors(facts.category))
        found &= self._sources.meeting(facts.source or "")
        found &= self._evidence.meeting((facts.evidence,))
        found &= self._from.meeting((facts.from_jurisdiction,)) & self._to.meeting((facts.to_jurisdiction,))
        while found:
            lowest = found & -found
            found ^= lowest
            yield self.rules[lowest.bit_length() - 1]
