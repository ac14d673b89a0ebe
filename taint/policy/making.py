"""Making a policy of a table, as TOML gives it."""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from taint.modes import Mode
from taint.policy.addresses import address_mistake
from taint.policy.collecting import FieldRule, field_rule
from taint.policy.consistency import check_contradictions, check_names
from taint.policy.mistakes import Mistakes
from taint.policy.rules import (
    PURPOSE_LIMITATION,
    Address,
    Conditions,
    DeclassificationLimit,
    Effect,
    Environment,
    Policy,
    Rollout,
    Rule,
    SinkSettings,
    Suppression,
    ZoneChange,
)
from taint.policy.structure import Place, structural_errors
from taint.purposes import Purpose, Taxonomy, built_in, known_category, known_purpose

__all__ = ["make_policy"]

_CONDITIONS = {
    "from": "collected_for",
    "to": "used_for",
    "categories": "categories",
    "sources": "sources",
    "sinks": "sinks",
    "evidence": "evidence",
    "from_jurisdictions": "from_jurisdictions",
    "to_jurisdictions": "to_jurisdictions",
}


def make_policy(
    table: Mapping[str, Any],
    *,
    environment: str | None = None,
    origin: str = "policy",
    line_of: Callable[[Place], int | None] = lambda _place: None,
) -> Policy:
    """Make a policy of a table as TOML gives it.

    Args:
        table: The contents of a policy file.
        environment: Which of its environments holds.
        origin: What messages call it.
        line_of: Gives the line of a place, for messages.

    Raises:
        ConfigurationError: As `load_policy`.
    """
    mistakes = Mistakes(origin, line_of)
    mistakes.found += structural_errors(table)
    mistakes.check()
    taxonomy = _taxonomy(table, mistakes)
    mistakes.check()
    here = _environment(table, environment, mistakes)
    rules = tuple(_rule(row, ("rules", at), taxonomy, here, mistakes) for at, row in enumerate(table.get("rules", ())))
    names = {PURPOSE_LIMITATION, *(rule.name for rule in rules)}
    check_names(table, rules, names, mistakes)
    check_contradictions(rules, taxonomy, mistakes)
    suppressions = tuple(
        Suppression(
            row["rule"],
            row["reason"],
            row["owner"],
            _date(row["expires"]),
            _conditions(row, ("suppressions", at), taxonomy, mistakes),
        )
        for at, row in enumerate(table.get("suppressions", ()))
    )
    zones = tuple(_zone_change(row, ("zones", at), taxonomy, mistakes) for at, row in enumerate(table.get("zones", ())))
    limits = table.get("declassification", {})
    policy = Policy(
        taxonomy=taxonomy,
        origin=origin,
        mode=here.mode or _mode(table.get("mode")),
        unlabelled=here.unlabelled or table.get("unlabelled", "allow"),
        consent_unavailable=table.get("consent_unavailable", "block"),
        collected=tuple(_collected(table, taxonomy, mistakes)),
        rules=rules,
        suppressions=suppressions,
        rollout={
            name: Rollout(
                _date(row["starts"]) if "starts" in row else None, row.get("share", 1.0), row.get("by", "subject")
            )
            for name, row in table.get("rollout", {}).items()
        },
        sources={name: row["jurisdiction"] for name, row in table.get("sources", {}).items() if "jurisdiction" in row},
        sinks=_sinks(table, here),
        addresses=tuple(_addresses(table, taxonomy, mistakes)),
        zones=zones,
        declassification_forbidden=limits.get("forbidden", False),
        declassification_limits=tuple(
            DeclassificationLimit(
                tuple(row["approvers"]),
                _conditions(row, ("declassification", "allow", at), taxonomy, mistakes),
                row.get("needs_consent", False),
                row.get("max_days"),
            )
            for at, row in enumerate(limits.get("allow", ()))
        ),
        envelope_hosts=tuple(table.get("envelopes", {}).get("hosts", ())),
        warnings=tuple(_expired(suppressions, mistakes)),
    )
    mistakes.check()
    return policy


def _collected(table: Mapping[str, Any], taxonomy: Taxonomy, mistakes: Mistakes) -> Iterator[FieldRule]:
    for route, fields in table.get("collected", {}).items():
        for name, row in fields.items():
            place = ("collected", route, name)
            named = [row["purpose"]] if isinstance(row["purpose"], str) else row["purpose"]
            purposes = _keys({"purpose": named}, "purpose", place, lambda one: known_purpose(one, taxonomy), mistakes)
            kinds = [row["category"]] if "category" in row else []
            categories = _keys(
                {"category": kinds}, "category", place, lambda one: known_category(one, taxonomy), mistakes
            )
            kind = categories[0] if categories else None
            rule = mistakes.attempt(place, partial(field_rule, route, name, purposes, kind), None)
            if rule is not None:
                yield rule


def _sinks(table: Mapping[str, Any], here: Environment) -> dict[str, SinkSettings]:
    sinks = {
        name: SinkSettings(_mode(row.get("mode")), row.get("unlabelled"), row.get("jurisdiction"))
        for name, row in table.get("sinks", {}).items()
    }
    for name, mode in here.sinks.items():
        sinks[name] = replace(sinks.get(name, SinkSettings()), mode=mode)
    return sinks


def _addresses(table: Mapping[str, Any], taxonomy: Taxonomy, mistakes: Mistakes) -> Iterator[Address]:
    taken: dict[tuple[str, str], str] = {}
    for name, row in table.get("sinks", {}).items():
        place: Place = ("sinks", name)
        if "at" in row and "purpose" not in row:
            mistakes.found.append((place, "a sink that has an address, 'at', needs a 'purpose': what data is used for"))
        if "purpose" not in row:
            continue
        if "at" not in row:
            mistakes.found.append(
                ((*place, "purpose"), "a 'purpose' without an address, 'at'. A decorated sink has its own in the code")
            )
            continue
        if not set(name).isdisjoint("*?["):
            mistakes.found.append(
                (place, "a sink that has an address needs a name of its own, which findings show. Leave out * and ?")
            )
        purpose = mistakes.attempt((*place, "purpose"), partial(known_purpose, row["purpose"], taxonomy), "")
        for kind, patterns in row["at"].items():
            for at, pattern in enumerate(patterns):
                wrong = address_mistake(kind, pattern)
                owner = taken.setdefault((kind, pattern), name)
                if owner != name:
                    wrong = f"{pattern!r} is the sink {owner!r} already. An address is one sink: leave one out"
                if wrong:
                    mistakes.found.append(((*place, "at", kind, at), wrong))
                yield Address(kind, pattern, name, purpose)


def _mode(name: str | None) -> Mode | None:
    return None if name is None else Mode(name)


def _date(value: str | dt.date) -> dt.date:
    return dt.date.fromisoformat(value) if isinstance(value, str) else value


def _taxonomy(table: Mapping[str, Any], mistakes: Mistakes) -> Taxonomy:
    base = built_in(table.get("taxonomy", "taint"))
    own: list[Purpose] = []
    for key, row in table.get("purposes", {}).items():
        mapped = [tuple(row.get(other, ())) for other in ("parents", "fideslang", "dpv", "tcf")]
        if key in base.purposes:
            mistakes.found.append(
                (("purposes", key), f"{key!r} is built in. Declare own purposes under keys of your own")
            )
        for other, keys in zip(("fideslang", "dpv"), mapped[1:3], strict=True):
            for one in keys:
                mistakes.attempt(("purposes", key, other), partial(known_purpose, one, built_in(other)), "")
        own.append(Purpose(key, row["definition"], *mapped))
    return mistakes.attempt(("purposes",), lambda: base.extended(own, table.get("categories", {})), base)


def _environment(table: Mapping[str, Any], name: str | None, mistakes: Mistakes) -> Environment:
    environments = table.get("environments", {})
    names = {row["name"] for row in table.get("rules", ())} | {PURPOSE_LIMITATION}
    for environment, row in environments.items():
        for rule in row.get("rules", {}):
            if rule not in names:
                mistakes.found.append((("environments", environment, "rules", rule), f"there is no rule {rule!r}"))
    if name is None or not environments:
        return Environment()  # A policy without environments holds in all of them.
    if name not in environments:
        near = difflib.get_close_matches(name, environments, n=1)
        mistakes.found.append(
            (
                ("environments",),
                f"there is no environment {name!r}. "
                f"Known are {', '.join(map(repr, environments))}. "
                + (f"Did you mean {near[0]!r}? If not, declare" if near else "Name one of these, or declare")
                + f" it: [environments.{name}], which may be empty",
            )
        )
        return Environment()
    row = environments[name]
    modes = {rule: Mode(mode) for rule, mode in row.get("rules", {}).items()}
    sinks = {sink: Mode(mode) for sink, mode in row.get("sinks", {}).items()}
    return Environment(_mode(row.get("mode")), row.get("unlabelled"), modes, sinks)


def _keys(
    row: Mapping[str, Any], key: str, place: Place, check: Callable[[str], str], mistakes: Mistakes
) -> tuple[str, ...]:
    return tuple(mistakes.attempt((*place, key), partial(check, one), "") for one in row.get(key, ()))


def _conditions(row: Mapping[str, Any], place: Place, taxonomy: Taxonomy, mistakes: Mistakes) -> Conditions:
    found: dict[str, Any] = {name: tuple(row.get(key, ())) for key, name in _CONDITIONS.items()}
    for key in ("from", "to"):
        found[_CONDITIONS[key]] = _keys(row, key, place, lambda one: known_purpose(one, taxonomy), mistakes)
    found["categories"] = _keys(row, "categories", place, lambda one: known_category(one, taxonomy), mistakes)
    return Conditions(**found, consent=bool(row.get("consent", False)))


def _rule(row: Mapping[str, Any], place: Place, taxonomy: Taxonomy, here: Environment, mistakes: Mistakes) -> Rule:
    unless = row.get("unless")
    return Rule(
        name=row["name"],
        effect=Effect(row["effect"]),
        conditions=_conditions(row, place, taxonomy, mistakes),
        unless=None if unless is None else _conditions(unless, (*place, "unless"), taxonomy, mistakes),
        message=row.get("message", ""),
        priority=row.get("priority", 0),
        mode=here.rules.get(row["name"]) or _mode(row.get("mode")),
    )


def _zone_change(row: Mapping[str, Any], place: Place, taxonomy: Taxonomy, mistakes: Mistakes) -> ZoneChange:
    inside = mistakes.attempt((*place, "inside"), lambda: known_purpose(row["inside"], taxonomy), "")
    return ZoneChange(inside, _keys(row, "may_enter", place, lambda one: known_purpose(one, taxonomy), mistakes))


def _expired(suppressions: tuple[Suppression, ...], mistakes: Mistakes) -> Iterator[str]:
    today = dt.datetime.now(dt.UTC).date()
    for at, suppression in enumerate(suppressions):
        if suppression.expires < today:
            yield (
                f"{mistakes.where(('suppressions', at))}: the suppression of {suppression.rule!r} expired on "
                f"{suppression.expires}, and no longer holds. Its owner is {suppression.owner!r}: "
                "end the use, or have the suppression renewed."
            )
