"""smtplib: a mail to a recipient that the policy declares as a sink is checked before it is handed to the server.

Source: none.

Sink: every recipient that the policy declares, `[sinks."ads.mail"] at = { mail = ["*@ads.example"] }`.

Covered: `SMTP.send_message` and `SMTP.sendmail`: headers, the body of each part of a message, the recipients'
addresses. In mode `redact` a body and headers are replaced; an address that may not be used stops the mail, for
nothing can stand for it. A mail to several recipients is what all of them may have.

Not covered: a message that was put together by C code that drops labels: known values look for them, in each part
as it reads; `SMTP.docmd`.

    import taint
    taint.install(integrations=["smtplib"])
    import smtplib
    from email.message import EmailMessage
    mail = EmailMessage()
    mail.set_content(taint.label("+14155550100", purpose="security.mfa"))
    taint.labels_of(mail.as_string())                       # what `send_message` looks at, part by part
"""

from __future__ import annotations

import copy
import email.utils
import smtplib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from taint.carriers.proxy import carry, exact, is_carrier
from taint.carriers.values import labels_of
from taint.flows.leaving import has_sinks, let_go_guarded, sink_at, unchecked
from taint.flows.outcome import look_past
from taint.guard import report_internal_error
from taint.integrations.base import Integration
from taint.integrations.outgoing import named
from taint.labels import NO_LABELS, Labels
from taint.policy import Address
from taint.propagation.patches import Patch

__all__ = ["SmtplibIntegration", "checked_message", "checked_text"]


class SmtplibIntegration(Integration):
    """Checks mails before they are sent."""

    identifier = "smtplib"
    requires = ()

    def _install(self) -> None:
        look_past("smtplib")
        # No events. `send_message` knows the parts of a message that `sendmail` has as bytes.
        self._wrap(
            (Patch(smtplib.SMTP, "send_message", _send_message), Patch(smtplib.SMTP, "sendmail", _sendmail)),
        )


def _sinks(addresses: Iterable[str]) -> list[Address]:
    found: list[Address] = []
    for address in addresses:
        sink = sink_at("mail", email.utils.parseaddr(exact(address))[1].lower())
        if sink is not None and all(one.sink != sink.sink for one in found):
            found.append(sink)
    return found


def _given(args: tuple[Any, ...], kwargs: dict[str, Any], names: tuple[str, ...]) -> tuple[list[Any], dict[str, Any]]:
    """Give the first arguments by position, and the others."""
    rest = dict(kwargs)
    first = [args[at] if at < len(args) else rest.pop(name, None) for at, name in enumerate(names)]
    return [*first, *args[len(names) :]], rest


def checked_text(sender: Any, to: Any, message: Any) -> Any:
    """Check a mail that is put together already; gives the one to be sent.

    Raises:
        PurposeViolationError: It may not go to one of its recipients.
    """
    __tracebackhide__ = True  # As in `carry_out`.
    recipients = [to] if isinstance(to, str) else list(to)
    for sink in _sinks(recipients):
        let_go_guarded(sink, (("from", sender), ("to", recipients)), is_fixed=True)
        (message,) = let_go_guarded(sink, (("message", message),))
    return message


def checked_message(sender: Any, to: Any, message: Any) -> tuple[Any, bool]:
    """Check a message part by part.

    Returns:
        The one to be sent, and whether it goes to a sink and need not be checked again.

    Raises:
        PurposeViolationError: It may not go to one of its recipients.
    """
    __tracebackhide__ = True  # As in `carry_out`.
    recipients = ([to] if isinstance(to, str) else list(to)) if to is not None else _recipients(message)
    sinks = _sinks(recipients)
    for sink in sinks:
        let_go_guarded(sink, (("from", sender), ("to", recipients)), is_fixed=True)
        parts = list(_parts(message))
        values = let_go_guarded(sink, parts)
        if any(value is not part for value, (_, part) in zip(values, parts, strict=True)):
            message = _anew(message, values)
    return message, bool(sinks)


def _sendmail(wrapped: Callable[..., Any], _server: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    __tracebackhide__ = True  # As in `carry_out`.
    if not has_sinks("mail"):
        return wrapped(*args, **kwargs)
    (sender, to, message, *rest), options = _given(args, kwargs, ("from_addr", "to_addrs", "msg"))
    return wrapped(sender, to, checked_text(sender, to, message), *rest, **options)


def _send_message(wrapped: Callable[..., Any], _server: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    __tracebackhide__ = True  # As in `carry_out`.
    if not has_sinks("mail"):
        return wrapped(*args, **kwargs)
    (message, sender, to, *rest), options = _given(args, kwargs, ("msg", "from_addr", "to_addrs"))
    message, is_checked = checked_message(sender, to, message)
    if not is_checked:
        return wrapped(message, sender, to, *rest, **options)
    with unchecked():
        return wrapped(message, sender, to, *rest, **options)


def _recipients(message: Any) -> list[str]:
    prefix = "Resent-" if "Resent-Date" in message else ""
    fields = [str(one) for name in ("To", "Cc", "Bcc") for one in message.get_all(prefix + name, ())]
    return [address for _, address in email.utils.getaddresses(fields)]


def _parts(message: Any) -> Iterator[tuple[str, Any]]:
    """Take a message apart: the headers of each part and its body, as they read."""
    for index, part in enumerate(message.walk()):
        place = "" if index == 0 else f"parts[{index}]."
        for name, value in part._headers:
            yield named(f"{place}headers", name.lower()), value if is_carrier(value) else str(value)
        if not part.is_multipart():
            yield f"{place}body", _body(part)


def _body(part: Any) -> Any:
    payload = part._payload
    labels = labels_of(payload) | _own_labels(part)
    encoding = str(part.get("Content-Transfer-Encoding", "")).lower()
    if encoding in {"base64", "quoted-printable"}:
        try:
            data = exact(part.get_payload(decode=True))
            payload = (
                data.decode(part.get_content_charset("utf-8"), "replace")
                if part.get_content_maintype() == "text"
                else data
            )
        except Exception as error:  # noqa: BLE001  # A part that cannot be read is looked at as it stands.
            report_internal_error("reading a part of a mail", error)
    elif is_carrier(payload):
        return payload
    return carry(exact(payload), labels) if labels else exact(payload)


def _own_labels(part: Any) -> Labels:
    """Give the labels that propagation keeps on a message whose headers and body do not keep their own."""
    labels: Labels = getattr(part, "_taint_labels", NO_LABELS)
    return labels


def _anew(message: Any, values: Iterable[Any]) -> Any:
    """Make a message of other parts."""
    message = copy.deepcopy(message)
    rest = iter(values)
    for part in message.walk():
        before = [name for name, _ in part._headers]
        part._headers = [
            (name, new if is_carrier(old) or str(old) != str(new) else old)
            for (name, old), new in zip(list(part._headers), [next(rest) for _ in before], strict=True)
        ]
        if not part.is_multipart():
            body = next(rest)
            if body != _body(part):
                text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)
                charset = part.get_content_charset("utf-8")
                del part["Content-Transfer-Encoding"]
                part.set_payload(text, charset)
                if "Subject" in part and _own_labels(part):
                    part.replace_header("Subject", text)  # A modern message does not say which of the two it was.
    return message
