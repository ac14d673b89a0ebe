"""A row of the loss table, and how it is found out what a consumer does with labels.

Nobody writes down which characters of a result ought to be labelled. It is measured: the consumer
runs on several plain inputs that differ only where the labelled one is labelled. Whatever differs in
the results is derived from the labelled data, and has to be labelled.
"""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import taint
from taint.carriers.proxy import is_carrier, labels_of_carrier

__all__ = ["KINDS", "Kept", "Observation", "Row", "native_code", "observe", "rewritten_code"]


class Kept(StrEnum):
    """What a consumer does with the labels of what it is given."""

    EXACTLY = "kept exactly"
    """Labelled is what changes when the labelled data changes, and nothing else."""
    WHOLE = "kept whole"
    """Everything that changes is labelled, and something that does not."""
    REFUSED = "refused"
    """It raises an error that it does not raise for the plain value."""
    LOST = "lost"
    """Something that changes is not labelled."""
    UNRELATED = "not applicable"
    """Nothing in the result changes: it says nothing about the value."""


KINDS: dict[str, tuple[str, ...]] = {
    "text": ("Ada5551", "Bob4442", "Cyd3333", "Eve2224", "Ian9995", "Uma8886", "Zoe1117", "Kim7778", "Xiu6669"),
    "mixed": ("Ada5551", "~q%Hn@*", "5:Zj+dV", "n(8xEQ/", "#Ywr~4}", "Tb-?9lk", "k}P2'fB", "'8m_WzI", "`c$)0Ae"),
    "digits": ("4155550100", "5266661211", "6377772322", "7488883433", "8599994544", "9611115655", "3922226766"),
    "hex": ("4a5b6c7d", "5b6c7d8e", "6c7d8e9f", "7d8e9fa0", "8e9fa0b1", "9fa0b1c2", "a0b1c2d3"),
    "uuid": tuple(f"{digit * 8}-{digit * 4}-4{digit * 3}-8{digit * 3}-{digit * 12}" for digit in "1234567"),
    "date": ("2001-02-03", "1992-11-14", "1983-10-25", "1974-09-06", "1965-08-17"),
    "ip": ("11.22.33.44", "22.33.44.55", "33.44.55.66", "44.55.66.77", "55.66.77.88"),
    "email": ("ada5551@b1.io", "bob4442@c2.de", "cyd3333@d3.fr", "eve2224@e4.se", "ian9995@f5.no"),
    "word": ("Adalov", "Bobkin", "Cydney", "Evelyn", "Ianmor", "Umabel", "Zoesar"),
}
"""Labelled data of the same shape, so that the same way is taken through the consumer with each."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Args:
        name: What readers call the consumer.
        source: A Python expression, or statements that set `result`. It sees `x` (a text: `before`, the
            labelled data, `after`), `b` (the same as bytes), `v` (the labelled data alone), and any module
            that it names.
        kept: What is expected, with `install()`.
        net: For what is lost: `known` where the known-values net finds it, else `none`.
        rewritten: What is expected in a package that was given to `install(packages=...)`; the same
            where it is None.
        kind: Which of `KINDS` is labelled.
        before: Plain text in front of the labelled data.
        after: Plain text behind it.
        group: The part of the table.
        needs: A module that may not be installed.
        since: The first Python that has it.
        until: The first Python that does not have it any more.
        exceptions: Other results, by Python version.
    """

    name: str
    source: str
    kept: Kept = Kept.EXACTLY
    net: str = ""
    rewritten: Kept | None = None
    kind: str = "text"
    before: str = "to "
    after: str = " end"
    group: str = "standard library"
    needs: str = ""
    since: tuple[int, int] = (3, 11)
    until: tuple[int, int] = (4, 0)
    exceptions: Mapping[tuple[int, int], Kept] = field(default_factory=dict)

    def expected(self, version: tuple[int, int], *, rewritten: bool = False) -> Kept | None:
        """Give what is expected on a Python; None where it does not have the consumer."""
        if not self.since <= version < self.until:
            return None
        kept = self.exceptions.get(version, self.kept)
        return self.rewritten if rewritten and self.rewritten is not None else kept


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen when a row ran."""

    kept: Kept
    is_same: bool
    """Whether the labelled input gave the value that the plain one gives."""
    is_recognisable: bool
    """Whether the labelled data stands in the result as it is, so that known values can find it."""
    error: str = ""


def _inputs(row: Row, data: Any) -> dict[str, Any]:
    x = row.before + data + row.after
    return {"x": x, "b": x.encode(), "v": data}


def _run(row: Row, inputs: dict[str, Any], compiled: Callable[[Row], Any]) -> Any:
    names: dict[str, Any] = {"__builtins__": __builtins__, "__name__": "row", "taint": taint, **inputs}
    for line in row.source.replace("(", " ").replace("[", " ").replace(",", " ").split():
        root = line.strip("'\"{}*:=").split(".")[0]
        if "." in line and root.isidentifier() and root not in names and root in _MODULES:
            names[root] = importlib.import_module(root)
    for submodule in _SUBMODULES:
        if submodule in row.source:
            importlib.import_module(submodule)
    exec(compiled(row), names)  # noqa: S102  # A row is a line of this project.
    return names["result"]


_MODULES = frozenset(sys.stdlib_module_names) | {
    *("orjson", "msgspec", "msgpack", "yaml", "markupsafe", "jinja2", "lxml", "phonenumbers", "email_validator"),
    *("dateutil", "idna", "pydantic", "sqlalchemy", "sqlglot", "httpx", "requests", "starlette", "fastapi", "flask"),
    *("numpy", "pandas", "polars", "pyarrow", "ujson", "simplejson", "bson", "ruamel", "multidict", "aiohttp"),
    *("psycopg", "cloudpickle", "redis", "kombu", "google", "opentelemetry", "attrs", "h11"),
}
_SUBMODULES = (
    *("urllib.parse", "xml.etree.ElementTree", "xml.sax.saxutils", "xml.dom.minidom", "email.message", "email.header"),
    *(
        "email.utils",
        "email.quoprimime",
        "email.base64mime",
        "email.mime.text",
        "email.policy",
        "os.path",
        "html.parser",
    ),
    *("http.cookies", "importlib.metadata", "concurrent.futures", "lxml.etree", "dateutil.parser", "logging.handlers"),
    *(
        "sqlalchemy.dialects.sqlite",
        "psycopg.sql",
        "psycopg.adapt",
        "starlette.datastructures",
        "fastapi.encoders",
        "lxml.html",
        "lxml.builder",
        "lxml.objectify",
        "ruamel.yaml",
    ),
    *("redis._parsers.encoders", "kombu.utils.json", "google.protobuf.struct_pb2", "google.protobuf.wrappers_pb2"),
    *("google.protobuf.json_format", "opentelemetry.baggage", "opentelemetry.sdk.resources", "opentelemetry.sdk.trace"),
    *("sqlglot.expressions", "starlette.responses", "encodings.idna", "urllib.request", "multiprocessing.reduction"),
)


def native_code(row: Row) -> Any:
    """Compile a row as it stands."""
    source = row.source if "result =" in row.source else f"result = {row.source}"
    return compile(source, f"<row {row.name}>", "exec", dont_inherit=True)


def rewritten_code(row: Row) -> Any:
    """Compile a row as a package is that was given to `install(packages=...)`."""
    rewriting = importlib.import_module("taint.propagation.rewriting")
    source = row.source if "result =" in row.source else f"result = {row.source}"
    return rewriting.script_code(source.encode(), f"<row {row.name}>")


def _leaves(value: Any, way: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for number, (key, item) in enumerate(value.items()):
            yield from _leaves(key, f"{way}.key{number}", depth + 1)
            yield from _leaves(item, f"{way}.{number}", depth + 1)
    elif isinstance(value, list | tuple | set | frozenset) and depth < 6:
        for number, item in enumerate(value):
            yield from _leaves(item, f"{way}[{number}]", depth + 1)
    elif isinstance(value, str | bytes | bytearray | memoryview | int | float) or value is None or is_carrier(value):
        yield way, value
    elif isinstance(value, io.StringIO | io.BytesIO):
        yield way, value.getvalue()
    elif hasattr(value, "__next__"):
        yield from _leaves(list(value), way, depth + 1)
    else:
        yield way, value


def _marks(leaf: Any) -> list[bool]:
    """Say for each position of a leaf whether it is labelled."""
    if not isinstance(leaf, str | bytes):
        return [bool(labels_of_carrier(leaf))]
    marks = [False] * len(leaf)
    if not is_carrier(leaf):
        return marks
    for start, stop, _ in taint.ranges_of(leaf):
        marks[start:stop] = [True] * (stop - start)
    return marks


def _differing(leaves: list[Any]) -> list[bool] | None:
    """Say for each position whether it differs from one input to another; None where shapes differ."""
    first = leaves[0]
    if isinstance(first, str | bytes) and all(
        isinstance(leaf, type(first)) and len(leaf) == len(first) for leaf in leaves
    ):
        return [any(leaf[at] != first[at] for leaf in leaves) for at in range(len(first))]
    if isinstance(first, str | bytes) and isinstance(leaves[1], str | bytes):
        return None
    return [any(_shown(leaf) != _shown(first) for leaf in leaves)]


def _shown(leaf: Any) -> Any:
    return leaf if isinstance(leaf, int | float | str | bytes) else (type(leaf).__qualname__, str(leaf))


def observe(row: Row, compiled: Callable[[Row], Any] = native_code) -> Observation:
    """Run a row with labelled data and with plain data, and compare.

    Args:
        row: What to run; `taint.install()` is the caller's business.
        compiled: Makes code of it: as it stands, or rewritten.
    """
    data = KINDS[row.kind]
    plain = [list(_leaves(_run(row, _inputs(row, variant), compiled))) for variant in data]
    labelled_data = taint.label(data[0], purpose="security.mfa", source="row")
    try:
        labelled = list(_leaves(_run(row, _inputs(row, labelled_data), compiled)))
    except Exception as error:  # noqa: BLE001  # Which error a consumer refuses with is its own affair.
        text = f"{type(error).__name__}: {error}"
        return Observation(Kept.REFUSED, is_same=False, is_recognisable=False, error=text)
    is_same = [(way, _shown(leaf)) for way, leaf in labelled] == [(way, _shown(leaf)) for way, leaf in plain[0]]
    missing = extra = changing = False
    for at, (_, leaf) in enumerate(labelled):
        marks = _marks(leaf)
        differing = None
        if all(len(leaves) == len(labelled) for leaves in plain):
            differing = _differing([leaves[at][1] for leaves in plain])
        if differing is None:  # Shapes differ: all of it is derived.
            differing = [True] * len(marks)
        changing = changing or any(differing)
        missing = missing or any(new and not mark for new, mark in zip(differing, marks, strict=True))
        extra = extra or any(mark and not new for new, mark in zip(differing, marks, strict=True))
    kept = Kept.LOST if missing else Kept.WHOLE if extra else Kept.EXACTLY if changing else Kept.UNRELATED
    whole = str([leaf if isinstance(leaf, str) else str(leaf) for _, leaf in plain[0]])
    return Observation(kept, is_same, data[0] in whole)
