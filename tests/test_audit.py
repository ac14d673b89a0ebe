"""The audit file: nothing is lost by threads, processes, forks, rotation or a kill, and no change goes unnoticed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import taint
from taint.telemetry.audit import AuditFile, segments, verify

CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.fixture
def trail(tmp_path: Path) -> Path:
    """A trail of ten lines."""
    path = tmp_path / "audit.jsonl"
    audit = AuditFile(path)
    for number in range(10):
        audit.write({"kind": "flow", "number": number})
    audit.close()
    return path


def records(path: Path) -> list[dict[str, object]]:
    """Read every line of a trail."""
    return [json.loads(line) for one in segments(path) for line in one.read_bytes().splitlines()]


def test_lines_are_json_with_what_was_written(trail: Path) -> None:
    """Each line is an object with the version, a number, a time, the process and the record."""
    lines = records(trail)
    assert [(one["v"], one["seq"], one["kind"], one["number"]) for one in lines] == [
        (1, number + 1, "flow", number) for number in range(10)
    ]
    assert {one["pid"] for one in lines} == {os.getpid()}
    assert all(str(one["time"]).endswith("Z") for one in lines)
    assert str(verify(trail)) == "10 lines in their place, 0 torn, 0 problems"


def _change(lines: list[bytes]) -> list[bytes]:
    return [*lines[:4], lines[4].replace(b'"number":4', b'"number":5'), *lines[5:]]


def _change_last(lines: list[bytes]) -> list[bytes]:
    return [*lines[:9], lines[9].replace(b'"number":9', b'"number":8')]


@pytest.mark.parametrize(
    ("tamper", "problem"),
    [
        pytest.param(
            lambda lines: [*lines[:4], *lines[5:]], "audit.jsonl:5: 1 line before it is missing", id="removed"
        ),
        pytest.param(lambda lines: lines[3:], "audit.jsonl:1: 3 lines before it are missing", id="first removed"),
        pytest.param(lambda lines: lines[:-1], "audit.jsonl.head: the end of the file is", id="last removed"),
        pytest.param(lambda lines: lines[:4], "audit.jsonl.head: .* the last line was number 10", id="end removed"),
        pytest.param(lambda _: [], "audit.jsonl.head: the end of the file is", id="all removed"),
        pytest.param(_change, "audit.jsonl:5: the line was changed", id="changed"),
        pytest.param(_change_last, "audit.jsonl:10: the line was changed", id="last changed"),
        pytest.param(
            lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], "audit.jsonl:3: 1 line before", id="reordered"
        ),
        pytest.param(lambda lines: [*lines[:5], lines[4], *lines[5:]], "audit.jsonl:6: it does not", id="repeated"),
        pytest.param(lambda lines: [*lines[:4], b"{}\n", *lines[5:]], "audit.jsonl:6: 1 line before", id="replaced"),
        pytest.param(
            lambda lines: [*lines[:9], b"garbage\n"], "audit.jsonl.head: the end of the file is", id="last replaced"
        ),
    ],
)
def test_tampering_is_found(trail: Path, tamper: Callable[[list[bytes]], list[bytes]], problem: str) -> None:
    """Any line that is removed, changed, repeated or moved is found, with its place; the safe twin is intact."""
    assert verify(trail).is_intact
    trail.write_bytes(b"".join(tamper(trail.read_bytes().splitlines(keepends=True))))
    found = verify(trail)
    assert not found.is_intact
    assert re.search(problem, "\n".join(found.problems))


def test_missing_head_is_said(trail: Path) -> None:
    """Without the note of the end, lines missing at the end could not be found, which is a problem by itself."""
    trail.with_name("audit.jsonl.head").unlink()
    assert not verify(trail).is_intact


def test_key_makes_a_chain_that_others_cannot_write(tmp_path: Path) -> None:
    """A trail with a key is intact with that key only."""
    path = tmp_path / "audit.jsonl"
    AuditFile(path, key=b"secret").write({"kind": "flow"})
    assert verify(path, key=b"secret").is_intact
    assert not verify(path).is_intact
    assert not verify(path, key=b"other").is_intact


def test_rotation_keeps_the_chain(tmp_path: Path) -> None:
    """Files are renamed past the size, the oldest is number 1, and the chain goes through all of them."""
    path = tmp_path / "audit.jsonl"
    audit = AuditFile(path, max_bytes=1000)
    for number in range(100):
        audit.write({"number": number})
    files = segments(path)
    assert len(files) > 10
    assert [one.name for one in files[:2]] == ["audit.jsonl.1", "audit.jsonl.2"]
    assert all(one.stat().st_size < 1400 for one in files)
    assert [one["number"] for one in records(path)] == list(range(100))
    assert verify(path).lines == 100
    files[3].unlink()
    assert not verify(path).is_intact


@pytest.mark.parametrize("rest", [b'{"v":1,"seq":11,"ti', b"\x00\xff", b'{"v":1}'])
def test_torn_line_is_ended_and_counted(trail: Path, rest: bytes) -> None:
    """A line that was torn at the end is left, told, and does not break the chain of those that follow."""
    with trail.open("ab") as file:
        file.write(rest)
    assert (verify(trail).torn, verify(trail).is_intact) == (1, True)
    AuditFile(trail).write({"number": 10})
    found = verify(trail)
    assert (found.lines, found.torn, found.problems) == (11, 1, [])
    assert trail.read_bytes().splitlines()[10] == rest


def test_what_is_removed_is_missed_when_others_follow(tmp_path: Path) -> None:
    """A writer that comes after goes on from the note of the end: lines taken from the end, or all, are missed."""
    path = tmp_path / "audit.jsonl"
    for number in range(4):
        AuditFile(path).write({"number": number})
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(whole[:2]))
    AuditFile(path).write({"number": 4})
    assert verify(path).problems == ["audit.jsonl:3: 2 lines before it are missing"]
    path.unlink()
    AuditFile(path).write({"number": 5})
    assert verify(path).problems == ["audit.jsonl:1: 5 lines before it are missing"]


def test_folder_that_is_made_anew(tmp_path: Path) -> None:
    """Where the folder was put back, a writer that runs locks and notes the end there, as all others do."""
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "audit.jsonl"
    first = AuditFile(path)
    shutil.rmtree(folder)
    with pytest.raises(FileNotFoundError):
        first.write({"number": 0})
    folder.mkdir()
    second = AuditFile(path)
    for number in range(3):
        first.write({"number": number})
        second.write({"number": number})
    assert os.fstat(first._head).st_ino == os.fstat(second._head).st_ino == Path(f"{path}.head").stat().st_ino
    assert str(verify(path)) == "6 lines in their place, 0 torn, 0 problems"


def test_threads_lose_nothing(tmp_path: Path) -> None:
    """Eight threads write one chain."""
    audit = AuditFile(tmp_path / "audit.jsonl", max_bytes=5000)

    def work() -> None:
        for _ in range(50):
            audit.write({"a": 1})

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert str(verify(tmp_path / "audit.jsonl")) == "400 lines in their place, 0 torn, 0 problems"


WRITER = """
import os, sys, time
from taint.telemetry.audit import AuditFile
open(sys.argv[1] + "-ready-" + sys.argv[3], "w").close()
while not os.path.exists(sys.argv[1] + "-go"):
    time.sleep(0.001)
audit = AuditFile(sys.argv[1], max_bytes=20_000)
for number in range(int(sys.argv[2])):
    audit.write({"kind": "flow", "writer": sys.argv[3], "number": number, "more": "x" * 200})
    if number == 5 and sys.argv[3] == "fork":
        os.fork()
print("done", flush=True)
"""


def start(path: Path, count: int, name: str) -> subprocess.Popen[bytes]:
    """Start a process that writes to a trail."""
    command = [sys.executable, "-c", WRITER, str(path), str(count), name]
    return subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_processes_and_forks_write_one_chain(tmp_path: Path) -> None:
    """Two processes, one of which forks, write one trail with rotation; every line is there, in its writer's order."""
    path = tmp_path / "audit.jsonl"
    processes = [start(path, 300, name) for name in ("one", "fork")]
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and len(list(tmp_path.glob("*-ready-*"))) < 2:
        time.sleep(0.005)
    (tmp_path / "audit.jsonl-go").touch()  # Both begin in the same moment.
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, b"")
    assert verify(path).problems == []
    assert len(segments(path)) > 3
    by_writer: dict[object, list[object]] = {}
    for one in records(path):
        by_writer.setdefault(one["pid"], []).append(one["number"])
    assert sorted(by_writer.values(), key=len) == [list(range(6, 300)), list(range(300)), list(range(300))]


def test_killed_writers_tear_at_most_the_last_line(tmp_path: Path) -> None:
    """Writers are killed in the middle of their work; the trail stays intact, and the next writer goes on."""
    path = tmp_path / "audit.jsonl"
    (tmp_path / "audit.jsonl-go").touch()
    for name in ("one", "two", "three"):
        process = start(path, 1_000_000, name)
        before = sum(one.stat().st_size for one in segments(path))
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if sum(one.stat().st_size for one in segments(path) if one.exists()) > before + 30_000:
                break
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
    AuditFile(path).write({"kind": "last"})
    found = verify(path)
    assert found.problems == []
    assert found.torn <= 3
    assert found.lines > 200


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: AuditFile(path / "missing" / "audit.jsonl"), "no audit file at .*: No such file"),
        (lambda path: AuditFile(path), "no audit file at .*: Is a directory"),
        (lambda path: verify(path / "audit.jsonl"), "no audit file at .*Name the file that is being written"),
    ],
)
def test_bad_paths(tmp_path: Path, make: Callable[[Path], object], message: str) -> None:
    """A file that cannot be one is refused with what to do."""
    with pytest.raises(taint.ConfigurationError, match=message):
        make(tmp_path)


def test_keys_of_the_chain_are_refused(tmp_path: Path) -> None:
    """A record cannot bring a hash of its own."""
    with pytest.raises(ValueError, match=r"\['hash', 'seq'\]"):
        AuditFile(tmp_path / "audit.jsonl").write({"seq": 1, "hash": "x"})
