"""Zones: stretches of execution that run for one purpose.

Inside a zone, a labelled value that is compared, looked up or hashed is being used for the zone's
purpose, right there, before anything reaches a sink. That is how the match of 2019 is seen: what left
were user ids, which carry no label at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

from taint.carriers import observation
from taint.evidence import Evidence
from taint.flows.calls import Around, around_calls, function_name
from taint.flows.outcome import carry_out, flows_of
from taint.labels import Labels
from taint.modes import Mode, current_mode
from taint.purposes import purpose_key

__all__ = ["Zone", "current_zone", "zone"]

F = TypeVar("F")


@dataclass(frozen=True, slots=True, eq=False)
class Zone:
    """One stretch of execution, as findings name it.

    Args:
        purpose: What everything inside is done for.
        name: The zone's name, or that of the sink whose body it is.
        mode: What a violation inside does.
        owner: The `zone` that began it.
        outer: The zone around it, that holds again when it ends.
    """

    purpose: str
    name: str
    mode: Mode
    owner: zone
    outer: observation.Observer | None

    def observe(self, labels: Labels, operation: str) -> None:
        """Decide a comparison inside this zone.

        Raises:
            PurposeViolationError: The labels do not allow the purpose, and the mode is `block`.
        """
        if current_mode() is Mode.OFF:
            return
        token = observation.observer.set(None)  # What follows is the library's own work, not the program's.
        try:
            found = (((None, operation), labels),)
            carry_out(
                flows_of(found, sink=self.name, purpose=self.purpose, mode=self.mode, evidence=Evidence.COMPARISON)
            )
        finally:
            observation.observer.reset(token)


def current_zone() -> Zone | None:
    """Give the innermost zone here."""
    found = observation.observer.get()
    return found if isinstance(found, Zone) else None


class zone:  # noqa: N801  # Used as a statement and a decorator, like the standard library's context managers.
    """Run a stretch of code for one purpose: `with zone("advertising.audiences"):`, or as a decorator.

    Labels: a labelled value may be moved, counted and tested for presence (`is None`, truth, `len`,
    `== ""`) inside; comparing it, looking it up or hashing it is a use for the zone's purpose, and a
    violation where its labels do not allow that purpose (evidence `comparison`). The zone follows
    `await` and the tasks started inside it; it does not reach other tasks, threads or requests.

    Args:
        purpose: A purpose key.
        name: What findings name; the purpose by default, and the function where this is a decorator.
        mode: What a violation inside does; the mode of the process by default.

    Raises:
        ConfigurationError: The purpose or the mode is not usable as written.
    """

    def __init__(self, purpose: str, *, name: str | None = None, mode: str | None = None) -> None:
        """Check the arguments; nothing begins yet."""
        self._purpose = purpose_key(purpose)
        self._name = name
        self._mode = None if mode is None else Mode.parse(mode, setting="mode")

    def __enter__(self) -> Zone:
        """Begin the stretch."""
        observation.begin()
        entered = Zone(
            self._purpose, self._name or self._purpose, self._mode or current_mode(), self, observation.observer.get()
        )
        observation.observer.set(entered)
        return entered

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the stretch, and any that was left open inside it."""
        here = observation.observer.get()
        while isinstance(here, Zone):
            if here.owner is self:
                observation.observer.set(here.outer)
                return
            here = here.outer

    async def __aenter__(self) -> Zone:
        """Begin the stretch, as `async with`."""
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the stretch, as `async with`."""
        self.__exit__(kind, error, traceback)

    def __call__(self, function: F) -> F:
        """Decorate a function, coroutine function, generator or async generator: its body is the stretch."""
        named = zone(self._purpose, name=self._name or function_name(function), mode=self._mode)
        return around_calls(function, Around(stretch=lambda: named), decorator="zone")
