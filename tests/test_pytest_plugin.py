"""The pytest plugin, on test suites of its own: pytest runs in a process of its own for each."""

from __future__ import annotations

import fnmatch
import json
import os
import re
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

import taint
from taint.testing.findings import Finding
from taint.testing.reports import KINDS, parse_report

CHECKOUT = Path(__file__).resolve().parent.parent
pytest_plugins = ["pytester"]

APPLICATION = """
import taint

@taint.source(purpose="security.mfa", name="shop.enrol")
def enrol():
    return "+14155550100"

@taint.source(purpose="advertising", name="shop.newsletter")
def newsletter():
    return "+14155550100"

@taint.sink(purpose="advertising.audiences", name="ads.upload")
def upload(rows):
    pass

@taint.sink(purpose="sales", name="crm.export")
def export(rows):
    pass

def swallow(sink=upload, value=enrol):
    try:
        sink([{"phone": value()}])  # the call
    except Exception:
        pass
"""


class Suite:
    """A test suite in a folder."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self._pytester = pytester
        self.path = pytester.path
        pytester.makepyfile(app=APPLICATION)
        is_installed = any(one.value == "pytest_taint" for one in metadata.entry_points(group="pytest11"))
        self._arguments = [] if is_installed else ["-p", "pytest_taint"]

    def write(self, text: str, name: str = "test_it") -> None:
        """Write a test module that has everything of the application."""
        self._pytester.makepyfile(**{name: "import pytest, taint\nfrom app import *\n" + text})

    def ini(self, text: str) -> None:
        """Write the ini file."""
        self._pytester.makeini("[pytest]\n" + text)

    def run(self, *arguments: str, taint: bool = True) -> pytest.RunResult:
        """Run pytest in a process of its own."""
        flags = ["--taint"] if taint else []
        # What is not tried does not load: a third of the time of a run is that of other plugins.
        left_out = [name for name in ("hypothesispytest", "faker") if name not in " ".join(arguments)]
        flags += [flag for name in left_out for flag in ("-p", f"no:{name}")]
        return self._pytester.runpytest_subprocess(*self._arguments, *flags, *arguments, timeout=60)

    def refusal(self, *arguments: str) -> str:
        """Say why pytest does not begin; in this process, since no test runs."""
        quiet = [flag for name in ("hypothesispytest", "faker", "asyncio", "xdist") for flag in ("-p", f"no:{name}")]
        result = self._pytester.runpytest_inprocess(*self._arguments, *quiet, *arguments)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        return str(result.stderr)


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Suite:
    """An empty suite beside a small application."""
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT), prepend=os.pathsep)
    return Suite(pytester)


def test_swallowed_violation_fails_its_test(suite: Suite) -> None:
    """The application swallows the error; its test fails all the same, with path, source, sink, evidence and line."""
    suite.write("def test_leak(): swallow()\ndef test_twin(): swallow(value=newsletter)\n")
    result = suite.run()
    result.assert_outcomes(failed=1, passed=1)
    line = APPLICATION.splitlines().index('        sink([{"phone": value()}])  # the call') + 1
    result.stdout.fnmatch_lines(
        [
            "violation: shop.enrol -> ads.upload",
            "*sink 'ads.upload' uses data for 'advertising.audiences'*collected by 'shop.enrol' for 'security.mfa'*",
            "*sink      ads.upload (uses data for advertising.audiences)",
            "*source    shop.enrol (collected for security.mfa)",
            "*path      rows[[]0].phone",
            "*evidence  label: the value itself carries the label",
            f"*call      app.py:{line - 1} in app.swallow",
            '*sink([[]{"phone": value()}])  # the call',
            "*@pytest.mark.taint(allow=[[]'shop.enrol -> ads.upload'[]])*",
            "1 violation in 1 test, 0 known",
        ]
    )
    result.stdout.no_fnmatch_line("*+1415*")


BEHIND_AN_FSTRING = """
import hashlib
import app

def leak(value=app.enrol):
    app.swallow(value=lambda: f"tel:{value()}")

def digest(value=app.enrol):
    app.swallow(value=lambda: hashlib.sha256(value().encode()).hexdigest())
"""


@pytest.mark.parametrize(
    ("ini", "workers"), [("", []), ("taint_package = shop", ["-n2"])], ids=["flag", "ini and workers"]
)
def test_named_packages_are_rewritten_before_a_conftest_imports_them(
    pytester: pytest.Pytester, suite: Suite, ini: str, workers: list[str]
) -> None:
    """A leak behind an f-string or a hash is found in a package that is named, and its safe twin passes."""
    pytester.makepyfile(shop=BEHIND_AN_FSTRING, conftest="import shop\n")
    suite.ini(ini)
    suite.write(
        "import shop\n"
        "def test_leak(): shop.leak()\ndef test_digest(): shop.digest()\n"
        "def test_twin(): shop.leak(newsletter); shop.digest(newsletter)\n"
    )
    flags = [] if ini else ["--taint-package=shop"]
    result = suite.run(*flags, *workers)
    result.assert_outcomes(failed=2, passed=1)
    result.stdout.fnmatch_lines(["violation: shop.enrol -> ads.upload"])


def test_without_packages_the_plugin_wraps_nothing(pytester: pytest.Pytester, suite: Suite) -> None:
    """Without the flag a suite sees what its application sees: the f-string is a loss, and nothing is installed."""
    pytester.makepyfile(shop=BEHIND_AN_FSTRING)
    suite.write(
        "import hashlib, shop\ndef test_leak(): shop.leak(); assert type(hashlib.sha256()).__name__ == 'HASH'\n"
    )
    suite.run().assert_outcomes(passed=1)
    suite.run("--taint-package=shop", taint=False).stderr.fnmatch_lines(["*--taint-package does nothing by itself*"])


def test_package_that_is_no_name_is_said(suite: Suite) -> None:
    """A path in its place is an error of usage."""
    assert "src/shop" in suite.refusal("--taint", "--taint-package=src/shop")


def test_without_the_flag_nothing_happens(suite: Suite) -> None:
    """The plugin is quiet until it is asked: the same suite passes and nothing is said."""
    suite.write("def test_leak(): swallow()\n")
    result = suite.run(taint=False)
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*violation*")


def test_without_the_flag_nothing_is_imported(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A suite that knows nothing of the library runs without it, though its plugin is there."""
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT), prepend=os.pathsep)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(
        "import sys\n"
        "def test_it(pytestconfig):\n"
        "    assert pytestconfig.getini('taint') is False\n"
        "    loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "    assert loaded.isdisjoint({'taint', 'opentelemetry', 'wrapt'})\n"
    )
    pytester.runpytest_subprocess("-p", "pytest_taint", timeout=60).assert_outcomes(passed=1)


def test_report_mode_fails_as_well(suite: Suite) -> None:
    """What a violation does to the program and whether it fails a test are two things."""
    suite.write("def test_leak(): upload(enrol())\n")
    result = suite.run("--taint-mode=report")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*call      test_it.py:3 in test_it.test_leak"])


def test_error_that_is_not_swallowed_keeps_its_traceback(suite: Suite) -> None:
    """The program's error is the failure, ends at the line that called the sink, and has the finding below."""
    suite.write("def test_leak():\n    phone = enrol()\n    upload(phone)\n")
    result = suite.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *PurposeViolationError: sink 'ads.upload'*", "test_it.py:5: PurposeViolationError"])
    result.stdout.fnmatch_lines(["* Captured taint call *", "*evidence  label: the value itself carries the label"])
    result.stdout.no_fnmatch_line("*carry_out*")


EXPECT = "from taint.testing import expect_violation\n"
ANYIO = "@pytest.fixture\ndef anyio_backend(): return 'asyncio'\n@pytest.mark.anyio\n"
OUTCOMES = {
    "allowed_sink": ("PASSED", "@pytest.mark.taint(allow=['ads.upload'])\ndef test_it(): swallow()"),
    "allowed_pair": ("PASSED", "@pytest.mark.taint(allow=['shop.enrol -> ads.*'])\ndef test_it(): swallow()"),
    "other_pair": ("FAILED", "@pytest.mark.taint(allow=['shop.other -> ads.*'])\ndef test_it(): swallow()"),
    "part_of_a_name": ("FAILED", "@pytest.mark.taint(allow=['ads'])\ndef test_it(): swallow()"),
    "off": ("PASSED", "@pytest.mark.taint(mode='off')\ndef test_it(): swallow()"),
    "report": ("FAILED", "@pytest.mark.taint(mode='report')\ndef test_it(): upload(enrol())"),
    "xfail": ("XFAIL", "@pytest.mark.xfail(strict=True)\ndef test_it(): swallow()"),
    "skip": ("SKIPPED", "def test_it(): pytest.skip('not here')"),
    "expected": ("PASSED", EXPECT + "def test_it():\n    with expect_violation(sink='ads.*'): swallow()"),
    "expected_error": ("PASSED", EXPECT + "def test_it():\n    with expect_violation(sink='ads.*'): upload(enrol())"),
    "another_than_expected": (
        *("FAILED", EXPECT + "def test_it():\n    with expect_violation(sink='ads.*'): swallow(); swallow(export)"),
    ),
    "unittest": (*("FAILED", "import unittest\nclass TestIt(unittest.TestCase):\n    def test_it(self): swallow()"),),
    "unittest_twin": (
        *(
            "PASSED",
            "import unittest\nclass TestIt(unittest.TestCase):\n    def test_it(self): swallow(value=newsletter)",
        ),
    ),
    "async_unittest": (
        "FAILED",
        "import unittest\nclass TestIt(unittest.IsolatedAsyncioTestCase):\n    async def test_it(self): swallow()",
    ),
    "fixture": ("FAILED", "@pytest.fixture\ndef leaky(): swallow()\ndef test_it(leaky): pass"),
    "thread": (
        *("FAILED", "import threading\ndef test_it():\n    t = threading.Thread(target=swallow); t.start(); t.join()"),
    ),
    "anyio": ("FAILED", ANYIO + "async def test_it(): swallow()"),
    "anyio_twin": ("PASSED", ANYIO + "async def test_it(): swallow(value=newsletter)"),
    "record": ("PASSED", "def test_it(taint_record): swallow(value=newsletter); assert len(taint_record.flows) == 1"),
    "teardown": ("PASSED, ERROR", "@pytest.fixture\ndef leaky():\n    yield\n    swallow()\ndef test_it(leaky): pass"),
    "after_teardown": ("PASSED", "def test_it(): pass"),
}


def test_outcomes(suite: Suite) -> None:
    """Each way to run, allow or expect has the outcome that stands beside it."""
    for name, (_, test) in OUTCOMES.items():
        suite.write(test + "\n", f"test_{name}")
    result = suite.run("-rA", "-W", "ignore", *(f"test_{name}.py" for name in OUTCOMES))
    seen = re.findall(r"^(\w+) .*?test_(\w+)\.py", result.stdout.str().partition("test summary info")[2], re.MULTILINE)
    found: dict[str, str] = {}
    for outcome, name in seen:
        found[name] = f"{found[name]}, {outcome}" if name in found else outcome
    assert found == {name: outcome for name, (outcome, _) in OUTCOMES.items()}
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_it*"])


def test_pytest_asyncio(suite: Suite) -> None:
    """Tests of pytest-asyncio fail for what happens in their tasks."""
    pytest.importorskip("pytest_asyncio", reason="pytest-asyncio is not installed")
    suite.ini("asyncio_default_fixture_loop_scope = function\n")
    suite.write(
        "import asyncio\n"
        "@pytest.mark.asyncio\nasync def test_leak(): await asyncio.create_task(inner(enrol))\n"
        "@pytest.mark.asyncio\nasync def test_twin(): await asyncio.create_task(inner(newsletter))\n"
        "async def inner(value): swallow(value=value)\n"
    )
    suite.run().assert_outcomes(failed=1, passed=1)


def test_ini_options_have_the_same_names(suite: Suite) -> None:
    """What the flags say can stand in the ini file."""
    suite.ini(
        "taint = true\ntaint_mode = report\ntaint_allow =\n    crm.export\ntaint_report = json\ntaint_cov = true\n"
    )
    suite.write("def test_crm(): export(enrol())\ndef test_ads(): upload(enrol())\n")
    result = suite.run(taint=False)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["flow coverage: 3 of 4 sources and sinks reached (75 %)"])
    assert (suite.path / "taint-report.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--taint-mode=blok"], "*--taint-mode is not a mode: 'blok'*Did you mean 'block'?*"),
        (["--taint-policy=none.toml"], "*none.toml*"),
        (["--taint-baseline=test_it.py", "--taint-report=pdf"], "*not a baseline*test_it.py*"),
        (["--taint-cov-fail-under=nan"], "*not a percentage: 'nan'*"),
        (["--taint-baseline-update"], "*no file to write*--taint-baseline=FILE*"),
    ],
)
def test_bad_options_are_refused(suite: Suite, arguments: list[str], message: str) -> None:
    """What cannot mean anything ends the run before any test, with what is allowed."""
    suite.write("def test_it(): pass\n")
    assert fnmatch.fnmatchcase(suite.refusal("--taint", *arguments), message)


@pytest.mark.parametrize("flag", ["--taint-mode=report", "--taint-cov", "--taint-report=json", "--taint-redact"])
def test_flags_alone_are_refused(suite: Suite, flag: str) -> None:
    """A flag that would do nothing without --taint says so, so that nobody believes to be watched."""
    suite.write("def test_it(): swallow()\n")
    assert f"{flag.partition('=')[0]} does nothing by itself. Add --taint" in suite.refusal(flag)


POLICY = """
[[rules]]
name = "ads"
effect = "allow"
from = ["security"]
to = ["advertising"]
"""
TABLE = "{'rules': [{'name': 'sales', 'effect': 'allow', 'from': ['security'], 'to': ['sales']}]}"


def test_policies(suite: Suite) -> None:
    """A test's own policy, as file or table, decides in that test; that of the run in all others."""
    (suite.path / "ads.toml").write_text(POLICY)
    suite.write(
        "@pytest.mark.taint(policy='ads.toml')\ndef test_file(): upload(enrol())\n"
        f"@pytest.mark.taint(policy={TABLE})\ndef test_table(): export(enrol())\n"
        "def test_ads(): upload(enrol())\n"
        "def test_sales(): export(enrol())\n"
        f"@pytest.mark.taint(policy={TABLE})\ndef test_other(): upload(enrol())\n"
    )
    for arguments, failed in ((["--taint-policy=ads.toml"], {"sales", "other"}), ([], {"ads", "sales", "other"})):
        result = suite.run("-q", *arguments)
        assert set(re.findall(r"FAILED test_it.py::test_(\w+)", result.stdout.str())) == failed
    suite.ini("taint_policy = ads.toml\n")
    suite.run().assert_outcomes(failed=2, passed=3)


@pytest.mark.parametrize("report", ["pdf", "", "JSON:leaks.json"])
def test_bad_reports_are_refused(report: str, tmp_path: Path) -> None:
    """A report of a kind that is none is refused with the kinds that are."""
    with pytest.raises(taint.ConfigurationError, match=r"The kinds are 'html', 'json', 'sarif', 'junit'\."):
        parse_report(report, tmp_path)


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ("alow=[]", "*test_it.py::test_it: @pytest.mark.taint has an argument 'alow'. It takes allow=*"),
        ("'ads.*'", "*has an argument without a name*"),
        ("allow='ads'", "*an allow= that is no list of texts*"),
        ("allow=[1]", "*an allow= that is no list of texts*"),
        ("mode='blok'", "*test_it.py::test_it: @pytest.mark.taint: mode is not a mode: 'blok'*"),
        ("policy='none.toml'", "*test_it.py::test_it: @pytest.mark.taint: *none.toml*"),
        ("policy={'ruls': []}", "*test_it.py::test_it: @pytest.mark.taint: *'ruls'*"),
        ("policy=7", "*neither a file nor a table: 'int'*"),
    ],
)
def test_bad_markers_are_refused(suite: Suite, marker: str, message: str) -> None:
    """A marker that cannot mean anything ends the run before any test, and names the test."""
    suite.write(f"@pytest.mark.taint({marker})\ndef test_it(): pass\n")
    assert fnmatch.fnmatchcase(suite.refusal("--taint"), message)


def test_isolation_in_any_order(suite: Suite) -> None:
    """Modes, zones that were never left and violations of one test do not reach the next, whatever the order."""
    tests = [
        "@pytest.mark.taint(mode='report')\ndef test_{n}_leak(): swallow()\n",
        "def test_{n}_zone(): taint.zone('advertising').__enter__()\n",
        "def test_{n}_block(): assert (taint.modes.current_mode(), taint.flows.current_zone()) == ('block', None)\n",
        "def test_{n}_compare(): assert enrol() == '+14155550100'\n",
    ]
    suite.write("".join(test.format(n=number) for number in range(6) for test in tests))
    shuffle = "import random\ndef pytest_collection_modifyitems(items): random.Random({seed}).shuffle(items)\n"
    for seed in (1, 2):
        (suite.path / "conftest.py").write_text(shuffle.format(seed=seed))
        result = suite.run("-q")
        result.assert_outcomes(failed=6, passed=18)
        failed = set(re.findall(r"FAILED test_it.py::(\w+)", result.stdout.str()))
        assert failed == {f"test_{number}_leak" for number in range(6)}


SETTINGS = """
from taint.evidence import current_known_values, set_known_values
from taint.flows.auditing import current_audit_file
from taint.modes import mode_state
from taint.policy import current_consent_store, policy_state

def settings():
    return mode_state(), policy_state(), current_consent_store(), current_known_values(), current_audit_file()

BEGUN = settings()
"""
WIDE = """
from taint.modes import mode_state
from taint.policy import current_decider

@pytest.fixture(scope="module", params=["report", "redact"])
def wide(request):
    taint.configure(mode=request.param, policy={"sinks": {"ads.*": {"mode": request.param}}})
    return request.param

def test_it(wide): assert mode_state().mode == current_decider().sink_settings("ads.upload").mode == wide
@pytest.mark.taint(mode="off")
def test_its_own(wide): assert mode_state().mode == "off"
def test_sets(wide): taint.configure(mode="off")
"""


def test_settings_of_a_test_end_with_it(suite: Suite) -> None:
    """What a test configures does not hold in the next one; what a module's fixture does holds while it is there."""
    suite.write(
        SETTINGS
        + "".join(
            f"def test_{n}_sets(tmp_path):\n"
            "    taint.configure(mode='redact', policy={'sinks': {'a.b': {'mode': 'report'}}}, known_values=True,\n"
            "                    consent=taint.InMemoryConsentStore(), audit=tmp_path / 'audit.jsonl')\n"
            f"def test_{n}_has_nothing(): assert settings() == BEGUN\n"
            for n in range(3)
        )
    )
    suite.write(WIDE, "test_wide")
    shuffle = "import random\n@__import__('pytest').hookimpl(trylast=True)\n"
    shuffle += "def pytest_collection_modifyitems(items): random.Random({seed}).shuffle(items)\n"
    for seed in (3, 4):
        (suite.path / "conftest.py").write_text(shuffle.format(seed=seed))
        suite.run("-q", "-p", "no:randomly").assert_outcomes(passed=12)


def test_known_values_of_one_test_are_not_known_in_the_next(suite: Suite) -> None:
    """Text that equals what another test collected is nobody's here; what this test collected is found."""
    suite.write(
        "taint.configure(known_values=True)\n"
        "def test_collects(): enrol()\n"
        "def test_same_text(): upload('+14155550100')\n"
        "def test_copy():\n    enrol()\n    swallow(value=lambda: '+14155550100')\n"
    )
    result = suite.run()
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*evidence  content: *"])


LABELLED_REPORTS = """
import warnings
PHONE = taint.label("+14155550100", purpose="security.mfa", source="shop.enrol")

def test_assertion(): assert {"phone": enrol()} == {"phone": "another"}
def test_error(): raise LookupError(PHONE)
def test_note(record_property): record_property(PHONE, {"phone": [PHONE]}); assert enrol() == "another"
def test_output(): print(PHONE); assert not enrol()
@pytest.mark.parametrize("phone", [PHONE, PHONE + "1"])
def test_parameter(phone): swallow(value=lambda: phone)
def test_warning(): warnings.warn(PHONE)
def test_skip(): pytest.skip(PHONE)
def test_name(request): request.node.add_report_section("call", PHONE, PHONE); assert not PHONE
def test_keyword(request): request.node.extra_keyword_matches.add(PHONE); request.keywords[PHONE] = True; swallow()
"""


@pytest.mark.parametrize("taint", [True, False])
def test_reports_with_labelled_text_can_be_sent(suite: Suite, taint: bool) -> None:
    """Workers of pytest-xdist send reports of labelled text, whatever part of them it is; with and without --taint."""
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    suite.write(LABELLED_REPORTS)
    result = suite.run("-n1", "-rA", "-W", "ignore::DeprecationWarning", taint=taint)
    leaks = 3 * taint  # Two parameters and a keyword.
    result.assert_outcomes(failed=5 + leaks, passed=4 - leaks, skipped=1, warnings=1)
    result.stdout.fnmatch_lines(["*test_parameter[[]labelled_phone0[]]*", "*test_parameter[[]labelled_phone1[]]*"])


def test_collection_errors_with_labelled_text_can_be_sent(suite: Suite) -> None:
    """A module that fails on a labelled value while it is imported is an error, and not the end of the run."""
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    suite.write("raise LookupError(enrol())\n")
    suite.run("-n1").assert_outcomes(errors=1)


def test_hidden_values(suite: Suite) -> None:
    """With --taint-redact no part of a report shows a labelled value; without, an assertion of the user's does."""
    suite.write(LABELLED_REPORTS.replace("def test_skip(): pytest.skip(PHONE)", ""))
    arguments = ("-W", "ignore", "--tb=long", "--showlocals")
    shown = suite.run(*arguments)
    shown.stdout.fnmatch_lines(["E*LookupError: +14155550100"])
    hidden = suite.run(*arguments, "--taint-redact")
    hidden.assert_outcomes(failed=8, passed=1)
    hidden.stdout.fnmatch_lines(
        ["E*AssertionError: assert {'phone': '[[]redacted[]]'}*", "E*LookupError: [[]redacted[]]"]
    )
    source = LABELLED_REPORTS.splitlines()[2]
    said = hidden.stdout.str().replace(source, "").replace('return "+14155550100"', "")
    assert "4155550100" not in said


@pytest.mark.parametrize("workers", [[], ["-n2"]])
def test_what_modules_do_while_they_are_imported(suite: Suite, workers: list[str]) -> None:
    """A violation at import has no test to fail: it fails the run, is told once, and can be allowed or known."""
    suite.write("swallow()\ndef test_it(): pass\n")
    result = suite.run(*workers)
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["1 violation in 1 test, 0 known", "  (collection): shop.enrol -> ads.upload*"])
    if not workers:
        known = ("--taint-baseline=known.json",)
        assert suite.run("--taint-allow=ads.*").ret == pytest.ExitCode.OK
        assert suite.run(*known, "--taint-baseline-update").ret == suite.run(*known).ret == pytest.ExitCode.OK


def test_loops_are_told_once(suite: Suite) -> None:
    """A thousand violations of one kind at one line are one finding; another line or place is another."""
    suite.write(
        "def test_loop():\n    for number in range(1000):\n        upload([*range(number % 3), enrol()])\n"
        "    upload(enrol())\n"
    )
    result = suite.run("--taint-mode=report")
    result.stdout.fnmatch_lines(["violation: shop.enrol -> ads.upload and 1 more", "2 violations in 1 test, 0 known"])


def test_xdist_gathers_everything(suite: Suite) -> None:
    """Two workers fail the same tests; the controller has all findings, the coverage and the report."""
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    suite.write("".join(f"def test_{n}(): swallow()\n" for n in range(4)) + "def test_ok(): export('x')\n")
    result = suite.run("-n2", "--taint-cov", "--taint-report=json:out/leaks.json")
    result.assert_outcomes(failed=4, passed=1)
    result.stdout.fnmatch_lines(["4 violations in 4 tests, 0 known", "flow coverage: 3 of 4 *"])
    data = json.loads((suite.path / "out" / "leaks.json").read_text())
    assert sorted(one["test"] for one in data["violations"]) == [f"test_it.py::test_{n}" for n in range(4)]


def test_baseline(suite: Suite) -> None:
    """Known leaks are listed and do not fail, also when their lines move; new ones fail; fixed ones are said."""
    suite.write("def test_old(): swallow()\n")
    baseline = "--taint-baseline=leaks.json"
    missing = suite.run(baseline)
    missing.assert_outcomes(failed=1)
    missing.stdout.fnmatch_lines(["there is no baseline '*leaks.json'; --taint-baseline-update writes it"])
    suite.run(baseline, "--taint-baseline-update").assert_outcomes(passed=1)
    suite.write("\n\n\ndef test_old(): swallow()\ndef test_new(): upload(enrol())\n")
    result = suite.run(baseline)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "1 violation in 1 test, 1 known",
            "  known: shop.enrol -> ads.upload*",
            "known violations still raise in mode*",
        ]
    )
    suite.write("def test_old(): swallow(value=newsletter)\n")
    result = suite.run(baseline)
    result.stdout.fnmatch_lines(["  known, not seen in this run: shop.enrol -> ads.upload*"])
    result = suite.run(baseline, "-k", "nothing_here")
    result.stdout.no_fnmatch_line("*not seen in this run*")


def test_baseline_of_a_part_of_the_suite(suite: Suite) -> None:
    """Updating from some of the tests keeps what the others had, and drops what these had and have no more."""
    suite.write("def test_one(): swallow()\ndef test_two(): swallow(export)\ndef test_three(): upload(enrol())\n")
    update = ("--taint-mode=report", "--taint-baseline=known/leaks.json", "--taint-baseline-update")
    suite.run(*update).assert_outcomes(passed=3)
    suite.write("def test_one(): swallow(value=newsletter)\ndef test_two(): pass\ndef test_three(): pass\n")
    suite.run(*update, "-k", "one or two").assert_outcomes(passed=2)
    data = json.loads((suite.path / "known" / "leaks.json").read_text())
    assert [one["tests"] for one in data["known"]] == [["test_it.py::test_three"]]


@pytest.mark.parametrize(("percent", "code"), [("75", 0), ("76", 1)])
def test_coverage_can_fail_the_run(suite: Suite, percent: str, code: int) -> None:
    """Three of the four sources and sinks are reached: 75 % passes, 76 % does not."""
    suite.write("def test_it():\n    upload(newsletter())\n    export('x')\n")
    result = suite.run(f"--taint-cov-fail-under={percent}")
    result.assert_outcomes(passed=1)
    assert result.ret == code
    result.stdout.fnmatch_lines(
        [
            "flow coverage: 3 of 4 sources and sinks reached (75 %)",
            "  never reached: source shop.enrol (*app.py:3)",
            "  shop.newsletter -> ads.upload: allowed",
        ]
    )


def test_reports(suite: Suite) -> None:
    """JSON, SARIF, JUnit and HTML name test, sink, source and line, and hold no value."""
    suite.write("def test_leak(): swallow()\ndef test_other(): swallow(export)\n")
    suite.run(*(f"--taint-report={kind}" for kind in ("json", "sarif", "junit", "html"))).assert_outcomes(failed=2)
    texts = {path.suffix: path.read_text() for path in suite.path.glob("taint-report.*")}
    assert sorted(texts) == [".html", ".json", ".sarif", ".xml"]
    for text in texts.values():
        assert "415555" not in text
        assert "ads.upload" in text
        assert "shop.enrol" in text
    one, _ = json.loads(texts[".json"])["violations"]
    assert (one["test"], one["sink"], one["file"], one["is_known"]) == (
        *("test_it.py::test_leak", "ads.upload", "app.py"),
        False,
    )
    (run,) = json.loads(texts[".sarif"])["runs"]
    places = [result["locations"][0]["physicalLocation"] for result in run["results"]]
    assert [place["artifactLocation"]["uri"] for place in places] == ["app.py"] * 2
    assert [place["region"]["startLine"] for place in places] == [one["line"]] * 2
    (cases,) = ET.fromstring(texts[".xml"])  # noqa: S314  # It was written a moment ago.
    assert (cases.get("tests"), cases.get("failures"), len(cases)) == ("2", "2", 2)


def closed(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    """Give the schema of an object that has these properties and no others."""
    properties = {**required, **optional}
    return {"type": "object", "additionalProperties": False, "required": [*required], "properties": properties}


TEXT = {"type": "string", "minLength": 1}
MESSAGE = closed({"text": TEXT})
LOCATION = closed(
    {
        "physicalLocation": closed(
            {
                "artifactLocation": closed({"uri": {"type": "string", "pattern": r"^[A-Za-z0-9/._~%-]+$"}}),
                "region": closed({"startLine": {"type": "integer", "minimum": 1}}),
            }
        ),
        "logicalLocations": {"type": "array", "items": closed({"fullyQualifiedName": TEXT, "kind": TEXT})},
    }
)
RESULT = closed(
    {
        "ruleId": TEXT,
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": {"enum": ["none", "note", "warning", "error"]},
        "message": MESSAGE,
        "locations": {"type": "array", "items": LOCATION},
        "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
        "baselineState": {"enum": ["new", "unchanged", "updated", "absent"]},
        "properties": {"type": "object"},
    }
)
DRIVER = closed(
    {
        "name": TEXT,
        "version": TEXT,
        "rules": {"type": "array", "items": closed({"id": TEXT, "shortDescription": MESSAGE})},
    }
)
SARIF = closed(
    {
        "$schema": {
            "const": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
        },
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": closed(
                {
                    "tool": closed({"driver": DRIVER}),
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "results": {"type": "array", "items": RESULT},
                }
            ),
        },
    }
)
"""Of SARIF 2.1.0 (OASIS standard, errata 01, section 3) what the report uses; anything else is a mistake."""
JUNIT = {
    "testsuites": (set(), {"testsuite"}),
    "testsuite": ({"name", "tests", "failures", "errors", "skipped"}, {"testcase"}),
    "testcase": ({"name", "classname", "time", "file", "line"}, {"failure", "skipped"}),
    "failure": ({"type", "message"}, set()),
    "skipped": ({"message"}, set()),
}
"""Of Jenkins' junit-10.xsd what the report uses: each element's attributes, and the elements in it."""


def a_finding(**changes: Any) -> Finding:
    """Give a finding."""
    made = Finding(
        *("t.py::test_it[a b]", "ads.upload", "advertising", ("shop.enrol",), ("security.mfa",), ("user",), "label"),
        *("rows[0].phone", "purpose-limitation", "It may not.", "app.job", "my app/jobs #1 \udcff.py", 7),
    )
    return replace(made, **changes)


FINDINGS = [a_finding(), a_finding(rule="own", file="", line=0, function=""), a_finding(sink="ads\x00\x1b <&>\ud800")]


@pytest.mark.parametrize("known", [set(), {FINDINGS[0].key}])
@pytest.mark.parametrize("findings", [[], FINDINGS])
def test_reports_are_what_their_readers_take(
    findings: list[Finding], known: set[tuple[str, ...]], tmp_path: Path
) -> None:
    """SARIF and JUnit have the form of their schemas, whatever names and files are called, and with nothing found."""
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    reports = {kind: parse_report(f"{kind}:report.{kind}", tmp_path) for kind in KINDS}
    for report in reports.values():
        report.write(findings, known)
    sarif = json.loads(reports["sarif"].path.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(SARIF).validate(sarif)
    (run,) = sarif["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert [rules[result["ruleIndex"]] for result in run["results"]] == [one.rule for one in findings]
    root = ET.parse(reports["junit"].path).getroot()  # noqa: S314  # It was written a moment ago.
    assert root.tag == "testsuites"
    for element in root.iter():
        attributes, children = JUNIT[element.tag]
        assert set(element.attrib) == attributes
        assert {child.tag for child in element} <= children
    (suite,) = root
    counted = [len(list(suite.iter(tag))) for tag in ("testcase", "failure", "skipped")]
    assert [int(suite.attrib[name]) for name in ("tests", "failures", "skipped")] == counted


CANARIES: dict[str, tuple[str, str | None]] = {
    "file": ("(tmp_path / 'x').write_text('tel ' + plain)", "a copy of 'phone' through file *"),
    "file_by_descriptor": (
        "fd = os.open(tmp_path / 'x', os.O_CREAT | os.O_WRONLY); os.write(fd, plain.encode())",
        "a copy of 'phone' through file *",
    ),
    "file_removed": (
        "(tmp_path / 'x').write_text(plain); (tmp_path / 'x').unlink()",
        "a copy of 'phone' through file *",
    ),
    "file_moved": (
        "(tmp_path / 'x').write_text(plain); (tmp_path / 'x').rename(tmp_path / 'y')",
        "a copy of 'phone' through file */y",
    ),
    "file_open_before": ("log.write(plain); log.flush()", "a copy of 'phone' through file *log"),
    "file_appended": ("append(old, plain)", "a copy of 'phone' through file *old"),
    "file_too_large": (
        "f = open(tmp_path / 'x', 'wb'); f.truncate(65 * 1024 * 1024); f.close()",
        "nobody knows what through file */x: it is too large to be searched; allow() it",
    ),
    "labelled_file": ("(tmp_path / 'x').write_text('tel ' + phone)", "a copy of 'phone' through file *"),
    "upper_case": ("(tmp_path / 'x').write_text(taint.plain(email).upper())", "a copy of 'email' through file *"),
    "digest": (
        *("(tmp_path / 'x').write_text(hashlib.sha256(plain.encode()).hexdigest())", "a sha256 digest of 'phone' *"),
    ),
    "digest_of_digits": (
        *("(tmp_path / 'x').write_bytes(hashlib.md5(plain[1:].encode()).digest())", "a md5 digest of 'phone' *"),
    ),
    "encoded": (
        "(tmp_path / 'x').write_bytes(base64.b64encode(plain.encode()))",
        "an encoded copy of 'phone' through file *",
    ),
    "arguments": ("subprocess.run(['true', plain])", "a copy of 'phone' through the arguments or environment *"),
    "labelled_arguments": ("subprocess.run(['true', phone])", "a copy of 'phone' through the arguments *"),
    "part_of_an_argument": ("subprocess.run(['true', '--to=' + plain])", "a copy of 'phone' through the arguments *"),
    "shell": ("os.system('true ' + plain)", "a copy of 'phone' through the arguments *"),
    "spawned": (
        "os.waitpid(os.posix_spawn('/bin/true', ['true', plain], {}), 0)",
        "a copy of 'phone' through the arguments *",
    ),
    "environment": ("subprocess.run(['true'], env={'TEL': plain})", "a copy of 'phone' through the arguments *"),
    "inherited": (
        "monkeypatch.setenv('TEL', plain); subprocess.run(['true'])",
        "a copy of 'phone' through the arguments *",
    ),
    "sink": ("upload([{'phone': plain}])", "a copy of 'phone' through sink ads.upload, argument rows"),
    "socket": ("send(plain.encode())", "a copy of 'phone' through socket *"),
    "labelled_socket": ("send(phone.encode())", "a copy of 'phone' through socket *"),
    "sendall": ("send(plain.encode(), by='sendall')", "a copy of 'phone' through socket *"),
    "sendmsg": ("send([b'tel ', plain.encode()], by='sendmsg')", "a copy of 'phone' through socket *"),
    "sendto": ("datagram(plain.encode())", "a copy of 'phone' through socket *"),
    "sendfile": ("send_file(tmp_path / 'x', plain)", "a copy of 'phone' through *"),
    "asyncio": ("asyncio.run(stream(plain.encode()))", "a copy of 'phone' through socket *"),
    "tls": ("secret(plain.encode())", "a copy of 'phone' through socket *"),
    "two_pieces": ("send(plain.encode()[:5], plain.encode()[5:])", "a copy of 'phone' through socket *"),
    "store": ("store(tmp_path / 'db', plain)", "a copy of 'phone' through file *"),
    "nothing": ("pass", None),
    "read_only": ("open(__file__).read(); send(b'hello'); subprocess.run(['true', 'x']); os.system('true')", None),
    "another_value": ("(tmp_path / 'x').write_text('+12025550100')", None),
    "old_content": ("append(old, 'more')", None),
    "allowed_outlet": ("canaries.allow('file *'); (tmp_path / 'x').write_text(plain)", None),
    "allowed_socket": ("canaries.allow('socket *'); send(plain.encode())", None),
    "sink_of_its_purpose": ("export(plain)", None),
    "labelled_at_a_sink": ("export(phone)", None),
}
LEAVING = """
import asyncio, base64, hashlib, os, socket, sqlite3, ssl, subprocess

def send(*pieces, by="send"):
    one, other = socket.socketpair()
    with one, other:
        for piece in pieces:
            getattr(one, by)(piece)

def append(path, text):
    with path.open("a") as file:
        file.write(text)

def datagram(data):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(data, ("127.0.0.1", 9))

def send_file(path, text):
    path.write_text(text)
    one, other = socket.socketpair()
    with one, other, path.open("rb") as file:
        one.sendfile(file)

async def stream(data):
    one, other = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=one)
    writer.write(data)
    await writer.drain()
    writer.close()
    other.close()

def secret(data):
    outer = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="x")
    try:
        outer.write(data)
    except ssl.SSLError:
        pass  # Nobody shook hands; that it was to leave is what counts.

def store(path, text):
    db = sqlite3.connect(path)
    db.execute('create table t as select ? as c', (text,))
    db.commit()
    db.close()

@pytest.fixture
def log(tmp_path):
    with open(tmp_path / "log", "w") as file:
        yield file

@pytest.fixture
def old(tmp_path):
    from taint.testing.canaries import _AREAS
    (tmp_path / "old").write_text(" ".join(f"+1{area}55501{number:02}" for area in _AREAS for number in range(100)))
    return tmp_path / "old"
"""


def test_canaries(suite: Suite) -> None:
    """A copy or digest that leaves by any way is found at the end of the test; what may leave, or stays, is not."""
    suite.write(
        LEAVING
        + "".join(
            f"def test_{name}(log, old, canaries, tmp_path, monkeypatch):\n"
            "    phone = canaries.phone(purpose='sales')\n    email = canaries.email(purpose='sales')\n"
            "    plain = taint.plain(phone)\n"
            f"    {leave}\n"
            for name, (leave, _) in CANARIES.items()
        )
    )
    result = suite.run("-W", "ignore::ResourceWarning", taint=False)
    wrong = {name: outlet for name, (_, outlet) in CANARIES.items() if outlet is not None}
    said = re.split(r"^_+ (?:ERROR at teardown of )?test_(\w+) _+$", result.stdout.str(), flags=re.MULTILINE)
    found = {
        name: re.findall("^E   +(.* through .*)$", text, re.MULTILINE)
        for name, text in zip(said[1::2], said[2::2], strict=True)
    }
    assert {name for name in found if found[name]} == wrong.keys()
    for name, outlet in wrong.items():
        assert any(fnmatch.fnmatchcase(one, outlet) for one in found[name]), (name, found[name])
    result.assert_outcomes(passed=len(CANARIES), errors=len(wrong))
    result.stdout.no_fnmatch_line("*55501*")


def test_canaries_leave_sockets_as_they_were(suite: Suite) -> None:
    """After the test the socket's methods are the identical objects, and inherited ones are inherited again."""
    suite.write(
        "import socket, ssl\n"
        "kept = {k: dict(k.__dict__) for k in (socket.socket, ssl.SSLSocket, ssl.SSLObject)}\n"
        "def test_one(canaries): assert socket.socket.send is not kept[socket.socket].get('send')\n"
        "def test_two(): assert all(dict(k.__dict__) == v for k, v in kept.items())\n"
    )
    suite.run("-p", "no:randomly").assert_outcomes(passed=2)
