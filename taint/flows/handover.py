"""Handing a zone over to pools, and not handing it over to requests.

What is submitted inside a zone runs in it, on whatever thread or process; a request begins in none.

Context variables do not follow into an executor's threads, and cannot follow into another process.
`concurrent.futures` and `multiprocessing.pool` have no event for what is submitted, so that their
methods are wrapped. A worker that is forked while a zone is open would keep it for all its work: it is
taken off in the child.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, NamedTuple

from taint.carriers import observation, values
from taint.evidence.current import of_tenant
from taint.flows import selection
from taint.flows.discovery import begin_scope, is_discovering, scope_here
from taint.flows.zones import Zone
from taint.modes import Mode
from taint.policy import Flow
from taint.propagation import add_patches
from taint.propagation.patches import Patch

__all__ = ["clean_state", "leave_all", "pool_patches", "process_patches", "thread_patches"]


class clean_state:  # noqa: N801  # Used as a statement, as `zone` is.
    """Run one request's work with no zone and no tenant of anybody else: `with clean_state():`.

    A server's thread or task does one request after the other, and one of them may have left a zone open.
    Afterwards it is as it was before.
    """

    __slots__ = ("_before",)
    _before: tuple[Any, ...] | None

    def __enter__(self) -> None:
        """Begin with nothing."""
        self._before = None
        if observation.active or values.collector is not None:  # Else no zone was ever entered, and no tenant named.
            if is_discovering():
                self._before = tuple(variable.get() for variable in _VARIABLES)
                _set(_NOTHING)
                begin_scope()
            elif not _is_nothing():
                self._before = tuple(variable.get() for variable in _VARIABLES)
                _set(_NOTHING)

    def __exit__(self, *_exc_info: object) -> None:
        """Have what was there."""
        if self._before is not None:
            _set(self._before)
        else:
            leave_all()


_VARIABLES: tuple[ContextVar[Any], ...] = (
    observation.observer,
    observation.collecting,
    of_tenant,
    selection.held,
    scope_here,
)
_NOTHING = (None,) * len(_VARIABLES)


_observer, _collecting, _tenant, _held, _scope = (variable.get for variable in _VARIABLES)


def _is_nothing() -> bool:
    """Tell whether there is nothing here: to ask costs a tenth of what it costs to set."""
    return _observer() is None and _collecting() is None and _tenant() is None and _held() is None and _scope() is None


def _set(given: tuple[Any, ...]) -> None:
    # Not reset by token: a coroutine that is thrown away may be closed in another context.
    for variable, value in zip(_VARIABLES, given, strict=True):
        variable.set(value)


def leave_all() -> None:
    """Leave whatever zone and tenant there is here."""
    if (observation.active or values.collector is not None) and not _is_nothing():
        _set(_NOTHING)


class _Handed(NamedTuple):
    """A zone as it goes to another thread or process; its purposes and names, nothing else."""

    purpose: str
    name: str
    mode: Mode | None
    widens: tuple[str, ...]
    collecting: str | None


class _InZone:
    """A function that runs in a zone, and can be pickled where the function can."""

    __slots__ = ("_compared", "_function", "_handed")

    def __init__(self, function: Callable[..., Any], handed: _Handed, compared: list[Flow] | None = None) -> None:
        self._function, self._handed, self._compared = function, handed, compared

    def __reduce__(self) -> tuple[type[_InZone], tuple[Callable[..., Any], _Handed]]:
        return _InZone, (self._function, self._handed)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        purpose, name, mode, widens, collecting = self._handed
        observation.begin()
        token = observation.observer.set(Zone(purpose, name, mode, widens=widens))
        collecting_token = observation.collecting.set(collecting)
        # A thread shares what the zone has compared; to another process it is not sent.
        compared_token = selection.held.set([] if self._compared is None else self._compared)
        try:
            return self._function(*args, **kwargs)
        finally:
            selection.held.reset(compared_token)
            observation.collecting.reset(collecting_token)
            observation.observer.reset(token)


def _handing(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    here = observation.observer.get()
    if not isinstance(here, Zone):
        return wrapped(*args, **kwargs)
    handed = _Handed(here.purpose, here.name, here.mode, here.widens, observation.collecting.get())
    compared = selection.held.get()
    if args:
        return wrapped(_InZone(args[0], handed, compared), *args[1:], **kwargs)
    if callable(kwargs.get("func")):  # What `multiprocessing.pool` calls it; executors take it by position only.
        return wrapped(**{**kwargs, "func": _InZone(kwargs["func"], handed, compared)})
    return wrapped(**kwargs)


def thread_patches(module: Any) -> Iterator[Patch]:
    """Give what to wrap in `concurrent.futures.thread`; the executor's `map` calls `submit`."""
    yield Patch(module.ThreadPoolExecutor, "submit", _handing)


def process_patches(module: Any) -> Iterator[Patch]:
    """Give what to wrap in `concurrent.futures.process`; the executor's `map` calls `submit`."""
    yield Patch(module.ProcessPoolExecutor, "submit", _handing)


def pool_patches(module: Any) -> Iterator[Patch]:
    """Give what to wrap in `multiprocessing.pool`; `apply` calls `apply_async`."""
    for name in ("apply_async", "map", "map_async", "starmap", "starmap_async", "imap", "imap_unordered"):
        yield Patch(module.Pool, name, _handing)


add_patches("concurrent.futures.thread", thread_patches)
add_patches("concurrent.futures.process", process_patches)
add_patches("multiprocessing.pool", pool_patches)
os.register_at_fork(after_in_child=leave_all)
