"""The audit trail: every flow and every declassification, written down as it happens."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from taint.carriers.values import current_trace
from taint.flows.declassification import Declassification, listen_to_declassifications, unlisten_to_declassifications
from taint.flows.outcome import listen, unlisten
from taint.guard import report_internal_error
from taint.policy import Flow, flow_record
from taint.telemetry.audit import AuditFile

__all__ = ["AuditTrail", "audit_to", "current_audit_file"]


@dataclass(slots=True, eq=False)
class AuditTrail:
    """What is written where; a file that cannot be written stops nobody, is said once, and says later what it misses.

    Args:
        file: The audit file.
    """

    file: AuditFile
    _missed: int = 0

    def begin(self) -> None:
        """Write down what happens from here on."""
        listen(self.write_flow)
        listen_to_declassifications(self.write_declassification)

    def end(self) -> None:
        """Write no more, and close the file."""
        unlisten(self.write_flow)
        unlisten_to_declassifications(self.write_declassification)
        self.file.close()

    def write_flow(self, flow: Flow) -> None:
        """Write one flow: label keys, names and places, no value and no subject; and the trace in which it happened."""
        trace = current_trace()
        self._write({**flow_record(flow), "trace": None if trace is None else str(trace)})

    def write_declassification(self, record: Declassification) -> None:
        """Write one declassification."""
        site = record.call_site
        self._write(
            {
                "kind": "declassification",
                "purposes": sorted(record.labels.purposes),
                "sources": sorted(record.labels.sources),
                "to": sorted(record.to),
                "reason": record.reason,
                "approved_by": record.approved_by,
                "consent": record.consent,
                "expires": None if record.expires is None else record.expires.isoformat(),
                "call_site": None if site is None else str(site),
            }
        )

    def _write(self, record: dict[str, Any]) -> None:
        try:
            if self._missed:
                self.file.write({"kind": "missed", "count": self._missed})
                _logger.warning("the audit file %r is written again; %d records are missing.", self._path, self._missed)
                self._missed = 0
            self.file.write(record)
        except OSError as error:
            self._missed += 1
            if self._missed == 1:
                _logger.error(  # noqa: TRY400  # The disk's matter; this stack says nothing about it.
                    "the audit file %r cannot be written: %s. The program goes on, and what it does is missing there "
                    "until it can be. Make room or put the folder back. This is said once.",
                    self._path,
                    error.strerror,
                )
        except Exception as error:  # noqa: BLE001  # Whatever fails here is not the program's.
            report_internal_error("writing to the audit file", error)

    @property
    def _path(self) -> str:
        return str(self.file.path)


_logger = logging.getLogger("taint")
_trail: AuditTrail | None = None


def audit_to(file: AuditFile | None) -> None:
    """Write the audit trail of the process to a file from here on; None ends it."""
    global _trail  # noqa: PLW0603  # One trail a process, as one policy.
    if _trail is not None:
        _trail.end()
    _trail = None if file is None else AuditTrail(file)
    if _trail is not None:
        _trail.begin()


def current_audit_file() -> AuditFile | None:
    """Give the file that the audit trail of the process is written to, if there is one."""
    return None if _trail is None else _trail.file
