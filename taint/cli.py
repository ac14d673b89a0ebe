"""The command line: `python -m taint COMMAND`. Each command adds its own parser."""

from __future__ import annotations

import argparse
import importlib.util
import io
import runpy
import sys
import types
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from taint.errors import TaintError
from taint.launching import launch
from taint.propagation.rewriting import script_code
from taint.report import audit_commands, policy_commands, report_commands
from taint.version import __version__

Choices = Any  # argparse keeps the type of what `add_subparsers` gives to itself.

__all__ = ["main"]


def _add_run(choices: Choices) -> None:
    summary = "run a program with labels followed, and rewritten"
    parser = choices.add_parser("run", help=summary, description=f"{summary.capitalize()}.")
    parser.set_defaults(run=_run_program)
    parser.add_argument(
        "-p",
        "--package",
        action="append",
        default=[],
        metavar="NAME",
        help="make this package exact too, by rewriting it as it is imported; may be given several times",
    )
    parser.add_argument("-m", dest="is_module", action="store_true", help="run a module, as python -m does")
    parser.add_argument("program", help="a script, or with -m the name of a module")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="what the program finds in sys.argv")


def _run_program(options: argparse.Namespace) -> int:
    program: str = options.program
    if options.is_module:
        # As `python -m`: modules are looked for from where one stands.
        sys.path.insert(0, str(Path.cwd()))
        sys.argv = [program, *options.arguments]
        if _launched(options.package, program.partition(".")[0]) is None:
            return 2
        if not _is_module(program):
            sys.stderr.write(f"there is no module {program!r} here. Give a name that `python -m` takes, or a script.\n")
            return 2
        runpy.run_module(program, run_name="__main__", alter_sys=True)
        return 0
    path = Path(program)
    if not path.is_file():
        sys.stderr.write(
            f"there is no script {program!r}. Give the path of a Python file, or -m and a module's name.\n"
        )
        return 2
    sys.argv = [program, *options.arguments]
    sys.path.insert(0, str(path.resolve().parent))
    is_on = _launched(options.package)
    if is_on is None:
        return 2
    file_name = str(path.absolute())  # As Python itself says it since 3.9; `sys.argv` has it as it was typed.
    module = types.ModuleType("__main__")
    module.__dict__.update(__file__=file_name, __builtins__=__builtins__, __package__=None, __spec__=None)
    sys.modules["__main__"] = module
    with io.open_code(str(path.resolve())) as file:
        text = file.read()
    code = script_code(text, file_name) if is_on else compile(text, file_name, "exec", dont_inherit=True)
    exec(code, module.__dict__)  # noqa: S102  # This is what the command is for.
    return 0


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            return False
        raise


def _launched(packages: Iterable[str], *own: str) -> bool | None:
    """Turn the library on; None where the environment or the policy is wrong, which is said."""
    try:
        is_on = launch([*packages, *own])
    except TaintError as error:
        sys.stderr.write(f"{error}\n")
        return None
    for name in packages:
        if not _is_module(name.partition(".")[0]):
            sys.stderr.write(f"there is no package {name!r} here, so that none is made exact. Correct the name.\n")
    return is_on


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: What follows the program's name; `sys.argv[1:]` by default.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m taint", description="Keep personal data to its purpose.")
    parser.add_argument("--version", action="version", version=f"purpose-taint {__version__}")
    choices = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_run(choices)
    policy_commands.add_parser(choices)
    audit_commands.add_parser(choices)
    report_commands.add_parser(choices)
    options = parser.parse_args(arguments)
    status: int = options.run(options)
    return status
