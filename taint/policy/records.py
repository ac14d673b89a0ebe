"""Flows as JSON objects, for the audit file and what reads it again.

One object for each flow, with the fields of `Flow` and of its labels; no value, and not whose data it
is: labels that differ in their subject alone are one here.

    {"kind": "flow", "outcome": "violation", "sink": "ads.upload", "purpose": "advertising.audiences",
     "evidence": "label", "path": "rows[0].phone", "rule": "purpose-limitation", "mode": "block", "count": 2,
     "labels": [{"purposes": ["security.mfa"], "category": "user.contact.phone_number", "source": "shop.enrol",
                 "consent": null, "trace": "00-...-01", "grants": [], "derivation": "direct", "steps": []}],
     "call_site": {"function": "shop.jobs.upload", "file": "jobs.py", "line": 12}, "selected_at": null,
     "suppressed": null, "advice": ""}

Whoever writes a file of them may add keys of its own, such as a time; they are passed over.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from taint.evidence import Evidence
from taint.labels import Grant, Label, Labels, Step, Trace
from taint.modes import Mode
from taint.policy.outcome import Outcome
from taint.policy.rules import Suppression
from taint.policy.verdict import CallSite, Flow

__all__ = ["FLOW", "flow_from_record", "flow_record", "labels_from_record"]

FLOW = "flow"
"""Value of `kind`."""


def flow_record(flow: Flow) -> dict[str, Any]:
    """Give a flow as an object of JSON.

    Labels: their keys, without the subject.
    """
    labels = dict.fromkeys(sorted(map(_Anonymous.of, flow.labels), key=repr))
    suppressed = flow.suppressed
    return {
        "kind": FLOW,
        "outcome": flow.outcome.value,
        "sink": flow.sink,
        "purpose": flow.purpose,
        "evidence": flow.evidence.value,
        "path": flow.path,
        "rule": flow.rule,
        "mode": flow.mode.value,
        "count": flow.count,
        "labels": [_label_record(label) for label in labels],
        "call_site": _site_record(flow.call_site),
        "selected_at": _site_record(flow.selected_at),
        "suppressed": None
        if suppressed is None
        else {
            "rule": suppressed.rule,
            "reason": suppressed.reason,
            "owner": suppressed.owner,
            "expires": suppressed.expires.isoformat(),
        },
        "advice": flow.advice,
    }


def _site_record(site: CallSite | None) -> dict[str, Any] | None:
    return None if site is None else {"function": site.function, "file": site.file, "line": site.line}


def _site(record: Any) -> CallSite | None:
    return None if record is None else CallSite(record["function"], record["file"], int(record["line"]))


class _Anonymous:
    @staticmethod
    def of(label: Label) -> Label:
        """Take the person out of a label."""
        if label.subject is None:
            return label
        return replace(label, subject=None)


def _label_record(label: Label) -> dict[str, Any]:
    return {
        "purposes": sorted(label.purposes),
        "category": label.category,
        "source": label.source,
        "consent": label.consent,
        "trace": None if label.trace is None else str(label.trace),
        "grants": [
            {
                "purposes": sorted(grant.purposes),
                "approved_by": grant.approved_by,
                "consent": grant.consent,
                "expires": None if grant.expires is None else grant.expires.isoformat(),
            }
            for grant in sorted(label.grants, key=repr)
        ],
        "derivation": label.derivation,
        "steps": [list(step) for step in label.steps],
    }


def flow_from_record(record: Mapping[str, Any]) -> Flow:
    """Read a flow from an object of JSON.

    Raises:
        ValueError: It is not one; the message names the field.
    """
    try:
        suppressed = record.get("suppressed")
        return Flow(
            outcome=Outcome(record["outcome"]),
            sink=_text(record["sink"]),
            purpose=_text(record["purpose"]),
            labels=labels_from_record(record["labels"]),
            evidence=Evidence(record["evidence"]),
            path=_text(record["path"]),
            rule=_text(record["rule"]),
            mode=Mode(record["mode"]),
            count=int(record.get("count", 1)),
            call_site=_site(record.get("call_site")),
            suppressed=None
            if suppressed is None
            else Suppression(
                suppressed["rule"],
                suppressed["reason"],
                suppressed["owner"],
                dt.date.fromisoformat(suppressed["expires"]),
            ),
            advice=_text(record.get("advice", "")),
            selected_at=_site(record.get("selected_at")),
        )
    except KeyError as error:
        msg = f"not a flow record: the field {error.args[0]!r} is missing"
        raise ValueError(msg) from None
    except (TypeError, AttributeError) as error:
        msg = "not a flow record: a field is of the wrong type"
        raise ValueError(msg) from error


def labels_from_record(labels: Any) -> Labels:
    """Read the labels of a flow record.

    Raises:
        ValueError: They are not labels.
        KeyError: A field is missing.
        TypeError: A field is of the wrong type.
    """
    return Labels(
        Label(
            frozenset(map(_text, label["purposes"])),
            label.get("category"),
            label.get("source"),
            None,
            label.get("consent"),
            None if label.get("trace") is None else Trace.parse(label["trace"]),
            frozenset(
                Grant(
                    frozenset(map(_text, grant["purposes"])),
                    _text(grant["approved_by"]),
                    grant.get("consent"),
                    None if grant.get("expires") is None else dt.datetime.fromisoformat(grant["expires"]),
                )
                for grant in label.get("grants", ())
            ),
            label.get("derivation", "direct"),
            tuple(_step(*step) for step in label.get("steps", ())),
        )
        for label in labels
    )


def _step(operation: Any, function: Any, file: Any, line: Any) -> Step:
    return Step(_text(operation), _text(function), _text(file), int(line))


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    msg = f"a text is expected, not {type(value).__name__}"
    raise TypeError(msg)
