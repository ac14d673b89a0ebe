"""Metrics: what was checked and found, counted here and read by OpenTelemetry when it collects.

A check only adds to a number; the instruments are observable and ask for the numbers at collection,
so that a check costs the same with and without an SDK. Cardinality is bounded by design: past
`MAX_NAMES` combinations of names, what is new is counted under the name `_OTHER`, so that sums stay
right.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation, get_meter

from taint import losses
from taint.guard import after_fork, shown
from taint.policy import Flow, Outcome
from taint.telemetry import attributes as names
from taint.telemetry.providers import SCHEMA_URL, SCOPE
from taint.version import __version__

__all__ = [
    "MAX_NAMES",
    "Tally",
    "count_check",
    "count_declassification",
    "count_dropped",
    "count_flow",
    "observe_known_values",
    "reset_counts",
    "use_meter_provider",
]

MAX_NAMES = 1000
"""Half of the cardinality limit that the SDK specification sets by default, 2,000 for one metric."""
SAMPLE = 16
"""One check in so many has its duration recorded: recording costs about as much as the check."""
DURATION_BOUNDARIES = tuple(base * 10.0**power for power in range(-6, 0) for base in (1, 2.5, 5))
"""In seconds, from 1 µs to 0.5 s: the default boundaries begin where checks have long ended."""

_tallies: list[Tally] = []


class Tally:
    """A counter by attributes.

    Args:
        free: Attributes whose values are names of the program: as many as it has.
        closed: Attributes whose values come from a closed set; they are kept past the bound.
    """

    def __init__(self, free: tuple[str, ...], closed: tuple[str, ...] = ()) -> None:
        self._attributes = (*free, *closed)
        self._free = len(free)
        self._counts: dict[tuple[str, ...], int] = {}
        self._lock = threading.Lock()
        _tallies.append(self)

    def add(self, *values: str, amount: int = 1) -> None:
        """Count. The values are those of the attributes, in their order, as exact `str`."""
        counts = self._counts
        with self._lock:
            if values not in counts and len(counts) >= MAX_NAMES:
                values = (names.OTHER,) * self._free + values[self._free :]
            counts[values] = counts.get(values, 0) + amount

    def clear(self) -> None:
        """Begin again; the lock too, which another thread may have held when the process forked."""
        self._lock = threading.Lock()
        self._counts = {}

    def observe(self, _options: CallbackOptions | None = None) -> Iterable[Observation]:
        """Give the numbers, for a collection."""
        with self._lock:
            counts = list(self._counts.items())
        return [Observation(count, dict(zip(self._attributes, values, strict=True))) for values, count in counts]


checks = Tally((names.SINK_NAME, names.SINK_PURPOSE), (names.VERDICT,))
violations = Tally(
    (names.SINK_NAME, names.SINK_PURPOSE, names.SECURITY_RULE_NAME), (names.EVIDENCE, names.MODE, names.SUPPRESSED)
)
gaps = Tally((names.SINK_NAME, names.SINK_PURPOSE, names.SECURITY_RULE_NAME))
declassifications = Tally((names.SINK_PURPOSE,))
dropped_signals = Tally(())

_known_values: Callable[[], int] | None = None
_turn = 0
_duration: Any = None


def count_check(sink: str, purpose: str, outcome: Outcome, seconds: float) -> None:
    """Count one check of a sink, and record how long some of them took.

    Args:
        sink: The sink's name.
        purpose: What it uses data for.
        outcome: The worst of the check.
        seconds: How long it took.
    """
    global _turn  # noqa: PLW0603  # A lost turn in a race moves a sample, nothing else.
    checks.add(shown(sink), purpose, outcome.value)
    _turn += 1
    if _turn % SAMPLE == 1:
        _duration.record(seconds, {names.VERDICT: outcome.value})


def count_flow(flow: Flow, *, suppressed: bool) -> None:
    """Count a violation or a gap, once for each value."""
    sink, purpose, rule = shown(flow.sink), shown(flow.purpose), shown(flow.rule)
    if flow.outcome is Outcome.VIOLATION:
        violations.add(
            *(sink, purpose, rule, flow.evidence.value, flow.mode.value, "true" if suppressed else "false"),
        )
    elif flow.outcome is Outcome.GAP:
        gaps.add(sink, purpose, rule)


def count_declassification(purpose: str) -> None:
    """Count one declassification to a purpose."""
    declassifications.add(shown(purpose))


def _observed_losses(_options: CallbackOptions | None = None) -> Iterator[Observation]:
    counts = losses.counts()
    kept = dict(list(counts.items())[:MAX_NAMES])
    if len(counts) > MAX_NAMES:
        kept[names.OTHER] = sum(counts.values()) - sum(kept.values())
    for operation, count in kept.items():
        yield Observation(count, {names.LOSS_OPERATION: operation})


def count_dropped() -> None:
    """Count a signal that had to be dropped because too many were waiting for the exporter."""
    dropped_signals.add()


def observe_known_values(size: Callable[[], int] | None) -> None:
    """Say how the number of known values is read, for the gauge; None where there is none any more."""
    global _known_values  # noqa: PLW0603  # One index of known values a process.
    _known_values = size


def _observed_known_values(_options: CallbackOptions) -> Iterator[Observation]:
    if _known_values is not None:
        yield Observation(_known_values())


def reset_counts() -> None:
    """Begin every count again: a forked process must not send its parent's once more."""
    global _turn  # noqa: PLW0603  # As in `count_check`.
    _turn = 0
    losses.reset()
    for tally in _tallies:
        tally.clear()


def use_meter_provider(provider: MeterProvider | None = None) -> None:
    """Create the instruments with a meter provider; with the global one where None."""
    global _duration  # noqa: PLW0603  # The one instrument that a check records into.
    meter = get_meter(SCOPE, __version__, provider, SCHEMA_URL)
    counters = (
        (names.METRIC_CHECKS, "{check}", "Checks of what a sink received.", checks.observe),
        (
            names.METRIC_VIOLATIONS,
            "{violation}",
            "Flows to a purpose that the data was not collected for.",
            violations.observe,
        ),
        (names.METRIC_GAPS, "{gap}", "Flows that could not be decided.", gaps.observe),
        (names.METRIC_DECLASSIFICATIONS, "{declassification}", "Widenings of use.", declassifications.observe),
        (names.METRIC_LOST_LABELS, "{label}", "Labels that could not be followed.", _observed_losses),
        (names.METRIC_DROPPED_SIGNALS, "{signal}", "Signals that a late exporter made drop.", dropped_signals.observe),
    )
    for name, unit, description, observe in counters:
        meter.create_observable_counter(name, [observe], unit, description)
    meter.create_observable_gauge(
        names.METRIC_KNOWN_VALUES, [_observed_known_values], "{value}", "Values that are remembered by fingerprint."
    )
    described = (names.METRIC_CHECK_DURATION, "s", f"Duration of a check; one in {SAMPLE} is recorded.")
    try:
        _duration = meter.create_histogram(*described, explicit_bucket_boundaries_advisory=DURATION_BOUNDARIES)
    except TypeError:  # The argument came with API 1.30.
        _duration = meter.create_histogram(*described)


use_meter_provider()
after_fork(reset_counts)
