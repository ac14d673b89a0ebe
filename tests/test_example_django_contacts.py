"""The Django example does what its first lines say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "facts"), [("block", 4), ("off", 1)])
def test_all_holds(mode: str, facts: int) -> None:
    """With the library the security number stays; without it, it goes out with the others."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "examples.django_contacts"],
        cwd=CHECKOUT,
        env={**os.environ, "TAINT_MODE": mode},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["held"] * facts
