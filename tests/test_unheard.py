"""A violation that goes on is told somewhere: where nobody else would tell of it, by one line of the log."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import taint

PROGRAM = """
import sys
import taint
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from taint.testing import record

@taint.sink(purpose="advertising.audiences")
def upload(phone, again=None):
    return None

security = taint.label("+14155550100", purpose="security.mfa", source="shop.enrol")
both = taint.label("+14155550101", purpose=["security.mfa", "advertising"])
{setting}
"""
TWICE = "taint.configure(mode='report'); upload(security); upload(security)"
SUPPRESSED = """
rule = {"name": "no", "effect": "deny", "from": ["security"], "to": ["advertising"]}
borne = {"rule": "no", "sinks": ["*"], "reason": "known", "owner": "ads", "expires": "2999-01-01"}
taint.configure(policy={"mode": "report", "rules": [rule], "suppressions": [borne]})
upload(security)
"""


@pytest.mark.parametrize(
    ("setting", "lines"),
    [
        pytest.param(TWICE, 1, id="report"),
        pytest.param("taint.configure(mode='redact'); upload(security)", 1, id="redact"),
        pytest.param("taint.configure(mode='report'); upload(both)", 0, id="safe-twin"),
        pytest.param("taint.configure(mode='report', audit='audit.jsonl'); upload(security)", 0, id="audit"),
        pytest.param(f"trace.set_tracer_provider(TracerProvider()); {TWICE}", 0, id="telemetry"),
        pytest.param("with record(mode='report'): upload(security)", 0, id="record"),
        pytest.param("try: upload(security)\nexcept taint.PurposeViolationError: pass", 0, id="block"),
        pytest.param(SUPPRESSED, 0, id="suppressed"),
    ],
)
def test_first_violation_that_goes_on_unheard_is_logged(tmp_path: Path, setting: str, lines: int) -> None:
    """One warning a process names source, sink and mode, and no value; none where something else tells of it."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(setting=setting)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(taint.__file__).parent.parent)},
    )
    said = done.stderr.splitlines()
    assert len(said) == lines
    for line in said:
        assert "__main__.upload" in line
        assert "'shop.enrol'" in line
        assert "taint.configure(audit='audit.jsonl')" in line
        assert "4155550100" not in line
