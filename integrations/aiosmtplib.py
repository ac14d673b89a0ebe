"""aiosmtplib: a mail to a recipient that the policy declares as a sink is checked before it is handed to the server.

Source: none.

Sink: every recipient that the policy declares, `[sinks."ads.mail"] at = { mail = ["*@ads.example"] }`.

Covered: `SMTP.send_message` and `SMTP.sendmail`, their twins that are not asynchronous, and `aiosmtplib.send`: as
`smtplib`, whose checks these are.

Not covered: what `smtplib` does not; `SMTP.execute_command` and `SMTP.data`.

    import taint
    taint.install(integrations=["aiosmtplib"])
    import aiosmtplib
    from email.message import EmailMessage
    mail = EmailMessage()
    mail.set_content(taint.label("+14155550100", purpose="security.mfa"))
    taint.labels_of(mail.as_string())                       # what `send_message` looks at, part by part
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from taint.flows.leaving import has_sinks, unchecked
from taint.flows.outcome import look_past
from taint.integrations.base import Integration
from taint.integrations.smtplib import checked_message, checked_text
from taint.propagation.patches import Patch

__all__ = ["AiosmtplibIntegration"]


class AiosmtplibIntegration(Integration):
    """Checks mails before they are sent."""

    identifier = "aiosmtplib"
    requires = ("aiosmtplib>=2.0",)

    def _install(self) -> None:
        import aiosmtplib

        look_past("aiosmtplib")
        # No events. `send` and what is not asynchronous go through these two.
        self._wrap(
            (Patch(aiosmtplib.SMTP, "send_message", _send_message), Patch(aiosmtplib.SMTP, "sendmail", _sendmail)),
        )


async def _sendmail(wrapped: Callable[..., Any], _server: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    __tracebackhide__ = True  # As in `carry_out`.
    if not has_sinks("mail") or len(args) != 3:  # noqa: PLR2004  # It takes them by position only.
        return await wrapped(*args, **kwargs)
    sender, to, message = args
    return await wrapped(sender, to, checked_text(sender, to, message), **kwargs)


async def _send_message(
    wrapped: Callable[..., Any], _server: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    __tracebackhide__ = True  # As in `carry_out`.
    if not has_sinks("mail") or len(args) != 1:
        return await wrapped(*args, **kwargs)
    message, is_checked = checked_message(kwargs.get("sender"), kwargs.get("recipients"), args[0])
    if not is_checked:
        return await wrapped(message, **kwargs)
    with unchecked():
        return await wrapped(message, **kwargs)
