"""`configure`: the settings of the process, checked before any of them takes effect."""

from __future__ import annotations

from taint.evidence import KnownValues, current_known_values, set_known_values
from taint.modes import Mode, set_mode

__all__ = ["configure"]


def configure(*, mode: str | None = None, known_values: bool | KnownValues | None = None) -> None:
    """Change settings of the process.

    Labels: in mode `off` nothing is labelled or checked from here on; carriers that exist stay what they are.

    Args:
        mode: `block`, `report` or `off`. Before this is called it is what the environment variable
            `TAINT_MODE` says, else `block`.
        known_values: Whether sources remember keyed fingerprints of what they label, so that it is found at
            sinks where no label arrives (evidence `content` and `digest`). True for the default bounds, a
            `KnownValues` for others, False to forget all. Off before this is called: remembering a new value
            costs about as much as ten labels.

    Raises:
        ConfigurationError: There is no such mode.
    """
    if mode is not None:
        set_mode(Mode.parse(mode, setting="mode"))
    if known_values is True:
        set_known_values(current_known_values() or KnownValues())
    elif known_values is not None:
        set_known_values(known_values or None)
