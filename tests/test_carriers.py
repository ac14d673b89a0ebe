"""Carriers as Python objects: complete, copied, pickled, compared, never told apart from what they hold."""

from __future__ import annotations

import concurrent.futures
import copy
import enum
import gc
import multiprocessing
import operator
import pickle
import subprocess
import sys
import time
import tracemalloc
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

import taint
from taint import labels_of, ranges_of
from taint.carriers.comparing import COMPARISONS
from taint.carriers.overrides import MAKERS
from taint.carriers.text import TaintedBytes, TaintedStr, carry_bytes, carry_text
from taint.labels import Label, Labels

SECURITY = Labels([Label(frozenset({"security.mfa"}))])
BILLING = Labels([Label(frozenset({"billing"}))])
MIXED = ((0, 2, SECURITY), (3, 5, BILLING))
TEXT = carry_text("ab-cd", SECURITY)
CARRIERS = [
    pytest.param(TEXT, id="str"),
    pytest.param(carry_text("ab-cd", MIXED), id="str with ranges"),
    pytest.param(carry_bytes(b"ab-cd", SECURITY), id="bytes"),
    pytest.param(carry_bytes(b"ab-cd", MIXED), id="bytes with ranges"),
]

# Left as they are: what each gives holds nothing of the text.
PLAIN = {
    **dict.fromkeys(("isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "isidentifier"), "a truth value"),
    **dict.fromkeys(("islower", "isnumeric", "isprintable", "isspace", "istitle", "isupper"), "a truth value"),
    **dict.fromkeys(("maketrans", "fromhex"), "makes something from its arguments, and belongs to no value"),
    "__len__": "a length; sinks take text, not how long it is",
    "__sizeof__": "memory",
    "__doc__": "what the class says of itself",
    "__getnewargs__": "asked by pickle for subclasses, which keep labels in their state",
    "__buffer__": "C code reads the bytes through it; what it makes of them is for the nets",
    **dict.fromkeys(
        ("__class__", "__delattr__", "__dir__", "__getattribute__", "__getstate__", "__init__"), "every object's own"
    ),
    **dict.fromkeys(("__reduce__", "__subclasshook__"), "every object's own"),
}
OF_TEXT = {"__setattr__": "every object's own; its slots leave nothing to set"}
OF_BYTES = {
    "__iter__": "single bytes are numbers, which carry nothing",
    "__format__": "every object's own, which asks `__str__`",
}


@pytest.mark.parametrize(("carrier", "native"), [(TaintedStr, str), (TaintedBytes, bytes)])
def test_every_operation_is_covered(carrier: type, native: type) -> None:
    """Each attribute of `str` and `bytes` is overridden, tells zones, or stands in a list with its reason."""
    reasons = {**PLAIN, **(OF_BYTES if native is bytes else OF_TEXT)}
    own = {name for name in dir(native) if name in vars(carrier)} | (set(COMPARISONS) & set(dir(native)))
    own -= {"__doc__"}
    assert sorted(set(dir(native)) - own - set(reasons)) == []
    assert sorted(own & set(reasons)) == []
    assert {name for name in MAKERS if hasattr(native, name)} - set(reasons) <= own


@pytest.mark.parametrize("value", CARRIERS)
@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda x: copy.deepcopy({"k": [x]})["k"][0]])
def test_copies_keep_labels(value: Any, twin: Callable[[Any], Any]) -> None:
    """A copy has the same value and the same ranges."""
    copied = twin(value)
    assert (type(copied), copied, ranges_of(copied)) == (type(value), value, ranges_of(value))


@pytest.mark.parametrize("value", CARRIERS)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_keep_labels(value: Any, protocol: int) -> None:
    """Every pickle protocol keeps value, type and ranges."""
    again = pickle.loads(pickle.dumps(value, protocol))  # noqa: S301  # Made in the same line.
    assert (type(again), again, ranges_of(again)) == (type(value), value, ranges_of(value))


def test_processes_keep_labels() -> None:
    """Queues between processes and process pools carry labels there and back."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    values = [parameter.values[0] for parameter in CARRIERS]
    queue.put(values)
    assert [ranges_of(value) for value in queue.get(timeout=30)] == [ranges_of(value) for value in values]
    queue.close()
    queue.join_thread()
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        found = pool.submit(operator.methodcaller("upper"), values[1]).result(timeout=60)
    assert (found, ranges_of(found)) == ("AB-CD", ranges_of(values[1]))


class Own(TaintedStr):
    """A subclass of a carrier, with an attribute of its own."""


class OwnBytes(TaintedBytes):
    """As `Own`, for bytes."""


@pytest.mark.parametrize("make", [lambda: Own(TEXT), lambda: OwnBytes(carry_bytes(b"ab", SECURITY))])
def test_subclasses_keep_their_state(make: Callable[[], Any]) -> None:
    """A subclass of a carrier may have attributes; copies of it are copies."""
    value = make()
    value.note = ["x"]
    for again in (copy.copy(value), copy.deepcopy(value)):
        assert type(again) is type(value)
        assert (again, again.note, labels_of(again)) == (value, ["x"], SECURITY)
        assert again is not value


@pytest.mark.parametrize("kind", [str, bytes])
def test_labels_are_never_found_by_identity(kind: type) -> None:
    """An equal value made where a labelled one was freed has no labels, a thousand times over."""
    places: set[int] = set()
    reused = 0
    for number in range(1000):
        text = f"+1 415 555 {number:04}"
        held = taint.label(text if kind is str else text.encode(), purpose="security.mfa")
        assert labels_of(held)
        places.add(id(held))
        del held
        fresh = "".join(list(text)) if kind is str else bytes(bytearray(text.encode()))
        bare = type("Bare", (kind,), {})(fresh) if number % 10 == 0 else fresh
        reused += id(fresh) in places
        assert labels_of(fresh) == labels_of(bare) == frozenset()
        assert ranges_of(fresh) == ()
    gc.collect()


def test_bytes_share_their_attributes() -> None:
    """Bytes with the same labels share one `__dict__`, which assignment does not reach."""
    first, second = carry_bytes(b"ab", SECURITY), carry_bytes(b"cd", SECURITY)
    assert vars(first) is vars(second)
    value: Any
    for value in (TEXT, first):
        with pytest.raises(AttributeError, match="object has no attribute 'note'"):
            value.note = 1
    assert labels_of(carry_bytes(b"ab", BILLING)) == BILLING


@pytest.mark.parametrize("kind", [str, bytes])
def test_memory(kind: type) -> None:
    """A labelled value takes at most 80 bytes more than the plain one, where labels are shared."""
    count = 5000
    plain = [f"{number:012}" if kind is str else b"%012d" % number for number in range(count)]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = [taint.label(value, purpose="security.mfa", source="here") for value in plain]
        more = (tracemalloc.get_traced_memory()[0] - before) / count - 8
    finally:
        tracemalloc.stop()
    assert len(kept) == count
    assert more - sys.getsizeof(plain[0]) <= 80


class Upper(str):  # noqa: SLOT000  # As users write it.
    """A user's own text, which has a say in everything that is done with it."""

    calls: list[str]

    def __radd__(self, other: str) -> str:
        self.calls.append("__radd__")
        return f"<{other}{self!s}>"

    def __rmul__(self, other: Any) -> Any:
        self.calls.append("__rmul__")
        return NotImplemented

    def __eq__(self, other: object) -> bool:
        self.calls.append("__eq__")
        return str.__eq__(self, other)

    def __hash__(self) -> int:
        self.calls.append("__hash__")
        return str.__hash__(self)

    def __format__(self, spec: str) -> str:
        self.calls.append("__format__")
        return "formatted"

    def __str__(self) -> str:
        self.calls.append("__str__")
        return "shown"

    def __repr__(self) -> str:
        self.calls.append("__repr__")
        return "represented"


class Index:
    """A user's number."""

    def __init__(self, value: int, calls: list[str]) -> None:
        self.value, self.calls = value, calls

    def __index__(self) -> int:
        self.calls.append(f"__index__ {self.value}")
        return self.value


class Bare(str):  # noqa: SLOT000  # As users write it.
    """The least that a subclass can be: what a carrier is held against."""


def user(calls: list[str]) -> Upper:
    """Make a user's text that notes what is asked of it."""
    value = Upper("user")
    value.calls = calls
    return value


USES: list[Callable[[Any, list[str]], object]] = [
    lambda x, calls: x + user(calls),
    lambda x, calls: x == user(calls),
    lambda x, calls: user(calls) == x,
    lambda x, calls: x in {user(calls): 1},
    lambda x, calls: x.join([user(calls), user(calls)]),
    lambda x, calls: x.replace("a", user(calls)),
    lambda x, calls: x.split(user(calls)),
    lambda x, calls: x.startswith(user(calls)),
    lambda x, calls: "%s %r %a %s" % (user(calls), user(calls), user(calls), x),  # noqa: UP031
    lambda x, calls: type(x)("%s-%5.2s") % (user(calls), user(calls)),
    lambda x, calls: (
        type(x)("{} {!s} {!r:>12} {0x}").replace("0x", "a").format(user(calls), user(calls), user(calls), a=x)
    ),
    lambda x, calls: type(x)("{a} {a!s:>9}").format_map({"a": user(calls)}),
    lambda x, calls: x[Index(0, calls) : Index(9, calls) : Index(2, calls)],
    lambda x, calls: x[Index(1, calls)],
    lambda x, calls: x * Index(2, calls),
    lambda x, calls: Index(2, calls) * x,
    lambda x, calls: x.split("-", Index(1, calls)),
    lambda x, calls: x.rsplit(None, Index(1, calls)),
    lambda x, calls: x.replace("a", "b", Index(1, calls)),
    lambda x, calls: x.replace("", "b", Index(1, calls)),
    lambda x, calls: x.center(Index(9, calls)),
    lambda x, calls: x.zfill(Index(9, calls)),
    lambda x, calls: x.expandtabs(Index(9, calls)),
    lambda x, calls: x.translate({97: user(calls)}),
]


def outcome(action: Callable[[], object]) -> tuple[object, object]:
    """Give what an action gives, or how it fails, in words."""
    try:
        return None, action()
    except Exception as error:  # noqa: BLE001  # Whatever it is, it must be the same.
        return type(error), str(error)


@pytest.mark.parametrize("coverage", [SECURITY, MIXED], ids=["whole", "ranges"])
@pytest.mark.parametrize("at", range(len(USES)))
def test_users_methods_run_as_often(at: int, coverage: Any) -> None:
    """A user's `__format__`, `__str__`, `__index__`, `__eq__` and `__radd__` run exactly as often as without labels."""
    native: list[str] = []
    ours: list[str] = []
    expected = outcome(lambda: USES[at](Bare("ab-cd"), native))
    found = outcome(lambda: USES[at](carry_text("ab-cd", coverage), ours))
    assert found == expected
    assert ours == native
    assert native or at in {1, 4, 5, 6, 7, 23}  # Those that take the text as it is.


FAILING: list[Callable[[Any], object]] = [
    lambda x: x + 1,
    lambda x: 1 + x,
    lambda x: x + None,
    lambda x: x * 1.5,
    lambda x: 1.5 * x,
    lambda x: [1] * x,
    lambda x: x * [1],
    lambda x: x * x[:0],
    lambda x: x[9],
    lambda x: x["a"],
    lambda x: x[1.0:],
    lambda x: x[::0],
    lambda x: x.split(x[:0]),
    lambda x: x.split(1),
    lambda x: x.rsplit(x[:0]),
    lambda x: x.partition(x[:0]),
    lambda x: x.partition(None),
    lambda x: x.strip(1),
    lambda x: x.removeprefix(1),
    lambda x: x.join(1),
    lambda x: x.join([1]),
    lambda x: x.join([x, None]),
    lambda x: x.replace(1, 2),
    lambda x: x.replace(x, None),
    lambda x: x.center("a"),
    lambda x: x.center(9, x),
    lambda x: x.zfill("9"),
    lambda x: x.expandtabs("9"),
    lambda x: x.index(x + x),
    lambda x: x.startswith(1),
    lambda x: x < 1,
    lambda x: None in x,
    lambda x: x % 1,
    lambda x: (x[:0] + (b"%d" if isinstance(x, bytes) else "%d")) % "a",
    lambda x: (x[:1] + (b"%s %s" if isinstance(x, bytes) else "%s %s")) % (x,),
    lambda x: (x[:1] + (b"%s" if isinstance(x, bytes) else "%s")) % (x, x),
    lambda x: (x[:1] + (b"%(a)s" if isinstance(x, bytes) else "%(a)s")) % (x,),
    lambda x: (x[:1] + (b"%(a)s" if isinstance(x, bytes) else "%(a)s")) % {},
    lambda x: (x[:1] + (b"%y" if isinstance(x, bytes) else "%y")) % x,
    lambda x: (x[:1] + (b"%" if isinstance(x, bytes) else "%")) % x,
    lambda x: (x[:1] + (b"%*d" if isinstance(x, bytes) else "%*d")) % ("a", 1),
    lambda x: (x[:1] + (b"%99999999999999999999s" if isinstance(x, bytes) else "%99999999999999999999s")) % x,
    lambda x: (x + "{").format(),
    lambda x: (x + "}").format(),
    lambda x: (x + "{}").format(),
    lambda x: (x + "{a}").format(),
    lambda x: (x + "{0} {}").format(x, x),
    lambda x: (x + "{} {0}").format(x, x),
    lambda x: (x + "{:d}").format(x),
    lambda x: (x + "{!x}").format(x),
    lambda x: (x + "{.nothing}").format(x),
    lambda x: (x + "{[9]}").format(x),
    lambda x: (x + "{:{:{}}}").format(x, x, x),
    lambda x: (x + "{}").format_map({}),
    lambda x: (x + "{a}").format_map({}),
    lambda x: format(x, "d"),
    lambda x: format(x, "=9"),
    lambda x: x.encode("nothing"),
    lambda x: (x + "é").encode("ascii"),
    lambda x: (x + b"\xff").decode(),
    lambda x: x.decode("nothing"),
    lambda x: x.translate(1),
    lambda x: x.translate({97: 0x110000}),
    lambda x: x.nothing,
    lambda x: x.hex(1),
]


class BareBytes(bytes):
    """As `Bare`, for bytes."""


@pytest.mark.parametrize("coverage", [SECURITY, MIXED], ids=["whole", "ranges"])
@pytest.mark.parametrize("kind", [str, bytes])
@pytest.mark.parametrize("at", range(len(FAILING)))
def test_failures_are_the_native_ones(at: int, kind: type, coverage: Any) -> None:
    """What fails fails with the same exception and the same words."""
    bare: Any = Bare("ab-cd") if kind is str else BareBytes(b"ab-cd")
    ours: Any = carry_text("ab-cd", coverage) if kind is str else carry_bytes(b"ab-cd", coverage)
    error, words = outcome(lambda: FAILING[at](bare))
    found, said = outcome(lambda: FAILING[at](ours))
    for name in ("BareBytes", "Bare", "TaintedStr", "TaintedBytes"):
        words, said = str(words).replace(name, "it"), str(said).replace(name, "it")
    assert (found, said) == (error, words)


class Colour(enum.StrEnum):
    """A user's enumeration of texts."""

    RED = "red"


def test_subclasses_of_others_keep_their_behaviour() -> None:
    """An enumeration's member stays one when it is labelled, and a text with its own `+` is asked first."""
    red = taint.label(Colour.RED, purpose="security.mfa")
    assert isinstance(red, Colour)
    assert (red.name, red.value, red == "red", f"{red}", labels_of(red.value).purposes) == (
        *("RED", "red", True, "red"),
        frozenset({"security.mfa"}),
    )
    assert TEXT + user([]) == "<ab-cdshown>"
    assert Colour(carry_text("red", SECURITY)) is Colour.RED


def test_markup_stays_safe() -> None:
    """What a template engine's safe text is added to is escaped, labelled or not."""
    markupsafe = pytest.importorskip("markupsafe", reason="markupsafe is not installed")
    left = carry_text("<b>", SECURITY) + markupsafe.Markup("<i>")
    assert type(left) is markupsafe.Markup
    assert left == "&lt;b&gt;<i>"


def test_iteration_is_lazy_and_can_be_pickled() -> None:
    """An iterator over labelled text tells what is left, ends for good, and keeps labels through a pickle."""
    text = carry_text("ab-cd", MIXED)
    iterator = iter(text)
    assert operator.length_hint(iterator) == 5
    assert labels_of(next(iterator)) == SECURITY
    again = pickle.loads(pickle.dumps(iterator))  # noqa: S301  # Made in the same line.
    assert [(item, labels_of(item)) for item in again][1:] == [("-", frozenset()), ("c", BILLING), ("d", BILLING)]
    assert next(again, None) is None
    assert next(iter(carry_text("a" * 10**6, SECURITY))) == "a"


def test_empty_text_carries_nothing() -> None:
    """There is nothing to protect in an empty text, however it came about."""
    assert type(taint.label("", purpose="security.mfa")) is str
    assert type(taint.label(b"", purpose="security.mfa")) is bytes
    for empty in (TEXT[:0], TEXT.strip("abcd-"), TEXT * 0, TEXT.split("ab-cd")[0], TEXT.replace("ab-cd", "")):
        assert (type(empty), empty) == (str, "")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (TaintedStr(TEXT), [(0, 5)]),
        (TaintedStr(carry_text("ab-cd", MIXED)), [(0, 2), (3, 5)]),
        (TaintedStr(carry_bytes(b"ab-cd", MIXED), "ascii"), [(0, 5)]),
        (TaintedStr("ab"), []),
        (TaintedBytes(carry_bytes(b"ab-cd", MIXED)), [(0, 2), (3, 5)]),
        (TaintedBytes(carry_text("ab-cd", MIXED), "ascii"), [(0, 5)]),
        (TaintedBytes(3), []),
        (str(TEXT), [(0, 5)]),
        (bytes(carry_bytes(b"ab-cd", MIXED)), [(0, 2), (3, 5)]),
    ],
)
def test_constructors(value: Any, expected: list[tuple[int, int]]) -> None:
    """Making a text from a labelled one keeps its labels; from a plain one, there are none."""
    assert [(start, stop) for start, stop, _ in ranges_of(value)] == expected


def test_comparisons_are_native_until_the_first_zone() -> None:
    """Equality and hash are those of `str` itself until a zone is entered; from then on the zone is told."""
    program = """
import taint
phone = taint.label("+14155550100", purpose="security.mfa")
hash(phone)
assert type(phone).__eq__ is str.__eq__ and type(phone).__hash__ is str.__hash__
assert type(phone.encode()).__eq__ is bytes.__eq__
from taint.testing import record
with record(mode="report") as seen, taint.zone("security.mfa"):
    assert phone == "+14155550100"
assert not seen.violations
with record(mode="report") as seen, taint.zone("advertising"):
    assert "+14155550100" in {phone: 1} and phone == "+14155550100"
assert type(phone).__eq__ is not str.__eq__
assert seen.violations, seen
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=taint.__path__[0] + "/..",
    )
    assert done.returncode == 0, done.stderr


GROWING: list[Callable[[Any], object]] = [
    lambda x: x.split(","),
    lambda x: x.split(),
    lambda x: x.rsplit(","),
    lambda x: x.splitlines(),
    lambda x: x.replace(",", ";"),
    lambda x: x[::-3],
    lambda x: x.encode(),
    lambda x: x.encode().decode(),
    lambda x: x.expandtabs(),
    lambda x: x.translate({44: None}),
    lambda x: x + x,
    lambda x: x.strip(),
    lambda x: x.join(["a"] * 5),
    list,
]


@pytest.mark.parametrize("at", range(len(GROWING)))
def test_time_grows_with_the_length(at: int) -> None:
    """Text of many ranges takes time in step with its length: 16 times as long is far from 256 times as slow."""

    def seconds(text: Any) -> float:
        start = time.process_time()  # Others may have the processor meanwhile.
        GROWING[at](text)
        return time.process_time() - start

    unit = "é\t" + carry_text("415 5", SECURITY) + ",\n"
    small, large = TaintedStr().join([unit] * 200), TaintedStr().join([unit] * 3200)
    best_small = best_large = float("inf")
    for _ in range(20):  # The least of several is what it takes; a busy machine needs more of them.
        best_small, best_large = min(best_small, seconds(small)), min(best_large, seconds(large))
        if best_large < best_small * 16 * 8 + 0.02:
            return
    pytest.fail(f"{best_large / best_small:.0f} times as slow")


@pytest.mark.parametrize("deep", [0, 1, 2, 5])
@pytest.mark.parametrize("put", [lambda x: [1, x], lambda x: (x,), lambda x: {"a": 1, "b": x}, lambda x: deque([x])])
def test_a_carrier_is_found_however_deep_it_is(deep: int, put: Callable[[Any], Any]) -> None:
    """A plain container is told by its types, at any depth where one holds a carrier, and nothing runs in circles."""
    phone = taint.label("0100", purpose="security.mfa", source="test")
    value: Any = phone
    plain: Any = "0100"
    for _ in range(deep):
        value, plain = put(value), put(plain)
    assert taint.labels_of(value) == taint.labels_of(phone)
    assert not taint.labels_of(plain)
    assert taint.labels_of({frozenset([phone]): [1]}) == taint.labels_of(phone)
    circle: list[Any] = [[[0] * 3000] * 3000] * 3000
    circle.append(circle)
    assert not taint.labels_of(circle)


def test_labels_show_themselves_as_they_are_written() -> None:
    """What `labels_of` gives reads like code: the labels in it are not quoted."""
    shown = repr(labels_of(taint.label("+14155550100", purpose="security.mfa", source="shop.enrol")))
    assert shown.startswith("Labels([Label(purposes=frozenset({'security.mfa'})")
    assert "4155550100" not in shown


def test_labels_of_a_container_are_all_inside_it() -> None:
    """The labels of several values are joined, each once; those of one value are its own set."""
    first, second = carry_text("a", SECURITY), carry_text("b", BILLING)
    assert taint.labels_of([first, {"b": [second, first]}, "c"]) == SECURITY | BILLING
    assert taint.labels_of([first, "c", first]) is SECURITY
    assert taint.labels_of(["c", {"d": 1}, object()]) == frozenset()
