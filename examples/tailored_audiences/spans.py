"""Read the spans that the processes wrote, and look for what must not be in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.tailored_audiences.advertiser import Customers
from examples.tailored_audiences.match_keys import email_key, phone_key
from examples.tailored_audiences.people import Person

_NUMBER = re.compile(r"(?<![0-9A-Za-z])\+?[0-9][0-9 ().-]{4,}[0-9](?![0-9A-Za-z])")
_ADDRESS = re.compile(r"[^\s\"'<>@]+@[^\s\"'<>@]+")
_DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


@dataclass(frozen=True, slots=True)
class SpanKey:
    """Which span: the ids of its trace and of itself, in hexadecimal digits."""

    trace_id: str
    span_id: str


@dataclass(frozen=True, slots=True)
class Span:
    """A span as it was written.

    Attributes:
        key: Which span it is.
        name: What it is called.
        service: The process that it comes from.
        status: ``UNSET``, ``OK`` or ``ERROR``.
        attributes: What it says.
        links: The spans that it points to.
        text: Everything in it but ids and times, as JSON.
    """

    key: SpanKey
    name: str
    service: str
    status: str
    attributes: dict[str, Any]
    links: tuple[SpanKey, ...]
    text: str


def read_spans(path: Path) -> list[Span]:
    """Read a file of spans, one JSON object a line."""
    with path.open(encoding="utf-8") as lines:
        return [_parse_span(json.loads(line)) for line in lines]


def _parse_span(span: dict[str, Any]) -> Span:
    events = [{"name": event["name"], "attributes": event["attributes"]} for event in span["events"]]
    links = [link["attributes"] for link in span["links"]]
    said = [span["name"], span["status"], span["attributes"], events, links, span["resource"]]
    return Span(
        key=_parse_key(span["context"]),
        name=span["name"],
        service=span["resource"]["attributes"]["service.name"],
        status=span["status"]["status_code"],
        attributes=span["attributes"],
        links=tuple(_parse_key(link["context"]) for link in span["links"]),
        text=json.dumps(said, ensure_ascii=False),
    )


def _parse_key(context: dict[str, str]) -> SpanKey:
    return SpanKey(context["trace_id"].removeprefix("0x"), context["span_id"].removeprefix("0x"))


@dataclass(frozen=True, slots=True)
class PersonalData:
    """Everything about people that must not leave the service, in the form in which texts are searched for it."""

    numbers: frozenset[str]
    addresses: frozenset[str]
    digests: frozenset[str]

    def found_in(self, texts: Iterable[str]) -> int:
        """Count how often a number, an address or a digest of somebody occurs.

        Args:
            texts: What to search. Numbers are found in any punctuation, addresses in capital and small letters.
        """
        return sum(1 for text in texts for _ in self._occurrences(text))

    def _occurrences(self, text: str) -> Iterator[str]:
        for number in _NUMBER.findall(text):
            if re.sub(r"\D", "", number) in self.numbers:
                yield number
        for address in _ADDRESS.findall(text):
            if address.lower() in self.addresses:
                yield address
        for digest in _DIGEST.findall(text.lower()):
            if digest in self.digests:
                yield digest


def personal_data(people: list[Person], customers: Customers) -> PersonalData:
    """Collect the contact details of everybody, with their digests, and the digests of the advertiser's list."""
    phones = {phone for person in people for phone in (person.security_phone, person.marketing_phone) if phone}
    emails = {person.marketing_email for person in people if person.marketing_email}
    digests = {phone_key(phone.e164) for phone in phones} | {email_key(email) for email in emails}
    digests.update(digest for row in customers.rows for digest in row if digest)
    return PersonalData(
        numbers=frozenset(phone.e164.removeprefix("+") for phone in phones),
        addresses=frozenset(email.lower() for email in emails),
        digests=frozenset(digests),
    )
