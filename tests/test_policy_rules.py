"""Rules: which of them decides, consent, suppressions, rollout, modes, and what it costs."""

from __future__ import annotations

import contextlib
import contextvars
import datetime as dt
import itertools
import subprocess
import sys
import threading
import time
import timeit
from typing import Any

import pytest
from opentelemetry import trace

import taint
from taint.evidence import Evidence
from taint.labels import Label, Labels
from taint.modes import Mode
from taint.policy import Decider, make_policy
from taint.testing import record

PHONE = "+14155550100"


def _policy(*rules: dict[str, Any], **settings: Any) -> dict[str, Any]:
    named = [{"name": f"r{at}", **rule} for at, rule in enumerate(rules)]
    return {"rules": named, **settings}


def _allow(**conditions: Any) -> dict[str, Any]:
    return {"effect": "allow", **conditions}


def _deny(**conditions: Any) -> dict[str, Any]:
    return {"effect": "deny", **conditions}


MFA: dict[str, Any] = {
    "purposes": ["security.mfa"],
    "category": "user.contact.phone_number",
    "source": "shop.eu.enrol",
    "sink": "ads.upload",
    "to": "advertising.audiences",
}
BOTH = {**MFA, "purposes": ["security.mfa", "advertising"]}
OWN = {**MFA, "purposes": ["advertising"]}
JURISDICTIONS: dict[str, Any] = {
    "sources": {"shop.eu.*": {"jurisdiction": "eu"}},
    "sinks": {"ads.*": {"jurisdiction": "us"}, "ads.eu.*": {"jurisdiction": "eu"}},
}

TABLE: list[tuple[str, dict[str, Any], dict[str, Any], str, str]] = [
    ("no policy, other purpose", _policy(), MFA, "violation", "purpose-limitation"),
    ("no policy, own purpose", _policy(), OWN, "allowed", "purpose-limitation"),
    ("allow", _policy(_allow()), MFA, "allowed", "r0"),
    ("allow from", _policy(_allow(**{"from": ["security"]})), MFA, "allowed", "r0"),
    ("allow from another", _policy(_allow(**{"from": ["legal"]})), MFA, "violation", "purpose-limitation"),
    ("allow to", _policy(_allow(to=["advertising"])), MFA, "allowed", "r0"),
    ("allow to what is below", _policy(_allow(to=["advertising.targeting"])), MFA, "violation", "purpose-limitation"),
    ("allow category", _policy(_allow(categories=["user.contact"])), MFA, "allowed", "r0"),
    ("allow another category", _policy(_allow(categories=["user.name"])), MFA, "violation", "purpose-limitation"),
    (
        "category unknown",
        _policy(_allow(categories=["user"])),
        {**MFA, "category": None},
        "violation",
        "purpose-limitation",
    ),
    ("allow source", _policy(_allow(sources=["shop.*"])), MFA, "allowed", "r0"),
    ("allow source in the middle", _policy(_allow(sources=["*.enrol"])), MFA, "allowed", "r0"),
    ("allow one letter", _policy(_allow(sources=["shop.e?.enrol"])), MFA, "allowed", "r0"),
    ("allow source by name", _policy(_allow(sources=["shop.eu.enrol"])), MFA, "allowed", "r0"),
    ("prefix is no name", _policy(_allow(sources=["sho.*"])), MFA, "violation", "purpose-limitation"),
    ("allow sink", _policy(_allow(sinks=["ads.*"])), MFA, "allowed", "r0"),
    ("allow another sink", _policy(_allow(sinks=["crm.*"])), MFA, "violation", "purpose-limitation"),
    ("allow evidence", _policy(_allow(evidence=["content"])), MFA, "violation", "purpose-limitation"),
    ("allow this evidence", _policy(_allow(evidence=["label"])), MFA, "allowed", "r0"),
    ("from jurisdiction", _policy(_deny(from_jurisdictions=["eu"]), **JURISDICTIONS), OWN, "violation", "r0"),
    ("to jurisdiction", _policy(_deny(to_jurisdictions=["us"]), **JURISDICTIONS), OWN, "violation", "r0"),
    (
        "longest sink name",
        _policy(_deny(to_jurisdictions=["us"]), **JURISDICTIONS),
        {**OWN, "sink": "ads.eu.upload"},
        "allowed",
        "purpose-limitation",
    ),
    ("unknown jurisdiction", _policy(_deny(to_jurisdictions=["unknown"])), OWN, "violation", "r0"),
    ("deny", _policy(_deny(to=["advertising"])), OWN, "violation", "r0"),
    ("deny from", _policy(_deny(**{"from": ["security"]})), MFA, "violation", "r0"),
    ("deny from, safe twin", _policy(_deny(**{"from": ["security"]})), BOTH, "allowed", "purpose-limitation"),
    ("deny category, no twin", _policy(_deny(categories=["user.contact"])), BOTH, "violation", "r0"),
    ("unless", _policy(_deny(unless={"sinks": ["ads.*"]})), OWN, "allowed", "purpose-limitation"),
    ("unless not", _policy(_deny(unless={"sinks": ["crm.*"]})), OWN, "violation", "r0"),
    ("allow unless", _policy(_allow(unless={"sources": ["shop.*"]})), MFA, "violation", "purpose-limitation"),
    ("deny unless one", _policy(_deny(unless={"from": ["advertising"]})), BOTH, "allowed", "purpose-limitation"),
    ("deny unless another", _policy(_deny(unless={"from": ["legal"]})), BOTH, "violation", "r0"),
    ("allow unless all", _policy(_allow(unless={"from": ["security"]})), MFA, "violation", "purpose-limitation"),
    ("allow unless all, one", _policy(_allow(unless={"from": ["advertising"]})), BOTH, "allowed", "r0"),
    ("deny before allow", _policy(_allow(to=["advertising"]), _deny(sinks=["ads.*"])), MFA, "violation", "r1"),
    ("priority", _policy(_deny(), _allow(priority=1)), MFA, "allowed", "r1"),
    ("lower priority", _policy(_deny(priority=2), _allow(priority=1)), MFA, "violation", "r0"),
    ("first of the file", _policy(_deny(sinks=["ads.*"]), _deny()), MFA, "violation", "r0"),
]


@pytest.mark.parametrize(
    ("policy", "flow", "outcome", "rule"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_which_rule_decides(policy: dict[str, Any], flow: dict[str, Any], outcome: str, rule: str) -> None:
    """The outcome and the deciding rule are those of the table, and are the same when asked again."""
    decider = Decider(make_policy(policy))
    labels = Labels((Label(frozenset(flow["purposes"]), flow["category"], flow["source"]),))
    for _ in range(2):
        ((_, decision),) = decider.decisions(labels, flow["to"], flow["sink"])
        assert (decision.outcome, decision.rule) == (outcome, rule)


def _at(policy: dict[str, Any], *, subject: object = "7", mode: str | None = None) -> taint.Flow:
    taint.configure(policy=policy)
    phone = taint.label(PHONE, purpose="security.mfa", subject=subject)

    @taint.sink(purpose="advertising.audiences", name="ads.upload", mode=mode)
    def upload(rows: list[str]) -> int:
        return len(rows)

    with record() as seen, contextlib.suppress(taint.PurposeViolationError):
        upload([phone])
    (flow,) = seen.flows
    return flow


def test_message_of_a_rule_tells_what_to_do() -> None:
    """A rule's message stands in the error, with the rule's name."""
    flow = _at(_policy(_deny(to=["advertising"], message="Ask #privacy first.")))
    assert "which rule 'r0' denies. Ask #privacy first." in flow.message
    assert PHONE not in flow.message


MODES: list[tuple[str, dict[str, Any], str | None, str]] = [
    ("default", _policy(), None, "block"),
    ("policy", _policy(mode="report"), None, "report"),
    ("sink of the policy", _policy(mode="report", sinks={"ads.*": {"mode": "block"}}), None, "block"),
    ("another sink", _policy(mode="report", sinks={"crm.*": {"mode": "block"}}), None, "report"),
    ("sink in the code", _policy(sinks={"ads.*": {"mode": "block"}}), "report", "report"),
    ("rule", _policy(_deny(mode="report")), "block", "report"),
]


@pytest.mark.parametrize(("policy", "mode", "expected"), [row[1:] for row in MODES], ids=[row[0] for row in MODES])
def test_whose_mode_holds(policy: dict[str, Any], mode: str | None, expected: str) -> None:
    """The rule's mode holds before the sink's, in the code before in the policy, and that before the process's."""
    assert _at(policy, mode=mode).mode == expected


def test_explicit_mode_holds_against_the_policy() -> None:
    """A mode that the code sets for the process stays when a policy says another one."""
    code = (
        "import taint; from taint.modes import current_mode; taint.configure(policy={'mode': 'report'});"
        "assert current_mode() == 'report'; taint.configure(mode='block');"
        "taint.configure(policy={'mode': 'report'}); assert current_mode() == 'block'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=taint.__path__[0] + "/..")


def test_suppression_is_told_and_stops_nothing(spans: Any) -> None:
    """A suppressed violation is recorded and emitted, marked, and the sink runs; beyond its conditions it stops."""
    suppression = {
        "rule": "purpose-limitation",
        "sinks": ["ads.upload"],
        "reason": "Ends in May.",
        "owner": "ads-team",
        "expires": dt.date(2999, 1, 1),
    }
    flow = _at({"suppressions": [suppression]})
    assert (flow.outcome, flow.mode, flow.stops) == ("violation", "block", False)
    assert flow.suppressed is not None
    assert flow.suppressed.owner == "ads-team"
    assert not spans.violations  # It is told as an event of its own: tests/test_telemetry.py.
    assert _at({"suppressions": [{**suppression, "sinks": ["crm.*"]}]}).stops


def test_rollout_share_is_by_subject() -> None:
    """About the share of the subjects are stopped, always the same ones; for the others it is reported."""
    policy = _policy(rollout={"purpose-limitation": {"share": 0.3}})
    stopped = [_at(policy, subject=who).stops for who in range(200)]
    assert 40 <= sum(stopped) <= 80
    assert [_at(policy, subject=who).stops for who in range(20)] == stopped[:20]
    assert all(_at(_policy(rollout={"purpose-limitation": {"share": 1}}), subject=who).stops for who in range(20))


def test_rollout_share_is_by_trace() -> None:
    """By trace, what happens in one trace is stopped or reported as one."""
    policy = _policy(rollout={"purpose-limitation": {"share": 0.5, "by": "trace"}})
    tracer = trace.get_tracer("tests")
    found: list[bool] = []
    for _ in range(40):
        with tracer.start_as_current_span("request"):
            outcomes = {_at(policy, subject=who).stops for who in range(3)}
        assert len(outcomes) == 1
        found += outcomes
    assert {True, False} == set(found)


def test_rollout_start() -> None:
    """Before its day a deny rule reports, and an allow rule does not hold; from then on they do."""
    later, before = {"starts": "2999-01-01"}, {"starts": "2020-01-01"}
    assert _at(_policy(_deny(), rollout={"r0": later})).mode is Mode.REPORT
    assert _at(_policy(_deny(), rollout={"r0": before})).mode is Mode.BLOCK
    assert _at(_policy(_allow(), rollout={"r0": later})).rule == "purpose-limitation"
    assert _at(_policy(_allow(), rollout={"r0": before})).rule == "r0"


UNLABELLED = [("allow", []), ("gap", ["gap", "gap"]), ("block", ["violation", "violation"])]


@pytest.mark.parametrize(("setting", "outcomes"), UNLABELLED)
def test_unlabelled_text_at_a_sink(setting: str, outcomes: list[str]) -> None:
    """A sink that asks for labels says where text without them is: a gap goes on, a violation stops."""
    taint.configure(policy={"sinks": {"ads.*": {"unlabelled": setting}}})
    calls = itertools.count()

    @taint.sink(purpose="advertising", name="ads.upload")
    def upload(rows: list[dict[str, object]]) -> None:
        next(calls)

    known = taint.label("Ann", purpose="advertising")
    with record() as seen, contextlib.suppress(taint.PurposeViolationError):
        upload([{"phone": PHONE, "name": known, "age": 7}, {"phone": PHONE, "mail": b"a@b.c", "age": 7}])
    found = [flow for flow in seen.flows if not flow.labels]
    assert [flow.outcome for flow in found] == outcomes
    for flow in found[:1]:
        assert "asks for labelled data, but argument rows[0].phone (and 1 more) carries no label" in flow.message
        assert PHONE not in flow.message
    assert [flow.path for flow in found] == ["rows[0].phone", "rows[1].mail"][: len(outcomes)]
    assert next(calls) == (0 if setting == "block" else 1)


class _Store:
    """A consent store whose answer is set."""

    def __init__(self, answer: bool | Exception | None) -> None:
        self.answer = answer

    def is_given(self, *, subject: str | None, purpose: str, receipt: str | None) -> bool | None:
        """Give the answer."""
        assert subject == "7"
        assert purpose == "advertising.audiences"
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


CONSENT: list[tuple[str, dict[str, Any], bool | Exception | None, str, bool]] = [
    ("allow, given", _policy(_allow(consent=True)), True, "allowed", False),
    ("allow, withdrawn", _policy(_allow(consent=True)), False, "violation", True),
    ("allow, unknown", _policy(_allow(consent=True)), None, "gap", True),
    ("allow, broken", _policy(_allow(consent=True)), OSError("down"), "gap", True),
    ("deny unless, given", _policy(_deny(unless={"consent": True}), _allow(priority=-1)), True, "allowed", False),
    ("deny unless, withdrawn", _policy(_deny(unless={"consent": True}), _allow(priority=-1)), False, "violation", True),
    ("deny unless, unknown", _policy(_deny(unless={"consent": True}), _allow(priority=-1)), None, "gap", True),
    ("makes no difference", _policy(_deny(unless={"consent": True})), None, "violation", True),
    ("allowed anyhow", _policy(_allow(consent=True, priority=1), _allow()), None, "allowed", False),
    ("gap is let through", _policy(_allow(consent=True), consent_unavailable="report"), None, "gap", False),
]


@pytest.mark.parametrize(
    ("policy", "answer", "outcome", "stops"), [row[1:] for row in CONSENT], ids=[row[0] for row in CONSENT]
)
def test_consent(policy: dict[str, Any], answer: bool | Exception | None, outcome: str, stops: bool) -> None:
    """A rule may ask for consent; no answer is a gap where it would matter, and stops in mode block."""
    taint.configure(consent=_Store(answer))
    flow = _at(policy)
    assert (flow.outcome, flow.stops) == (outcome, stops)


class _Slow:
    """A consent store that answers when it is let go, and counts who waits."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.asked = 0

    def is_given(self, *, subject: str | None, purpose: str, receipt: str | None) -> bool | None:
        """Agree, in time or not."""
        self.asked += 1
        self.go.wait(30)
        return True


def test_a_consent_store_that_hangs_is_a_gap() -> None:
    """A bounded store waits only so long and asks only so much at once: no answer is a gap, and one in time counts."""
    slow = _Slow()
    taint.configure(consent=taint.BoundedConsentStore(slow, seconds=0.05, at_once=2))
    policy = _policy(_allow(consent=True))
    begun = time.monotonic()
    assert [_at(policy).outcome for _ in range(5)] == ["gap"] * 5
    assert time.monotonic() - begun < 5
    assert slow.asked == 2
    slow.go.set()
    for thread in threading.enumerate():
        if thread.name == "taint-consent":
            thread.join(30)
    taint.configure(consent=taint.BoundedConsentStore(slow, seconds=30))
    assert _at(policy).outcome == "allowed"


def test_bounded_store_answers_as_its_store() -> None:
    """What the store says, refuses and raises comes through, with the context of the check."""
    seen: list[str] = []
    here = contextvars.ContextVar("here", default="elsewhere")

    class Store(_Store):
        def is_given(self, *, subject: str | None, purpose: str, receipt: str | None) -> bool | None:
            seen.append(here.get())
            return super().is_given(subject=subject, purpose=purpose, receipt=receipt)

    here.set("in the request")
    policy = _policy(_allow(consent=True))
    for answer, outcome in ((True, "allowed"), (False, "violation"), (None, "gap"), (OSError("down"), "gap")):
        taint.configure(consent=taint.BoundedConsentStore(Store(answer)))
        assert _at(policy).outcome == outcome
    assert set(seen) == {"in the request"}
    with pytest.raises(taint.ConfigurationError, match="not a consent store: 'int'"):
        taint.BoundedConsentStore(7)  # type: ignore[arg-type]  # The mistake that is tested.
    for wrong in ({"seconds": 0.0}, {"at_once": 0}):
        with pytest.raises(taint.ConfigurationError, match="never asks"):
            taint.BoundedConsentStore(_Store(True), **wrong)


def test_withdrawn_consent_counts_at_the_next_check() -> None:
    """The same value is allowed while consent is given and a violation once it is withdrawn."""
    store = taint.InMemoryConsentStore()
    policy = _policy(_allow(consent=True))
    taint.configure(consent=store)
    assert _at(policy).outcome == "violation"
    store.give(7, "advertising")
    assert _at(policy).outcome == "allowed"
    store.withdraw(7, "advertising.audiences")
    assert _at(policy).outcome == "violation"
    store.give(7, "advertising")
    assert _at(policy).outcome == "allowed"
    store.give(7, "advertising", expires=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    assert _at(policy).outcome == "violation"


def test_no_store_is_a_gap() -> None:
    """A rule that asks for consent where no store is set cannot be decided, and says why."""
    flow = _at(_policy(_allow(consent=True)))
    assert flow.outcome == "gap"
    assert "could not be decided by 'r0'" in flow.message
    assert "consent store did not answer" in flow.message


KEYS = ["security.mfa", "advertising", "analytics.usage", "service.orders", "marketing.email", "legal.tax"]


def _seconds_to_decide(rules: int) -> tuple[float, float]:
    """Time a decision that was made before, and a new one, under so many rules; each the best of ten batches."""
    table = [
        {"name": f"n{at}", "effect": "deny" if at % 2 else "allow", "from": [KEYS[at % 6]], "to": [KEYS[at * 7 % 6]]}
        | {"sources": [f"shop.f{at}.*"], "priority": at}
        for at in range(rules)
    ]
    decider = Decider(make_policy({"rules": table}))
    labels = Labels((Label(frozenset({"security.mfa"}), "user.contact.email", "shop.f7.x"),))
    decider.decisions(labels, "advertising", "ads.upload")
    clock = time.process_time  # Others may have the processor meanwhile.
    known = timeit.Timer(lambda: decider.decisions(labels, "advertising", "ads.upload"), timer=clock)
    again = min(known.repeat(number=1000, repeat=10))
    batches = []
    for batch in range(10):
        new = [Labels((Label(frozenset({"security.mfa"}), None, f"shop.f{at}.x{batch}"),)) for at in range(200)]
        begun = clock()
        for one in new:
            decider.decisions(one, "advertising", "ads.upload", Evidence.LABEL)
        batches.append(clock() - begun)
    return again / 1000, min(batches) / 200


def test_evaluation_is_cheap() -> None:
    """A hundred times the rules cost a new flow much less than a hundred times, and one seen before nothing more."""
    few_again, few_new = _seconds_to_decide(5)
    many_again, many_new = _seconds_to_decide(500)
    assert many_again < 3 * few_again
    assert many_again < many_new
    assert many_new < 4 * few_new
