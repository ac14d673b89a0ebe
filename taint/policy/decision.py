"""The decision: may data with this label be used for that purpose, and which rule says so."""

from __future__ import annotations

from functools import lru_cache

from taint.labels import Label
from taint.policy.verdict import Outcome
from taint.purposes import is_allowed

__all__ = ["PURPOSE_LIMITATION", "decide"]

PURPOSE_LIMITATION = "purpose-limitation"
"""The rule that holds without any policy: data is used for what it was collected for (GDPR article 5(1)(b))."""


def decide(label: Label, purpose: str) -> tuple[Outcome, str]:
    """Decide one label at a sink of one purpose.

    Args:
        label: Of the value.
        purpose: Of the sink or zone.

    Returns:
        The outcome and the name of the rule that decided.
    """
    return _decided(label.purposes, purpose), PURPOSE_LIMITATION


@lru_cache(maxsize=4096)
def _decided(collected_for: frozenset[str], purpose: str) -> Outcome:
    return Outcome.ALLOWED if is_allowed(collected_for, purpose) else Outcome.VIOLATION
