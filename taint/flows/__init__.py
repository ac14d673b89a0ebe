"""What developers decorate with: sources, sinks, zones and checks."""

from taint.flows.sinks import check, sink
from taint.flows.sources import source
from taint.flows.zones import Zone, current_zone, zone

__all__ = ["Zone", "check", "current_zone", "sink", "source", "zone"]
