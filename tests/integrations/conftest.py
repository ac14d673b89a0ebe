"""Every test of an integration begins and ends with nothing wrapped."""

from collections.abc import Iterator

import pytest

import taint


@pytest.fixture(autouse=True)
def nothing_installed() -> Iterator[None]:
    """Take everything off before and after."""
    taint.uninstall()
    yield
    taint.uninstall()
