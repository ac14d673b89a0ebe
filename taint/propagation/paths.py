"""Paths: `os.path`, `pathlib`, `glob`, and `sys.intern`, which refuses every subclass of `str`.

Most of `os.path` is Python that works on slices, and needs no wrapper. `sys.intern` gives a labelled
text back as it is: pathlib interns every part of a path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from taint.carriers.text import TaintedStr, join_pieces
from taint.carriers.values import labels_of
from taint.guard import report_internal_error
from taint.propagation.follow import CARRIERS, by_characters, carry_texts, exact, followed, labels_in_call, on_all
from taint.propagation.patches import Patch, Wrapper, patches_in
from taint.propagation.regex import seeing_patterns

__all__ = ["patches"]


def _interned(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return args[0] if args and type(args[0]) is TaintedStr else wrapped(*args, **kwargs)


def _normal(value: Any, _native: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Rule of `normpath`: separators and dots go; where whole components go, all is covered."""
    path = args[0] if args else kwargs["path"]
    if isinstance(path, str):
        return by_characters(path, [value], "/\\.")[0]
    return carry_texts(value, labels_of(path))


def _root(value: Any, _native: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Rule of `splitroot`: its parts make up the path."""
    path = args[0] if args else kwargs["p"]
    if sum(map(len, value)) != len(path):
        return carry_texts(value, labels_of(path))
    drive, root = len(value[0]), len(value[0]) + len(value[1])
    return path[:drive], path[drive:root], path[root:]


def _end(value: Any, _native: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Rule of `relpath`: most often the end of the path."""
    path = args[0] if args else kwargs["path"]
    if exact(path).endswith(value):
        return path[len(path) - len(value) :]
    return carry_texts(value, labels_in_call(args, kwargs))


def _escaped(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    for value in (*args, *kwargs.values()):
        if type(value) in CARRIERS:
            wrapped = seeing_patterns(wrapped)
    return wrapped(*args, **kwargs)


def _path_text(wrapped: Callable[..., Any], path: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Wrap `str(path)`: the parts are labelled, the separator that joins them asks nobody."""
    value = wrapped(*args, **kwargs)
    if type(value) is not str:
        return value
    try:
        parts = path.parts
        for part in parts:
            if type(part) is TaintedStr:
                break
        else:
            return value
        anchor = path.drive + path.root
        pieces = [anchor] if anchor else []
        for at, part in enumerate(parts[1:] if anchor else parts):
            pieces += [part] if not at else [value[len(anchor) + len(parts[bool(anchor)]) :][:1], part]
        joined = join_pieces(pieces)
        return joined if joined == value else carry_texts(value, labels_of(parts))
    except Exception as error:  # noqa: BLE001  # Whatever fails here, the program gets its path.
        report_internal_error("showing a path", error)
        return value


_OS_PATH: dict[str, Wrapper] = {
    "normpath": followed(_normal),
    "splitroot": followed(_root),
    "relpath": followed(_end),
    "commonpath": followed(on_all, deep=True, plain=False),
}
_WRAPPERS: dict[str, dict[str, Wrapper]] = {
    "sys": {"intern": _interned},
    "subprocess": {"list2cmdline": followed(on_all, deep=True, plain=False)},
    "posixpath": _OS_PATH,
    "ntpath": _OS_PATH,
    "glob": {"escape": _escaped},
    "pathlib": {"PurePath.__str__": _path_text},
}


def patches(module: ModuleType) -> Iterator[Patch]:
    """Give what there is to wrap in one of these modules."""
    return patches_in(module, _WRAPPERS[module.__name__])
