"""The loss table: all rows, read from the `.txt` files beside this module, and the page made of them.

A row is one line: what is expected, which data is labelled (see `KINDS`), the source, and options
after `##`:

    exactly    text    re.findall("[a-z]+", x)
    lost:known digits  int(v)                       ## rewritten=exactly
    whole      mixed   base64.z85encode(b)          ## since=3.13
    refused    text    orjson.dumps({x: 1})         ## needs=orjson 3.12=exactly

`lost:known` means that the value stands in the result as it was, so that the known-values net finds it
at a sink; `lost:none` that nothing finds it. A file begins with `title: ...`.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.losses.rows import KINDS, Kept, Row

__all__ = ["PAGE", "VERSIONS", "all_rows", "page"]

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "losses.md"
VERSIONS = ((3, 11), (3, 12), (3, 13))
_WORDS = {
    "exactly": Kept.EXACTLY,
    "whole": Kept.WHOLE,
    "refused": Kept.REFUSED,
    "lost": Kept.LOST,
    "unrelated": Kept.UNRELATED,
}
_LINE = re.compile(
    r"(?P<kept>[a-z]+)(?::(?P<net>known|none))? +(?P<kind>[a-z]+) +(?P<source>.+?)(?: +## (?P<options>.*))?"
)


def _version(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)


def _row(line: str, group: str) -> Row:
    found = _LINE.fullmatch(line)
    if found is None or found["kept"] not in _WORDS or found["kind"] not in KINDS:
        msg = f"not a row of the loss table: {line!r}. It has the form 'exactly text re.escape(x) ## since=3.12'."
        raise ValueError(msg)
    given: dict[str, Any] = {"net": found["net"] or ""}
    exceptions: dict[tuple[int, int], Kept] = {}
    for option in (found["options"] or "").split():
        name, _, value = option.partition("=")
        if name in ("since", "until"):
            given[name] = _version(value)
        elif name == "rewritten":
            given[name] = _WORDS[value]
        elif name in ("needs", "net"):
            given[name] = value
        else:
            exceptions[_version(name)] = _WORDS[value]
    return Row(
        name=found["source"],
        source=found["source"],
        kept=_WORDS[found["kept"]],
        kind=found["kind"],
        group=group,
        exceptions=exceptions,
        **given,
    )


@functools.cache
def all_rows() -> tuple[Row, ...]:
    """Give every row of every file."""
    return tuple(row for path in sorted(HERE.glob("*.txt")) for row in _rows_in(path))


def _rows_in(path: Path) -> Iterator[Row]:
    lines = path.read_text(encoding="utf-8").splitlines()
    title = lines[0].removeprefix("title: ")
    group = title
    for line in lines[1:]:
        if line.startswith("# "):
            group = f"{title}: {line[2:]}"
        elif line.strip():
            yield _row(line, group)


def _cell(row: Row, *, rewritten: bool) -> str:
    kept = {version: row.expected(version, rewritten=rewritten) for version in VERSIONS}
    present = {version: own for version, own in kept.items() if own is not None}
    if len(set(present.values())) == 1:
        return _word(row, next(iter(present.values())))
    return ", ".join(f"{major}.{minor}: {_word(row, own)}" for (major, minor), own in present.items())


def _word(row: Row, kept: Kept) -> str:
    if kept is not Kept.LOST:
        return str(kept)
    return "lost (known values)" if row.net == "known" else "**lost**"


def _versions(row: Row) -> str:
    present = [version for version in VERSIONS if row.expected(version) is not None]
    return "" if len(present) == len(VERSIONS) else ", ".join(f"{major}.{minor}" for major, minor in present)


def _sections(rows: Iterable[Row]) -> Iterator[str]:
    group = ""
    for row in rows:
        if row.group != group:
            group = row.group
            yield f"\n## {group}\n\n{_COLUMNS}"
        source = row.name.replace("|", "\\|")
        yield f"| `` {source} `` | {_cell(row, rewritten=False)} | {_cell(row, rewritten=True)} | {_versions(row)} |"


_HEAD = """# Where labels go, and where they are lost

This page is made by `python -m tests.losses` from the rows that `tests/test_propagation_losses.py` runs, each
on Python {versions}: what it says was seen. In every row `x` is a text such as `to Ada5551 end` of which only the
name is labelled, `b` the same as bytes, and `v` the labelled part alone.

| class | meaning |
|---|---|
| kept exactly | labelled is what changes when the labelled data changes, and nothing else |
| kept whole | everything that changes is labelled, and more: the labels cover the whole result or the whole field |
| lost (known values) | no label, but the value stands in the result as it was: the known-values net finds it |
| **lost** | no label, and the result does not show the value: nothing finds it |
| refused | the consumer raises an error that it does not raise for plain data |
| not applicable | the result says nothing about the value |

Why something is lost: what C code builds asks no carrier (`",".join`, an f-string of several parts, a method of a
compiled pattern); in a package that was given to `install(packages=[...])` such code is rewritten on import. The
functions of `re` keep labels in all code; `re.compile` gives the native pattern, since a stand-in for it makes a
program of many patterns run at half its speed. Numbers and dates made of a labelled text are plain, since database
drivers and C code refuse a proxy of them. A name that was imported before `install()` (`from base64 import
b64encode`) stays native: four things have no row because they depend on it. `sqlalchemy.text()`, the form fields of
`requests` and `httpx`, and jinja2's `urlencode` are kept where the library is imported after `install()`; before it,
the first three are lost and the last is kept whole. lxml keeps its documents in C, where no carrier fits: elements of
our class hold them beside it. A tree that was parsed from unlabelled text has other elements, and what C code makes of
a tree (`objectify`, `iterparse`, XSLT) asks none of them; the known-values net covers both. Files, sockets, processes
and databases keep no labels: make them sinks, or sources.

{count} consumers: {sums}.
"""


_COLUMNS = "| consumer | with `install()` | in a rewritten package | only on |\n|---|---|---|---|"


def page() -> str:
    """Make the page."""
    rows = all_rows()
    found = Counter(row.expected(VERSIONS[-1]) or row.kept for row in rows)
    sums = ", ".join(f"{found[kept]} {kept}" for kept in Kept if found[kept])
    versions = ", ".join(f"{major}.{minor}" for major, minor in VERSIONS)
    head = _HEAD.format(versions=versions, count=len(rows), sums=f"{sums} (on the newest Python, not rewritten)")
    return head + "\n".join(_sections(rows)) + "\n"
