"""Pairing documents with values: what cannot be paired is covered as a whole, never left out."""

import pytest

import taint
from taint.propagation.pairing import Node, detached, label_loaded, labelled_document, layered

SECRET = taint.label("x", purpose="security.mfa")
LABELS = taint.labels_of(SECRET)
MORE = taint.labels_of(taint.label("y", purpose="marketing"))


def broken(_document: object = None) -> Node:
    """Fail, as a reader may on a document it does not understand."""
    raise IndexError


@pytest.mark.parametrize("read", [broken, lambda _document: Node(0, 0)])
def test_document_that_cannot_be_read(read: object, caplog: pytest.LogCaptureFixture) -> None:
    """A document whose tree cannot be read, or does not show the labelled value, is labelled as a whole."""
    document = labelled_document("[x]", detached([SECRET]), read)  # type: ignore[arg-type]  # A table of readers.
    assert [(part.start, part.stop) for part in taint.ranges_of(document)] == [(0, 3)]
    assert labelled_document("[x]", detached(["x"]), broken) == "[x]"
    assert not taint.labels_of(labelled_document("[x]", detached(["x"]), broken))


def test_values_that_cannot_be_placed(caplog: pytest.LogCaptureFixture) -> None:
    """Values of a document whose tree cannot be read are all labelled; of one without labels, none is."""
    assert taint.labels_of(label_loaded(["x", "y"], ((1, 2, LABELS),), broken)[1]) == LABELS
    assert not taint.labels_of(label_loaded(["x", "y"], None, broken))


def test_layers() -> None:
    """Where spans overlap their labels join, in whichever order they come."""
    assert layered([(2, 6, MORE), (0, 4, LABELS)], 8) == ((0, 2, LABELS), (2, 4, LABELS | MORE), (4, 6, MORE))
    assert layered([(4, 6, MORE), (0, 4, LABELS)], 6) == ((0, 4, LABELS), (4, 6, MORE))
    assert layered([(0, 0, MORE)], 6) is None
