"""Files: what is written to paths that the policy declares."""

from __future__ import annotations

import csv
import io
import json
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import taint
from taint.envelopes.files import SUFFIX, read_file, write_file
from taint.envelopes.keys import EnvelopeKeys, set_keys
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


def _descriptor(path: Path, phone: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        assert os.write(descriptor, b"to ") == 3
        assert os.write(descriptor, phone.encode()) == len(phone)
    finally:
        os.close(descriptor)


def _several(path: Path, phone: str) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        assert os.writev(descriptor, [b"to ", phone.encode()]) == len(phone) + 3
    finally:
        os.close(descriptor)


def _at(path: Path, phone: str) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        os.pwrite(descriptor, b"to " + phone.encode(), 0)
    finally:
        os.close(descriptor)


def _fdopen(path: Path, phone: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT), "w", encoding="utf-8") as file:
        file.write("to " + phone)


def _temporary(path: Path, phone: str) -> None:
    with tempfile.NamedTemporaryFile("w", dir=path.parent, encoding="utf-8", delete=False) as file:
        try:
            file.write("to " + phone)
        finally:
            Path(file.name).rename(path)  # What is there by now may be there.


def _mkstemp(path: Path, phone: str) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(b"to " + phone.encode())
    finally:
        Path(name).replace(path)


def _opener(path: Path, phone: str) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        with open(
            path.name,
            "w",
            encoding="utf-8",
            opener=lambda name, flags: os.open(name, flags, 0o600, dir_fd=folder),
        ) as file:
            file.write("to " + phone)
    finally:
        os.close(folder)


WAYS: list[tuple[str, Callable[[Path, str], object]]] = [
    ("open", _open),
    ("write_text", lambda path, phone: path.write_text("to " + phone, encoding="utf-8")),
    ("write_bytes", lambda path, phone: path.write_bytes(b"to " + phone.encode())),
    ("csv", _csv),
    ("json", _json),
    ("print", _print),
    ("writelines", _lines),
    ("the bytes below", _bytes_below),
    ("os.write", _descriptor),
    ("os.writev", _several),
    ("os.pwrite", _at),
    ("os.fdopen", _fdopen),
    ("tempfile", _temporary),
    ("mkstemp", _mkstemp),
    ("opener", _opener),
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
        assert stopped.value.violation.path.startswith("content")
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
        lambda path: os.open(path, os.O_WRONLY | os.O_CREAT),
        lambda path: shutil.copy(__file__, path),
        lambda path: os.link(__file__, path),
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


@pytest.fixture
def keys() -> Iterator[None]:
    """A key to sign with."""
    before = set_keys(EnvelopeKeys({"k1": bytes(range(32))}))
    yield
    set_keys(before)


MOVES: dict[str, Callable[[Path, Path], object]] = {
    "copyfile": lambda source, target: shutil.copyfile(source, target),
    "copy": lambda source, target: shutil.copy(source, target),
    "copy2 by name": lambda source, target: shutil.copy2(src=source, dst=target),
    "move": lambda source, target: shutil.move(source, target),
    "rename": lambda source, target: source.rename(target),
    "replace": lambda source, target: source.replace(target),
    "link": lambda source, target: os.link(source, target),
    "copytree": lambda source, target: shutil.copytree(source.parent, target.parent, dirs_exist_ok=True),
}


@pytest.fixture
def drafts(tmp_path: Path) -> Path:
    """A folder that is no sink."""
    folder = tmp_path / "drafts"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
@pytest.mark.usefixtures("keys")
class TestMoves:
    """What is copied or moved to a declared path is checked by its side-car, which goes along."""

    def test_block(self, exports: Path, drafts: Path, move: Callable[[Path, Path], object]) -> None:
        """What may not be there does not come there."""
        source = drafts / "a.csv"
        write_file(source, "to " + security())
        declare(exports)
        with pytest.raises((taint.PurposeViolationError, shutil.Error)) as stopped:
            move(source, exports / "a.csv")
        if isinstance(stopped.value, taint.PurposeViolationError):
            assert stopped.value.violation.path == "content"
        assert not (exports / "a.csv").exists()
        assert taint.labels_of(read_file(source)) == taint.labels_of(security())

    def test_safe_twin(self, exports: Path, drafts: Path, move: Callable[[Path, Path], object]) -> None:
        """What may be there comes there with its side-car; without labels it comes without."""
        declare(exports)
        for name, phone in (("a.csv", advertising()), ("b.csv", PHONE)):
            write_file(drafts / name, "to " + phone)
            with record() as seen:
                move(drafts / name, exports / name)
                assert taint.labels_of(read_file(exports / name)) == taint.labels_of(phone)
            assert seen.violations == seen.gaps == []
            assert (exports / name).read_bytes() == b"to " + PHONE.encode()
        assert not (exports / f"b.csv{SUFFIX}").exists()

    def test_to_any_path(self, drafts: Path, tmp_path: Path, move: Callable[[Path, Path], object]) -> None:
        """A side-car goes along to a path that is no sink too, and stays only with a file that stays."""
        taint.install(integrations=["files"])
        (tmp_path / "other").mkdir()
        source, target = drafts / "a.csv", tmp_path / "other" / "a.csv"
        write_file(source, "to " + security())
        move(source, target)
        assert taint.labels_of(read_file(target)) == taint.labels_of(security())
        assert (drafts / f"a.csv{SUFFIX}").exists() == source.exists()
        assert len(list(target.parent.iterdir())) == 2


@pytest.mark.usefixtures("keys")
def test_copy_in_mode_redact(exports: Path, drafts: Path) -> None:
    """A copy has the stand-in; a file that is moved cannot, and stays where it is."""
    write_file(drafts / "a.csv", "to " + security())
    declare(exports, "redact")
    shutil.copy(drafts / "a.csv", exports / "a.csv")
    assert (exports / "a.csv").read_text(encoding="utf-8") == REDACTED  # A side-car is of all of a text.
    with pytest.raises(taint.PurposeViolationError):
        (drafts / "a.csv").rename(exports / "b.csv")
    assert (drafts / "a.csv").read_bytes() == b"to " + PHONE.encode()


@pytest.mark.usefixtures("keys")
def test_file_with_a_side_car_at_a_sink(exports: Path) -> None:
    """What is written with its side-car to a declared path is checked before it is there."""
    declare(exports)
    with pytest.raises(taint.PurposeViolationError):
        write_file(exports / "a.csv", security())
    write_file(exports / "b.csv", advertising())
    assert sorted(one.name for one in exports.iterdir() if not one.name.endswith(SUFFIX)) == ["b.csv"]


READS: dict[str, Callable[[Path], object]] = {
    "read": lambda path: path.open(encoding="utf-8").read(),
    "with": lambda path: _read_with(path),
    "read_text": lambda path: path.read_text(encoding="utf-8"),
    "read_bytes": lambda path: path.read_bytes(),
    "lines": lambda path: list(path.open(encoding="utf-8")),
    "json": lambda path: json.load(path.open(encoding="utf-8")),
}


def _read_with(path: Path) -> list[str]:
    with path.open(encoding="utf-8") as file:
        return [file.readline(), *file]


@pytest.mark.parametrize("read", READS.values(), ids=READS)
@pytest.mark.usefixtures("keys")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_read_back(tmp_path: Path, read: Callable[[Path], object]) -> None:
    """What is read of a file with a side-car is labelled, and of one without, it is not."""
    taint.install(integrations=["files"])
    path = tmp_path / "a.json"
    for phone in (security(), PHONE):
        write_file(path, json.dumps({"phone": phone}))
        with record() as seen:
            assert taint.labels_of(read(path)).purposes == taint.labels_of(phone).purposes
        assert seen.gaps == []


@pytest.mark.usefixtures("keys")
def test_stale_side_car(tmp_path: Path) -> None:
    """A file that was overwritten past its side-car is a gap when it is read, and keeps the purposes."""
    taint.install(integrations=["files"])
    path = tmp_path / "a.csv"
    write_file(path, security())
    path.write_text("else", encoding="utf-8")
    with record() as seen:
        text = path.read_text(encoding="utf-8")
    assert [gap.rule for gap in seen.gaps] == ["envelope-replayed"]
    assert text == "else"
    assert taint.labels_of(text).purposes == {"security.mfa"}


def test_what_nobody_can_read_is_a_gap(exports: Path, drafts: Path) -> None:
    """A folder that is moved to a declared path, and what the system copies there, is a gap; elsewhere it is none."""
    declare(exports)
    (drafts / "folder").mkdir()
    (drafts / "a.csv").write_text("a", encoding="utf-8")

    def send(target: Path) -> None:
        with (drafts / "a.csv").open("rb") as source, target.open("wb") as file:
            os.sendfile(file.fileno(), source.fileno(), 0, 1)

    for move in (lambda to: (drafts / "folder").rename(to / "folder"), lambda to: send(to / "b.csv")):
        with record() as seen:
            move(drafts)
        assert seen.gaps == []
        with record() as seen:
            move(exports)
        assert [gap.rule for gap in seen.gaps] == ["unread-payload"]


def test_errors_are_native(exports: Path, drafts: Path) -> None:
    """What the functions refuse is refused as before."""
    declare(exports)
    asks: list[Callable[[], object]] = [
        lambda: open(),  # type: ignore[call-overload]  # noqa: PTH123, SIM115  # The function is what is tested.
        lambda: open("x", 5),  # type: ignore[call-overload]  # noqa: PTH123, SIM115  # As above.
        lambda: open("x", nothing=1),  # type: ignore[call-overload]  # noqa: PTH123, SIM115  # As above.
        lambda: (drafts / "none").replace(exports / "a"),
        lambda: os.link(1, 2),  # type: ignore[arg-type]  # As above.
        lambda: shutil.copyfile(drafts / "none", exports / "a"),
        lambda: os.write(99_999, b"x"),
        lambda: os.write(1),  # type: ignore[call-arg]  # As above.
        lambda: os.open(drafts / "none", os.O_RDONLY),
        lambda: os.open(),  # type: ignore[call-arg]  # As above.
        lambda: os.open(1.5, os.O_WRONLY),  # type: ignore[arg-type]  # As above.
    ]

    def refused() -> list[tuple[type, str]]:
        told = []
        for ask in asks:
            with pytest.raises((TypeError, OSError)) as error:
                ask()
            told.append((error.type, str(error.value)))
        return told

    ours = refused()
    taint.uninstall()
    assert ours == refused()
