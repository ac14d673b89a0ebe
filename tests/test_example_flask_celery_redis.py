"""The example on Flask, Celery and Redis does what its first lines say."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

for _name in ("celery", "flask", "httpx", "redis"):
    pytest.importorskip(_name, reason=f"the extra {_name!r} is not installed")

CHECKOUT = Path(__file__).resolve().parent.parent


def run(**environment: str) -> subprocess.CompletedProcess[str]:
    """Run the example as its users do."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "examples.flask_celery_redis"],
        cwd=CHECKOUT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("redis-server") is None, reason="Redis is not installed")
@pytest.mark.parametrize(("mode", "facts"), [("block", 6), ("off", 1)])
def test_all_holds(mode: str, facts: int) -> None:
    """With the library the security number stays; without it, it goes out with the others."""
    done = run(TAINT_MODE=mode)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["held"] * facts


def test_without_redis(tmp_path: Path) -> None:
    """Where Redis is not installed the program says what to do, and ends with 2."""
    done = run(PATH=str(tmp_path))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: Redis is not installed: 'redis-server' is not on PATH.")
