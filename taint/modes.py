"""The mode of the library: what happens when labelled data reaches a sink of another purpose.

It lies below everything else, because `off` must cost nothing even in the lowest layer.
"""

from __future__ import annotations

import difflib
import os
from enum import StrEnum

from taint.errors import ConfigurationError

__all__ = ["Mode", "current_mode", "set_mode"]


class Mode(StrEnum):
    """What a violation does."""

    BLOCK = "block"
    """Raise `PurposeViolationError` before the sink's body runs."""
    REPORT = "report"
    """Emit telemetry and go on."""
    OFF = "off"
    """Patch nothing, label nothing, check nothing."""

    @classmethod
    def parse(cls, name: str, *, setting: str) -> Mode:
        """Read a mode by its name.

        Args:
            name: `block`, `report` or `off`.
            setting: What the name was given as, for the message.

        Raises:
            ConfigurationError: There is no such mode.
        """
        try:
            return cls(name)
        except ValueError:
            near = difflib.get_close_matches(str(name).lower(), [mode.value for mode in cls], n=1)
            hint = f"Did you mean {str(near[0])!r}?" if near else "Use 'report' to begin with."
            modes = ", ".join(repr(mode.value) for mode in cls)
            msg = f"{setting} is not a mode: {name!r}. The modes are {modes}. {hint}"
            raise ConfigurationError(msg) from None


_current = Mode.parse(os.environ.get("TAINT_MODE", Mode.BLOCK), setting="TAINT_MODE")


def current_mode() -> Mode:
    """Give the mode that holds for the whole process."""
    return _current


def set_mode(mode: Mode) -> Mode:
    """Set the mode for the whole process and give the one before."""
    global _current  # The one setting of the process; everything else is passed.
    before, _current = _current, mode
    return before
