"""idna: a domain's labels stay on it, with the native value."""

from collections.abc import Callable
from typing import Any

import idna
import pytest

import taint
from tests.integrations.documents import marked, secret


@pytest.fixture(autouse=True)
def installed(nothing_installed: None) -> None:
    """Wrap idna."""
    taint.install(integrations=["idna"])


@pytest.mark.parametrize(
    ("function", "domain", "expected"),
    [
        (idna.encode, "bücher.example", b"xn--bcher-kva.example"),
        (idna.decode, "xn--bcher-kva.example", "bücher.example"),
        (idna.decode, b"xn--bcher-kva.example", "bücher.example"),
        (idna.alabel, "bücher", b"xn--bcher-kva"),
        (idna.ulabel, b"xn--bcher-kva", "bücher"),
        (idna.uts46_remap, "BÜCHER.example", "bücher.example"),
    ],
)
def test_domain(function: Callable[..., Any], domain: Any, expected: Any) -> None:
    """The result is the native one, labelled as a whole for a labelled name and plain for a plain one."""
    call = getattr(idna, function.__name__)
    assert call(secret(domain)) == expected
    assert marked(call(secret(domain))) == [expected]
    assert taint.labels_of(call(domain)) == frozenset()


def test_ranges() -> None:
    """Where the name stays as it is, apart from case, just the labelled part of it is labelled."""
    domain = secret("Ann") + ".example"
    assert marked(idna.encode(domain, uts46=True)) == [b"ann"]
    assert marked(idna.decode(domain, uts46=True)) == ["ann"]
    assert marked(idna.encode(secret("bü") + ".example")) == [b"xn--b-eha.example"]


def test_same_exceptions() -> None:
    """A name that is none is refused with idna's own error."""
    with pytest.raises(idna.IDNAError):
        idna.encode(secret("a_b ü"))
