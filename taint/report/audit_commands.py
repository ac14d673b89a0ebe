"""Commands about the audit file: `audit verify`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from taint.errors import ConfigurationError
from taint.telemetry.audit import verify

__all__ = ["add_parser"]

INTACT, BROKEN, BAD_INPUT = 0, 1, 2
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
    verifying.set_defaults(run=_verify)


def _verify(options: argparse.Namespace) -> int:
    try:
        key = None if options.key_file is None else Path(options.key_file).read_bytes()
        found = verify(options.file, key=key)
    except OSError as error:
        sys.stderr.write(f"{error.filename!r} cannot be read: {error.strerror}. Check its path and its permissions.\n")
        return BAD_INPUT
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return BAD_INPUT
    print(found)
    return INTACT if found.is_intact else BROKEN
