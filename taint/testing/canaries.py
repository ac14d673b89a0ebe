"""Canaries: made-up values that are looked for in everything that leaves the process during a test.

Every value is valid for its kind, unique, and from a range that is reserved, so that it is nobody's:
telephone numbers 555-0100 to 555-0199 of North America, which its numbering plan keeps for fiction, and
addresses at example.com (RFC 2606). Labelled copies in the arguments of a sink are that sink's business.
Everywhere else whatever leaves has no label any more: any copy counts, and any digest of one.

Watched: sinks; sockets of the module `socket`, TLS and asyncio too, before encryption; files that are
opened for writing or were open for it when the test began, also where they are moved or removed before
it ends; the arguments and the environment of processes.

NOT covered: what is compressed or encrypted before it leaves; pipes, and what a child process does
itself; standard output; sockets that C code opens; files that C code opens (but SQLite's).
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import os
import socket
import ssl
import sys
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Not on Windows, which has no /proc either.
    fcntl = None  # type: ignore[assignment]  # Nothing asks it there.

from taint.carriers import label
from taint.carriers.containers import children
from taint.carriers.proxy import is_carrier
from taint.flows.outcome import unwatch, watch
from taint.purposes import is_allowed, purpose_keys
from taint.testing.findings import name_matches

__all__ = ["Canaries", "watched_canaries"]

MAX_FILE_BYTES = 64 * 1024 * 1024
_TAIL = 256
"""Bytes of a stream that are kept, so that a value is found that was sent in two pieces."""
_ALGORITHMS = ("md5", "sha1", "sha256", "sha512")
_AREAS = (202, 212, 213, 305, 312, 404, 415, 503, 512, 602, 617, 702, 713, 808, 907)
"""Area codes that exist: Washington, New York, Los Angeles, Miami, Chicago and so on."""
_numbers = itertools.count(int.from_bytes(os.urandom(2), "big"))
_made: list[Canaries] = []
_SOCKET_METHODS = (
    *((socket.socket, name) for name in ("send", "sendall", "sendto", "sendmsg")),
    *((ssl.SSLSocket, name) for name in ("send", "sendall", "write")),
    (ssl.SSLObject, "write"),
)


def _forms(text: str) -> Iterator[tuple[bytes, str]]:
    """Give every form in which a copy would be recognised, and what that form is called."""
    digits = "".join(filter(str.isdigit, text))
    for form in {text, text.upper(), digits} if len(digits) > 9 else {text, text.upper()}:  # noqa: PLR2004  # A number.
        plain = form.encode()
        yield plain, "a copy"
        yield urllib.parse.quote(form, safe="").encode(), "an encoded copy"
        yield base64.b64encode(plain), "an encoded copy"
        for algorithm in _ALGORITHMS:
            digest = hashlib.new(algorithm, plain, usedforsecurity=False).digest()
            for written in (digest, digest.hex().encode(), digest.hex().upper().encode(), base64.b64encode(digest)):
                yield written, f"a {algorithm} digest"


class Canaries:
    """Makes canaries and remembers where an unlabelled copy of one was seen."""

    def __init__(self) -> None:
        self._forms: dict[bytes, tuple[str, frozenset[str], str]] = {}
        self._allowed: list[str] = []
        self._files: dict[Path, int] = {}
        self._tails: dict[str, bytes] = {}
        self.leaks: list[str] = []
        """What was found: which canary, in which form, through which outlet."""

    def phone(self, *, purpose: str | Iterable[str] = "security.mfa", **more: Any) -> str:
        """Give a labelled telephone number in E.164; other arguments are those of `taint.label`."""
        number = next(_numbers)
        text = f"+1{_AREAS[number // 100 % len(_AREAS)]}55501{number % 100:02}"
        return self.add("phone", text, purpose=purpose, **{"category": "user.contact.phone_number", **more})

    def email(self, *, purpose: str | Iterable[str] = "security.mfa", **more: Any) -> str:
        """Give a labelled email address; other arguments are those of `taint.label`."""
        text = f"canary.{next(_numbers):06x}.{os.urandom(4).hex()}@example.com"
        return self.add("email", text, purpose=purpose, **{"category": "user.contact.email", **more})

    def add(self, name: str, text: str, *, purpose: str | Iterable[str], **more: Any) -> str:
        """Make a canary of a text of one's own.

        Labels: the result has the one that `taint.label` gives.

        Args:
            name: What it is called when it is found; the text itself is never shown.
            text: Unlike anything else in the test.
            purpose: What it is collected for.
            more: As for `taint.label`.
        """
        for form, what in _forms(text):
            self._forms[form] = (name, purpose_keys(purpose), what)
        return label(text, purpose=purpose, **{"source": "canaries", **more})

    def allow(self, outlet: str) -> None:
        """Say that canaries may leave through an outlet, such as `socket 127.0.0.1:*`; `*` is any part of it."""
        self._allowed.append(outlet)

    def assert_none_left(self) -> None:
        """Assert that no unlabelled copy or digest has left the process so far.

        Raises:
            AssertionError: One has; every outlet is listed.
        """
        for path in sorted(self._files):
            self.search_file(path)
        if self.leaks:
            raise AssertionError("canaries left the process without their labels:\n  " + "\n  ".join(self.leaks))

    def search(self, outlet: str, data: bytes, *, purpose: str | None = None) -> None:
        """Look for canaries in what leaves through an outlet.

        Args:
            outlet: What the finding names.
            data: Everything that left.
            purpose: What it is used for, where that is known: a canary for that purpose is fine there.
        """
        if any(name_matches(outlet, pattern) for pattern in self._allowed):
            return
        for form, (name, purposes, what) in list(self._forms.items()):
            if form in data and (purpose is None or not is_allowed(purposes, purpose)):
                leak = f"{what} of {name!r} through {outlet}"
                if leak not in self.leaks:
                    self.leaks.append(leak)

    def search_stream(self, outlet: str, data: bytes) -> None:
        """Look for canaries in a piece of a stream, and where it joins the piece before."""
        joined = self._tails.get(outlet, b"") + data
        self._tails[outlet] = joined[-_TAIL:]
        self.search(outlet, joined)

    def search_value(self, value: object, root: str, sink: str, purpose: str) -> None:
        """Look for unlabelled copies in what a sink receives."""
        for text in _unlabelled(value):
            self.search(f"sink {sink}, argument {root}", text, purpose=purpose)

    def note_file(self, path: object, start: int = 0) -> None:
        """Have a file searched at the end, or when it is removed; from a position on that was there before."""
        if isinstance(path, str | bytes | os.PathLike):
            self._files.setdefault(Path(os.fsdecode(path)).absolute(), start)

    def search_file(self, path: Path) -> None:
        """Look for canaries in what a file holds now, where it is one that was noted."""
        start = self._files.get(path)
        if start is None or not path.is_file():
            return
        if path.stat().st_size - start > MAX_FILE_BYTES:
            if not any(name_matches(f"file {path}", pattern) for pattern in self._allowed):
                self.leaks.append(f"nobody knows what through file {path}: it is too large to be searched; allow() it")
            return
        with path.open("rb") as file:
            file.seek(start)
            self.search(f"file {path}", file.read())

    def move_file(self, source: Path, target: Path) -> None:
        """Follow a file that is renamed."""
        for path in [one for one in self._files if one == source or source in one.parents]:
            self.note_file(target / path.relative_to(source), self._files[path])


def _unlabelled(value: object) -> Iterator[bytes]:
    return _texts(value, is_skipped=is_carrier)


def _texts(value: object, is_skipped: Callable[[object], bool]) -> Iterator[bytes]:
    stack, seen = [value], set[int]()
    while stack:
        here = stack.pop()
        if is_skipped(here) or id(here) in seen:
            continue
        if isinstance(here, str):
            yield here.encode("utf-8", "surrogatepass")
        elif isinstance(here, bytes | bytearray | memoryview):
            yield bytes(here)
        else:
            seen.add(id(here))
            stack += [item for _, item in children(here) or ()] or list(getattr(here, "__dict__", {}).values())


def _audit(event: str, args: tuple[Any, ...]) -> None:
    """See files and processes through the interpreter's audit events; without canaries, nothing but this test."""
    if not _made:
        return
    if event == "open":
        _opened(*args)
    elif event == "sqlite3.connect":
        for one in _made:
            one.note_file(args[0])
    elif event == "os.remove" and args[1] in _HERE:
        for one in _made:
            one.search_file(_path(args[0]))
    elif event == "os.rename" and args[2] in _HERE and args[3] in _HERE:
        for one in _made:
            one.move_file(_path(args[0]), _path(args[1]))
    elif event in {"subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system"}:
        _started(args, None if event == "os.system" else args[-1])


_HERE = (-1, None)
"""What stands for no folder: a path relative to one that is open does not say where it is."""


def _opened(path: object, _mode: object, flags: object) -> None:
    if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR):
        start = _size_of(path) if flags & os.O_APPEND else 0
        for one in _made:
            one.note_file(path, start)


def _started(args: tuple[Any, ...], environment: object) -> None:
    said = b"\0".join(_texts((args, os.environ if environment is None else ()), lambda _: False))
    for one in _made:
        one.search("the arguments or environment of a process", said)


def _path(path: Any) -> Path:
    return Path(os.fsdecode(path)).absolute()


def _size_of(path: object) -> int:
    try:
        return _path(path).stat().st_size if isinstance(path, str | bytes | os.PathLike) else 0
    except OSError:
        return 0


def _open_files() -> Iterator[tuple[Path, int]]:
    """Give the files that are open for writing by now, such as a log's, and where each is at; on Linux alone."""
    descriptors = Path("/proc/self/fd")
    for link in list(descriptors.iterdir()) if descriptors.is_dir() else ():
        try:
            path, number = link.readlink(), int(link.name)
            mode = fcntl.fcntl(number, fcntl.F_GETFL)
            if number > 2 and path.is_file() and mode & (os.O_WRONLY | os.O_RDWR):  # noqa: PLR2004  # Standard ones.
                yield path, path.stat().st_size if mode & os.O_APPEND else os.lseek(number, 0, os.SEEK_CUR)
        except OSError:
            continue  # It was closed meanwhile, or cannot be asked.


def _watching(original: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Any, data: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            host, port = self.getpeername()[:2]
            outlet = f"socket {host}:{port}"
        except (AttributeError, OSError, ValueError):
            outlet = "socket ?"
        pieces = (data,) if isinstance(data, bytes | bytearray | memoryview) else tuple(data)
        for one in _made:
            one.search_stream(outlet, b"".join(pieces))
        return original(self, data, *args, **kwargs)

    return method


_is_hooked = False


@contextmanager
def watched_canaries() -> Iterator[Canaries]:
    """Watch sinks, sockets, files and the arguments of processes while the block runs.

    Yields:
        The maker of canaries.

    Raises:
        AssertionError: At the end: an unlabelled copy or digest of one has left.
    """
    global _is_hooked  # noqa: PLW0603  # The interpreter keeps an audit hook for good: one is enough.
    if not _is_hooked:
        sys.addaudithook(_audit)
        _is_hooked = True
    made = Canaries()
    for path, start in _open_files():
        made.note_file(path, start)
    own = [(kind, name, kind.__dict__.get(name)) for kind, name in _SOCKET_METHODS]
    for kind, name, _ in own:
        setattr(kind, name, _watching(getattr(kind, name)))
    watcher = made.search_value
    watch(watcher)
    _made.append(made)
    try:
        yield made
    finally:
        _made.remove(made)
        unwatch(watcher)
        for kind, name, before in own:
            if before is None:
                delattr(kind, name)  # It was inherited.
            else:
                setattr(kind, name, before)
    made.assert_none_left()
