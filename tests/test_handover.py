"""A request begins with nothing of another one, and leaves nothing."""

import pytest

import taint
from taint.carriers import observation
from taint.evidence.current import of_tenant, using
from taint.evidence.known import KnownValues
from taint.flows.handover import clean_state
from taint.flows.zones import current_zone


def test_begins_in_no_zone_and_ends_in_the_one_around() -> None:
    """Inside a clean state there is no zone, and afterwards the one that was there."""
    with taint.zone("security.mfa"):
        around = current_zone()
        with clean_state():
            assert current_zone() is None
        assert current_zone() is around


@pytest.mark.parametrize("is_active", [False, True])
def test_a_zone_that_is_left_open_ends(*, is_active: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A zone that is left open inside has ended afterwards: the process's first one, and any later one."""
    monkeypatch.setattr(observation, "active", is_active)
    with clean_state():
        taint.zone("security.mfa", collects=True).__enter__()
    assert current_zone() is None
    assert observation.collecting.get() is None


def test_begins_with_no_tenant() -> None:
    """Known values of one tenant are not those of the next request."""
    known = KnownValues()
    with using(known):
        with clean_state():
            assert of_tenant.get() is None
        assert of_tenant.get() is known
