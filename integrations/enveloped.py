"""What integrations of HTTP libraries share about envelopes: sending them, and bodies that are read with their labels.

Clients and frameworks copy bodies by C code (`b"".join`, `str(..., encoding)`), which drops labels. For each there is
the least that has to be wrapped so that a body keeps them; the middlewares of `taint.envelopes` do the rest.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, closing, nullcontext
from typing import Any

from taint.carriers.operations import coverage_of
from taint.carriers.proxy import carry, exact
from taint.carriers.values import apply_labels, labels_of
from taint.envelopes.asgi import is_answering, kept_body, labelled_body, labels_of_fields
from taint.envelopes.carrying import claimed
from taint.envelopes.http import HEADER, add_to_request, is_own, read_response
from taint.flows.uploads import labelled_file
from taint.integrations.outgoing import Message, add_sender
from taint.labels import NO_LABELS, Labels
from taint.losses import count_loss
from taint.modes import is_off
from taint.propagation.json_tree import label_json_values, labelled_json
from taint.propagation.pairing import detached
from taint.propagation.patches import Patch, Standing

__all__ = [
    "aiohttp_patches",
    "answer_of",
    "django_patches",
    "flask_patches",
    "httpx_patches",
    "labelled_content",
    "requests_patches",
    "send_envelope",
    "with_envelope",
    "with_labelled_data",
    "with_labelled_form",
]

_LABELLED = "_taint_labelled"
_TEXTS = frozenset((str, bytes))
_PART = re.compile(r"(?:json|data|content|files)(?![A-Za-z0-9_])")

_JSON = re.compile(r"[/+]json\b", re.IGNORECASE)


def send_envelope(message: Message) -> None:
    """Add the envelope to a request that is about to be sent. Labels: of what its body is made of."""
    body = None
    if is_own(message.url):
        parts = {name: value for name, value in message.parts if _PART.match(name)}
        content = message.body if isinstance(message.body, bytes) else None
        headers = message.headers
        if content is None and headers.get("Content-Length", "0") == "0" and "Transfer-Encoding" not in headers:
            content = b""
        if content is not None:
            body = labelled_content(content, parts)
        elif labels_of(list(parts.values())):
            count_loss("http request sent in pieces")
    add_to_request(message.url, message.headers, body)


def labelled_content(content: bytes | str, given: dict[str, Any]) -> bytes:
    """Give the body of a message with the labels of what it was made of.

    Labels: those that it has; else of the value that JSON or a form was made of, each where it stands; else of
    all the parts of a body, on all of it.

    Args:
        content: As it was made.
        given: What the program gave: `json`, `data`, `content`, `files`.
    """
    if isinstance(content, str):
        content = content.encode()
    if coverage_of(content):
        return content
    if "json" in given and len(given) == 1:
        made = detached(given["json"], is_text=True)
        made.look_into_objects()
        labelled: bytes = labelled_json(content, made)
        return labelled
    labels = labels_of(list(given.values()))
    if labels and len(given) == 1:
        (value,) = given.values()
        if isinstance(value, Mapping | list | tuple):
            form = _form(value)
            return form if exact(form) == content else carry(content, labels)
        if isinstance(value, str | bytes) and len(value) == len(content):
            return value.encode() if isinstance(value, str) else value
    return carry(content, labels) if labels else content


def _form(fields: Any) -> bytes:
    """Write a form as clients do, with the labels of its values; nothing where it is none of `name=value`."""
    try:
        return urllib.parse.urlencode(fields, doseq=True).encode()
    except (TypeError, ValueError):
        return b""


def _labelled_response(response: Any, url: str, envelope: str | None, content: bytes) -> bytes:
    """Label the body of a response once; its client is asked for it many times."""
    if envelope is None:
        return content
    known = getattr(response, _LABELLED, None)
    if known is None:
        known = read_response(url, envelope, content)
        setattr(response, _LABELLED, known)
    return known


def _decoded(text: str, content: bytes, encoding: str | None) -> str:
    """Give the text of a body with the body's labels; as a whole where it is not simply decoded."""
    if not coverage_of(content):
        return text
    try:
        labelled = content.decode(encoding or "utf-8", "replace")
    except LookupError:
        labelled = ""
    return labelled if labelled == text else carry(text, labels_of(content))


def _labels_of_pieces(response: Any) -> Labels:
    """Give what each piece of an answer is labelled with that is not read as a whole: its envelope is of the whole."""
    envelope = response.headers.get(HEADER)
    if envelope is None or is_off() or not is_own(str(response.url)):
        return NO_LABELS
    return claimed(envelope)


def _labelled_pieces(pieces: Any, labels: Labels) -> Any:
    if not labels:
        return pieces

    def label() -> Iterator[Any]:
        with closing(pieces) if hasattr(pieces, "close") else nullcontext():
            for piece in pieces:
                yield apply_labels(piece, labels)

    async def label_async() -> AsyncIterator[Any]:
        async with aclosing(pieces):
            async for piece in pieces:
                yield apply_labels(piece, labels)

    return label_async() if hasattr(pieces, "__aiter__") else label()


def httpx_patches() -> Iterator[Patch]:
    """Give what to wrap so that responses of our own hosts are labelled: a response has no event for its body."""
    import httpx

    def label(response: Any) -> bytes:
        response._content = _labelled_response(
            response, str(response.request.url), response.headers.get(HEADER), response._content
        )
        return response._content  # type: ignore[no-any-return]  # Bytes.

    def read(wrapped: Callable[..., bytes], response: Any, args: Any, kwargs: Any) -> bytes:
        content = wrapped(*args, **kwargs)
        return label(response) if HEADER in response.headers else content

    async def aread(wrapped: Callable[..., Any], response: Any, args: Any, kwargs: Any) -> Any:
        content = await wrapped(*args, **kwargs)
        return label(response) if HEADER in response.headers else content

    def text(wrapped: Callable[..., str], response: Any, _args: Any, _kwargs: Any) -> str:
        return _decoded(wrapped(), response.content, response.encoding)

    def pieces(wrapped: Callable[..., Any], response: Any, args: Any, kwargs: Any) -> Any:
        found = wrapped(*args, **kwargs)
        if HEADER not in response.headers:
            return found
        if not hasattr(response, "_content"):
            return _labelled_pieces(found, _labels_of_pieces(response))
        # It was read, and is labelled where it is; C code decodes it.
        is_text = wrapped.__name__ not in ("iter_bytes", "aiter_bytes")
        return _labelled_pieces(found, labels_of(response._content)) if is_text else found

    for name in ("iter_bytes", "iter_text", "iter_lines"):
        yield Patch(httpx.Response, name, pieces)
        yield Patch(httpx.Response, f"a{name}", pieces)
    yield Patch(httpx.Response, "read", read)
    yield Patch(httpx.Response, "aread", aread)
    yield Patch(httpx.Response, "text", text)


def requests_patches() -> Iterator[Patch]:
    """Give what to wrap so that responses of our own hosts are labelled; its hooks come before the body is read."""
    import requests

    def content(wrapped: Callable[..., Any], response: Any, _args: Any, _kwargs: Any) -> Any:
        found = wrapped()
        envelope = response.headers.get(HEADER)
        return found if envelope is None or not found else _labelled_response(response, response.url, envelope, found)

    def text(wrapped: Callable[..., str], response: Any, _args: Any, _kwargs: Any) -> str:
        return _decoded(wrapped(), response.content or b"", response.encoding)

    def pieces(wrapped: Callable[..., Any], response: Any, args: Any, kwargs: Any) -> Any:
        return _labelled_pieces(wrapped(*args, **kwargs), _labels_of_pieces(response))

    yield Patch(requests.Response, "iter_content", pieces)  # And `iter_lines`.
    yield Patch(requests.Response, "content", content)
    yield Patch(requests.Response, "text", text)


def aiohttp_patches() -> Iterator[Patch]:
    """Give what to wrap so that responses of our own hosts are labelled: `text` and `json` go through `read`."""
    import aiohttp

    async def read(wrapped: Callable[..., Any], response: Any, args: Any, kwargs: Any) -> Any:
        content = await wrapped(*args, **kwargs)
        if HEADER in response.headers:
            content = response._body = _labelled_response(
                response, str(response.url), response.headers[HEADER], content
            )
        return content

    yield Patch(aiohttp.ClientResponse, "read", read)


async def with_envelope(read: Callable[..., Any], request: Any, *args: Any, **kwargs: Any) -> Any:
    """Read the body of a Starlette request with the labels of its envelope: Starlette joins pieces by C code."""
    request._body = content = labelled_body(request.scope, await read(*args, **kwargs))
    return content


def answer_of(content: Any, value: Any) -> Any:
    """Give the JSON document of an answer with its labels where a middleware will see it, else without.

    Args:
        content: As a framework wrote it of the plain value.
        value: With its labels.
    """
    return labelled_content(content, {"json": value}) if is_answering() else exact(content)


async def with_labelled_form(read: Callable[..., Any], request: Any, *args: Any, **kwargs: Any) -> Any:
    """Read the form of a Starlette request with the labels of its envelope: parsers of forms copy by C code."""
    was_read = request._form is not None
    form = await read(*args, **kwargs)
    labels_of_field = None if was_read else labels_of_fields(request.scope)
    if labels_of_field is None or not form:
        return form

    def label(name: str, value: Any) -> Any:
        labels = labels_of_field(name)
        if isinstance(value, str) or not labels:
            return apply_labels(value, labels)
        value.filename, value.file = apply_labels(value.filename, labels), labelled_file(value.file, labels)
        return value

    request._form = labelled = type(form)([(name, label(name, value)) for name, value in form.multi_items()])
    return labelled


def flask_patches() -> Iterator[Patch]:
    """Give what to wrap so that Flask reads a body with its labels, also where it limits its length, and its fields."""
    import werkzeug.wrappers

    def get_data(wrapped: Callable[..., Any], request: Any, args: Any, kwargs: Any) -> Any:
        data = wrapped(*args, **kwargs)
        if isinstance(data, bytes):
            return labelled_body(request.environ, data)
        return _decoded(data, labelled_body(request.environ, request._cached_data), None) if data else data

    def load_form(wrapped: Callable[..., None], request: Any, args: Any, kwargs: Any) -> None:
        own = vars(request)
        was_read = "form" in own
        wrapped(*args, **kwargs)
        labels_of_field = None if was_read or "form" not in own else labels_of_fields(request.environ)
        if labels_of_field is None:
            return
        form = own["form"].items(multi=True)
        own["form"] = type(own["form"])([(name, apply_labels(value, labels_of_field(name))) for name, value in form])
        for name, file in own["files"].items(multi=True):
            file.filename = apply_labels(file.filename, labels_of_field(name))
            file.stream = labelled_file(file.stream, labels_of_field(name))

    yield Patch(werkzeug.wrappers.Request, "get_data", get_data)
    yield Patch(werkzeug.wrappers.Request, "_load_form_data", load_form)


def _about(request: Any) -> Any:
    """Give the environ or the scope of a Django request."""
    return getattr(request, "environ", None) or getattr(request, "scope", None) or {}


def _labelled_query(query: Any, labels_of_field: Callable[[str], Labels], own: Callable[[Any], Any]) -> Any:
    labelled = query.copy()
    for name, values in query.lists():
        labelled.setlist(name, [apply_labels(own(value), labels_of_field(name)) for value in values])
    labelled._mutable = query._mutable
    return labelled


def _label_uploads(files: Any, labels_of_field: Callable[[str], Labels]) -> None:
    for name, uploads in files.lists():
        for upload in uploads:
            upload._name = apply_labels(upload.name, labels_of_field(name))
            upload.file = labelled_file(upload.file, labels_of_field(name))


def with_labelled_data(request: Any, data: Any, files: Any, media_type: str) -> Any:
    """Label what a parser of the program's made of a Django request's body: parsers copy by C code.

    Labels: of the envelope, joined to those that are there: of a form by its fields; of JSON by its leaves; of any
    other document on all of it.

    Args:
        request: Django's own.
        data: What the parser gave, forms as a `QueryDict`.
        files: What else it gave; labelled in place.
        media_type: Of the body.
    """
    labels_of_field = labels_of_fields(_about(request))
    if labels_of_field is None or data is getattr(request, "_post", None):  # Read by Django, and labelled.
        return data
    _label_uploads(files, labels_of_field)
    if hasattr(data, "setlist"):
        return _labelled_query(data, labels_of_field, lambda value: value)
    body = kept_body(_about(request))
    if isinstance(body, bytes) and _JSON.search(media_type):
        try:
            return label_json_values(data, body)
        except UnicodeDecodeError:  # It has another encoding: all of it is labelled.
            pass
    return apply_labels(data, body if isinstance(body, Labels) else labels_of(body))


def _making(native: Callable[..., bytes], concerned: Callable[..., bytes]) -> Callable[..., bytes]:
    def make(response: Any, value: Any) -> bytes:
        return native(response, value) if type(value) in _TEXTS else concerned(response, value)

    return make


def django_patches() -> Iterator[Patch]:
    """Give what to wrap so that Django's bodies and forms keep labels: it has every response made exact bytes."""
    import django.http.request
    import django.http.response

    def body(wrapped: Callable[..., bytes], request: Any, _args: Any, _kwargs: Any) -> bytes:
        return labelled_body(_about(request), wrapped())

    def load_form(wrapped: Callable[..., None], request: Any, args: Any, kwargs: Any) -> None:
        wrapped(*args, **kwargs)
        labels_of_field = labels_of_fields(_about(request))
        if labels_of_field is None or not hasattr(request, "_files"):
            return
        request._post = _labelled_query(request._post, labels_of_field, exact)
        _label_uploads(request._files, labels_of_field)

    def make_bytes(wrapped: Callable[..., bytes], _response: Any, args: Any, kwargs: Any) -> bytes:
        content = wrapped(*args, **kwargs)
        value = args[0] if args else kwargs.get("value")
        if not is_answering() or not coverage_of(value):
            return exact(content)  # type: ignore[no-any-return]  # Bytes: servers refuse any but exact ones.
        data = value if isinstance(value, bytes) else value.encode()
        return data if data == content else carry(content, labels_of(value))

    def content(wrapped: Callable[..., bytes], response: Any, _args: Any, _kwargs: Any) -> bytes:
        # It joins pieces by C code; of a response that is sent by ASGI it is what is sent.
        pieces: list[bytes] = response._container
        return pieces[0] if len(pieces) == 1 and coverage_of(pieces[0]) else wrapped()

    yield Patch(django.http.response.HttpResponseBase, "make_bytes", Standing(make_bytes, _making))
    yield Patch(django.http.response.HttpResponse, "content", content)
    yield Patch(django.http.request.HttpRequest, "body", body)
    yield Patch(django.http.request.HttpRequest, "_load_post_and_files", load_form)


add_sender(send_envelope)  # Once; it is asked by the integrations that are on, and is nothing without them.
