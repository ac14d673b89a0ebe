"""A pytest plugin that writes down how each test of a suite ended: the same for every way in which the suite is run."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

_ended: dict[str, list[str]] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note one part of a test; what is meant to fail and does is told as `skipped` with `wasxfail`."""
    kind = f"{report.when} {report.outcome}"
    _ended.setdefault(report.nodeid, []).append(f"{kind} xfail" if hasattr(report, "wasxfail") else kind)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Note what could not be collected."""
    if not report.passed:
        _ended.setdefault(report.nodeid, []).append(f"collect {report.outcome}")


def pytest_sessionfinish() -> None:
    """Write it down."""
    Path(os.environ["OUTCOMES"]).write_text(json.dumps(_ended), encoding="utf-8")
