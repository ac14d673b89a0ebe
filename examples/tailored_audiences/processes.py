"""How the runner starts this example's programs, each as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from examples.tailored_audiences.telemetry import OTLP_ENDPOINT

_ROOT = Path(__file__).resolve().parents[2]
_STOP_SECONDS = 10.0


class ProcessFailedError(Exception):
    """A program of this example ended with an error, which it has printed itself.

    Attributes:
        exit_code: Its exit code.
    """

    def __init__(self, module: str, exit_code: int) -> None:
        super().__init__(f"{module!r} ended with exit code {exit_code}. What it printed above says why.")
        self.exit_code = exit_code


@contextmanager
def server(module: str, *arguments: str, mode: str) -> Iterator[str]:
    """Run one of the servers.

    Args:
        module: Which, by the name of its module.
        arguments: Its command-line arguments.
        mode: The library's mode in it, as in ``TAINT_MODE``.

    Yields:
        The address at which it answers.

    Raises:
        ProcessFailedError: If it ends before it listens.
    """
    with subprocess.Popen(
        [*_command(module), *arguments, "--stop-at-end-of-input"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=_ROOT,
        env=_environment(mode),
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            if not address:
                raise ProcessFailedError(module, process.wait(_STOP_SECONDS))
            yield address
        finally:
            process.stdin.close()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def run_program(module: str, *arguments: str, mode: str) -> subprocess.CompletedProcess[str]:
    """Run one of the programs to its end.

    Args:
        module: Which, by the name of its module.
        arguments: Its command-line arguments.
        mode: The library's mode in it, as in ``TAINT_MODE``.

    Returns:
        Its exit code and what it printed.
    """
    command = [*_command(module), *arguments]
    return subprocess.run(command, cwd=_ROOT, env=_environment(mode), capture_output=True, text=True, check=False)


def _command(module: str) -> list[str]:
    return [sys.executable, "-m", f"examples.tailored_audiences.{module}"]


def _environment(mode: str) -> Mapping[str, str]:
    # The example sets up tracing and the library itself: settings of the user's own shell would change what it shows.
    # Where spans go besides is the user's.
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name == OTLP_ENDPOINT or not name.startswith(("OTEL_", "TAINT_"))
    }
    # 0: each person's refusal is a span of its own here, where a service would want repeats told as one.
    return inherited | {"TAINT_MODE": mode, "TAINT_REPEAT_SECONDS": "0"}
