"""Reading a policy's file: `taint.toml`, or `[tool.taint]` in pyproject.toml, and where in it a mistake stands."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from taint.errors import ConfigurationError
from taint.policy.making import make_policy
from taint.policy.rules import Policy
from taint.policy.structure import Place

__all__ = ["MAX_BYTES", "has_policy", "load_policy"]

MAX_BYTES = 1 << 20
"""The largest file that is read: a policy of 5,000 rules is about half of it."""


def load_policy(path: str | Path, *, environment: str | None = None) -> Policy:
    """Read a policy file.

    Args:
        path: A TOML file; of `pyproject.toml` its table `[tool.taint]`.
        environment: Which of the file's environments holds; none by default.

    Raises:
        ConfigurationError: It cannot be read, is too large, is not UTF-8 or not TOML, or says something that
            cannot be meant. The message names file, line, key and what was expected.
    """
    path = Path(path)
    text = _read(path)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r" \(at line (\d+), column (\d+)\)", str(error))
        line = found[1] if found else _whole(text.splitlines(keepends=True))[0] + 1
        what = str(error).replace(found[0], f" in column {found[2]}") if found else str(error)
        msg = f"{path}:{line}: not TOML: {what}. Correct the line."
        raise ConfigurationError(msg) from None
    top: Place = ()
    if path.name == "pyproject.toml":
        top = ("tool", "taint")
        table = table.get("tool", {}).get("taint", {})
    return make_policy(
        table, environment=environment, origin=str(path), line_of=lambda place: _line_of(text, (*top, *place))
    )


def has_policy(path: Path) -> bool:
    """Tell whether a file is a policy, or a pyproject.toml with one."""
    if path.name != "pyproject.toml":
        return path.is_file()
    try:
        return "taint" in tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {})
    except (OSError, ValueError):
        return False  # Whatever else reads this file says what is wrong with it.


def _read(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            msg = (
                f"{path}: the policy file has {size} bytes. At most {MAX_BYTES} are read. "
                "Name the file that holds the policy, or take out what is not one."
            )
            raise ConfigurationError(msg)
        data = path.read_bytes()
    except OSError as error:
        msg = f"{path}: the policy file cannot be read: {error.strerror or type(error).__name__}. Check the path."
        raise ConfigurationError(msg) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        msg = f"{path}:{line}: not UTF-8 at byte {error.start}. A policy file is text in UTF-8. Save it as UTF-8."
        raise ConfigurationError(msg) from None


def _whole(lines: list[str]) -> tuple[int, Any]:
    """Read the longest beginning of some lines in which no statement is cut off; how many lines, and what they say."""
    count = len(lines)
    while True:
        try:
            return count, tomllib.loads("".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            count -= 1


def _line_of(text: str, place: Place) -> int | None:
    """Find the line where a key stands.

    The parser gives no positions. But a beginning of a file is a file too: the statement that puts something
    at a place ends with the shortest beginning that has it, and begins after the longest one before that.
    """
    lines = text.splitlines(keepends=True)

    def holds(count: int) -> bool:
        found = _whole(lines[:count])[1]
        for step in place:
            try:
                found = found[step]
            except (KeyError, IndexError, TypeError):
                return False
        return True

    if not holds(len(lines)):
        return None
    low, high = 0, len(lines)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return _whole(lines[: low - 1])[0] + 1
