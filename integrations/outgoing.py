"""What HTTP clients share: a request taken apart into the parts that findings name, and put together again.

Each part has a name of its own: `path`, `query.email`, `headers.x-user`, `cookies.id`, `json.rows[3].phone`,
`data.phone`, `files[0]`, `content`. A part that is redacted is put back where it came from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from taint.carriers.proxy import is_carrier
from taint.carriers.text import join_pieces
from taint.errors import PurposeViolationError
from taint.evidence import current_known_values
from taint.flows.leaving import has_sinks, let_go_guarded, tell_unread
from taint.guard import report_internal_error
from taint.policy import Address

__all__ = [
    "BODY",
    "Given",
    "Message",
    "Sender",
    "add_sender",
    "checked",
    "gathered",
    "has_senders",
    "is_wanted",
    "named",
    "send",
    "with_cookies",
]

BODY = ("content", "data", "files", "json")
"""The arguments of a body, as httpx and requests have them."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_DIGEST = re.compile(r"[0-9a-fA-F]{16,}")
_AUTOMATIC = frozenset(
    (
        *("host", "accept", "accept-encoding", "connection", "user-agent", "content-length", "content-type"),
        *("transfer-encoding", "cookie", "expect", "te", "traceparent", "tracestate"),
    )
)
"""Headers that clients set by themselves; they are looked at where they carry labels."""


@dataclass(slots=True)
class Message:
    """A request that is about to be sent, to those who add something to it.

    Args:
        method: Its method.
        url: Where it goes.
        headers: They may be changed.
        parts: What it was made of, by the names that findings have.
        body: Its bytes, where they are known by now.
    """

    method: str
    url: str
    headers: MutableMapping[str, str]
    parts: Sequence[tuple[str, Any]]
    body: bytes | None


Sender = Callable[[Message], None]

_senders: tuple[Sender, ...] = ()


def add_sender(sender: Sender) -> None:
    """Have every request shown right before it is sent, after it was checked; one that fails is reported."""
    global _senders  # noqa: PLW0603  # Replaced as a whole, so that a reader in another thread sees one or the other.
    _senders = (*_senders, sender)


def is_wanted() -> bool:
    """Tell whether anything is done with requests at all."""
    return bool(_senders) or has_sinks("http")


def has_senders() -> bool:
    """Tell whether anything is added to requests."""
    return bool(_senders)


def send(make: Callable[[], Message]) -> None:
    """Show a request to those who add something to it; nothing is made where there are none."""
    if _senders:
        try:
            message = make()
            for sender in _senders:
                sender(message)
        except Exception as error:  # noqa: BLE001  # What is added is the library's; the request is the program's.
            report_internal_error("adding to a request", error)


def named(root: str, name: object) -> str:
    """Give the name of a part; a name that may itself be data is not shown."""
    if type(name) is bytes:
        name = name.decode("latin-1")
    if type(name) is str and _NAME.fullmatch(name) and not _DIGEST.fullmatch(name):
        return f"{root}.{name}"
    return f"{root}[*]"


@dataclass(slots=True)
class Given:
    """What a program gave for a request, before a client made bytes of it.

    Args:
        url: As text, with the query that stands in it.
        query: Parameters that are added to it.
        headers: Names and values.
        cookies: Names and values of those that go along.
        body: The arguments of the body, by name.
    """

    url: str = ""
    query: Any = None
    headers: Sequence[tuple[Any, Any]] = ()
    cookies: Sequence[tuple[Any, Any]] = ()
    body: Mapping[str, Any] = field(default_factory=dict)

    def parts(self) -> list[tuple[str, Any]]:
        """Take it apart."""
        return [
            *_url_parts(self.url),
            *_query_parts(self.query),
            *(
                (named("headers", _lower(name)), value)
                for name, value in self.headers
                if is_carrier(value) or _lower(name) not in _AUTOMATIC
            ),
            *((named("headers", ""), name) for name, _ in self.headers if is_carrier(name)),
            *((named("cookies", name), value) for name, value in self.cookies),
            *self.body.items(),
        ]

    def with_parts(self, values: Sequence[Any]) -> Given:
        """Put it together again, of parts in the order in which they were taken."""
        rest = iter(values)
        url = _with_url(self.url, rest)
        query = _with_query(self.query, rest)
        headers = [
            (name, next(rest) if is_carrier(value) or _lower(name) not in _AUTOMATIC else value)
            for name, value in self.headers
        ]
        named_again = [next(rest) if is_carrier(name) else name for name, _ in self.headers]
        return Given(
            url,
            query,
            [(name, value) for name, (_, value) in zip(named_again, headers, strict=True)],
            [(name, next(rest)) for name, _ in self.cookies],
            {name: next(rest) for name in self.body},
        )


def _lower(name: Any) -> str:
    return (name.decode("latin-1") if isinstance(name, bytes) else str(name)).lower()


def _url_pieces(url: str) -> list[tuple[str, str]]:
    """Cut an address into pieces that joined are the address, each with the name of its part; marks have none."""
    begin = url.find("://") + 3 if "://" in url else 0
    path = min((at for at in (url.find(mark, begin) for mark in "/?#") if at >= 0), default=len(url))
    fragment = url.find("#", path)
    end = len(url) if fragment < 0 else fragment
    query = url.find("?", path, end)
    pieces = [("host", url[:path]), ("path", url[path : end if query < 0 else query])]
    if query >= 0:
        pieces.append(("", "?"))
        for index, pair in enumerate(url[query + 1 : end].split("&")):
            if index:
                pieces.append(("", "&"))
            name, sign, value = pair.partition("=")
            pieces += [("query[*]", name), ("", sign), (named("query", name), value)]
    return pieces


def _is_part(root: str, piece: str) -> bool:
    return is_carrier(piece) or (root not in {"", "host"} and current_known_values() is not None)


def _url_parts(url: str) -> list[tuple[str, str]]:
    if not is_carrier(url) and current_known_values() is None:
        return []
    return [(root, piece) for root, piece in _url_pieces(url) if _is_part(root, piece)]


def _with_url(url: str, rest: Any) -> str:
    if not _url_parts(url):
        return url
    return join_pieces([next(rest) if _is_part(root, piece) else piece for root, piece in _url_pieces(url)])


def _pairs(query: Any) -> list[tuple[Any, Any]] | None:
    """Give names and values of parameters; None where they are one text."""
    if query is None or isinstance(query, str | bytes):
        return None
    items = getattr(query, "multi_items", None) or getattr(query, "items", None)
    pairs: list[tuple[Any, Any]] = []
    for name, value in items() if items is not None else query:
        pairs += ((name, one) for one in value) if isinstance(value, list | tuple) else ((name, value),)
    return pairs


def _query_parts(query: Any) -> list[tuple[str, Any]]:
    pairs = _pairs(query)
    if pairs is None:
        return [("query", query)] if query is not None else []
    return [
        *((named("query", name), value) for name, value in pairs),
        *(("query[*]", name) for name, _ in pairs if is_carrier(name)),
    ]


def _with_query(query: Any, rest: Any) -> Any:
    pairs = _pairs(query)
    if pairs is None:
        return next(rest) if query is not None else None
    values = [next(rest) for _ in pairs]
    names = [next(rest) if is_carrier(name) else name for name, _ in pairs]
    return list(zip(names, values, strict=True))


def with_cookies(header: str, cookies: Sequence[tuple[str, Any]]) -> str:
    """Give a `Cookie` header in which the cookies that are named have these values."""
    values = {str(name): str(value) for name, value in cookies}
    pairs = [pair.partition("=") for pair in header.split("; ")]
    return "; ".join(f"{name}{sign}{values.get(name, value)}" for name, sign, value in pairs)


def gathered(sink: Address | None, make: Callable[[], Given]) -> Given:
    """Gather what a request is made of; where that fails, nothing is known of it, which is said.

    Raises:
        PurposeViolationError: It failed, and the mode at the sink is `block`.
    """
    try:
        return make()
    except Exception as error:  # noqa: BLE001  # As in `checked`.
        report_internal_error("looking at a request", error)
        if sink is not None:
            tell_unread(sink, "request", is_failure=True)
        return Given()


def checked(sink: Address, given: Given) -> Given | None:
    """Check a request before it is sent.

    Labels: read; in mode `redact` those that may not go are gone from what is given back.

    Args:
        sink: Where it goes.
        given: What it was made of.

    Returns:
        What the request is to be made of anew; None where it may go as it is.

    Raises:
        PurposeViolationError: Something in it may not go, and the mode is `block`.
    """
    __tracebackhide__ = True  # As in `carry_out`.
    try:
        parts = given.parts()
        values = let_go_guarded(sink, parts)
        if all(value is part for value, (_, part) in zip(values, parts, strict=True)):
            return None
        return given.with_parts(values)
    except PurposeViolationError:
        raise
    except Exception as error:  # noqa: BLE001  # What the library cannot do must neither break a request nor go unsaid.
        report_internal_error("checking a request", error)
        tell_unread(sink, "request", is_failure=True)
        return None
