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
from taint.telemetry.instrumentor import TaintInstrumentor
from tests.pipelines import Pipeline, pipeline

__all__ = ["pipeline"]

CHECKOUT = Path(__file__).resolve().parent.parent
PROGRAM = """
import hashlib, json
import taint
phone = taint.label("+14155550100", purpose="security.mfa")
digest = hashlib.sha256(phone.encode()).hexdigest()
print(json.dumps([bool(taint.labels_of(digest)), type(hashlib.sha256).__name__]))
"""


@pytest.fixture
def launched(tmp_path: Path) -> Path:
    """A folder on the path that declares the entry point, as the distribution does, and a program."""
    pytest.importorskip("opentelemetry.instrumentation.auto_instrumentation", reason="the launcher is not installed")
    folder = tmp_path / "own-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: own\nVersion: 1\n")
    (folder / "entry_points.txt").write_text(
        "[opentelemetry_instrumentor]\ntaint = taint.telemetry.instrumentor:TaintInstrumentor\n"
    )
    (tmp_path / "app.py").write_text(PROGRAM)
    return tmp_path


@pytest.mark.parametrize(
    ("environment", "is_on"),
    [
        ({}, True),
        ({"TAINT_MODE": "report"}, True),
        ({"TAINT_MODE": "off"}, False),
        ({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "taint"}, False),
    ],
)
def test_launcher_turns_it_on(launched: Path, environment: dict[str, str], is_on: bool) -> None:
    """A digest of a label's value carries it on, though the program never calls install; `off` patches nothing."""
    launcher = Path(sys.executable).with_name("opentelemetry-instrument")
    done = subprocess.run(
        [str(launcher), sys.executable, "app.py"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=launched,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(launched), str(CHECKOUT)]),
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            **environment,
        },
    )
    assert done.returncode == 0, done.stderr
    native = type(hashlib.sha256).__name__
    is_labelled, kind = json.loads(done.stdout)
    assert (is_labelled, kind != native) == (is_on, is_on)


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
