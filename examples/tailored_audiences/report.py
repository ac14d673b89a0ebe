"""What the runner prints: a table, what was expected, and one trace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from examples.tailored_audiences.expectations import Expectation, Outcome, linked_pair
from examples.tailored_audiences.incident import JobRun
from examples.tailored_audiences.spans import Span

_REQUEST_ATTRIBUTES = ("http.request.method", "http.route", "http.response.status_code")


def render_table(outcome: Outcome) -> Iterator[str]:
    """Draw the three runs side by side.

    Yields:
        The lines.
    """
    allowed = outcome.cast.customers.by_marketing
    rows: list[tuple[str, list[int | None]]] = [
        ("People in the audience that reached the ad platform", [len(run.people) for run in outcome.runs]),
        ("    matched on what they gave for advertising", [len(run.people & allowed) for run in outcome.runs]),
        ("    matched on a security number alone", [len(run.people - allowed) for run in outcome.runs]),
        ("Contact details compared", [run.compared for run in outcome.runs]),
        ("Contact details refused", [run.refused for run in outcome.runs]),
        ("Violation spans", [len(run.violations) for run in outcome.runs]),
        ("Exit code of the ads job", [run.exit_code for run in outcome.runs]),
    ]
    titles = [run.title for run in outcome.runs]
    names = max(len(name) for name, _ in rows)
    widths = [max(len(title), 7) for title in titles]
    yield "  ".join([" " * names, *(title.rjust(width) for title, width in zip(titles, widths, strict=True))])
    yield "─" * (names + sum(widths) + 2 * len(widths))
    for name, cells in rows:
        shown = ("-" if cell is None else f"{cell:,}" for cell in cells)
        yield "  ".join([name.ljust(names), *(cell.rjust(width) for cell, width in zip(shown, widths, strict=True))])


def render_expectations(expectations: list[Expectation]) -> Iterator[str]:
    """List what was expected, each with whether it held.

    Yields:
        The lines.
    """
    for expectation in expectations:
        yield f"  {'ok    ' if expectation.held else 'FAILED'}  {expectation.fact}"


def render_trace(run: JobRun) -> Iterator[str]:
    """Show one violation span, and the span in another process to which it links.

    Yields:
        The lines.
    """
    pair = linked_pair(run)
    if pair is None:
        yield "  there is no violation span that links to a request"
        return
    collection, violation = pair
    request = {name: value for name, value in collection.attributes.items() if name in _REQUEST_ATTRIBUTES}
    yield from _render_span(collection, request)
    yield "      ▲"
    yield "      │ link: here the value was collected"
    yield "      │"
    yield from _render_span(violation, violation.attributes)


def _render_span(span: Span, attributes: dict[str, Any]) -> Iterator[str]:
    yield f"  {span.service}  {span.name!r}  status {span.status}"
    yield f"      trace {span.key.trace_id}  span {span.key.span_id}"
    for name, value in sorted(attributes.items()):
        yield f"      {name} = {', '.join(map(str, value)) if isinstance(value, list) else value}"
