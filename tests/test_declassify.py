"""Declassification: what it widens, for how long, who may, and what it leaves alone."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import decimal
import json
import logging
import pickle
from typing import Any

import pytest

import taint
from taint.flows.declassification import (
    Declassification,
    listen_to_declassifications,
    unlisten_to_declassifications,
)
from taint.policy import flow_from_record, flow_record

PHONE = "+14155550100"
SOON = dt.timedelta(days=1)


def _phone(**more: Any) -> str:
    return taint.label(PHONE, purpose="security.mfa", **more)


def _outcome(value: object, purpose: str = "advertising.audiences") -> tuple[str, str]:
    verdict = taint.check(value, purpose=purpose, sink="ads.upload")
    return verdict.outcome, verdict.flows[0].rule


def _declassified(value: Any, **more: Any) -> Any:
    given = {"to": "advertising.audiences", "reason": "opted in", "approved_by": "privacy-review-118"}
    return taint.declassify(value, **{**given, **more})


def test_widens_one_value_for_one_purpose() -> None:
    """The value that comes back may be used for the further purpose, the one given may not."""
    phone = _phone()
    widened = _declassified(phone)
    assert widened == PHONE
    assert _outcome(widened) == ("allowed", "declassification")
    assert _outcome(phone) == ("violation", "purpose-limitation")
    assert _outcome(widened, "advertising.targeting")[0] == "violation"
    assert _outcome(widened, "security.mfa") == ("allowed", "purpose-limitation")
    assert taint.labels_of(widened).purposes == {"security.mfa"}
    assert _outcome(widened + phone)[0] == "violation"
    assert _outcome(widened.upper().encode())[0] == "allowed"


@dataclasses.dataclass(frozen=True)
class Row:
    """A frozen row."""

    phone: str
    age: int = 7


class Person:
    """An ordinary object."""

    def __init__(self, phone: str) -> None:
        self.phone = phone


CONTAINERS: list[Any] = [
    lambda phone: [phone, {"a": (phone, 7)}],
    lambda phone: {"rows": [{"phone": phone}], phone: {phone}},
    lambda phone: Row(phone),
    lambda phone: frozenset({phone}),
    lambda phone: {"deep": [Row(phone), [[phone]]]},
]


@pytest.mark.parametrize("make", CONTAINERS)
def test_deep_and_without_touching(make: Any) -> None:
    """Everything inside a container is widened in a copy; the container given is what it was."""
    value = make(_phone())
    before = copy.deepcopy(value)
    widened = _declassified(value)
    assert type(widened) is type(value)
    assert widened == value == before
    assert _outcome(widened)[0] == "allowed"
    assert _outcome(value)[0] == "violation"


def test_objects_cycles_and_proxies() -> None:
    """An object is copied, a cycle is kept, and a value that is no text is widened too."""
    person = Person(_phone())
    assert _outcome(_declassified(person))[0] == "allowed"
    assert _outcome(person)[0] == "violation"
    circle: list[Any] = [_phone()]
    circle.append(circle)
    widened = _declassified(circle)
    assert widened[1] is widened
    price = taint.label(decimal.Decimal("1.5"), purpose="security.mfa")
    assert _outcome(_declassified(price))[0] == "allowed"
    plain = [{"a": 1}]
    assert _declassified(plain) is plain


def test_mixed_text_keeps_its_ranges() -> None:
    """Only what is labelled is widened, and at its place."""
    text = "tel:" + _phone() + ";ext=1"
    widened = _declassified(text)
    assert [(found.start, found.stop) for found in taint.ranges_of(widened)] == [(4, 4 + len(PHONE))]
    assert _outcome(widened)[0] == "allowed"


def test_expiry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A declassification holds until it expires, and not after."""
    moment = dt.datetime.now(dt.UTC)
    widened = _declassified(_phone(), expires=moment + SOON)
    assert _outcome(widened)[0] == "allowed"

    class Later(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Later:
            return cls.fromtimestamp((moment + 2 * SOON).timestamp(), tz)

    monkeypatch.setattr(dt, "datetime", Later)
    assert _outcome(widened)[0] == "violation"


def test_receipt_is_asked_for() -> None:
    """A declassification on a consent receipt holds while the store says so; without a store it holds."""
    widened = _declassified(_phone(subject=7), consent="receipt-77")
    assert _outcome(widened)[0] == "allowed"
    store = taint.InMemoryConsentStore()
    taint.configure(consent=store)
    assert _outcome(widened)[0] == "violation"
    store.give(7, "advertising")
    assert _outcome(widened)[0] == "allowed"
    store.withdraw_receipt("receipt-77")
    assert _outcome(widened)[0] == "violation"
    assert _outcome(_declassified(_phone(subject=7), consent="receipt-78"))[0] == "allowed"
    nobody = _declassified(_phone(), consent="receipt-79")
    assert _outcome(nobody) == ("gap", "declassification")


def test_it_travels() -> None:
    """A declassification stays with the value through pickling, and with its record through JSON."""
    widened = _declassified(_phone(), expires=dt.datetime(2999, 1, 1, tzinfo=dt.UTC))
    assert _outcome(pickle.loads(pickle.dumps(widened)))[0] == "allowed"  # noqa: S301  # Our own bytes.
    (flow,) = taint.check(widened, purpose="advertising.audiences", sink="ads").flows
    assert flow_from_record(json.loads(json.dumps(flow_record(flow)))) == flow


def test_deny_rule_holds_against_it() -> None:
    """What a policy denies whatever it was collected for stays denied."""
    deny = {"name": "no-ads", "effect": "deny", "to": ["advertising"]}
    taint.configure(policy={"rules": [deny]})
    assert _outcome(_declassified(_phone())) == ("violation", "no-ads")
    taint.configure(policy={"rules": [{**deny, "from": ["security"]}]})
    assert _outcome(_declassified(_phone())) == ("allowed", "declassification")


MISTAKES: list[tuple[dict[str, Any], type[taint.TaintError], str]] = [
    ({"reason": " "}, taint.DeclassificationError, "without 'reason'"),
    ({"approved_by": ""}, taint.DeclassificationError, "without 'approved_by'"),
    ({"approved_by": None}, taint.DeclassificationError, "without 'approved_by'"),
    ({"consent": ""}, taint.DeclassificationError, "not the identifier of a receipt"),
    ({"expires": dt.datetime(2999, 1, 1)}, taint.DeclassificationError, "time zone"),  # noqa: DTZ001  # The mistake.
    ({"expires": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)}, taint.DeclassificationError, "in the past"),
    ({"to": "advertisng"}, taint.ConfigurationError, "'advertising'"),
    ({"to": []}, taint.ConfigurationError, "without a purpose"),
]


@pytest.mark.parametrize(("given", "error", "message"), MISTAKES)
def test_mistakes(given: dict[str, Any], error: type[taint.TaintError], message: str) -> None:
    """A declassification that lacks something is refused, and says what, without the value."""
    with pytest.raises(error, match=message) as caught:
        _declassified(_phone(), **given)
    assert PHONE not in str(caught.value)


LIMIT = {"approvers": ["privacy-*"], "from": ["security"], "to": ["advertising"]}
LIMITS: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    ({"allow": [LIMIT]}, {}, True),
    ({"allow": [LIMIT]}, {"approved_by": "me"}, False),
    ({"allow": [LIMIT]}, {"to": "analytics"}, False),
    ({"allow": [LIMIT]}, {"to": ["advertising", "analytics"]}, False),
    ({"allow": [{**LIMIT, "needs_consent": True}]}, {}, False),
    ({"allow": [{**LIMIT, "needs_consent": True}]}, {"consent": "receipt-77"}, True),
    ({"allow": [{**LIMIT, "max_days": 30}]}, {}, False),
    ({"allow": [{**LIMIT, "max_days": 30}]}, {"expires": dt.datetime.now(dt.UTC) + SOON}, True),
    ({"allow": [{**LIMIT, "max_days": 30}]}, {"expires": dt.datetime.now(dt.UTC) + 60 * SOON}, False),
    ({"allow": [{**LIMIT, "categories": ["user.name"]}]}, {}, False),
    ({"allow": []}, {"approved_by": "me"}, True),
    ({"forbidden": True, "allow": [LIMIT]}, {}, False),
]


@pytest.mark.parametrize(("limits", "given", "is_allowed"), LIMITS)
def test_policy_says_who_may_approve_what(limits: dict[str, Any], given: dict[str, Any], is_allowed: bool) -> None:
    """A policy can forbid declassification, or say who may approve which, on what and for how long."""
    taint.configure(policy={"declassification": limits})
    if is_allowed:
        assert _declassified(_phone(), **given) == PHONE
    else:
        with pytest.raises(taint.DeclassificationError, match=r"the policy (forbids|does not let)"):
            _declassified(_phone(), **given)


def test_always_recorded(caplog: pytest.LogCaptureFixture) -> None:
    """Each declassification makes a record, without the value, also where there is nothing to widen."""
    records: list[Declassification] = []
    listener = records.append
    listen_to_declassifications(listener)
    try:
        with caplog.at_level(logging.INFO, logger="taint.declassification"):
            _declassified(_phone(source="shop.enrol"), consent="receipt-77")
            _declassified("plain")
    finally:
        unlisten_to_declassifications(listener)
    first, second = records
    assert (first.reason, first.approved_by, first.consent) == ("opted in", "privacy-review-118", "receipt-77")
    assert first.labels.sources == {"shop.enrol"}
    assert first.call_site is not None
    assert first.call_site.function.endswith("_declassified")
    assert second.labels == frozenset()
    assert "declassified security.mfa to advertising.audiences: opted in (approved by privacy-review-118" in caplog.text
    assert PHONE not in caplog.text + repr(records)


def test_off_does_nothing() -> None:
    """In mode off the value comes back as it is."""
    phone = _phone()
    taint.modes.set_mode(taint.Mode.OFF)
    assert _declassified(phone) is phone
