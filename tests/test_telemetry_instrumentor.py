"""Auto-instrumentation: OpenTelemetry's own launcher turns the library on, configured by the environment alone."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import taint
from taint.instrumentor import TaintInstrumentor
from tests.pipelines import Pipeline, pipeline

__all__ = ["pipeline"]

CHECKOUT = Path(__file__).resolve().parent.parent
PROGRAM = """
import hashlib, json, sys
import taint
from taint.evidence import current_known_values
import words
phone = taint.label("+14155550100", purpose="security.mfa")
digest = hashlib.sha256(phone.encode()).hexdigest()
upload = taint.sink(purpose="advertising", name="ads.upload", mode="report")(lambda rows: None)
upload(phone)
print(json.dumps({
    "digest": bool(taint.labels_of(digest)),
    "library": type(__import__("orjson").dumps).__name__ != "builtin_function_or_method",
    "package": bool(taint.labels_of(words.said(phone))),
    "patched": type(hashlib.sha256).__name__ != "builtin_function_or_method",
    "known": current_known_values() is not None,
}))
"""
OFF = dict.fromkeys(("digest", "library", "package", "patched", "known"), False)
ON = {**OFF, "digest": True, "library": True, "patched": True}


@pytest.fixture
def launched(tmp_path: Path) -> Path:
    """A folder on the path that declares the entry point, as the distribution does, and a program."""
    pytest.importorskip("opentelemetry.instrumentation.auto_instrumentation", reason="the launcher is not installed")
    pytest.importorskip("orjson", reason="orjson is not installed")
    folder = tmp_path / "own-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: own\nVersion: 1\n")
    (folder / "entry_points.txt").write_text(
        "[opentelemetry_instrumentor]\ntaint = taint.instrumentor:TaintInstrumentor\n"
    )
    (tmp_path / "app.py").write_text(PROGRAM)
    (tmp_path / "words.py").write_text("def said(text): return f'call {text} now'\n")
    return tmp_path


def start(folder: Path, command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder."""
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(folder), str(CHECKOUT)]),
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            **environment,
        },
    )


LAUNCHER = [str(Path(sys.executable).with_name("opentelemetry-instrument")), sys.executable, "app.py"]
RUN = [sys.executable, "-m", "taint", "run", "app.py"]
WHOLE = {"TAINT_PACKAGES": "words, other", "TAINT_KNOWN_VALUES": "true", "TAINT_AUDIT": "audit.jsonl"}


@pytest.mark.parametrize(
    ("command", "environment", "expected"),
    [
        (LAUNCHER, {}, ON),
        (LAUNCHER, WHOLE, {**ON, "package": True, "known": True}),
        (LAUNCHER, {**WHOLE, "TAINT_MODE": "off"}, OFF),
        (LAUNCHER, {"TAINT_INTEGRATIONS": "sqlite3", "TAINT_MODE": "report"}, {**ON, "library": False}),
        (LAUNCHER, {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "taint"}, OFF),
        (RUN, {}, ON),
        (RUN, WHOLE, {**ON, "package": True, "known": True}),
        (RUN, {**WHOLE, "TAINT_MODE": "off"}, OFF),
    ],
)
def test_launchers_turn_it_on(
    launched: Path, command: list[str], environment: dict[str, str], expected: dict[str, bool]
) -> None:
    """Operations, integrations, packages and the audit file are as the environment says, and `off` patches nothing."""
    done = start(launched, command, environment)
    assert done.returncode == 0, done.stderr
    # Where there is no audit file, and no SDK either, the violation itself is logged.
    assert [line for line in done.stderr.splitlines() if "nobody is told" not in line] == []
    assert json.loads(done.stdout) == expected
    is_audited = "TAINT_AUDIT" in environment and environment.get("TAINT_MODE") != "off"
    lines = (launched / "audit.jsonl").read_text().splitlines() if is_audited else []
    assert [json.loads(line)["sink"] for line in lines] == ["ads.upload"] * is_audited
    assert (launched / "audit.jsonl").exists() is is_audited


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"TAINT_KNOWN_VALUES": "maybe"}, "TAINT_KNOWN_VALUES is neither true nor false: 'maybe'."),
        ({"TAINT_INTEGRATIONS": "orjsn"}, "Did you mean 'orjson'?"),
        ({"TAINT_AUDIT": "nowhere/audit.jsonl"}, "no audit file at "),
        ({"TAINT_POLICY": "nowhere.toml"}, "nowhere.toml"),
    ],
)
def test_wrong_settings_are_said(launched: Path, environment: dict[str, str], message: str) -> None:
    """OpenTelemetry's launcher goes on without the library and logs why; `taint run` says it and does not begin."""
    done = start(launched, RUN, environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    (launched / "app.py").write_text("import hashlib; print(type(hashlib.sha256).__name__)")
    done = start(launched, LAUNCHER, environment)
    assert (done.returncode, done.stdout) == (0, "builtin_function_or_method\n")
    assert "purpose-taint could not be installed: " in done.stderr
    assert message in done.stderr


def test_providers_can_be_handed_over(pipeline: Pipeline) -> None:
    """Options that others need are ignored; providers are used; uninstrumenting restores the identical function."""
    native = hashlib.sha256
    instrumentor = TaintInstrumentor()
    instrumentor.instrument(skip_dep_check=True, tracer_provider=pipeline.tracer_provider)
    assert hashlib.sha256 is not native
    upload = taint.sink(purpose="advertising")(print)
    with pytest.raises(taint.PurposeViolationError):
        upload(taint.label("+14155550100", purpose="security.mfa"))
    assert len(pipeline.spans) == 1
    instrumentor.uninstrument()
    assert hashlib.sha256 is native
    assert instrumentor.instrumentation_dependencies() == ()


def test_distribution_declares_the_entry_points() -> None:
    """Where the distribution is installed, all three entry points can be loaded."""
    try:
        points = metadata.distribution("purpose-taint").entry_points
    except metadata.PackageNotFoundError:
        pytest.skip("the distribution is not installed")
    declared = {(point.group, point.name) for point in points}
    assert declared >= {("pytest11", "taint"), ("hypothesis", "taint"), ("opentelemetry_instrumentor", "taint")}
    for point in points:
        assert point.load()
