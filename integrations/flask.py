"""Flask: fields of requests are labelled by patterns, and each request begins with no zone of another one.

Source: what `collected=`, or the policy's table `[collected]`, says of a request's fields: `form`, `args`, `values`,
`json`, `get_json`, `data`, `get_data`, `headers`, `cookies`, `view_args`, `files` (names and contents), `url`,
`full_path`, `query_string`. The label's source is the route and the field: `POST /enrol form:phone`.
Sink: none. A response goes to whoever asked, and a JSON body carries no labels.

Covered: all applications, made before and after; custom request classes; threads, gevent, pre-forked workers,
the test client. A view or `before_request` may stand under `taint.zone`; `in_zone(blueprint, purpose)` puts all
of a blueprint or application under one.

Not covered: `stream`, `environ`, `path`, `base_url`; what is made of headers (`authorization`, `user_agent`);
what is read before Flask dispatches a request, as by a custom session interface; requests of
Werkzeug without Flask.

    import taint
    from taint.integrations.flask import FlaskIntegration
    taint.install(integrations=[FlaskIntegration(collected={"phone": taint.Collected("security.mfa")})])
    # or, where the policy says what is collected: taint.install(integrations=["flask"])
    import flask
    app = flask.Flask("shop")
    app.add_url_rule("/", view_func=lambda: str(taint.labels_of(flask.request.args["phone"]).purposes))
    app.test_client().get("/?phone=1").text == "frozenset({'security.mfa'})"      # True
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

from taint.carriers import observation, values
from taint.carriers.proxy import exact
from taint.envelopes.asgi import is_answering
from taint.flows.handover import clean_state, leave_all
from taint.flows.requests import CollectedFields, Collection, Table
from taint.flows.uploads import labelled_file
from taint.flows.zones import zone
from taint.guard import report_internal_error
from taint.integrations.base import Integration
from taint.integrations.enveloped import answer_of, flask_patches
from taint.integrations.reading import ReadsPlain
from taint.propagation.follow import is_plain, known
from taint.propagation.json_tree import labelled_json, plain_document
from taint.propagation.pairing import detached
from taint.propagation.patches import Patch, Standing, Swap

__all__ = ["FlaskIntegration", "in_zone"]


class FlaskIntegration(Integration):
    """Labels fields of requests.

    Args:
        collected: Patterns of fields, each with its `taint.Collected`, or routes, each with a table of those; see
            `docs/policy.md`, "Fields of requests". The policy's own table holds beside it.
        subject: Gives whose request it is, as an opaque key, from the `flask.Request`; nobody's by default.

    Raises:
        ConfigurationError: `collected` is not usable as written.
    """

    identifier = "flask"
    requires = ("Flask>=2.3",)

    def __init__(self, *, collected: Table | None = None, subject: Callable[[Any], object] | None = None) -> None:
        super().__init__()
        self._fields = CollectedFields(collected)
        self._subject = subject

    def _install(self) -> None:
        import flask
        from flask.json.provider import DefaultJSONProvider
        from werkzeug.wrappers import Response

        # A request must begin with nothing before there is one for Flask. The route is known when it is dispatched; the
        # signal that is sent then looks at each receiver's kind, for longer than all that is done here. JSON has no
        # event, and its provider takes dates of the exact type only. What a server is given of a response has no event.
        self._current = flask.request._get_current_object  # type: ignore[attr-defined]  # Of LocalProxy.
        self._wrap(
            (
                Swap(flask.Flask, "__call__", self._beginning),
                Swap(flask.Flask, "full_dispatch_request", self._dispatching),
                Swap(Response, "get_app_iter", _sending),
                Patch(DefaultJSONProvider, "dumps", Standing(_dumps, _dumping)),
                Patch(DefaultJSONProvider, "response", Standing(_respond, _responding)),
            )
        )
        self._wrap(flask_patches())

    def _beginning(self, native: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(native)
        def begin(app: Any, environ: Any, start_response: Any) -> Any:
            if not self._is_on:  # Somebody has wrapped it, and keeps it.
                return native(app, environ, start_response)
            if observation.active or values.collector is not None:
                with clean_state():
                    return native(app, environ, _starting(start_response))
            try:  # As `clean_state`, which is quick only where nothing was ever entered.
                return native(app, environ, _starting(start_response))
            finally:
                leave_all()

        return begin

    def _dispatching(self, native: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(native)
        def dispatch(app: Any, *args: Any) -> Any:
            if self._is_on:
                try:
                    request = self._current()
                    rule = request.url_rule
                    fields = self._fields.collecting(request.method, None if rule is None else rule.rule)
                    if fields is not None and fields.is_any_in(request.environ, tuple(request.view_args or ())):
                        subject = None if self._subject is None else functools.partial(self._subject, request)
                        _label_request(request, Collection(fields, subject))
                except Exception as error:  # noqa: BLE001  # A request must not fail because of the library.
                    report_internal_error("labelling a request", error)
            return native(app, *args)

        return dispatch


def in_zone(scaffold: Any, purpose: str, *, name: str | None = None, mode: str | None = None) -> None:
    """Have all requests of a blueprint, or of an application, run in a zone.

    Labels: as in `taint.zone`. It begins before the functions registered by `before_request` after it.

    Args:
        scaffold: The `flask.Flask` or `flask.Blueprint`.
        purpose: What its requests are handled for.
        name: What findings name; the purpose by default.
        mode: What a violation inside does; as for `taint.zone`.

    Raises:
        ConfigurationError: The purpose or the mode is not usable as written.
    """
    stretch = zone(purpose, name=name, mode=mode)

    def begin() -> None:
        stretch.__enter__()

    def end(_error: BaseException | None) -> None:
        stretch.__exit__(None, None, None)

    scaffold.before_request(begin)
    scaffold.teardown_request(end)


def _starting(start_response: Callable[..., Any]) -> Callable[..., Any]:
    def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        # Servers may refuse what is not an exact text (PEP 3333, "native strings").
        if type(status) is not str:
            status = exact(status)
        if not _EXACT.issuperset(map(type, itertools.chain.from_iterable(headers))):
            headers[:] = [(exact(name), exact(value)) for name, value in headers]
        return start_response(status, headers, *rest)

    return start


_EXACT = frozenset((str,))


def _sending(native: Callable[..., Any]) -> Callable[..., Any]:
    """Give a server exact bytes, which `wsgiref` insists on; a middleware that answers for labels sees them first."""
    from werkzeug.wsgi import ClosingIterator

    @functools.wraps(native)
    def give(response: Any, environ: Any) -> Any:
        made = native(response, environ)
        if response.direct_passthrough or is_answering():
            return made
        body = response.response
        if type(body) is list and _EXACT_BODY.issuperset(map(type, body)):
            return made
        return ClosingIterator(map(_sent, made), made.close)

    return give


def _sent(piece: bytes) -> bytes:
    return piece if type(piece) is bytes else exact(piece)


_EXACT_BODY = frozenset((str, bytes))


def _dumping(native: Callable[..., Any], concerned: Callable[..., Any]) -> Callable[..., Any]:
    def dumps(provider: Any, *args: Any, **kwargs: Any) -> Any:
        is_known = len(args) == 1 and args[0] is known.document
        return native(provider, *args, **kwargs) if is_known else concerned(provider, *args, **kwargs)

    return dumps


def _responding(native: Callable[..., Any], concerned: Callable[..., Any]) -> Callable[..., Any]:
    """Write an answer of plain values: it goes to whoever asked, unless a middleware sees to its labels."""

    def respond(provider: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs or len(args) != 1 or not is_plain(args[0]):
            return concerned(provider, *args, **kwargs)
        known.document = args[0]
        try:
            return native(provider, *args)
        finally:
            known.document = None

    return respond


def _dumps(wrapped: Callable[..., str], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if len(args) != 1:
        return wrapped(*args, **kwargs)
    if is_plain(args[0]):
        return known.written(wrapped, args[0], *args, **kwargs)
    made = detached(args[0], is_text=True)
    return labelled_json(wrapped(made.value, **kwargs), made)


def _respond(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    made = wrapped(*plain_document(args), **plain_document(kwargs))
    if is_answering() and len(made.response) == 1:
        made.response = [answer_of(made.response[0], args[0] if len(args) == 1 else list(args) or kwargs)]
    return made


def _label_request(request: Any, collection: Collection) -> None:
    """Have a request give labelled fields from here on."""
    places = collection.fields.places
    own = vars(request)
    for name in ("args", "cookies", "values", "data", "headers", "full_path", "url"):
        own.pop(name, None)  # They are made anew when they are asked for.
    kind: Any = type(request)
    request.__class__ = _labelling(kind)
    request._taint = collection
    if "path" in places and request.view_args:
        request.view_args = {name: collection.value(value, "path", name) for name, value in request.view_args.items()}
    if "form" in own:  # Read already, by whoever opened the session.
        _label_form(request)


def _label_form(request: Any) -> None:
    own, collection = vars(request), request._taint
    if "form" in own:
        own["form"] = type(own["form"])(collection.pairs(own["form"].items(multi=True), "form"))
    for name, file in own["files"].items(multi=True) if "files" in own else ():
        labels = collection.labels("file", name)
        if labels:
            file.filename = collection.value(file.filename, "file", name)
            file.stream = labelled_file(file.stream, labels)


class _Kept:
    """An attribute that is made when it is first asked for, as Werkzeug's `cached_property` is."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self._make = make
        self._name = make.__name__

    def __get__(self, instance: Any, _owner: object = None) -> Any:
        if instance is None:
            return self
        value = vars(instance)[self._name] = self._make(instance)
        return value


class _LabelledHeaders:
    """Stands before `EnvironHeaders`. Labels: on each header that is read."""

    _collection: Collection

    def __getitem__(self, key: Any) -> Any:
        value = super().__getitem__(key)  # type: ignore[misc]  # Of the class that it stands before.
        return self._collection.header(key, value) if isinstance(key, str) else value

    def _get_key(self, key: Any) -> Any:  # Since Werkzeug 3.1, `get` asks this.
        return self._collection.header(key, super()._get_key(key))  # type: ignore[misc]  # As above.

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((key, self._collection.header(key, value)) for key, value in super().__iter__())  # type: ignore[misc]  # As above.


class _LabelledRequest(ReadsPlain):
    """Stands before the class of a request. Labels: on each field that is read."""

    _taint: Collection

    def _taint_pairs(self, native: Any, place: str) -> Any:
        if not self._taint.is_any(place, native):
            return native
        return type(native)(self._taint.pairs(native.items(multi=True), place))

    def _taint_together(self, text: Any) -> Any:
        if not text or self._taint_reads:
            return text
        request: Any = self
        return self._taint.together(self._taint.together(text, "query", request.args), "path", request.view_args or ())

    @_Kept
    def args(self) -> Any:
        native: Any = super()
        return self._taint_pairs(self._taint_native(lambda: native.args), "query")

    @_Kept
    def cookies(self) -> Any:
        return self._taint_pairs(super().cookies, "cookie")  # type: ignore[misc]  # As above.

    @_Kept
    def headers(self) -> Any:
        request: Any = self
        headers = _labelled_headers()(request.environ)
        headers._collection = self._taint
        return headers

    @_Kept
    def full_path(self) -> Any:
        native: Any = super()
        return self._taint_together(self._taint_native(lambda: native.full_path))

    @_Kept
    def url(self) -> Any:
        native: Any = super()
        return self._taint_together(self._taint_native(lambda: native.url))

    @property
    def query_string(self) -> Any:
        text = vars(self)["query_string"]
        return text if not text or self._taint_reads else self._taint.together(text, "query", self.args)

    @query_string.setter
    def query_string(self, text: bytes) -> None:
        vars(self)["query_string"] = text

    def _load_form_data(self) -> None:
        if "form" not in vars(self):
            super()._load_form_data()  # type: ignore[misc]  # As above.
            _label_form(self)

    def get_data(self, *args: Any, **kwargs: Any) -> Any:
        data = super().get_data(*args, **kwargs)  # type: ignore[misc]  # As above.
        return data if self._taint_reads else self._taint.body(data, getattr(self, "mimetype", None))

    def get_json(self, *args: Any, **kwargs: Any) -> Any:
        native: Any = super()
        return self._taint_native(lambda: native.get_json(*args, **kwargs))

    def on_json_loading_failed(self, e: ValueError | None) -> Any:
        self._taint_reads = False
        return super().on_json_loading_failed(e)  # type: ignore[misc]  # As above.

    @property
    def json_module(self) -> Any:
        return _Loading(super().json_module, self._taint)  # type: ignore[misc]  # As above.


@functools.cache
def _labelling(kind: Any) -> Any:
    """Give a class of requests whose fields are labelled."""
    about = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
    return type(kind.__name__, (_LabelledRequest, kind), about)


@functools.cache
def _labelled_headers() -> Any:
    from werkzeug.datastructures import EnvironHeaders

    return type("EnvironHeaders", (_LabelledHeaders, EnvironHeaders), {"__module__": EnvironHeaders.__module__})


class _Loading:
    """The module that a request reads JSON with. Labels: on the leaves of what it loads."""

    def __init__(self, native: Any, collection: Collection) -> None:
        self._native, self._collection = native, collection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)

    def loads(self, data: Any, **kwargs: Any) -> Any:
        return self._collection.document(self._native.loads(data, **kwargs))
