"""What developers decorate with: sources, sinks, zones and checks."""

from taint.flows.collected import Collected, collects
from taint.flows.sinks import check, sink
from taint.flows.sources import source
from taint.flows.zones import Zone, current_zone, zone

__all__ = ["Collected", "Zone", "check", "collects", "current_zone", "sink", "source", "zone"]
