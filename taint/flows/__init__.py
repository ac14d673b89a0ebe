"""What developers decorate with: sources, sinks, zones and checks, and what widens a use."""

from taint.flows import handover
from taint.flows.admission import admitted
from taint.flows.collected import Collected, collects
from taint.flows.declassification import Declassification, declassify
from taint.flows.discovery import discovering
from taint.flows.sinks import check, sink
from taint.flows.sources import source
from taint.flows.zones import Zone, current_zone, zone

__all__ = [
    "Collected",
    "Declassification",
    "Zone",
    "admitted",
    "check",
    "collects",
    "current_zone",
    "declassify",
    "discovering",
    "handover",
    "sink",
    "source",
    "zone",
]
