"""Files: what is written to a path that the policy declares as a sink is checked before it is written.

Source: none.

Sink: every path that the policy declares, `[sinks."ads.export"] at = { file = ["/srv/exports/*.csv"] }`.

Covered: what `open` opens to be written, by its name or with `Path.open`, `write_text` and `write_bytes`; so also
`csv`, `json.dump`, `print(file=...)` and whatever else writes text and bytes to such a file; its name. A path is known
as it is written and where links lead.

Not covered: `os.open` and `os.write`; code in C that opens files itself (pyarrow, sqlite3); a file that is written
elsewhere and moved; `shutil.copy`, `tempfile`; what C code makes of values before it is written (`pickle`, gzip), but
for what known values can read; a process that is handed the file as its output.

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
from taint.flows.leaving import has_sinks, let_go_guarded, sink_at, unchecked
from taint.flows.outcome import look_past
from taint.integrations.base import Integration
from taint.integrations.writers import checked_writer
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
        look_past("pathlib", "csv", "json")
        # An audit hook, of `open`, can neither be removed nor see what is written.
        opens = (Patch(builtins, "open", _open), Patch(io, "open", _open))
        # It writes a view of the bytes, which has no labels.
        self._wrap((*opens, Patch(pathlib.Path, "write_bytes", _write_bytes)))


def _open(wrapped: Callable[..., Any], _module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    __tracebackhide__ = True  # As in `carry_out`.
    if not has_sinks("file"):
        return wrapped(*args, **kwargs)
    mode = args[1] if len(args) > 1 else kwargs.get("mode", "r")
    path = args[0] if args else kwargs["file"]
    sink = None if isinstance(path, int) or _WRITING.isdisjoint(mode) else _sink(path)
    if sink is not None:
        let_go_guarded(sink, (("path", os.fspath(path)),), is_fixed=True)  # Nothing can stand for a name.
    file = wrapped(*args, **kwargs)
    return file if sink is None else checked_writer(file, sink, "content")


def _sink(path: Any) -> Address | None:
    named = os.path.abspath(os.fsdecode(exact(path)))  # noqa: PTH100  # Of any path, without a `Path` for each file.
    return sink_at("file", named, os.path.realpath(named))


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
