"""Bounds, people, threads, forks, tenants; and that no plaintext is kept."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import shutil
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import taint
from taint.errors import ConfigurationError
from taint.evidence import KnownValues, current_known_values, scan, set_known_values, using
from taint.labels import Label, Labels

CHECKOUT = Path(__file__).resolve().parent.parent


def labels_for(purpose: str, subject: str | None = None) -> Labels:
    """Make the labels of one collection."""
    return Labels((Label(frozenset({purpose}), source="enrol", subject=subject),))


SECURITY, MARKETING = labels_for("security.mfa"), labels_for("advertising")


def email(number: int) -> str:
    """Make up an address."""
    return f"person{number:07d}@example.org"


def test_number_of_values_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    """Beyond the bound the oldest half goes, counted and logged once; what is newest is still found."""
    known = KnownValues(max_values=100)
    with caplog.at_level(logging.WARNING, "taint"):
        for number in range(1000):
            known.remember(email(number), SECURITY)
            assert known.values <= 100
    statistics = known.statistics()
    assert statistics.values + statistics.evicted == 1000
    assert statistics.values >= 50
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["purpose-taint forgets known values"]
    assert "person" not in caplog.text
    for number in range(950, 1000):
        assert len(scan(known, f"to {email(number)}")) == 1
    assert scan(known, email(10)) == []


def test_a_value_in_use_stays() -> None:
    """A value that is seen again and again survives what comes and goes around it, and is not counted as dropped."""
    known = KnownValues(max_values=100)
    for number in range(1000):
        known.remember(email(number), SECURITY)
        if number % 20 == 0:
            known.remember("+14155550100", SECURITY)
    assert len(scan(known, "+14155550100")) == 1
    assert known.statistics().values + known.statistics().evicted == 1001


def test_bytes_are_bounded() -> None:
    """The tables take no more than allowed."""
    known = KnownValues(max_values=100_000, max_bytes=12_000_000)
    for number in range(40_000):
        known.remember(email(number), SECURITY)
    statistics = known.statistics()
    assert statistics.evicted > 0
    assert statistics.size_bytes < 12_000_000
    roomy = KnownValues(max_values=100_000, max_bytes=100_000_000)
    for number in range(4_000):
        roomy.remember(email(number), SECURITY)
    assert roomy.statistics().evicted == 0


def test_age_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value is known for at least half of the age allowed, and never longer than it, also with nothing new coming."""
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    known = KnownValues(max_age_seconds=60, max_values=1000)
    known.remember(email(1), SECURITY)
    now += 29
    assert len(scan(known, email(1))) == 1
    now += 5
    assert len(scan(known, email(1))) == 1
    now += 31
    assert scan(known, email(1)) == []
    known.remember(email(2), SECURITY)
    now += 1000
    assert scan(known, email(2)) == []
    assert known.statistics().evicted == 2


@pytest.mark.parametrize("bound", ["max_values", "max_bytes", "max_age_seconds", "max_subjects"])
def test_a_bound_is_positive(bound: str) -> None:
    """Zero is refused, by name."""
    with pytest.raises(ConfigurationError, match=bound):
        KnownValues(**{bound: 0})  # type: ignore[arg-type]  # One of four, by name.


def test_bytes_that_hold_nothing_are_an_error() -> None:
    """A bound on bytes that leaves no room beside the filters is refused, and the message says what is enough."""
    with pytest.raises(ConfigurationError, match="Allow more than"):
        KnownValues(max_bytes=1000)


def test_values_of_many_people_are_nobodys() -> None:
    """A switchboard number is forgotten in all its forms once too many people have it; a private one is not."""
    known = KnownValues(max_subjects=3, max_values=1000)
    for person in range(3):
        assert known.remember("+1 415 555 0100", labels_for("security.mfa", str(person)))
        assert len(scan(known, "call 415-555-0100 or 1-415-555-0100")) == 1
    for _ in range(10):
        known.remember("+1 415 555 0199", labels_for("security.mfa", "the same person"))
    assert not known.remember("+1 415 555 0100", labels_for("security.mfa", "a fourth"))
    assert scan(known, "call 1-415-555-0100") == []
    assert not known.remember("+1 415 555 0100", labels_for("security.mfa", "0"))
    assert scan(known, "call 1-415-555-0100") == []
    assert len(scan(known, "call 1-415-555-0199")) == 1
    assert known.statistics().refused == {"subjects": 2}


def test_people_are_counted_over_generations() -> None:
    """That a number is of many people is not forgotten when others are evicted."""
    known = KnownValues(max_subjects=3, max_values=100)
    for person in range(8):
        known.remember("+14155550100", labels_for("security.mfa", f"p{person}"))
        for number in range(40):
            known.remember(email(person * 100 + number), SECURITY)
    assert scan(known, "+14155550100") == []


def test_every_collection_of_a_value_is_known() -> None:
    """A value that was collected twice is found with both sets of labels; only once with one."""
    known = KnownValues(max_values=1000)
    known.remember(email(1), SECURITY)
    known.remember(email(1).upper(), MARKETING)
    known.remember(email(2), SECURITY)
    (both,), (one,) = scan(known, email(1)), scan(known, email(2))
    assert set(both.labels) == {SECURITY, MARKETING}
    assert one.labels == (SECURITY,)


def test_sets_of_labels_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a number of sets of labels, later ones keep purpose, category and source, and nothing is lost."""
    monkeypatch.setattr("taint.evidence.label_sets.FULL_LABEL_SETS", 10)
    known = KnownValues(max_values=1000)
    for number in range(100):
        assert known.remember(email(number), labels_for("security.mfa", str(number)))
    (first,), (last,) = scan(known, email(3)), scan(known, email(99))
    assert first.labels == (labels_for("security.mfa", "3"),)
    assert last.labels == (SECURITY,)
    statistics = known.statistics()
    assert (statistics.label_sets, statistics.reduced_label_sets) == (11, 1)


def test_threads_remember_and_scan_at_once() -> None:
    """What several threads remember while others scan is all known in the end."""
    known = KnownValues(max_values=100_000)
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            assert scan(known, f"{email(0)} nobody@example.org +14155550100")[1:] == []

    def add(first: int) -> None:
        for number in range(first, 4000, 4):
            known.remember(email(number), SECURITY)

    with ThreadPoolExecutor(6) as pool:
        looking = [pool.submit(look) for _ in range(2)]
        for adding in [pool.submit(add, first) for first in range(4)]:
            adding.result()
        stop.set()
        for one in looking:
            one.result()
    assert known.values == 4000
    assert len(scan(known, " ".join(map(email, range(4000))))) == 4000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_keeps_its_copy() -> None:
    """A child knows what its parent knew, also when another thread held the lock; what it learns stays its own."""
    known = KnownValues(max_values=1000)
    known.remember(email(1), SECURITY)
    known._lock.acquire()  # As another thread may, right when a fork happens.
    child = os.fork()
    if child == 0:
        ok = len(scan(known, email(1))) == 1 and known.remember(email(2), SECURITY) and len(scan(known, email(2))) == 1
        os._exit(0 if ok else 1)
    known._lock.release()
    assert os.waitpid(child, 0)[1] == 0
    assert scan(known, email(2)) == []


def test_tenants_are_separate() -> None:
    """What one tenant's source saw is not known in another's tasks, nor outside; its own is."""
    one, two = KnownValues(max_values=1000), KnownValues(max_values=1000)

    async def work(known: KnownValues, mine: str, other: str) -> tuple[int, int]:
        with using(known):
            taint.label(mine, purpose="security.mfa")
            await asyncio.sleep(0)
            here = current_known_values()
            assert here is known
            return len(scan(here, mine)), len(scan(here, other))

    async def both() -> tuple[tuple[int, int], ...]:
        return tuple(await asyncio.gather(work(one, email(1), email(2)), work(two, email(2), email(1))))

    assert asyncio.run(both()) == ((1, 0), (1, 0))
    assert current_known_values() is None


def test_clear_forgets() -> None:
    """After `clear` nothing is known, and remembering goes on."""
    known = KnownValues(max_values=1000)
    known.remember(email(1), SECURITY)
    known.clear()
    assert (known.values, scan(known, email(1))) == (0, [])
    assert known.remember(email(1), SECURITY)
    assert len(scan(known, email(1))) == 1


def test_repr_says_no_value() -> None:
    """What is shown of known values is how many there are."""
    known = KnownValues(max_values=1000)
    known.remember(email(1), SECURITY)
    assert repr(known) == "<KnownValues: 1 values>"


def _bytes(value: Any) -> bytes:
    return str.__str__(value).encode(errors="replace") if isinstance(value, str) else bytes(value)


_TEXTS = (str, bytes, bytearray)


def _holds(needle: bytes) -> list[str]:
    """Look for text or bytes with a needle in everything that the collector knows and what that refers to.

    Three steps: an object that the collector knows, a tuple or dict that it has stopped to track, and what is in it.
    """
    found: list[str] = []
    frontier: list[object] = gc.get_objects()
    seen = {id(frontier), *map(id, frontier)}
    for _ in range(4):
        reached: list[object] = []
        for here in frontier:
            kind = type(here)
            if issubclass(kind, _TEXTS) and needle in _bytes(here).lower():
                found.append(kind.__name__)
        for here in gc.get_referents(*frontier):
            if id(here) not in seen:
                seen.add(id(here))
                reached.append(here)
        frontier = reached
    return found


def check_the_heap() -> None:
    """Remember values, and look at every object of the process while their carriers live and when they are gone."""
    before = set_known_values(KnownValues(max_values=10_000))
    try:
        secret = "".join(chr(ord(one) + 1) for one in "ypwjgd`ovhsmdrr")  # So that no constant of the code holds it.
        phone = "+49" + str(int("987") * 1_000_003 + 20_000_000_000)[1:]
        carriers = [
            taint.label(f"{secret.title()}@gmail.com", purpose="security.mfa"),
            taint.label(phone, purpose="security.mfa"),
        ]
        digits = phone[3:].encode()
        needle = secret.encode()
        del secret, phone
        known = current_known_values()
        assert known is not None
        assert len(scan(known, list(map(taint.plain, carriers)))) == 2
        gc.collect()
        assert "TaintedStr" in _holds(needle)
        assert "TaintedStr" in _holds(digits)
        carriers.clear()
        gc.collect()
        assert known.values == 2
        assert _holds(needle) == []
        assert _holds(digits) == []
    finally:
        set_known_values(before)


def test_the_heap_holds_no_plaintext() -> None:
    """After the carriers are gone no object of the process holds a remembered value; while one lives it is seen."""
    # In a process of its own: a test session's heap is large, and holds what other tests left.
    code = "from tests.test_known_values_bounds import check_the_heap; check_the_heap()"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr


PROGRAM = """
import gc, os, sys
import taint
from taint.evidence import KnownValues, scan, set_known_values

def seed(text):
    # The text is never whole in the source, the arguments or the code's constants.
    return "".join(chr(ord(one) ^ 1) for one in text)

known = KnownValues(max_values=50_000)
set_known_values(known)
names = [seed(name) for name in sys.argv[2].split(",")]
for name in names:
    carrier = taint.label(name, purpose="security.mfa")
    assert scan(known, taint.plain(carrier))
kept = names[0] if sys.argv[1] == "keep" else None
del names, name, carrier
gc.collect()
# Freed memory is used again, as it is in a program that goes on.
noise = [(str(number) * 12).encode().decode() for number in range(200_000)]
more = [b"." * size for size in range(1, 600) for _ in range(300)]
print(known.values, flush=True)
sys.stdin.readline()
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcore") is None, reason="gcore is not installed")
@pytest.mark.parametrize("keep", [False, True])
def test_a_core_dump_holds_no_plaintext(tmp_path: Path, keep: bool) -> None:
    """A dump of the whole process holds no remembered value once its carriers are gone; with one kept it is found."""
    values = ["Quilla.Vantreight@example.org", "+4915755501999", "Ottoline Farnsbarrow"]
    spelled = ",".join("".join(chr(ord(one) ^ 1) for one in value) for value in values)
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM), encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, str(program), "keep" if keep else "drop", spelled],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "3\n"
        dumped = subprocess.run(
            ["gcore", "-o", str(tmp_path / "core"), str(process.pid)],  # noqa: S607  # Found above.
            capture_output=True,
            check=False,
            timeout=120,
        )
        process.stdin.write("\n")
        process.stdin.close()
        process.wait(30)
    cores = list(tmp_path.glob("core.*"))
    if not cores:
        pytest.skip(f"gcore may not attach here: exit code {dumped.returncode}")
    core = cores[0].read_bytes()
    held = [value for value in values if value.encode() in core or value.lower().encode() in core]
    assert held == (values[:1] if keep else [])
