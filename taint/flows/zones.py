"""Zones: stretches of execution that run for one purpose.

Inside a zone, a labelled value that is compared, looked up or hashed is being used for the zone's
purpose, right there, before anything reaches a sink. That is how the match of 2019 is seen: what left
were user ids, which carry no label at all.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

from taint.carriers import observation
from taint.evidence import Evidence
from taint.flows import selection
from taint.flows.calls import Around, around_calls, function_name, misplaced
from taint.flows.finding import flows_of
from taint.flows.outcome import carry_out, is_heard
from taint.labels import Labels
from taint.modes import Mode, is_off
from taint.policy import Flow, current_decider
from taint.purposes import purpose_key

__all__ = ["Zone", "current_zone", "entered", "zone"]

F = TypeVar("F")


@dataclass(frozen=True, slots=True, eq=False)
class Zone:
    """One stretch of execution, as findings name it.

    Args:
        purpose: What everything inside is done for.
        name: The zone's name, or that of the sink whose body it is.
        mode: What the code says that a violation inside does; None leaves it to the policy and the process.
        owner: The `zone` that began it; None for one that was handed over to a pool.
        outer: The zone around it, that holds again when it ends.
        widens: Purposes of zones around that it neither narrows nor may enter: data is used for them too.
    """

    purpose: str
    name: str
    mode: Mode | None
    owner: zone | None = None
    outer: observation.Observer | None = None
    widens: tuple[str, ...] = ()

    def observe(self, labels: Labels, operation: str) -> None:
        """Decide a use inside this zone: a comparison, or loading.

        Raises:
            PurposeViolationError: The labels do not allow the purpose, and the mode is `block`.
        """
        if is_off():
            return
        token = observation.observer.set(observation.NOBODY)  # What follows is not the program's work.
        try:
            found = (((None, operation), labels),)
            keep_allowed = is_heard()
            flows = [
                flow
                for purpose in (self.purpose, *self.widens)
                for flow in flows_of(
                    found,
                    sink=self.name,
                    purpose=purpose,
                    mode=self.mode,
                    evidence=Evidence.COMPARISON,
                    keep_allowed=keep_allowed,
                )
            ]
            if flows:
                carry_out(flows)
                compared = selection.held.get()
                if compared is not None:
                    selection.remember(compared, flows)
        finally:
            observation.observer.reset(token)


def entered(purpose: str, name: str, mode: Mode | None, owner: zone | None, outer: observation.Observer | None) -> Zone:
    """Make the zone that begins inside another one.

    It narrows where its purpose is the outer one's or below it. Where it is not, and the policy has no
    `[[zones]]` for it, what is done inside is done for the outer purposes too: a zone around cannot be got
    rid of by entering another one.
    """
    widens: tuple[str, ...] = ()
    if isinstance(outer, Zone):
        may_enter = current_decider().may_enter
        widens = tuple(one for one in (outer.purpose, *outer.widens) if one != purpose and not may_enter(one, purpose))
    return Zone(purpose, name, mode, owner, outer, widens)


def current_zone() -> Zone | None:
    """Give the innermost zone here."""
    found = observation.observer.get()
    return found if isinstance(found, Zone) else None


def _collecting(here: observation.Observer | None) -> str | None:
    """Give the purpose that the nearest zone that collects gives."""
    while isinstance(here, Zone):
        if here.owner is not None and here.owner.collects:
            return here.purpose
        here = here.outer
    return None


class zone:  # noqa: N801  # Used as a statement and a decorator, like the standard library's context managers.
    """Run a stretch of code for one purpose: `with zone("advertising.audiences"):`, or as a decorator.

    Labels: a labelled value may be moved, counted and tested for presence (`is None`, truth, `len`,
    `== ""`) inside; loading it from a source, comparing it, looking it up or hashing it is a use for the
    zone's purpose, and a violation where its labels do not allow that purpose (evidence `comparison`). In
    mode `redact` it is reported: there is nothing to replace.

    In mode `report` what comes out of a violating comparison is remembered until the outermost zone ends: a sink
    that gets ids there, without a label of their own, is told which comparison selected them.

    The zone follows `await`, the tasks started inside it and `asyncio.to_thread`; with `taint.install()` also
    what is handed to thread and process pools. It does not reach other tasks, threads or requests. A zone
    inside another narrows it, or what is done inside is done for both purposes, unless the policy's
    `[[zones]]` says that it may be entered from there.

    Args:
        purpose: A purpose key.
        name: What findings name; the purpose by default, and the function where this is a decorator.
        mode: What a violation inside does; what the policy says by default, else the mode of the process.
        collects: Whether what is collected inside without a purpose of its own is collected for this one.

    Raises:
        ConfigurationError: The purpose or the mode is not usable as written.
    """

    def __init__(
        self, purpose: str, *, name: str | None = None, mode: str | None = None, collects: bool = False
    ) -> None:
        """Check the arguments; nothing begins yet."""
        if callable(purpose):
            raise misplaced(purpose, "@taint.zone('advertising.audiences')")
        self._purpose = purpose_key(purpose)
        self._name = name
        self._mode = None if mode is None else Mode.parse(mode, setting="mode")
        self.collects = collects
        # What begins where there is no zone around, made once: making one costs more than entering it.
        self._alone = Zone(self._purpose, self._name or self._purpose, self._mode, self)

    def __enter__(self) -> Zone:
        """Begin the stretch."""
        observation.begin()
        outer = observation.observer.get()
        begun = self._alone
        if outer is None:
            selection.held.set([])
        else:
            begun = entered(begun.purpose, begun.name, begun.mode, self, outer)
        observation.observer.set(begun)
        if self.collects:
            observation.collecting.set(self._purpose)
        return begun

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the stretch, and any that was left open inside it."""
        here = observation.observer.get()
        if here is self._alone and not self.collects:
            observation.observer.set(None)
            selection.held.set(None)
            return
        while isinstance(here, Zone):
            if here.owner is self:
                observation.observer.set(here.outer)
                if here.outer is None:
                    selection.held.set(None)
                observation.collecting.set(_collecting(here.outer))
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
        name = self._name or function_name(function)
        named = zone(self._purpose, name=name, mode=self._mode, collects=self.collects)
        return around_calls(function, Around(stretch=lambda: named, steps=named.steps), decorator="zone")

    def steps(self) -> AbstractContextManager[object]:
        """Give the stretch for the steps of one generator, which is entered anew for each of them."""
        return _Steps(self)


class _Steps:
    """The steps of one generator's body: what was compared in one of them is remembered in the next."""

    __slots__ = ("_compared", "_zone")

    def __init__(self, around: zone) -> None:
        self._zone = around
        self._compared: list[Flow] = []

    def __enter__(self) -> None:
        if self._zone.__enter__().outer is None:
            selection.held.set(self._compared)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._zone.__exit__(kind, error, traceback)
