"""Audit trails for tests of reports."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["flow_line", "many_flows", "trace_of", "write_trail"]

BEGIN = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
SOURCES = {
    "shop.enrolment.enrol_two_factor": ["security.mfa"],
    "POST /accounts/{account_id}/marketing.phone": ["advertising"],
    "users.email": ["service.account"],
    "newsletter.subscribe": ["advertising.email", "service.newsletter"],
}
SINKS = {
    "ads.upload_audience": "advertising.audiences",
    "sms.send_code": "security.mfa",
    "crm.export": "marketing.crm",
    "mail.send_newsletter": "advertising.email",
}


def trace_of(number: int) -> str:
    """Give a traceparent."""
    return f"00-{number + 1:032x}-{number + 1:016x}-01"


def flow_line(number: int = 0, **fields: Any) -> dict[str, Any]:
    """Give a line of an audit file, as a mapping: a violation, where nothing else is said.

    Args:
        number: Decides on time and traces.
        fields: What differs; `source` and `collected_for` are those of the one label.
    """
    source, collected_for = fields.pop("source", "shop.enrol"), fields.pop("collected_for", ["security.mfa"])
    label = {
        "purposes": collected_for,
        "category": "user.contact.phone_number",
        "source": source,
        "consent": None,
        "trace": trace_of(1000 + number),
        "grants": [],
        "derivation": "direct",
    }
    time = (BEGIN + dt.timedelta(seconds=number)).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {
        "v": 1,
        "seq": number + 1,
        "time": time,
        "pid": 7,
        "kind": "flow",
        "outcome": "violation",
        "sink": "ads.upload",
        "purpose": "advertising.audiences",
        "evidence": "label",
        "path": f"rows[{number}].phone",
        "rule": "purpose-limitation",
        "mode": "report",
        "count": 1,
        "labels": [label],
        "call_site": {"function": "shop.jobs.upload", "file": "shop/jobs.py", "line": 41},
        "suppressed": None,
        "advice": "",
        "trace": trace_of(number),
        **fields,
    }


def many_flows(count: int, *, are_distinct: bool) -> Iterable[dict[str, Any]]:
    """Make flows of a program with some sources and sinks; or of one with so many that no flow is like another."""
    rng = random.Random(7)  # noqa: S311  # The same flows each time.
    sources = {f"team_{n}.forms.collect": ["security.mfa"] for n in range(300)} if are_distinct else SOURCES
    sinks = {f"team_{n}.outlets.send": "advertising.audiences" for n in range(2000)} if are_distinct else SINKS
    borne = {
        "rule": "purpose-limitation",
        "reason": "till the job is rewritten",
        "owner": "ads",
        "expires": "2999-01-01",
    }
    for number in range(count):
        (source, collected_for), (sink, purpose) = rng.choice(list(sources.items())), rng.choice(list(sinks.items()))
        is_allowed = any(purpose == key or purpose.startswith(key + ".") for key in collected_for)
        line = number if are_distinct else rng.randrange(40, 44)
        yield flow_line(
            number,
            source=source,
            collected_for=collected_for,
            sink=sink,
            purpose=purpose,
            outcome="allowed" if is_allowed else "gap" if number % 9 == 0 else "violation",
            evidence=rng.choice(["label", "comparison", "digest"]),
            call_site={"function": "shop.jobs.upload", "file": "shop/jobs.py", "line": line},
            suppressed=borne if sink == "crm.export" and not is_allowed and number % 9 else None,
        )


def write_trail(path: Path, lines: Iterable[Mapping[str, Any] | str]) -> Path:
    """Write a file of lines; a text stands as it is, without an end of line."""
    with path.open("w", encoding="utf-8") as file:
        for line in lines:
            file.write(line if isinstance(line, str) else json.dumps(line) + "\n")
    return path
