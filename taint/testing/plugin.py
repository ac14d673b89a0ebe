"""The pytest plugin: with `--taint`, a test that lets labelled data flow to another purpose fails.

Installed with the library; without `--taint` (or `taint = true` in the ini file) it offers the fixtures
and does nothing else.

    pytest --taint                                          # any violation fails its test, also a swallowed one
    pytest --taint --taint-baseline=leaks.json              # known leaks are listed, new ones fail
    pytest --taint --taint-cov --taint-cov-fail-under=80    # which sources and sinks the tests reach

    @pytest.mark.taint(allow=["shop.enrol -> crm.*"], mode="report")
    def test_export(taint_record): ...
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from taint.testing.recording import Record, record

if TYPE_CHECKING:
    from taint.testing.canaries import Canaries

__all__ = ["canaries", "pytest_addoption", "pytest_configure", "taint_record"]

MARKER = (
    "taint(allow=[...], mode=...): under --taint, violations that this test allows (a sink, or 'source -> sink', "
    "with * for any part of a name) and the mode it runs in"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the options; each has an ini option of the same name."""
    group = parser.getgroup("taint", "purposes of personal data")
    group.addoption("--taint", action="store_true", default=None, help="fail tests in which a violation happens")
    parser.addini("taint", "fail tests in which a violation happens", "bool", default=False)
    options = (
        ("mode", "MODE", "mode of the library in tests: block, report, off"),
        ("baseline", "FILE", "JSON file of known violations, which do not fail"),
        ("cov-fail-under", "PERCENT", "fail when fewer of the declared sources and sinks are reached"),
    )
    for name, metavar, text in options:
        group.addoption(f"--taint-{name}", metavar=metavar, default=None, help=text)
        parser.addini(f"taint_{name.replace('-', '_')}", text, default=None)
    lists = (
        ("allow", "PATTERN", "sink, or 'source -> sink', that may be violated; * stands for any part"),
        ("report", "KIND[:FILE]", "write a report: html, json, sarif or junit"),
    )
    for name, metavar, text in lists:
        group.addoption(f"--taint-{name}", action="append", metavar=metavar, default=None, help=text)
        parser.addini(f"taint_{name}", text, "linelist", default=[])
    group.addoption("--taint-cov", action="store_true", default=None, help="show which sources and sinks were reached")
    parser.addini("taint_cov", "show which sources and sinks were reached", "bool", default=False)
    group.addoption(
        "--taint-baseline-update", action="store_true", help="write the baseline anew from what this run finds"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and the session where it is switched on."""
    config.addinivalue_line("markers", MARKER)
    if config.getoption("--taint") or (config.getoption("--taint") is None and config.getini("taint")):
        # Every pytest run of the environment imports this module: what a run without --taint does not need is left out.
        from taint.testing.session import TaintSession  # noqa: PLC0415

        config.pluginmanager.register(TaintSession(config), "taint-session")


@pytest.fixture
def taint_record() -> Iterator[Record]:
    """Record every flow of the test: `.flows`, `.violations`, `.gaps`."""
    with record() as seen:
        yield seen


@pytest.fixture
def canaries() -> Iterator[Canaries]:
    """Give unique labelled values, and assert at the end that no unlabelled copy of one left the process."""
    from taint.testing.canaries import watched_canaries  # noqa: PLC0415  # As above.

    with watched_canaries() as made:
        yield made
