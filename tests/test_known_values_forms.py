"""Normal forms: what is known of a value, and what is not remembered at all."""

from __future__ import annotations

import re

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taint.errors import ConfigurationError
from taint.evidence import forms
from taint.evidence.forms import Forms, normal_forms, region_of


def forms_of(text: str, region: str | None = None) -> Forms:
    """Give the forms of a value that is remembered."""
    found = normal_forms(text, None if region is None else region_of(region))
    assert isinstance(found, Forms), found
    return found


EXACT = [
    ("as given", "Jane Doelittle", None, "Jane Doelittle"),
    ("stripped and case-folded", "  Jane Doelittle\n", None, "jane doelittle"),
    ("digits only", "(415) 555-0100", None, "4155550100"),
    ("dots between digits", "415.555.0100", None, "4155550100"),
    ("E.164 with plus", "+1 (415) 555-0100", None, "+14155550100"),
    ("E.164 without plus", "+1 (415) 555-0100", None, "14155550100"),
    ("international prefix 00", "0049 30 901820", None, "+4930901820"),
    ("national, to E.164", "(415) 555-0100", "US", "+14155550100"),
    ("national with trunk prefix", "030 901820", "DE", "+4930901820"),
    ("international, to national", "+14155550100", "US", "4155550100"),
    ("Italy keeps its zero", "06 6982 1234", "IT", "+390669821234"),
    ("email folded", "Jane.Doe@Example.com", None, "jane.doe@example.com"),
    ("email without plus-suffix", "jane.doe+shop@example.com", None, "jane.doe@example.com"),
    ("gmail without dots", "Jane.Doe+x@gmail.com", None, "janedoe@gmail.com"),
    ("googlemail is gmail", "jane.doe@googlemail.com", None, "janedoe@gmail.com"),
    ("NFC", "Mu\u0308ller-Weber", None, "M\u00fcller-Weber"),
    ("NFD", "M\u00fcller-Weber", None, "Mu\u0308ller-Weber"),
    ("NFKC, wide digits", "\uff0b\uff14\uff19\uff13\uff10\uff19\uff10\uff11\uff18\uff12\uff10", None, "+4930901820"),
    ("sharp s", "Gro\u00dfmann Weg", None, "grossmann weg"),
]


@pytest.mark.parametrize(("text", "region", "form"), [row[1:] for row in EXACT], ids=[row[0] for row in EXACT])
def test_digests_are_made_of_each_form(text: str, region: str | None, form: str) -> None:
    """Every normal form that a platform hashes is among the exact forms of the value."""
    assert form.encode() in forms_of(text, region).exact


NOT_A_FORM = [
    ("other domains keep their dots", "jane.doe@example.com", None, "janedoe@example.com"),
    ("no region, no country", "(415) 555-0100", None, "+14155550100"),
    ("another region's number has no national form", "+4930901820", "US", "30901820"),
    ("a name has no digits", "Jane Doelittle", None, ""),
]


@pytest.mark.parametrize(
    ("text", "region", "form"), [row[1:] for row in NOT_A_FORM], ids=[row[0] for row in NOT_A_FORM]
)
def test_a_form_of_somebody_else_is_none(text: str, region: str | None, form: str) -> None:
    """What would be another person's value is no form of this one."""
    assert form.encode() not in forms_of(text, region).exact


REFUSED = [
    ("", "short"),
    ("a1-b2", "short"),
    ("Jane", "short"),
    ("äöü", "short"),
    ("12345", "number"),
    ("123456", "number"),
    ("-12.50", "number"),
    ("1234567.89", "number"),
    ("37.7749295", "number"),
    ("2024-01-31", "date"),
    ("2024-01-31T12:30:00Z", "date"),
    ("31.12.1999", "date"),
    ("12/31/1999", "date"),
    ("20240131", "date"),
    ("1700000000", "date"),
    ("1700000000000", "date"),
    ("pending", "common"),
    ("Confirmed", "common"),
    ("New York", "common"),
    ("United States", "common"),
    ("x" * 513, "long"),
]


@pytest.mark.parametrize(("text", "reason"), REFUSED)
def test_what_is_everywhere_is_not_remembered(text: str, reason: str) -> None:
    """Short text, dates, small numbers, common words and documents are refused, each with its reason."""
    assert normal_forms(text) == reason


@pytest.mark.parametrize("text", ["Janine", "1234567", "+20240131", "Pending Smith", "x" * 512, "äöüäöü"])
def test_their_neighbours_are_remembered(text: str) -> None:
    """Right above each of those limits a value is remembered."""
    assert isinstance(normal_forms(text), Forms)


def test_national_numbers_agree_with_phonenumbers() -> None:
    """In every region, the library's own example number in national form is brought into its E.164 form.

    Where a country writes more into the national form than a trunk prefix (another digit after it), it is not:
    these are listed, so that a new one is seen.
    """
    differ: set[str] = set()
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        number = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
        if number is None:
            continue
        national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
        wanted = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        found = normal_forms(national, region_of(region))
        if isinstance(found, Forms) and wanted.encode() not in found.exact:
            differ.add(region)
    assert differ == {"AR", "BY"}


@pytest.mark.parametrize("region", ["XX", "", "USA", "United States"])
def test_unknown_region_is_an_error(region: str) -> None:
    """A region that is none is refused, and the message says how to write one."""
    with pytest.raises(ConfigurationError, match="Write it like 'US'"):
        region_of(region)


@settings(max_examples=300)
@given(
    st.builds(
        "{}@{}".format,
        st.text("aBz09._+-", min_size=1, max_size=12),
        st.sampled_from(["gmail.com", "GoogleMail.com", "example.com", "b", "4.5", "x.y-", "-b.c"]),
    )
)
def test_a_plain_address_has_the_forms_of_any_text(email: str) -> None:
    """The short way for addresses gives what the long way gives, or leaves the address to it."""
    short, pattern = normal_forms(email), forms._EMAIL
    try:
        forms._EMAIL = re.compile("(?!)")
        long = normal_forms(email)
    finally:
        forms._EMAIL = pattern
    if isinstance(short, Forms) and isinstance(long, Forms):
        assert (short.texts, set(short.exact)) == (long.texts, set(long.exact))
    else:
        assert short == long
