"""What is written to a file by its descriptor: the system knows which path that is, whoever opened it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

try:
    import fcntl
except ImportError:  # Windows.
    _GETPATH: int | None = None
else:
    _GETPATH = getattr(fcntl, "F_GETPATH", None)  # macOS.

from taint.flows.leaving import has_sinks, let_go_guarded, sink_at, tell_unread
from taint.policy import Address
from taint.propagation.patches import Patch

__all__ = ["descriptor_patches", "sink_of_descriptor", "sink_of_path"]


def descriptor_patches() -> Iterator[Patch]:
    """Give what to wrap in `os`; C code that writes to a descriptor does not pass by."""
    yield Patch(os, "open", _open)
    for name, wrapper in (("write", _write), ("pwrite", _write), ("writev", _write_several)):
        if hasattr(os, name):
            yield Patch(os, name, wrapper)
    for name, at in (("sendfile", 0), ("copy_file_range", 1)):
        if hasattr(os, name):
            yield Patch(os, name, _copying(at))


def sink_of_path(path: Any) -> Address | None:
    """Give the sink at a path, as it is written and where links lead."""
    named = os.path.abspath(path)  # noqa: PTH100  # Of any path, without a `Path` for each file.
    return sink_at("file", named, os.path.realpath(named))


def sink_of_descriptor(descriptor: int) -> Address | None:
    """Give the sink at the path of an open file; None for what has none, as a pipe has."""
    path = _path_of(descriptor)
    return None if path is None else sink_at("file", path)


def _path_of(descriptor: int) -> str | None:
    with suppress(OSError):
        path = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115  # Linux; what is no file is no path.
        return path if path.startswith("/") and not path.endswith(" (deleted)") else None
    if _GETPATH is not None:
        with suppress(OSError):
            return os.fsdecode(fcntl.fcntl(descriptor, _GETPATH, bytes(1024)).rstrip(b"\0"))
    return None


def _open(wrapped: Callable[..., int], _module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    __tracebackhide__ = True  # As in `carry_out`.
    if has_sinks("file") and kwargs.get("dir_fd") is None:
        given: dict[str, Any] = {**dict(zip(("path", "flags"), args, strict=False)), **kwargs}
        path: Any = given.get("path")
        flags: Any = given.get("flags")
        is_named = isinstance(path, str | bytes | os.PathLike) and isinstance(flags, int)  # Else it is refused.
        if is_named and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            sink = sink_of_path(os.fsdecode(path))
            if sink is not None:
                let_go_guarded(sink, (("path", os.fspath(path)),), is_fixed=True)  # Nothing can stand for a name.
    return wrapped(*args, **kwargs)


def _write(wrapped: Callable[..., int], _module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    __tracebackhide__ = True  # As in `carry_out`.
    sink = sink_of_descriptor(args[0]) if has_sinks("file") and len(args) > 1 else None
    if sink is None:
        return wrapped(*args, **kwargs)
    (safe,) = let_go_guarded(sink, (("content", args[1]),))
    written = wrapped(args[0], safe, *args[2:], **kwargs)
    return written if safe is args[1] else len(args[1])


def _write_several(wrapped: Callable[..., int], _module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    __tracebackhide__ = True  # As in `carry_out`.
    sink = sink_of_descriptor(args[0]) if has_sinks("file") and len(args) > 1 else None
    if sink is None:
        return wrapped(*args, **kwargs)
    given = list(args[1])
    safe = let_go_guarded(sink, [(f"content[{at}]", part) for at, part in enumerate(given)])
    written = wrapped(args[0], safe, **kwargs)
    return written if all(new is old for new, old in zip(safe, given, strict=True)) else sum(map(len, given))


def _copying(at: int) -> Callable[..., Any]:
    def copy(wrapped: Callable[..., Any], _module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        sink = sink_of_descriptor(args[at]) if has_sinks("file") and len(args) > at else None
        if sink is not None:
            tell_unread(sink, "content")  # The system copies it.
        return wrapped(*args, **kwargs)

    return copy
