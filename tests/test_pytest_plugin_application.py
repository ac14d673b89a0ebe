"""The plugin on a whole application whose own tests pass, with one leak in it."""

from __future__ import annotations

import json
import os
import shutil
from importlib import metadata
from pathlib import Path

import pytest

pytest.importorskip("flask", reason="Flask is not installed")
pytest.importorskip("sqlglot", reason="sqlglot is not installed")
pytest_plugins = ["pytester"]

CHECKOUT = Path(__file__).resolve().parent.parent
FIX = ('recommend(g.person["phone"], ', 'recommend(g.person["name"], ')


@pytest.fixture
def application(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A copy of the application with its suite."""
    shutil.copytree(CHECKOUT / "tests" / "journal", pytester.path / "journal")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(CHECKOUT), str(pytester.path)]))
    return pytester


def run(application: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run the application's suite."""
    is_installed = any(one.value == "pytest_taint" for one in metadata.entry_points(group="pytest11"))
    quiet = [flag for name in ("hypothesispytest", "faker", "asyncio") for flag in ("-p", f"no:{name}")]
    plugin = [] if is_installed else ["-p", "pytest_taint"]
    return application.runpytest_subprocess(*plugin, *quiet, *arguments, "journal/suite.py", timeout=120)


def test_the_leak_is_found_and_nothing_else(application: pytest.Pytester) -> None:
    """Six tests pass; with --taint the one that goes through the leak fails, and says where it is."""
    run(application).assert_outcomes(passed=6)
    result = run(application, "--taint", "--taint-cov", "--taint-report=json")
    result.assert_outcomes(passed=5, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*sink      posts.recommend (uses data for advertising.audiences)",
            "*source    person.phone (collected for security.mfa)",
            "*path      to",
            "*evidence  label: the value itself carries the label",
            "*call      journal/posts.py:* in journal.posts.create",
            '*recommend(g.person[[]"phone"[]], *)',
            "flow coverage: 4 of 4 sources and sinks reached (100 %)",
            "  person.phone -> accounts.send_code: allowed",
            "  person.phone -> posts.recommend: violation",
        ]
    )
    result.stdout.no_fnmatch_line("*4155550100*")
    (one,) = json.loads((application.path / "taint-report.json").read_text())["violations"]
    assert (one["test"], one["file"]) == ("journal/suite.py::test_create", "journal/posts.py")


def test_the_safe_twin_passes(application: pytest.Pytester) -> None:
    """With the leak mended, the same suite passes under --taint."""
    posts = application.path / "journal" / "posts.py"
    assert FIX[0] in posts.read_text()
    posts.write_text(posts.read_text().replace(*FIX))
    run(application, "--taint").assert_outcomes(passed=6)
