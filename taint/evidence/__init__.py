"""How the library knows that a sink received labelled data, and the known values of a process."""

from taint.evidence.current import current_known_values, set_known_values, using
from taint.evidence.kinds import Evidence
from taint.evidence.known import KnownValues, Statistics
from taint.evidence.scan import LONGEST, Match, scan, scan_across

__all__ = [
    "LONGEST",
    "Evidence",
    "KnownValues",
    "Match",
    "Statistics",
    "current_known_values",
    "scan",
    "scan_across",
    "set_known_values",
    "using",
]
