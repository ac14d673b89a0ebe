"""The pytest plugin: with `--taint`, a test that lets labelled data flow to another purpose fails.

Installed with the library; without `--taint` (or `taint = true` in the ini file) it offers the fixtures
and does nothing else. It stands outside of the package because every pytest run of the environment
imports it: the library is imported when it is asked for.

    pytest --taint                                          # any violation fails its test, also a swallowed one
    pytest --taint --taint-baseline=leaks.json              # known leaks are listed, new ones fail
    pytest --taint --taint-cov --taint-cov-fail-under=80    # which sources and sinks the tests reach

    @pytest.mark.taint(allow=["shop.enrol -> crm.*"], mode="report", policy="taint.toml")
    def test_export(taint_record): ...
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from taint.testing.canaries import Canaries
    from taint.testing.recording import Record

__all__ = ["canaries", "pytest_addoption", "pytest_configure", "taint_record"]

MARKER = (
    "taint(allow=[...], mode=..., policy=...): under --taint, violations that this test allows (a sink, or "
    "'source -> sink', with * for any part of a name), the mode it runs in, and the policy (a file or a table)"
)
OPTIONS = (
    ("mode", "MODE", "mode of the library in tests: block, report, redact or off"),
    ("policy", "FILE", "policy that holds in tests"),
    ("baseline", "FILE", "JSON file of known violations, which do not fail"),
    ("cov-fail-under", "PERCENT", "fail when fewer of the declared sources and sinks are reached"),
)
LISTS = (
    (
        "package",
        "NAME",
        "package of yours in which f-strings and joins keep labels, by taint.install(); may be repeated",
    ),
    ("allow", "PATTERN", "sink, or 'source -> sink', that may be violated; * stands for any part; may be repeated"),
    ("report", "KIND[:FILE]", "write a report: html, json, sarif or junit; may be repeated"),
)
SWITCHES = (
    ("cov", "show which sources and sinks were reached"),
    ("redact", "hide labelled values in tracebacks, assertions and captured output too"),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the options; each has an ini option of the same name."""
    group = parser.getgroup("taint", "purposes of personal data")
    group.addoption("--taint", action="store_true", default=None, help="fail tests in which a violation happens")
    parser.addini("taint", "fail tests in which a violation happens", "bool", default=False)
    for name, metavar, text in OPTIONS:
        group.addoption(f"--taint-{name}", metavar=metavar, default=None, help=text)
        parser.addini(f"taint_{name.replace('-', '_')}", text, default=None)
    for name, metavar, text in LISTS:
        group.addoption(f"--taint-{name}", action="append", metavar=metavar, default=None, help=text)
        parser.addini(f"taint_{name}", text, "linelist", default=[])
    for name, text in SWITCHES:
        group.addoption(f"--taint-{name}", action="store_true", default=None, help=text)
        parser.addini(f"taint_{name}", text, "bool", default=False)
    group.addoption(
        "--taint-baseline-update",
        action="store_true",
        default=None,
        help="write the baseline anew from what this run finds; what only tests that did not run had stays in it",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Install the library before the first conftest.py imports what is to be rewritten.

    Raises:
        pytest.UsageError: A name or the policy that is found is not usable as written.
    """
    options = early_config.known_args_namespace
    packages = options.taint_package or early_config.getini("taint_package")
    if not packages or not (options.taint or early_config.getini("taint")):
        return
    from taint import TaintError, install, uninstall  # noqa: PLC0415  # See above.

    try:
        install(packages=packages)
    except TaintError as error:
        raise pytest.UsageError(str(error)) from None
    early_config.add_cleanup(uninstall)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and the session where it is switched on.

    Raises:
        pytest.UsageError: An option is not usable as written, or says something without `--taint`.
    """
    config.addinivalue_line("markers", MARKER)
    if config.getoption("--taint") or config.getini("taint"):
        from taint.testing.session import TaintSession  # noqa: PLC0415  # See above.

        config.pluginmanager.register(TaintSession(config), "taint-session")
        return
    flags = [f"--taint-{name}" for name, *_ in (*OPTIONS, *LISTS, *SWITCHES)]
    given = [flag for flag in (*flags, "--taint-baseline-update") if config.getoption(flag) is not None]
    if given:
        raise pytest.UsageError(f"{given[0]} does nothing by itself. Add --taint, or taint = true to the ini file.")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a labelled parameter after its argument: names of tests are printed, stored and sent about."""
    return f"labelled_{argname}" if type(val).__module__.startswith("taint.carriers") else None


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Send reports as plain text: what pytest-xdist sends them with takes nothing else."""
    data = yield
    return _made_plain(data)


@pytest.hookimpl(tryfirst=True)
def pytest_warning_recorded(warning_message: warnings.WarningMessage) -> None:
    """Do the same with warnings."""
    if isinstance(warning_message.message, Warning):
        warning_message.message.args = _made_plain(warning_message.message.args)


def _made_plain(data: Any) -> Any:
    if "taint.carriers" not in sys.modules:
        return data
    from taint.testing.reporting import made_plain  # noqa: PLC0415  # See above.

    return made_plain(data)


@pytest.fixture
def taint_record() -> Iterator[Record]:
    """Record every flow of the test: `.flows`, `.violations`, `.gaps`."""
    from taint.testing.recording import record  # noqa: PLC0415  # See above.

    with record() as seen:
        yield seen


@pytest.fixture
def canaries() -> Iterator[Canaries]:
    """Give unique labelled values, and assert at the end that no unlabelled copy of one left the process."""
    from taint.testing.canaries import watched_canaries  # noqa: PLC0415  # See above.

    with watched_canaries() as made:
        yield made
