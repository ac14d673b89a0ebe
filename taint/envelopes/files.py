"""Files: a side-car `<file>.labels` holds the envelope of a file, bound to all of its bytes.

    write_file("enrolments.json", json.dumps(rows))         # labelled text or bytes of any format
    rows = json.loads(read_file("enrolments.json"))         # the same leaves are labelled

    write_csv("enrolments.csv", rows)                       # rows as dicts; labels by column
    write_parquet("enrolments.parquet", {"phone": phones})  # columns as lists; needs pyarrow

In a table a pointer names a column. A side-car is in place before the file that it is of, so that whoever reads
between the two finds one that does not fit, never a file without.

Not covered: files that are written by other means; call `keep_labels` after it.
"""

from __future__ import annotations

import csv
import importlib
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from taint.carriers.proxy import exact
from taint.carriers.values import apply_labels, labels_of
from taint.envelopes.carrying import arrived, leaving, report_problem
from taint.envelopes.envelope import MAX_BYTES, Problem, open_envelope, seal_at
from taint.envelopes.facts import distrusted
from taint.errors import ConfigurationError
from taint.labels import NO_LABELS, Labels
from taint.losses import count_loss
from taint.modes import is_off

__all__ = [
    "SUFFIX",
    "keep_labels",
    "kept_labels",
    "labels_beside",
    "read_csv",
    "read_file",
    "read_parquet",
    "write_csv",
    "write_file",
    "write_parquet",
]

SUFFIX = ".labels"
CONTEXT = "file"
WHOLE = ""

Name = str | os.PathLike[str]


def _side(path: Path) -> Path:
    return path.with_name(path.name + SUFFIX)


def _put(path: Path, content: bytes) -> None:
    """Write a file, and put it in place in one step."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _put_both(path: Path, content: bytes, envelope: str | None) -> None:
    if envelope is not None:
        _put(_side(path), envelope.encode("ascii"))
    _put(path, content)
    if envelope is None:
        _side(path).unlink(missing_ok=True)


def _bytes(path: Path) -> bytes:
    """Read a file as it is: what `open` gives may be labelled as a whole."""
    with io.FileIO(path) as file:
        return file.readall()


def _envelope(path: Path) -> bytes | None:
    with suppress(FileNotFoundError):
        return _bytes(_side(path)).strip()
    return None


def write_file(path: Name, content: str | bytes) -> None:
    """Write a file and its side-car. Labels: those of the content; without any a side-car that was there is removed.

    Args:
        path: Of the file.
        content: All of it; text is written as UTF-8.
    """
    envelope = leaving(content, channel="file", context=CONTEXT, max_bytes=MAX_BYTES)
    plain = exact(content)
    _put_both(Path(path), plain.encode() if isinstance(plain, str) else plain, envelope)


def read_file(path: Name) -> bytes:
    """Read a file. Labels: those of its side-car, on the leaves of JSON or on all of it.

    Args:
        path: Of the file.
    """
    path = Path(path)
    envelope = _envelope(path)  # Before the file: a newer file than side-car does not fit, and is not unlabelled.
    return arrived(_bytes(path), envelope, channel="file", context=CONTEXT)


def labels_beside(path: Name, other: Name) -> bytes:
    """Read a file that is to be put in the place of another. Labels: of that one's side-car, where it fits.

    Args:
        path: Of the file.
        other: Where it will be, and its side-car is already.
    """
    content = _bytes(Path(path))
    envelope = _envelope(Path(other))
    if envelope is None or open_envelope(envelope, content, context=CONTEXT).problem is not None:
        return content
    return arrived(content, envelope, channel="file", context=CONTEXT)


def _sealed(content: bytes, columns: Mapping[str, Labels]) -> str | None:
    placed = {_pointer(name): labels for name, labels in columns.items() if labels}
    if not placed or is_off():
        return None
    try:
        return seal_at(content, placed, context=CONTEXT, max_bytes=MAX_BYTES)
    except LookupError:
        count_loss("file without an envelope key")
        report_problem(Problem.NO_KEY, "file")
        return None


def _pointer(name: str) -> str:
    return f"/{name.replace('~', '~0').replace('/', '~1')}" if name else WHOLE


def keep_labels(path: Name, columns: Mapping[str, Labels]) -> None:
    """Write the side-car of a file that is there. Labels: those given.

    Args:
        path: Of the file.
        columns: Labels by column; those of `""` are on all of it.
    """
    path = Path(path)
    envelope = _sealed(_bytes(path), columns)
    if envelope is not None:
        _put(_side(path), envelope.encode("ascii"))
    else:
        _side(path).unlink(missing_ok=True)


def kept_labels(path: Name) -> dict[str, Labels]:
    """Read the side-car of a file: labels by column, of `""` for all of it; none where there is no side-car.

    Labels: read. Of a side-car that does not fit the file, what nobody vouches for, on all of it.
    """
    path = Path(path)
    envelope = _envelope(path)
    return {} if envelope is None else _opened(envelope, _bytes(path))


def _opened(envelope: bytes | None, content: bytes) -> dict[str, Labels]:
    if envelope is None or is_off():
        return {}
    opened = open_envelope(envelope, content, context=CONTEXT)
    if opened.problem is not None:
        claimed = distrusted(opened.claimed)
        report_problem(opened.problem, "file", claimed)
        return {WHOLE: claimed} if claimed else {}
    return {
        pointer.removeprefix("/").replace("~1", "/").replace("~0", "~"): labels for pointer, labels in opened.placed
    }


def _joined(columns: Mapping[str, Iterable[Any]]) -> dict[str, Labels]:
    return {name: labels_of(list(values)) | labels_of(name) for name, values in columns.items()}


def write_csv(path: Name, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as CSV in UTF-8, with a line of names. Labels: of each column, the union of its values'.

    Args:
        path: Of the file.
        rows: With the same names each.
    """
    names = list(rows[0]) if rows else []
    text = io.StringIO()
    writer = csv.DictWriter(text, list(map(exact, names)), lineterminator="\n")
    writer.writeheader()
    writer.writerows({exact(name): exact(value) for name, value in row.items()} for row in rows)
    content = exact(text.getvalue()).encode()
    columns = _joined({name: [row.get(name) for row in rows] for name in names})
    _put_both(Path(path), content, _sealed(content, {exact(name): labels for name, labels in columns.items()}))


def read_csv(path: Name) -> list[dict[str, Any]]:
    """Read rows that have a line of names. Labels: of its column, and of all of the file, on each value.

    Args:
        path: Of the file, in UTF-8.
    """
    path = Path(path)
    envelope = _envelope(path)
    content = _bytes(path)
    columns = _opened(envelope, content)
    rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    return [{name: _labelled(value, name, columns) for name, value in row.items()} for row in rows]


def _labelled(value: Any, name: str, columns: Mapping[str, Labels]) -> Any:
    labels = columns.get(name, NO_LABELS) | columns.get(WHOLE, NO_LABELS)
    return apply_labels(value, labels) if labels and value is not None else value


def write_parquet(path: Name, columns: Mapping[str, Sequence[Any]]) -> None:
    """Write columns as Parquet. Labels: of each column, the union of its values'.

    Args:
        path: Of the file.
        columns: Values by column.

    Raises:
        ConfigurationError: pyarrow is not installed.
    """
    pyarrow, parquet = _pyarrow()
    plain = {exact(name): [exact(value) for value in values] for name, values in columns.items()}
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table(plain), buffer)
    content = exact(buffer.getvalue())
    _put_both(Path(path), content, _sealed(content, {exact(name): own for name, own in _joined(columns).items()}))


def read_parquet(path: Name) -> dict[str, list[Any]]:
    """Read the columns of a Parquet file. Labels: of its column, and of all of the file, on each value.

    Raises:
        ConfigurationError: pyarrow is not installed.
    """
    pyarrow, parquet = _pyarrow()
    path = Path(path)
    envelope = _envelope(path)
    content = _bytes(path)
    columns = _opened(envelope, content)
    table = parquet.read_table(pyarrow.BufferReader(content))
    return {
        name: [_labelled(value, name, columns) for value in table.column(name).to_pylist()]
        for name in table.column_names
    }


def _pyarrow() -> tuple[Any, Any]:
    try:
        pyarrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise ConfigurationError(
            "Parquet files need 'pyarrow', which is not installed. Any version from 14 is supported. Install it."
        ) from None
    return pyarrow, parquet
