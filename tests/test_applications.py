"""Transparency: other people's suites end as they do without the library, with everything in them labelled."""

from __future__ import annotations

import pytest

from tests.applications.running import Prepared, Ran, RegistryError, prepare
from tests.applications.suites import SUITES

pytestmark = [pytest.mark.slow, pytest.mark.online]


@pytest.fixture(scope="module", params=SUITES, ids=lambda suite: suite.title)
def prepared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """A suite in an environment of its own."""
    try:
        return prepare(request.param, tmp_path_factory.mktemp("application"))
    except RegistryError as error:
        pytest.skip(str(error))


def differing(native: Ran, ran: Ran) -> dict[str, tuple[list[str] | None, list[str] | None]]:
    """Give the tests that did not end alike, with how they did."""
    names = native.outcomes.keys() | ran.outcomes.keys()
    both = {name: (native.outcomes.get(name), ran.outcomes.get(name)) for name in names}
    return {name: ended for name, ended in both.items() if ended[0] != ended[1]}


@pytest.mark.parametrize("is_rewritten", [False, True], ids=["labelled", "rewritten"])
def test_every_test_ends_as_without(prepared: Prepared, is_rewritten: bool) -> None:
    """With each field and column labelled every test ends as before, and the labels reach sinks that report them."""
    native = prepared.native()
    ran = prepared.labelled(prepared.suite.packages if is_rewritten else ())
    assert not differing(native, ran), ran.output
    assert any("call passed" in parts for parts in native.outcomes.values())
    assert ran.found["internal errors"] == []
    assert ran.found["violations"] > 0
    assert {kind for kind in ("fields", "columns") if ran.found[kind]} >= prepared.suite.reached


def test_nothing_is_reported_where_the_use_is_allowed(prepared: Prepared) -> None:
    """The safe twin: used for what it was collected for, the same data in the same places is seen, and no violation."""
    ran = prepared.labelled(use="security.mfa")
    assert not differing(prepared.native(), ran), ran.output
    assert (ran.found["violations"], ran.found["internal errors"]) == (0, [])
    assert ran.found["allowed"] > 0
    assert {kind for kind in ("fields", "columns") if ran.found[kind]} >= prepared.suite.reached


def test_nothing_is_seen_where_nothing_is_labelled(prepared: Prepared) -> None:
    """With the library installed and no field or column labelled, tests end as before and no sink is reached."""
    ran = prepared.installed()
    assert not differing(prepared.native(), ran), ran.output
    assert ran.found == {"violations": 0, "allowed": 0, "fields": [], "columns": [], "internal errors": []}
