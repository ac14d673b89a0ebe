"""PyYAML: labelled values are written like plain ones, and labels keep their places both ways."""

import datetime as dt
import io
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

import taint
from tests.integrations.documents import LEAVES, leaves, marked, record, secret


@pytest.fixture(autouse=True)
def installed(nothing_installed: None) -> None:
    """Wrap PyYAML."""
    taint.install(integrations=["yaml"])


def test_refused_natively() -> None:
    """Without the integration a labelled text is refused or written with a tag: this is what it is for."""
    taint.uninstall()
    with pytest.raises(yaml.representer.RepresenterError):
        yaml.safe_dump(secret("x"))
    assert "!!python" in yaml.dump(secret("x"))


@pytest.mark.parametrize("dumper", ["SafeDumper", "Dumper", "CSafeDumper", "CDumper"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"allow_unicode": True},
        {"sort_keys": False},
        {"default_flow_style": True},
        {"default_style": '"'},
        {"default_style": "|"},
        {"encoding": "utf-8"},
        {"width": 10},
        {"canonical": True},
        {"explicit_start": True},
    ],
    ids=str,
)
def test_round_trip(dumper: str, options: dict[str, Any]) -> None:
    """The text is that for plain values, and loading it labels the same leaves and no others."""
    if not hasattr(yaml, dumper):
        pytest.skip("PyYAML without libyaml")
    document = yaml.dump(record(secret), Dumper=getattr(yaml, dumper), **options)
    assert document == yaml.dump(record(str), Dumper=getattr(yaml, dumper), **options)
    loaded = yaml.safe_load(document)
    assert loaded == record(str)
    assert set(leaves(loaded)) == set(LEAVES)
    if options.get("default_style") != "|" and "canonical" not in options and "width" not in options:
        assert leaves(loaded) == LEAVES


@pytest.mark.parametrize("style", [None, "'", '"'])
def test_ranges(style: str | None) -> None:
    """Exactly the written characters of the labelled values are labelled, in every style."""
    assert marked(yaml.safe_dump(["b", "tel:" + secret("55")], default_style=style)) == ["55"]
    assert marked(yaml.safe_dump({secret("ann"): 1, "b": 2}, allow_unicode=True)) == ["ann"]


def test_escapes_are_covered_as_a_whole() -> None:
    """A text that is written with escapes is covered as a whole, and its neighbours are not."""
    assert marked(yaml.safe_dump(["b", "x\t" + secret("\x01")])) == ['"x\\t\\x01"']


def test_string_like() -> None:
    """A labelled date or number is written as the plain one, and comes back labelled."""
    document = yaml.safe_dump({"a": secret(dt.date(1980, 2, 29)), "b": dt.date(1980, 2, 29), "n": secret(5), "m": 5})
    assert document == "a: 1980-02-29\nb: 1980-02-29\nm: 5\nn: 5\n"
    assert set(leaves(yaml.safe_load(document))) == {".a", ".n"}


def test_anchors() -> None:
    """A list that is used twice is written once, as natively, and its label is on both uses."""
    shared = [secret("x"), "y"]
    document = yaml.safe_dump({"a": shared, "b": shared})
    assert document == "a: &id001\n- x\n- y\nb: *id001\n"
    assert leaves(yaml.safe_load(document)) == {".a[0]": ["x"], ".b[0]": ["x"]}


class Person:
    """What only yaml.dump knows to write."""

    def __init__(self, phone: str) -> None:
        self.phone = phone


def test_objects() -> None:
    """The labelled attributes of an object are written plain, and cover the object's part."""
    document = yaml.dump({"a": "clean", "p": Person(secret("+1415"))})
    assert document == f"a: clean\np: !!python/object:{__name__}.Person\n  phone: '+1415'\n"
    assert marked(document)
    assert "clean" not in "".join(marked(document))


def test_documents() -> None:
    """Several documents in a stream keep their labels apart."""
    stream = yaml.safe_dump_all([{"a": secret("x")}, {"a": "y"}, {"a": secret("z")}])
    assert stream == "a: x\n---\na: y\n---\na: z\n"
    assert [leaves(value) for value in yaml.safe_load_all(stream)] == [{".a": ["x"]}, {}, {".a": ["z"]}]
    assert isinstance(yaml.safe_load_all(stream), Iterator)
    assert leaves(yaml.load_all("a: 1", yaml.SafeLoader)) == {}


def test_streams() -> None:
    """A stream is given the labelled text; one without an encoding is given bytes."""
    written: list[Any] = []

    class Stream:
        def write(self, text: Any) -> None:
            written.append(text)

    yaml.safe_dump({"a": secret("x")}, Stream())
    yaml.safe_dump({"a": secret("x")}, Stream(), encoding="utf-8")
    assert written == ["a: x\n", b"a: x\n"]
    assert [marked(text) for text in written] == [["x"], [b"x"]]
    stream = io.StringIO()
    yaml.safe_dump({"a": "x"}, stream)
    assert stream.getvalue() == "a: x\n"
    assert leaves(yaml.safe_load(secret(io.StringIO("a: x")))) == {".a": ["x"]}


def test_generator_to_a_stream() -> None:
    """A generator of documents is written as it comes, with the text for plain values."""
    stream = io.StringIO()
    yaml.safe_dump_all(({"n": secret(text)} for text in ("x", "y")), stream)
    assert stream.getvalue() == "n: x\n---\nn: y\n"


def test_whole() -> None:
    """A document that is labelled as a whole labels its texts, but no names and no numbers."""
    assert leaves(yaml.safe_load(secret("a: [x, 5, null]\n+1: y"))) == {".a[0]": ["x"], ".1": ["y"]}
    assert leaves(yaml.safe_load("a: [x, 5]")) == {}
    assert leaves(yaml.safe_load(secret(b"a: x"))) == {".a": ["x"]}


def test_merge_key() -> None:
    """Where a mapping takes in another, it has that one's labels too, but not those of what it replaces."""
    base = "base: &b\n  p: " + secret("x") + "\n"
    loaded = yaml.safe_load(base + "d:\n  <<: *b\n  q: y\ne:\n  <<: [*b]\n  p: z\nf:\n  - [[*b]]\n")
    assert loaded["d"] == {"p": "x", "q": "y"}
    assert leaves(loaded) == {".base.p": ["x"], ".d.p": ["x"], ".f[0][0][0].p": ["x"]}


def test_same_exceptions() -> None:
    """What it refuses is refused with its own error."""
    with pytest.raises(yaml.representer.RepresenterError):
        yaml.safe_dump([secret("x"), object()])
    with pytest.raises(yaml.YAMLError):
        yaml.safe_load(secret("a: ["))
