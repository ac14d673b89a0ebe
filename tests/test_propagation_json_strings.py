"""Labels on whole strings of a JSON document are found at the speed of C, others as before, and none is misplaced."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import taint
from taint.carriers.operations import coverage_of
from taint.carriers.proxy import exact
from taint.labels import Labels
from taint.propagation.json_strings import label_strings, string_coverage, strings_in
from taint.propagation.json_tree import json_tree
from taint.propagation.pairing import detached, label_loaded, labelled_document

MFA, ADS = (taint.labels_of(taint.label("x", purpose=purpose)) for purpose in ("security.mfa", "advertising.audiences"))


def text(value: str, labels: Labels = MFA) -> Any:
    """Give a text that is labelled as a whole."""
    return taint.label(value, purpose=labels.purposes) if value else value


ODD = st.text(alphabet='ab"\\,:{}[]é\n\ue000\U0001f600 u0', max_size=6)
PARTS = st.builds(lambda before, value, after: before + text(value) + after, ODD, ODD, ODD)
STRINGS = ODD | st.builds(text, ODD, st.sampled_from((MFA, ADS))) | PARTS
VALUES = st.recursive(
    STRINGS | st.integers() | st.booleans() | st.none() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STRINGS, inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(autouse=True)
def installed() -> Iterator[None]:
    """Have json carry labels."""
    taint.install(integrations=[])
    yield
    taint.uninstall()


def plain(value: Any) -> Any:
    """Give a value without labels."""
    return detached(value).value


def flattened(value: Any) -> list[Any]:
    """Give each leaf and key, with what of it is covered by what."""
    if isinstance(value, dict):
        return [part for key, item in value.items() for part in (*flattened(key), *flattened(item))]
    if isinstance(value, list):
        return [part for item in value for part in flattened(item)]
    return [(exact(value), coverage_of(value) if isinstance(value, str) else None)]


@given(VALUES, st.sampled_from((None, 2)), st.booleans(), st.booleans())
def test_as_the_slow_way(value: Any, indent: int | None, ensure_ascii: bool, sort_keys: bool) -> None:
    """Documents and what is loaded from them have the same characters and labels as by a tree of all positions."""
    options: dict[str, Any] = {"indent": indent, "ensure_ascii": ensure_ascii, "sort_keys": sort_keys}
    document = json.dumps(value, **options)
    native = json.dumps(plain(value), **options)
    assert exact(document) == native
    slow = labelled_document(native, detached(value), json_tree)
    assert coverage_of(document) == coverage_of(slow)
    loaded = json.loads(document)
    by_tree = label_loaded(json.loads(native), coverage_of(slow), lambda: json_tree(native))
    assert flattened(loaded) == flattened(by_tree)


def assert_never_another_answer(document: str, coverage: Any) -> None:
    """Load a document both ways: the quick one gives what the slow one gives, or says that it does not know."""
    quick = label_strings(json.loads(document), document, coverage)
    by_tree = label_loaded(json.loads(document), coverage, lambda: json_tree(document))
    assert quick is None or flattened(quick) == flattened(by_tree)


@given(VALUES)
def test_quick_where_it_answers(value: Any) -> None:
    """Where the quick way answers, it says what the slow one says."""
    native = json.dumps(plain(value))
    coverage = string_coverage(native, strings_in(value))
    slow = coverage_of(labelled_document(native, detached(value), json_tree))
    assert coverage in (None, slow)
    if slow is not None:
        assert_never_another_answer(native, slow)


def test_it_answers() -> None:
    """The usual document of labelled fields needs no other way."""
    value = {"id": 7, "phone": text("+1 415 555 0100"), "name": text("Zoë"), "tags": ["a", text("b", ADS)]}
    native = json.dumps(plain(value))
    coverage = string_coverage(native, strings_in(value))
    assert coverage is not None
    assert coverage == coverage_of(labelled_document(native, detached(value), json_tree))
    loaded = label_strings(json.loads(native), native, coverage)
    assert flattened(loaded) == flattened(value)


def covering(document: str, part: str) -> Any:
    """Give a document in which one part is labelled."""
    before, _, after = document.partition(part)
    return before + text(part) + after


@pytest.mark.parametrize(
    ("document", "part", "found"),
    [
        ('{"a": "x", "b": "y"}', "x", ["x"]),
        ('{"a": "x", "b": "y"}', '": "', []),
        ('["a", "b"]', ", ", []),
        ('["a", "b"]', 'a", "b', ["a", "b"]),
        ('{"b": "1", "a": "x", "b": "2", "a": "y"}', 'x", "b": "2", "a": "y', ["2", "y"]),
        ('["x\\",7,", ",5]", 1, 2]', "x\\", ['x",7,']),
        ('["x\\"private", "y"]', "private", ['x"private']),
        ('["private\\\\", "y"]', "private\\\\", ["private\\"]),
        ('{"a": "private", "a": "y"}', "private", []),
        ('{"a": "private", "a": "y", "b": "\\ue0000"}', "private", []),
        ('{"a": "private", "a": "y", "b": "\\uE0000"}', "private", []),
        ('{"a": "private", "a": "y", "b": "\ue0000"}', "private", []),
        ('{"private": "y"}', "private", ["private"]),
        ('["private"]', "riv", ["private"]),
        ('"private"', "private", ["private"]),
        (' "private" ', "private", ["private"]),
    ],
)
def test_only_what_stands_there(document: str, part: str, found: list[str]) -> None:
    """What is labelled between, across or inside of strings labels the strings it reaches, and no others."""
    loaded = json.loads(covering(document, part))
    assert flattened(plain(loaded)) == flattened(json.loads(document))
    assert [one for one, coverage in flattened(loaded) if coverage] == found
    assert_never_another_answer(document, coverage_of(covering(document, part)))


def test_functions_of_the_program_run_once() -> None:
    """A hook is called as often as without the library; without one the document may be read twice."""
    calls: list[Any] = []

    def hook(value: Any) -> Any:
        calls.append(value)
        return value

    for labelled in (text("private"), "in part: " + text("private")):
        document = json.dumps({"a": labelled, "b": {"n": 1.5}})
        for option in ("object_hook", "object_pairs_hook"):
            hooks: dict[str, Any] = {option: hook}
            json.loads(document, **hooks)
        for option in ("parse_float", "parse_int"):
            hooks = {option: hook}
            json.loads(document.replace("1.5", '1.5, "i": 7'), **hooks)
        json.loads(document.replace("1.5", "NaN"), parse_constant=hook)
        assert len(calls) == 2 + 2 + 1 + 1 + 1
        calls.clear()
        assert taint.labels_of(json.loads(document, parse_float=str)["a"])


def test_default_runs_once() -> None:
    """So is `default`."""
    calls: list[object] = []

    def default(value: object) -> str:
        calls.append(value)
        return "made"

    document = json.dumps({"a": text("private"), "b": object()}, default=default)
    assert len(calls) == 1
    assert json.loads(document)["b"] == "made"
    assert taint.labels_of(json.loads(document)["a"])


def test_errors_are_the_native_ones() -> None:
    """A document that cannot be read, or a value that cannot be written, gives the native error."""
    with pytest.raises(json.JSONDecodeError, match="Expecting ',' delimiter: line 1 column 12"):
        json.loads(covering('["private" "x"]', "private"))
    looped: list[Any] = [text("private")]
    looped.append(looped)
    with pytest.raises(ValueError, match="Circular reference detected"):
        json.dumps(looped)
    with pytest.raises(TypeError, match="Object of type object is not JSON serializable"):
        json.dumps([text("private"), object()])
    with pytest.raises(ValueError, match="Out of range float"):
        json.dumps([text("private"), float("nan")], allow_nan=False)
