"""One way to stand around a call, for every kind of function.

`source`, `sink` and `zone` differ only in what they do before the body, with what it gives, and in
which zone it runs. wrapt keeps the function what it was for people, `inspect` and type checkers, and
binds methods, class methods and static methods.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import types
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar, cast

from taint.errors import ConfigurationError
from taint.flows.decorated import Decorated
from taint.modes import is_off

__all__ = [
    "LAZY",
    "LAZY_KINDS",
    "Around",
    "Bound",
    "Parameters",
    "around_calls",
    "by_name",
    "function_name",
    "misplaced",
]

F = TypeVar("F")
P = ParamSpec("P")
R = TypeVar("R")


_EMPTY: tuple[Iterable[object], ...] = ([], (), set(), {}, {}.values(), {}.items(), deque(), OrderedDict())
LAZY: tuple[Any, ...] = (
    *(types.GeneratorType, map, filter, zip, enumerate, reversed),
    *(type(iter(items)) for items in _EMPTY),
    *(itertools.chain, itertools.islice, itertools.starmap, itertools.takewhile, itertools.dropwhile),
    *(itertools.filterfalse, itertools.compress, itertools.zip_longest, itertools.pairwise),
)
"""Iterators that have nothing but their items: another one can stand in for them."""
LAZY_KINDS = frozenset(LAZY)
"""The same to look an exact type up in: that takes no longer for a long list."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The names by which a function's arguments are shown and found."""

    positional: tuple[str, ...]
    named: frozenset[str]
    rest: str | None

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Parameters:
        """Read them from the signature; none where a callable in C does not tell."""
        try:
            found = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            return cls((), frozenset(), "args")
        positional = tuple(p.name for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD))
        rest = next((p.name for p in found if p.kind is p.VAR_POSITIONAL), None)
        return cls(positional, frozenset(p.name for p in found if p.kind is not p.VAR_POSITIONAL), rest)


@dataclass(slots=True)
class Bound:
    """One call: its arguments and what they are called."""

    parameters: Parameters
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    is_method: bool

    def name_at(self, index: int) -> str:
        """Give the name of the positional argument at an index, not counting the instance of a method."""
        index += self.is_method
        names = self.parameters.positional
        return names[index] if index < len(names) else f"{self.parameters.rest or 'args'}[{index - len(names)}]"

    def get(self, name: str) -> Any:
        """Give the argument of a name; None where it was left out."""
        if name in self.kwargs:
            return self.kwargs[name]
        names = self.parameters.positional[self.is_method :]
        index = names.index(name) if name in names else len(self.args)
        return self.args[index] if index < len(self.args) else None


@dataclass(frozen=True, slots=True)
class Around:
    """What stands around the calls of one function.

    Args:
        before: Looks at a call right before the body begins, and may change its arguments.
        after: Gives what the caller gets for what the body gave, or a generator yielded.
        stretch: Gives the zone that the body runs in.
        steps: Gives the zone for all steps of one generator, entered for each.
    """

    before: Callable[[Bound], None] | None = None
    after: Callable[[Any, Bound], Any] | None = None
    stretch: Callable[[], AbstractContextManager[object]] = nullcontext
    steps: Callable[[], AbstractContextManager[object]] = nullcontext


def function_name(function: Any) -> str:
    """Give the dotted name of a function, as OpenTelemetry's `code.function.name` has it.

    A partial function has that of the function that it calls, an object that can be called that of its class.
    """
    while isinstance(function, functools.partial):
        function = function.func
    if not hasattr(function, "__qualname__"):
        function = type(function)
    return f"{getattr(function, '__module__', '?')}.{function.__qualname__}"


def by_name(example: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Have a maker of decorators, which takes everything by name, say what to write where it got something without.

    Args:
        example: How it is written.
    """

    def around(make: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(make)
        def made(*args: P.args, **kwargs: P.kwargs) -> R:
            if args:
                raise misplaced(args[0], example)
            return make(*args, **kwargs)

        return made

    return around


def misplaced(given: object, example: str) -> ConfigurationError:
    """Make the error for what stands where a decorator's purpose belongs: mostly the function that it is to stand on.

    Args:
        given: What it got. It may be a value, and is shown only where it is a function.
        example: How the decorator is written.
    """
    name = example.partition("(")[0]
    if callable(given) or isinstance(given, classmethod | staticmethod | property):
        what = f"{name} stands on {function_name(given)!r} without parentheses. It needs to be told a purpose."
    else:
        what = f"{name} got something without a name. It takes all that it is told by name."
    return ConfigurationError(f"{what} Write {example}.")


def around_calls(function: F, around: Around, *, decorator: str) -> F:
    """Stand around every call of a function.

    Args:
        function: A function, method, class or static method, coroutine function, generator or async
            generator function, or another callable.
        around: What to do there.
        decorator: The name of the decorator, for messages.

    Returns:
        The function, wrapped. In mode `off` a call goes straight through.

    Raises:
        ConfigurationError: It cannot be called, or is a class.
    """
    inner: Any = (
        getattr(function, "__func__", function) if isinstance(function, classmethod | staticmethod) else function
    )
    if isinstance(function, type) or not callable(inner):
        what, remedy = "something that is not callable", "Decorate the function that does the work."
        if isinstance(function, type):
            what = "a class"
        elif isinstance(function, property | functools.cached_property):
            what, remedy = "a property", f"Write it below, between that and the function: @taint.{decorator}(...)."
        msg = (
            f"@taint.{decorator} stands on {what}: {getattr(function, '__name__', type(function).__name__)!r}. "
            f"It belongs on a function, a method, a coroutine function or a generator function. {remedy}"
        )
        raise ConfigurationError(msg)
    parameters = Parameters.of(inner)
    run = _runner(inner)

    def wrapper(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        __tracebackhide__ = True  # As in `carry_out`.
        if is_off():
            return wrapped(*args, **kwargs)
        is_method = instance is not None and not isinstance(function, staticmethod)
        return run(wrapped, Bound(parameters, args, kwargs, is_method), around)

    wrapped_function: Any = function
    return cast("F", Decorated(wrapped_function, wrapper))


def _runner(function: Callable[..., Any]) -> Callable[[Any, Bound, Around], Any]:
    if inspect.isasyncgenfunction(function):
        return _run_async_generator
    if inspect.iscoroutinefunction(function):
        return _run_coroutine
    if inspect.isgeneratorfunction(function):
        return _run_generator
    return _run


def _run(wrapped: Any, bound: Bound, around: Around) -> Any:
    __tracebackhide__ = True  # As in `carry_out`.
    if around.before is not None:
        around.before(bound)
    with around.stretch():
        result = wrapped(*bound.args, **bound.kwargs)
    if around.after is None:
        return result
    if isinstance(result, types.GeneratorType):
        return _steps_of(result, bound, Around(after=around.after))
    if isinstance(result, LAZY):
        return (around.after(item, bound) for item in result)
    return around.after(result, bound)


async def _run_coroutine(wrapped: Any, bound: Bound, around: Around) -> Any:
    __tracebackhide__ = True  # As in `carry_out`.
    if around.before is not None:
        around.before(bound)
    with around.stretch():
        result = await wrapped(*bound.args, **bound.kwargs)
    return result if around.after is None else around.after(result, bound)


def _run_generator(wrapped: Any, bound: Bound, around: Around) -> Generator[Any, Any, Any]:
    """Run a generator's body in the zone, and its consumer outside of it: each step goes in and out again."""
    if around.before is not None:
        around.before(bound)
    return (yield from _steps_of(wrapped(*bound.args, **bound.kwargs), bound, around))


def _steps_of(generator: Generator[Any, Any, Any], bound: Bound, around: Around) -> Generator[Any, Any, Any]:
    step: Callable[[Any], Any] = generator.send
    given, stretch = None, around.steps()
    while True:
        try:
            with stretch:
                item = step(given)
        except StopIteration as stop:
            return stop.value
        if around.after is not None:
            item = around.after(item, bound)
        try:
            given = yield item
            step = generator.send
        except GeneratorExit:
            with stretch:
                generator.close()
            raise
        except BaseException as error:  # noqa: BLE001  # Whatever is thrown in belongs to the body.
            step, given = generator.throw, error


async def _run_async_generator(wrapped: Any, bound: Bound, around: Around) -> AsyncGenerator[Any, Any]:
    """Do for an async generator what `_run_generator` does."""
    if around.before is not None:
        around.before(bound)
    generator = wrapped(*bound.args, **bound.kwargs)
    step, given, stretch = generator.asend, None, around.steps()
    while True:
        try:
            with stretch:
                item = await step(given)
        except StopAsyncIteration:
            return
        if around.after is not None:
            item = around.after(item, bound)
        try:
            given = yield item
            step = generator.asend
        except GeneratorExit:
            with stretch:
                await generator.aclose()
            raise
        except BaseException as error:  # noqa: BLE001  # Whatever is thrown in belongs to the body.
            step, given = generator.athrow, error
