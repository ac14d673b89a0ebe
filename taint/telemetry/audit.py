"""The audit file: one JSON object a line, only ever appended to, chained so that a change is found.

Every line holds the hash of the line before (`prev`) and its own (`hash`, of everything in the line
before it): a line that is removed, changed or moved breaks the chain at that place. The hash of the last
line stands in a file beside it (`.head`), so that lines missing at the end are found too, also when
others follow. Whoever can write both files can write a new chain, unless a key is given, which makes
the hashes HMACs.

Lines are written with one system call under a lock that the system drops with its process: a process
that is killed leaves at most its last line torn, the next writer ends that line and goes on, and the
verification counts it. Files are rotated by size: `audit.jsonl.1` is the oldest.

    {"v": 1, "seq": 1, "time": "2026-11-23T19:00:00.000000Z", "pid": 7, "kind": "flow", ..., "prev": "", "hash": ""}
"""

from __future__ import annotations

import datetime as dt
import errno
import hashlib
import hmac
import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taint.errors import ConfigurationError
from taint.wording import counted

try:
    import fcntl
except ImportError:  # Not on Windows.
    fcntl = None  # type: ignore[assignment]  # Tested before it is used.

__all__ = ["SCHEMA_VERSION", "AuditFile", "Verification", "segments", "verify"]

SCHEMA_VERSION = 1
GENESIS = "0" * 64
"""What stands for the hash of the line before the first one."""
DEFAULT_MAX_BYTES = 64 * 1024 * 1024
_OWN = frozenset({"v", "seq", "time", "pid", "prev", "hash"})
_LINE = re.compile(rb'(\{.*"seq":(\d+),.*"prev":"([0-9a-f]{64})"),"hash":"([0-9a-f]{64})"\}', re.DOTALL)
_TAIL_BYTES = 1 << 20
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC


def _hash(body: bytes, key: bytes | None) -> str:
    if key is None:
        return hashlib.sha256(body).hexdigest()
    return hmac.new(key, body, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class _Link:
    """A line of the chain: its number, the hash before it and its own."""

    seq: int
    prev: str
    hash: str
    is_true: bool


def _read(line: bytes, key: bytes | None) -> _Link | None:
    """Read a line; None where it is torn, or nothing that was written here."""
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    body, seq, prev, own = found.groups()
    return _Link(int(seq), prev.decode(), own.decode(), hmac.compare_digest(_hash(body, key), own.decode()))


def segments(path: Path) -> list[Path]:
    """Give the files of an audit trail, the oldest first."""
    numbered = [(int(one.suffix[1:]), one) for one in path.parent.glob(f"{path.name}.*") if one.suffix[1:].isdigit()]
    rotated = [one for _, one in sorted(numbered)]
    return [*rotated, path] if path.exists() else rotated


class AuditFile:
    """Writes an audit trail; safe with threads, with forks and with other processes that write the same one.

    Args:
        path: The file. Its folder must exist.
        max_bytes: When the file has grown past it, it is renamed and a new one begun.
        key: Makes the hashes HMAC-SHA-256 with this key.

    Raises:
        ConfigurationError: The file cannot be opened, or the platform has no file locks.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, max_bytes: int = DEFAULT_MAX_BYTES, key: bytes | None = None
    ) -> None:
        self.path = Path(path).absolute()
        self._max_bytes = max_bytes
        self._key = key
        self._thread_lock = threading.Lock()
        self._pid = 0
        if fcntl is None:
            raise ConfigurationError("no audit file: this platform has no POSIX file locks. Use telemetry instead.")
        try:
            self._open()
        except OSError as error:
            raise ConfigurationError(
                f"no audit file at {str(self.path)!r}: {error.strerror}. "
                "A file in a folder that exists and may be written is allowed. Name another."
            ) from error

    def _open(self) -> None:
        """Open anew: a forked process shares the lock of an inherited descriptor with its parent."""
        head = os.open(f"{self.path}.head", _FLAGS, 0o600)
        try:
            self._file = os.open(self.path, _FLAGS | os.O_APPEND, 0o600)
        except OSError:
            os.close(head)
            raise
        self._head = head
        self._size = -1
        self._last = _Link(0, GENESIS, GENESIS, is_true=True)
        self._pid = os.getpid()

    def close(self) -> None:
        """Close the file; a later write opens it again."""
        with self._thread_lock:
            if self._pid == os.getpid():
                os.close(self._file)
                os.close(self._head)
            self._pid = 0

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._thread_lock:
            if self._pid != os.getpid():
                self._open()
            self._lock()
            try:
                yield
            finally:
                fcntl.flock(self._head, fcntl.LOCK_UN)

    def _lock(self) -> None:
        """Lock the note of the end that stands beside the file now: others lock that one, not one that was removed."""
        fcntl.flock(self._head, fcntl.LOCK_EX)
        while not _is_at(self._head, Path(f"{self.path}.head")):
            try:
                head = os.open(f"{self.path}.head", _FLAGS, 0o600)
            except OSError:
                fcntl.flock(self._head, fcntl.LOCK_UN)
                raise
            os.close(self._head)  # Gives up its lock.
            self._head, self._size = head, -1
            fcntl.flock(self._head, fcntl.LOCK_EX)

    def write(self, record: Mapping[str, Any]) -> None:
        """Append one record.

        Labels: records hold their keys, never a value.

        Args:
            record: A JSON object, such as a flow's; the keys of the chain are added.

        Raises:
            OSError: It could not be written.
            ValueError: It has a key of the chain's own.
        """
        if not _OWN.isdisjoint(record):
            raise ValueError(f"record has keys of the audit file's own: {sorted(_OWN & record.keys())}. Rename them.")
        with self._locked():
            try:
                self._append(record)
            except BaseException:
                self._size = -1  # Whatever stands at the end now, the next writer looks before it goes on.
                raise

    def _append(self, record: Mapping[str, Any]) -> None:
        self._follow()
        if self._size >= self._max_bytes:
            self._rotate()
        line, link = self._line(record)
        written = os.write(self._file, line)
        if written < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # A full disk takes what still fits, and says so.
        self._size += written
        self._last = link
        os.pwrite(self._head, f"{link.hash} {link.seq:020}\n".encode(), 0)

    def _line(self, record: Mapping[str, Any]) -> tuple[bytes, _Link]:
        seq, prev = self._last.seq + 1, self._last.hash
        now = dt.datetime.now(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        whole = {"v": SCHEMA_VERSION, "seq": seq, "time": now, "pid": self._pid, **record, "prev": prev}
        body = json.dumps(whole, separators=(",", ":"), ensure_ascii=True)[:-1].encode()
        own = _hash(body, self._key)
        return body + f',"hash":"{own}"}}\n'.encode(), _Link(seq, prev, own, is_true=True)

    def _follow(self) -> None:
        """Find the end of the chain again where another process has written, rotated or died."""
        if not _is_at(self._file, self.path):
            self._reopen()
        here = os.fstat(self._file)
        if here.st_size == self._size:
            return
        self._size = here.st_size
        if self._size and os.pread(self._file, 1, self._size - 1) != b"\n":
            self._size += os.write(self._file, b"\n")  # Ends the line that a killed process left torn.
        found = (_last_link(segment, self._key) for segment in reversed(segments(self.path)))
        last = next((link for link in found if link is not None), None)
        noted = _noted_link(os.pread(self._head, 128, 0))
        # The note is written after the line. Where it is ahead, lines were taken away: the chain goes on from where it
        # was, so that they are missed.
        if last is not None:
            self._last = last
        if noted is not None and noted.seq > self._last.seq:
            self._last = noted

    def _rotate(self) -> None:
        numbers = [int(one.suffix[1:]) for one in segments(self.path) if one != self.path]
        self.path.rename(f"{self.path}.{max(numbers, default=0) + 1}")
        self._reopen()
        self._size = 0

    def _reopen(self) -> None:
        """Open the file that stands at the path now; where that fails, nothing is closed that may be used again."""
        file = os.open(self.path, _FLAGS | os.O_APPEND, 0o600)
        os.close(self._file)
        self._file, self._size = file, -1


def _is_at(descriptor: int, path: Path) -> bool:
    """Tell whether what is open is what stands at a path."""
    here = os.fstat(descriptor)
    with suppress(FileNotFoundError):
        there = path.stat()
        return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)
    return False


def _noted_link(note: bytes) -> _Link | None:
    """Read the note of the end; None where there is none yet."""
    own, _, seq = note.decode("ascii", "replace").strip().partition(" ")
    return _Link(int(seq), "", own, is_true=True) if re.fullmatch("[0-9a-f]{64}", own) and seq.isdigit() else None


def _last_link(path: Path, key: bytes | None) -> _Link | None:
    """Find the last whole line of a file, from its end."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        for start in (max(0, size - _TAIL_BYTES), 0):
            file.seek(start)
            for line in reversed(file.read().split(b"\n")):
                link = _read(line, key)
                if link is not None:
                    return link
    return None


@dataclass(slots=True)
class Verification:
    """What a verification found.

    Args:
        lines: How many lines are whole and in their place.
        torn: How many lines a killed process left torn; nothing that was finished is lost by these.
        problems: What was removed, changed or moved, and where.
    """

    lines: int = 0
    torn: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def is_intact(self) -> bool:
        """Tell whether nothing was removed, changed or moved."""
        return not self.problems

    def __str__(self) -> str:
        """Say it for people."""
        lines, problems = counted(self.lines, "line"), counted(len(self.problems), "problem")
        said = f"{lines} in their place, {self.torn} torn, {problems}"
        return "\n".join([said, *self.problems])


def verify(path: str | os.PathLike[str], *, key: bytes | None = None) -> Verification:
    """Check the chain of an audit trail: that no line was removed, changed or moved.

    Args:
        path: The current file; rotated ones beside it are read first.
        key: As the file was written with.

    Raises:
        ConfigurationError: There is no such file.
    """
    files = segments(Path(path).absolute())
    if not files:
        raise ConfigurationError(f"no audit file at {os.fspath(path)!r}. Name the file that is being written.")
    found = Verification()
    last = _Link(0, GENESIS, GENESIS, is_true=True)
    for file in files:
        with file.open("rb") as lines:
            for number, raw in enumerate(lines, 1):
                link = _read(raw.removesuffix(b"\n"), key)
                if link is None:
                    found.torn += 1
                    continue
                place = f"{file.name}:{number}"
                if not link.is_true:
                    found.problems.append(f"{place}: the line was changed")
                if link.prev != last.hash:
                    missing = link.seq - last.seq - 1
                    verb = "is" if missing == 1 else "are"
                    what = (
                        f"{counted(missing, 'line')} before it {verb} missing"
                        if missing > 0
                        else "it does not follow the line before"
                    )
                    found.problems.append(f"{place}: {what}")
                elif link.is_true:
                    found.lines += 1
                last = link
    _check_head(Path(f"{Path(path).absolute()}.head"), last, found)
    return found


def _check_head(head: Path, last: _Link, found: Verification) -> None:
    """Compare the end with what was noted beside it; a process killed in between notes it one line late."""
    try:
        own, _, seq = head.read_text(encoding="ascii").strip().partition(" ")
    except (OSError, ValueError):
        found.problems.append(f"{head.name}: it is missing, so that lines missing at the end would not be found")
        return
    if own not in {last.hash, last.prev}:
        found.problems.append(
            f"{head.name}: the end of the file is missing or changed; the last line was number {seq.lstrip('0')}"
        )
