"""Mode `redact`: the sink gets the same types and structure, without what it may not have."""

from __future__ import annotations

import collections
import copy
import dataclasses
import datetime as dt
import decimal
import hashlib
import ipaddress
import pathlib
import types
import uuid
from typing import Any, NamedTuple

import pytest

import taint
from taint.testing import record

PHONE = "+14155550100"


def _mfa(value: Any) -> Any:
    return taint.label(value, purpose="security.mfa")


def _ads(value: Any) -> Any:
    return taint.label(value, purpose="advertising")


def _received(value: Any, **settings: Any) -> Any:
    """Hand a value to a sink in mode redact, and give what its body received."""
    taint.configure(policy={"sinks": {"ads.*": {"mode": "redact"}}, **settings})

    @taint.sink(purpose="advertising.audiences", name="ads.upload")
    def upload(rows: Any) -> Any:
        return rows

    return upload(value)


class Pair(NamedTuple):
    """A named tuple."""

    name: str
    phone: str


@dataclasses.dataclass(frozen=True)
class Row:
    """A frozen row."""

    phone: str
    age: int = 7


TABLE: list[tuple[Any, Any]] = [
    (_mfa(PHONE), "[redacted]"),
    (_ads(PHONE), PHONE),
    ("tel:" + _mfa(PHONE) + ";ext=1", "tel:[redacted];ext=1"),
    (_ads("Ann ") + _mfa(PHONE), "Ann [redacted]"),
    (_mfa("a") + taint.label("b", purpose="legal"), "[redacted]"),
    (_mfa(b"\x01\x02"), b"[redacted]"),
    (b"a" + _mfa(b"\x01\x02") + b"b", b"a[redacted]b"),
    ([{"phone": _mfa(PHONE), "name": "Ann", "age": 7}], [{"phone": "[redacted]", "name": "Ann", "age": 7}]),
    ((_mfa("a"), [_mfa("b")]), ("[redacted]", ["[redacted]"])),
    ({_mfa("a1"): 1, _mfa("b1"): 2, "c": 3}, {"[redacted]": 1, "[redacted] 2": 2, "c": 3}),
    ({_mfa("a1"), "c"}, {"[redacted]", "c"}),
    (collections.deque([_mfa("a")], maxlen=3), collections.deque(["[redacted]"], maxlen=3)),
    (Pair("Ann", _mfa(PHONE)), Pair("Ann", "[redacted]")),
    (Row(_mfa(PHONE)), Row("[redacted]")),
    (collections.OrderedDict(a=_mfa("x")), collections.OrderedDict(a="[redacted]")),
    (_mfa(uuid.UUID(int=7)), uuid.UUID(int=0)),
    (_mfa(decimal.Decimal("1.5")), decimal.Decimal(0)),
    (_mfa(dt.date(2001, 2, 3)), dt.date(1, 1, 1)),
    (_mfa(dt.datetime(2001, 2, 3, tzinfo=dt.UTC)), dt.datetime(1, 1, 1, tzinfo=dt.UTC)),
    (_mfa(ipaddress.ip_address("192.0.2.7")), ipaddress.ip_address("0.0.0.0")),  # noqa: S104  # No socket is bound.
    (_mfa(pathlib.PurePosixPath("/home/ann")), pathlib.PurePosixPath("[redacted]")),
    (_mfa(415), 0),
    ({"at": _mfa(uuid.UUID(int=7))}, {"at": uuid.UUID(int=0)}),
]


@pytest.mark.parametrize(("value", "expected"), TABLE)
def test_same_type_and_structure(value: Any, expected: Any) -> None:
    """The body gets the value with its forbidden ranges replaced, of the same type; the caller's stays what it was."""
    before = copy.deepcopy(value)
    with record() as seen:
        received = _received(value)
    assert received == expected
    assert isinstance(received, type(expected))
    assert value == before
    assert taint.check(received, purpose="advertising.audiences", sink="ads.upload").is_allowed
    assert bool(seen.violations) is (received is not value)
    assert all(flow.mode == "redact" for flow in seen.violations)


RULE = {"name": "no-ads", "effect": "deny", "to": ["advertising"], "from": ["security"]}
REDACTING: list[tuple[str, dict[str, Any], str | None, str | None]] = [
    ("process", {}, None, "redact"),
    ("policy", {"mode": "redact"}, None, None),
    ("rule", {"mode": "report", "rules": [{**RULE, "mode": "redact"}]}, "block", None),
    ("sink in the policy", {"mode": "report", "sinks": {"ads.*": {"mode": "redact"}}}, None, None),
    ("sink in the code", {"sinks": {"ads.*": {"mode": "report"}}}, "redact", None),
    ("environment", {"mode": "report", "environments": {"here": {"mode": "redact"}}}, None, None),
    (
        "rule in an environment",
        {"rules": [{**RULE, "mode": "report"}], "environments": {"here": {"rules": {"no-ads": "redact"}}}},
        "block",
        None,
    ),
    (
        "sink in an environment",
        {"sinks": {"ads.*": {"mode": "report"}}, "environments": {"here": {"sinks": {"ads.*": "redact"}}}},
        None,
        None,
    ),
    ("new sink in an environment", {"environments": {"here": {"sinks": {"ads.upload": "redact"}}}}, None, None),
]


@pytest.mark.parametrize(
    ("policy", "in_code", "process"), [row[1:] for row in REDACTING], ids=[row[0] for row in REDACTING]
)
def test_whoever_says_redact(policy: dict[str, Any], in_code: str | None, process: str | None) -> None:
    """Said by process, policy, rule, sink or environment, a decorated sink gets containers of the same types."""
    taint.configure(policy=policy, environment="here", mode=process)

    @taint.sink(purpose="advertising.audiences", name="ads.upload", mode=in_code)
    def upload(rows: Any, *more: Any, **named: Any) -> Any:
        return rows, more, named

    rows = [{"pair": Pair("Ann", "tel:" + _mfa(PHONE) + ";ext=1"), "row": Row(_mfa(PHONE)), "twin": (_ads(PHONE),)}]
    with record() as seen:
        received = upload(rows, {_mfa("a1"), "c"}, at={"when": _mfa(dt.date(2001, 2, 3)), "n": 7})
    assert received == (
        [{"pair": Pair("Ann", "tel:[redacted];ext=1"), "row": Row("[redacted]"), "twin": (PHONE,)}],
        ({"[redacted]", "c"},),
        {"at": {"when": dt.date(1, 1, 1), "n": 7}},
    )
    ((row,), _, _) = received
    assert [type(value) for value in row.values()] == [Pair, Row, tuple]
    assert {flow.mode for flow in seen.violations} == {"redact"}
    assert taint.labels_of(row["twin"]).purposes == {"advertising"}
    assert rows[0]["row"] == Row(PHONE)


def test_what_is_allowed_is_the_same_object() -> None:
    """Where nothing is replaced, nothing is copied; where something is, the rest is shared."""
    clean, dirty = {"name": _ads("Ann")}, {"phone": _mfa(PHONE)}
    rows = [clean, dirty]
    received = _received(rows)
    assert received[0] is clean
    assert received[1] is not dirty
    assert _received([clean]) == [clean]


def test_cycle_is_kept() -> None:
    """A value that contains itself is redacted once."""
    rows: list[Any] = [_mfa(PHONE)]
    rows.append(rows)
    received = _received(rows)
    assert received[0] == "[redacted]"
    assert received[1] is received


def test_generator_is_redacted_as_it_runs() -> None:
    """What a sink takes out of a generator is redacted item by item."""
    assert list(_received(one for one in [_mfa(PHONE), "plain", _ads("x")])) == ["[redacted]", "plain", "x"]


@pytest.mark.parametrize(
    "value",
    [lambda: _mfa(hashlib.sha256(b"x")), lambda: [types.MappingProxyType({"phone": _mfa(PHONE)})]],
    ids=["hash object", "read-only mapping"],
)
def test_what_cannot_be_redacted_is_stopped(value: Any) -> None:
    """A value that nothing can stand for does not go through: the sink is closed, as in mode block."""
    with pytest.raises(taint.PurposeViolationError):
        _received(value())


def test_suppressed_flow_is_not_redacted() -> None:
    """What a suppression bears reaches the sink as it is."""
    suppression = {"rule": "purpose-limitation", "reason": "r", "owner": "o", "expires": dt.date(2999, 1, 1)}
    assert _received(_mfa(PHONE), suppressions=[suppression]) == PHONE


def test_unlabelled_where_labels_are_asked_for_is_stopped() -> None:
    """Data without a label has no range to replace: where the policy blocks it, it is stopped."""
    with pytest.raises(taint.PurposeViolationError, match="carries no label"):
        _received("plain", unlabelled="block")


def test_comparison_in_redact_mode_is_reported() -> None:
    """In a zone there is nothing to replace: a comparison is told, and goes on."""
    taint.configure(policy={"sinks": {"ads.*": {"mode": "redact"}}})
    with record() as seen, taint.zone("advertising", name="ads.match"):
        assert _mfa(PHONE) == PHONE
    assert [flow.mode for flow in seen.violations] == ["redact"]
