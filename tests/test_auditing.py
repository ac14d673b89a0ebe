"""The audit trail of a process: what `configure(audit=...)` writes, and what the commands read in it."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import taint
from taint import guard
from taint.cli import main
from taint.telemetry.audit import AuditFile, segments, verify

PHONE = "+14155550100"
SUBJECT = "customer-4711"
ALLOWING = '[[rules]]\nname = "agreed"\neffect = "allow"\nfrom = ["security"]\nto = ["advertising"]\n'


@pytest.fixture(autouse=True)
def _ended() -> Iterator[None]:
    """No test leaves a trail behind."""
    yield
    taint.configure(audit=False)


@taint.sink(purpose="advertising.audiences", name="ads.upload", mode="report")
def upload(rows: list[dict[str, str]]) -> int:
    """Upload rows."""
    return len(rows)


@taint.sink(purpose="security.mfa", name="sms.send")
def send(phone: str) -> str:
    """Send a code."""
    return "sent"


def _phone() -> str:
    return taint.label(
        PHONE, purpose="security.mfa", category="user.contact.phone_number", source="shop.enrol", subject=SUBJECT
    )


def _records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in segments(path) for line in file.read_bytes().splitlines()]


def _run(path: Path) -> None:
    """Write a trail of one violation, one allowed flow, one declassification and what it allows."""
    taint.configure(audit=path)
    assert upload([{"phone": _phone()}]) == 1
    assert send(_phone()) == "sent"
    widened = taint.declassify(
        _phone(), to="advertising.audiences", reason="opted in", approved_by="privacy-118", consent="receipt-77"
    )
    assert upload([{"phone": widened}]) == 1
    taint.configure(audit=False)


def test_flows_and_declassifications_are_written(tmp_path: Path) -> None:
    """Every flow is written, allowed ones too, and every declassification, each as it happens, in a true chain."""
    audit = tmp_path / "audit.jsonl"
    _run(audit)
    flows = [one for one in _records(audit) if one["kind"] == "flow"]
    assert [(one["outcome"], one["sink"], one["rule"]) for one in flows] == [
        ("violation", "ads.upload", "purpose-limitation"),
        ("allowed", "sms.send", "purpose-limitation"),
        ("allowed", "ads.upload", "declassification"),
    ]
    first, *_ = flows
    assert (first["path"], first["mode"], first["count"]) == ("rows[0].phone", "report", 1)
    assert first["call_site"]["function"].endswith("._run")
    (widening,) = [one for one in _records(audit) if one["kind"] == "declassification"]
    assert (widening["to"], widening["reason"], widening["approved_by"], widening["consent"]) == (
        ["advertising.audiences"],
        "opted in",
        "privacy-118",
        "receipt-77",
    )
    assert (widening["purposes"], widening["sources"]) == (["security.mfa"], ["shop.enrol"])
    assert verify(audit).is_intact


def test_no_value_and_no_subject_is_written(tmp_path: Path) -> None:
    """Neither a value nor whose it is stands in any file of the trail."""
    _run(tmp_path / "audit.jsonl")
    files = list(tmp_path.iterdir())
    assert {file.name for file in files} == {"audit.jsonl", "audit.jsonl.head"}
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert PHONE not in text
        assert PHONE.removeprefix("+") not in text
        assert SUBJECT not in text


def test_people_are_counted_and_not_told_apart(tmp_path: Path) -> None:
    """Labels that differ in whose data it is alone are one in a record, with how many there were."""
    audit = tmp_path / "audit.jsonl"
    taint.configure(audit=audit)
    upload([{"phone": taint.label(PHONE, purpose="security.mfa", subject=who)} for who in range(3)])
    (flow,) = _records(audit)
    assert (flow["count"], len(flow["labels"])) == (3, 1)


def test_switching_off_and_over(tmp_path: Path) -> None:
    """`audit=False` ends the trail, another file takes over, and other settings leave it alone."""
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    taint.configure(audit=first)
    taint.configure(mode="block")
    send(_phone())
    taint.configure(audit=second)
    send(_phone())
    send(_phone())
    taint.configure(audit=False)
    send(_phone())
    taint.declassify(_phone(), to="advertising", reason="r", approved_by="a")
    assert (len(_records(first)), len(_records(second))) == (1, 2)
    taint.configure(audit=first)
    send(_phone())
    assert [one["seq"] for one in _records(first)] == [1, 2]
    assert verify(first).is_intact


def test_mistakes_change_nothing(tmp_path: Path) -> None:
    """A file that cannot be opened, or something else that is wrong, leaves the trail before as it was."""
    audit = tmp_path / "audit.jsonl"
    taint.configure(audit=audit)
    with pytest.raises(taint.ConfigurationError, match=r"no audit file at .*No such file or directory"):
        taint.configure(audit=tmp_path / "none" / "audit.jsonl")
    with pytest.raises(taint.ConfigurationError, match="audit is no file: 'bool'"):
        taint.configure(audit=True)  # type: ignore[arg-type]  # The mistake that is tested.
    with pytest.raises(taint.ConfigurationError, match="cannot be read"):
        taint.configure(audit=tmp_path / "other.jsonl", policy=tmp_path / "none.toml")
    send(_phone())
    assert len(_records(audit)) == 1
    assert not (tmp_path / "other.jsonl").read_bytes()


def test_a_failing_disk_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where the file cannot be written the program goes on, and it is said once; block still blocks."""
    guard._reported.clear()
    folder = tmp_path / "folder"
    folder.mkdir()
    taint.configure(audit=folder / "audit.jsonl")
    shutil.rmtree(folder)
    with caplog.at_level(logging.ERROR, logger="taint"):
        assert [send(_phone()) for _ in range(3)] == ["sent"] * 3
        taint.declassify(_phone(), to="advertising", reason="r", approved_by="a")
        with pytest.raises(taint.PurposeViolationError):
            taint.sink(purpose="advertising", name="ads.match")(len)([_phone()])
    (said,) = caplog.messages
    assert said.startswith(
        f"the audit file {str(folder / 'audit.jsonl')!r} cannot be written: No such file or directory."
    )
    folder.mkdir()
    send(_phone())
    send(_phone())
    written = [(one["kind"], one.get("count")) for one in _records(folder / "audit.jsonl")]
    assert written == [("missed", 5), ("flow", 1), ("flow", 1)]
    assert "is written again; 5 records are missing." in caplog.text
    assert str(verify(folder / "audit.jsonl")) == "3 lines in their place, 0 torn, 0 problems"
    shutil.rmtree(folder)  # Another time is said again.
    send(_phone())
    assert caplog.text.count("cannot be written") == 2


FULL_DISK = """
import resource, signal, sys
import taint
from taint.telemetry.audit import verify

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = sys.argv[1]

@taint.sink(purpose="security.mfa", name="sms.send")
def send(phone):
    return phone

taint.configure(audit=path)
phone = taint.label("+14155550100", purpose="security.mfa")
send(phone)
resource.setrlimit(resource.RLIMIT_FSIZE, (700, resource.RLIM_INFINITY))
send(phone)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
send(phone); send(phone)
taint.configure(audit=False)
print(verify(path))
"""


def test_a_full_disk_tears_one_line(tmp_path: Path) -> None:
    """A disk that takes half a line leaves it torn and said; what follows when there is room is whole and chained."""
    ran = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "audit.jsonl")],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ran.stdout == "4 lines in their place, 1 torn, 0 problems\n"
    assert ran.stderr.count("cannot be written: No space left on device.") == 1
    assert "please report it" not in ran.stderr


def _replayed(audit: Path, policy: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    file = audit.parent / "new.toml"
    file.write_text(policy, encoding="utf-8")
    status = main(["replay", str(audit), "--policy", str(file)])
    return status, capsys.readouterr().out


def test_replay_reads_what_was_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The trail that was written is tried under another policy, its last line torn or not."""
    audit = tmp_path / "audit.jsonl"
    _run(audit)
    # The receipt of the declassification is asked for in a store, and there is none: it holds.
    assert _replayed(audit, "", capsys)[0] == 0
    status, said = _replayed(audit, ALLOWING, capsys)
    assert status == 1
    assert said.startswith("3 flows, 1 would change\n  violation -> allowed: 1\n")
    assert "1 record of another kind was passed over" in said
    whole = audit.read_bytes()
    audit.write_bytes(whole[:-40])
    status, said = _replayed(audit, ALLOWING, capsys)
    assert status == 1
    assert said.startswith("2 flows, 1 would change\n")
    assert "1 line is cut off and was passed over: 4" in said


def test_replay_reads_rotated_files_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files that were rotated away belong to the trail: their flows are tried as well."""
    audit = tmp_path / "audit.jsonl"
    taint.configure(audit=AuditFile(audit, max_bytes=2000))
    for _ in range(20):
        upload([{"phone": _phone()}])
    assert len(segments(audit)) > 2
    assert _replayed(audit, ALLOWING, capsys)[1].startswith("20 flows, 20 would change\n")


def test_verify_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`audit verify` ends with 0 for a whole or torn trail, 1 for a changed one, and 2 where there is none."""
    audit = tmp_path / "audit.jsonl"
    _run(audit)
    assert main(["audit", "verify", str(audit)]) == 0
    assert capsys.readouterr().out == "4 lines in their place, 0 torn, 0 problems\n"
    whole = audit.read_bytes()
    audit.write_bytes(whole + b'{"v":1,"seq":5')
    assert main(["audit", "verify", str(audit)]) == 0
    assert "1 torn" in capsys.readouterr().out
    audit.write_bytes(whole.replace(b'"violation"', b'"allowed"'))
    assert main(["audit", "verify", str(audit)]) == 1
    assert "audit.jsonl:1: the line was changed" in capsys.readouterr().out
    assert main(["audit", "verify", str(tmp_path / "none.jsonl")]) == 2
    assert "no audit file" in capsys.readouterr().err
    assert main(["audit", "verify", str(tmp_path)]) == 2
    assert f"{str(tmp_path)!r} cannot be read: Is a directory" in capsys.readouterr().err
    assert main(["audit", "verify", str(audit), "--key-file", "none.key"]) == 2
    assert "'none.key' cannot be read: No such file" in capsys.readouterr().err
