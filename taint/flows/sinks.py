"""Sinks: the functions that use data for a purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any, TypeVar

from taint.flows.admission import admitted, admitted_all, are_clear, told_as_clear
from taint.flows.calls import LAZY, Around, Bound, around_calls, by_name, function_name
from taint.flows.declared import SINKS, declare
from taint.flows.discovery import discovered_flows
from taint.flows.finding import flows_at
from taint.flows.outcome import carry_out, worst_of
from taint.flows.selection import selected_flows
from taint.flows.zones import zone
from taint.guard import shown
from taint.modes import Mode, is_off
from taint.policy import Outcome, Verdict
from taint.purposes import purpose_key
from taint.telemetry import count_check

__all__ = ["check", "sink"]

F = TypeVar("F")


@by_name("@taint.sink(purpose='advertising.audiences')")
def sink(*, purpose: str, name: str | None = None, mode: str | None = None) -> Callable[[F], F]:
    """Check what a function receives against the purpose it uses data for.

    Labels: every argument is looked into before the body runs; each label must allow the purpose. The
    items of a generator are checked as the body takes them. The body runs in a zone of the purpose:
    what it loads and compares is checked too. The object that a method is called on is not looked into, since it
    may hold anything: what it gives away of itself goes through an argument, or through `taint.check`.

    Args:
        purpose: What the function uses data for, such as `advertising.audiences`.
        name: What findings name; the function's dotted name by default.
        mode: What a violation does here; what the policy says of the sink by default, else the mode of the process.

    Raises:
        ConfigurationError: The purpose or mode is not usable as written, or it stands on something that is
            not a function.
        PurposeViolationError: At a call, in mode `block`, before the body runs (of a coroutine or
            generator: where its body would begin).
    """
    key = purpose_key(purpose)
    own_mode = None if mode is None else Mode.parse(mode, setting="mode")

    def decorate(function: F) -> F:
        sink_name = name or function_name(function)
        declare(SINKS, sink_name, function)
        body = zone(key, name=sink_name, mode=own_mode)

        def checked_items(items: Any, root: str) -> Iterator[Any]:
            for index, item in enumerate(items):
                yield admitted(item, f"{root}[{index}]", sink=sink_name, purpose=key, mode=own_mode, is_item=True)

        def check_arguments(bound: Bound) -> None:
            __tracebackhide__ = True  # As in `carry_out`.
            begun = perf_counter()
            SINKS.reached.add(sink_name)
            if are_clear((*bound.args, *bound.kwargs.values()), sink=sink_name, purpose=key):
                count_check(sink_name, key, Outcome.ALLOWED, perf_counter() - begun)
                return
            values = [(bound.name_at(index), value) for index, value in enumerate(bound.args)]
            values += bound.kwargs.items()
            if told_as_clear(values, sink=sink_name, purpose=key, mode=own_mode):
                return
            admitted_values = admitted_all(values, sink=sink_name, purpose=key, mode=own_mode)
            received = [
                checked_items(value, root) if isinstance(value, LAZY) else value
                for (root, _), value in zip(values, admitted_values, strict=True)
            ]
            count = len(bound.args)
            bound.args, bound.kwargs = tuple(received[:count]), dict(zip(bound.kwargs, received[count:], strict=True))

        return around_calls(
            function, Around(before=check_arguments, stretch=lambda: body, steps=body.steps), decorator="sink"
        )

    return decorate


def check(value: object, *, purpose: str, sink: str) -> Verdict:
    """Check a value against a purpose, without a decorated function.

    Labels: read, not changed. A violation is emitted as it is at a decorated sink, in every mode, but
    never raised: what to do is the caller's.

    Args:
        value: Anything; containers are looked into.
        purpose: What it is about to be used for.
        sink: What findings name, such as `crm.export`; a labelled text is not shown.

    Returns:
        The verdict, with one flow for each source and place.

    Raises:
        ConfigurationError: The purpose is not usable as written.
    """
    key = purpose_key(purpose)
    if is_off():
        return Verdict(Outcome.ALLOWED)
    sink = shown(sink)
    begun = perf_counter()
    found = flows_at(value, "value", sink=sink, purpose=key, mode=Mode.REPORT)
    found += selected_flows(found, (value,), sink=sink, purpose=key, mode=Mode.REPORT)
    found += discovered_flows(found, (value,), sink=sink, purpose=key)
    flows = tuple(found)
    worst = worst_of(flows)
    count_check(sink, key, worst, perf_counter() - begun)
    carry_out(flows)
    return Verdict(worst, flows)
