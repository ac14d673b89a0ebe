"""Where signals go: OpenTelemetry's providers, through its API alone.

The global providers, whenever the application sets them; or those that it hands over, as
OpenTelemetry's own instrumentations take them.
"""

from __future__ import annotations

import inspect
import sys
from functools import lru_cache
from time import time_ns
from typing import Any

from opentelemetry import trace
from opentelemetry._logs import Logger, LoggerProvider, LogRecord, SeverityNumber, get_logger_provider
from opentelemetry.context import Context
from opentelemetry.trace import Tracer, TracerProvider
from opentelemetry.util.types import AttributeValue

from taint.version import __version__

__all__ = ["SCHEMA_URL", "SCOPE", "emit_log", "has_logger_provider", "is_heard", "tracer", "use_providers"]

SCOPE = "taint"
"""Name of the instrumentation scope."""
SCHEMA_URL = f"https://purpose-taint.example/schemas/{__version__}"
"""Names the registry in docs/semconv; an identifier, nothing is fetched from it."""

_LOGS_API = "opentelemetry._logs"
_TRACE_API = "opentelemetry.trace"
_tracer: Tracer = trace.get_tracer(SCOPE, __version__, schema_url=SCHEMA_URL)
_tracer_provider: TracerProvider | None = None
_logger_provider: LoggerProvider | None = None


def use_providers(tracer_provider: TracerProvider | None = None, logger_provider: LoggerProvider | None = None) -> None:
    """Send spans and log events to these providers; to the global ones where None."""
    global _tracer, _tracer_provider, _logger_provider  # noqa: PLW0603  # One telemetry pipeline a process, as OpenTelemetry has it.
    _tracer = trace.get_tracer(SCOPE, __version__, tracer_provider, schema_url=SCHEMA_URL)
    _tracer_provider, _logger_provider = tracer_provider, logger_provider


def tracer() -> Tracer:
    """Give the tracer that violations are emitted with."""
    return _tracer


def _provider() -> LoggerProvider | None:
    """Give the logger provider; None where the application set none, and the API's stand-in would swallow events."""
    provider = _logger_provider or get_logger_provider()
    return None if type(provider).__module__.startswith(_LOGS_API) else provider


def has_logger_provider() -> bool:
    """Tell whether log events arrive anywhere."""
    return _provider() is not None


def is_heard() -> bool:
    """Tell whether spans or log events arrive anywhere: not where the application has set up no SDK."""
    provider = _tracer_provider or trace.get_tracer_provider()
    return not type(provider).__module__.startswith(_TRACE_API) or has_logger_provider()


@lru_cache(maxsize=4)
def _logger(provider: LoggerProvider) -> tuple[Logger, bool]:
    """Give the logger of a provider, and whether its `emit` takes keywords."""
    logger = provider.get_logger(SCOPE, __version__, schema_url=SCHEMA_URL)
    return logger, "event_name" in inspect.signature(logger.emit).parameters


def emit_log(
    name: str, attributes: dict[str, AttributeValue], severity: SeverityNumber, *, context: Context, timestamp_ns: int
) -> None:
    """Emit a log record with an event name; nothing where there is no logger provider.

    Args:
        name: Of the event.
        attributes: Label keys and names, never values.
        severity: How bad it is.
        context: Whose span it belongs to.
        timestamp_ns: When it happened, since the epoch.
    """
    provider = _provider()
    if provider is None:
        return
    logger, takes_keywords = _logger(provider)
    if takes_keywords:
        logger.emit(
            timestamp=timestamp_ns,
            observed_timestamp=time_ns(),
            context=context,
            severity_number=severity,
            severity_text=severity.name,
            attributes=attributes,
            event_name=name,
        )
        return
    _emit_record(logger, name, attributes, severity, context=context, timestamp_ns=timestamp_ns)


def _emit_record(
    logger: Any,
    name: str,
    attributes: dict[str, AttributeValue],
    severity: SeverityNumber,
    *,
    context: Context,
    timestamp_ns: int,
) -> None:
    """Emit with an SDK whose `emit` takes a record of its own kind, as it was up to 1.36.

    Its exporters read more from a record than the API's class has, so that the class is taken from
    the module of the logger; and an event's name was the attribute `event.name`.
    """
    kind: Any = getattr(sys.modules[type(logger).__module__], "LogRecord", LogRecord)
    span = trace.get_current_span(context).get_span_context()
    record = kind(
        timestamp=timestamp_ns,
        observed_timestamp=time_ns(),
        trace_id=span.trace_id,
        span_id=span.span_id,
        trace_flags=span.trace_flags,
        severity_text=severity.name,
        severity_number=severity,
        attributes={**attributes, "event.name": name},
    )
    resource = getattr(logger, "resource", None)
    if resource is not None:
        record.resource = resource
    logger.emit(record)
