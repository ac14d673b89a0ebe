"""The corpus: every leak is caught, or stands here as a known miss, and nothing is a false alarm."""

from __future__ import annotations

import pytest

from tests.corpus.__main__ import judge, load_programs
from tests.corpus.engines import PurposeTaint
from tests.corpus.programs import Program

KNOWN_MISSES = {
    "matched.by_bloom_filter": "single bytes are plain integers",
    "matched.by_join": "the tables of a database in memory have no declared columns",
}


@pytest.mark.parametrize("program", load_programs(PurposeTaint), ids=lambda program: f"{program.kind}.{program.name}")
def test_leak_is_caught_and_its_safe_twin_passes(program: Program) -> None:
    """A leak that is newly caught must leave the list of misses, so that the list stays true."""
    expected = "passed" if not program.is_leak else "caught"
    if f"{program.kind}.{program.name}" in KNOWN_MISSES:
        expected = "missed"
    assert judge(PurposeTaint, program) == expected


def test_known_misses_are_programs() -> None:
    """The list names nothing that is not in the corpus."""
    assert KNOWN_MISSES.keys() <= {f"{program.kind}.{program.name}" for program in load_programs(PurposeTaint)}
