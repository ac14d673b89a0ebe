"""requests: a request to a host that the policy declares as a sink is checked before it is sent, at each redirect.

Source: responses of our own hosts, by their envelopes.

Sink: every address that the policy declares, `[sinks."ads.api"] at = { http = ["https://api.ads.example/*"] }`.

Covered: requests of `requests.get` and its kin, of a `Session`, and prepared ones, through `HTTPAdapter` and
adapters that are made of it: the path, the query and `params`, headers, cookies, `json`, `data`, `files`, credentials
of basic authentication. A body that is made as it is sent is checked piece by piece: what came before the piece that
is stopped has left. In mode `redact` the length is right; a body whose length was promised is stopped instead.

Not covered: adapters that send by themselves; digest authentication's hashes; what an authentication of one's
own makes of a body.

    import taint
    taint.install(integrations=["requests"])
    import requests
    user = taint.label("ann", purpose="security.mfa")
    request = requests.Request("GET", "https://api.ads.example/", auth=(user, "secret")).prepare()
    taint.labels_of(request.headers["Authorization"])       # labels of the user's name
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import wrapt

from taint.carriers.proxy import carry
from taint.carriers.values import labels_of
from taint.flows.leaving import Pieces, let_go_items, sink_at
from taint.flows.outcome import look_past
from taint.guard import report_internal_error
from taint.integrations.base import Integration
from taint.integrations.enveloped import requests_patches
from taint.integrations.outgoing import Given, Message, checked, gathered, has_senders, is_wanted, send, with_cookies
from taint.policy import Address
from taint.propagation.patches import Patch

__all__ = ["RequestsIntegration"]

_GIVEN = "_taint_given"
_MADE = "_taint_made"
_PREPARED = ("method", "url", "headers", "files", "data", "params", "auth", "cookies", "hooks", "json")
"""The parameters of `prepare`."""


class RequestsIntegration(Integration):
    """Checks requests before they are sent."""

    identifier = "requests"
    requires = ("requests>=2.28",)

    def _install(self) -> None:
        import requests.adapters
        import requests.auth
        import requests.sessions

        look_past("requests")
        # Its hooks come after the response. `HTTPAdapter.send` is where every request passes, a redirect's and an
        # authentication's own too; `prepare` is the last to know what a request was made of.
        self._wrap(
            (
                Patch(requests.PreparedRequest, "prepare", _prepare),
                Patch(requests.PreparedRequest, "prepare_body", _prepare_body),
                Patch(requests.PreparedRequest, "copy", _copy),
                Patch(requests.adapters.HTTPAdapter, "send", _send),
                *(
                    Patch(module, "_basic_auth_str", _credentials)
                    for module in (requests.auth, requests.adapters, requests.sessions)
                ),
            )
        )
        self._wrap(requests_patches())


def _credentials(wrapped: Callable[..., str], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Label the header of basic authentication, which is joined and encoded by C code."""
    header = wrapped(*args, **kwargs)
    labels = labels_of((args, kwargs))
    return carry(header, labels) if labels else header


def _prepare(wrapped: Callable[..., None], request: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Remember what a request is made of: encoding it loses the labels, and the names of its parts."""
    if not is_wanted():
        wrapped(*args, **kwargs)
        return
    given = None
    try:
        arguments = {**dict(zip(_PREPARED, args, strict=False)), **kwargs}
        if arguments.get("files"):
            arguments["files"] = _read_files(arguments["files"])
        body = {
            name: arguments[name]
            for name in ("data", "files", "json")
            if arguments.get(name) not in (None, "", b"", [], {}, ())
        }
        if body.keys() & {"data", "files"}:
            body.pop("json", None)  # As requests does.
        url = arguments.get("url")
        url = url.decode() if isinstance(url, bytes) else str(url)
        given = Given(url.lstrip(), arguments.get("params") or None, body=body)
        args, kwargs = (), arguments
    except Exception as error:  # noqa: BLE001  # Whatever fails here, the program has its request, and its body is checked.
        report_internal_error("looking at a request", error)
    wrapped(*args, **kwargs)
    setattr(request, _GIVEN, None if given is None else (given, request.url, request.__dict__.pop(_MADE, None)))


def _prepare_body(wrapped: Callable[..., None], request: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Remember the body that was made: an authentication may make another one of it."""
    wrapped(*args, **kwargs)
    if is_wanted():
        setattr(request, _MADE, request.body)


def _read_files(files: Any) -> list[tuple[Any, Any]]:
    """Read files as requests is about to, so that what it sends has been looked at."""
    from requests import utils

    guess: Any = utils.guess_filename
    found: list[tuple[Any, Any]] = []
    for name, value in files.items() if hasattr(files, "items") else files:
        if isinstance(value, tuple | list):
            file, *rest = value[1:]
            filename = value[0]
        else:
            file, rest, filename = value, [], guess(value) or name
        found.append((name, (filename, file.read() if hasattr(file, "read") else file, *rest)))
    return found


def _copy(wrapped: Callable[..., Any], request: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Hand on what is known of a request: a redirect is a copy of it."""
    twin = wrapped(*args, **kwargs)
    given = getattr(request, _GIVEN, None)
    if given is not None:
        setattr(twin, _GIVEN, given)
    return twin


def _is_stream(body: Any) -> bool:
    return body is not None and not isinstance(body, str | bytes | bytearray)


def _given(request: Any) -> Given:
    """Gather what a request is made of now."""
    known = getattr(request, _GIVEN, None)
    given, url, body = known if known is not None else (Given(), None, None)
    is_first = given.url and request.url == url
    sent = {pair.partition("=")[0] for pair in str(request.headers.get("Cookie", "")).split("; ")}
    parts: dict[str, Any] = {}
    if request.body is not None and not _is_stream(request.body):
        parts = dict(given.body) if request.body is body else {"content": request.body}
    return Given(
        url=given.url if is_first else request.url,
        query=given.query if is_first else None,
        headers=list(request.headers.items()),
        cookies=[(one.name, one.value) for one in request._cookies or () if one.name in sent],
        body=parts,
    )


class _CheckedFile(wrapt.ObjectProxy):  # type: ignore[type-arg]  # As `TaintedProxy`.
    """A file that is checked as it is read; it can still be rewound for another attempt."""

    _self_pieces: Pieces

    def read(self, *args: Any) -> Any:
        return self._self_pieces.let_go(self.__wrapped__.read(*args))

    def seek(self, *args: Any) -> Any:
        self._self_pieces.begin()
        return self.__wrapped__.seek(*args)

    def __iter__(self) -> Iterator[Any]:
        return map(self._self_pieces.let_go, self.__wrapped__)


def _checked_stream(body: Any, sink: Address, *, is_fixed: bool) -> Any:
    if not hasattr(body, "read"):
        return let_go_items(sink, "content", body, is_fixed=is_fixed)
    file = _CheckedFile(body)
    file._self_pieces = Pieces(sink, "content", is_fixed=is_fixed, is_numbered=False)
    return file


def _send(wrapped: Callable[..., Any], _adapter: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    __tracebackhide__ = True  # As in `carry_out`.
    if not is_wanted():
        return wrapped(*args, **kwargs)
    request, *rest = args or (kwargs.pop("request"),)
    sink = sink_at("http", request.url)
    if sink is None and not has_senders():
        return wrapped(request, *rest, **kwargs)
    given = gathered(sink, lambda: _given(request))
    changed = None if sink is None else checked(sink, given)
    if changed is not None:
        request, given = _anew(request, given, changed), changed
    if sink is not None and _is_stream(request.body):
        request = request.copy()
        request.body = _checked_stream(request.body, sink, is_fixed="Content-Length" in request.headers)
    send(
        lambda: Message(
            request.method,
            request.url,
            request.headers,
            given.parts(),
            request.body.encode() if isinstance(request.body, str) else request.body,
        )
    )
    return wrapped(request, *rest, **kwargs)


def _anew(request: Any, given: Given, changed: Given) -> Any:
    """Make a request of other parts."""
    twin = request.copy()
    if changed.url != given.url or changed.query is not given.query:
        twin.prepare_url(changed.url, changed.query)
    for name, value in changed.headers:
        if value is not request.headers.get(name):
            twin.headers[name] = value
    if changed.cookies:
        twin.headers["Cookie"] = with_cookies(str(twin.headers["Cookie"]), changed.cookies)
    body = changed.body
    if all(body.get(name) is value for name, value in given.body.items()):
        return twin
    twin.headers.pop("Content-Length", None)
    if "files" in body:
        twin.headers.pop("Content-Type", None)  # The boundary is another one.
    twin.prepare_body(body.get("data", body.get("content")), body.get("files"), body.get("json"))
    return twin
