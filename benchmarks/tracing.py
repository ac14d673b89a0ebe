"""Tracing: what operations cost before it was ever on, while it is, and after it: `python -m benchmarks.tracing`.

Before and after are the same code, so that their ratio is 1 but for noise; the figure to look at is how much an
operation costs while tracing is on.
"""

from __future__ import annotations

import hashlib
import statistics
import time
from collections.abc import Callable

import taint
from taint.carriers.tracing import set_tracing

TURNS = 40
CALLS = 500


def nanoseconds(work: Callable[[], object], calls: int) -> float:
    """Give the time of one call in one turn."""
    begin = time.perf_counter_ns()
    for _ in range(calls):
        work()
    return (time.perf_counter_ns() - begin) / calls


def main() -> None:
    """Print the table."""
    taint.install(integrations=[])
    phone = taint.label("+1 415 555 0100", purpose="security.mfa", source="shop.enrol")
    data = phone.encode()
    works: dict[str, Callable[[], object]] = {
        "`strip()`": lambda: phone.strip("+"),
        "`x + plain`": lambda: phone + ";ext=1",
        "`x[2:5]`": lambda: phone[2:5],
        "`split(' ')`": lambda: phone.split(" "),
        "`encode()`": phone.encode,
        "`sha256(x)`": lambda: hashlib.sha256(data),
        "`label()`": lambda: taint.label("+1 415 555 0100", purpose="security.mfa", source="shop.enrol"),
    }
    before = {name: min(nanoseconds(work, CALLS) for _ in range(TURNS)) for name, work in works.items()}
    set_tracing(is_on=True)
    during = {name: min(nanoseconds(work, CALLS // 10) for _ in range(5)) for name, work in works.items()}
    set_tracing(is_on=False)
    after = {name: min(nanoseconds(work, CALLS) for _ in range(TURNS)) for name, work in works.items()}
    print("| operation | before, ns | while tracing, µs | after, ns | after / before |\n|---|---:|---:|---:|---:|")
    for name in works:
        ratio = after[name] / before[name]
        print(f"| {name} | {before[name]:.0f} | {during[name] / 1000:.0f} | {after[name]:.0f} | {ratio:.2f} |")
    print(f"\nMedian of after / before: {statistics.median(after[name] / before[name] for name in works):.2f}.")


if __name__ == "__main__":
    main()
