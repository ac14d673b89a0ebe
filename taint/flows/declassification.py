"""Declassification: the one way to widen what a value may be used for, with a reason and a record."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from taint.carriers import values
from taint.carriers.coverage import spans_of
from taint.carriers.operations import coverage_of
from taint.carriers.proxy import exact, labels_of_carrier
from taint.carriers.values import carriers_in, labels_of
from taint.errors import DeclassificationError
from taint.evidence import Evidence
from taint.flows.outcome import call_site
from taint.flows.rebuild import rebuilt, relabelled
from taint.guard import report_internal_error
from taint.labels import Grant, Label, Labels
from taint.modes import is_off
from taint.policy import CallSite, current_policy
from taint.policy.rules import DeclassificationLimit, Facts, matches_pattern
from taint.purposes import purpose_keys
from taint.telemetry import declassified

__all__ = ["Declassification", "declassify", "listen_to_declassifications", "unlisten_to_declassifications"]

T = TypeVar("T")

_logger = logging.getLogger("taint.declassification")


@dataclass(frozen=True, slots=True)
class Declassification:
    """The record of one declassification, without any value.

    Args:
        labels: The labels as they were.
        to: The purposes that were added.
        reason: Why.
        approved_by: Who answers for it.
        consent: The consent receipt that it rests on.
        expires: When it ends.
        at: When it was done.
        call_site: Where it was done.
    """

    labels: Labels
    to: frozenset[str]
    reason: str
    approved_by: str
    consent: str | None
    expires: datetime | None
    at: datetime
    call_site: CallSite | None


Listener = Callable[[Declassification], None]

_listeners: tuple[Listener, ...] = ()


def listen_to_declassifications(listener: Listener) -> None:
    """Have every declassification of the process told to a listener."""
    global _listeners  # noqa: PLW0603  # Replaced as a whole, so that a reader in another thread sees one or the other.
    _listeners = (*_listeners, listener)


def unlisten_to_declassifications(listener: Listener) -> None:
    """Stop telling a listener."""
    global _listeners  # noqa: PLW0603  # As above.
    _listeners = tuple(one for one in _listeners if one != listener)


def declassify(
    value: T,
    *,
    to: str | Iterable[str],
    reason: str,
    approved_by: str,
    consent: str | None = None,
    expires: datetime | None = None,
) -> T:
    """Widen what a value may be used for.

    Labels: each keeps its purposes, and is given the further ones until they expire; where a consent
    store is set and a receipt is named, only while the store says that the consent holds. The value and
    the containers around it stay as they are: what is widened is a copy. While known values are on they are told, so
    that a copy of what was widened, which arrives without its labels, is allowed too. An audit record is always
    made, also where there is nothing to widen.

    Args:
        value: A carrier, or a container; in it, everything labelled is widened.
        to: One purpose or several.
        reason: Why the wider use is right, in words.
        approved_by: Who answers for it: a person, a review.
        consent: An identifier of the consent receipt that it rests on.
        expires: When the wider use ends, with a time zone; never by default.

    Returns:
        The value, widened; the value itself in mode `off`.

    Raises:
        DeclassificationError: It lacks a reason or an approver, ends before it begins, or the policy forbids it.
        ConfigurationError: A purpose is unknown.
    """
    purposes = purpose_keys(to)
    _check_given(reason, approved_by, consent, expires)
    if is_off():
        return value
    labels = labels_of(value)
    for label in labels:
        _check_permitted(label, purposes, approved_by, consent, expires)
    grant = Grant(purposes, approved_by, consent, expires)
    widened: T = rebuilt(value, lambda carrier: relabelled(carrier, lambda found: _widened(found, grant)))
    _tell_known_values(widened)
    _tell(Declassification(labels, purposes, reason, approved_by, consent, expires, datetime.now(UTC), call_site()))
    return widened


def _widened(labels: Labels, grant: Grant) -> Labels:
    return Labels(replace(label, grants=label.grants | {grant}) for label in labels)


def _tell_known_values(widened: object) -> None:
    """Have what is widened known as such: where a copy arrives without labels, it is its safe twin."""
    collect = values.collector
    if collect is None:
        return
    for _, carrier in carriers_in(widened):
        plain = exact(carrier)
        if isinstance(plain, str | bytes):
            for start, stop, labels in spans_of(coverage_of(carrier), len(plain)):
                collect(plain[start:stop], labels)
        else:
            collect(plain, labels_of_carrier(carrier))


def _check_given(reason: object, approved_by: object, consent: object, expires: object) -> None:
    for name, given in (("reason", reason), ("approved_by", approved_by)):
        if not isinstance(given, str) or not given.strip():
            msg = (
                f"a declassification without {name!r}. Wider use needs a reason and somebody who answers for it. "
                f"Pass {name}='...'."
            )
            raise DeclassificationError(msg)
    if consent is not None and (not isinstance(consent, str) or not consent.strip()):
        msg = (
            "consent is not the identifier of a receipt. It is a text that is not empty. Pass the receipt's identifier."
        )
        raise DeclassificationError(msg)
    if expires is None:
        return
    if not isinstance(expires, datetime) or expires.tzinfo is None:
        msg = "expires is not a moment. It is a datetime with a time zone. Pass datetime(..., tzinfo=UTC)."
        raise DeclassificationError(msg)
    if expires <= datetime.now(UTC):
        msg = "expires is in the past. A declassification ends after it begins. Pass a later moment, or leave it out."
        raise DeclassificationError(msg)


def _check_permitted(
    label: Label, purposes: frozenset[str], approved_by: str, consent: str | None, expires: datetime | None
) -> None:
    policy = current_policy()
    if policy.declassification_forbidden:
        msg = (
            f"the policy forbids declassification ({policy.origin}: declassification.forbidden). Data is used for what "
            "it was collected for. Collect it for the further purpose, or have the policy changed."
        )
        raise DeclassificationError(msg)
    if not policy.declassification_limits:
        return
    for purpose in sorted(purposes):
        facts = Facts(label.purposes, label.category, label.source, purpose, "", Evidence.LABEL.value)
        if not any(_permits(limit, facts, approved_by, consent, expires) for limit in policy.declassification_limits):
            who = sorted(
                {
                    name
                    for limit in policy.declassification_limits
                    if limit.conditions.hold(facts, policy.taxonomy, of_all=True)
                    for name in limit.approvers
                }
            )
            allowed = f"May approve: {', '.join(map(repr, who))}" if who else "Nobody may approve it"
            msg = (
                f"the policy does not let {approved_by!r} declassify data collected for "
                f"{', '.join(map(repr, sorted(label.purposes)))} to {purpose!r}. {allowed}, under the conditions of "
                f"declassification.allow in {policy.origin}. Ask them, or have the policy changed."
            )
            raise DeclassificationError(msg)


def _permits(
    limit: DeclassificationLimit, facts: Facts, approved_by: str, consent: str | None, expires: datetime | None
) -> bool:
    return (
        matches_pattern(approved_by, limit.approvers)
        and limit.conditions.hold(facts, current_policy().taxonomy, of_all=True)
        and (consent is not None or not limit.needs_consent)
        and (
            limit.max_days is None
            or (expires is not None and expires <= datetime.now(UTC) + timedelta(days=limit.max_days))
        )
    )


def _tell(record: Declassification) -> None:
    _logger.info(
        "declassified %s to %s: %s (approved by %s%s%s)",
        " and ".join(sorted(record.labels.purposes)) or "nothing",
        " and ".join(sorted(record.to)),
        record.reason,
        record.approved_by,
        "" if record.consent is None else f", consent {record.consent}",
        "" if record.expires is None else f", until {record.expires.isoformat()}",
    )
    declassified(
        purposes=record.labels.purposes,
        sources=record.labels.sources,
        to=record.to,
        reason=record.reason,
        approved_by=record.approved_by,
    )
    for listener in _listeners:
        try:
            listener(record)
        except Exception as error:  # noqa: BLE001  # A listener's failure is not the caller's; the log has the record.
            report_internal_error("telling of a declassification", error)
