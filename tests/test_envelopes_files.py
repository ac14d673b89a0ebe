"""Files with a side-car: what is read has the labels that were written, and a side-car that does not fit is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import taint
from taint.envelopes.facts import DISTRUSTED
from taint.envelopes.files import (
    SUFFIX,
    keep_labels,
    kept_labels,
    read_csv,
    read_file,
    read_parquet,
    write_csv,
    write_file,
    write_parquet,
)
from taint.envelopes.keys import EnvelopeKeys, set_keys
from taint.testing import record

PHONE = "+14155550100"


@pytest.fixture(autouse=True)
def _set_up() -> Iterator[None]:
    before = set_keys(EnvelopeKeys({"k1": bytes(range(32))}))
    taint.install(integrations=[])
    yield
    set_keys(before)


def phone(purpose: str = "security.mfa") -> str:
    """A labelled number."""
    return taint.label(PHONE, purpose=purpose, source="enrolment")


def test_json(tmp_path: Path) -> None:
    """The leaves of a JSON file are labelled as they were; the file itself is what it is without the library."""
    file = tmp_path / "rows.json"
    rows = [{"id": 1, "phone": phone()}, {"id": 2, "phone": PHONE}]
    with record() as seen:
        write_file(file, json.dumps(rows))
        loaded = json.loads(read_file(file))
    assert file.read_bytes() == json.dumps([{"id": 1, "phone": PHONE}, {"id": 2, "phone": PHONE}]).encode()
    assert loaded == rows
    assert taint.labels_of(loaded[0]["phone"]) == taint.labels_of(phone())
    assert not taint.labels_of(loaded[1])
    assert seen.gaps == []


def _csv(file: Path, given: dict[str, list[Any]]) -> dict[str, list[Any]]:
    write_csv(file, [dict(zip(given, row, strict=True)) for row in zip(*given.values(), strict=True)])
    rows = read_csv(file)
    return {name: [row[name] for row in rows] for name in given}


def _parquet(file: Path, given: dict[str, list[Any]]) -> dict[str, list[Any]]:
    pytest.importorskip("pyarrow")
    write_parquet(file, given)
    return read_parquet(file)


TABLES: dict[str, Callable[[Path, dict[str, list[Any]]], dict[str, list[Any]]]] = {"csv": _csv, "parquet": _parquet}


@pytest.mark.parametrize("through", TABLES.values(), ids=TABLES)
def test_tables(tmp_path: Path, through: Callable[..., dict[str, list[Any]]]) -> None:
    """Of a table each column has its own labels, an unlabelled one none; without labels there is no side-car."""
    file = tmp_path / "table"
    given = {"id": ["1", "2"], "a/b": [phone(), "x"], "c~d": ["y", phone("marketing")]}
    back = through(file, given)
    assert back == given
    assert [taint.labels_of(value).purposes for value in back["a/b"]] == [{"security.mfa"}] * 2
    assert [taint.labels_of(value).purposes for value in back["c~d"]] == [{"marketing"}] * 2
    assert not taint.labels_of(back["id"])
    plain = through(file, {"id": ["1"], "a/b": [PHONE]})
    assert not taint.labels_of(plain)
    assert not Path(f"{file}{SUFFIX}").exists()


def test_labels_of_a_file_by_others(tmp_path: Path) -> None:
    """A file that was written by other means is given labels, and loses them with an empty statement."""
    file = tmp_path / "export.csv"
    file.write_text("phone,id\n+1,2\n", encoding="utf-8")
    labels = taint.labels_of(phone())
    keep_labels(file, {"phone": labels, "": taint.labels_of(phone("marketing"))})
    assert kept_labels(file) == {"phone": labels, "": taint.labels_of(phone("marketing"))}
    (row,) = read_csv(file)
    assert taint.labels_of(row["phone"]).purposes == {"security.mfa", "marketing"}
    assert taint.labels_of(row["id"]).purposes == {"marketing"}
    keep_labels(file, {})
    assert kept_labels(file) == {}


CHANGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "another file": (lambda file: file.write_bytes(b"phone\n+2\n"), "envelope-replayed"),
    "forged": (lambda file: _side_with(file, lambda one: one[:-3] + b"AAA"), "envelope-forged"),
    "cut": (lambda file: _side_with(file, lambda one: one[:-50]), "envelope-truncated"),
    "newer": (lambda file: _side_with(file, lambda one: b"7" + one[1:]), "envelope-unknown-version"),
    "empty": (lambda file: _side_with(file, lambda _: b""), "envelope-missing"),
}


def _side_with(file: Path, change: Callable[[bytes], bytes]) -> None:
    side = Path(f"{file}{SUFFIX}")
    side.write_bytes(change(side.read_bytes()))


@pytest.mark.parametrize(("change", "rule"), CHANGES.values(), ids=CHANGES)
def test_side_car_that_does_not_fit(tmp_path: Path, change: Callable[[Path], Any], rule: str) -> None:
    """A side-car that is forged, cut or of another file adds what it says, vouched for by nobody, and is a gap."""
    file = tmp_path / "t.csv"
    write_csv(file, [{"phone": phone()}])
    change(file)
    with record() as seen:
        found = [read_csv(file), read_file(file)]
    assert [gap.rule for gap in seen.gaps] == [rule] * 2
    assert {label.source for label in taint.labels_of(found)} <= {DISTRUSTED}
    assert bool(taint.labels_of(found)) is (rule in {"envelope-replayed", "envelope-forged"})


def test_overwritten(tmp_path: Path) -> None:
    """A file that is written again without labels has none left; a copy with its side-car keeps them."""
    file, copy = tmp_path / "a.txt", tmp_path / "b.txt"
    write_file(file, phone())
    copy.write_bytes(file.read_bytes())
    Path(f"{copy}{SUFFIX}").write_bytes(Path(f"{file}{SUFFIX}").read_bytes())
    write_file(file, PHONE)
    with record() as seen:
        assert not taint.labels_of(read_file(file))
        assert taint.labels_of(read_file(copy)) == taint.labels_of(phone())
    assert seen.gaps == []
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.txt", "b.txt", "b.txt.labels"]


def test_no_key_and_off(tmp_path: Path) -> None:
    """Without a key a file has no side-car, which is a gap; in mode `off` it has none, and none is read."""
    set_keys(EnvelopeKeys({}))
    with record() as seen:
        write_file(tmp_path / "a", phone())
        write_csv(tmp_path / "b", [{"phone": phone()}])
    assert [gap.rule for gap in seen.gaps] == ["envelope-no-key"] * 2
    set_keys(EnvelopeKeys({"k1": bytes(range(32))}))
    write_csv(tmp_path / "c", [{"phone": phone()}])
    with record(mode="off"):
        write_csv(tmp_path / "d", [{"phone": phone()}])
        assert type(read_csv(tmp_path / "c")[0]["phone"]) is str
    assert {one.name for one in tmp_path.iterdir()} == {"a", "b", "c", "c.labels", "d"}
