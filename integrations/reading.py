"""What the classes of labelled requests have in common: the framework itself reads them plain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["ReadsPlain"]


class ReadsPlain:
    """Stands before the class of a request whose fields are labelled when the application reads them."""

    _taint_reads = False
    """The framework reads, plain, what is labelled afterwards."""

    def _taint_native(self, read: Callable[[], Any]) -> Any:
        """Have the framework read plain. Labels: put on what it gives by whoever calls this."""
        self._taint_reads, before = True, self._taint_reads
        try:
            return read()
        finally:
            self._taint_reads = before
