"""Errors of the library.

    TaintError
      ConfigurationError       a purpose, a setting or a decorator that cannot mean anything
      PurposeViolationError    labelled data reached a sink or zone of another purpose
      DeclassificationError    a widening of use without what it needs
      IntegrationError         an integration that cannot be installed

Every message says what happened, what is allowed and what to do next. None holds a value, its
length or a hash of it: exceptions end up in logs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taint.policy.verdict import Flow

__all__ = [
    "ConfigurationError",
    "DeclassificationError",
    "IntegrationError",
    "PurposeViolationError",
    "TaintError",
]


class TaintError(Exception):
    """Base of every error that this library raises."""


class ConfigurationError(TaintError):
    """A purpose, category, setting or decorator is not usable as written."""


class PurposeViolationError(TaintError):
    """Labelled data reached a sink, or was compared in a zone, of a purpose it was not collected for.

    Attributes:
        violation: The flow that was stopped: its `sink`, `purpose`, `labels`, `evidence`, `path` and `rule`.
    """

    def __init__(self, violation: Flow) -> None:
        """Keep the flow; the message is made from it."""
        super().__init__(violation)
        self.violation = violation

    def __str__(self) -> str:
        """Say what happened, what is allowed and what to do; with tracing, also the way of the value."""
        return "\n".join(filter(None, (self.violation.message, self.violation.way)))


class DeclassificationError(TaintError):
    """A declassification lacks a reason, an approver or the right to widen."""


class IntegrationError(TaintError):
    """An integration is unknown, or the installed version of its library is not supported."""
