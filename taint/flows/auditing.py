"""The audit trail: every flow and every declassification, written down as it happens."""

from __future__ import annotations

from dataclasses import dataclass

from taint.flows.declassification import Declassification, listen_to_declassifications, unlisten_to_declassifications
from taint.flows.outcome import listen, unlisten
from taint.guard import report_internal_error
from taint.policy import Flow, flow_record
from taint.telemetry.audit import AuditFile

__all__ = ["AuditTrail", "audit_to", "current_audit_file"]


@dataclass(frozen=True, slots=True, eq=False)
class AuditTrail:
    """What is written where; a file that cannot be written stops nobody and is said once.

    Args:
        file: The audit file.
    """

    file: AuditFile

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
        """Write one flow: label keys, names and places, no value and no subject."""
        try:
            self.file.write(flow_record(flow))
        except OSError as error:
            report_internal_error("writing a flow to the audit file", error)

    def write_declassification(self, record: Declassification) -> None:
        """Write one declassification."""
        site = record.call_site
        try:
            self.file.write(
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
        except OSError as error:
            report_internal_error("writing a declassification to the audit file", error)


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
