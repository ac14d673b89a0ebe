"""What observability sees: OpenTelemetry spans, through its API alone, with labels and never values."""

from taint.telemetry.spans import emit_violation

__all__ = ["emit_violation"]
