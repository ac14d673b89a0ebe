"""A real server on loopback, and what every HTTP client is held to: what reaches it, and what does not."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from opentelemetry import context

import taint
from taint.carriers.proxy import carry
from taint.testing import record

PHONE = "+14155550100"
REDACTED = "[redacted]"


def security() -> str:
    """Give a number that was collected for security."""
    return taint.label(PHONE, purpose="security.mfa", source="shop.enrol")


def advertising() -> str:
    """Give a number that was collected for advertising: the safe twin."""
    return taint.label(PHONE, purpose="advertising", source="shop.newsletter")


def plain() -> str:
    """Give the same number without a label."""
    return PHONE


@dataclass
class Received:
    """One request, as it came off the wire."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """Give a header's value."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    @property
    def wire(self) -> tuple[object, ...]:
        """Give all that was sent, without what differs from request to request."""
        boundary = self.header("content-type").partition("boundary=")[2].strip('"').encode()
        headers = [(name, value.partition("boundary=")[0]) for name, value in self.headers if name.lower() != "host"]
        return self.method, self.path, headers, self.body.replace(boundary, b"BOUNDARY") if boundary else self.body


@dataclass
class Outside:
    """A server that keeps what it gets; `/to?url=` redirects with the status 307, which repeats the body."""

    url: str = ""
    received: list[Received] = field(default_factory=list)


@contextlib.contextmanager
def running_outside() -> Iterator[Outside]:
    """Run a server while the block runs."""
    outside = Outside()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = b""
            if self.headers.get("transfer-encoding") == "chunked":
                try:
                    while size := int(self.rfile.readline() or b"0", 16):
                        body += self.rfile.read(size)
                        self.rfile.readline()
                except ValueError:
                    pass  # The client broke off.
            else:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
            outside.received.append(Received(self.command, self.path, list(self.headers.items()), body))
            target = parse_qs(urlsplit(self.path).query).get("url", [""])[0] if self.path.startswith("/to?") else ""
            self.send_response(307 if target else 200)
            if target:
                self.send_header("location", target)
            self.send_header("content-length", "0")
            self.end_headers()

        do_GET = do_POST = do_PUT = answer  # noqa: N815  # As the standard library looks for them.

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Print nothing where a client broke off."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    outside.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield outside
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@pytest.fixture
def outside() -> Iterator[Outside]:
    """A running server."""
    with running_outside() as running:
        yield running


def declare(at: str, *, mode: str = "block", **more: Any) -> None:
    """Put a policy in force in which an address is a sink for advertising."""
    sinks = {"ads.api": {"purpose": "advertising.audiences", "at": {"http": [at]}}}
    taint.configure(policy={"sinks": sinks, **more}, mode=mode)


Case = tuple[str, Callable[[Any], dict[str, Any]], str]

CASES: list[Case] = [
    ("query in the address", lambda phone: {"path": "/v1?email=" + phone + "&n=1"}, "query.email"),
    ("path", lambda phone: {"path": "/users/" + phone + "/ads"}, "path"),
    ("params", lambda phone: {"params": {"email": phone, "n": "1"}}, "query.email"),
    ("several params of a name", lambda phone: {"params": {"email": ["x", phone]}}, "query.email"),
    ("header", lambda phone: {"headers": {"X-User": phone}}, "headers.x-user"),
    ("cookie", lambda phone: {"cookies": {"session": phone}}, "cookies.session"),
    ("json", lambda phone: {"json": {"rows": [{}, {}, {}, {"phone": phone}]}}, "json.rows[3].phone"),
    ("json of a text", lambda phone: {"json": phone}, "json"),
    ("form", lambda phone: {"data": {"phone": phone, "n": "1"}}, "data.phone"),
]


class Client(ABC):
    """What every client is held to. A subclass sends by its library."""

    raw_body = "data"

    @abstractmethod
    def send(self, url: str, **given: Any) -> None:
        """Send a POST and follow redirects."""

    @abstractmethod
    def send_pieces(self, url: str, pieces: list[bytes], **given: Any) -> None:
        """Send a body that is made as it is sent."""

    def post(self, outside: Outside, given: dict[str, Any]) -> None:
        """Send what a case gives."""
        given = dict(given)
        self.send(outside.url + given.pop("path", "/v1"), **given)

    @pytest.mark.parametrize(("make", "path"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
    def test_nothing_is_sent(self, outside: Outside, make: Callable[[Any], dict[str, Any]], path: str) -> None:
        """In mode `block` a request with data that the sink may not have is not sent, and the path names the part."""
        declare(f"{outside.url}/*")
        with pytest.raises(taint.PurposeViolationError) as stopped:
            self.post(outside, make(security()))
        assert outside.received == []
        violation = stopped.value.violation
        assert (violation.sink, violation.purpose) == ("ads.api", "advertising.audiences")
        assert violation.path == path
        assert violation.call_site is not None
        assert violation.call_site.file.startswith(__file__.rpartition("/")[0])

    @pytest.mark.parametrize(("make", "path"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
    def test_what_is_sent(self, outside: Outside, make: Callable[[Any], dict[str, Any]], path: str) -> None:
        """The safe twin arrives byte for byte as a plain value does, unfound; in `report` all does, and is told."""
        self.post(outside, make(plain()))
        declare(f"{outside.url}/*")
        with record() as seen:
            self.post(outside, make(advertising()))
            assert (seen.violations, seen.gaps) == ([], [])
            assert len(seen.flows) == 1
            declare(f"{outside.url}/*", mode="report")
            self.post(outside, make(security()))
            assert [flow.path for flow in seen.violations] == [path]
        assert outside.received[0].wire == outside.received[1].wire == outside.received[2].wire

    @pytest.mark.parametrize("make", [case[1] for case in CASES], ids=[case[0] for case in CASES])
    def test_redact(self, outside: Outside, make: Callable[[Any], dict[str, Any]]) -> None:
        """In mode `redact` what arrives is what a plain request with the stand-in would be, its length too."""
        with record(mode="redact") as seen:
            declare(f"{outside.url}/*", mode="redact")
            self.post(outside, make(security()))
            declare("http://elsewhere.example/*", mode="redact")
            self.post(outside, make(REDACTED))
        assert len(seen.violations) == 1
        got, wanted = outside.received
        assert PHONE not in got.path
        assert PHONE.encode() not in got.body
        assert (got.path.replace("[", "%5B").replace("]", "%5D"), got.body) == (
            wanted.path.replace("[", "%5B").replace("]", "%5D"),
            wanted.body,
        )
        assert sorted(map(str, got.headers)) == sorted(map(str, wanted.headers))

    def test_other_hosts_are_no_sinks(self, outside: Outside) -> None:
        """An address that nobody declared is no sink: the request goes, and nothing is said."""
        declare("https://api.ads.example/*")
        with record() as seen:
            self.send(f"{outside.url}/v1", json={"phone": security()})
        assert json.loads(outside.received[0].body) == {"phone": PHONE}
        assert seen.flows == []

    def test_every_host(self, outside: Outside) -> None:
        """The pattern `*` is every address that nothing more specific is declared for."""
        addresses = {
            "any": {"purpose": "advertising", "at": {"http": ["*"]}},
            "own": {"purpose": "security.mfa", "at": {"http": [f"{outside.url}/mfa/*"]}},
        }
        taint.configure(policy={"sinks": addresses})
        self.send(f"{outside.url}/mfa/check", json={"phone": security()})
        with pytest.raises(taint.PurposeViolationError, match="'any'"):
            self.send(f"{outside.url}/other", json={"phone": security()})
        assert [one.path for one in outside.received] == ["/mfa/check"]

    def test_sinks_own_mode(self, outside: Outside) -> None:
        """A sink's own mode holds against that of the process."""
        addresses = {"a": {"purpose": "advertising", "mode": "report", "at": {"http": [f"{outside.url}/*"]}}}
        taint.configure(policy={"sinks": addresses}, mode="block")
        with record() as seen:
            self.send(f"{outside.url}/v1", json={"phone": security()})
        assert len(seen.violations) == len(outside.received) == 1

    @pytest.mark.parametrize("given", [security, advertising])
    def test_redirect_is_checked_again(self, outside: Outside, given: Callable[[], str]) -> None:
        """A redirect from a host that is no sink to one that is carries the body there only where it may go."""
        with running_outside() as ads:
            declare(f"{ads.url}/*")
            way = f"{outside.url}/to?url={ads.url}/v1"
            if given is advertising:
                self.send(way, json={"phone": given()})
                assert json.loads(ads.received[0].body) == {"phone": PHONE}
            else:
                with pytest.raises(taint.PurposeViolationError) as stopped:
                    self.send(way, json={"phone": given()})
                assert stopped.value.violation.path == "json.phone"
                assert ads.received == []
            assert len(outside.received) == 1

    def test_redirect_is_redacted(self, outside: Outside) -> None:
        """In mode `redact` the redirected body is redacted for the host that may not have it, and for no other."""
        with running_outside() as ads:
            declare(f"{ads.url}/*", mode="redact")
            self.send(f"{outside.url}/to?url={ads.url}/v1", json={"phone": security()})
            assert json.loads(outside.received[0].body) == {"phone": PHONE}
            assert json.loads(ads.received[0].body) == {"phone": REDACTED}

    def test_pieces(self, outside: Outside) -> None:
        """A body that is made as it is sent is stopped at the piece that may not go, which never arrives."""
        declare(f"{outside.url}/*")
        self.send_pieces(f"{outside.url}/v1", [b"one,", advertising().encode(), b",two"])
        assert outside.received[0].body == b"one," + PHONE.encode() + b",two"
        with pytest.raises(taint.PurposeViolationError) as stopped:
            self.send_pieces(f"{outside.url}/v1", [b"one,", security().encode(), b",two"])
        assert stopped.value.violation.path == "content[1]"
        assert all(PHONE.encode() not in one.body for one in outside.received[1:])

    def test_pieces_are_redacted(self, outside: Outside) -> None:
        """In mode `redact` a piece is replaced; where the length was promised, it is stopped instead."""
        declare(f"{outside.url}/*", mode="redact")
        self.send_pieces(f"{outside.url}/v1", [b"one,", security().encode()])
        assert outside.received[0].body == b"one," + REDACTED.encode()
        with pytest.raises(taint.PurposeViolationError):
            self.send_pieces(f"{outside.url}/v1", [security().encode()], headers={"Content-Length": str(len(PHONE))})
        assert all(PHONE.encode() not in one.body for one in outside.received[1:])

    @pytest.mark.parametrize("given", [security, advertising])
    def test_known_value_that_is_cut(self, outside: Outside, given: Callable[[], str]) -> None:
        """An unlabelled copy that is cut between two pieces of a body is found, where known values are on."""
        taint.configure(known_values=True)
        try:
            declare(f"{outside.url}/*")
            given()
            pieces = [b"n," + PHONE[:6].encode(), PHONE[6:].encode(), b",two"]
            if given is advertising:
                self.send_pieces(f"{outside.url}/v1", pieces)
                assert outside.received[0].body == b"".join(pieces)
            else:
                with pytest.raises(taint.PurposeViolationError) as stopped:
                    self.send_pieces(f"{outside.url}/v1", pieces)
                assert (stopped.value.violation.path, stopped.value.violation.evidence) == ("content[1]", "content")
                assert all(PHONE.encode() not in one.body for one in outside.received)
        finally:
            taint.configure(known_values=False)

    @pytest.mark.parametrize("given", [security, advertising])
    def test_known_values(self, outside: Outside, given: Callable[[], str]) -> None:
        """An unlabelled copy in a body, an address or a header is found, where known values are on."""
        taint.configure(known_values=True)
        try:
            declare(f"{outside.url}/*", mode="report")
            with record(mode="report") as seen:
                given()
                self.send(f"{outside.url}/v1?q=%2B14155550100", data=b"call " + PHONE.encode(), headers={"X-A": PHONE})
            assert len(outside.received) == 1
            found = {(flow.path.partition("[")[0], str(flow.evidence)) for flow in seen.violations}
            wanted = {(path, "content") for path in ("query.q<url>", "headers.x-a", self.raw_body)}
            assert found == (wanted if given is security else set())
        finally:
            taint.configure(known_values=False)

    def test_telemetry_is_let_through(self, outside: Outside) -> None:
        """What an exporter sends is not checked: its own signals would never end."""
        declare("*")
        token = context.attach(context.set_value(context._SUPPRESS_INSTRUMENTATION_KEY, value=True))
        try:
            self.send(f"{outside.url}/v1/traces", json={"phone": security()})
        finally:
            context.detach(token)
        assert len(outside.received) == 1

    def test_off(self, outside: Outside) -> None:
        """In mode `off` nothing is checked."""
        declare(f"{outside.url}/*", mode="off")
        self.send(f"{outside.url}/v1", json={"phone": carry(PHONE, taint.labels_of(security()))})
        assert len(outside.received) == 1
