"""`configure`: the settings of the process, checked before any of them takes effect."""

from __future__ import annotations

from taint.modes import Mode, set_mode

__all__ = ["configure"]


def configure(*, mode: str | None = None) -> None:
    """Change settings of the process.

    Labels: in mode `off` nothing is labelled or checked from here on; carriers that exist stay what they are.

    Args:
        mode: `block`, `report` or `off`. Before this is called it is what the environment variable
            `TAINT_MODE` says, else `block`.

    Raises:
        ConfigurationError: There is no such mode.
    """
    if mode is not None:
        set_mode(Mode.parse(mode, setting="mode"))
