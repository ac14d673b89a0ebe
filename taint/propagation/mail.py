"""`email`: headers and bodies are kept part by part in a message, and as a whole in its text.

A message's text is folded, encoded and joined in many steps, so that the labels of every part cover all
of it. A message that is read from a labelled text is labelled in all its parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from taint.carriers.containers import ATOMIC
from taint.carriers.proxy import is_carrier
from taint.carriers.values import labels_of
from taint.labels import NO_LABELS, Labels
from taint.propagation.follow import carry_texts, followed, labels_in_call, on_all
from taint.propagation.patches import Patch, Unless, Wrapper, patches_in

__all__ = ["patches"]


def _labels_of_headers(message: Any) -> Labels:
    labels = NO_LABELS
    for header in message._headers:  # noqa: SLF001  # `items()` makes new texts.
        for text in header:
            # What a policy makes of a header is plain.
            if type(text) is not str and (is_carrier(text) or not isinstance(text, str)):
                labels |= labels_of(text)
    return labels


def _labels_of_message(message: Any) -> Labels:
    labels = NO_LABELS
    for part in message.walk():
        labels |= getattr(part, "_taint_labels", NO_LABELS) | _labels_of_headers(part)
        labels |= labels_of(part.preamble) | labels_of(part.epilogue)
        if not part.is_multipart():
            labels |= labels_of(part._payload)  # noqa: SLF001  # `get_payload()` decodes it.
    return labels


def _set(wrapped: Callable[..., Any], message: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Keep the labels of a header or body that is stored in another form, on the object that stores it."""
    labels = labels_in_call(args, kwargs)
    result = wrapped(*args, **kwargs)
    if labels:
        message._taint_labels = getattr(message, "_taint_labels", NO_LABELS) | labels  # noqa: SLF001  # Ours.
    return result


def _content(wrapped: Callable[..., Any], message: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return carry_texts(wrapped(*args, **kwargs), getattr(message, "_taint_labels", NO_LABELS))


def _as_text(wrapped: Callable[..., Any], message: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return carry_texts(wrapped(*args, **kwargs), _labels_of_message(message))


def _parsed(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    message = wrapped(*args, **kwargs)
    labels = labels_in_call(args, kwargs)
    for part in message.walk() if labels else ():
        part._headers = [(name, carry_texts(value, labels)) for name, value in part._headers]  # noqa: SLF001  # As above.
        if not part.is_multipart():
            part._payload = carry_texts(part._payload, labels)  # noqa: SLF001  # As above.
    return message


def _payload(wrapped: Callable[..., Any], message: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    value = wrapped(*args, **kwargs)
    if isinstance(value, str | bytes) and not labels_of(value):
        return carry_texts(value, labels_of(message._payload))  # noqa: SLF001  # As above.
    return value


_ON_ALL = followed(on_all, deep=True)
_ON_HEADER = followed(on_all, owner=_labels_of_headers)
_SET = Unless(_set, ATOMIC)
_WRAPPERS: dict[str, dict[str, Wrapper]] = {
    "email": {"message_from_string": _parsed, "message_from_bytes": _parsed},
    "email.message": {
        "Message.as_string": _as_text,
        "Message.as_bytes": _as_text,
        "Message.get_payload": _payload,
        "MIMEPart.as_string": _as_text,
        "Message.__setitem__": _SET,
        "MIMEPart.set_content": _SET,
        "MIMEPart.get_content": _content,
        "Message.get_param": _ON_HEADER,
        "Message.get_filename": _ON_HEADER,
    },
    "email.header": {
        "Header.append": _SET,
        "Header.encode": _content,
        "Header.__str__": _content,
        "decode_header": _ON_ALL,
    },
    "email.mime.text": {"MIMEText.__init__": _SET},
    "email.utils": dict.fromkeys(
        (
            *("formataddr", "parseaddr", "getaddresses", "encode_rfc2231", "decode_rfc2231", "decode_params"),
            *("collapse_rfc2231_value", "unquote", "quote", "make_msgid"),
        ),
        _ON_ALL,
    ),
    "email.quoprimime": dict.fromkeys(("header_encode", "body_encode", "decode", "header_decode", "quote"), _ON_ALL),
    "email.base64mime": dict.fromkeys(("header_encode", "body_encode", "decode"), _ON_ALL),
}


def patches(module: ModuleType) -> Iterator[Patch]:
    """Give what there is to wrap in one of these modules."""
    return patches_in(module, _WRAPPERS[module.__name__])
