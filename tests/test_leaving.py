"""Addresses that a policy declares as sinks: which one holds, and what cannot be meant."""

from __future__ import annotations

from pathlib import Path

import pytest

import taint
from taint.flows.leaving import sink_at
from taint.policy import make_policy, set_policy
from taint.testing.coverage import FlowCoverage

WHERE: list[tuple[str, str, str, bool]] = [
    ("http", "https://api.ads.example/*", "https://api.ads.example/v1?x=1", True),
    ("http", "https://api.ads.example/*", "https://API.ads.example:443/v1", True),
    ("http", "https://api.ads.example/*", "https://user:pw@api.ads.example/v1", True),
    ("http", "https://api.ads.example/*", "https://api.ads.example./v1", True),
    ("http", "https://api.ads.example/*", "https://api.ads.example", True),
    ("http", "https://api.ads.example/*", "http://api.ads.example/v1", False),
    ("http", "https://api.ads.example/*", "https://api.ads.example:8443/v1", False),
    ("http", "https://api.ads.example/*", "https://evil.example/https://api.ads.example/v1", False),
    ("http", "https://api.ads.example/*", "https://api.ads.example.evil.example/v1", False),
    ("http", "https://api.ads.example/*", "https://api.ads.example@evil.example/v1", False),
    ("http", "https://*.ads.example/*", "https://evil.example/a.ads.example/", False),
    ("http", "https://*.ads.example/*", "https://eu.api.ads.example/", True),
    ("http", "api.ads.example", "http://api.ads.example/v1", True),
    ("http", "api.ads.example", "wss://api.ads.example/v1", True),
    ("http", "api.ads.example:8080/v1/*", "http://api.ads.example:8080/v1/a", True),
    ("http", "https://api.ads.example/v1/*", "https://api.ads.example/v1/a/b", True),
    ("http", "https://api.ads.example/v1/*", "https://api.ads.example/v2/a", False),
    ("http", "https://api.ads.example/ads/*", "https://api.ads.example/%61ds/a", True),
    ("http", "https://api.ads.example/ads/*", "https://api.ads.example//ads/a", True),
    ("http", "https://api.ads.example/ads/*", "https://api.ads.example/x/../ads/a", True),
    ("http", "https://api.ads.example/ads/*", "https://api.ads.example/x?/ads/a", False),
    ("http", "https://[::1]/*", "https://[::1]/v1", True),
    ("http", "https://bücher.example/*", "https://xn--bcher-kva.example/v1", True),
    ("http", "*", "http://any.example:8080/x", True),
    ("http", "*", "mailto:ann@any.example", False),
    ("file", "/srv/exports/*.csv", "/srv/exports/a.csv", True),
    ("file", "/srv/exports/*.csv", "/srv/exports/a.json", False),
    ("file", "exports/*", str(Path.cwd() / "exports" / "a.csv"), True),
    ("file", "/srv/../srv/exports/*", "/srv/exports/a.csv", True),
    ("file", "*/exports/[a].csv", "/srv/exports/[a].csv", True),
    ("file", "*/exports/[a].csv", "/srv/exports/a.csv", False),
    ("bucket", "ads-exports", "ads-exports/daily/a.csv", True),
    ("bucket", "ads-exports/daily/*", "ads-exports/weekly/a.csv", False),
    ("mail", "*@Ads.example", "ann@ads.example", True),
    ("mail", "*@ads.example", "ann@shop.example", False),
    ("logger", "ads.*", "ads.audiences", True),
    ("logger", "ads.*", "ads", False),
    ("command", "aws s3 cp *", "aws s3 cp a s3://b", True),
]


@pytest.mark.parametrize(("kind", "pattern", "address", "is_sink"), WHERE)
def test_where(kind: str, pattern: str, address: str, is_sink: bool) -> None:
    """A pattern is held against the address as what receives it reads it."""
    set_policy(make_policy({"sinks": {"one": {"purpose": "advertising", "at": {kind: [pattern]}}}}))
    found = sink_at(kind, address)
    assert (found is not None) is is_sink
    assert found is None or (found.sink, found.purpose) == ("one", "advertising")


def test_most_specific_holds() -> None:
    """Of the patterns that match, the one with the most characters holds, wherever it stands."""
    patterns = ["*", "https://api.ads.example/v1/mfa/*", "https://api.ads.example/*", "*.ads.example"]
    sinks = {f"s{at}": {"purpose": "advertising", "at": {"http": [one]}} for at, one in enumerate(patterns)}
    set_policy(make_policy({"sinks": sinks}))
    found = [
        sink_at("http", f"https://{address}")
        for address in ("api.ads.example/v1/mfa/x", "api.ads.example/v1", "eu.ads.example/", "shop.example/")
    ]
    assert [one.sink for one in found if one is not None] == ["s1", "s2", "s3", "s0"]


def test_kinds_are_apart() -> None:
    """A sink of one kind is none of another."""
    set_policy(make_policy({"sinks": {"one": {"purpose": "advertising", "at": {"logger": ["*"]}}}}))
    assert sink_at("logger", "ads") is not None
    assert sink_at("http", "https://ads.example") is None


def test_flow_coverage() -> None:
    """A sink that the policy declares counts as declared, and as reached once something goes there."""
    set_policy(make_policy({"sinks": {"cov.ads": {"purpose": "advertising", "at": {"http": ["ads.example"]}}}}))
    before = FlowCoverage().as_data()
    assert "cov.ads" in before["declared"]["sink"]
    assert "cov.ads" not in before["reached"]["sink"]
    sink_at("http", "https://ads.example/")
    assert "cov.ads" in FlowCoverage().as_data()["reached"]["sink"]


@pytest.mark.parametrize(
    ("sink", "said"),
    [
        ({"at": {"http": ["*"]}}, "needs a 'purpose'"),
        ({"purpose": "advertising"}, "without an address"),
        ({"purpose": "advertizing", "at": {"http": ["*"]}}, "Did you mean 'advertising"),
        ({"purpose": "advertising", "at": {"https": ["*"]}}, "Did you mean 'http'"),
        ({"purpose": "advertising", "at": {"http": []}}, "at least one is expected"),
        ({"purpose": "advertising", "at": {"http": ["ftp://ads.example"]}}, "has the scheme 'ftp'"),
        ({"purpose": "advertising", "at": {"http": ["ads example"]}}, "has a space"),
        ({"purpose": "advertising", "at": {"mail": ["ads.example"]}}, "no recipient's address"),
    ],
)
def test_mistakes(sink: dict[str, object], said: str) -> None:
    """What cannot be meant is an error that names the sink and says what was expected."""
    with pytest.raises(taint.ConfigurationError, match=r"sinks\.ads\.api") as refused:
        make_policy({"sinks": {"ads.api": sink}})
    assert said in str(refused.value)


def test_sink_at_an_address_has_a_name_of_its_own() -> None:
    """A finding names one sink, so that a name with a wildcard is an error where there is an address."""
    with pytest.raises(taint.ConfigurationError, match="a name of its own"):
        make_policy({"sinks": {"ads.*": {"purpose": "advertising", "at": {"http": ["*"]}}}})


def test_two_sinks_at_one_address() -> None:
    """One address is one sink; two are an error, since nobody could tell which holds."""
    sinks = {name: {"purpose": "advertising", "at": {"http": ["ads.example"]}} for name in ("one", "two")}
    with pytest.raises(taint.ConfigurationError, match="is the sink 'one' already"):
        make_policy({"sinks": sinks})
