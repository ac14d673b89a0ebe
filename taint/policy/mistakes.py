"""Mistakes of a policy: named with file, line and key, all of them at once and not the first one only."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from taint.errors import ConfigurationError
from taint.policy.structure import Place

__all__ = ["Mistakes"]

T = TypeVar("T")

MAX_SAID = 20
"""How many mistakes are named at once."""


class Mistakes:
    """Mistakes of a file, gathered, and said together."""

    def __init__(self, origin: str, line_of: Callable[[Place], int | None]) -> None:
        self._origin, self._line_of = origin, line_of
        self.found: list[tuple[Place, str]] = []

    def attempt(self, place: Place, make: Callable[[], T], default: T) -> T:
        """Do something that may be refused; note why."""
        try:
            return make()
        except ConfigurationError as error:
            self.found.append((place, str(error)))
            return default

    def where(self, place: Place) -> str:
        """Write a place as `file:line: key`."""
        line: int | None = None
        for length in range(len(place), 0, -1):
            line = self._line_of(place[:length])
            if line is not None:
                break
        steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")
        return f"{self._origin}{'' if line is None else f':{line}'}: {steps or 'the file'}"

    def check(self) -> None:
        """Raise what was found."""
        if self.found:
            said = [f"{self.where(place)}: {what}" for place, what in self.found[:MAX_SAID]]
            if len(self.found) > MAX_SAID:
                said.append(f"and {len(self.found) - MAX_SAID} more.")
            raise ConfigurationError("\n".join(said))
