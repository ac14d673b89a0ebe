"""Normal forms: the ways in which one value is written, so that any of them is recognised.

A platform matches people after its own normalisation, so that a value leaves in a form other than the
one it was collected in. `normal_forms` gives every form that is worth knowing of a value, for two
uses: digests are made of the exact bytes of a form, and text is searched for its words.

Sources of the forms:

- stripped and case-folded: Meta, Google, X, TikTok, LinkedIn and Snap all ask for it before hashing
  (Meta Customer Audience, Google Ads Customer Match, X Audiences user-data pages);
- digits only: Meta Conversions API and TikTok Events API (phone numbers without symbols and `+`);
- E.164 (ITU-T E.164) with `+`: Google enhanced conversions; without: Meta's SDK, multi-key path;
- national numbers through a default region: Google's libphonenumber metadata, as in `phonenumbers`;
- email without a plus-suffix: TikTok; gmail.com without dots: Google enhanced conversions;
- NFC and NFKC: Unicode Standard Annex 15, since a keyboard and a file system write `é` differently.
"""

from __future__ import annotations

import decimal
import ipaddress
import pathlib
import re
import unicodedata
import uuid
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from taint.carriers.proxy import unwrapped
from taint.errors import ConfigurationError
from taint.evidence.words import COMMON_WORDS, email_forms, words_of

__all__ = [
    "MINIMUM_DIGITS",
    "MINIMUM_SIGNIFICANT",
    "WRITTEN_OUT",
    "Forms",
    "Region",
    "normal_forms",
    "region_of",
    "text_of",
]

MINIMUM_SIGNIFICANT = 6
"""Letters and digits that a value must have to be remembered: less matches by chance (docs/design.md)."""

MINIMUM_DIGITS = 7
"""Digits that a number must have: the shortest subscriber numbers; less are counts, prices and postcodes."""

MAXIMUM_DIGITS = 19
"""The longest number that is found across separators: a payment card's (ISO/IEC 7812)."""

MAXIMUM_LENGTH = 512
"""Characters of a value that is remembered: longer text is a document, not a fact about a person."""

WRITTEN_OUT = (int, decimal.Decimal, uuid.UUID, ipaddress.IPv4Address, ipaddress.IPv6Address, pathlib.PurePath)
"""What is remembered, and looked for, as it is written. No dates: they are never remembered."""

_NUMBER = re.compile(r"(\+|00)?[0-9 ().\-/\u00a0]+")
_EMAIL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*@[A-Za-z0-9.-]*[A-Za-z0-9]", re.ASCII)
_NUMBER_STARTS = frozenset("+-(.0123456789")
_DATE = re.compile(
    r"(?:19|20)\d\d[-/.](?:0?[1-9]|1[0-2])[-/.](?:0?[1-9]|[12]\d|3[01])(?:[T ].*)?"
    r"|(?:0?[1-9]|[12]\d|3[01])[-/.](?:0?[1-9]|[12]\d|3[01])[-/.](?:19|20)?\d\d(?:[T ].*)?"
    r"|(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:T?\d{4,6}Z?)?"
    r"|1[0-9]{9}|1[4-9][0-9]{11}"  # Seconds from 2001 on and milliseconds from 2014 on, as programs write times.
)
_DECIMAL = re.compile(r"-?[0-9]+\.[0-9]+")
_NOT_DIGITS = bytes(frozenset(range(256)) - frozenset(b"0123456789"))
_NOT_SIGNIFICANT = bytes(byte for byte in range(128) if not chr(byte).isalnum())


@dataclass(frozen=True, slots=True)
class Region:
    """How the numbers of one country are written.

    Args:
        calling_code: As in E.164, `1` or `49`.
        trunk_prefix: What is dialled before a national number, `0` in most of Europe; empty where nothing is.
        lengths: The possible lengths of a national number.
    """

    calling_code: bytes
    trunk_prefix: bytes
    lengths: frozenset[int]

    def international(self, digits: bytes) -> bytes | None:
        """Give the E.164 digits of a number as it is dialled in the region; None where it is not one."""
        if self.trunk_prefix and digits.startswith(self.trunk_prefix):
            national = digits[len(self.trunk_prefix) :]
            if len(national) in self.lengths:
                return self.calling_code + national
        if len(digits) in self.lengths:
            return self.calling_code + digits
        return digits if self.national(digits) else None

    def national(self, digits: bytes) -> bytes | None:
        """Give the national number, without trunk prefix, of E.164 digits of this region."""
        national = digits.removeprefix(self.calling_code)
        return national if national != digits and len(national) in self.lengths else None


@lru_cache(maxsize=64)
def region_of(code: str) -> Region:
    """Give the numbering plan of a region, from the metadata of `phonenumbers`.

    Args:
        code: Two letters, such as `US` (ISO 3166-1).

    Raises:
        ConfigurationError: `phonenumbers` is not installed, or knows no such region.
    """
    try:
        import phonenumbers  # noqa: PLC0415  # Optional: only a default region needs it.
    except ImportError:
        raise ConfigurationError(
            f"default_region {code!r} needs the package 'phonenumbers', which is not installed. "
            "Without a default region only international numbers are brought into E.164. "
            "Install it: pip install phonenumbers."
        ) from None
    found: Any = phonenumbers.PhoneMetadata.metadata_for_region(code.upper(), None)
    if found is None:
        raise ConfigurationError(
            f"default_region is not known: {code!r}. It is a country's two letters. Write it like 'US' or 'DE'."
        )
    trunk = (found.national_prefix or "").encode()
    return Region(str(found.country_code).encode(), trunk, frozenset(found.general_desc.possible_length))


def text_of(value: object) -> str | None:
    """Give what is remembered of a value as exact text; None where it is nothing that is remembered."""
    plain: Any = unwrapped(value)
    if isinstance(plain, str):
        return str.__str__(plain)
    if isinstance(plain, bytes):
        try:
            return bytes.decode(plain)
        except UnicodeDecodeError:
            return None
    if isinstance(plain, WRITTEN_OUT) and not isinstance(plain, bool):
        return str(plain)
    return None


class Forms(NamedTuple):
    """What is to be remembered of one value.

    Args:
        texts: Word sequences, as a scan meets them, joined by one space; the first stands for the value.
        exact: The exact bytes of each form, of which digests are made.
    """

    texts: tuple[bytes, ...]
    exact: tuple[bytes, ...]


def normal_forms(text: str, region: Region | None = None) -> Forms | str:
    """Give the forms of a value, or the reason why it is not remembered.

    Args:
        text: An exact `str`.
        region: Of national numbers.

    Returns:
        The forms; or one word: `short`, `long`, `date`, `number` or `common`.
    """
    if len(text) > MAXIMUM_LENGTH:
        return "long"
    if _EMAIL.fullmatch(text):
        return _email_forms(text)
    stripped, folded, spellings = _spellings(text)
    begins_as_number = stripped[:1] in _NUMBER_STARTS
    if begins_as_number and _NUMBER.fullmatch(stripped):
        return _number_forms(stripped, spellings, region)
    reason = _unfit(folded, begins_as_number=begins_as_number)
    if reason is not None:
        return reason
    words = words_of(folded)
    if COMMON_WORDS.issuperset(words):
        return "common"
    if len(words) == 1 and b"@" in words[0]:
        texts = email_forms(words[0])
        spellings.update(dict.fromkeys(texts))
    else:
        texts = (b" ".join(words),)
    return Forms(texts, tuple(spellings))


def _email_forms(text: str) -> Forms | str:
    """Do for a plain address, the commonest of values, what `normal_forms` does for any text."""
    exact = text.encode()
    folded = exact.lower()
    if len(folded.translate(None, _NOT_SIGNIFICANT)) < MINIMUM_SIGNIFICANT:
        return "short"
    emails = email_forms(folded)
    if len(emails) == 1:
        return Forms(emails, emails if exact == folded else (exact, folded))
    return Forms(emails, tuple({exact: None, folded: None} | dict.fromkeys(emails)))


def _spellings(text: str) -> tuple[str, str, dict[bytes, None]]:
    """Give a text stripped, folded, and the exact bytes of each of its spellings."""
    stripped = text.strip()
    if text.isascii():
        folded = stripped.lower()
        return stripped, folded, {text.encode(): None, folded.encode(): None}
    folded = unicodedata.normalize("NFKC", stripped).casefold()
    spellings = (
        text,
        unicodedata.normalize("NFC", text),
        unicodedata.normalize("NFD", text),
        unicodedata.normalize("NFKC", text),
        unicodedata.normalize("NFC", stripped.casefold()),
        unicodedata.normalize("NFC", stripped.lower()),
        folded,
    )
    if folded.isascii():
        stripped = folded  # A number in wide digits or with no-break spaces is a number.
    return stripped, folded, dict.fromkeys(one.encode(errors="surrogatepass") for one in spellings)


def _unfit(folded: str, *, begins_as_number: bool) -> str | None:
    """Say why a text that is no number is not remembered, if it is not."""
    is_ascii = folded.isascii()
    data = folded.encode() if is_ascii else folded.encode(errors="surrogatepass")
    if len(data.translate(None, _NOT_SIGNIFICANT)) < MINIMUM_SIGNIFICANT:
        return "short"
    if not is_ascii and sum(map(str.isalnum, folded)) < MINIMUM_SIGNIFICANT:
        return "short"
    if begins_as_number:
        if _DATE.fullmatch(folded.upper()):
            return "date"
        if _DECIMAL.fullmatch(folded):
            return "number"
    return None


def _number_forms(stripped: str, spellings: dict[bytes, None], region: Region | None) -> Forms | str:
    digits = stripped.encode().translate(None, _NOT_DIGITS)
    if len(digits) < MINIMUM_DIGITS or len(digits) > MAXIMUM_DIGITS:
        return "number" if digits else "short"
    if stripped[0] != "+" and _DATE.fullmatch(stripped):
        return "date"
    if "." in stripped and _DECIMAL.fullmatch(stripped):
        return "number"
    texts = {digits: None}
    international: bytes | None = digits
    if stripped.startswith("00"):
        international = digits[2:]
    elif stripped[0] != "+" and region is not None:
        international = region.international(digits)
    if international is not None and len(international) >= MINIMUM_DIGITS:
        texts[international] = None
        spellings[international] = None
        spellings[b"+" + international] = None
        national = region.national(international) if region is not None else None
        if national is not None and len(national) >= MINIMUM_DIGITS:
            texts[national] = None
            spellings[national] = None
    spellings[digits] = None
    return Forms(tuple(texts), tuple(spellings))
