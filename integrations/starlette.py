"""Starlette: fields of requests and messages are labelled by patterns, and each request begins with no zone of another.

Source: what `collected=`, or the policy's table `[collected]`, says of a request's fields: `json()`, `body()`,
`form()`, `query_params`, `headers`, `cookies`, `path_params`, `stream()`, `url`, uploads (names and contents),
messages of WebSockets. The label's source is the route and the field: `POST /enrol body:user.phone`.
Sink: none. A response goes to whoever asked, and its body carries no labels.

Covered: all applications, made before and after; sub-classes of `Request`; mounted applications; handlers that
are coroutines or run in the thread pool, under `taint.zone` too; `JSONResponse` of labelled values, numbers and
dates among them.

Not covered: what reads the ASGI `scope` and `receive` itself; `base_url`, `client`; the template of a mount
that has parameters of its own, of which the inner route's is named.

    import taint
    from taint.integrations.starlette import StarletteIntegration
    taint.install(integrations=[StarletteIntegration(collected={"phone": taint.Collected("security.mfa")})])
    # or, where the policy says what is collected: taint.install(integrations=["starlette"])
    import starlette.applications, starlette.requests
    scope = {"type": "http", "method": "GET", "query_string": b"phone=1", "headers": []}
    taint.labels_of(starlette.requests.Request(scope).query_params["phone"])      # Labels of the phone
"""

from __future__ import annotations

import contextlib
import functools
import operator
import sys
import types
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any
from urllib.parse import parse_qsl

from taint.carriers import observation, values
from taint.carriers.proxy import exact
from taint.carriers.values import apply_labels
from taint.flows.handover import clean_state, leave_all
from taint.flows.requests import CollectedFields, Collection, RouteFields, Table
from taint.flows.uploads import labelled_file
from taint.guard import report_internal_error
from taint.integrations.base import Integration
from taint.integrations.enveloped import answer_of, with_envelope, with_labelled_form
from taint.propagation.follow import is_plain, known
from taint.propagation.json_tree import plain_document
from taint.propagation.patches import Patch, Standing, Swap, Wrapper

__all__ = ["StarletteIntegration"]

_KEY = "taint.collection"
"""Where in an ASGI scope the request's collection is kept."""


class StarletteIntegration(Integration):
    """Labels fields of requests.

    Args:
        collected: Patterns of fields, each with its `taint.Collected`, or routes, each with a table of those; see
            `docs/policy.md`, "Fields of requests". The policy's own table holds beside it.
        subject: Gives whose request it is, as an opaque key, from the `HTTPConnection`; nobody's by default.

    Raises:
        ConfigurationError: `collected` is not usable as written.
    """

    identifier = "starlette"
    requires = ("starlette>=0.37",)
    waits_for = "starlette.applications"

    def __init__(self, *, collected: Table | None = None, subject: Callable[[Any], object] | None = None) -> None:
        super().__init__()
        CollectedFields(collected)  # Refuses what is not usable, now.
        self.collected = collected
        self.subject = subject

    def _install(self) -> None:
        from starlette import applications, requests, responses, websockets

        connection, request = requests.HTTPConnection, requests.Request
        # Starlette has no event between finding the route and calling the handler, and none for an application that
        # exists already: a middleware is given when one is made. What is wrapped is public but for `_get_form`, which
        # keeps what `form()` gives.
        self._wrap(
            (
                Swap(applications.Starlette, "__call__", _begin),
                Patch(connection, "headers", _keeping(_HEADER, "headers", _reading(_headers, "header", "cookie"))),
                Patch(connection, "query_params", _keeping(_QUERY, "query_string", _reading(_query_params, "query"))),
                Patch(connection, "cookies", _keeping(_COOKIE, "headers", _reading(_cookies, "cookie"))),
                Patch(connection, "path_params", _keeping(_PATH, "path_params", _reading(_path_params, "path"))),
                Patch(connection, "url", _reading(_url, "path", "query")),
                Patch(request, "body", _awaiting(_body, "body", "form", "file")),
                Patch(request, "stream", _awaiting(_stream, "body", "form", "file")),
                Patch(request, "json", _awaiting(_json, "body")),
                Patch(request, "_get_form", _awaiting(_form, "form", "file")),
                Patch(websockets.WebSocket, "receive", _awaiting(_receive, "body")),
                Patch(responses.JSONResponse, "render", Standing(_render, _rendering)),
            )
        )
        _active.set((*_active.integrations, self))

    def _uninstall(self) -> None:
        _active.set(tuple(one for one in _active.integrations if one is not self))


class _Active:
    """What holds: that of all integrations that are on, since FastAPI's installs one of Starlette too."""

    def __init__(self) -> None:
        self.integrations: tuple[StarletteIntegration, ...] = ()
        self.fields = CollectedFields()
        self.subject: Callable[[Any], object] | None = None

    def set(self, integrations: tuple[StarletteIntegration, ...]) -> None:
        self.integrations = integrations
        self.fields = CollectedFields(*(one.collected for one in integrations))
        self.subject = next((one.subject for one in integrations if one.subject is not None), None)

    def fields_of(self, scope: Any, route: Any) -> RouteFields | None:
        if route is None and not self.fields:
            return None
        method = "WEBSOCKET" if scope["type"] == "websocket" else scope.get("method", "*")
        return self.fields.collecting(method, _template(scope, route))


_active = _Active()


class _Kept:
    """What is known of one request since its route was found.

    Attributes:
        route: The route.
        fields: What is collected with it; None for nothing.
        collection: Made as soon as something may be labelled.
        native: What the scope has for the headers, where none of them is collected for anything: they stay native;
            the same for the cookies among them, the query string, and the parameters of the path.
    """

    __slots__ = ("collection", "fields", "native", "route")
    route: Any
    fields: RouteFields | None
    collection: Collection | None
    native: list[Any]


_HEADER, _COOKIE, _QUERY, _PATH = range(4)
_NOTHING: Any = object()


def _kept(scope: Any) -> _Kept:
    route = scope.get("route")
    kept: _Kept | None = scope.get(_KEY)
    if kept is not None and kept.route is route:
        return kept
    kept = _Kept()
    kept.route, kept.collection = route, None
    if route is None:  # The parameters of the path are not known yet.
        kept.fields = _active.fields_of(scope, None)
        kept.native = [_NOTHING] * 4
    else:
        if scope["type"] == "http" and not scope.get("root_path") and "fastapi" not in scope:  # As `fields_of`.
            fields = _active.fields.collecting(scope.get("method", "*"), getattr(route, "path_format", None))
        else:
            fields = _active.fields_of(scope, route)
        kept.fields = fields
        # ASGI lets a scope leave them out, and headers be an iterator, which is Starlette's to take.
        headers, query, parameters = scope.get("headers"), scope.get("query_string"), scope.get("path_params", _KEY)
        kept.native = native = [headers, headers, query, parameters]
        if fields is not None:
            if not isinstance(headers, list | tuple):
                native[_HEADER] = native[_COOKIE] = _NOTHING
            elif not fields.plain_headers.issuperset(map(_name, headers)):
                _look_at(headers, fields, native)
            if query and (not isinstance(query, bytes) or fields.may_be_in("query", query)):
                native[_QUERY] = _NOTHING
            names = () if parameters is _KEY else tuple(parameters)
            if fields.heads["path"].get(names) is not False and fields.is_any_of("path", names):
                native[_PATH] = _NOTHING
    scope[_KEY] = kept
    return kept


_name = operator.itemgetter(0)


def _look_at(headers: Any, fields: RouteFields, native: list[Any]) -> None:
    names = tuple(map(_name, headers))
    has_cookie = b"cookie" in names and any(
        fields.may_be_in("cookie", value) for name, value in headers if name == b"cookie"
    )
    if has_cookie or fields.is_any_header(names):
        native[_HEADER] = _NOTHING  # The cookies are one of them.
    if has_cookie:
        native[_COOKIE] = _NOTHING


def _collection(connection: Any, places: tuple[str, ...]) -> Collection | None:
    """Give a request's collection, where anything is collected in some places."""
    try:
        kept = _kept(connection.scope)
        fields = kept.fields
        if fields is None or fields.places.isdisjoint(places):
            return None
        if kept.collection is None:
            subject = _active.subject
            kept.collection = Collection(fields, None if subject is None else functools.partial(subject, connection))
        collection: Collection = kept.collection
    except Exception as error:  # noqa: BLE001  # A request must not fail because of the library.
        report_internal_error("labelling a request", error)
        return None
    return collection


def _reading(label: Callable[[Any, Any, Collection], Any], *places: str) -> Wrapper:
    """Give the wrapper of a property."""

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], _kwargs: Any) -> Any:
        native = wrapped(*args)
        collection = _collection(instance, places)
        return native if collection is None else label(native, instance, collection)

    return wrapper


def _keeping(at: int, name: str, wrapper: Wrapper) -> Standing:
    """Give the wrapper of a property that is asked no more once nothing there is found to be collected.

    Args:
        at: Which of what `_Kept` has as native.
        name: What the scope has it as.
        wrapper: Of the property.
    """

    def before(native: Callable[..., Any], concerned: Callable[..., Any]) -> Callable[..., Any]:
        def read(connection: Any) -> Any:
            scope = connection.scope
            kept = scope.get(_KEY)
            if kept is None or kept.route is not scope.get("route"):
                try:
                    kept = _kept(scope)
                except Exception as error:  # noqa: BLE001  # A request must not fail because of the library.
                    report_internal_error("labelling a request", error)
                    return native(connection)
            found = kept.native
            given = scope.get(name, _KEY)
            if found[at] is not given:
                return concerned(connection)
            if at:
                return native(connection)
            value = native(connection)
            found[_HEADER] = found[_COOKIE] = scope["headers"]  # `Headers` puts a list of its own there.
            return value

        return read

    return Standing(wrapper, before)


def _awaiting(label: Callable[..., Any], *places: str) -> Wrapper:
    """Give the wrapper of a method that is awaited or iterated over."""
    is_raw = label in (_body, _stream)

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        collection = _collection(instance, places)
        if label is _body:
            wrapped = functools.partial(with_envelope, wrapped, instance)
        elif label is _form:
            wrapped = functools.partial(with_labelled_form, wrapped, instance)
        if collection is None or (is_raw and _is_asked_inside(instance)):
            return wrapped(*args, **kwargs)
        return label(functools.partial(wrapped, *args, **kwargs), instance, collection)

    return wrapper


def _template(scope: Any, route: Any) -> str | None:
    """Give the template of the request's route; of the one that will be found, where none is yet."""
    if route is None:
        for candidate in getattr(scope.get("app"), "routes", ()):  # A middleware asks.
            if candidate.matches(scope)[0].name == "FULL":
                return getattr(candidate, "path_format", None)
        return None
    # FastAPI's included routers keep their prefix beside the route.
    context = (scope.get("fastapi") or {}).get("effective_route_context")
    template: str | None = getattr(context, "path_format", None) or getattr(route, "path_format", None)
    if template is None:
        return None
    mount = scope.get("root_path", "")[len(scope.get("app_root_path", "")) :]
    named = set(getattr(route, "param_convertors", ()))
    return mount + template if mount and named >= scope.get("path_params", {}).keys() else template


def _is_asked_inside(request: Any) -> bool:
    """Tell whether a body is read by the frameworks themselves.

    Starlette reads it for `json` and `form`, FastAPI to see whether there is one: they get it plain, since what they
    make of it is labelled, and a document would be read twice.
    """
    frame: types.FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__", "").startswith("taint."):
        frame = frame.f_back
    module = "" if frame is None else frame.f_globals.get("__name__", "")
    if module == "fastapi.routing":
        return "json" in request.headers.get("content-type", "")
    return bool(module.startswith("starlette."))


def _begin(native: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Coroutine[Any, Any, None]]:
    # Its parameters by name: servers call an application without any, to see that it is no factory.
    @functools.wraps(native)
    async def begin(self: Any, scope: Any, receive: Any, send: Any) -> None:
        if not _active.integrations:  # Somebody has wrapped it, and keeps it.
            await native(self, scope, receive, send)
        elif observation.active or values.collector is not None:
            with clean_state():
                await native(self, scope, receive, send)
        else:  # As `clean_state`, which is quick only where nothing was ever entered.
            try:
                await native(self, scope, receive, send)
            finally:
                leave_all()

    return begin


def _headers(native: Any, connection: Any, collection: Collection) -> Any:
    own = vars(connection)
    if own.get("_taint_headers") is not native:
        own["_taint_headers"] = native
        names = [name.decode("latin-1") for name, _ in native.raw]
        if not collection.is_any("header", names) and "cookie" not in names:
            return native
        raw = [(name, collection.header(name.decode("latin-1"), value)) for name, value in native.raw]
        native = own["_headers"] = own["_taint_headers"] = type(native)(raw=raw)
    return native


def _query_params(native: Any, connection: Any, collection: Collection) -> Any:
    own = vars(connection)
    if own.get("_taint_query") is not native:
        own["_taint_query"] = native
        if not collection.is_any("query", native):
            return native
        native = type(native)(collection.pairs(native.multi_items(), "query"))
        own["_query_params"] = own["_taint_query"] = native
    return native


def _cookies(native: Any, connection: Any, collection: Collection) -> Any:
    own = vars(connection)
    if own.get("_taint_cookies") is not native:
        native = {exact(name): collection.value(exact(value), "cookie", exact(name)) for name, value in native.items()}
        own["_cookies"] = own["_taint_cookies"] = native
    return native


def _path_params(native: Any, connection: Any, collection: Collection) -> Any:
    scope = connection.scope
    if scope.get("taint.path_params") is not native and collection.is_any("path", native):
        native = {name: collection.value(value, "path", name) for name, value in native.items()}
        if "path_params" in scope:
            scope["path_params"] = scope["taint.path_params"] = native
    return native


def _url(native: Any, connection: Any, collection: Collection) -> Any:
    own = vars(connection)
    if own.get("_taint_url") is not native:
        text = collection.together(str(native), "query", dict(parse_qsl(native.query, keep_blank_values=True)))
        text = collection.together(text, "path", connection.scope.get("path_params", ()))
        native = own["_url"] = own["_taint_url"] = type(native)(text)
    return native


async def _body(read: Callable[[], Any], request: Any, collection: Collection) -> Any:
    headers = request.headers if "headers" in request.scope else {}  # ASGI lets a scope leave them out.
    return collection.body(await read(), headers.get("content-type"))


async def _json(read: Callable[[], Any], request: Any, collection: Collection) -> Any:
    if hasattr(request, "_json"):
        return await read()
    request._json = value = collection.document(await read())
    return value


async def _form(read: Callable[[], Any], request: Any, collection: Collection) -> Any:
    was_read = request._form is not None
    form = await read()
    if was_read or not form:
        return form
    pairs = [(name, _field(value, name, collection)) for name, value in form.multi_items()]
    request._form = labelled = type(form)(pairs)
    return labelled


def _field(value: Any, name: str, collection: Collection) -> Any:
    if isinstance(value, str):
        return collection.value(value, "form", name)
    labels = collection.labels("file", name)
    if labels:
        value.filename = collection.value(value.filename, "file", name)
        value.file = labelled_file(value.file, labels)
    return value


async def _stream(read: Callable[[], Any], _request: Any, collection: Collection) -> AsyncIterator[bytes]:
    labels = collection.whole("body", "form", "file")
    async with contextlib.aclosing(read()) as chunks:
        async for chunk in chunks:
            yield apply_labels(chunk, labels) if labels else chunk


async def _receive(read: Callable[[], Any], _socket: Any, collection: Collection) -> Any:
    message = await read()
    for key in ("text", "bytes"):
        data = message.get(key)
        if data:
            begin = data[:1] if key == "text" else data[:1].decode("latin-1")
            message = {**message, key: collection.body(data, "application/json" if begin in "{[" else None)}
    return message


def _rendering(native: Callable[..., Any], concerned: Callable[..., Any]) -> Callable[..., Any]:
    def render(response: Any, content: Any) -> Any:
        if not is_plain(content):
            return concerned(response, content)
        known.document = content
        try:
            return native(response, content)
        finally:
            known.document = None

    return render


def _render(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    answer = wrapped(*map(plain_document, args), **kwargs)
    return answer_of(answer, args[0]) if len(args) == 1 else answer
