"""Files that are copied or moved: what comes to a declared path is checked, and a side-car goes along with its file."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from taint.carriers.proxy import exact
from taint.envelopes.asgi import MAX_BODY_BYTES
from taint.envelopes.files import SUFFIX, labels_beside, read_file
from taint.flows.leaving import has_sinks, let_go_guarded, tell_unread, unchecked
from taint.integrations.file_descriptors import sink_of_path
from taint.modes import is_off
from taint.policy import Address
from taint.propagation.patches import Patch

__all__ = ["move_patches"]


def move_patches() -> Iterator[Patch]:
    """Give what to wrap: all of `shutil` goes through these, and so does `Path`."""
    yield Patch(shutil, "copyfile", _copy)
    for name, wrapper in (("rename", _move), ("replace", _move), ("link", _link)):
        if hasattr(os, name):
            yield Patch(os, name, wrapper)


def _paths(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, str] | None:
    """Give where a file comes from and where it goes; None where that cannot be told from their names."""
    given = [*args[:2], *(kwargs[name] for name in ("src", "dst")[len(args) :] if name in kwargs)]
    if is_off() or len(given) != 2 or any(kwargs.get(name) is not None for name in ("src_dir_fd", "dst_dir_fd")):  # noqa: PLR2004  # From and to.
        return None
    try:
        source, target = (exact(os.fsdecode(name)) for name in given)
    except TypeError:  # The function's to refuse.
        return None
    return source, target


def _move(wrapped: Callable[..., Any], _module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    __tracebackhide__ = True  # As in `carry_out`.
    paths = _paths(args, kwargs)
    if paths is None:
        return wrapped(*args, **kwargs)
    _checked(*paths, args, is_fixed=True)
    with _with_side_car(*paths):
        result = wrapped(*args, **kwargs)
    if os.path.lexists(paths[0] + SUFFIX):
        with suppress(OSError):
            os.unlink(paths[0] + SUFFIX)  # noqa: PTH108  # Of any path, without a `Path` for each file.
    return result


def _link(wrapped: Callable[..., Any], _module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    __tracebackhide__ = True  # As in `carry_out`.
    paths = _paths(args, kwargs)
    if paths is None:
        return wrapped(*args, **kwargs)
    _checked(*paths, args, is_fixed=True)
    with _with_side_car(*paths):
        return wrapped(*args, **kwargs)


def _copy(wrapped: Callable[..., Any], _module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    __tracebackhide__ = True  # As in `carry_out`.
    paths = _paths(args, kwargs)
    if paths is None or (not kwargs.get("follow_symlinks", True) and os.path.islink(paths[0])):  # noqa: PTH114  # As above.
        return wrapped(*args, **kwargs)
    redacted = _checked(*paths, args, is_fixed=False)
    with unchecked():  # As a whole, by now.
        if redacted is not None:
            Path(paths[1]).write_bytes(redacted)
            return args[1] if len(args) > 1 else kwargs["dst"]
        with _with_side_car(*paths):
            return wrapped(*args, **kwargs)


def _checked(source: str, target: str, args: tuple[Any, ...], *, is_fixed: bool) -> bytes | None:
    """Check what comes to a path; gives what may stand there instead, where that is something else."""
    __tracebackhide__ = True  # As in `carry_out`.
    sink = sink_of_path(target) if has_sinks("file") else None
    if sink is None or not os.path.exists(source):  # noqa: PTH110  # As above.
        return None
    let_go_guarded(sink, (("path", os.fspath(args[1]) if len(args) > 1 else target),), is_fixed=True)
    content = _content(source, target, sink)
    if content is None:
        return None
    (safe,) = let_go_guarded(sink, (("content", content),), is_fixed=is_fixed)
    return None if safe is content else safe


def _content(source: str, target: str, sink: Address) -> bytes | None:
    """Read a file with its labels; None, and a gap, where it is none or too large."""
    try:
        if os.path.isfile(source) and os.path.getsize(source) <= MAX_BODY_BYTES:  # noqa: PTH113, PTH202  # As above.
            with unchecked():
                # A side-car is in place before its file.
                return read_file(source) if os.path.lexists(source + SUFFIX) else labels_beside(source, target)
    except OSError:  # The function's to refuse.
        return None
    tell_unread(sink, "content")
    return None


@contextmanager
def _with_side_car(source: str, target: str) -> Iterator[None]:
    """Have the side-car of a file in place before the file is; one that does not fit, where this fails, is told."""
    beside, place = source + SUFFIX, target + SUFFIX
    if not os.path.lexists(beside) or os.path.isdir(target):  # noqa: PTH112  # As above.
        yield
        return
    was_there = os.path.lexists(place)
    with suppress(OSError), unchecked():
        draft = f"{place}.{os.getpid()}"
        shutil.copyfile(beside, draft)
        os.replace(draft, place)  # noqa: PTH105  # As above.
    try:
        yield
    except BaseException:
        if not was_there:
            with suppress(OSError):
                os.unlink(place)  # noqa: PTH108  # As above.
        raise
