"""How much a labelled text costs: `python -m benchmarks.carriers`.

Every operation is timed against two others in the same run, turn by turn: the native operation on a plain value, and
the floor, the cheapest override that Python code can be: one method that calls the native one, makes an instance of
the subclass and sets one attribute. What is shown is the least of many turns.
"""

# ruff: noqa: B008, B023, PLW0108, FLY002, UP032  # Each call is written, and made, as a program makes it; at once.

from __future__ import annotations

import gc
import os
import platform
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any, NamedTuple

import taint
from taint.carriers.text import TaintedBytes, TaintedStr
from taint.labels import Label, Labels

TURNS, CALLS = 40, 500
LABELS = Labels([Label(frozenset({"security.mfa"}), "user.contact.phone_number", "benchmarks")])


class FloorText(str):
    """A subclass with the cheapest override there can be."""

    __slots__ = ("mark",)
    mark: object

    def upper(self) -> FloorText:
        """Do what an override cannot do with less."""
        result = str.__new__(FloorText, str.upper(self))
        result.mark = self.mark
        return result


class FloorData(bytes):
    """As `FloorText`, for bytes."""

    mark: object

    def upper(self) -> FloorData:
        """Do what an override cannot do with less."""
        result = bytes.__new__(FloorData, bytes.upper(self))
        result.mark = self.mark
        return result


class FloorKey(str):
    """A subclass with the cheapest override of a comparison and of a hash that there can be."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        """Compare as the native one."""
        return str.__eq__(self, other)

    def __hash__(self) -> int:
        """Hash as the native one."""
        return str.__hash__(self)


class Row(NamedTuple):
    """One operation, on a value of either kind; `results` is how many labelled values it gives."""

    name: str
    call: Callable[[Any], Any]
    results: int = 1
    native: Callable[[Any], Any] | None = None
    """The same on a plain value, where `call` has another labelled operand."""
    is_of_other: bool = False
    """Whether it gives the other kind of carrier, and so has the floor of that."""


def text_rows() -> list[Row]:
    """Give the operations on text."""
    label = labelled
    return [
        Row("x + plain", lambda x: x + ";ext=1"),
        Row("plain + x", lambda x: "tel:" + x),
        Row("x + x", lambda x: x + x),
        Row("x[2:5]", lambda x: x[2:5]),
        Row("x[::-1]", lambda x: x[::-1]),
        Row("x[0]", lambda x: x[0]),
        Row("x * 2", lambda x: x * 2),
        Row("strip()", lambda x: x.strip()),
        Row("lstrip('+')", lambda x: x.lstrip("+")),
        Row("removeprefix", lambda x: x.removeprefix("+1")),
        Row("upper()", lambda x: x.upper()),
        Row("lower()", lambda x: x.lower()),
        Row("casefold()", lambda x: x.casefold()),
        Row("title()", lambda x: x.title()),
        Row("split(' ')", lambda x: x.split(" "), 3),
        Row("split()", lambda x: x.split(), 3),
        Row("partition(' ')", lambda x: x.partition(" "), 3),
        Row("splitlines()", lambda x: x.splitlines()),
        Row("replace(' ', '')", lambda x: x.replace(" ", "")),
        Row("replace(' ', '-')", lambda x: x.replace(" ", "-")),
        Row("x.join(2 items)", lambda x: x.join(("a", "b"))),
        Row("labelled.join([x, x])", lambda x, sep=label(","): sep.join([x, x]), native=lambda x: ",".join([x, x])),
        Row("ljust(20)", lambda x: x.ljust(20)),
        Row("zfill(20)", lambda x: x.zfill(20)),
        Row("translate", lambda x, table={43: None, 32: 45}: x.translate(table)),
        Row("encode()", lambda x: x.encode(), is_of_other=True),
        Row("format(x, '>20')", lambda x: format(x, ">20")),
        Row("f'{x}'", lambda x: f"{x}"),
        Row("'tel: %s' % x", lambda x: "tel: %s" % x),  # noqa: UP031  # It is what is measured.
        Row("labelled.format(x)", lambda x, t=label("{}-"): t.format(x), native=lambda x: "{}-".format(x)),
        Row("str(x)", lambda x: str(x)),
        Row("repr(x)", lambda x: repr(x)),
        Row("list(x)", lambda x: list(x), 15),
    ]


def bytes_rows() -> list[Row]:
    """Give the operations on bytes."""
    return [
        Row("x + plain", lambda x: x + b";ext=1"),
        Row("x[2:5]", lambda x: x[2:5]),
        Row("strip()", lambda x: x.strip()),
        Row("lower()", lambda x: x.lower()),
        Row("split(b' ')", lambda x: x.split(b" "), 3),
        Row("replace(b' ', b'')", lambda x: x.replace(b" ", b"")),
        Row("replace(b' ', b'-')", lambda x: x.replace(b" ", b"-")),
        Row("decode()", lambda x: x.decode(), is_of_other=True),
        Row("hex()", lambda x: x.hex(), is_of_other=True),
    ]


def labelled(value: Any) -> Any:
    """Label a value without asking who calls."""
    return taint.label(value, purpose="security.mfa", source="benchmarks")


def nanoseconds(*calls: Callable[[], object], turns: int = TURNS, number: int = CALLS) -> list[float]:
    """Time some calls turn by turn, so that a busy moment meets all of them; give the least of each."""
    best = [float("inf")] * len(calls)
    clock = time.perf_counter_ns
    gc.disable()  # As timeit does: what else is alive in this process is not the operation's business.
    for _ in range(turns):
        for at, call in enumerate(calls):
            start = clock()
            for _ in range(number):
                call()
            best[at] = min(best[at], (clock() - start) / number)
    gc.enable()
    return best


def empty() -> None:
    """Do nothing: what calling costs is taken off every figure."""


def operations(rows: list[Row], value: Any, floor: Any, other: Any) -> list[float]:
    """Show the operations on one kind of value; give the ratios to the floor."""
    ratios = []
    print(f"| {type(value).__name__} operation | native ns | labelled ns | floor ns | of the floor | per result |")
    print("|---|---:|---:|---:|---:|---:|")
    carrier = labelled(value)
    for row in rows:
        cheapest = other if row.is_of_other else floor
        overhead, native, ours, least = nanoseconds(
            empty,
            lambda: (row.native or row.call)(value),
            lambda: row.call(carrier),
            lambda: cheapest.upper(),
        )
        native, ours, least = native - overhead, ours - overhead, least - overhead
        ratio = ours / least
        ratios.append(ratio / row.results)
        each = f"{ratio / row.results:.1f}" if row.results > 1 else ""
        print(f"| `{row.name}` | {native:.0f} | {ours:.0f} | {least:.0f} | {ratio:.1f} | {each} |")
    print(f"\nMedian of {len(ratios)}, for each result: {statistics.median(ratios):.2f} times the floor.\n")
    return ratios


def linear() -> None:
    """Show that operations on mixed text take time in step with its length."""
    calls: list[tuple[str, Callable[[Any], Any]]] = [
        ("x.split(',')", lambda x: x.split(",")),
        ("x.replace(',', ';')", lambda x: x.replace(",", ";")),
        ("x.upper()", lambda x: x.upper()),
        ("x[::3]", lambda x: x[::3]),
        ("x.encode()", lambda x: x.encode()),
        ("x.expandtabs()", lambda x: x.expandtabs()),
        ("x.translate", lambda x: x.translate({44: None})),
        ("x + 'y'", lambda x: x + "y"),
    ]
    print("| 100 labelled spans in 1 KB, 102,400 in 1 MB | 1 KB µs | 1 MB ms | growth for 1,024 times the length |")
    print("|---|---:|---:|---:|")
    unit = "é" + labelled("+1415555") + ","
    small = TaintedStr().join([unit] * 102)
    large = TaintedStr().join([unit] * (102 * 1024))
    for name, call in calls:
        (little,) = nanoseconds(lambda: call(small), turns=5, number=5)
        (much,) = nanoseconds(lambda: call(large), turns=2, number=1)
        print(f"| `{name}` | {little / 1e3:.1f} | {much / 1e6:.1f} | {much / little:.0f} |")
    print()


def memory(kind: type) -> float:
    """Give the bytes that a labelled value takes beyond the plain one, where labels are shared."""
    count = 20_000
    plain = [str(number).zfill(12) if kind is str else b"%012d" % number for number in range(count)]
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = [labelled(value) for value in plain]
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return (after - before) / count - sys.getsizeof(plain[0]) - 8 * len(kept) / count


def others() -> None:
    """Show what is not an operation: making a label, comparing, looking up, and memory."""
    value, carrier, table = "+1 415 555 0100", labelled("+1 415 555 0100"), {"+1 415 555 0100": 1}
    cheapest = FloorKey(value)
    print("| | plain ns | labelled ns | more | an override that only calls the native one: more |")
    print("|---|---:|---:|---:|---:|")

    def comparisons(when: str) -> None:
        other = "+1 415 555 0101"
        rows: list[tuple[str, Callable[[Any], Any]]] = [
            ("x == y", lambda x: x == other),
            ("table[x]", lambda x: table[x]),
            ("hash(x)", lambda x: hash(x)),
        ]
        for name, call in rows:
            overhead, native, ours, floor = nanoseconds(
                empty, lambda: call(value), lambda: call(carrier), lambda: call(cheapest)
            )
            print(
                f"| `{name}`, {when} | {native - overhead:.0f} | {ours - overhead:.0f} | {ours - native:.0f} "
                f"| {floor - native:.0f} |"
            )

    comparisons("no zone entered yet")
    with taint.zone("security.mfa"):
        pass
    comparisons("outside a zone, after one")
    overhead, own, said, floor = nanoseconds(
        empty,
        lambda: taint.label(value, purpose="security.mfa", category="user.contact.phone_number"),
        lambda: taint.label(value, purpose="security.mfa", category="user.contact.phone_number", source="shop.enrol"),
        lambda: str.__new__(TaintedStr, value),
    )
    print(
        f"\n`label()` takes {own - overhead:.0f} ns, {said - overhead:.0f} ns with a source given, of which making the"
    )
    print(
        f"instance is {floor - overhead:.0f} ns. Memory over the plain value, with shared labels: "
        f"{memory(str):.0f} bytes for `str`, {memory(bytes):.0f} for `bytes`.\n"
    )


def main() -> None:
    """Measure all of it and write it as Markdown."""
    system = f"{platform.system()} {platform.machine()}"
    print(f"Run on Python {platform.python_version()}, {system}, {os.cpu_count()} cores.\n")
    text, data = FloorText("+1 415 555 0100"), FloorData(b"+1 415 555 0100")
    text.mark = data.mark = LABELS
    operations(text_rows(), "+1 415 555 0100", text, data)
    operations(bytes_rows(), b"+1 415 555 0100", data, text)
    others()
    linear()
    assert TaintedBytes is type(labelled(b"x"))


if __name__ == "__main__":
    main()
