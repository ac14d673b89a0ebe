"""What audit files hold, for a page: flows by kind, and what could not be read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taint.errors import ConfigurationError
from taint.labels import Trace
from taint.policy.records import FLOW, flow_from_record
from taint.report.kinds import Kind, Tally
from taint.report.reading import STANDARD_INPUT, lines_of, trail_files
from taint.telemetry.audit import SCHEMA_VERSION

__all__ = ["Recorded", "read_audit"]

DECLASSIFICATION = "declassification"


@dataclass(slots=True)
class Recorded:
    """What was read.

    Args:
        names: The files' names, as they were given.
        tally: The flows.
        declassifications: How many records of declassifications there are.
        others: How many records are of another kind.
        unreadable: Where lines are that are no records, as `file:number`.
        torn: How many last lines are cut off, as when the writer was killed.
    """

    names: list[str] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    declassifications: int = 0
    others: int = 0
    unreadable: list[str] = field(default_factory=list)
    torn: int = 0


def read_audit(audits: Sequence[str]) -> Recorded:
    """Read audit files.

    Args:
        audits: Paths of audit files, each read with the ones that were rotated away beside it; `-` is standard
            input. A file that is named twice is read once.

    Raises:
        ConfigurationError: There is no such file, it is of another version, or none of them has a flow.
        OSError: One cannot be read.
    """
    found = Recorded()
    for audit in _each_once(audits):
        found.names.append("standard input" if audit == STANDARD_INPUT else audit)
        _read(audit, lines_of(audit), found)
    if not found.tally.seen:
        raise ConfigurationError(_nothing(found))
    return found


def _each_once(audits: Sequence[str]) -> list[str]:
    """Leave out what is read with another one: its rotated files and the `.head` beside it, as `audit.jsonl*` gives."""
    given = {os.path.realpath(one): one for one in audits if one != STANDARD_INPUT}
    along = {
        os.path.realpath(beside)
        for path, one in given.items()
        for beside in (*trail_files(one), Path(f"{path}.head"))
        if os.path.realpath(beside) != path
    }
    kept = [one for path, one in given.items() if path not in along]
    return [*kept, STANDARD_INPUT] if STANDARD_INPUT in audits else kept


def _nothing(found: Recorded) -> str:
    where = " and ".join(map(repr, found.names))
    if found.unreadable or found.torn:
        what = f"{where}: not a line of it is a record of a flow"
    elif found.others or found.declassifications:
        what = f"{where}: its records are of other kinds"
    else:
        what = f"{where}: it is empty"
    return (
        f"no flows to show in {what}. An audit file with at least one flow is allowed. "
        "Name the file that taint.configure(audit=...) writes, once something has flowed."
    )


def _read(audit: str, lines: Iterable[bytes], found: Recorded) -> None:
    number = 0
    last = b"\n"
    unreadable: list[int] = []
    for number, last in enumerate(lines, start=1):
        if not last.strip():
            continue
        try:
            record = json.loads(last)
            _take(record, audit, found)
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
            unreadable.append(number)
    if unreadable and unreadable[-1] == number and not last.endswith(b"\n"):
        unreadable.pop()
        found.torn += 1
    found.unreadable += [f"{audit}:{number}" for number in unreadable]


def _take(record: dict[str, Any], audit: str, found: Recorded) -> None:
    version = record.get("v", SCHEMA_VERSION)
    if version != SCHEMA_VERSION:
        raise ConfigurationError(
            f"an audit file of another version: {audit!r} has lines of version {version!r}. This release reads version "
            f"{SCHEMA_VERSION}. Use the release of purpose-taint that wrote it."
        )
    kind = record["kind"]
    if kind != FLOW:
        found.declassifications += kind == DECLASSIFICATION
        found.others += kind != DECLASSIFICATION
        return
    flow = flow_from_record(record)
    time, trace = record.get("time", ""), record.get("trace")
    found.tally.of(Kind.of(flow)).add(
        flow.count,
        time=time if isinstance(time, str) else "",
        trace=_trace_id(trace) if trace else "",
        collected=sorted(f"{label.trace.trace_id:032x}" for label in flow.labels if label.trace is not None),
    )


def _trace_id(traceparent: Any) -> str:
    return f"{Trace.parse(traceparent).trace_id:032x}"
