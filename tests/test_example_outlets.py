"""The example of outlets does what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


def test_outlets() -> None:
    """What may leave leaves; what may not is stopped, or replaced, by each way."""
    done = subprocess.run(
        [sys.executable, "-m", "examples.outlets"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=CHECKOUT,
    )
    assert done.stdout.splitlines() == [
        'the ad platform got: {"rows":[{"phone":"+14155550101"}]}',
        "not sent: ads.api json.rows[1].phone",
        "the file holds: ['17,[redacted]', '18,+14155550101']",
        "the log says: code sent to [redacted]",
    ]
