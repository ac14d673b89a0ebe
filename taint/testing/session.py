"""One pytest run: what flowed in each test, which tests fail for it, and what is said at the end."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import pytest

from taint import telemetry
from taint.carriers import observation
from taint.errors import ConfigurationError
from taint.flows.outcome import listen, unlisten
from taint.modes import Mode, current_mode, set_mode
from taint.policy import Flow, Outcome
from taint.testing.assertions import is_expected
from taint.testing.coverage import FlowCoverage
from taint.testing.findings import Baseline, Finding, as_data, explain, finding_of, from_data, is_allowed_by
from taint.testing.reports import Report, parse_report

__all__ = ["TaintSession"]

_WORKER_KEY = "taint"


@dataclass(slots=True)
class _Running:
    """The test that runs: what it allows, what it was found to do and is yet to be failed for."""

    test: str
    allow: tuple[str, ...]
    mode: Mode
    mode_before: Mode
    pending: list[Finding] = field(default_factory=list)


class TaintSession:
    """The hooks of a run with `--taint`; in a worker of pytest-xdist, of that worker's share.

    Args:
        config: Of the run.

    Raises:
        pytest.UsageError: An option is not usable as written.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._root = config.rootpath
        self._is_worker = hasattr(config, "workerinput")
        self._findings: list[Finding] = []
        self._running: _Running | None = None
        self._coverage = FlowCoverage()
        self._allow = tuple(_option(config, "taint_allow") or ())
        self._updates_baseline = bool(config.getoption("--taint-baseline-update"))
        self._shows_coverage = bool(_option(config, "taint_cov"))
        try:
            mode = _option(config, "taint_mode")
            self._mode = None if mode is None else Mode.parse(mode, setting="--taint-mode")
            baseline = _option(config, "taint_baseline")
            self._baseline = None if baseline is None else Baseline(config.rootpath / baseline)
            self._reports = [parse_report(one, config.rootpath) for one in _option(config, "taint_report") or ()]
            self._fail_under = _percent(_option(config, "taint_cov_fail_under"))
        except ConfigurationError as error:
            raise pytest.UsageError(str(error)) from None
        if self._updates_baseline and self._baseline is None:
            raise pytest.UsageError("--taint-baseline-update has no file to write. Say which: --taint-baseline=FILE.")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Refuse a marker that cannot mean anything before any test runs.

        Raises:
            pytest.UsageError: It has arguments that do not exist, or a mode that is none.
        """
        for item in items:
            for mark in item.iter_markers("taint"):
                unknown = sorted(mark.kwargs.keys() - {"allow", "mode"})
                if mark.args or unknown or isinstance(mark.kwargs.get("allow", ()), str):
                    what = ", ".join(map(repr, unknown)) or "an argument without a name, or a text for a list"
                    raise pytest.UsageError(
                        f"{item.nodeid}: @pytest.mark.taint has {what}. It takes allow=[...] and mode=. Write it so."
                    )
                if "mode" in mark.kwargs:
                    try:
                        Mode.parse(mark.kwargs["mode"], setting=f"{item.nodeid}: mode of @pytest.mark.taint")
                    except ConfigurationError as error:
                        raise pytest.UsageError(str(error)) from None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Give every test a beginning of its own: its mode, no zone, nothing counted, and an ear on its flows."""
        marks = list(item.iter_markers("taint"))
        named = next((Mode(mark.kwargs["mode"]) for mark in marks if "mode" in mark.kwargs), self._mode)
        mode = named or current_mode()
        allow = self._allow + tuple(pattern for mark in marks for pattern in mark.kwargs.get("allow", ()))
        self._running = _Running(item.nodeid, allow, mode, set_mode(mode))
        token = observation.observer.set(None)
        telemetry.reset()
        listener = self._hear
        listen(listener)
        try:
            return (yield)
        finally:
            unlisten(listener)
            observation.observer.reset(token)
            set_mode(self._running.mode_before)
            self._running = None

    def _hear(self, flow: Flow) -> None:
        self._coverage.add(flow)
        running = self._running
        if running is None or flow.outcome is not Outcome.VIOLATION or flow.suppressed is not None:
            return
        if is_expected(flow) or is_allowed_by(flow, running.allow):
            return
        finding = finding_of(flow, running.test, self._root)
        self._findings.append(finding)
        if not self._is_known(finding):
            running.pending.append(finding)

    def _is_known(self, finding: Finding) -> bool:
        return self._updates_baseline or (self._baseline is not None and finding in self._baseline)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """Say with a setup that fails what was found in it."""
        return (yield from self._phase(item, "setup", fails=False))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Fail a test in which a violation happened, whoever swallowed the error."""
        return (yield from self._phase(item, "call", fails=True))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        """Fail a test for what happened since: in a task or thread that it left, or while it was taken down."""
        return (yield from self._phase(item, "teardown", fails=True))

    def _phase(self, item: pytest.Item, when: str, *, fails: bool) -> Generator[None, object, object]:
        __tracebackhide__ = True
        try:
            result = yield
        except pytest.skip.Exception:
            raise
        except BaseException:
            if found := self._take():
                item.add_report_section(when, "taint", explain(found, self._root))
            raise
        if fails and (found := self._take()):
            pytest.fail(explain(found, self._root), pytrace=False)
        return result

    def _take(self) -> list[Finding]:
        if self._running is None:
            return []
        found, self._running.pending = self._running.pending, []
        return found

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Hand what was found to the controller, or write reports and decide on coverage."""
        if self._is_worker:
            output: dict[str, Any] = session.config.workeroutput  # type: ignore[attr-defined]  # Set by pytest-xdist.
            output[_WORKER_KEY] = json.dumps({"findings": as_data(self._findings), **self._coverage.as_data()})
            return
        if self._updates_baseline and self._baseline is not None:
            self._baseline.write(self._findings)
        for report in self._reports:
            self._write(report)
        if self._fail_under is not None and self._coverage.percent < self._fail_under and not session.exitstatus:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take what a worker of pytest-xdist found."""
        data = getattr(node, "workeroutput", {}).get(_WORKER_KEY)
        if data is not None:
            read = json.loads(data)
            self._findings += from_data(read.pop("findings"))
            self._coverage.join(read)

    def _write(self, report: Report) -> None:
        known = {one.key for one in self._findings if self._is_known(one)}
        report.write(self._findings, known)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Sum up: new violations, known ones, known ones that are gone, coverage."""
        known = [one for one in self._findings if self._is_known(one)]
        new = [one for one in self._findings if not self._is_known(one)]
        line = terminalreporter.write_line
        terminalreporter.section("taint")
        tests = len({one.test for one in new})
        line(f"{_count(new, 'violation')} in {tests} test{'s' * (tests != 1)}, {len(known)} known")
        for one in new:
            line(f"  {one.test}: {one.title}")
        if self._baseline is not None:
            for title in sorted({one.title for one in known}):
                line(f"  known: {title}")
            for title in [] if self._updates_baseline else self._baseline.fixed(self._findings):
                line(f"  known, not seen in this run: {title}")
        for report in self._reports:
            line(f"report: {report.path}")
        if self._shows_coverage or self._fail_under is not None:
            for text in self._coverage.lines():
                line(text)
            if self._fail_under is not None and self._coverage.percent < self._fail_under:
                line(f"FAIL flow coverage {self._coverage.percent:.0f} % is under {self._fail_under:g} %", red=True)


def _count(findings: list[Finding], what: str) -> str:
    return f"{len(findings)} {what}{'s' * (len(findings) != 1)}"


def _option(config: pytest.Config, name: str) -> Any:
    """Give a command line option, else the ini option of the same name."""
    given = config.getoption(f"--{name.replace('_', '-')}")
    return config.getini(name) if given is None else given


def _percent(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        percent = float(text)
    except ValueError:
        percent = -1
    if not 0 <= percent <= 100:  # noqa: PLR2004  # A percentage.
        raise ConfigurationError(f"--taint-cov-fail-under is not a percentage: {text!r}. Give a number from 0 to 100.")
    return percent
