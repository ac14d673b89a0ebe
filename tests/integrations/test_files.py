"""Files: what is written to paths that the policy declares."""

from __future__ import annotations

import csv
import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

import taint
from taint.flows.outcome import listen, unlisten
from taint.policy import Flow
from taint.testing import record
from tests.integrations.outside import PHONE, REDACTED, advertising, security


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    """A folder that is a sink for advertising, once it is declared."""
    taint.install(integrations=["files"])
    folder = tmp_path / "exports"
    folder.mkdir()
    return folder


def declare(folder: Path, mode: str = "block") -> None:
    """Put a policy in force in which a folder's files are a sink."""
    sinks = {"ads.export": {"purpose": "advertising", "at": {"file": [f"{folder}/*"]}}}
    taint.configure(policy={"sinks": sinks}, mode=mode)


def _open(path: Path, phone: str) -> None:
    with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123  # The function is what is tested.
        file.write("to ")
        assert file.write(phone) == len(phone)


def _csv(path: Path, phone: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "phone"])
        writer.writerow([7, phone])


def _json(path: Path, phone: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        json.dump({"rows": [{"phone": phone}]}, file)


def _print(path: Path, phone: str) -> None:
    with io.open(path, "w", encoding="utf-8") as file:  # noqa: UP020  # As above.
        print("to", phone, file=file)  # To a file.


def _lines(path: Path, phone: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.writelines(["a\n", phone + "\n"])


def _bytes_below(path: Path, phone: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.buffer.write(phone.encode())


WAYS: list[tuple[str, Callable[[Path, str], object]]] = [
    ("open", _open),
    ("write_text", lambda path, phone: path.write_text("to " + phone, encoding="utf-8")),
    ("write_bytes", lambda path, phone: path.write_bytes(b"to " + phone.encode())),
    ("csv", _csv),
    ("json", _json),
    ("print", _print),
    ("writelines", _lines),
    ("the bytes below", _bytes_below),
]


@pytest.mark.parametrize("write", [way[1] for way in WAYS], ids=[way[0] for way in WAYS])
class TestSink:
    """A declared path is a sink, by every way to write to it."""

    def test_block(self, exports: Path, write: Callable[[Path, str], object]) -> None:
        """What the file may not hold is not written."""
        declare(exports)
        with pytest.raises(taint.PurposeViolationError) as stopped:
            write(exports / "a.csv", security())
        assert stopped.value.violation.sink == "ads.export"
        assert stopped.value.violation.path.startswith("content[")
        file = exports / "a.csv"
        assert not file.exists() or PHONE not in file.read_text(encoding="utf-8")

    def test_safe_twin(self, exports: Path, write: Callable[[Path, str], object]) -> None:
        """What it may hold is written byte for byte as a plain value is."""
        write(exports / "plain", PHONE)
        declare(exports)
        with record() as seen:
            write(exports / "a.csv", advertising())
        assert (exports / "a.csv").read_bytes() == (exports / "plain").read_bytes()
        assert PHONE.encode() in (exports / "plain").read_bytes()
        assert seen.violations == []

    def test_report(self, exports: Path, write: Callable[[Path, str], object]) -> None:
        """In mode `report` it is written, and the violation is told."""
        declare(exports, "report")
        with record(mode="report") as seen:
            write(exports / "a.csv", security())
        assert PHONE.encode() in (exports / "a.csv").read_bytes()
        assert len(seen.violations) == 1

    def test_redact(self, exports: Path, write: Callable[[Path, str], object]) -> None:
        """In mode `redact` the file holds the stand-in."""
        declare(exports, "redact")
        write(exports / "a.csv", security())
        written = (exports / "a.csv").read_text(encoding="utf-8")
        assert REDACTED in written
        assert PHONE not in written


def test_other_paths_are_no_sinks(exports: Path, tmp_path: Path) -> None:
    """A path that nobody declared, and a file that is read, is no sink, and the file is the native one."""
    declare(exports)
    with record() as seen:
        (tmp_path / "a.csv").write_text(security(), encoding="utf-8")
        with (tmp_path / "a.csv").open(encoding="utf-8") as file:
            assert type(file).__module__ == "_io"
    assert seen.flows == []


@pytest.mark.parametrize("mode", ["block", "redact"])
def test_name(exports: Path, mode: str) -> None:
    """A file's name is written too; nothing can stand for it, so that such a file is not made."""
    declare(exports, mode)
    (exports / advertising()).write_text("a", encoding="utf-8")
    ways: list[Callable[[Path], object]] = [
        lambda path: path.write_text("a", encoding="utf-8"),
        lambda path: path.write_bytes(b"a"),
    ]
    for write in ways:
        with pytest.raises(taint.PurposeViolationError) as stopped:
            write(exports / ("of " + security()))
        assert stopped.value.violation.path == "path"
    assert [one.name for one in exports.iterdir()] == [PHONE]


def test_links(exports: Path, tmp_path: Path) -> None:
    """A link to a declared path is that path, and so is a relative name of it."""
    declare(exports)
    (tmp_path / "link").symlink_to(exports)
    for path in (tmp_path / "link" / "a.csv", exports / ".." / "exports" / "a.csv"):
        with pytest.raises(taint.PurposeViolationError):
            path.write_text(security(), encoding="utf-8")


@pytest.mark.parametrize("is_known", [True, False])
def test_known_values(exports: Path, is_known: bool) -> None:
    """An unlabelled copy is found, where known values are on; other text is written."""
    taint.configure(known_values=True)
    try:
        security()
        declare(exports)
        if is_known:
            with pytest.raises(taint.PurposeViolationError) as stopped:
                (exports / "a.csv").write_text("7,+1 415 555 0100", encoding="utf-8")
            assert stopped.value.violation.evidence == "content"
        else:
            (exports / "a.csv").write_text("7,+1 415 555 0111", encoding="utf-8")
    finally:
        taint.configure(known_values=False)


def test_what_a_check_writes(exports: Path) -> None:
    """What is written because of a check, as an audit file is, is not checked: it would never end."""
    sinks = {"all": {"purpose": "advertising", "unlabelled": "gap", "at": {"file": ["*"]}}}
    taint.configure(policy={"sinks": sinks}, mode="report")

    told: list[str] = []

    def write(flow: Flow) -> None:
        told.append(flow.path)
        if len(told) > 10:
            return  # It would never end.
        with (exports / "told").open("a", encoding="utf-8") as file:
            file.write(flow.path + " ")

    listen(write)
    try:
        with record(mode="report") as seen:
            (exports / "a.csv").write_text(security(), encoding="utf-8")
    finally:
        unlisten(write)
    assert (exports / "told").read_text(encoding="utf-8").split() == [flow.path for flow in seen.flows]
    assert [flow.path for flow in seen.violations] == ["content[0]"]


def test_file_stands_for_the_native_one(exports: Path) -> None:
    """What is opened at a declared path reads, seeks, iterates and ends as the native file does."""
    declare(exports)
    path = exports / "a.bin"
    with path.open("w+b") as file:
        assert isinstance(file, io.BufferedIOBase)
        pickle.dump([1, 2], file)
        file.seek(0)
        assert pickle.load(file) == [1, 2]  # noqa: S301  # Written above.
        assert file.fileno() > 2
    assert file.closed
    path.write_text("a\nb\n", encoding="utf-8")
    with path.open("r+", encoding="utf-8") as lines:
        assert list(lines) == ["a\n", "b\n"]
