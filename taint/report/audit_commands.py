"""Commands about the audit file: `audit verify`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from taint.report.guarding import guarded
from taint.telemetry.audit import verify

__all__ = ["add_parser"]

INTACT, BROKEN = 0, 1
"""Exit statuses."""


def add_parser(subparsers: Any) -> None:  # argparse keeps the type of what `add_subparsers` gives to itself.
    """Add the commands to a command line."""
    audit = subparsers.add_parser("audit", help="look after an audit file")
    choices = audit.add_subparsers(required=True, metavar="COMMAND")
    verifying = choices.add_parser(
        "verify",
        help="find lines that were removed, changed or moved",
        description="Find lines of an audit file that were removed, changed or moved.",
        epilog="Ends with 0 where there are none, 1 where there are, 2 where the file cannot be read.",
    )
    verifying.add_argument("file", help="the audit file; rotated ones beside it are read first")
    verifying.add_argument("--key-file", metavar="FILE", help="the key that the file was written with, as its bytes")
    verifying.set_defaults(run=lambda options: guarded(_verify, options))


def _verify(options: argparse.Namespace) -> int:
    key = None if options.key_file is None else Path(options.key_file).read_bytes()
    found = verify(options.file, key=key)
    print(found)
    return INTACT if found.is_intact else BROKEN
