"""subprocess: what programs that the policy declares are given."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import taint
from taint.testing import record
from tests.integrations.outside import PHONE, REDACTED, advertising, security

SHOW = "import os, sys; print(sys.argv[1:], os.environ.get('WHO'), sys.stdin.read())"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program that shows what it is given."""
    script = tmp_path / "ads-upload"
    script.write_text(f"#!{sys.executable}\n{SHOW}\n")
    script.chmod(0o755)
    taint.install(integrations=["subprocess"])
    return script


def declare(*patterns: str, mode: str = "block") -> None:
    """Put a policy in force in which programs are a sink for advertising."""
    sinks = {"ads.upload": {"purpose": "advertising", "at": {"command": list(patterns or ("ads-upload",))}}}
    taint.configure(policy={"sinks": sinks}, mode=mode)


def _run(program: Path, *args: Any, **kwargs: Any) -> str:
    kwargs.setdefault("stdin", subprocess.DEVNULL) if "input" not in kwargs else None
    done = subprocess.run([program, *args], capture_output=True, text=True, check=True, timeout=20, **kwargs)
    return str(done.stdout)


def _piped(program: Path, phone: str) -> str:
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(phone)
        finally:
            process.stdin.close()
        return process.stdout.read()


def _in_shell(program: Path, phone: str) -> str:
    command = "true && A=1 " + str(program) + " " + phone + " < /dev/null | cat"
    return subprocess.run(command, shell=True, capture_output=True, text=True, check=True, timeout=20).stdout  # noqa: S602  # A shell is what is tested.


def _in_asyncio(program: Path, phone: str) -> str:
    async def run() -> bytes:
        process = await asyncio.create_subprocess_exec(program, phone, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        return (await process.communicate())[0]

    return asyncio.run(run()).decode()


CALLS: list[tuple[str, Callable[[Path, str], str], str]] = [
    ("argument", lambda program, phone: _run(program, "-n", phone), "argv[2]"),
    ("part of an argument", lambda program, phone: _run(program, "--to=" + phone), "argv[1]"),
    ("path", lambda program, phone: _run(program, Path("to") / phone), "argv[1]"),
    ("environment", lambda program, phone: _run(program, env={"WHO": phone}), "env.WHO"),
    ("input", lambda program, phone: _run(program, input=phone), "input"),
    ("pipe", _piped, "stdin[0]"),
    ("shell", _in_shell, "argv"),
    ("asyncio", _in_asyncio, "argv[1]"),
]


@pytest.mark.parametrize(("call", "path"), [row[1:] for row in CALLS], ids=[row[0] for row in CALLS])
class TestSink:
    """A declared program is a sink, by every way to give it something."""

    def test_block(self, program: Path, call: Callable[[Path, str], str], path: str) -> None:
        """What the program may not have does not reach it."""
        declare()
        with pytest.raises(taint.PurposeViolationError) as stopped:
            call(program, security())
        assert stopped.value.violation.path == path

    def test_safe_twin(self, program: Path, call: Callable[[Path, str], str], path: str) -> None:
        """What it may have reaches it as a plain value does."""
        plain = call(program, PHONE)
        declare()
        with record() as seen:
            assert call(program, advertising()) == plain
        assert PHONE in plain
        assert seen.violations == []

    def test_report(self, program: Path, call: Callable[[Path, str], str], path: str) -> None:
        """In mode `report` it reaches the program, and the violation is told once."""
        declare(mode="report")
        with record(mode="report") as seen:
            assert PHONE in call(program, security())
        assert [flow.path for flow in seen.violations] == [path]

    def test_redact(self, program: Path, call: Callable[[Path, str], str], path: str) -> None:
        """In mode `redact` the program has the stand-in."""
        declare(mode="redact")
        said = call(program, security())
        assert REDACTED in said
        assert PHONE not in said


def test_other_programs_are_no_sinks(program: Path) -> None:
    """A program that nobody declared is no sink."""
    declare("other-upload")
    with record() as seen:
        assert PHONE in _run(program, security())
    assert seen.flows == []


@pytest.mark.parametrize(
    ("pattern", "is_sink"),
    [("*/ads-upload", True), ("ads-upload --live *", True), ("ads-upload --dry *", False), ("ads-*", True)],
)
def test_names(program: Path, pattern: str, is_sink: bool) -> None:
    """A program is known by its path, its name, and with a space in the pattern by its whole command line."""
    declare(pattern, mode="redact")
    assert (REDACTED in _run(program, "--live", security())) is is_sink


def test_system(program: Path, tmp_path: Path) -> None:
    """`os.system` is a shell's command too."""
    declare()
    out = tmp_path / "out"
    command = str(program) + " {} < /dev/null > " + str(out)
    os.system(command.format(advertising()))  # noqa: S605  # A shell is what is tested.
    assert PHONE in out.read_text()
    with pytest.raises(taint.PurposeViolationError):
        os.system(str(program) + " " + security())  # noqa: S605  # As above.


def test_program_ends_where_its_input_is_stopped(program: Path) -> None:
    """A program whose input is stopped is not left waiting."""
    declare()
    process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stdin is not None
    try:
        with pytest.raises(taint.PurposeViolationError):
            process.communicate(security(), timeout=10)
        assert process.returncode is not None
    finally:
        process.stdin.close()
        process.wait(10)
