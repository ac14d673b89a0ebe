"""Names of what is emitted, and what a flow is in these names.

Where OpenTelemetry's conventions have a name it is used (`code.*`, `error.type`, `security_rule.*`);
they have none for purposes or data categories, so that those stand under `taint.`. The registry in
docs/semconv describes every name; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from opentelemetry.util.types import AttributeValue

from taint.errors import PurposeViolationError
from taint.guard import shown
from taint.policy import Flow, Outcome

__all__ = ["all_shown", "event_name", "flow_attributes", "mixed_attributes"]

CODE_FILE_PATH: Final = "code.file.path"
CODE_FUNCTION_NAME: Final = "code.function.name"
CODE_LINE_NUMBER: Final = "code.line.number"
ERROR_TYPE: Final = "error.type"
SECURITY_RULE_NAME: Final = "security_rule.name"

CATEGORIES: Final = "taint.categories"
DECLASSIFICATION_APPROVER: Final = "taint.declassification.approver"
DECLASSIFICATION_REASON: Final = "taint.declassification.reason"
DECLASSIFICATION_PURPOSES: Final = "taint.declassification.purposes"
EVIDENCE: Final = "taint.evidence"
LINK_KIND: Final = "taint.link.kind"
LOSS_OPERATION: Final = "taint.loss.operation"
MODE: Final = "taint.mode"
PATH: Final = "taint.path"
POLICY_ACCEPTED: Final = "taint.policy.accepted"
POLICY_NAME: Final = "taint.policy.name"
PURPOSES: Final = "taint.purposes"
REPEAT_COUNT: Final = "taint.repeat.count"
SINK_NAME: Final = "taint.sink.name"
SINK_PURPOSE: Final = "taint.sink.purpose"
SOURCES: Final = "taint.sources"
STEPS: Final = "taint.steps"
SUPPRESSED: Final = "taint.suppressed"
VALUE_COUNT: Final = "taint.value.count"
VERDICT: Final = "taint.verdict"

VIOLATION: Final = "taint.violation"
"""Name of the span and of the event that stand for a violation."""
GAP: Final = "taint.gap"
SUPPRESSED_VIOLATION: Final = "taint.suppressed_violation"
DECLASSIFICATION: Final = "taint.declassification"
POLICY_RELOAD: Final = "taint.policy_reload"

METRIC_CHECKS: Final = "taint.checks"
METRIC_CHECK_DURATION: Final = "taint.check.duration"
METRIC_VIOLATIONS: Final = "taint.violations"
METRIC_GAPS: Final = "taint.gaps"
METRIC_DECLASSIFICATIONS: Final = "taint.declassifications"
METRIC_LOST_LABELS: Final = "taint.lost_labels"
METRIC_DROPPED_SIGNALS: Final = "taint.dropped_signals"
METRIC_KNOWN_VALUES: Final = "taint.known_values"

LINK_COLLECTION: Final = "taint.collection"
"""Value of `taint.link.kind`: the linked span is the one in which the data was collected."""
OTHER: Final = "_OTHER"
"""What stands for a name past the bound of a metric, as in OpenTelemetry's own conventions."""


def all_shown(texts: Iterable[object]) -> tuple[str, ...]:
    """Give names as `shown` does, in order."""
    return tuple(sorted(map(shown, texts)))


def event_name(flow: Flow) -> str | None:
    """Say which event a flow is; None where it is no more than a number."""
    if flow.suppressed is not None:
        return SUPPRESSED_VIOLATION
    if flow.outcome is Outcome.VIOLATION:
        return VIOLATION
    return GAP if flow.outcome is Outcome.GAP else None


def mixed_attributes(flow: Flow, repeats: int) -> dict[str, AttributeValue]:
    """Describe flows of many kinds, past the bound of kinds: the last one's, without what was its own."""
    own = (
        PATH,
        STEPS,
        EVIDENCE,
        PURPOSES,
        CATEGORIES,
        VALUE_COUNT,
        CODE_FUNCTION_NAME,
        CODE_FILE_PATH,
        CODE_LINE_NUMBER,
    )
    found = {key: value for key, value in flow_attributes(flow, repeats).items() if key not in own}
    return found | {SINK_NAME: OTHER, SINK_PURPOSE: OTHER, SOURCES: (OTHER,), SECURITY_RULE_NAME: OTHER}


def flow_attributes(flow: Flow, repeats: int) -> dict[str, AttributeValue]:
    """Describe a flow.

    Args:
        flow: What happened; it holds no value.
        repeats: How many of its kind this stands for.
    """
    found: dict[str, AttributeValue] = {
        VERDICT: flow.outcome.value,
        SINK_NAME: shown(flow.sink),
        SINK_PURPOSE: shown(flow.purpose),
        PURPOSES: all_shown(flow.purposes),
        CATEGORIES: all_shown(flow.labels.categories),
        SOURCES: all_shown(flow.labels.sources),
        EVIDENCE: flow.evidence.value,
        PATH: shown(flow.path),
        MODE: flow.mode.value,
        VALUE_COUNT: flow.count,
        SECURITY_RULE_NAME: shown(flow.rule),
    }
    if repeats > 1:
        found[REPEAT_COUNT] = repeats
    if flow.steps:
        found[STEPS] = tuple(shown(str(step)) for step in flow.steps)  # In order.
    if flow.outcome is Outcome.VIOLATION:
        found[ERROR_TYPE] = PurposeViolationError.__name__
    if flow.call_site is not None:
        found[CODE_FUNCTION_NAME] = shown(flow.call_site.function)
        found[CODE_FILE_PATH] = shown(flow.call_site.file)
        found[CODE_LINE_NUMBER] = flow.call_site.line
    return found
