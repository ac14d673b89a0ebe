"""Write docs/losses.md anew: `python -m tests.losses`."""

from __future__ import annotations

from tests.losses.table import PAGE, page

PAGE.write_text(page(), encoding="utf-8")
