"""One pytest run: what flowed in each test, which tests fail for it, and what is said at the end."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from taint import telemetry
from taint.carriers import observation
from taint.errors import ConfigurationError
from taint.flows.outcome import listen, unlisten
from taint.modes import Mode, set_mode
from taint.policy import Flow, Outcome, Policy, load_policy, make_policy, use_policy
from taint.testing.assertions import is_expected
from taint.testing.coverage import FlowCoverage
from taint.testing.findings import Baseline, Finding, as_data, explain, finding_of, from_data, is_allowed_by
from taint.testing.isolation import Settings
from taint.testing.reporting import hide
from taint.testing.reports import Report, parse_report

__all__ = ["TaintSession"]

_WORKER_KEY = "taint"
COLLECTION = "(collection)"
"""What stands for a test where modules violate something while they are imported."""


@dataclass(slots=True)
class _Running:
    """The test that runs: what it allows and sets, what it was found to do, is to be failed for and was told of."""

    test: str
    allow: tuple[str, ...]
    mode: Mode | None
    policy: Policy | None
    base: Settings
    pending: list[Finding] = field(default_factory=list)
    told: dict[str, str] = field(default_factory=dict)


class TaintSession:
    """The hooks of a run with `--taint`; in a worker of pytest-xdist, of that worker's share.

    Args:
        config: Of the run.

    Raises:
        pytest.UsageError: An option is not usable as written, or the policy that is found is wrong.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._root = config.rootpath
        self._is_worker = hasattr(config, "workerinput")
        self._findings: list[Finding] = []
        self._places: set[tuple[str, tuple[str, ...], int]] = set()
        self._tests = {COLLECTION}
        self._stops_known = False
        self._running: _Running | None = None
        self._wide_fixtures = 0
        self._undo: dict[object, Settings] = {}
        self._policies: dict[Path, Policy] = {}
        self._environment = os.environ.get("TAINT_ENVIRONMENT") or None
        self._coverage = FlowCoverage()
        self._allow = tuple(_option(config, "taint_allow") or ())
        self._updates_baseline = bool(config.getoption("--taint-baseline-update"))
        self._shows_coverage = bool(_option(config, "taint_cov"))
        self._hides = bool(_option(config, "taint_redact"))
        try:
            Settings.now()
            mode = _option(config, "taint_mode")
            self._mode = None if mode is None else Mode.parse(mode, setting="--taint-mode")
            policy = _option(config, "taint_policy")
            self._policy = None if policy is None else self._read(policy)
            baseline = _option(config, "taint_baseline")
            self._baseline = None if baseline is None else Baseline(config.rootpath / baseline)
            self._reports = [parse_report(one, config.rootpath) for one in _option(config, "taint_report") or ()]
            self._fail_under = _percent(_option(config, "taint_cov_fail_under"))
        except ConfigurationError as error:
            raise pytest.UsageError(str(error)) from None
        if self._updates_baseline and self._baseline is None:
            raise pytest.UsageError("--taint-baseline-update has no file to write. Say which: --taint-baseline=FILE.")

    def _read(self, policy: Any) -> Policy:
        """Give a policy: itself, of a table, or of a file, which is read once."""
        if isinstance(policy, Policy):
            return policy
        if isinstance(policy, Mapping):
            return make_policy(policy, environment=self._environment)
        if not isinstance(policy, str | os.PathLike):
            raise ConfigurationError(
                f"a policy is neither a file nor a table: {type(policy).__name__!r}. "
                "Give the path of a TOML file, relative to the root of the run, or a table as such a file holds it."
            )
        path = self._root / policy
        if path not in self._policies:
            self._policies[path] = load_policy(path, environment=self._environment)
        return self._policies[path]

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self) -> Generator[None, object, object]:
        """Hear what modules do while they are imported; it fails the run, since there is no test to fail."""
        listener = self._hear
        listen(listener)
        try:
            return (yield)
        finally:
            unlisten(listener)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Refuse a marker that cannot mean anything before any test runs.

        Raises:
            pytest.UsageError: It has arguments that do not exist, a mode that is none, or a policy that cannot be read.
        """
        for item in items:
            for mark in item.iter_markers("taint"):
                self._check(mark, item.nodeid)

    def _check(self, mark: pytest.Mark, test: str) -> None:
        wrong = [f"an argument {name!r}" for name in sorted(mark.kwargs.keys() - {"allow", "mode", "policy"})]
        if mark.args:
            wrong.append("an argument without a name")
        allow = mark.kwargs.get("allow", ())
        if not (isinstance(allow, list | tuple | set | frozenset) and all(isinstance(one, str) for one in allow)):
            wrong.append("an allow= that is no list of texts")
        if wrong:
            raise pytest.UsageError(
                f"{test}: @pytest.mark.taint has {' and '.join(wrong)}. It takes allow=['source -> sink', ...], "
                "mode= and policy=. Write it so."
            )
        try:
            if "mode" in mark.kwargs:
                Mode.parse(mark.kwargs["mode"], setting="mode")
            if "policy" in mark.kwargs:
                self._read(mark.kwargs["policy"])
        except ConfigurationError as error:
            raise pytest.UsageError(f"{test}: @pytest.mark.taint: {error}") from None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Give every test a beginning of its own: its settings, no zone, nothing counted, and an ear on its flows."""
        marks = list(item.iter_markers("taint"))
        mode = next((Mode(mark.kwargs["mode"]) for mark in marks if "mode" in mark.kwargs), self._mode)
        policy = next((self._read(mark.kwargs["policy"]) for mark in marks if "policy" in mark.kwargs), self._policy)
        allow = self._allow + tuple(pattern for mark in marks for pattern in mark.kwargs.get("allow", ()))
        self._running = running = _Running(item.nodeid, allow, mode, policy, Settings.now())
        self._tests.add(item.nodeid)
        token = observation.observer.set(None)
        telemetry.reset()
        running.base.fresh().put()
        _set(running)
        listener = self._hear
        listen(listener)
        try:
            return (yield)
        finally:
            unlisten(listener)
            observation.observer.reset(token)
            running.base.put()
            self._running = None

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
        """Keep what a fixture of a class, module, package or session sets, for all tests that it is there for."""
        running = self._running
        if fixturedef.scope == "function" or running is None:
            return (yield)
        own, old = Settings.now(), running.base
        if not self._wide_fixtures:
            old.put()
        self._wide_fixtures += 1
        try:
            return (yield)
        finally:
            self._wide_fixtures -= 1
            if not self._wide_fixtures:
                self._undo[fixturedef] = old
                self._rebase(running, own, Settings.now())

    def pytest_fixture_post_finalizer(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        """Let go of what such a fixture has set, when it is taken down."""
        before = self._undo.pop(fixturedef, None)
        if before is not None and self._running is not None:
            self._rebase(self._running, Settings.now(), before)

    @staticmethod
    def _rebase(running: _Running, own: Settings, base: Settings) -> None:
        """Have a test begin from other settings, under those that it has made itself."""
        old, running.base = running.base, base
        own.rebased(old, base).put()
        _set(running)

    def _hear(self, flow: Flow) -> None:
        self._coverage.add(flow)
        running = self._running
        if flow.outcome is not Outcome.VIOLATION or flow.suppressed is not None:
            return
        if is_expected(flow) or is_allowed_by(flow, self._allow if running is None else running.allow):
            return
        finding = finding_of(flow, COLLECTION if running is None else running.test, self._root)
        place = (finding.test, finding.key, finding.line)
        if place in self._places:  # A loop, or the examples of Hypothesis: once is enough.
            return
        self._places.add(place)
        self._findings.append(finding)
        if self._is_known(finding):
            self._stops_known |= flow.stops
        elif running is not None:
            running.pending.append(finding)

    def _is_known(self, finding: Finding) -> bool:
        return self._updates_baseline or (self._baseline is not None and finding in self._baseline)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Generator[None, object, object]:
        """Say with a setup that fails what was found in it."""
        return (yield from self._phase("setup", fails=False))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        """Fail a test in which a violation happened, whoever swallowed the error."""
        return (yield from self._phase("call", fails=True))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Generator[None, object, object]:
        """Fail a test for what happened since: in a task or thread that it left, or while it was taken down."""
        return (yield from self._phase("teardown", fails=True))

    def _phase(self, when: str, *, fails: bool) -> Generator[None, object, object]:
        __tracebackhide__ = True
        try:
            result = yield
        except pytest.skip.Exception:
            raise
        except BaseException:
            self._told(when)
            raise
        if fails and (text := self._told(when)):
            pytest.fail(text, pytrace=False)
        return result

    def _told(self, when: str) -> str:
        """Explain what a test is yet to be failed for; it is in the report of the phase, whatever fails that."""
        found = self._take()
        if self._running is None or not found:
            return ""
        text = self._running.told[when] = explain(found, self._root)
        return text

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Say beside another error what was found; and hide labelled values, where that is asked for."""
        report = yield
        if self._hides:
            hide(report, item, None if call.excinfo is None else call.excinfo.value)
        told = "" if self._running is None else self._running.told.pop(report.when, "")
        if told and told not in report.longreprtext:
            report.sections.append((f"Captured taint {report.when}", told))
        return report

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
            output[_WORKER_KEY] = json.dumps(
                {
                    "findings": as_data(self._findings),
                    "tests": sorted(self._tests),
                    "stops_known": self._stops_known,
                    **self._coverage.as_data(),
                }
            )
            return
        if self._updates_baseline and self._baseline is not None:
            self._baseline.write(self._findings, self._tests)
        for report in self._reports:
            self._write(report)
        is_short = self._fail_under is not None and self._coverage.percent < self._fail_under
        is_early = any(one.test == COLLECTION and not self._is_known(one) for one in self._findings)
        if (is_short or is_early) and session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take what a worker of pytest-xdist found."""
        data = getattr(node, "workeroutput", {}).get(_WORKER_KEY)
        if data is not None:
            read = json.loads(data)
            for one in from_data(read.pop("findings")):
                if one.test != COLLECTION or one not in self._findings:  # Every worker imports every module.
                    self._findings.append(one)
            self._tests |= set(read.pop("tests"))
            self._stops_known |= read.pop("stops_known")
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
        self._show_known(known, line)
        for report in self._reports:
            line(f"report: {report.path}")
        if self._shows_coverage or self._fail_under is not None:
            for text in self._coverage.lines():
                line(text)
            if self._fail_under is not None and self._coverage.percent < self._fail_under:
                line(f"FAIL flow coverage {self._coverage.percent:.0f} % is under {self._fail_under:g} %", red=True)

    def _show_known(self, known: list[Finding], line: Callable[..., None]) -> None:
        baseline = self._baseline
        if baseline is None:
            return
        if not baseline.path.exists():
            line(f"there is no baseline {str(baseline.path)!r}; --taint-baseline-update writes it", red=True)
        for title in sorted({one.title for one in known}):
            line(f"  known: {title}")
        for title in [] if self._updates_baseline else baseline.fixed(self._findings, self._tests):
            line(f"  known, not seen in this run: {title}")
        if self._stops_known:
            line("known violations still raise in mode 'block', which may fail a test; use --taint-mode=report")


def _set(running: _Running) -> None:
    """Put in force what the marker, or else the option, says of policy and mode; the mode holds against policies."""
    if running.policy is not None:
        use_policy(running.policy)
    if running.mode is not None:
        set_mode(running.mode, is_explicit=True)


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
