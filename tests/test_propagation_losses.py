"""The loss table: every row is run, and docs/losses.md says what was seen."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator

import pytest

import taint
from taint import modes
from taint.modes import Mode, set_mode
from tests.losses.rows import Kept, Row, native_code, observe, rewritten_code
from tests.losses.table import PAGE, all_rows, page

VERSION = sys.version_info[:2]


def _here() -> list[Row]:
    return [row for row in all_rows() if row.expected(VERSION) is not None]


@pytest.fixture(autouse=True, scope="module")
def _isolation() -> Iterator[None]:
    """Install once for all rows, in place of once for each: that would be most of their time."""
    modes._is_explicit = False
    before = set_mode(Mode.BLOCK)
    taint.install()
    yield
    taint.uninstall()
    set_mode(before)


def _check(row: Row, *, rewritten: bool) -> None:
    if row.needs:
        pytest.importorskip(row.needs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # A row may use what is deprecated; its files are closed with it.
        seen = observe(row, rewritten_code if rewritten else native_code)
    expected = row.expected(VERSION, rewritten=rewritten)
    assert seen.kept == expected, f"{rewritten=}: {seen.kept}, not {expected}. {seen.error}"
    if expected is Kept.REFUSED:
        return
    assert seen.is_same, "the labelled value and the plain one give different results"
    if expected is Kept.LOST:
        assert row.net == ("known" if seen.is_recognisable else "none")


@pytest.mark.parametrize("row", _here(), ids=lambda row: row.name)
def test_a_consumer_does_with_labels_what_the_table_says(row: Row) -> None:
    """The result covers what its row says and its value is the native one, as it stands and in a rewritten package."""
    _check(row, rewritten=False)
    _check(row, rewritten=True)


def test_rows_are_many_and_none_is_there_twice() -> None:
    """The table has at least 300 rows, each once."""
    names = [(row.group, row.name) for row in all_rows()]
    assert len(names) >= 300
    assert len(set(names)) == len(names)


def test_the_page_is_the_one_that_the_rows_make() -> None:
    """docs/losses.md is up to date: `python -m tests.losses` writes it anew."""
    assert PAGE.read_text(encoding="utf-8") == page()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x.upper()", Kept.EXACTLY),
        ("[x, 'plain']", Kept.EXACTLY),
        ("taint.label(x, purpose='service') if taint.labels_of(x) else x", Kept.WHOLE),
        ("taint.plain(x)", Kept.LOST),
        ("[x, taint.plain(x)]", Kept.LOST),
        ("len(x)", Kept.UNRELATED),
        ("1 / (not taint.labels_of(x))", Kept.REFUSED),
    ],
)
def test_the_measure_tells_the_classes_apart(source: str, expected: Kept) -> None:
    """A row's class is found by comparing results for different data, not by what somebody wrote down."""
    assert observe(Row(source, source)).kept is expected
