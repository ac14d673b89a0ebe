"""httpx: a request to a host that the policy declares as a sink is checked before it is sent, at each redirect.

Source: responses of our own hosts, by their envelopes.

Sink: every address that the policy declares, `[sinks."ads.api"] at = { http = ["https://api.ads.example/*"] }`.

Covered: requests of `Client` and `AsyncClient`, of `httpx.get` and its kin, streamed or not, by every transport:
the path, the query and `params`, headers, cookies, `json`, `data`, `content`, `files`, credentials of basic
authentication. A body that is made as it is sent is checked piece by piece: what came before the piece that is
stopped has left. In mode `redact` the length is right; a body whose length was promised is stopped instead.

Not covered: digest authentication's hashes; an `httpx.URL` that was made of another one by `copy_with` or `join`; the
request that a redirect which nobody follows would lead to.

    import taint
    taint.install(integrations=["httpx"])
    import httpx
    phone = taint.label("+14155550100", purpose="security.mfa")
    request = httpx.Request("POST", "https://api.ads.example/", json={"phone": phone})
    taint.labels_of(request.stream)                         # still on what the body was made of
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from taint.carriers.proxy import carry, is_carrier
from taint.carriers.values import labels_of
from taint.flows.leaving import let_go_async_items, let_go_items, sink_at
from taint.flows.outcome import look_past
from taint.integrations.base import Integration
from taint.integrations.enveloped import httpx_patches
from taint.integrations.outgoing import (
    BODY,
    Given,
    Message,
    checked,
    gathered,
    has_senders,
    is_wanted,
    send,
    with_cookies,
)
from taint.policy import Address
from taint.propagation.patches import Patch

__all__ = ["HttpxIntegration"]

_BODY = "_taint_body"
_GIVEN = "_taint_given"
_URL = "_taint_url"


class HttpxIntegration(Integration):
    """Checks requests before they are sent."""

    identifier = "httpx"
    requires = ("httpx>=0.27",)

    def _install(self) -> None:
        import httpx

        look_past("httpx")
        # Event hooks belong to one client, come before a redirect's and an authentication's own requests, and see
        # bytes. `_send_single_request` is where every request passes, whatever made it; since 0.18.
        self._wrap(
            (
                Patch(httpx.URL, "__init__", _addressed),
                Patch(httpx.Request, "__init__", _made),
                Patch(httpx.Client.__mro__[1], "build_request", _built),
                Patch(httpx.Client, "_send_single_request", _send),
                Patch(httpx.AsyncClient, "_send_single_request", _send_async),
                Patch(httpx.BasicAuth, "_build_auth_header", _credentials),
            )
        )
        self._wrap(httpx_patches())


def _credentials(wrapped: Callable[..., str], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Label the header of basic authentication, which is joined and encoded by C code."""
    header = wrapped(*args, **kwargs)
    labels = labels_of((args, kwargs))
    return carry(header, labels) if labels else header


def _addressed(wrapped: Callable[..., None], address: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Remember what an address is made of, where any of it is labelled: it keeps quoted text."""
    wrapped(*args, **kwargs)
    url = args[0] if args else kwargs.get("url", "")
    text, query = getattr(url, _URL, (url if isinstance(url, str) else "", None))
    params = kwargs.get("params")
    if is_carrier(text) or query is not None or (params is not None and labels_of(params)):
        setattr(address, _URL, (text or str(url), params or query))


def _place(url: Any, params: Any) -> tuple[str, Any]:
    """Give the address that a request was given as text, and the parameters that are added to it."""
    if isinstance(url, str):
        return url, params
    text, query = getattr(url, _URL, ("", None))
    return text, params or query


def _made(wrapped: Callable[..., None], request: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Remember what a request is made of: encoding it loses the labels, and the names of its parts."""
    wrapped(*args, **kwargs)
    if not is_wanted():
        return
    body = {name: kwargs[name] for name in BODY if kwargs.get(name) is not None}
    url, query = _place(kwargs["url"] if "url" in kwargs else args[1], kwargs.get("params"))
    setattr(request, _GIVEN, (url, query, kwargs.get("cookies"), body))


def _built(wrapped: Callable[..., Any], _client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Remember the address as it was given: merged with that of the client, it has no labels."""
    request = wrapped(*args, **kwargs)
    given = getattr(request, _GIVEN, None)
    if given is not None:
        url, query = _place(kwargs["url"] if "url" in kwargs else args[1], given[1])
        setattr(request, _GIVEN, (url, query, *given[2:]))
    return request


def _body(request: Any) -> Any:
    """Give the arguments that the body was made of."""
    body = getattr(request.stream, _BODY, None)
    if body is None:
        body = getattr(request, _GIVEN, ("", None, None, None))[3]
    return body or ({"content": request._content} if getattr(request, "_content", b"") else {})


def _given(request: Any) -> Given:
    """Gather what a request is made of now."""
    import httpx

    url, query, cookies, _ = getattr(request, _GIVEN, ("", None, None, None))
    sent = {pair.partition("=")[0] for pair in request.headers.get("cookie", "").split("; ")}
    return Given(
        url=url or str(request.url),
        query=query,
        headers=request.headers.raw,
        cookies=[(one.name, one.value) for one in httpx.Cookies(cookies).jar if one.name in sent] if cookies else [],
        body={name: value for name, value in _body(request).items() if not _is_stream(value)},
    )


def _is_stream(value: Any) -> bool:
    """Tell whether a body is made as it is sent."""
    return not isinstance(value, str | bytes | dict | list | tuple) and (
        hasattr(value, "__next__") or hasattr(value, "__aiter__") or hasattr(value, "read")
    )


def _streams(request: Any) -> bool:
    """Tell whether any of the body cannot be checked before it is sent."""
    import httpx

    if not isinstance(request.stream, httpx.ByteStream):
        fields = getattr(request.stream, "fields", None)
        return fields is None or any(_is_stream(getattr(one, "file", None)) for one in fields)
    return False


@functools.cache
def _stream_class() -> type:
    import httpx

    class CheckedStream(httpx.SyncByteStream, httpx.AsyncByteStream):
        """A body that is checked as it is sent."""

        def __init__(self, stream: Any, sink: Address, *, is_fixed: bool) -> None:
            self._stream, self._sink, self._is_fixed = stream, sink, is_fixed

        def __iter__(self) -> Iterator[bytes]:
            return let_go_items(self._sink, "content", self._stream, is_fixed=self._is_fixed)

        def __aiter__(self) -> AsyncIterator[bytes]:
            return let_go_async_items(self._sink, "content", self._stream, is_fixed=self._is_fixed)

        def close(self) -> None:
            self._stream.close()

        async def aclose(self) -> None:
            await self._stream.aclose()

    return CheckedStream


def _leaving(client: Any, request: Any) -> Any:
    """Check a request; give the one to be sent, which is another one where something is redacted."""
    import httpx

    if not is_wanted():
        return request
    sink = sink_at("http", str(request.url))
    body = _body(request)
    if body and hasattr(request.stream, "__dict__"):
        # On the stream, which a redirect that repeats the body hands on; one that does not repeats no part of it.
        setattr(request.stream, _BODY, body)
    if sink is None and not has_senders():
        return request
    given = gathered(sink, lambda: _given(request))
    if sink is not None:
        changed = checked(sink, given)
        if changed is not None:
            request, given = _anew(client, request, given, changed), changed
        if _streams(request):
            replaced = object.__new__(httpx.Request)
            replaced.__dict__.update(request.__dict__)
            replaced.stream = _stream_class()(request.stream, sink, is_fixed="content-length" in request.headers)
            request = replaced
    send(lambda: Message(request.method, str(request.url), request.headers, given.parts(), _bytes(request)))
    return request


def _bytes(request: Any) -> Any:
    """Give the body of a request where it is known by now; that of a redirect is still in its stream."""
    import httpx

    if hasattr(request, "_content"):
        return request._content
    return request.stream._stream if isinstance(request.stream, httpx.ByteStream) else None


def _anew(client: Any, request: Any, given: Given, changed: Given) -> Any:
    """Make a request of other parts."""
    import httpx

    pairs = list(changed.headers)
    if changed.cookies:
        cookie = with_cookies(request.headers["cookie"], changed.cookies).encode()
        pairs = [(name, cookie if name.lower() == b"cookie" else value) for name, value in pairs]
    headers = httpx.Headers(pairs)
    url = request.url
    if changed.url != given.url or changed.query is not given.query:
        url = client._merge_url(changed.url)
        if changed.query is not None:
            url = url.copy_merge_params(changed.query)
    body = {**getattr(request.stream, _BODY, {}), **changed.body}
    if not body or all(changed.body.get(name) is value for name, value in given.body.items()):
        return _same_body(request, url, headers)
    headers.pop("content-length", None)
    headers.pop("transfer-encoding", None)
    return httpx.Request(request.method, url, headers=headers, extensions=request.extensions, **body)


def _same_body(request: Any, url: Any, headers: Any) -> Any:
    import httpx

    return httpx.Request(request.method, url, headers=headers, extensions=request.extensions, stream=request.stream)


def _send(wrapped: Callable[..., Any], client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    __tracebackhide__ = True  # As in `carry_out`.
    request = kwargs.pop("request") if "request" in kwargs else args[0]
    return wrapped(_leaving(client, request))


async def _send_async(wrapped: Callable[..., Any], client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    __tracebackhide__ = True  # As in `carry_out`.
    request = kwargs.pop("request") if "request" in kwargs else args[0]
    return await wrapped(_leaving(client, request))
