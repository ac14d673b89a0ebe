"""People who enrol, made up but with real forms of telephone number from every region of the world.

Numbers start from the example numbers of Google's libphonenumber metadata (package ``phonenumbers``) and get
other last digits; only those that the same metadata calls valid for their region are kept. Addresses are in
the reserved example domains (RFC 2606), so that none belongs to anybody.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass

import phonenumbers
from faker import Faker
from phonenumbers import PhoneNumberFormat, PhoneNumberType

MINIMUM_PEOPLE = 60
"""One person for each of 60 countries, and some of every kind of consent."""

_VARIED_DIGITS = 5
_ATTEMPTS_AT_ONCE = 24


@dataclass(frozen=True, slots=True)
class Phone:
    """A telephone number as somebody types it, and the same number in the form of E.164."""

    typed: str
    e164: str
    region: str


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who enrols for two-factor authentication, and what they allowed for marketing, if anything."""

    name: str
    security_phone: Phone
    marketing_phone: Phone | None = None
    marketing_email: str | None = None


def make_phones(rng: random.Random) -> Iterator[Phone]:
    """Make telephone numbers without end, one region after the other, none twice.

    Args:
        rng: Decides the digits.

    Yields:
        Numbers that are valid for their region.
    """
    made: set[str] = set()
    spare: dict[str, list[Phone]] = {region: [] for region in sorted(phonenumbers.SUPPORTED_REGIONS)}
    for region in itertools.cycle(spare):
        if not spare[region]:
            # Many at once: the metadata's patterns of all regions together do not fit into the cache of re.
            attempts = (_vary_example_number(region, rng) for _ in range(_ATTEMPTS_AT_ONCE))
            new = {phone.e164: phone for phone in attempts if phone is not None and phone.e164 not in made}
            made.update(new)
            spare[region] = list(new.values())
        if spare[region]:
            yield spare[region].pop()


def _vary_example_number(region: str, rng: random.Random) -> Phone | None:
    example = phonenumbers.example_number_for_type(region, PhoneNumberType.MOBILE)
    if example is None:
        example = phonenumbers.example_number(region)
    if example is None:
        return None
    national = phonenumbers.national_significant_number(example)
    varied = rng.randint(1, min(_VARIED_DIGITS, len(national) - 3))
    digits = national[:-varied] + "".join(rng.choices("0123456789", k=varied))
    number = phonenumbers.parse(f"+{example.country_code}{digits}")
    if not phonenumbers.is_valid_number_for_region(number, region):
        return None
    typed = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
    return Phone(
        typed=typed.replace(" ", rng.choice([" ", " ", "-", ".", ""])),
        e164=phonenumbers.format_number(number, PhoneNumberFormat.E164),
        region=region,
    )


def make_people(count: int, phones: Iterator[Phone], seed: int) -> list[Person]:
    """Make the people of one run, the same ones for the same seed.

    Of ten people five give a number for security only, two allow marketing with the same number and an
    address, two with another number and an address, one with the same number alone.

    Args:
        count: How many.
        phones: Where their numbers come from.
        seed: Decides the names.

    Returns:
        The people, in the order in which they enrol.
    """
    faker = Faker()
    faker.seed_instance(seed)
    return [_make_person(index, phones, faker) for index in range(count)]


def _make_person(index: int, phones: Iterator[Phone], faker: Faker) -> Person:
    name = faker.name()
    phone = next(phones)
    match index % 10:
        case 0 | 1 | 2 | 3 | 4:
            return Person(name, phone)
        case 5 | 6:
            return Person(name, phone, marketing_phone=phone, marketing_email=make_email(index, faker))
        case 7 | 8:
            return Person(name, phone, marketing_phone=next(phones), marketing_email=make_email(index, faker))
        case _:
            return Person(name, phone, marketing_phone=phone)


def make_email(index: int, faker: Faker) -> str:
    """Make an address that nobody else has, in capitals and small letters as people type it."""
    return f"{faker.first_name()}.{faker.last_name()}.{index}@{faker.safe_domain_name().capitalize()}"
