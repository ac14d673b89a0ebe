"""OpenTelemetry's auto-instrumentation: `opentelemetry-instrument python app.py` turns the library on.

Loaded through the entry point `opentelemetry_instrumentor` and called as every instrumentor is; it needs
nothing of opentelemetry-instrumentation. The environment and the policy file say the rest, see
`taint.launching`; in mode `off` nothing is patched. `OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=taint` leaves
it out.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

from taint import telemetry
from taint.errors import TaintError
from taint.guard import report_internal_error
from taint.installation import uninstall
from taint.launching import launch

__all__ = ["TaintInstrumentor"]

_logger = logging.getLogger("taint")


class TaintInstrumentor:
    """Installs and uninstalls the library, in the form that OpenTelemetry's launcher asks for."""

    is_instrumented_by_opentelemetry = False

    def instrumentation_dependencies(self) -> Collection[str]:
        """Give what has to be installed for it: nothing."""
        return ()

    def instrument(self, **options: Any) -> None:
        """Install the library; signals go to the providers given, else to the global ones.

        Labels: of sources are followed from here on. An error is logged and goes no further: the
        launcher would take it as a reason to instrument nothing at all.

        Args:
            options: `tracer_provider`, `meter_provider` and `logger_provider`, as OpenTelemetry hands them
                over; anything else is for others.
        """
        try:
            self.is_instrumented_by_opentelemetry = launch()
            names = ("tracer_provider", "meter_provider", "logger_provider")
            given = {name: options[name] for name in names if options.get(name) is not None}
            if given and self.is_instrumented_by_opentelemetry:
                telemetry.set_up(**given)
        except TaintError as error:
            _logger.error("purpose-taint could not be installed: %s", error)  # noqa: TRY400  # What is wrong is a setting, not this stack.
        except Exception as error:  # noqa: BLE001  # Said once; the application and its other signals go on.
            report_internal_error("instrumenting", error)

    def uninstrument(self, **_options: Any) -> None:
        """Put everything back as it was."""
        uninstall()
        self.is_instrumented_by_opentelemetry = False
