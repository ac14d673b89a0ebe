"""Files: what is written to a path that the policy declares as a sink is checked before it is written.

Source: files that have a side-car of `taint.envelopes.files`: what is read of one has its labels, as a whole.

Sink: every path that the policy declares, `[sinks."ads.export"] at = { file = ["/srv/exports/*.csv"] }`.

Covered: what `open` opens to be written, by its name, its descriptor or with an opener, so also `Path.open`,
`write_text` and `write_bytes`, `os.fdopen`, `tempfile`, `csv`, `json.dump`, `print(file=...)` and whatever else writes
text and bytes to such a file; its name. `os.open`, `os.write`, `pwrite`, `writev`. What is copied or moved there:
`shutil.copy` and its kin, `shutil.move`, `os.rename`, `replace` and `link`: its contents, with the labels of its
side-car, which goes along with it. A path is known as it is written and where links lead.

Not covered: code in C that opens files itself (pyarrow, sqlite3); what C code makes of values before it is written
(`pickle`, gzip), but for what known values can read; a process that is handed the file as its output; files without a
name. What the system copies by itself (`os.sendfile`), a folder that is moved to a declared path and a file of more
than 16 MiB are gaps. A stale side-car that an overwritten file leaves is one as soon as the file is read.

    import taint
    taint.install(integrations=["files"])
    import os, tempfile
    path = os.path.join(tempfile.mkdtemp(), "a.csv")
    taint.configure(policy={"sinks": {"ads": {"purpose": "advertising", "at": {"file": [path]}}}}, mode="redact")
    with open(path, "w") as file: file.write(taint.label("+14155550100", purpose="security.mfa"))
    open(path).read() == "[redacted]"
"""

from __future__ import annotations

import builtins
import io
import os
import pathlib
from collections.abc import Callable
from typing import Any

from taint.carriers.proxy import exact
from taint.carriers.values import labels_of
from taint.envelopes.files import SUFFIX, read_file
from taint.flows.leaving import has_sinks, is_unchecked, let_go_guarded, unchecked
from taint.flows.outcome import look_past
from taint.flows.uploads import labelled_file
from taint.guard import report_internal_error
from taint.integrations.base import Integration
from taint.integrations.file_descriptors import descriptor_patches, sink_of_descriptor, sink_of_path
from taint.integrations.file_moves import move_patches
from taint.integrations.writers import checked_writer
from taint.modes import is_off
from taint.policy import Address
from taint.propagation.patches import Patch

__all__ = ["FilesIntegration"]

_WRITING = frozenset("wax+")


class FilesIntegration(Integration):
    """Checks what is written to files."""

    identifier = "files"
    requires = ()
    waits_for = "io"

    def _install(self) -> None:
        look_past("pathlib", "csv", "json", "shutil", "tempfile", "os")
        # An audit hook, of `open`, can neither be removed nor see what is written.
        opens = (Patch(builtins, "open", _open), Patch(io, "open", _open))
        # It writes a view of the bytes, which has no labels.
        self._wrap((*opens, Patch(pathlib.Path, "write_bytes", _write_bytes)))
        self._wrap((*descriptor_patches(), *move_patches()))


def _open(wrapped: Callable[..., Any], _module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    __tracebackhide__ = True  # As in `carry_out`.
    mode = args[1] if len(args) > 1 else kwargs.get("mode", "r")
    path = args[0] if args else kwargs.get("file")
    if path is None or not isinstance(mode, str):  # The function's to refuse.
        return wrapped(*args, **kwargs)
    if _WRITING.isdisjoint(mode):
        return _read(wrapped, path, args, kwargs)
    if not has_sinks("file"):
        return wrapped(*args, **kwargs)
    sink = sink_of_descriptor(path) if isinstance(path, int) else _sink(path)
    if sink is not None and not isinstance(path, int):
        let_go_guarded(sink, (("path", os.fspath(path)),), is_fixed=True)  # Nothing can stand for a name.
    file = wrapped(*args, **kwargs)
    if sink is None and kwargs.get("opener") is not None:  # Which may open another file than it is named.
        sink = sink_of_descriptor(file.fileno())
    return file if sink is None else checked_writer(file, sink, "content")


def _read(wrapped: Callable[..., Any], path: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    file = wrapped(*args, **kwargs)
    if isinstance(path, int) or is_off() or is_unchecked():
        return file
    name = exact(os.fsdecode(path))
    if not os.path.exists(name + SUFFIX) or "opener" in kwargs:  # noqa: PTH110  # As below.
        return file
    try:
        labels = labels_of(read_file(name))
    except Exception as error:  # noqa: BLE001  # The program gets its file.
        report_internal_error("reading the side-car of a file", error)
        return file
    return labelled_file(file, labels) if labels else file


def _sink(path: Any) -> Address | None:
    return sink_of_path(os.fsdecode(exact(path)))


def _write_bytes(wrapped: Callable[..., int], path: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    __tracebackhide__ = True  # As in `carry_out`.
    sink = _sink(path) if has_sinks("file") else None
    if sink is None:
        return wrapped(*args, **kwargs)
    data = args[0] if args else kwargs["data"]
    let_go_guarded(sink, (("path", os.fspath(path)),), is_fixed=True)
    (safe,) = let_go_guarded(sink, (("content[0]", data),))
    with unchecked():
        written = wrapped(safe)
    return written if safe is data else len(data)
