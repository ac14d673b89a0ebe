"""An ASGI server without a network: it drives an application in this process, on the loop of whoever asks."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Answer", "call", "converse", "get", "multipart", "post"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What an application answered."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def json(self) -> Any:
        """Read the body."""
        return json.loads(self.body)


def scope_of(method: str, url: str, headers: Mapping[str, str] | None = None, *, kind: str = "http") -> dict[str, Any]:
    """Give the scope of a request."""
    path, _, query = url.partition("?")
    return {
        "type": kind,
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http" if kind == "http" else "ws",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
        "subprotocols": [],
    }


async def call(
    app: Any, method: str, url: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None, pieces: int = 1
) -> Answer:
    """Send one request; its body in several pieces where that is asked for."""
    size = -(-len(body) // pieces) or 1
    messages = [
        {"type": "http.request", "body": body[start : start + size], "more_body": start + size < len(body)}
        for start in range(0, max(len(body), 1), size)
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.sleep(0)
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        await asyncio.sleep(0)
        sent.append(message)

    await app(scope_of(method, url, {"host": "shop.example", **(headers or {})}), receive, send)
    start = next(message for message in sent if message["type"] == "http.response.start")
    parts = [message.get("body", b"") for message in sent if message["type"] == "http.response.body"]
    return Answer(start["status"], tuple(map(tuple, start["headers"])), b"".join(parts))


def get(app: Any, url: str, **kwargs: Any) -> Answer:
    """Send one GET request, on a loop of its own."""
    return asyncio.run(call(app, "GET", url, **kwargs))


def post(app: Any, url: str, given: Any = None, *, kind: str = "application/json", **kwargs: Any) -> Answer:
    """Send one POST request, on a loop of its own: `given` as JSON, or as it is where it is bytes."""
    body = given if isinstance(given, bytes) else json.dumps(given).encode()
    headers = {"content-type": kind, **kwargs.pop("headers", {})}
    return asyncio.run(call(app, "POST", url, body=body, headers=headers, **kwargs))


def multipart(fields: Mapping[str, str], files: Mapping[str, tuple[str, bytes]]) -> tuple[bytes, str]:
    """Give a form with files, and its content type."""
    mark = uuid.uuid4().hex
    parts = [
        f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}'.encode()
        for name, text in fields.items()
    ]
    parts += [
        f'--{mark}\r\nContent-Disposition: form-data; name="{name}"; filename="{file}"\r\n\r\n'.encode() + data
        for name, (file, data) in files.items()
    ]
    return b"\r\n".join([*parts, f"--{mark}--\r\n".encode()]), f"multipart/form-data; boundary={mark}"


async def converse(app: Any, url: str, messages: Iterable[str | bytes], **kwargs: Any) -> list[str | bytes]:
    """Open a WebSocket, send messages, and give what came back."""
    given: list[Any] = [{"type": "websocket.connect"}]
    given += [{"type": "websocket.receive", "text" if isinstance(one, str) else "bytes": one} for one in messages]
    got: list[Any] = []

    async def receive() -> Any:
        return given.pop(0) if given else {"type": "websocket.disconnect", "code": 1000}

    async def send(message: Any) -> None:
        if message["type"] == "websocket.send":
            got.append(message.get("text") or message.get("bytes"))

    await app(scope_of("GET", url, kwargs.get("headers"), kind="websocket"), receive, send)
    return got
