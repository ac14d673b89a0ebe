"""What telemetry costs: `python benchmarks/telemetry.py`.

Prints microseconds per call, the median of many short rounds, so that a busy machine moves it little: a
call of a bare function, an allowed check at a sink with three arguments, a violation in report mode
without and with an SDK, each told by itself and as a repeat; and the share of one core that 10,000
violations a second take.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

import taint
from taint import telemetry
from taint.policy import Flow
from taint.testing import record

PHONE = "+14155550100"
ROUNDS, CALLS = 1000, 20


def bare(_rows: object, _campaign: object, _dry: object) -> None:
    """Take three arguments."""


upload = taint.sink(purpose="advertising.audiences", name="ads.upload")(bare)


def microseconds(call: Callable[[], object]) -> float:
    """Time a call."""
    rounds = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        for _ in range(CALLS):
            call()
        rounds.append((time.perf_counter() - begun) / CALLS * 1e6)
    return statistics.median(rounds)


def violation() -> Flow:
    """Give the record of one violation."""
    with record(mode="report") as seen:
        upload(taint.label(PHONE, purpose="security.mfa"), "spring", True)  # noqa: FBT003  # One of three arguments.
    return seen.violations[0]


def steady_share(per_second: int = 10_000, seconds: float = 2.0) -> float:
    """Give the share of a core that `emit` takes at a steady rate of violations, beyond that of the bare loop."""
    flow = violation()

    def run(call: Callable[[], object]) -> float:
        begun, used = time.perf_counter(), time.process_time()
        for batch in range(int(seconds * 100)):
            for _ in range(per_second // 100):
                call()
            time.sleep(max(0.0, begun + (batch + 1) / 100 - time.perf_counter()))
        telemetry.flush()
        return (time.process_time() - used) / (time.perf_counter() - begun)

    return run(lambda: telemetry.emit(flow)) - run(lambda: None)


def main() -> None:
    """Print the table."""
    taint.configure(mode="report")
    allowed = taint.label(PHONE, purpose="advertising")
    refused = taint.label(PHONE, purpose="security.mfa")
    flow = violation()
    rows: list[tuple[str, float]] = [
        ("bare call, 3 arguments", microseconds(lambda: bare(allowed, "spring", 1))),
        ("sink, allowed check", microseconds(lambda: upload(allowed, "spring", 1))),
        ("  of that: counting it", microseconds(lambda: telemetry.count_check("a", "b", taint.Outcome.ALLOWED, 1e-6))),
    ]
    with record() as seen:
        heard = microseconds(lambda: upload(allowed, "spring", 1))
        rows.append(("sink, allowed check that a listener is told of", heard))
        seen.flows.clear()
    for name in ("no SDK", "SDK, no exporter"):
        if name != "no SDK":
            telemetry.set_up(tracer_provider=TracerProvider(), meter_provider=MeterProvider([InMemoryMetricReader()]))
        rows.append((f"sink, violation as a repeat, {name}", microseconds(lambda: upload(refused, "spring", 1))))
        rows.append((f"  of that: emit, {name}", microseconds(lambda: telemetry.emit(flow))))
        telemetry.emission._outlet.interval_seconds = 0.0  # noqa: SLF001  # Each by itself, with the same providers.
        rows.append((f"sink, violation told by itself, {name}", microseconds(lambda: upload(refused, "spring", 1))))
        rows.append((f"  of that: emit, {name}", microseconds(lambda: telemetry.emit(flow))))
        telemetry.emission._outlet.interval_seconds = 60.0  # noqa: SLF001  # As above.
    sys.stdout.write("".join(f"{name:<52}{value:9.2f} us\n" for name, value in rows))
    sys.stdout.write(f"{'10,000 violations a second, share of one core':<52}{steady_share():9.1%}\n")


if __name__ == "__main__":
    main()
