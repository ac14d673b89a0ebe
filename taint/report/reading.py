"""Audit files as what people ask of them: where they are, which lines they have."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from taint.errors import ConfigurationError
from taint.telemetry.audit import segments

__all__ = ["STANDARD_INPUT", "lines_of", "trail_files"]

STANDARD_INPUT = "-"


def trail_files(audit: str) -> list[Path]:
    """Give the files of an audit trail: those that were rotated away first.

    Raises:
        ConfigurationError: There is none.
    """
    files = segments(Path(audit))
    if not files:
        raise ConfigurationError(
            f"no audit file at {audit!r}. An audit file is allowed, or '-' for standard input where a command says so. "
            "Name the file that taint.configure(audit=...) writes."
        )
    return files


def lines_of(audit: str) -> Iterator[bytes]:
    """Give the lines of an audit trail.

    Args:
        audit: The path of its current file, or `-` for standard input.

    Raises:
        ConfigurationError: There is no such file.
        OSError: It cannot be read.
    """
    if audit == STANDARD_INPUT:
        yield from sys.stdin.buffer
        return
    for file in trail_files(audit):
        with file.open("rb") as lines:
            yield from lines
