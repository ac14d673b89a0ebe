"""Labels on whole strings of a JSON document are found at the speed of C, others as before, and none is misplaced."""

from __future__ import annotations

import json
import sys
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


class Lenient(json.JSONDecoder):
    """Changes what its scanner in C has been made with, which then takes no notice."""

    def __init__(self, **settings: Any) -> None:
        """Make the scanner, and then change the settings."""
        super().__init__(**settings)
        self.strict = False
        self.object_hook = tuple


@pytest.mark.parametrize("part", ["private", "[private"])
def test_a_decoder_reads_by_what_its_scanner_was_made_with(part: str) -> None:
    """Settings that are changed later change nothing, as natively."""
    document = '{"a": "[private", "b": {}}'
    assert json.loads(covering(document, part), cls=Lenient) == json.loads(document, cls=Lenient)
    assert taint.labels_of(json.loads(covering(document, part), cls=Lenient)["a"])
    with pytest.raises(json.JSONDecodeError, match="Invalid control character"):
        json.loads(covering('["[private\n"]', part), cls=Lenient)


@pytest.mark.parametrize("part", ["private", '"private'])
def test_a_place_before_the_document_is_refused(part: str) -> None:
    """A place below zero is none, as natively; one inside of the document is."""
    document = covering('["private"]', part)
    with pytest.raises(ValueError, match="idx cannot be negative"):
        json.JSONDecoder().raw_decode(document, -3)
    value, end = json.JSONDecoder().raw_decode(document, 1)
    assert (value, end, bool(taint.labels_of(value))) == ("private", 10, True)


@pytest.mark.parametrize("part", ["x", "12"])
def test_an_error_shows_the_document_with_its_labels(part: str) -> None:
    """The document that an error has is the labelled one, and a plain one is plain."""
    with pytest.raises(json.JSONDecodeError) as seen:
        json.loads(covering('["x", 12, ]', part))
    assert taint.labels_of(seen.value.doc)
    with pytest.raises(json.JSONDecodeError) as seen:
        json.loads('["x", 12, ]')
    assert not taint.labels_of(seen.value.doc)


@pytest.mark.parametrize(
    "options", [{"separators": (text(" , "), ":")}, {"separators": (",", text(" : "))}, {"indent": text("  ")}]
)
def test_labels_between_values(options: dict[str, Any]) -> None:
    """Where what stands between values is labelled, so is that of the document; else it is not."""
    value = {"a": [text("private"), "b"], "c": "d"}
    native: dict[str, Any] = {
        name: tuple(map(exact, option)) if isinstance(option, tuple) else exact(option)
        for name, option in options.items()
    }
    document = json.dumps(value, **options)
    assert document == json.dumps(plain(value), **native)
    covered = [document[found.start : found.stop] for found in taint.ranges_of(document)]
    assert "private" in covered
    assert len(covered) > 1
    assert len(taint.ranges_of(json.dumps(value, **native))) == 1


DEPTH = 800  # More than Python's own frames have room for, and less than C refuses.


def innermost(value: Any) -> Any:
    """Give what is inside of many lists and dicts."""
    while type(value) in (list, dict):
        value = value[0] if type(value) is list else value["k"]
    return value


def test_as_deep_as_natively() -> None:
    """A document that C reads and Python's scanner does not is read, and labelled as a whole."""
    for leaf, labelled in (("in part: " + text("private"), True), ("plain", False)):
        document = '["a", {"k": ' + "[" * DEPTH + '"' + leaf + '"' + "]" * DEPTH + "}]"
        first, rest = json.loads(document)
        assert (first, innermost(rest)) == ("a", leaf)
        assert bool(taint.labels_of(innermost(rest))) is labelled


def test_a_hook_is_not_called_twice_for_a_deep_document() -> None:
    """With a function of the program the error of too much depth is the outcome."""
    calls: list[Any] = []
    document = '[{"k": 1.5}, ' + "[" * DEPTH + '"in part: ' + text("private") + '"' + "]" * DEPTH + "]"
    with pytest.raises(RecursionError):
        json.loads(document, object_hook=calls.append)
    assert len(calls) == 1


@pytest.mark.skipif(sys.version_info < (3, 12), reason="C has as little room as Python")
def test_as_deep_as_natively_written() -> None:
    """So is a value that C writes."""
    for leaf in (text("private"), "in part: " + text("private"), "plain"):
        value: Any = leaf
        for _ in range(1200):
            value = [value]
        document = json.dumps(value)
        assert document == "[" * 1200 + f'"{leaf}"' + "]" * 1200
        assert taint.labels_of(document) == taint.labels_of(leaf)


@pytest.mark.parametrize("others", [[], [text("private")]])
def test_bytes_are_refused_by_their_name(others: list[Any]) -> None:
    """What json cannot write is named as the native one names it."""
    with pytest.raises(TypeError, match="Object of type bytes is not JSON serializable"):
        json.dumps([*others, text("private").encode()])
    assert json.dumps([*others, text("private").encode()], default=bytes.decode).count("private") == len(others) + 1
