"""Known values: what adding and scanning cost, what a million of them take, and that they match nobody else.

    python -m benchmarks.known_values              # adding, memory, scanning at 10, 10,000 and 1,000,000 values
    python -m benchmarks.known_values --precision 1000   # and MB of text of others, in which nothing may be found

Each figure is the best of several short runs, in CPU time of one core, beside what one SHA-256 of 20 bytes takes on
the same machine at the same moment: compare figures of two machines by that.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import resource
import string
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from taint.evidence import KnownValues, scan
from taint.labels import Label, Labels

LABELS = Labels((Label(frozenset({"security.mfa"}), "user.contact", "shop.enrol"),))
VOCABULARY = """
order customer street north delivery invoice payment blue green small large cotton shirt shoes lamp table
chair window garden kitchen morning evening please thanks regarding shipment tracking return refund size
colour question answer yesterday tomorrow request support device phone charger battery screen
"""
WORDS = VOCABULARY.split()
HOSTS = ["example.com", "example.org", "mail.example.net", "gmail.com", "post.example.de"]


def person(draw: random.Random, *, ours: bool) -> dict[str, str]:
    """Make up a person. Ours and others differ in a letter of the name and a digit of the number: no value is both."""
    mark = "q" if ours else "x"
    first = "".join(draw.choices(string.ascii_lowercase, k=draw.randrange(3, 8)))
    last = "".join(draw.choices(string.ascii_lowercase, k=draw.randrange(4, 9))) + mark
    digit = draw.choice("02468" if ours else "13579")
    phone = f"{draw.randrange(200, 1000)}{draw.randrange(200, 1000)}{draw.randrange(1000):03d}{digit}"
    return {
        "name": f"{first.title()} {last.title()}",
        "email": f"{first}.{last}{draw.randrange(1000)}@{draw.choice(HOSTS)}",
        "phone": draw.choice(
            [f"+1{phone}", f"({phone[:3]}) {phone[3:6]}-{phone[6:]}", f"+1 {phone[:3]} {phone[3:6]} {phone[6:]}"]
        ),
        "street": f"{draw.randrange(1, 9999)} {last.title()} Street",
    }


def known_of(count: int) -> KnownValues:
    """Remember so many values: addresses, numbers and names in turn."""
    draw = random.Random(1)
    known = KnownValues(max_values=2 * count, max_bytes=2_000_000_000)
    keys = ("email", "phone", "name")
    while known.values < count:
        known.remember(person(draw, ours=True)[keys[known.values % 3]], LABELS)
    return known


def rows(draw: random.Random) -> Iterator[dict[str, object]]:
    """Make up orders, logs and profiles of others, without end."""
    while True:
        one = person(draw, ours=False)
        yield {
            "id": draw.randrange(10**6),
            "order_id": f"{draw.getrandbits(64):016x}",
            "status": draw.choice(["pending", "shipped", "returned"]),
            "created_at": f"2024-0{draw.randrange(1, 10)}-1{draw.randrange(10)}T1{draw.randrange(10)}:30:00.123Z",
            "customer": one,
            "amount": round(draw.random() * 1000, 2),
            "location": {"lat": round(draw.uniform(-90, 90), 6), "lon": round(draw.uniform(-180, 180), 6)},
            "note": " ".join(draw.choices(WORDS, k=draw.randrange(5, 40))),
            "items": [
                {"sku": f"SKU-{draw.randrange(10**6):06d}", "quantity": draw.randrange(1, 9), "gift": False}
                for _ in range(draw.randrange(1, 4))
            ],
            "digest": draw.randbytes(32).hex() if draw.random() < 0.1 else None,  # noqa: PLR2004  # One row in ten.
            "session": draw.randbytes(24).hex() if draw.random() < 0.1 else None,  # noqa: PLR2004  # As above.
        }


def payload(megabytes: float, seed: int) -> str:
    """Make JSON of about a size."""
    source = rows(random.Random(seed))
    found: list[str] = []
    size = 0
    while size < megabytes * 1e6:
        found.append(json.dumps(next(source)))
        size += len(found[-1]) + 2
    return "[" + ", ".join(found) + "]"


def best(run: Callable[[], object], repeat: int = 7) -> float:
    """Give the least CPU seconds of several runs."""
    times: list[float] = []
    for _ in range(repeat):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def reference_ns() -> float:
    """Give what one SHA-256 of 20 bytes takes now."""
    sha256 = hashlib.sha256
    return best(lambda: [sha256(b"jane.doe@example.com").digest() for _ in range(5000)]) / 5000 * 1e9


def resident_mb() -> float:
    """Give the process's resident memory."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1000
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def adding() -> None:
    """Measure what remembering costs, by kind of value, with all forms and digests."""
    draw = random.Random(3)
    print(f"adding, one SHA-256 here: {reference_ns():.0f} ns")
    samples = {
        "email": [person(draw, ours=True)["email"] for _ in range(30_000)],
        "phone, E.164": [f"+1{draw.randrange(2 * 10**9, 10**10)}" for _ in range(30_000)],
        "phone, punctuated": [
            f"+1 ({n // 10**7}) {n // 10**4 % 1000:03d}-{n % 10**4:04d}"
            for n in (draw.randrange(2 * 10**9, 10**10) for _ in range(30_000))
        ],
        "name": [person(draw, ours=True)["name"] for _ in range(30_000)],
    }
    for name, values in samples.items():
        known = KnownValues()
        times: list[float] = []
        for start in range(0, len(values), 3000):  # More than one batch of digests each, so that indexing is in it.
            begin = time.process_time()
            for value in values[start : start + 3000]:
                known.remember(value, LABELS)
            times.append((time.process_time() - begin) / 3000 * 1e6)
        again = best(lambda: [known.remember(value, LABELS) for value in values[-1000:]]) / 1000 * 1e6  # noqa: B023
        slots = known.statistics().entries / known.values
        print(
            f"  {name:18s} new {min(times):5.1f} us (median {sorted(times)[len(times) // 2]:5.1f}), "
            f"known already {again:4.2f} us, {slots:4.1f} slots"
        )


def scanning(counts: list[int]) -> None:
    """Measure scanning at several numbers of known values, and what they take."""
    text = payload(4, seed=5)
    data = text.encode()
    print(f"scanning {len(text) / 1e6:.1f} MB of JSON with no match")
    sets: list[tuple[int, KnownValues]] = []
    for count in counts:
        before = resident_mb()
        begin = time.process_time()
        sets.append((count, known_of(count)))
        took = time.process_time() - begin
        statistics = sets[-1][1].statistics()
        print(
            f"  {count:>9,} values: {statistics.size_bytes / 1e6:6.1f} MB of tables and filters, "
            f"{resident_mb() - before:6.1f} MB more resident, {statistics.entries / count:4.1f} slots each, "
            f"made in {took:5.1f} s with the people"
        )
    figures: dict[int, list[float]] = {count: [] for count in counts}
    for _ in range(7):  # In turn, so that the machine's moods fall on all alike.
        for count, known in sets:
            figures[count].append(best(lambda: scan(known, data), 1))  # noqa: B023  # Called here.
            assert scan(known, text[:100_000]) == []
    for count in counts:
        print(f"  {count:>9,} known: {len(data) / 1e6 / min(figures[count]):6.1f} MB/s")
    print(f"  one SHA-256 here: {reference_ns():.0f} ns")


def precision(megabytes: int, count: int) -> None:
    """Look for any match in text of others."""
    known = known_of(count)
    found = 0
    read = 0
    begin = time.process_time()
    for seed in range(100, 100 + (megabytes + 9) // 10):
        text = payload(10, seed)
        read += len(text)
        matches = scan(known, text)
        for match in matches:
            print("  match at", match.way[1], match.evidence.value)
        found += len(matches)
    print(
        f"precision: {found} matches in {read / 1e6:.0f} MB of text of others, {known.values:,} values known, "
        f"{time.process_time() - begin:.0f} s with making the text"
    )
    sys.exit(1 if found else 0)


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--values", type=int, nargs="+", default=[10, 10_000, 1_000_000])
    parser.add_argument("--precision", type=int, metavar="MB")
    options = parser.parse_args()
    if options.precision:
        precision(options.precision, max(options.values))
    adding()
    scanning(options.values)


if __name__ == "__main__":
    main()
