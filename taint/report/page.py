"""One page that shows flows: a diagram from sources over purposes to sinks, filters, and a table.

The page is one file and asks no network for anything. What it shows is data in it, as JSON, and is
only ever put into the page as text; a content security policy lets its own script and style run and
nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from string import Template
from typing import Any
from urllib.parse import urlsplit

from taint.errors import ConfigurationError
from taint.report.kinds import SUPPRESSED, Kind, Seen
from taint.version import __version__

__all__ = ["Page", "TraceLinks", "render"]

VERDICTS = ("violation", "gap", SUPPRESSED, "allowed")
"""In the order in which they matter."""
_FIELD = re.compile(r"\{(\w*)\}")


@dataclass(frozen=True, slots=True)
class TraceLinks:
    """Addresses of traces in a viewer.

    Args:
        template: Of the address, with `{trace_id}` in it.

    Raises:
        ConfigurationError: It is no address of a web page, or has no place for the trace.
    """

    template: str

    def __post_init__(self) -> None:
        """Refuse what would not lead to a trace."""
        allowed = "An http or https address with {trace_id} in it is allowed, such as https://traces.example/{trace_id}"
        try:
            parts = urlsplit(self.template)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise ConfigurationError(f"not an address for traces: {self.template!r}. {allowed}. Correct --trace-url.")
        fields = set(_FIELD.findall(self.template))
        if fields != {"trace_id"}:
            wrong = sorted(fields - {"trace_id"})
            what = (
                f"it has {', '.join(f'{{{one}}}' for one in wrong)}"
                if wrong
                else "it does not say where the trace goes"
            )
            raise ConfigurationError(
                f"not an address for traces: {self.template!r}, {what}. {allowed}. Correct --trace-url."
            )


@dataclass(frozen=True, slots=True)
class Page:
    """What a page shows.

    Args:
        title: Its heading.
        about: What the flows are of, such as the names of files.
        kinds: The flows.
        trace_links: Where trace identifiers lead to; nowhere by default.
        notices: What readers must know about what is not shown.
        verdict_names: What verdicts are called, where not by their own name.
        declassifications: How many there were.
    """

    title: str
    about: str
    kinds: Mapping[Kind, Seen]
    trace_links: TraceLinks | None = None
    notices: Sequence[str] = ()
    verdict_names: Mapping[str, str] = field(default_factory=dict)
    declassifications: int = 0


def render(page: Page) -> str:
    """Write the page as HTML."""
    style = _data("page.css")
    scripts = (_data("d3-sankey.min.js"), _data("page.js"))
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; "
        f"style-src {_allowed(style)}; script-src {' '.join(map(_allowed, scripts))}"
    )
    return Template(_data("page.html")).substitute(
        policy=html.escape(policy),
        title=html.escape(page.title),
        about=html.escape(page.about),
        version=html.escape(__version__),
        style=style,
        library=scripts[0],
        script=scripts[1],
        data=_json(_as_data(page)),
    )


def _data(name: str) -> str:
    return resources.files(__package__).joinpath("data", name).read_text(encoding="utf-8")


def _allowed(text: str) -> str:
    """Name an inline script or style by its hash, as a content security policy does."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _json(data: Any) -> str:
    """Write JSON that can stand in a script element: nothing in it ends the element or begins a comment."""
    return json.dumps(data, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")


class _Table:
    """Things by number, each once."""

    def __init__(self, show: Callable[[Any], Any]) -> None:
        self._show = show
        self._numbers: dict[Any, int] = {}
        self.rows: list[Any] = []

    def number(self, thing: Any) -> int:
        """Give the number of a thing."""
        number = self._numbers.get(thing)
        if number is None:
            number = self._numbers[thing] = len(self.rows)
            self.rows.append(self._show(thing))
        return number


def _as_data(page: Page) -> dict[str, Any]:
    """Give what the script reads: columns of numbers, and the texts and origins that they stand for."""
    texts = _Table(str)
    texts.number("")
    origins = _Table(
        lambda many: [
            [texts.number(one.source), [texts.number(key) for key in one.purposes], texts.number(one.category)]
            for one in many
        ]
    )
    ordered = sorted(page.kinds.items(), key=_rank)
    kinds, seen = [kind for kind, _ in ordered], [seen for _, seen in ordered]

    def column(of: Callable[[Kind], str]) -> list[int]:
        return [texts.number(of(kind)) for kind in kinds]

    columns = {
        "verdict": [VERDICTS.index(kind.verdict) for kind in kinds],
        "origins": [origins.number(kind.origins) for kind in kinds],
        "line": [kind.line for kind in kinds],
        "flows": [one.flows for one in seen],
        "values": [one.values for one in seen],
        "first": [texts.number(one.first) for one in seen],
        "last": [texts.number(one.last) for one in seen],
        "traces": [[*one.traces, one.more_traces] for one in seen],
        "collected": [[*one.collected, one.more_collected] for one in seen],
        "sink": column(lambda kind: kind.sink),
        "purpose": column(lambda kind: kind.purpose),
        "evidence": column(lambda kind: kind.evidence),
        "path": column(lambda kind: kind.path),
        "rule": column(lambda kind: kind.rule),
        "mode": column(lambda kind: kind.mode),
        "function": column(lambda kind: kind.function),
        "file": column(lambda kind: kind.file),
        "note": column(lambda kind: kind.note),
        "test": column(lambda kind: kind.test),
    }
    return {
        "verdicts": [page.verdict_names.get(verdict, verdict) for verdict in VERDICTS],
        "traceUrl": None if page.trace_links is None else page.trace_links.template,
        "notices": list(page.notices),
        "declassifications": page.declassifications,
        "texts": texts.rows,
        "origins": origins.rows,
        "columns": columns,
    }


def _rank(item: tuple[Kind, Seen]) -> tuple[Any, ...]:
    """Order what matters most first, and always the same."""
    kind, seen = item
    return VERDICTS.index(kind.verdict), -seen.flows, kind.sink, kind.origins, kind.file, kind.line, kind.path
