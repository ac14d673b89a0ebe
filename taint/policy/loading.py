"""Reading a policy: from `taint.toml`, from `[tool.taint]` in pyproject.toml, or from a mapping.

Every mistake is named with its file, line and key and with what was expected there; all of them at
once, not the first one only.
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from taint.errors import ConfigurationError
from taint.modes import Mode
from taint.policy.addresses import address_mistake
from taint.policy.collecting import FieldRule, field_rule
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
    matches_pattern,
)
from taint.policy.structure import Place, structural_errors
from taint.purposes import Purpose, Taxonomy, built_in, known_category, known_purpose

__all__ = ["MAX_BYTES", "has_policy", "load_policy", "make_policy"]

T = TypeVar("T")

MAX_BYTES = 1 << 20
"""The largest file that is read: a policy of 5,000 rules is about half of it."""
MAX_SAID = 20
"""How many mistakes are named at once."""

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


def load_policy(path: str | Path, *, environment: str | None = None) -> Policy:
    """Read a policy file.

    Args:
        path: A TOML file; of `pyproject.toml` its table `[tool.taint]`.
        environment: Which of the file's environments holds; none by default.

    Raises:
        ConfigurationError: It cannot be read, is too large, is not UTF-8 or not TOML, or says something that
            cannot be meant. The message names file, line, key and what was expected.
    """
    path = Path(path)
    text = _read(path)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r" \(at line (\d+), column (\d+)\)", str(error))
        line = found[1] if found else _whole(text.splitlines(keepends=True))[0] + 1
        what = str(error).replace(found[0], f" in column {found[2]}") if found else str(error)
        msg = f"{path}:{line}: not TOML: {what}. Correct the line."
        raise ConfigurationError(msg) from None
    top: Place = ()
    if path.name == "pyproject.toml":
        top = ("tool", "taint")
        table = table.get("tool", {}).get("taint", {})
    return make_policy(
        table, environment=environment, origin=str(path), line_of=lambda place: _line_of(text, (*top, *place))
    )


def has_policy(path: Path) -> bool:
    """Tell whether a file is a policy, or a pyproject.toml with one."""
    if path.name != "pyproject.toml":
        return path.is_file()
    try:
        return "taint" in tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {})
    except (OSError, ValueError):
        return False  # Whatever else reads this file says what is wrong with it.


def _read(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            msg = (
                f"{path}: the policy file has {size} bytes. At most {MAX_BYTES} are read. "
                "Name the file that holds the policy, or take out what is not one."
            )
            raise ConfigurationError(msg)
        data = path.read_bytes()
    except OSError as error:
        msg = f"{path}: the policy file cannot be read: {error.strerror or type(error).__name__}. Check the path."
        raise ConfigurationError(msg) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        msg = f"{path}:{line}: not UTF-8 at byte {error.start}. A policy file is text in UTF-8. Save it as UTF-8."
        raise ConfigurationError(msg) from None


def _whole(lines: list[str]) -> tuple[int, Any]:
    """Read the longest beginning of some lines in which no statement is cut off; how many lines, and what they say."""
    count = len(lines)
    while True:
        try:
            return count, tomllib.loads("".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            count -= 1


def _line_of(text: str, place: Place) -> int | None:
    """Find the line where a key stands.

    The parser gives no positions. But a beginning of a file is a file too: the statement that puts something
    at a place ends with the shortest beginning that has it, and begins after the longest one before that.
    """
    lines = text.splitlines(keepends=True)

    def holds(count: int) -> bool:
        found = _whole(lines[:count])[1]
        for step in place:
            try:
                found = found[step]
            except (KeyError, IndexError, TypeError):
                return False
        return True

    if not holds(len(lines)):
        return None
    low, high = 0, len(lines)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return _whole(lines[: low - 1])[0] + 1


class _Mistakes:
    """Mistakes of a file, gathered, and said together."""

    def __init__(self, origin: str, line_of: Callable[[Place], int | None]) -> None:
        self._origin, self._line_of = origin, line_of
        self.found: list[tuple[Place, str]] = []

    def attempt(self, place: Place, make: Callable[[], T], default: T) -> T:
        """Do something that may be refused; note why."""
        try:
            return make()
        except ConfigurationError as error:
            self.found.append((place, str(error)))
            return default

    def where(self, place: Place) -> str:
        """Write a place as `file:line: key`."""
        line: int | None = None
        for length in range(len(place), 0, -1):
            line = self._line_of(place[:length])
            if line is not None:
                break
        steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")
        return f"{self._origin}{'' if line is None else f':{line}'}: {steps or 'the file'}"

    def check(self) -> None:
        """Raise what was found."""
        if self.found:
            said = [f"{self.where(place)}: {what}" for place, what in self.found[:MAX_SAID]]
            if len(self.found) > MAX_SAID:
                said.append(f"and {len(self.found) - MAX_SAID} more.")
            raise ConfigurationError("\n".join(said))


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
    mistakes = _Mistakes(origin, line_of)
    mistakes.found += structural_errors(table)
    mistakes.check()
    taxonomy = _taxonomy(table, mistakes)
    mistakes.check()
    here = _environment(table, environment, mistakes)
    rules = tuple(_rule(row, ("rules", at), taxonomy, here, mistakes) for at, row in enumerate(table.get("rules", ())))
    names = {PURPOSE_LIMITATION, *(rule.name for rule in rules)}
    _check_names(table, rules, names, mistakes)
    _check_contradictions(rules, taxonomy, mistakes)
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


def _collected(table: Mapping[str, Any], taxonomy: Taxonomy, mistakes: _Mistakes) -> Iterator[FieldRule]:
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


def _addresses(table: Mapping[str, Any], taxonomy: Taxonomy, mistakes: _Mistakes) -> Iterator[Address]:
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


def _taxonomy(table: Mapping[str, Any], mistakes: _Mistakes) -> Taxonomy:
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


def _environment(table: Mapping[str, Any], name: str | None, mistakes: _Mistakes) -> Environment:
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
    row: Mapping[str, Any], key: str, place: Place, check: Callable[[str], str], mistakes: _Mistakes
) -> tuple[str, ...]:
    return tuple(mistakes.attempt((*place, key), partial(check, one), "") for one in row.get(key, ()))


def _conditions(row: Mapping[str, Any], place: Place, taxonomy: Taxonomy, mistakes: _Mistakes) -> Conditions:
    found: dict[str, Any] = {name: tuple(row.get(key, ())) for key, name in _CONDITIONS.items()}
    for key in ("from", "to"):
        found[_CONDITIONS[key]] = _keys(row, key, place, lambda one: known_purpose(one, taxonomy), mistakes)
    found["categories"] = _keys(row, "categories", place, lambda one: known_category(one, taxonomy), mistakes)
    return Conditions(**found, consent=bool(row.get("consent", False)))


def _rule(row: Mapping[str, Any], place: Place, taxonomy: Taxonomy, here: Environment, mistakes: _Mistakes) -> Rule:
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


def _zone_change(row: Mapping[str, Any], place: Place, taxonomy: Taxonomy, mistakes: _Mistakes) -> ZoneChange:
    inside = mistakes.attempt((*place, "inside"), lambda: known_purpose(row["inside"], taxonomy), "")
    return ZoneChange(inside, _keys(row, "may_enter", place, lambda one: known_purpose(one, taxonomy), mistakes))


def _check_names(table: Mapping[str, Any], rules: tuple[Rule, ...], names: set[str], mistakes: _Mistakes) -> None:
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


def _check_contradictions(rules: tuple[Rule, ...], taxonomy: Taxonomy, mistakes: _Mistakes) -> None:
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


def _expired(suppressions: tuple[Suppression, ...], mistakes: _Mistakes) -> Iterator[str]:
    today = dt.datetime.now(dt.UTC).date()
    for at, suppression in enumerate(suppressions):
        if suppression.expires < today:
            yield (
                f"{mistakes.where(('suppressions', at))}: the suppression of {suppression.rule!r} expired on "
                f"{suppression.expires}, and no longer holds. Its owner is {suppression.owner!r}: "
                "end the use, or have the suppression renewed."
            )
