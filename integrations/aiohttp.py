"""aiohttp: a request to a host that the policy declares as a sink is checked before it is sent, at each redirect.

Source: responses of our own hosts, by their envelopes; messages that a server's `WebSocketResponse` receives, by what
`collected=`, or the policy's table `[collected]`, says of `WEBSOCKET /chat/{room}`: of JSON each leaf by its name.

Sink: every address that the policy declares, `[sinks."ads.api"] at = { http = ["https://api.ads.example/*"] }`.

Covered: requests of a `ClientSession`: the path, the query and `params`, headers, cookies, `json`, `data`, `FormData`,
credentials of basic authentication. They are checked before anything is connected. A body that is made as it is sent
is checked piece by piece: what came before the piece that is stopped has left. In mode `redact` the length is
right; a body whose length was promised is stopped instead. Messages that a client's WebSocket sends, to `wss://` or
`ws://`, text, bytes and JSON, each before it is sent.

Not covered: an address that was made a `yarl.URL` of before; what a client middleware adds to a request; servers, but
for WebSockets. Messages carry no envelope: that labels go to our own hosts without one is a gap, and that they go to a
client of ours is counted as lost.

    import taint
    taint.install(integrations=["aiohttp"])
    import aiohttp
    phone = taint.label("+14155550100", purpose="security.mfa")
    body = aiohttp.JsonPayload({"phone": phone})
    taint.labels_of(body._taint_body)                       # still on what the body was made of
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from http.cookies import SimpleCookie
from typing import Any

import wrapt

from taint.carriers.proxy import carry
from taint.carriers.values import labels_of
from taint.errors import PurposeViolationError
from taint.flows.leaving import Pieces, sink_at
from taint.flows.outcome import look_past
from taint.flows.requests import CollectedFields, Table
from taint.integrations.aiohttp_sockets import socket_patches
from taint.integrations.base import Integration
from taint.integrations.enveloped import aiohttp_patches
from taint.integrations.outgoing import Given, Message, checked, gathered, is_wanted, named, send
from taint.propagation.patches import Patch

__all__ = ["AiohttpIntegration"]

_BODY = "_taint_body"
_SINK = "_taint_sink"
_given_url: ContextVar[str | None] = ContextVar("taint_aiohttp_url", default=None)


class AiohttpIntegration(Integration):
    """Checks requests and messages before they are sent, and labels messages that a server receives.

    Args:
        collected: Patterns of fields, each with its `taint.Collected`, or routes, each with a table of those; see
            `docs/policy.md`, "Fields of requests". The policy's own table holds beside it.
        subject: Gives whose request it is, as an opaque key, from the `web.Request`; nobody's by default.

    Raises:
        ConfigurationError: `collected` is not usable as written.
    """

    identifier = "aiohttp"
    requires = ("aiohttp>=3.9",)

    def __init__(self, *, collected: Table | None = None, subject: Callable[[Any], object] | None = None) -> None:
        super().__init__()
        self._fields = CollectedFields(collected)
        self._subject = subject

    def _install(self) -> None:
        import aiohttp
        import aiohttp.client_reqrep
        import aiohttp.helpers
        import aiohttp.payload

        look_past("aiohttp")
        # Trace configurations belong to one session and cannot stop or change a request; middlewares, since 3.12,
        # too. A request object is made for each redirect and retry, of what it is going to send.
        self._wrap(
            (
                Patch(aiohttp.ClientSession, "_request", _request),
                Patch(aiohttp.client_reqrep.ClientRequest, "__init__", _made),
                Patch(aiohttp.client_reqrep.ClientRequest, "write_bytes", _write),
                *(
                    Patch(getattr(aiohttp.payload, name), "__init__", _json_made)
                    for name in ("JsonPayload", "JsonBytesPayload")
                    if hasattr(aiohttp.payload, name)
                ),
                *(
                    Patch(module, "encode_basic_auth", _credentials)
                    for module in (aiohttp, aiohttp.helpers)
                    if hasattr(module, "encode_basic_auth")
                ),
            )
        )
        self._wrap(aiohttp_patches())
        self._wrap(socket_patches(self._fields, self._subject))


def _credentials(wrapped: Callable[..., str], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Label the header of basic authentication, which is formatted and encoded by C code."""
    header = wrapped(*args, **kwargs)
    labels = labels_of((args, kwargs))
    return carry(header, labels) if labels else header


def _json_made(wrapped: Callable[..., None], payload: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Remember what a document is made of: a finding names a place in it."""
    wrapped(*args, **kwargs)
    setattr(payload, _BODY, {"json": kwargs["value"] if "value" in kwargs else args[0]})
    payload._taint_again = lambda value: type(payload)(
        *((value, *args[1:]) if args else ()), **{**kwargs, **({} if args else {"value": value})}
    )


async def _request(wrapped: Callable[..., Any], _session: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Remember the address as it was given, and raise what stopped a body as what it is."""
    __tracebackhide__ = True  # As in `carry_out`.
    from aiohttp import ClientError

    if not is_wanted():
        return await wrapped(*args, **kwargs)
    url = kwargs["str_or_url"] if "str_or_url" in kwargs else args[1]
    token = _given_url.set(url if isinstance(url, str) else None)
    try:
        return await wrapped(*args, **kwargs)
    except ClientError as error:  # What aiohttp makes of an error in a body.
        if isinstance(error.__cause__, PurposeViolationError):
            raise error.__cause__ from None
        raise
    finally:
        _given_url.reset(token)


def _made(wrapped: Callable[..., None], request: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Check what a request is going to be made of, before it is, and before anything is connected."""
    __tracebackhide__ = True  # As in `carry_out`.
    if not is_wanted():
        wrapped(*args, **kwargs)
        return
    sink = sink_at("http", str(args[1]))
    given = gathered(sink, lambda: _given(args, kwargs))
    changed = None if sink is None else checked(sink, given)
    if changed is not None:
        args, kwargs = _anew(args, kwargs, given, changed)
        given = changed
    wrapped(*args, **kwargs)
    payload = request._body
    if payload is not None and given.body and hasattr(payload, "__dict__"):
        setattr(payload, _BODY, given.body)
    if sink is not None and payload is not None and (not given.body or any(map(_is_stream, given.body.values()))):
        setattr(request, _SINK, sink)
    send(
        lambda: Message(
            request.method, str(request.url), request.headers, given.parts(), getattr(payload, "_value", None)
        )
    )


def _is_stream(value: Any) -> bool:
    return hasattr(value, "read") or hasattr(value, "__aiter__") or hasattr(value, "__next__")


def _given(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Given:
    """Gather what a request is going to be made of."""
    url = _given_url.get()
    _given_url.set(None)  # What comes next is a redirect.
    headers = list((kwargs.get("headers") or {}).items())
    if kwargs.get("auth") is not None:
        headers.append(("authorization", kwargs["auth"]))
    return Given(
        url=str(args[1]) if url is None else url,
        query=kwargs.get("params") or None,
        headers=headers,
        cookies=[(name, getattr(one, "value", one)) for name, one in (kwargs.get("cookies") or {}).items()],
        body=_body(kwargs.get("data")),
    )


def _body(data: Any) -> dict[str, Any]:
    """Give the parts of a body that are known before it is made; none where it is made as it is sent."""
    import aiohttp

    if data is None:
        return {}
    known: dict[str, Any] | None = getattr(data, _BODY, None)
    if known is not None:
        return known
    if isinstance(data, aiohttp.FormData):
        parts: dict[str, Any] = {}
        for at, (one, _, value) in enumerate(data._fields):
            name = named("data", one["name"])
            parts[f"{name}[{at}]" if name in parts else name] = value
        return parts
    if isinstance(data, str | bytes | bytearray | dict | list | tuple):
        return {"data": data}
    items = getattr(data, "items", None)
    return {"data": list(items())} if items is not None else {}


def _anew(
    args: tuple[Any, ...], kwargs: dict[str, Any], given: Given, changed: Given
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Give the arguments of a request of other parts."""
    from multidict import CIMultiDict

    kwargs = dict(kwargs)
    if changed.url != given.url:
        args = (args[0], kwargs["session"]._build_url(changed.url), *args[2:])
    if changed.query is not None:
        kwargs["params"] = changed.query
    headers = list(changed.headers)
    if kwargs.get("auth") is not None:
        kwargs["auth"] = headers.pop()[1]
    if headers:
        kwargs["headers"] = CIMultiDict(headers)
    if any(new is not old for (_, new), (_, old) in zip(changed.cookies, given.cookies, strict=True)):
        cookies: SimpleCookie = SimpleCookie()
        for name, value in changed.cookies:
            cookies[name] = value
        kwargs["cookies"] = cookies
    if any(changed.body[name] is not value for name, value in given.body.items()):
        kwargs["data"] = _data_anew(kwargs["data"], changed.body)
    return args, kwargs


def _data_anew(data: Any, body: Any) -> Any:
    import aiohttp

    if "json" in body:
        return data._taint_again(body["json"])
    if not isinstance(data, aiohttp.FormData):
        return body["data"]
    form = aiohttp.FormData(quote_fields=data._quote_fields, charset=data._charset)
    form._is_multipart = data._is_multipart
    form._fields = [(one, headers, value) for (one, headers, _), value in zip(data._fields, body.values(), strict=True)]
    return form


class _CheckedWriter(wrapt.ObjectProxy):  # type: ignore[type-arg]  # As `TaintedProxy`.
    """What a body is written to, that checks each piece of it."""

    _self_pieces: Pieces

    async def write(self, chunk: Any, *args: Any, **kwargs: Any) -> None:
        await self.__wrapped__.write(self._self_pieces.let_go(chunk), *args, **kwargs)


async def _write(wrapped: Callable[..., Any], request: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    sink = getattr(request, _SINK, None)
    if sink is None or not args:
        return await wrapped(*args, **kwargs)
    writer = _CheckedWriter(args[0])
    writer._self_pieces = Pieces(sink, "content", is_fixed="Content-Length" in request.headers)
    return await wrapped(writer, *args[1:], **kwargs)
