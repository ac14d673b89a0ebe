"""Keep personal data to the purpose it was collected for.

import taint

@taint.source(purpose="security.mfa", category="user.contact.phone_number")
def enrolled_phone(user_id: int) -> str: ...

@taint.sink(purpose="advertising.audiences")
def upload_audience(rows: list[dict[str, str]]) -> None: ...

upload_audience([{"phone": enrolled_phone(7)}])     # PurposeViolationError
"""

from taint.carriers import TaintedBytes, TaintedProxy, TaintedStr, label, labels_of, plain, ranges_of
from taint.configuration import configure, reload_policy
from taint.errors import (
    ConfigurationError,
    DeclassificationError,
    IntegrationError,
    PurposeViolationError,
    TaintError,
)
from taint.evidence import Evidence, KnownValues
from taint.flows import Collected, check, collects, declassify, sink, source, zone
from taint.installation import install, uninstall
from taint.labels import Grant, Label, Labels, Range, Trace
from taint.modes import Mode
from taint.policy import BoundedConsentStore, ConsentStore, Flow, InMemoryConsentStore, Outcome, Verdict
from taint.version import __version__

__all__ = [
    "BoundedConsentStore",
    "Collected",
    "ConfigurationError",
    "ConsentStore",
    "DeclassificationError",
    "Evidence",
    "Flow",
    "Grant",
    "InMemoryConsentStore",
    "IntegrationError",
    "KnownValues",
    "Label",
    "Labels",
    "Mode",
    "Outcome",
    "PurposeViolationError",
    "Range",
    "TaintError",
    "TaintedBytes",
    "TaintedProxy",
    "TaintedStr",
    "Trace",
    "Verdict",
    "__version__",
    "check",
    "collects",
    "configure",
    "declassify",
    "install",
    "label",
    "labels_of",
    "plain",
    "ranges_of",
    "reload_policy",
    "sink",
    "source",
    "uninstall",
    "zone",
]
