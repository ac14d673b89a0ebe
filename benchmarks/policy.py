"""What decisions cost: a flow asked again, a new one under 500 rules, an allowed call of a sink, a replay.

    python -m benchmarks.policy

Prints one line for each, with its target. Times are the best of several runs, in microseconds, of this process's
processor time; a machine that is busy with other things still makes them larger.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import taint
from taint.labels import Label, Labels
from taint.policy import Decider, make_policy
from taint.policy.replay import replay

KEYS = ["security.mfa", "advertising", "analytics.usage", "service.orders", "marketing.email", "legal.tax"]
RECORDS = 1_000_000


def best(call: Callable[[], object], number: int, runs: int = 7) -> float:
    """Measure a call: microseconds of processor time, the best of some runs."""
    found = []
    for _ in range(runs):
        begun = time.process_time()
        for _ in range(number):
            call()
        found.append((time.process_time() - begun) / number)
    return min(found) * 1e6


def policy() -> dict[str, Any]:
    """Give a policy of 500 rules."""
    rules = [
        {
            "name": f"r{at}",
            "effect": "deny" if at % 2 else "allow",
            "from": [KEYS[at % 6]],
            "to": [KEYS[at * 7 % 6]],
            "sources": [f"shop.f{at}.*"],
            "priority": at,
        }
        for at in range(500)
    ]
    return {"rules": rules}


def records(*, are_traced: bool) -> Iterator[bytes]:
    """Give a million records of 1,000 kinds, each with a trace of its own or none."""
    chance = random.Random(1)
    rows = []
    for at in range(1000):
        label = {
            "purposes": [chance.choice(KEYS)],
            "category": "user.contact.phone_number",
            "source": f"shop.f{at % 600}.enrol",
            "consent": None,
            "trace": None,
            "grants": [],
        }
        row = {
            "kind": "flow",
            "outcome": "allowed",
            "sink": f"ads.s{at % 50}",
            "purpose": chance.choice(KEYS),
            "evidence": "label",
            "path": "rows[0].phone",
            "rule": "purpose-limitation",
            "mode": "block",
            "count": 1,
            "labels": [label],
            "call_site": {"function": "shop.jobs.upload", "file": "jobs.py", "line": 12},
            "suppressed": None,
            "advice": "",
        }
        rows.append(json.dumps(row).encode() + b"\n")
    for at in range(RECORDS):
        row_bytes = rows[at % 1000]
        if are_traced:
            row_bytes = row_bytes.replace(b'"trace": null', b'"trace": "00-%032x-%016x-01"' % (at + 1, at + 1))
        yield row_bytes


def main() -> None:
    """Measure, and print."""
    decider = Decider(make_policy(policy()))
    labels = Labels((Label(frozenset({"security.mfa"}), "user.contact.email", "shop.f7.x"),))
    again = best(lambda: decider.decisions(labels, "advertising", "ads.upload"), 50_000)
    print(f"a flow asked again:                     {again:8.2f} µs  (target 1)")

    new = iter([Labels((Label(frozenset({KEYS[at % 6]}), None, f"shop.f{at}.x"),)) for at in range(7 * 500)])
    once = best(lambda: decider.decisions(next(new), "advertising", "ads.upload"), 500)
    print(f"a new flow, 500 rules:                  {once:8.2f} µs  (target 20)")
    sinks = iter([f"ads.s{at}" for at in range(7 * 500)])
    once = best(lambda: decider.decisions(labels, "advertising", next(sinks)), 500)
    print(f"a new sink, 500 rules:                  {once:8.2f} µs  (target 20)")

    @taint.sink(purpose="advertising.audiences")
    def upload(_first: str, _second: str, _third: str) -> None: ...

    own = taint.label("+14155550100", purpose="advertising")
    print(f"a sink with 3 labelled arguments:       {best(lambda: upload(own, own, own), 20_000):8.2f} µs  (target 5)")
    print(f"a sink with 3 plain arguments:          {best(lambda: upload('a', 'b', 'c'), 20_000):8.2f} µs  (target 5)")

    for are_traced in (False, True):
        begun = time.process_time()
        found = replay(records(are_traced=are_traced), decider.policy)
        took = time.process_time() - begun
        what = "each with its trace" if are_traced else "without traces"
        print(f"replaying {found.flows:,} records, {what}: {took:.1f} s  (target 60)")


if __name__ == "__main__":
    main()
