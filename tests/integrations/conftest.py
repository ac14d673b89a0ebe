"""Fixtures of the integrations' tests: nothing wrapped before and after, and real servers, one for the whole run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import taint
from tests.postgres import running_postgres

pytest.register_assert_rewrite("tests.integrations.outside")


@pytest.fixture(autouse=True)
def nothing_installed() -> Iterator[None]:
    """Take everything off before and after."""
    taint.uninstall()
    yield
    taint.uninstall()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL server; tests that ask for it are skipped where there is none."""
    with running_postgres() as address:
        yield address
