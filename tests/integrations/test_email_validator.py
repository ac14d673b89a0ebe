"""email-validator: the parts of an address are labelled as the address was, with the native values."""

import email_validator
import pytest

import taint
from tests.integrations.documents import marked, secret

NAMES = ["original", "normalized", "local_part", "domain", "ascii_email", "ascii_local_part", "ascii_domain"]


@pytest.fixture(autouse=True)
def installed(nothing_installed: None) -> None:
    """Wrap email-validator."""
    taint.install(integrations=["email_validator"])


@pytest.mark.parametrize("address", ["ann@example.com", "Ann.Bee@EXAMPLE.com", "ann@bücher.com"])
@pytest.mark.parametrize("name", NAMES)
def test_parts(address: str, name: str) -> None:
    """Every text of the result is the native one, labelled for a labelled address and plain for a plain one."""
    native = email_validator.validate_email(address, check_deliverability=False)
    labelled = email_validator.validate_email(secret(address), check_deliverability=False)
    assert getattr(labelled, name) == getattr(native, name)
    assert taint.labels_of(getattr(labelled, name)).purposes == {"security.mfa"}
    assert taint.labels_of(getattr(native, name)) == frozenset()
    assert type(labelled) is type(native)
    assert taint.labels_of(labelled.smtputf8) == frozenset()


def test_ranges() -> None:
    """Where a text is the address itself, apart from case, just the labelled part of it is labelled."""
    checked = email_validator.validate_email(secret("ann") + "@Example.com", check_deliverability=False)
    assert marked(checked.original) == ["ann"]
    assert marked(checked.normalized) == ["ann"]
    assert marked(checked.domain) == ["example.com"]


def test_bytes() -> None:
    """An address that is passed as bytes is labelled too."""
    assert taint.labels_of(email_validator.validate_email(secret(b"a@b.com"), check_deliverability=False).domain)


def test_display_name_and_literal() -> None:
    """A display name and the address of a domain literal are labelled."""
    checked = email_validator.validate_email(
        secret("Ann <ann@[127.0.0.1]>"), allow_display_name=True, allow_domain_literal=True, check_deliverability=False
    )
    assert marked(checked.display_name) == ["Ann"]
    assert taint.labels_of(checked.domain_address)
    assert str(checked.domain_address) == "127.0.0.1"


def test_same_exceptions() -> None:
    """An address that is none is refused with email-validator's own error."""
    with pytest.raises(email_validator.EmailNotValidError, match="@-sign"):
        email_validator.validate_email(secret("ann"), check_deliverability=False)
