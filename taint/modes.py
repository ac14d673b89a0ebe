"""The mode of the library: what happens when labelled data reaches a sink of another purpose.

It lies below everything else, because `off` must cost nothing even in the lowest layer.
"""

from __future__ import annotations

import difflib
import os
from enum import StrEnum
from typing import NamedTuple

from taint.errors import ConfigurationError
from taint.guard import shown

__all__ = ["Mode", "ModeState", "current_mode", "is_off", "mode_state", "restore_mode", "set_mode", "set_policy_mode"]


class Mode(StrEnum):
    """What a violation does."""

    BLOCK = "block"
    """Raise `PurposeViolationError` before the sink's body runs."""
    REPORT = "report"
    """Emit telemetry and go on."""
    REDACT = "redact"
    """Hand the sink the value with its labelled ranges replaced, and emit telemetry."""
    OFF = "off"
    """Patch nothing, label nothing, check nothing."""

    @classmethod
    def parse(cls, name: str, *, setting: str) -> Mode:
        """Read a mode by its name.

        Args:
            name: `block`, `report`, `redact` or `off`.
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
            given: object = name
            said = shown(given) if isinstance(given, str) else given
            msg = f"{setting} is not a mode: {said!r}. The modes are {modes}. {hint}"
            raise ConfigurationError(msg) from None


_current = Mode.parse(os.environ.get("TAINT_MODE", Mode.BLOCK), setting="TAINT_MODE")
_is_explicit = "TAINT_MODE" in os.environ
_is_of_policy = False


def current_mode() -> Mode:
    """Give the mode that holds for the whole process."""
    return _current


_OFF = Mode.OFF  # Python 3.11 takes longer to find a member of an enumeration than to call a function.


def is_off() -> bool:
    """Tell whether nothing is labelled or checked in the whole process: asked by every label and sink."""
    return _current is _OFF


def set_mode(mode: Mode, *, is_explicit: bool = False) -> Mode:
    """Set the mode for the whole process and give the one before.

    Args:
        mode: The mode.
        is_explicit: Whether it holds against what a policy says, now and later.
    """
    global _current, _is_explicit  # noqa: PLW0603  # The one setting of the process; everything else is passed.
    before, _current = _current, mode
    _is_explicit = _is_explicit or is_explicit
    return before


def set_policy_mode(mode: Mode | None) -> None:
    """Set the mode that a policy gives; what was set explicitly, in code or by `TAINT_MODE`, holds against it."""
    global _current, _is_of_policy  # noqa: PLW0603  # As above.
    if not _is_explicit:
        if mode is not None:
            _current = mode
        elif _is_of_policy:
            _current = Mode.BLOCK
    _is_of_policy = mode is not None


class ModeState(NamedTuple):
    """The mode and who set it, to be put back."""

    mode: Mode
    is_explicit: bool
    is_of_policy: bool


def mode_state() -> ModeState:
    """Give the mode and who set it."""
    return ModeState(_current, _is_explicit, _is_of_policy)


def restore_mode(state: ModeState) -> None:
    """Put back what `mode_state` gave."""
    global _current, _is_explicit, _is_of_policy  # As above.
    _current, _is_explicit, _is_of_policy = state
