"""What rewritten code does: the value, the errors and the calls of plain Python, and the labels on top."""

import ast
import pickle
import re
import sys
import traceback
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import taint
from taint.carriers import observation
from taint.propagation.rewriting import aspects, fstrings
from taint.propagation.rewriting.loader import compile_rewritten

PHONE = "+14155550100"


def labelled(value: Any = PHONE) -> Any:
    """Give a value with one label."""
    return taint.label(value, purpose="security.mfa")


def run(source: str, *, rewritten: bool, **names: Any) -> dict[str, Any]:
    """Run a module's source and give its namespace."""
    code = compile_rewritten(source.encode(), "shop.py") if rewritten else compile(source, "shop.py", "exec")
    namespace: dict[str, Any] = {"__name__": "shop", **names}
    exec(code, namespace)  # noqa: S102  # What is tested is code.
    return namespace


def value_of(expression: str, *, rewritten: bool, **names: Any) -> Any:
    """Give what an expression gives, in a function: names in it are local."""
    source = f"def f({', '.join(names)}):\n    return ({expression})\n"
    return run(source, rewritten=rewritten)["f"](*names.values())


def spans(value: Any) -> list[tuple[int, int]]:
    """Give the labelled ranges of a text."""
    return [(found.start, found.stop) for found in taint.ranges_of(value)]


@dataclass
class Record:
    """A record whose text is made by `dataclass`, and which hides one of its fields."""

    name: str
    secret: str = field(default="", repr=False)


class Pair(NamedTuple):
    """A named tuple, whose text is made by `collections`."""

    name: str
    number: int


@dataclass
class Masked:
    """A record whose text the user gives, without what is in it."""

    name: str

    def __repr__(self) -> str:
        """Mask the name."""
        return "<masked>"


@dataclass
class Formatted:
    """A record whose formatting the user gives; its `str` is made by `dataclass`."""

    name: str

    def __format__(self, spec: str) -> str:
        """Mask the name."""
        return "<masked>"


class Person:
    """A user's class whose text is its labelled name."""

    def __init__(self, name: Any) -> None:
        """Keep the name."""
        self.name = name

    def __str__(self) -> str:
        """Give the name itself."""
        return self.name  # type: ignore[no-any-return]  # Any text.


EXACT = [
    # f-strings
    ('f"tel:{p};ext=1"', [(4, 16)]),
    ('f"{p}"', [(0, 12)]),
    ('f"{p}{p}"', [(0, 24)]),
    ('f"a{p!s}b"', [(1, 13)]),
    ('f"a{p!r}b"', [(2, 14)]),
    ('f"a{p + chr(233)!a}b"', [(1, 19)]),
    ('f"a{p:>15}b"', [(4, 16)]),
    ('f"a{p:*^{n}}b"', [(2, 14)]),
    ('f"a{p!r:>{n}}b"', [(3, 15)]),
    ('f"{p=}"', [(3, 15)]),
    ('f"{n}:{p[:3]}:{n}"', [(3, 6)]),
    ("f\"{f'<{p}>'}!\"", [(1, 13)]),
    ('f"{Person(p)}-{n}"', [(0, 12)]),
    ('f"{{{p}}}"', [(1, 13)]),
    ('f"x" f"{p}" "y"', [(1, 13)]),
    ('(lambda q: f"<{q}>")(p)', [(1, 13)]),
    ('[f"<{q}>" for q in [p]][0]', [(1, 13)]),
    ('"".join(f"<{q}>" for q in [p, "b"])', [(1, 13)]),
    # join
    ('",".join([p, "b"])', [(0, 12)]),
    ('",".join(("a", p))', [(2, 14)]),
    ('",".join({p: 1})', [(0, 12)]),
    ('", ".join(q for q in ["a", p])', [(3, 15)]),
    ('", ".join([q.strip() for q in ["a", p]])', [(3, 15)]),
    ('sep.join(["a", p])', [(2, 14)]),
    ('sep.join(q for q in ("a", p))', [(2, 14)]),
    ('b",".join([b"a", p.encode()])', [(2, 14)]),
    ('"".join(map(lambda q: q.strip(), [p]))', [(0, 12)]),
    # %
    ('"%s-%s" % ("a", p)', [(2, 14)]),
    ('"%s%%%r" % ("a", p)', [(3, 15)]),
    ('"%%s%s" % (p,)', [(2, 14)]),
    ('"%a" % (p + chr(233),)', [(0, 18)]),
    ('"%15s|%d" % (p, n)', [(3, 15)]),
    ('"%(x)s-%(y)d" % {"x": p, "y": n}', [(0, 12)]),
    ('"<%s>" % p', [(1, 13)]),
    ('"%-15s|%.3s|%5r|%%" % (p, p, n)', [(0, 12), (16, 19)]),
    ('"%015s|%%%.s%+.2s" % (p, p, p)', [(3, 15), (17, 19)]),
    ('"<%s>" % Person(p)', [(1, 13)]),
    ("template % (n, p)", [(3, 15)]),
    ('(template + "") % (n, p)', [(3, 15)]),
    ('b"<%s>" % (p.encode(),)', [(1, 13)]),
    # format
    ('"{}-{}".format(n, p)', [(3, 15)]),
    ('"{1}-{0}".format(n, p)', [(0, 12)]),
    ('"{x}-{0}".format(n, x=p)', [(0, 12)]),
    ('"{0}{0}".format(p)', [(0, 24)]),
    ('"{0!r:>15}|".format(p)', [(2, 14)]),
    ('"{:>{}}|".format(p, 14)', [(2, 14)]),
    ('"{0.name}/{1[k]}".format(Person(p), {"k": p})', [(0, 12), (13, 25)]),
    ('"{0[0]}".format([p])', [(0, 12)]),
    ('"{0.name}:{0.name:>13}|{n}".format(Person(p), n=n)', [(0, 12), (14, 26)]),
    ('"{who.name}/{n}".format(who=who, n=n)', [(0, 12)]),
    ('"{who}/{who}".format(who=who)', [(0, 12), (13, 25)]),
    ('"<{x}>".format_map({"x": p})', [(1, 13)]),
    ('"<{}>".format(*[p])', [(1, 13)]),
    ('"<{x}>".format(**{"x": p})', [(1, 13)]),
    ('sep.join(["{}", "a"]).format(p)', [(0, 12)]),
    # what a container shows
    ('f"{[p]}"', [(0, 16)]),
    ('f"rows: {rows}"', [(6, 25)]),
    ('f"{n}:{rows!r:>20}|"', [(4, 23)]),
    ('f"{rows!a}"', [(0, 19)]),
    ('f"{rows=}"', [(5, 24)]),
    ('f"{who.name}{dict(x=rows)}"', [(0, 38)]),
    ('f"{record};"', [(0, 27)]),
    ('f"{record.name}{[record]}"', [(0, 41)]),
    ('"%s" % [p]', [(0, 16)]),
    ('"%s|%r" % (rows, n)', [(0, 19)]),
    ('"%d %-20s|" % (n, rows)', [(3, 22)]),
    ('"%(x)r" % {"x": rows}', [(0, 19)]),
    ('b"%a" % (rows,)', [(0, 19)]),
    ('"<%s>" % record', [(1, 28)]),
    ('"{}".format(rows)', [(0, 19)]),
    ('"{0!r:>20}".format([p, n][:1])', [(4, 20)]),
    ('"{x[0]}{x!a}".format(x=rows + [])', [(0, 36)]),
    ('"<{x}>".format_map({"x": (p,)})', [(1, 18)]),
    ("str(record)", [(0, 27)]),
    ('f"{Formatted(p)!s:>31}{Formatted(p)}"', [(1, 31)]),
    ("repr(pair)", [(0, 35)]),
    # nested specifications
    ('f"{n:{w}}|"', [(0, 4)]),
    ('f"{n:>{w}}|"', [(0, 4)]),
    ('f"{n:{who.name[5]}}|"', [(0, 5)]),
    ('f"<{n!r:{w}}>{n}"', [(1, 5)]),
    ('f"{p[:2]:>{n}}|"', [(13, 15)]),
    ('"<{:{}}>".format(n, w)', [(1, 5)]),
    ('"<{:{w}}>".format(n + 0, w=w[:])', [(1, 5)]),
    ('"<{0:>{1}}>".format("a", w)', [(1, 5)]),
    # showing and converting
    ("str(p)", [(0, 12)]),
    ("repr(p)", [(1, 13)]),
    ("str([p, n])", [(0, 20)]),
    ('repr({"x": (p,)})', [(0, 24)]),
    ("ascii(p + chr(233))", [(0, 18)]),
    ('str(p.encode(), "ascii")', [(0, 12)]),
    ('str(p.encode(), encoding="ascii")', [(0, 12)]),
    ('bytes(p, "ascii")', [(0, 12)]),
    ('bytes("a" + p, encoding="ascii", errors="strict")', [(1, 13)]),
    # methods of plain text with labelled arguments, and concatenation, which asks the carrier
    ('"a-b".replace("-", p)', [(1, 13)]),
    ('sep.replace(",", p)', [(0, 12)]),
    ('"a".ljust(3, p[0])', [(1, 3)]),
    ('"a".rjust(3, p[0])', [(0, 2)]),
    ('b"a-b".replace(b"-", p.encode())', [(1, 13)]),
    ('[x := "a", x := x + p][1]', [(1, 13)]),
    # patterns that were compiled before
    ('digits.sub("x", p)', [(0, 1)]),
    ('digits.sub("x" + p[:1], "tel 1")', [(5, 6)]),
    ('digits.sub(lambda found: p, "tel 1")', [(4, 16)]),
    ('digits.sub(lambda found: found[0][:3], "1" + p)', [(1, 5)]),
    ('digits.sub(repl="x", string=p)', [(0, 1)]),
    ('digits.match("1" + p).group()', []),
    ('digits.search(string="tel: " + p, pos=2).group()', [(0, 11)]),
    ("digits.findall(p)[0]", [(0, 11)]),
    ("digits.search(p).group()", [(0, 11)]),
    ("digits.match(p, 1).group()", [(0, 11)]),
    ("next(digits.finditer(p)).group()", [(0, 11)]),
    ('digits.sub(p, "tel 1")', [(4, 16)]),
    ('digits.subn("x", p)[0]', [(0, 1)]),
    ("digits.split(p)[0]", [(0, 1)]),
    ("digits.scanner(p).search().group()", [(0, 11)]),
    # of the class
    ("str.upper(p)", [(0, 12)]),
    ('str.join(",", ["a", p])', [(2, 14)]),
    ('bytes.replace(b"a", b"a", p.encode(), 1)', [(0, 12)]),
    ('str.encode(p, encoding="ascii")', [(0, 12)]),
    ('str.split("a b")', []),
    ("digits.scanner(p, 1).match().group(0)", [(0, 11)]),
]


def names(phone: Any) -> dict[str, Any]:
    """Give the names that the expressions use."""
    return {
        "p": phone,
        "n": 15,
        "sep": ",",
        "template": "%s-%s",
        "digits": re.compile("[0-9]+"),
        "Person": Person,
        "who": Person(phone),
        "rows": [(phone,)][:1],
        "record": Record(phone, phone),
        "Formatted": Formatted,
        "pair": Pair(phone, 1),
        "w": phone[2],
    }


@pytest.mark.parametrize(("expression", "expected"), EXACT)
def test_labels_stand_where_the_labelled_text_is(expression: str, expected: list[tuple[int, int]]) -> None:
    """Rewritten code gives the plain value with the labels in their place, and plain operands give a plain result."""
    plain = value_of(expression, rewritten=False, **names(PHONE))
    result = value_of(expression, rewritten=True, **names(labelled()))
    assert result == plain
    assert spans(result) == expected
    clean = value_of(expression, rewritten=True, **names(PHONE))
    assert (clean, type(clean)) == (plain, type(plain))


def test_a_pattern_s_method_that_is_given_a_name_is_followed() -> None:
    """`find = PATTERN.search` finds labels, is pickled as the native method, and gives plain text a native match."""
    names: dict[str, Any] = {"digits": re.compile("[0-9]+"), "text": "a,b"}
    code = compile_rewritten(b"find = digits.search\nsplit = text.split\npattern = digits.pattern", "kept")
    exec(code, names)  # noqa: S102  # A module of this test.
    assert spans(names["find"](labelled())[0]) == [(0, 11)]
    assert type(names["find"]("15")) is re.Match
    assert pickle.loads(pickle.dumps(names["find"]))("15")[0] == "15"  # noqa: S301  # Written just here.
    assert names["find"].__self__ is names["digits"]
    assert names["split"](",") == ["a", "b"]
    assert names["pattern"] == "[0-9]+"


@pytest.mark.parametrize(
    "expression",
    [
        'f"{x} {y}"',
        'f"{x}"',
        'f"{z}"',
        '"{}".format(z)',
        'f"{[x][0]!r}{y}"',
        '"%s" % x',
        '"%s %s" % (x, y)',
        '"{} {!r}".format(x, y)',
        "str(x)",
    ],
)
def test_what_is_not_shown_brings_no_label(expression: str) -> None:
    """The text that a user gives of a record, and a field that is left out of it, have no labels."""
    operands = {"x": Masked(labelled()), "y": Record("a", labelled()), "z": Formatted(labelled())}
    result = value_of(expression, rewritten=True, **operands)
    assert result == value_of(expression, rewritten=False, **operands)
    assert not taint.labels_of(result)


def test_each_range_keeps_its_own_labels() -> None:
    """Two values of two purposes keep two sets of labels in one f-string."""
    other = taint.label("a@b.example", purpose="marketing")
    result = value_of('f"{p} {q}"', rewritten=True, p=labelled(), q=other)
    assert [sorted(label.purposes for label in found.labels) for found in taint.ranges_of(result)] == [
        [frozenset({"security.mfa"})],
        [frozenset({"marketing"})],
    ]


class Recorder:
    """An object that notes every call of its special methods, and from which frame it came."""

    def __init__(self, name: str, calls: list[tuple[Any, ...]], *, fails: bool = False) -> None:
        """Note into `calls`."""
        self.name, self.calls, self.fails = name, calls, fails

    def _note(self, what: str, *more: Any) -> str:
        self.calls.append((self.name, what, *more))
        if self.fails:
            msg = f"{self.name} fails"
            raise LookupError(msg)
        return f"<{self.name}>"

    def __format__(self, spec: str) -> str:
        return self._note("format", spec)

    def __str__(self) -> str:
        return self._note("str")

    def __repr__(self) -> str:
        return self._note("repr")

    def __add__(self, other: object) -> str:
        return self._note("add")

    def __radd__(self, other: object) -> str:
        return self._note("radd")

    def __eq__(self, other: object) -> bool:
        self._note("eq")
        return False

    def __hash__(self) -> int:
        self._note("hash")
        return 1

    def __contains__(self, item: object) -> bool:
        return bool(self._note("contains"))

    def __mod__(self, other: object) -> str:
        return self._note("mod")

    def __rmod__(self, other: object) -> str:
        return self._note("rmod")

    def __iter__(self) -> Iterator[str]:
        return iter([self._note("iter")])

    def __len__(self) -> int:
        self._note("len")
        return 1

    def __getitem__(self, key: object) -> str:
        return self._note("getitem", key)

    @property
    def prop(self) -> str:
        """Note that it was asked for."""
        return self._note("prop")

    def join(self, *args: object, **kwargs: object) -> str:
        """Note the arguments' types: a generator stays one."""
        return self._note("join", [type(arg).__name__ for arg in args], sorted(kwargs))

    def replace(self, *_args: object, **_kwargs: object) -> str:
        """Note the calling function's name, which no helper may stand before."""
        return self._note("replace", sys._getframe(1).f_code.co_name)

    format = format_map = match = search = sub = split = replace


CALLS = [
    'f"{a}{b!r}{c!s:>5}{a:x}{b!a}"',
    'f"{a.prop} {b.prop}"',
    'f"{a:{b}}{c}"',
    '"%s %r" % (a, b)',
    '"%s %5s" % (a, b)',
    '"%s" % a',
    '"%(k)s" % a',
    "a % b",
    "a % (b, 1)",
    "a.prop % (b,)",
    '"%s" % a.prop',
    '"{} {}".format(a, b)',
    '"{0} {0}".format(a)',
    '"{0.prop} {1[k]}".format(a, b)',
    '"{x}".format(x=a.prop)',
    '"{k}".format_map(a)',
    '",".join(a)',
    '",".join(f(x) for x in (a, b))',
    '",".join([f(x) for x in (a, b)])',
    "a.join(b)",
    "a.join(x for x in [b])",
    "a.join(b, c)",
    "a.join(*[b], k=c)",
    "a.replace(b, c)",
    "'x'.replace('x', b)",
    "a.b.replace('x', b)",
    '"{0.prop} {0.prop} {1[k]}{1[0]}".format(a, b)',
    '"{0.nothing}".format(a)',
    '"{0[k].nothing}".format(a)',
    '"{} {}".format(a)',
    '"{a} {nothing}".format(a=a)',
    '"{} {0.nothing}".format(a)',
    '"{0} {0.nothing} {1}".format(a, b)',
    "a.format(b)",
    "a.format_map(b)",
    "a.match(b.prop)",
    "a.search(b)",
    "a.sub(b, c)",
    "a.split(b)",
    "a in b",
    "a not in b",
    "a.prop in b.prop",
    "a in [b, c]",
    "a in {b}",
    "a in 'x' or b",
    "a + b",
    '"x" + a',
    "str(a) + repr(b) + ascii(c)",
    "str([a, b])",
    'f"{a}" and f"{a}{b}" and c.prop',
    'f"{a}-{missing}-{b}"',
    '"%s%s" % (a, missing)',
    '"{}{}".format(a.prop, missing)',
    "missing.join(a)",
    "a.nothing.join(b)",
    '",".join(a, b)',
    '",".join()',
    'int(f"{a}{b}")',
]


@pytest.mark.parametrize("fails", ["", "a", "b"])
@pytest.mark.parametrize("expression", CALLS)
def test_user_code_runs_as_often_and_in_the_same_order(expression: str, fails: str) -> None:
    """Special methods, properties and methods of a user's objects are called as natively, and errors are the same."""
    seen = []
    for rewritten in (False, True):
        calls: list[tuple[Any, ...]] = []
        operands = {name: Recorder(name, calls, fails=name == fails) for name in "abc"}
        try:
            outcome: Any = value_of(expression, rewritten=rewritten, **operands, f=str)
        except Exception as error:  # noqa: BLE001  # Any error is an outcome.
            outcome = type(error), str(error)
        seen.append((outcome, calls))
    assert seen[1] == seen[0]


ERRORS = [
    '",".join(5)',
    '",".join(["a", 5])',
    '",".join(["a", p, 5])',
    'sep.join(["a", b"b"])',
    'b",".join(["a"])',
    '"%d" % (p, )',
    '"%s" % (p, p)',
    '"%s %s" % (p, )',
    '"%s %s" % p',
    '"%y" % (p, )',
    '"%%%" % (p, )',
    '"%s%" % (p, )',
    '"%%s" % (p, )',
    '"%1000s %s" % (p, )',
    '"%ls %q" % (p, p)',
    '"%" % (p, )',
    '"%(k)s" % (p, )',
    '"%(k)s" % {"j": p}',
    '"%s" % ()',
    "template % (p,)",
    '"{} {}".format(p)',
    '"{".format(p)',
    '"}".format(p)',
    '"{0} {}".format(p, p)',
    '"{} {0}".format(p, p)',
    '"{x}".format(p)',
    '"{0.nothing}".format(p)',
    '"{0[5]}".format([p])',
    '"{!z}".format(p)',
    '"{:d}".format(p)',
    '"{:{:{}}}".format(p, p, p)',
    '"{k}".format_map({"j": p})',
    '"{}".format_map({"j": p})',
    'f"{p:d}{n}"',
    'f"{p:>{p}}{n}"',
    'f"{n}{n:s}"',
    'f"{n}{1 / 0}"',
    "str(p, 'ascii')",
    "str(b'\\xff' + p.encode(), 'ascii')",
    "bytes(p)",
    "bytes(chr(233) + p, 'ascii')",
    "bytes(p, 'no-such-codec')",
    "p in 5",
    "5 in p",
    "sep.replace(p)",
    "sep.replace(p, 5)",
    "sep.ljust(p)",
    "digits.sub(p)",
    'digits.sub("\\\\9", p)',
    "digits.match(5)",
    "digits.match(p.encode())",
    "p.nothing(p)",
]


@pytest.mark.parametrize("phone", [PHONE, labelled()], ids=["plain", "labelled"])
@pytest.mark.parametrize("expression", ERRORS)
def test_errors_are_the_native_ones(expression: str, phone: str) -> None:
    """What fails natively fails with the same type, message and place, labelled or not."""
    outcomes = []
    for rewritten, operand in ((False, PHONE), (True, phone)):
        error = error_of(lambda: value_of(expression, rewritten=rewritten, **names(operand)))  # noqa: B023  # Called now.
        # A message may name the operand's type, which is then the carrier's.
        outcomes.append((type(error), str(error).replace("TaintedStr", "str"), places(error)))
    assert outcomes[1] == outcomes[0]


@pytest.mark.parametrize("expression", [*ERRORS, "1 / 0"])
def test_an_error_has_no_other_behind_it(expression: str) -> None:
    """What was tried before the native operation failed is nothing that a traceback tells of."""
    error = error_of(lambda: value_of(expression, rewritten=True, **names(labelled())))
    native = error_of(lambda: value_of(expression, rewritten=False, **names(PHONE)))
    assert type(error.__context__) is type(native.__context__)


def error_of(call: Callable[[], Any]) -> Exception:
    """Give the error that a call raises."""
    try:
        call()
    except Exception as error:  # noqa: BLE001  # As above.
        return error
    pytest.fail("nothing was raised")


def places(error: BaseException) -> list[tuple[Any, ...]]:
    """Give function, lines and columns of the frames of rewritten code in a traceback."""
    return [
        (frame.name, frame.lineno, frame.end_lineno, frame.colno, frame.end_colno)
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == "shop.py"
    ]


PLACED = '''"""A module."""
from __future__ import annotations

import re

class Money:
    def __format__(self, spec):
        raise ValueError(spec)
    __str__ = __repr__ = __contains__ = __mod__ = lambda self, *_: 1 / 0
    def replace(self, *_):
        raise KeyError

def fstring(m):
    return f"one {m}" + (
        f"two {m:x}"
    )

def several_lines(m):
    return f"""
    {m.nothing}
    {m!r}"""

def joins(m):
    return ", ".join(
        str(x)
        for x in [m]
    )

def percents(m):
    return "%s %s" % (
        1,
        m)

def percent(m):
    return 1 + len("%5s" % (m,))

def formats(m):
    return ("{} {}"
        .format(1,
            m))

def chain(m):
    return (m
        .replace(m, 1)
        .replace(m, 2))

def missing(m):
    return (m
        .nothing
        .join(m))

def inside(m):
    return m if m in m else 2

def modulo(m):
    return [m % m.nothing, 1]

def raised_in_a_comprehension(m):
    return "".join([f"{x}{y}" for x in [1] for y in [m]])
'''
FUNCTIONS = [node.name for node in ast.parse(PLACED).body if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_tracebacks_name_the_same_lines_and_columns(function: str) -> None:
    """An error in rewritten code shows the places that it shows natively."""
    shown = []
    for rewritten in (False, True):
        module = run(PLACED, rewritten=rewritten)
        error = error_of(lambda: module[function](module["Money"]()))  # noqa: B023  # Called now.
        shown.append((type(error), places(error)))
    assert shown[1] == shown[0]
    assert shown[0][1]


SECTION = re.compile(r"^=== (.+) \((\d+)\.(\d+)\)\n", re.MULTILINE)
PARTS = SECTION.split(Path(__file__).with_name("rewritten_modules.txt").read_text(encoding="utf-8"))[1:]
MODULES = {
    title: source
    for title, major, minor, source in zip(*(PARTS[at::4] for at in range(4)), strict=True)
    if sys.version_info >= (int(major), int(minor))
} | {"a long chain": "x = " + " + ".join(f'f"{{{number}}}{{{number}}}"' for number in range(150)) + "\n"}


@pytest.mark.parametrize("title", MODULES)
def test_a_module_does_what_it_does_natively(title: str) -> None:
    """A rewritten module leaves the names and values that it leaves natively."""
    native, rewritten = (run(MODULES[title], rewritten=way) for way in (False, True))
    assert rewritten["x"] == native["x"]
    assert rewritten.get("__doc__") == native.get("__doc__")
    assert rewritten.get("ann") == native.get("ann")
    assert [name for name in rewritten if not name.startswith("__taint_")] == list(native)


def test_a_module_without_anything_to_rewrite_is_compiled_as_it_is() -> None:
    """No import is put into a module in which nothing is replaced."""
    source = b'"""Doc."""\nx = 1 + 2\ny = "a" + f"{x:d}"\n'
    assert compile_rewritten(source, "shop.py") == compile(source, "shop.py", "exec")


def test_the_import_stands_on_the_line_of_the_first_statement() -> None:
    """No line of the rewritten code is a line that the native code does not run."""
    for source in MODULES.values():
        codes = (compile(source, "shop.py", "exec"), compile_rewritten(source.encode(), "shop.py"))
        lines = [set(lines_of(code)) for code in codes]
        assert lines[1] == lines[0]


def lines_of(code: types.CodeType) -> Iterator[tuple[str, int]]:
    """Give every line of code, with the function that it is in."""
    yield from ((code.co_qualname, line) for _, _, line in code.co_lines() if line)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from lines_of(constant)


def test_warnings_are_those_of_the_compiler() -> None:
    """A module that the compiler warns about is warned about once, at the same line."""
    source = 'x = 5\ny = x is 5\nz = f"{x}{x}"\n'
    seen = []
    for rewritten in (False, True):
        with pytest.warns(SyntaxWarning) as caught:
            run(source, rewritten=rewritten)
        seen.append([(str(warning.message), warning.lineno, warning.filename) for warning in caught])
    assert seen[1] == seen[0]
    assert len(seen[0]) == 1


class Zone:
    """Takes down what a zone would be told."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.told: list[str] = []

    def observe(self, _labels: taint.Labels, operation: str) -> None:
        """Take it down."""
        self.told.append(operation)


@pytest.mark.parametrize("phone", [labelled(), PHONE], ids=["labelled", "safe twin"])
@pytest.mark.parametrize(
    ("expression", "operation"),
    [
        ("p in text", "in"),
        ("p not in text", "in"),
        ("bool(digits.search(p))", "match"),
        ("digits.fullmatch(string=p[1:]) is not None", "match"),
        ("bool(digits.match(p)) or 7", "match"),
        ('bool(f"{p}{[p]}{n:{p[2]}}" and "".join([p]) and "%s" % [p] and digits.sub("x", p))', None),
    ],
)
def test_a_zone_is_told_of_comparisons_and_of_no_formatting(
    expression: str, operation: str | None, phone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labelled text that is looked for, or matched, is a use of it; plain text is not, nor is making text."""
    told = [operation] if operation and taint.labels_of(phone) else []
    monkeypatch.setattr(observation, "active", True)
    zone = Zone()
    token = observation.observer.set(zone)
    try:
        found = value_of(expression, rewritten=True, **names(phone), text=f"call {PHONE}")
    finally:
        observation.observer.reset(token)
    assert found == value_of(expression, rewritten=False, **names(PHONE), text=f"call {PHONE}")
    assert zone.told == told


BROKEN: list[tuple[str, Any, str]] = [
    ('f"a{p}{p}"', fstrings, "join_pieces"),
    ('",".join([p, "b"])', aspects, "_carrier_of"),
    ('"%d|%s" % (n, p)', aspects, "percent_pieces"),
    ('"{:>{}}".format(p, 14)', aspects, "format_pieces"),
    ('"{x}".format_map({"x": p})', aspects, "format_pieces"),
    ("str([p])", aspects, "labels_of"),
    ("f'{p!a}x'", aspects, "labels_of_carrier"),
    ('f"{rows} {n}"', aspects, "labels_of"),
    ('f"{record}"', aspects, "_shows_contents"),
    ('"%s|%d" % (rows, n)', aspects, "labels_of"),
    ('"a".replace("a", p)', aspects, "_carrier_of"),
]


@pytest.mark.parametrize(("expression", "module", "name"), BROKEN)
def test_an_internal_error_gives_the_native_result(
    expression: str, module: Any, name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """When the library itself fails, the program gets the plain value and the log says so."""

    def fail(*_: Any) -> Any:
        raise ZeroDivisionError

    fail.__code__ = fail.__code__.replace(co_filename=aspects.__file__)
    monkeypatch.setattr("taint.guard._reported", set())
    monkeypatch.setattr(module, name, fail)
    assert value_of(expression, rewritten=True, **names(labelled())) == value_of(
        expression, rewritten=False, **names(PHONE)
    )
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert PHONE not in caplog.text


def test_patterns_are_made_once_and_nothing_else_is() -> None:
    """A pattern's function is the same one for every module; another name is an attribute error."""
    made: Callable[..., str] = fstrings.LDLDLDL
    assert made is fstrings.LDLDLDL
    assert made("a", "b", "c", "d", "e", "f", "g") == "abcdefg"
    with pytest.raises(AttributeError, match="nothing"):
        _ = fstrings.nothing
