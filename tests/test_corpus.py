"""The corpus: every leak is caught, or stands here as a known miss, and nothing is a false alarm."""

from __future__ import annotations

import pytest

from tests.corpus.__main__ import judge, load_programs
from tests.corpus.engines import PurposeTaint
from tests.corpus.programs import Program

_IN_C = "built by C code that asks no operand; import rewriting makes it exact"
_NOT_YET = "no wrapper for this function yet"
_STORED = "leaves the process's memory; known values or a store's integration find it"

KNOWN_MISSES = {
    "formatted.fstring": _IN_C,
    "formatted.percent": _IN_C,
    "formatted.format_method": _IN_C,
    "formatted.joined": _IN_C,
    "hashed.in_sql": _STORED,
    "hashed.checksum": _NOT_YET,
    "matched.by_bloom_filter": "single bytes are plain integers",
    "matched.by_join": _STORED,
    "normalised.digits": _IN_C,
    "normalised.numbered": _IN_C,
    "stored.in_a_database": _STORED,
    "stored.in_a_file": _STORED,
    "stored.by_another_program": _STORED,
}


@pytest.mark.parametrize("program", load_programs(), ids=lambda program: f"{program.kind}.{program.name}")
def test_leak_is_caught_and_its_safe_twin_passes(program: Program) -> None:
    """A leak that is newly caught must leave the list of misses, so that the list stays true."""
    expected = "passed" if not program.is_leak else "caught"
    if f"{program.kind}.{program.name}" in KNOWN_MISSES:
        expected = "missed"
    assert judge(PurposeTaint, program) == expected


def test_known_misses_are_programs() -> None:
    """The list names nothing that is not in the corpus."""
    assert KNOWN_MISSES.keys() <= {f"{program.kind}.{program.name}" for program in load_programs()}
