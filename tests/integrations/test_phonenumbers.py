"""phonenumbers: a number from a labelled text is labelled, however it is written, with the native values."""

from collections.abc import Callable
from typing import Any

import phonenumbers
import pytest

import taint
from tests.integrations.documents import marked, secret

TEXT = "+1 415 555 2671"
FORMAT = phonenumbers.PhoneNumberFormat


@pytest.fixture(autouse=True)
def installed(nothing_installed: None) -> None:
    """Wrap phonenumbers."""
    taint.install(integrations=["phonenumbers"])


def parsed(text: Any) -> Any:
    """Parse as a program does, by the module's name."""
    return phonenumbers.parse(text, "US")


@pytest.mark.parametrize(
    "operation",
    [
        lambda text: phonenumbers.format_number(parsed(text), FORMAT.E164),
        lambda text: phonenumbers.format_number(parsed(text), FORMAT.INTERNATIONAL),
        lambda text: phonenumbers.format_number(parsed(text), FORMAT.RFC3966),
        lambda text: phonenumbers.format_number(numobj=parsed(text), num_format=FORMAT.NATIONAL),
        lambda text: phonenumbers.format_in_original_format(phonenumbers.parse(text, keep_raw_input=True), "US"),
        lambda text: phonenumbers.format_out_of_country_calling_number(parsed(text), "DE"),
        lambda text: phonenumbers.format_number_for_mobile_dialing(parsed(text), "US", True),
        lambda text: phonenumbers.national_significant_number(parsed(text)),
        lambda text: phonenumbers.normalize_digits_only(text),
        lambda text: phonenumbers.normalize_diallable_chars_only(text),
        lambda text: phonenumbers.convert_alpha_characters_in_number(text),
        lambda text: phonenumbers.region_code_for_number(parsed(text)),
        lambda text: str(parsed(text).national_number),
        lambda text: str(parsed(text)),
    ],
)
def test_written(operation: Callable[[Any], Any]) -> None:
    """Every way to write the number gives the native text, labelled for a labelled one and plain for a plain one."""
    native = operation(TEXT)
    labelled = operation(secret(TEXT))
    assert labelled == native
    assert marked(labelled) == [native]
    assert type(native) is str


def test_number() -> None:
    """The parsed number is a PhoneNumber, equal to the native one, and carries the labels."""
    number = parsed(secret(TEXT))
    assert isinstance(number, phonenumbers.PhoneNumber)
    assert number == parsed(TEXT)
    assert parsed(TEXT) == number
    assert (number.country_code, number.national_number) == (1, 4155552671)
    assert taint.labels_of(number).purposes == {"security.mfa"}
    assert taint.labels_of(parsed(TEXT)) == frozenset()
    assert type(parsed(TEXT)) is phonenumbers.PhoneNumber


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (phonenumbers.is_valid_number, True),
        (phonenumbers.is_possible_number, True),
        (phonenumbers.number_type, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE),
        (phonenumbers.length_of_geographical_area_code, 3),
        (phonenumbers.is_number_geographical, True),
    ],
)
def test_questions(question: Callable[..., Any], answer: Any) -> None:
    """A question about a labelled number is answered as natively, and the answer is not labelled."""
    ask = getattr(phonenumbers, question.__name__)
    assert ask(parsed(secret(TEXT))) == answer
    assert taint.labels_of(ask(parsed(secret(TEXT)))) == frozenset()


def test_match_of_two() -> None:
    """Labelled and plain numbers and texts are matched as natively."""
    exact = phonenumbers.MatchType.EXACT_MATCH
    assert phonenumbers.is_number_match(parsed(secret(TEXT)), parsed(TEXT)) == exact
    assert phonenumbers.is_number_match(secret(TEXT), TEXT) == exact


def test_truncate() -> None:
    """A labelled number is shortened in place, as natively."""
    number = parsed(secret("+14155552671999"))
    assert phonenumbers.truncate_too_long_number(number)
    assert number.national_number == 4155552671
    assert taint.labels_of(number)


def test_matcher() -> None:
    """A number found in a text is labelled where that part of the text is, and not where it is not."""
    text = "call " + secret(TEXT) + " or +49 30 901820"
    first, second = phonenumbers.PhoneNumberMatcher(text, "US")
    assert marked(first.raw_string) == [TEXT]
    assert marked(phonenumbers.format_number(first.number, FORMAT.E164)) == ["+14155552671"]
    assert (first.start, first.end) == (5, 20)
    assert marked(second.raw_string) == []
    assert taint.labels_of(second.number) == frozenset()
    (named,) = phonenumbers.PhoneNumberMatcher(text=secret(TEXT), region="US")
    assert taint.labels_of(named.number)
    (plain,) = phonenumbers.PhoneNumberMatcher(TEXT, "US")
    assert taint.labels_of(plain) == frozenset()


def test_same_exceptions() -> None:
    """A text that is no number is refused with phonenumbers' own error."""
    with pytest.raises(phonenumbers.NumberParseException):
        phonenumbers.parse(secret("ann"))
