"""structlog: an event of a logger that the policy declares as a sink is checked before any processor has it.

Source: none.

Sink: every logger that the policy declares, `[sinks."ads.log"] at = { logger = ["ads.*"] }`. A logger's name is that of
the standard library's logger below it, or what is bound as `logger`; one without a name is `structlog`.

Covered: the event and what is bound to it or given with it. `redact_event` is a processor that replaces labelled
ranges without a policy.

Not covered: what a processor adds; events that were put together by C code that drops labels: known values look
for them.

    import taint
    taint.install(integrations=["structlog"])
    import structlog
    from taint.integrations.structlog import RedactingProcessor
    event = {"event": "code sent", "phone": taint.label("+14155550100", purpose="security.mfa")}
    RedactingProcessor()(None, "info", event)["phone"] == "[redacted]"
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any

from taint.flows.leaving import has_sinks, let_go_guarded, sink_at
from taint.flows.outcome import look_past
from taint.integrations.base import Integration
from taint.integrations.redacting import Redaction
from taint.propagation.patches import Patch

__all__ = ["RedactingProcessor", "StructlogIntegration"]


class StructlogIntegration(Integration):
    """Checks events before processors have them."""

    identifier = "structlog"
    requires = ("structlog>=23.1",)

    def _install(self) -> None:
        import structlog

        look_past("structlog")
        # A processor would have to be put into each configuration, also those that are made later.
        self._wrap((Patch(structlog.BoundLoggerBase, "_process_event", _process),))


class RedactingProcessor:
    """Replace labelled ranges in every event; put it before what renders or sends events.

    Labels: those that the purpose does not allow are gone from the event, with what they were on.

    Args:
        purpose: What the log is used for; by default everything that is labelled is replaced.
        sink: The name by which the policy's rules know the log.

    Raises:
        ConfigurationError: The purpose is not usable as written.
    """

    def __init__(self, purpose: str | None = None, *, sink: str = "log") -> None:
        self._redaction = Redaction(purpose, sink)

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Change the event, as structlog's processors do."""
        for name, value in list(event.items()):
            safe = self._redaction.of(value)
            if safe is not value:
                event[name] = safe
        return event


def _process(wrapped: Callable[..., Any], logger: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    __tracebackhide__ = True  # As in `carry_out`.
    if not has_sinks("logger") or len(args) < 3:  # noqa: PLR2004  # (method, event, what is given with it)
        return wrapped(*args, **kwargs)
    method, event, given, *rest = args
    fields = {**logger._context, **given}
    name = getattr(logger._logger, "name", None) or fields.get("logger") or "structlog"
    sink = sink_at("logger", str(name))
    if sink is not None:
        before = [("event", event), *fields.items()]
        after = let_go_guarded(sink, before)
        event = after[0]
        changed = {name: new for (name, old), new in zip(before[1:], after[1:], strict=True) if new is not old}
        given = {**given, **changed}
    return wrapped(method, event, given, *rest, **kwargs)
