"""OpenTelemetry's auto-instrumentation: `opentelemetry-instrument python app.py` turns the library on.

Loaded through the entry point `opentelemetry_instrumentor` and called as every instrumentor is; it needs
nothing of opentelemetry-instrumentation. `TAINT_MODE` and the policy file say the rest; with `off`
nothing is patched. `OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=taint` leaves it out.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from taint import telemetry
from taint.guard import report_internal_error
from taint.modes import is_off
from taint.policy import current_policy
from taint.propagation import install, uninstall

__all__ = ["TaintInstrumentor"]


class TaintInstrumentor:
    """Installs and uninstalls the library, in the form that OpenTelemetry's launcher asks for."""

    is_instrumented_by_opentelemetry = False

    def instrumentation_dependencies(self) -> Collection[str]:
        """Give what has to be installed for it: nothing."""
        return ()

    def instrument(self, **options: Any) -> None:
        """Install the library; signals go to the providers given, else to the global ones.

        Labels: of sources are followed from here on. An error is reported and goes no further: the
        launcher would take it as a reason to instrument nothing at all.

        Args:
            options: `tracer_provider`, `meter_provider` and `logger_provider`, as OpenTelemetry hands them
                over; anything else is for others.
        """
        try:
            current_policy()  # Its mode may be `off`.
            if is_off():
                return
            names = ("tracer_provider", "meter_provider", "logger_provider")
            given = {name: options[name] for name in names if options.get(name) is not None}
            if given:
                telemetry.set_up(**given)
            install()
            self.is_instrumented_by_opentelemetry = True
        except Exception as error:  # noqa: BLE001  # Said once; the application and its other signals go on.
            report_internal_error("instrumenting", error)

    def uninstrument(self, **_options: Any) -> None:
        """Put everything back as it was."""
        uninstall()
        self.is_instrumented_by_opentelemetry = False
