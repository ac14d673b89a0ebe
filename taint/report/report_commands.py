"""The command about pictures: `report` makes a page of audit files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from taint.errors import ConfigurationError
from taint.report.page import Page, TraceLinks, render
from taint.report.reading import STANDARD_INPUT
from taint.report.recorded import Recorded, read_audit
from taint.wording import counted

__all__ = ["add_parser"]

WRITTEN, LINES_LEFT_OUT, NOTHING_WRITTEN = 0, 1, 2
"""Exit statuses."""
_NAMED_LINES = 10


def add_parser(subparsers: Any) -> None:  # argparse keeps the type of what `add_subparsers` gives to itself.
    """Add the command to a command line."""
    parser = subparsers.add_parser(
        "report",
        help="make a page of audit files: a diagram, filters, and a table of flows",
        description="Make a page of audit files: a diagram from sources to sinks, filters, and a table of flows.",
        epilog="Ends with 0 where all lines are in it, 1 where some are no records, 2 where no page was written.",
    )
    parser.add_argument(
        "audit",
        nargs="+",
        help="audit files, JSON lines; rotated ones beside them are read first; '-' is standard input",
    )
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="the page; '-' is standard output")
    parser.add_argument(
        "--trace-url",
        metavar="TEMPLATE",
        help="address of a trace in a viewer, with {trace_id} in it, as https://traces.example/trace/{trace_id}",
    )
    parser.add_argument("--title", default="Flows of personal data", help="heading of the page; %(default)s by default")
    parser.set_defaults(run=_report)


def _report(options: argparse.Namespace) -> int:
    try:
        links = None if options.trace_url is None else TraceLinks(options.trace_url)
        found = read_audit(options.audit)
        notices = _notices(found)
        page = Page(
            title=options.title,
            about=", ".join(found.names),
            kinds=found.tally.seen,
            trace_links=links,
            notices=notices,
            declassifications=found.declassifications,
        )
        _write(render(page), options.output)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return NOTHING_WRITTEN
    except OSError as error:
        what = f"{error.filename!r}: {error.strerror}" if error.filename else str(error.strerror)
        sys.stderr.write(f"no page was written, {what}. Check paths, permissions and free space.\n")
        return NOTHING_WRITTEN
    for notice in notices:
        sys.stderr.write(f"{notice}\n")
    if options.output != STANDARD_INPUT:
        flows, violations = found.tally.flows(), found.tally.flows("violation")
        print(f"{options.output}: {counted(flows, 'flow')}, {counted(violations, 'violation')}")
    return LINES_LEFT_OUT if found.unreadable else WRITTEN


def _write(text: str, output: str) -> None:
    if output == STANDARD_INPUT:
        sys.stdout.write(text)
    else:
        Path(output).write_text(text, encoding="utf-8")


def _notices(found: Recorded) -> list[str]:
    """Say what is not in the page."""
    notices = []
    if found.unreadable:
        named = ", ".join(found.unreadable[:_NAMED_LINES])
        more = ", ..." if len(found.unreadable) > _NAMED_LINES else ""
        verb = "is no record and was" if len(found.unreadable) == 1 else "are no records and were"
        notices.append(f"{counted(len(found.unreadable), 'line')} {verb} passed over: {named}{more}")
    if found.torn:
        verb = "line is" if found.torn == 1 else "lines are"
        notices.append(f"{found.torn} last {verb} cut off and passed over")
    if found.others:
        verb = "record of another kind was" if found.others == 1 else "records of other kinds were"
        notices.append(f"{found.others} {verb} passed over")
    if found.tally.without_place:
        number = counted(found.tally.without_place, "flow")
        notices.append(f"{number} of further kinds told without the place in the code")
    return notices
