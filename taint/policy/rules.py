"""What a policy is made of: rules, conditions, suppressions and settings, as immutable values."""

from __future__ import annotations

import datetime as dt
import fnmatch
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from taint.modes import Mode
from taint.policy.collecting import FieldRule
from taint.purposes import Purpose, Taxonomy

__all__ = [
    "PURPOSE_LIMITATION",
    "UNKNOWN",
    "Address",
    "Conditions",
    "DeclassificationLimit",
    "Effect",
    "Environment",
    "Facts",
    "Policy",
    "Rollout",
    "Rule",
    "SinkSettings",
    "Suppression",
    "ZoneChange",
    "matches_pattern",
]

PURPOSE_LIMITATION = "purpose-limitation"
"""The rule that holds without any policy: data is used for what it was collected for (GDPR article 5(1)(b))."""
UNKNOWN = "unknown"
"""The jurisdiction of a source or sink that the policy gives none."""


class Effect(StrEnum):
    """What a rule says about the flows that it is about."""

    ALLOW = "allow"
    DENY = "deny"


class Facts(NamedTuple):
    """All that a rule may ask about one label at one sink, but for consent."""

    purposes: frozenset[str]
    category: str | None
    source: str | None
    purpose: str
    sink: str
    evidence: str
    from_jurisdiction: str = UNKNOWN
    to_jurisdiction: str = UNKNOWN


@lru_cache(maxsize=4096)
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(pattern))


def matches_pattern(name: str | None, patterns: Iterable[str]) -> bool:
    """Tell whether a name is one of some patterns with `*` and `?`; no name is only `*`."""
    return any(_pattern(pattern).match(name or "") is not None for pattern in patterns)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What must hold of a flow; an empty condition always does. See the JSON Schema for each."""

    collected_for: tuple[str, ...] = ()
    used_for: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    sinks: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    from_jurisdictions: tuple[str, ...] = ()
    to_jurisdictions: tuple[str, ...] = ()
    consent: bool = False

    def hold(self, facts: Facts, taxonomy: Taxonomy, *, of_all: bool) -> bool:
        """Tell whether all but consent holds.

        Args:
            facts: Of the flow.
            taxonomy: Says what stands below what.
            of_all: Whether every purpose of the label must be among those collected for, or one of them.
        """

        def below(key: str, keys: tuple[str, ...]) -> bool:
            return not set(keys).isdisjoint(taxonomy.ancestors(key))

        if self.collected_for:
            quantifier = all if of_all else any
            if not quantifier(below(purpose, self.collected_for) for purpose in facts.purposes):
                return False
        return (
            (not self.used_for or below(facts.purpose, self.used_for))
            and (not self.categories or (facts.category is not None and below(facts.category, self.categories)))
            and (not self.sources or matches_pattern(facts.source, self.sources))
            and (not self.sinks or matches_pattern(facts.sink, self.sinks))
            and (not self.evidence or facts.evidence in self.evidence)
            and (not self.from_jurisdictions or facts.from_jurisdiction in self.from_jurisdictions)
            and (not self.to_jurisdictions or facts.to_jurisdiction in self.to_jurisdictions)
        )


@dataclass(frozen=True, slots=True)
class Rollout:
    """How a rule comes into force: from a day on, and for a share of subjects or traces."""

    starts: dt.date | None = None
    share: float = 1.0
    by: str = "subject"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: what is allowed or denied, and where."""

    name: str
    effect: Effect
    conditions: Conditions = Conditions()
    unless: Conditions | None = None
    message: str = ""
    priority: int = 0
    mode: Mode | None = None


@dataclass(frozen=True, slots=True)
class Suppression:
    """A violation that is known and borne for a while: emitted, marked, never stopped.

    Args:
        rule: Name of the rule that decides, with `*` and `?`.
        reason: Why it is borne.
        owner: Who answers for it.
        expires: The last day.
        conditions: Which of the rule's violations.
    """

    rule: str
    reason: str
    owner: str
    expires: dt.date
    conditions: Conditions = Conditions()


@dataclass(frozen=True, slots=True)
class SinkSettings:
    """What holds at some sinks."""

    mode: Mode | None = None
    unlabelled: str | None = None
    jurisdiction: str | None = None


class Address(NamedTuple):
    """Where a sink without a decorated function is: whatever goes there is used for the sink's purpose.

    Args:
        kind: `http`, `file`, `bucket`, `mail`, `logger`, `command` or `topic`.
        pattern: Of addresses of this kind, with `*` and `?`.
        sink: The sink's name.
        purpose: What it uses data for.
    """

    kind: str
    pattern: str
    sink: str
    purpose: str


@dataclass(frozen=True, slots=True)
class Environment:
    """What is different in one environment."""

    mode: Mode | None = None
    unlabelled: str | None = None
    rules: Mapping[str, Mode] = field(default_factory=dict)
    sinks: Mapping[str, Mode] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ZoneChange:
    """A zone that may be entered from inside another, though it does not narrow it."""

    inside: str
    may_enter: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeclassificationLimit:
    """Who may approve what."""

    approvers: tuple[str, ...]
    conditions: Conditions = Conditions()
    needs_consent: bool = False
    max_days: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """A policy, read and checked. An empty one is purpose limitation alone."""

    taxonomy: Taxonomy
    origin: str = "no policy"
    mode: Mode | None = None
    unlabelled: str = "allow"
    consent_unavailable: str = "block"
    purposes: tuple[Purpose, ...] = ()
    collected: tuple[FieldRule, ...] = ()
    rules: tuple[Rule, ...] = ()
    suppressions: tuple[Suppression, ...] = ()
    rollout: Mapping[str, Rollout] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    sinks: Mapping[str, SinkSettings] = field(default_factory=dict)
    addresses: tuple[Address, ...] = ()
    zones: tuple[ZoneChange, ...] = ()
    declassification_forbidden: bool = False
    declassification_limits: tuple[DeclassificationLimit, ...] = ()
    envelope_hosts: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
