"""WSGI: a middleware that labels the body of a request by its envelope, and answers with one.

    app.wsgi_app = EnvelopeMiddleware(app.wsgi_app)         # Flask; any other: EnvelopeMiddleware(application)

Put it inside what compresses responses: an envelope is of the body that the application has made.

Labels: on the bytes that `wsgi.input` gives. Frameworks that copy them by C code read them from the environ:
`taint.envelopes.asgi.labelled_body`. A response is labelled where its body is one piece, to a client whose own
envelope was verified.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import Any

from taint.carriers.operations import coverage_of
from taint.carriers.proxy import exact
from taint.envelopes.asgi import MAX_BODY_BYTES, answering, keep_body
from taint.envelopes.carrying import arrived, claimed, report_problem
from taint.envelopes.envelope import Problem, open_envelope
from taint.envelopes.http import HEADER, REQUEST, answer
from taint.losses import count_loss
from taint.modes import is_off

__all__ = ["EnvelopeMiddleware"]

_NAME = f"HTTP_{HEADER.upper().replace('-', '_')}"

Application = Callable[..., Iterable[bytes]]


class EnvelopeMiddleware:
    """Labels bodies of requests by their envelopes, and sends those of responses.

    Args:
        app: The application.
        is_required: A request with a body and without an envelope is a gap.
        max_body_bytes: A larger body is passed on as it is, which is a gap: what reads it by `labelled_body` has
            the labels of an envelope that is not verified on all of it.
    """

    def __init__(self, app: Application, *, is_required: bool = False, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self.app = app
        self._is_required = is_required
        self._max_body_bytes = max_body_bytes

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Handle a request."""
        envelope = environ.get(_NAME)
        if is_off() or (envelope is None and not self._is_required):
            return self.app(environ, start_response)
        is_known = self._read(environ, envelope)
        response = _Response(start_response, is_known=is_known)
        with answering():
            pieces = self.app(environ, response.start)
        return response.sent(pieces)

    def _read(self, environ: dict[str, Any], envelope: str | None) -> bool:
        """Have the body labelled; tell whether the envelope is verified."""
        length = environ.get("CONTENT_LENGTH") or "0"
        is_chunked = "wsgi.input_terminated" in environ and not environ.get("CONTENT_LENGTH")
        if not is_chunked and (not length.isdecimal() or int(length) > self._max_body_bytes):
            return self._pass_on(environ, envelope)
        read = environ["wsgi.input"].read
        body: bytes = read(self._max_body_bytes + 1) if is_chunked else read(int(length)) if int(length) else b""
        if len(body) > self._max_body_bytes:
            environ["wsgi.input"] = _Joined(body, environ["wsgi.input"])
            return self._pass_on(environ, envelope)
        is_known = open_envelope(envelope, body, context=REQUEST).problem is None
        is_required = self._is_required and bool(body)
        body = arrived(body, envelope, channel="http", context=REQUEST, is_required=is_required)
        keep_body(environ, body)
        environ["wsgi.input"] = _Labelled(body)
        environ["wsgi.input_terminated"] = True
        return is_known

    def _pass_on(self, environ: dict[str, Any], envelope: str | None) -> bool:
        labels = claimed(envelope)
        keep_body(environ, labels)
        report_problem(Problem.TOO_LARGE, "http", labels)
        return False


class _Labelled(BytesIO):
    """A body that is read with its labels."""

    def __init__(self, body: bytes) -> None:
        super().__init__(exact(body))
        self._body = body

    def read(self, size: int | None = -1, /) -> bytes:
        begin = self.tell()
        super().read(size)
        return self._body[begin : self.tell()]

    read1 = read

    def readline(self, size: int | None = -1, /) -> bytes:
        begin = self.tell()
        super().readline(size)
        return self._body[begin : self.tell()]

    def __next__(self) -> bytes:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def readlines(self, hint: int | None = -1, /) -> list[bytes]:
        begin = self.tell()
        places = [begin, *itertools.accumulate(map(len, super().readlines(hint)), initial=begin)][1:]
        return [self._body[start:stop] for start, stop in itertools.pairwise(places)]

    def getvalue(self) -> bytes:
        return self._body


class _Joined:
    """What was read of a stream, and the rest of it."""

    def __init__(self, begin: bytes, rest: Any) -> None:
        self._begin, self._rest = BytesIO(begin), rest

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            return self._begin.read() + bytes(self._rest.read())
        data = self._begin.read(size)
        return data + self._rest.read(size - len(data)) if len(data) < size else data

    def readline(self, size: int = -1) -> bytes:
        line = self._begin.readline(size)
        is_whole = line.endswith(b"\n") or (0 <= size <= len(line))
        return line if is_whole else line + self._rest.readline(size - len(line) if size >= 0 else -1)

    def readlines(self, _hint: int = -1) -> list[bytes]:
        return list(self)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")


class _Response:
    """One response, which is started once it is known whether there is anything to add."""

    def __init__(self, start_response: Callable[..., Any], *, is_known: bool) -> None:
        self._start_response, self._is_known = start_response, is_known
        self._started: tuple[Any, ...] | None = None

    def start(self, status: str, headers: list[tuple[str, str]], *rest: Any) -> Callable[[bytes], Any]:
        headers = [pair for pair in headers if pair[0].lower() != HEADER.lower()]
        if rest and rest[0] is not None:
            self._started = None
            write: Callable[[bytes], Any] = self._start_response(status, headers, *rest)
            return write
        self._started = (status, headers)
        return self._write

    def _write(self, data: bytes) -> None:
        """Write at once, as applications older than PEP 333 do: nothing can be added to what is sent so."""
        if self._started is not None:
            status, headers = self._started
            self._started = None
            self._old_write = self._start_response(status, headers)
        if coverage_of(data):
            count_loss("http response sent in pieces")
        self._old_write(exact(data))

    def _begin(self, envelope: str | None = None) -> None:
        if self._started is not None:
            status, headers = self._started
            self._started = None
            self._start_response(status, [*headers, *([] if envelope is None else [(HEADER, envelope)])])

    def sent(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Give the pieces of the body, and close them."""
        try:
            rest = iter(pieces)
            held = list(itertools.islice(rest, 1))
            if held and coverage_of(held[0]) and self._is_known:
                held += itertools.islice(rest, 1)
                if len(held) == 1:
                    self._begin(answer(held[0]))
                else:
                    count_loss("http response sent in pieces")
            self._begin()
            yield from (exact(piece) for piece in itertools.chain(held, rest))
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()
