"""WebSockets of aiohttp: messages to a sink are checked, and those that a server receives labelled by patterns."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from taint.carriers.operations import coverage_of
from taint.carriers.proxy import exact
from taint.carriers.values import labels_of
from taint.envelopes.carrying import report_problem
from taint.envelopes.envelope import Problem
from taint.envelopes.http import is_own
from taint.flows.leaving import let_go_guarded, sink_at
from taint.flows.requests import CollectedFields, Collection
from taint.guard import report_internal_error
from taint.losses import count_loss
from taint.modes import is_off
from taint.propagation.patches import Patch

__all__ = ["socket_patches"]

_COUNT = "_taint_messages"
_COLLECTION = "_taint_collection"


def socket_patches(fields: CollectedFields, subject: Callable[[Any], object] | None) -> Iterator[Patch]:
    """Give what to wrap: every message passes by these methods, since 2.0. There are no events.

    Args:
        fields: What is collected, by patterns.
        subject: Gives whose request it is.
    """
    import aiohttp
    import aiohttp.web_ws

    client, server = aiohttp.ClientWebSocketResponse, aiohttp.web_ws.WebSocketResponse
    for name in ("send_str", "send_bytes", "send_frame"):
        if hasattr(client, name):
            yield Patch(client, name, _send)
            yield Patch(server, name, _answer)

    async def receive(wrapped: Callable[..., Any], socket: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        message = await wrapped(*args, **kwargs)
        if is_off() or not message.data or message.type.name not in {"TEXT", "BINARY"}:
            return message
        try:
            return _labelled(message, _collection(socket, fields, subject))
        except Exception as error:  # noqa: BLE001  # The program gets its message.
            report_internal_error("labelling a message", error)
            return message

    yield Patch(server, "receive", receive)


def _address(socket: Any) -> str:
    url = str(socket._response.url)
    return f"ws{url.removeprefix('http')}" if url.startswith("http") else url


async def _send(wrapped: Callable[..., Any], socket: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    __tracebackhide__ = True  # As in `carry_out`.
    name = "data" if "data" in kwargs else "message"
    data = args[0] if args else kwargs.get(name)
    if is_off() or not isinstance(data, str | bytes | bytearray | memoryview):
        return await wrapped(*args, **kwargs)
    sink = sink_at("http", _address(socket))
    safe: Any = data
    if sink is not None:
        index = vars(socket).get(_COUNT, 0)
        (safe,) = let_go_guarded(sink, ((f"messages[{index}]", data),))
        vars(socket)[_COUNT] = index + 1
    elif (labels := labels_of(data)) and is_own(_address(socket)):
        count_loss("websocket messages")
        report_problem(Problem.UNFOLLOWED, "websocket", labels)
    plain = exact(safe)
    return await (wrapped(plain, *args[1:], **kwargs) if args else wrapped(**{**kwargs, name: plain}))


async def _answer(wrapped: Callable[..., Any], _socket: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if any(coverage_of(value) for value in (*args, *kwargs.values())) and not is_off():
        count_loss("websocket messages")
    return await wrapped(*map(exact, args), **{name: exact(value) for name, value in kwargs.items()})


def _labelled(message: Any, collection: Collection | None) -> Any:
    data = message.data
    if collection is None:
        return message
    begin = data[:1] if isinstance(data, str) else data[:1].decode("latin-1")
    return message._replace(data=collection.body(data, "application/json" if begin in "{[" else None))


def _collection(socket: Any, fields: CollectedFields, subject: Callable[[Any], object] | None) -> Collection | None:
    request = socket._req
    known: dict[str, Any] = vars(socket)
    if known.get(_COLLECTION, (None,))[0] is not request:
        resource = request.match_info.route.resource
        route = fields.of("WEBSOCKET", None if resource is None else resource.canonical)
        of = None if subject is None else functools.partial(subject, request)
        known[_COLLECTION] = (request, Collection(route, of) if "body" in route.places else None)
    found: Collection | None = known[_COLLECTION][1]
    return found
