"""Every operation of `str` and `bytes` on a labelled value: what it gives, and where the labels are afterwards."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from taint import ranges_of
from taint.carriers.operations import coverage_of
from taint.carriers.text import carry_bytes, carry_text
from taint.labels import Label, Labels

SECURITY = Labels([Label(frozenset({"security.mfa"}))])
BILLING = Labels([Label(frozenset({"billing"}))])
MARKS = {"[": SECURITY, "<": BILLING, "«": SECURITY | BILLING}
ENDS = {"[": "]", "<": ">", "«": "»"}


def marked(text: str) -> str:
    """Read a text in which `[...]` is labelled for security, `<...>` for billing and `«...»` for both."""
    value, spans = "", []
    for mark, inside, outside in re.findall(r"([\[<«])(.*?)[\]>»]|([^\[<«]+)", text, re.DOTALL):
        if inside:
            spans.append((len(value), len(value) + len(inside), MARKS[mark]))
        value += inside + outside
    if len(spans) == 1 and spans[0][:2] == (0, len(value)):
        return carry_text(value, spans[0][2])
    return carry_text(value, tuple(spans))


def marked_bytes(text: str) -> bytes:
    """Read a byte string as `marked` does; its text is Latin-1."""
    value = marked(text)
    return carry_bytes(str.encode(value, "latin-1"), coverage_of(value))


def show(value: object) -> object:
    """Write what an operation gave, with marks around what is labelled."""
    if isinstance(value, list | tuple):
        return [show(item) for item in value]
    if not isinstance(value, str | bytes):
        return value
    plain = str.__str__(value) if isinstance(value, str) else bytes(value).decode("latin-1")
    shown, at = "", 0
    for start, stop, labels in ranges_of(value):
        mark = next(mark for mark, wanted in MARKS.items() if wanted == labels)
        shown += plain[at:start] + mark + plain[start:stop] + ENDS[mark]
        at = stop
    return shown + plain[at:]


def plain(value: Any) -> Any:
    """Give a plain value, for the native operation."""
    if isinstance(value, list | tuple):
        return type(value)(map(plain, value))
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, str):
        return "".join(list(str.__str__(value)))
    return bytes(bytearray(value)) if isinstance(value, bytes) else value


# The value, the method, its arguments and what it gives; the same for text and for bytes.
BOTH: list[tuple[str, str, tuple[Any, ...], object]] = [
    ("[ab]", "upper", (), "[AB]"),
    ("a[b]c", "upper", (), "A[B]C"),
    ("A[B]C", "lower", (), "a[b]c"),
    ("a[B]c<D>", "swapcase", (), "A[b]C<d>"),
    ("ab [cd]", "title", (), "Ab [Cd]"),
    ("a[B]C", "capitalize", (), "A[b]c"),
    (" [ab] ", "strip", (), "[ab]"),
    ("[ ab ]", "strip", (), "[ab]"),
    ("xx[ax]b<x>", "strip", ("x",), "[ax]b"),
    ("[   ]", "strip", (), ""),
    ("  [ a]b ", "lstrip", (), "[a]b "),
    (" a[b ] ", "rstrip", (), " a[b]"),
    ("tel:[1]", "removeprefix", ("tel:",), "[1]"),
    ("tel:[1]", "removeprefix", ("x",), "tel:[1]"),
    ("[1]23", "removesuffix", ("3",), "[1]2"),
    ("[1]2[3]", "removesuffix", ("3",), "[1]2"),
    ("a[b,c]d,<e>", "split", (",",), ["a[b]", "[c]d", "<e>"]),
    ("a[b,c]d,<e>", "split", (",", 1), ["a[b]", "[c]d,<e>"]),
    (",[a],", "split", (",",), ["", "[a]", ""]),
    ("  a [b  c] d ", "split", (), ["a", "[b]", "[c]", "d"]),
    ("  a [b  c] d ", "split", (None, 1), ["a", "[b  c] d "]),
    ("a a[a] a", "split", (), ["a", "a[a]", "a"]),
    ("[a b]", "split", (), ["[a]", "[b]"]),
    ("[abab]ab", "split", ("ab",), ["", "", "", ""]),
    ("a[b,c]d,<e>", "rsplit", (",", 1), ["a[b,c]d", "<e>"]),
    (" a [b  c] d ", "rsplit", (None, 2), [" a [b]", "[c]", "d"]),
    ("x[x]x x", "rsplit", (), ["x[x]x", "x"]),
    ("[a]\nb<c>\r\n<d>", "splitlines", (), ["[a]", "b<c>", "<d>"]),
    ("[a]\nb<c>\r\n<d>", "splitlines", (True,), ["[a]\n", "b<c>\r\n", "<d>"]),
    ("[a=]b", "partition", ("=",), ["[a]", "[=]", "b"]),
    ("[a]b", "partition", ("=",), ["[a]b", "", ""]),
    ("a=[b]=c", "rpartition", ("=",), ["a=[b]", "=", "c"]),
    ("[a]b", "rpartition", ("=",), ["", "", "[a]b"]),
    ("[ab]", "center", (5,), "  [ab] "),
    ("[ab]", "center", (6, "*"), "**[ab]**"),
    ("[abc]", "center", (6,), " [abc]  "),
    ("a[b]", "center", (4, "<*>"), "<*>a[b]<*>"),
    ("[ab]", "ljust", (4,), "[ab]  "),
    ("[ab]", "rjust", (4, "."), "..[ab]"),
    ("[ab]", "rjust", (1,), "[ab]"),
    ("[-1]", "zfill", (5,), "[-]000[1]"),
    ("+<12>", "zfill", (5,), "+00<12>"),
    ("[12]", "zfill", (4,), "00[12]"),
    ("[12]", "zfill", (2,), "[12]"),
    ("[ab]cd", "__getitem__", (slice(1, 3),), "[b]c"),
    ("[ab]cd", "__getitem__", (slice(None, None, -1),), "dc[ba]"),
    ("[ab]cd<ef>", "__getitem__", (slice(None, None, 2),), "[a]c<e>"),
    ("[ab]cd<ef>", "__getitem__", (slice(-1, None, -2),), "<f>d[b]"),
    ("[ab]cd<ef>g", "__getitem__", (slice(-2, 0, -3),), "<f>c"),
    ("[ab]", "__getitem__", (slice(5, 9),), ""),
    ("[ab]", "__add__", ("cd",), "[ab]cd"),
    ("[ab]", "__add__", ("<cd>",), "[ab]<cd>"),
    ("[ab]", "__add__", ("[cd]",), "[abcd]"),
    ("a[b]", "__add__", ("[c]d",), "a[bc]d"),
    ("[ab]", "__add__", ("",), "[ab]"),
    ("[ab]", "__radd__", ("cd",), "cd[ab]"),
    ("[ab]", "__radd__", ("<cd>",), "<cd>[ab]"),
    ("[ab]", "__mul__", (2,), "[abab]"),
    ("a[b]", "__mul__", (2,), "a[b]a[b]"),
    ("[b]a", "__rmul__", (2,), "[b]a[b]a"),
    ("a[b]", "__mul__", (0,), ""),
    ("[,]", "join", (["a", "<b>", "c"],), "a[,]<b>[,]c"),
    ("[,]", "join", (["a"],), "a"),
    ("[,]", "join", ([],), ""),
    ("[ab]", "replace", ("a", ""), "[b]"),
    ("[aba]", "replace", ("a", "xy"), "xy[b]xy"),
    ("[aba]", "replace", ("a", "<x>"), "<x>[b]<x>"),
    ("[aba]", "replace", ("a", "xy", 1), "xy[ba]"),
    ("a[a]a", "replace", ("aa", "-"), "-a"),
    ("[ab]", "replace", ("", "-"), "-[a]-[b]-"),
    ("[ab]", "replace", ("", "<->", 2), "<->[a]<->[b]"),
    ("[ab]", "replace", ("", "-", 0), "[ab]"),
    ("[ab]", "replace", ("a", "x", 0), "[ab]"),
    ("[a]bc", "replace", ("q", "x"), "[a]bc"),
    ("[a\tb]\t<\t>", "expandtabs", (4,), "[a   b]   <    >"),
    ("a\n[b]\t<c>", "expandtabs", (3,), "a\n[b]  <c>"),
    ("[a\t]b", "expandtabs", (0,), "[a]b"),
    ("[a]\tb", "expandtabs", (), "[a]       b"),
    ("[ab]", "find", ("b",), 1),
    ("[ab]", "rfind", ("z",), -1),
    ("[ab]", "index", ("b",), 1),
    ("[ab]", "rindex", ("b",), 1),
    ("[aba]", "count", ("a",), 2),
    ("[ab]", "startswith", (("x", "a"),), True),
    ("[ab]", "endswith", ("b", 0, 1), False),
    ("[ab]", "__contains__", ("b",), True),
    ("[ab]", "__eq__", ("ab",), True),
    ("[ab]", "__ne__", ("<ab>",), False),
    ("[ab]", "__lt__", ("b",), True),
    ("[ab]", "__ge__", ("b",), False),
    ("[ab]", "__len__", (), 2),
    ("[ab]", "isalpha", (), True),
    ("[12]", "isdigit", (), True),
    ("[ab]", "isascii", (), True),
    ("[a%sb]", "__mod__", ("x",), "[axb]"),
    ("[%s]", "__mod__", ("<x>",), "«x»"),
    ("[%5s%%]", "__mod__", (("<x>",),), "[    ]«x»[%]"),
    ("[a%s]", "__rmod__", ("x-%s-%%",), "x-[a%s]-%"),
]

TEXT: list[tuple[str, str, tuple[Any, ...], object]] = [
    ("a[ß]c", "upper", (), "[ASSC]"),
    ("[ß]", "casefold", (), "[ss]"),
    ("Α[Σ]", "lower", (), "α[ς]"),
    ("[ab]cd", "__getitem__", (0,), "[a]"),
    ("[ab]cd", "__getitem__", (-1,), "d"),
    ("[ab]", "__getitem__", (1,), "[b]"),
    ("[ab]c", "translate", ({97: "xyz", 98: None},), "[xyz]c"),
    ("[ab]c", "translate", ({97: "<x>", 99: 100},), "«x»[b]d"),
    ("[abc]", "translate", ({97: "<x>"},), "«x»[bc]"),
    ("[abc]", "translate", ({97: 65},), "[Abc]"),
    ("[a]bc", "join", (["1", "2"],), "1[a]bc2"),
    ("[ab]", "__str__", (), "[ab]"),
    ("[ab]c", "__repr__", (), "'[ab]c'"),
    ("a[b]\n", "__repr__", (), "['ab\\n']"),
    ("[ab]c", "__format__", ("",), "[ab]c"),
    ("[ab]c", "__format__", (">6",), "   [ab]c"),
    ("[ab]c", "__format__", ("*^6.2",), "**[ab]**"),
    ("[ab]c", "__format__", ("05",), "[ab]c00"),
    ("[ab]c", "__format__", (".1s",), "[a]"),
    ("<ab>", "__format__", ("[*^4]",), "[*]<ab>[*]"),
    ("[é]a<€>", "encode", ("utf-16-le",), "[\xe9\x00]a\x00<\xac\x20>"),
    ("[é]a<€>", "encode", (), "[\xc3\xa9]a<\xe2\x82\xac>"),
    ("a[b]", "encode", ("utf-16",), "\xff\xfea\x00[b\x00]"),
    ("[é]a", "encode", ("ascii", "xmlcharrefreplace"), "[&#233;]a"),
    ("[é]a", "encode", ("ascii", "ignore"), "a"),
    ("a[b]", "encode", ("ascii",), "a[b]"),
    ("[{}]", "format", ("<x>",), "«x»"),
    ("[-{:{}}]", "format", ("x", "<3>"), "[-]«x  »"),
    ("[-{:{}}]", "format", ("x", "3"), "[-x  ]"),
    ("[%s %s]", "__mod__", (("<x>", 1),), "«x»[ 1]"),
]

BYTES: list[tuple[str, str, tuple[Any, ...], object]] = [
    ("[\xc3]\xa9a", "decode", (), "[é]a"),
    ("\xe2[\x82]<\xac>", "decode", (), "«€»"),
    ("[\xf0\x9f\x98]AB", "decode", ("utf-8", "surrogateescape"), "[\udcf0\udc9f\udc98]AB"),
    ("[\xe4\xb8]A", "decode", ("utf-8", "replace"), "[\ufffdA]"),  # More, never less: two bytes may be two characters.
    ("a[b]", "decode", ("ascii",), "a[b]"),
    ("a\x00[b\x00]", "decode", ("utf-16-le",), "a[b]"),
    ("[a]b", "hex", (), "[61]62"),
    ("[a]b", "hex", (":",), "[61:62]"),
    ("[a]b", "__bytes__", (), "[a]b"),
    ("[ab]c", "__getitem__", (0,), 97),
    ("[ab]c", "translate", (bytes(range(256)).upper(),), "[AB]C"),
    ("[ab]c<d>", "translate", (None, b"bd"), "[a]c"),
    ("[ab]c<d>", "translate", (None, b"ac"), "[b]<d>"),
    ("[a]b", "__repr__", (), "[b'ab']"),
    ("[a]b", "__str__", (), "[b'ab']"),
    ("[,]", "join", ([b"a", bytearray(b"bc"), memoryview(b"d")],), "a[,]bc[,]d"),
    ("[a]", "__add__", (bytearray(b"b"),), "[a]b"),
    ("[a]", "__add__", (memoryview(b"b"),), "[a]b"),
    ("[aba]", "replace", (bytearray(b"a"), bytearray(b"xy")), "xy[b]xy"),
    ("[a]-b", "split", (bytearray(b"-"),), ["[a]", "b"]),
]


def _converted(value: Any, read: Callable[[str], Any]) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_converted(item, read) for item in value)
    if isinstance(value, dict):
        return {key: _converted(item, read) for key, item in value.items()}
    return read(value) if isinstance(value, str) else value


ROWS = [
    *(pytest.param(marked, *row, id=f"str-{row[1]}-{at}") for at, row in enumerate((*BOTH, *TEXT))),
    *(pytest.param(marked_bytes, *row, id=f"bytes-{row[1]}-{at}") for at, row in enumerate((*BOTH, *BYTES))),
]


@pytest.mark.parametrize(("read", "value", "method", "args", "expected"), ROWS)
def test_operation(
    read: Callable[[str], Any], value: str, method: str, args: tuple[Any, ...], expected: object
) -> None:
    """An operation gives the native result, and its labels stand exactly where the labelled part went."""
    kind = bytes if read is marked_bytes else str
    text = read(value)
    given = args if (method, kind) == ("decode", bytes) or method in ("encode", "hex") else _converted(args, read)
    result = getattr(text, method)(*given)
    assert show(result) == expected
    if hasattr(kind, method):
        assert result == getattr(plain(text), method)(*plain(given))
