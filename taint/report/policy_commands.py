"""Commands about policies: `explain` a verdict, `replay` recorded flows, `policy` to check a file."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from taint.errors import ConfigurationError
from taint.evidence import Evidence
from taint.labels import Label
from taint.policy import Address, Outcome, Policy, current_policy, find_policy, load_policy, set_policy
from taint.policy.explanation import explain
from taint.policy.replay import Change, Replay, replay
from taint.purposes import known_category, known_purpose
from taint.report.guarding import BAD_INPUT, guarded
from taint.report.reading import lines_of
from taint.wording import counted

__all__ = ["add_parser"]

NO_CHANGE, CHANGES = 0, 1
"""Exit statuses: nothing to see, something to see."""

_DEFAULT = "the policy; by default taint.toml, or [tool.taint] of pyproject.toml, in the working directory"

Subparsers = Any  # argparse keeps the type of what `add_subparsers` gives to itself.


def add_parser(subparsers: Subparsers) -> None:
    """Add the commands to a command line."""
    _add_explain(subparsers)
    _add_replay(subparsers)
    checking = subparsers.add_parser(
        "policy",
        help="check a policy file and say what is in it",
        description="Check a policy file and say what is in it.",
        epilog="Ends with 0 where it is right, 1 where a suppression has expired, 2 where it is wrong.",
    )
    checking.add_argument("file", nargs="?", help=_DEFAULT)
    checking.add_argument("--environment", metavar="NAME", help="which of its environments holds")
    checking.add_argument("--keys", action="store_true", help="print every purpose and category that may be named, too")
    checking.set_defaults(run=lambda options: guarded(_check, options))


def _add_explain(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "explain",
        help="say whether a use would be allowed, why, and what would allow it",
        description="Say whether data may be used for a purpose, why, and what would allow it.",
        epilog="Ends with 0 where the use is allowed, 1 where it is not, 2 where that cannot be said.",
    )
    parser.add_argument(
        "--from",
        dest="collected_for",
        action="append",
        required=True,
        metavar="PURPOSE",
        help="what the data was collected for, such as security.mfa; several times for several purposes",
    )
    parser.add_argument(
        "--to",
        dest="used_for",
        required=True,
        metavar="PURPOSE",
        help="what it is to be used for, such as advertising.audiences",
    )
    parser.add_argument("--category", metavar="CATEGORY", help="what data it is, such as user.contact.phone_number")
    parser.add_argument("--source", metavar="NAME", help="where it is collected")
    parser.add_argument("--sink", metavar="NAME", default="any", help="where it is used")
    parser.add_argument(
        "--evidence",
        choices=[one.value for one in Evidence],
        default="label",
        help="how the flow is known; %(default)s by default",
    )
    parser.add_argument("--subject", metavar="KEY", help="whose data it is")
    _add_policy(parser)
    parser.set_defaults(run=lambda options: guarded(_explain, options))


def _add_replay(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "replay",
        help="say which recorded verdicts another policy would change",
        description="Decide the flows of an audit file again under another policy, and say which verdicts change.",
        epilog="Ends with 0 where no verdict would change, 1 where some would, 2 where a line could not be read.",
    )
    parser.add_argument("audit", help="the audit file, JSON lines; rotated ones beside it are read first")
    _add_policy(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=lambda options: guarded(_replay, options))


def _add_policy(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--policy", metavar="FILE", help=_DEFAULT)
    parser.add_argument("--environment", metavar="NAME", help="which of its environments holds")


def _policy(file: str | None, environment: str | None) -> Policy:
    found = file or (None if environment is None else find_policy())
    if found is not None:
        return load_policy(found, environment=environment)
    if environment is not None:
        msg = (
            f"an environment without a policy: {environment!r}. Environments are those of a policy, and there is no "
            "taint.toml or [tool.taint] in pyproject.toml here. Name the policy's file too."
        )
        raise ConfigurationError(msg)
    return current_policy()


def _explain(options: argparse.Namespace) -> int:
    policy = _policy(options.policy, options.environment)
    taxonomy = policy.taxonomy
    label = Label(
        frozenset(known_purpose(key, taxonomy) for key in options.collected_for),
        None if options.category is None else known_category(options.category, taxonomy),
        options.source,
        options.subject,
    )
    purpose = known_purpose(options.used_for, taxonomy)
    decider = set_policy(policy)  # In force, since whose mode holds is the process's matter.
    decision, lines = explain(decider, label, purpose, options.sink, Evidence(options.evidence))
    sys.stdout.write("\n".join(lines) + "\n")
    return NO_CHANGE if decision.outcome is Outcome.ALLOWED else CHANGES


def _replay(options: argparse.Namespace) -> int:
    policy = _policy(options.policy, options.environment)
    found = replay(lines_of(options.audit), policy)
    if options.json:
        sys.stdout.write(json.dumps(_as_json(found)) + "\n")
    else:
        sys.stdout.write("\n".join(_as_text(found)) + "\n")
    if found.unreadable:
        return BAD_INPUT
    return CHANGES if found.changed else NO_CHANGE


def _as_text(found: Replay) -> list[str]:
    lines = [f"{counted(found.flows, 'flow')}, {found.changed} would change"]
    ways: Counter[tuple[str, str]] = Counter()
    for change, count in found.changes.items():
        ways[change.before, change.after] += count
    lines += [f"  {before} -> {after}: {count}" for (before, after), count in sorted(ways.items())]
    if found.changes:
        lines += ["", "changes"]
        ordered = sorted(found.changes.items(), key=lambda item: (-item[1], item[0]))
        lines += [f"  {count:>9}  {_said(change)}" for change, count in ordered]
    lines += ["", "decided by"]
    lines += [f"  {count:>9}  {rule} ({outcome})" for (rule, outcome), count in sorted(found.by_rule.items())]
    if found.others:
        what = "record of another kind was" if found.others == 1 else "records of other kinds were"
        lines.append(f"{found.others} {what} passed over")
    if found.torn:
        what = "line is cut off and was" if len(found.torn) == 1 else "lines are cut off and were"
        lines.append(f"{len(found.torn)} {what} passed over: {_first(found.torn)}")
    if found.unreadable:
        what = "line is no record and was" if len(found.unreadable) == 1 else "lines are no records and were"
        lines.append(f"{len(found.unreadable)} {what} passed over: {_first(found.unreadable)}")
    return lines


def _first(numbers: Sequence[int]) -> str:
    """List the first numbers of lines."""
    return ", ".join(map(str, numbers[:10])) + (", ..." if len(numbers) > 10 else "")  # noqa: PLR2004  # As many as fit.


def _said(change: Change) -> str:
    return (
        f"{change.before} -> {change.after} at {change.sink} for {change.purpose}, "
        f"by {change.rule} (was: {change.rule_before})"
    )


def _as_json(found: Replay) -> dict[str, Any]:
    return {
        "flows": found.flows,
        "changed": found.changed,
        "changes": [
            {
                "before": change.before,
                "after": change.after,
                "rule": change.rule,
                "rule_before": change.rule_before,
                "sink": change.sink,
                "purpose": change.purpose,
                "count": count,
            }
            for change, count in sorted(found.changes.items())
        ],
        "by_rule": [
            {"rule": rule, "outcome": outcome, "count": count}
            for (rule, outcome), count in sorted(found.by_rule.items())
        ],
        "others": found.others,
        "unreadable": found.unreadable,
        "torn": found.torn,
    }


def _check(options: argparse.Namespace) -> int:
    policy = _policy(options.file, options.environment)
    for warning in policy.warnings:
        sys.stdout.write(f"{warning}\n")
    sys.stdout.write(
        f"{policy.origin}: {counted(len(policy.rules), 'rule')}, {counted(len(policy.suppressions), 'suppression')}, "
        f"{counted(len(policy.taxonomy.purposes), 'purpose')} ({policy.taxonomy.name}), "
        f"mode {policy.mode.value if policy.mode else 'of the process'}\n"
    )
    for address in sorted(policy.addresses):
        sys.stdout.write(f"  {_where(address, policy)}\n")
    if options.keys:
        purposes = {key: purpose.definition for key, purpose in policy.taxonomy.purposes.items()}
        for title, keys in (("purposes", purposes), ("categories", policy.taxonomy.categories)):
            lines = (f"  {key}: {definition}\n" for key, definition in sorted(keys.items()))
            sys.stdout.write(f"\n{title}\n{''.join(lines)}")
    return CHANGES if policy.warnings else NO_CHANGE


def _where(address: Address, policy: Policy) -> str:
    settings = policy.sinks.get(address.sink)
    mode = "" if settings is None or settings.mode is None else f", mode {settings.mode.value}"
    return f"{address.kind} {address.pattern!r}: sink {address.sink!r} for {address.purpose!r}{mode}"
