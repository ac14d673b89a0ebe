"""An advertiser: its customers, some of whom have accounts at the service, and the file that it uploads."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from faker import Faker

from examples.tailored_audiences.customer_list import COLUMNS
from examples.tailored_audiences.match_keys import email_key, phone_key
from examples.tailored_audiences.people import Person, Phone, make_email

ROWS_PER_PERSON = 2.5


@dataclass(frozen=True, slots=True)
class Customers:
    """What the advertiser knows, with the truth about who is behind it.

    Attributes:
        rows: One for each customer: the key of the address and of the number, either may be empty.
        by_security: Positions of the people whose security number is in a row.
        by_marketing: Positions of the people of whom a row holds something that they gave for marketing.
    """

    rows: list[tuple[str, str]]
    by_security: frozenset[int]
    by_marketing: frozenset[int]


def make_customers(people: list[Person], phones: Iterator[Phone], rng: random.Random, seed: int) -> Customers:
    """Make an advertiser's customers: half of the people, and strangers.

    Args:
        people: Everybody who has enrolled. Every second ten of them are customers.
        phones: Where the strangers' numbers come from.
        rng: Decides the order of rows.
        seed: Decides the strangers' addresses.

    Returns:
        Two and a half rows for each of the people, most of them about strangers.
    """
    faker = Faker()
    faker.seed_instance(seed + 1)
    rows: list[tuple[str, str]] = []
    by_security: set[int] = set()
    by_marketing: set[int] = set()
    for index, person in enumerate(people):
        group = index // 10
        if group % 2 == 1:
            continue
        phone, email = person.security_phone, None
        if person.marketing_phone is not None and group % 4 == 2:
            phone, email = person.marketing_phone, person.marketing_email
        if phone == person.security_phone:
            by_security.add(index)
        if phone == person.marketing_phone or email is not None:
            by_marketing.add(index)
        # An address that the person never gave to the service, as advertisers often have.
        email = email or make_email(len(people) + index, faker)
        rows.append((email_key(email), phone_key(phone.e164)))
    for stranger in range(int(len(people) * ROWS_PER_PERSON) - len(rows)):
        email_digest = email_key(make_email(2 * len(people) + stranger, faker))
        rows.append((email_digest, phone_key(next(phones).e164) if stranger % 2 else ""))
    rng.shuffle(rows)
    return Customers(rows, frozenset(by_security), frozenset(by_marketing))


def write_customer_list(path: Path, customers: Customers, malformed_rows: int = 0) -> None:
    """Write the advertiser's file.

    Args:
        path: Where to.
        customers: What to.
        malformed_rows: How many rows to add that cannot be read, spread over the file.
    """
    spoiled = [("not-a-digest", ""), ("", ""), ("0" * 64, "0" * 64, "one column too many"), ('"never closed', "")]
    rows: list[tuple[str, ...]] = list(customers.rows)
    for number in range(malformed_rows):
        rows.insert((number + 1) * len(rows) // (malformed_rows + 1), spoiled[number % len(spoiled)])
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(",".join(row) + "\n" for row in [COLUMNS, *rows])
