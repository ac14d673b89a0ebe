"""The loss table: every row is run, and docs/losses.md says what was seen."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
from collections.abc import Iterator

import pytest

import taint
from tests.losses.rows import Kept, Row, native_code, observe, rewritten_code
from tests.losses.table import PAGE, all_rows, page

VERSION = sys.version_info[:2]
HAS_REWRITING = importlib.util.find_spec("taint.propagation.rewriting") is not None


def _here() -> list[Row]:
    return [row for row in all_rows() if row.expected(VERSION) is not None]


@pytest.fixture(autouse=True)
def _installed() -> Iterator[None]:
    taint.install()
    yield
    taint.uninstall()


def _check(row: Row, *, rewritten: bool) -> None:
    if row.needs:
        pytest.importorskip(row.needs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # A row may use what is deprecated; its files are closed with it.
        seen = observe(row, rewritten_code if rewritten else native_code)
    expected = row.expected(VERSION, rewritten=rewritten)
    assert seen.kept == expected, f"{seen.kept}, not {expected}. {seen.error}"
    if expected is Kept.REFUSED:
        return
    assert seen.is_same, "the labelled value and the plain one give different results"
    if expected is Kept.LOST:
        assert row.net == ("known" if seen.is_recognisable else "none")


@pytest.mark.parametrize("row", _here(), ids=lambda row: row.name)
def test_a_consumer_does_with_labels_what_the_table_says(row: Row) -> None:
    """The result covers what changes with the labelled data as its row says; its value is the native one."""
    _check(row, rewritten=False)


@pytest.mark.skipif(not HAS_REWRITING, reason="rewriting is not there")
@pytest.mark.parametrize("row", _here(), ids=lambda row: row.name)
def test_a_consumer_in_a_rewritten_package_does_what_the_table_says(row: Row) -> None:
    """The same source, compiled as in a package given to `install(packages=...)`."""
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
