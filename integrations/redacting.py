"""What the redacting filters of log libraries share: a value as it may stand in a log line."""

from __future__ import annotations

from typing import Any

from taint.carriers.proxy import labels_of_carrier
from taint.carriers.values import carriers_in
from taint.flows.redaction import REDACTED, redacted
from taint.guard import report_internal_error
from taint.labels import Labels
from taint.policy import current_decider
from taint.purposes import purpose_key

__all__ = ["Redaction"]


class Redaction:
    """Which labelled ranges are replaced.

    Args:
        purpose: What logs are used for: what that does not allow is replaced; everything labelled by default.
        sink: The name by which the policy knows the log, for its rules.

    Raises:
        ConfigurationError: The purpose is not usable as written.
    """

    def __init__(self, purpose: str | None, sink: str) -> None:
        self._purpose = None if purpose is None else purpose_key(purpose)
        self._sink = sink

    def _is_hidden(self, labels: Labels) -> bool:
        return self._purpose is None or not current_decider().allows(labels, self._purpose, self._sink)

    def of(self, value: Any) -> Any:
        """Give a value that may be written down; where the library fails, nothing of it is."""
        try:
            found = [carrier for _, carrier in carriers_in(value)]
            if not found:
                return value
            safe = redacted(value, self._is_hidden)
            if any(self._is_hidden(labels_of_carrier(carrier)) for _, carrier in carriers_in(safe)):
                return REDACTED
            return safe
        except Exception as error:  # noqa: BLE001  # A log call never breaks a program, nor shows what it should not.
            report_internal_error("redacting a log record", error)
            return REDACTED
