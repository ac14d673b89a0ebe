"""Read an advertiser's customer list, in the CSV form that ad platforms take: hashed addresses and numbers.

A row that cannot be read is kept with its line number, never with its content, and the others are used.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from examples.tailored_audiences.errors import BadInputError

COLUMNS = ("email", "phone")

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class CustomerList:
    """A customer list as the ads job reads it.

    Attributes:
        digests: Every key in the file.
        rows: How many rows were used.
        malformed: Line number and what is wrong with it, for each row that was not.
    """

    digests: frozenset[str]
    rows: int
    malformed: list[tuple[int, str]]


def read_customer_list(path: Path) -> CustomerList:
    """Read an advertiser's file, whichever of the two columns it has and in whichever order.

    Args:
        path: The CSV file.

    Returns:
        The keys, and which rows could not be read.

    Raises:
        BadInputError: If there is no such file, or its first line does not name the columns.
    """
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise BadInputError(
            f"customer list {str(path)!r} cannot be read: {error.strerror}. Give --customer-list a CSV file with the "
            f"columns {' and '.join(COLUMNS)}."
        ) from error
    # Not splitlines(): it also splits where an editor that shows line numbers does not.
    lines = text.removesuffix("\n").split("\n")
    header = {name.strip().lower() for name in lines[0].split(",")}
    if not header <= set(COLUMNS):
        raise BadInputError(
            f"customer list {str(path)!r} does not start with the names of its columns. Allowed are "
            f"{' and '.join(COLUMNS)}. Put 'email,phone' into its first line."
        )
    digests: set[str] = set()
    malformed: list[tuple[int, str]] = []
    rows = 0
    for line_number, line in enumerate(lines[1:], start=2):
        try:
            digests.update(_read_row(line, columns=len(header)))
            rows += 1
        except ValueError as error:
            malformed.append((line_number, str(error)))
    return CustomerList(frozenset(digests), rows, malformed)


def _read_row(line: str, columns: int) -> Iterable[str]:
    # One reader for each line: a quotation mark that is never closed spoils its own row, not the rest of the file.
    try:
        cells = [cell.strip().lower() for row in csv.reader([line], strict=True) for cell in row]
    except csv.Error as error:
        raise ValueError("it is not valid CSV") from error
    if len(cells) != columns:
        raise ValueError(f"it has not {columns} cells as the first line has")
    digests = [cell for cell in cells if cell]
    if not digests:
        raise ValueError("it is empty")
    if not all(_SHA256.fullmatch(digest) for digest in digests):
        raise ValueError("a cell is not a SHA-256 of 64 hexadecimal digits")
    return digests
