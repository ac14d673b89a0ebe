"""logging: a record of a logger that the policy declares as a sink is checked before any handler has it.

Source: none.

Sink: every logger that the policy declares, `[sinks."ads.log"] at = { logger = ["ads.*"] }`.

Covered: the message, its arguments, what `extra` adds, an exception and those behind it. In mode `redact` the record is
changed before any handler has it. `RedactingFilter` does so without a policy, on a logger or a handler.

Not covered: messages that were put together by C code that drops labels (an f-string, where its package is not
rewritten): known values look for them; handlers that are called by themselves.

    import taint
    taint.install(integrations=["logging"])
    import logging
    from taint.integrations.logging import RedactingFilter
    phone = taint.label("+14155550100", purpose="security.mfa")
    record = logging.makeLogRecord({"msg": "code for %s", "args": (phone,)})
    RedactingFilter().filter(record) and record.getMessage() == "code for [redacted]"
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from taint.flows.leaving import has_sinks, let_go_guarded, sink_at
from taint.flows.outcome import look_past
from taint.flows.redaction import REDACTED
from taint.integrations.base import Integration
from taint.integrations.redacting import Redaction
from taint.propagation.patches import Patch

__all__ = ["LoggingIntegration", "RedactingFilter"]

_STANDARD = frozenset((*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"))
"""What every record has; the rest is what `extra` added."""
_OWN = ("taint", "opentelemetry")


class LoggingIntegration(Integration):
    """Checks records before handlers have them."""

    identifier = "logging"
    requires = ()

    def _install(self) -> None:
        look_past("logging")
        # A filter on a logger does not see the records of the loggers below it; every record that
        # one's own filters let through passes here.
        self._wrap((Patch(logging.Logger, "callHandlers", _call_handlers),))


class RedactingFilter(logging.Filter):
    """Replace labelled ranges in every record, so that a log line is safe whichever handler writes it.

    Labels: those that the purpose does not allow are gone from the record, with what they were on. On a
    handler it sees every record that the handler gets; on a logger, those of that logger alone.

    Args:
        purpose: What the log is used for; by default everything that is labelled is replaced.
        sink: The name by which the policy's rules know the log.

    Raises:
        ConfigurationError: The purpose is not usable as written.
    """

    def __init__(self, purpose: str | None = None, *, sink: str = "log") -> None:
        super().__init__()
        self._redaction = Redaction(purpose, sink)

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; every record goes on."""
        parts = _parts(record)
        _put(record, parts, [self._safe(value) for _, value in parts])
        return True

    def _safe(self, value: Any) -> Any:
        if type(value) is not tuple:
            return self._redaction.of(value)
        safe = tuple([self._redaction.of(one) for one in value])  # Each by itself: the message has a place for each.
        return safe if any(new is not old for new, old in zip(safe, value, strict=True)) else value


def _exceptions(record: logging.LogRecord) -> Iterator[BaseException]:
    """Give the exception of a record and those behind it, which are shown with it."""
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _parts(record: logging.LogRecord) -> list[tuple[str, Any]]:
    parts: list[tuple[str, Any]] = [("msg", record.msg), ("args", record.args)]
    parts += [(name, value) for name, value in vars(record).items() if name not in _STANDARD]
    errors = [error.args for error in _exceptions(record)]
    if errors:
        parts.append(("exception", errors))
    return parts


def _put(record: logging.LogRecord, parts: Sequence[tuple[str, Any]], values: Sequence[Any]) -> None:
    """Put what may be written down in the place of what may not."""
    for (name, given), value in zip(parts, values, strict=True):
        if value is given:
            continue
        if name == "exception":
            record.exc_text, record.exc_info = _shown(record), None
        else:
            setattr(record, name, value)


def _shown(record: logging.LogRecord) -> str:
    """Write the exceptions of a record without what they say."""
    lines: list[str] = []
    for error in reversed(list(_exceptions(record))):
        lines += traceback.format_tb(error.__traceback__)
        lines.append(f"{type(error).__qualname__}: {REDACTED}\n")
    return "".join(lines).rstrip("\n")


def _call_handlers(wrapped: Callable[..., None], logger: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    __tracebackhide__ = True  # As in `carry_out`.
    if has_sinks("logger"):
        record: logging.LogRecord = args[0] if args else kwargs["record"]
        is_own = logger.name.partition(".")[0] in _OWN  # What the library says of a check must not lead to one.
        sink = None if is_own else sink_at("logger", logger.name)
        if sink is not None:
            parts = _parts(record)
            _put(record, parts, let_go_guarded(sink, parts))
    wrapped(*args, **kwargs)
