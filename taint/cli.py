"""The command line: `python -m taint COMMAND`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from taint.report import policy_commands

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: What follows the program's name; `sys.argv[1:]` by default.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m taint", description="Keep personal data to its purpose.")
    choices = parser.add_subparsers(required=True, metavar="COMMAND")
    policy_commands.add_parser(choices)
    options = parser.parse_args(arguments)
    status: int = options.run(options)
    return status
