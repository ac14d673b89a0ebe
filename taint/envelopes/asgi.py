"""ASGI: a middleware that labels the body of a request by its envelope, and answers with one.

    app.add_middleware(EnvelopeMiddleware)          # Starlette, FastAPI; any other: EnvelopeMiddleware(app)

Put it inside what compresses responses: an envelope is of the body that the application has made.

Labels: on the bytes that `receive` gives. Frameworks that join them by C code read them from the scope, by
`labelled_body`. A response is labelled where its body is sent in one piece, to a client whose own envelope was
verified.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from taint.carriers.coverage import flat
from taint.carriers.operations import coverage_of
from taint.carriers.proxy import carry, exact
from taint.envelopes.carrying import arrived, claimed, report_problem
from taint.envelopes.envelope import Problem, open_envelope
from taint.envelopes.http import HEADER, REQUEST, answer
from taint.envelopes.pointers import field_labels
from taint.labels import NO_LABELS, Labels
from taint.losses import count_loss
from taint.modes import is_off

__all__ = [
    "MAX_BODY_BYTES",
    "EnvelopeMiddleware",
    "answering",
    "is_answering",
    "keep_body",
    "kept_body",
    "labelled_body",
    "labels_of_fields",
]

MAX_BODY_BYTES = 16 << 20
"""The largest body that is held back until its envelope is verified."""

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_NAME = HEADER.lower().encode()
_KEY = "taint.body"


_answering: ContextVar[bool] = ContextVar("taint_answering", default=False)


def is_answering() -> bool:
    """Tell whether a response is being made that a middleware will see: servers refuse any but exact bytes."""
    return _answering.get()


@contextmanager
def answering() -> Iterator[None]:
    """Let frameworks make labelled responses: a middleware here sees them."""
    token = _answering.set(True)
    try:
        yield
    finally:
        _answering.reset(token)


def labelled_body(scope: MutableMapping[str, Any], body: bytes) -> bytes:
    """Give the body of a request with the labels of its envelope, where the middleware has read one.

    Args:
        scope: Of the request; of WSGI its environ.
        body: As the framework has it.
    """
    known = scope.get(_KEY)
    if isinstance(known, Labels):
        return carry(body, known)  # type: ignore[no-any-return]  # As it came.
    return known if known is not None and known == body else body


def labels_of_fields(scope: MutableMapping[str, Any]) -> Callable[[str], Labels] | None:
    """Give what tells the labels of a form's field by its name; None where the body of the request has none.

    Labels: of a field, where the envelope names it in a form of `name=value`; else those of all of the body, since
    where a field begins and ends is the framework's to know.

    Args:
        scope: As for `labelled_body`.
    """
    known = scope.get(_KEY)
    coverage = known if isinstance(known, Labels) else coverage_of(known)
    if not coverage:
        return None
    whole = flat(coverage)
    named = {} if isinstance(known, Labels) else field_labels(exact(known).decode("latin-1"), coverage)
    return lambda name: named.get(name, whole)


def kept_body(scope: MutableMapping[str, Any]) -> bytes | Labels | None:
    """Give what `keep_body` was told of a request; None where no envelope came with it."""
    return scope.get(_KEY)


def keep_body(scope: MutableMapping[str, Any], body: bytes | Labels) -> None:
    """Remember the body of a request for `labelled_body`; or, of one that is not held back, the labels of all of it."""
    scope[_KEY] = body


class EnvelopeMiddleware:
    """Labels bodies of requests by their envelopes, and sends those of responses.

    Args:
        app: The application.
        is_required: A request with a body and without an envelope is a gap.
        max_body_bytes: A larger body is passed on as it comes, which is a gap: all of it has the labels of an
            envelope that is not verified.
    """

    def __init__(self, app: App, *, is_required: bool = False, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self.app = app
        self._is_required = is_required
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] == "http" and not is_off():
            found = [value for name, value in scope["headers"] if name == _NAME]
            if found or self._is_required:
                exchange = _Exchange(self, scope, receive, send, found[0] if len(found) == 1 else b"".join(found))
                with answering():
                    await self.app(scope, exchange.receive, exchange.send)
                return
        await self.app(scope, receive, send)


class _Exchange:
    """One request and its response."""

    def __init__(
        self, middleware: EnvelopeMiddleware, scope: Scope, receive: Receive, send: Send, envelope: bytes
    ) -> None:
        self._limit, self._is_required = middleware._max_body_bytes, middleware._is_required  # noqa: SLF001  # Its own.
        self._scope, self._receive, self._send, self._envelope = scope, receive, send, envelope
        self._waiting: list[Message] = []
        self._is_read = self._is_known = False
        self._labels = NO_LABELS
        self._start: Message | None = None

    async def receive(self) -> Message:
        """Give the body of the request, labelled and in one piece; then whatever comes."""
        if not self._is_read:
            self._is_read = True
            await self._read()
        message = self._waiting.pop(0) if self._waiting else await self._receive()
        return (
            {**message, "body": carry(message["body"], self._labels)} if self._labels and "body" in message else message
        )

    async def _read(self) -> None:
        messages: list[Message] = []
        size = 0
        while True:
            message = await self._receive()
            messages.append(message)
            size += len(message.get("body", b""))
            if message["type"] != "http.request" or not message.get("more_body", False):
                break
            if size > self._limit:
                self._waiting = messages
                self._labels = claimed(self._envelope)
                keep_body(self._scope, self._labels)
                report_problem(Problem.TOO_LARGE, "http", self._labels)
                return
        if messages[-1]["type"] != "http.request":
            self._waiting = messages  # The client has gone.
            return
        body = self._labelled(b"".join(message.get("body", b"") for message in messages))
        self._waiting = [{**messages[0], "body": body, "more_body": False}]

    def _labelled(self, body: bytes) -> bytes:
        self._is_known = open_envelope(self._envelope, body, context=REQUEST).problem is None
        is_required = self._is_required and bool(body)
        body = arrived(body, self._envelope or None, channel="http", context=REQUEST, is_required=is_required)
        keep_body(self._scope, body)
        return body

    async def send(self, message: Message) -> None:
        """Send the response, with an envelope where it is labelled and in one piece."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        start, self._start = self._start, None
        body = message.get("body", b"")
        if start is not None:
            headers = [pair for pair in start.get("headers", ()) if pair[0].lower() != _NAME]
            if message["type"] == "http.response.body" and coverage_of(body) and self._is_shown():
                if message.get("more_body", False):
                    count_loss("http response sent in pieces")
                elif (envelope := answer(body)) is not None:
                    headers.append((_NAME, envelope.encode("ascii")))
            await self._send({**start, "headers": headers})
        if coverage_of(body):
            message = {**message, "body": exact(body)}
        await self._send(message)

    def _is_shown(self) -> bool:
        """Tell whether the client has shown that it has a key; a request without a body need not have been read."""
        names = {name.lower() for name, _ in self._scope["headers"]}
        if not self._is_read and not names & {b"content-length", b"transfer-encoding"}:
            self._is_read = True
            self._labelled(b"")
            self._is_read = False
        return self._is_known
