"""What observability sees: OpenTelemetry signals, through its API alone, with label keys and never values."""

from taint.losses import count_loss
from taint.telemetry.emission import declassified, emit, flush, is_exporting, policy_reloaded, reset, set_up
from taint.telemetry.metrics import count_check, observe_known_values
from taint.telemetry.providers import is_heard

__all__ = [
    "count_check",
    "count_loss",
    "declassified",
    "emit",
    "flush",
    "is_exporting",
    "is_heard",
    "observe_known_values",
    "policy_reloaded",
    "reset",
    "set_up",
]
