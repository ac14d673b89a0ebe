"""The ads job: find an advertiser's customers among the accounts, and send them to the ad platform as an audience.

It compares every contact detail that the service has, because more details find more customers. Nobody decided to
use the security numbers for advertising; they are in the same table.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

import taint
from examples.tailored_audiences.customer_list import CustomerList, read_customer_list
from examples.tailored_audiences.errors import BadInputError, run_main
from examples.tailored_audiences.match_keys import email_key, phone_key
from examples.tailored_audiences.store import EMAIL, Contact, open_database
from examples.tailored_audiences.telemetry import tracing

AUDIENCE = "autumn-sale"
USERS_PER_REQUEST = 500


@dataclass(frozen=True, slots=True)
class Candidate:
    """A contact detail and whose it is."""

    account_id: int
    category: str
    value: str


@dataclass(frozen=True, slots=True)
class Audience:
    """The accounts that were found, and how many details could not be used to find them."""

    account_ids: list[int]
    compared: int
    refused: int


def read_candidates(engine: Engine) -> Iterator[Candidate]:
    """Read every contact detail of every account.

    Labels: each detail has those with which it was stored.
    """
    with Session(engine) as session:
        for contact in session.scalars(select(Contact).order_by(Contact.id)):
            yield Candidate(contact.account_id, contact.category, contact.value)


def is_customer(candidate: Candidate, customers: CustomerList) -> bool:
    """Tell whether a contact detail is on the advertiser's list.

    Raises:
        PurposeViolationError: If the detail was not given for advertising.
    """
    with taint.zone("advertising.audiences"):
        key = email_key(candidate.value) if candidate.category == EMAIL else phone_key(candidate.value)
        return key in customers.digests


def build_audience(candidates: Iterable[Candidate], customers: CustomerList, *, skip_refused: bool) -> Audience:
    """Find the accounts that are on the advertiser's list.

    Args:
        candidates: Every detail of every account.
        customers: The advertiser's list.
        skip_refused: Whether to go on with the next detail when one must not be used for this. Without it the
            first such detail ends the job.

    Returns:
        The accounts, and how many details were compared and refused.

    Raises:
        PurposeViolationError: If a detail was not given for advertising and ``skip_refused`` is not set.
    """
    account_ids: set[int] = set()
    compared = refused = 0
    for candidate in candidates:
        try:
            if is_customer(candidate, customers):
                account_ids.add(candidate.account_id)
            compared += 1
        except taint.PurposeViolationError:
            if not skip_refused:
                raise
            refused += 1
    return Audience(sorted(account_ids), compared, refused)


@taint.sink(purpose="advertising.audiences")
def upload_audience(platform: httpx.Client, account_ids: list[int]) -> None:
    """Send accounts to the ad platform.

    Raises:
        PurposeViolationError: If what is sent carries a label that does not allow advertising.
    """
    for start in range(0, len(account_ids), USERS_PER_REQUEST):
        users = account_ids[start : start + USERS_PER_REQUEST]
        platform.post(f"/audiences/{AUDIENCE}/users", json={"user_ids": users}).raise_for_status()


def run_job(database: Path | str, customer_list: Path, platform_url: str, *, skip_refused: bool) -> Audience:
    """Do the whole job.

    Args:
        database: The service's SQLite file, or its URL.
        customer_list: The advertiser's CSV file.
        platform_url: The ad platform's address.
        skip_refused: See ``build_audience``.

    Returns:
        What was sent.

    Raises:
        BadInputError: If the database or the list cannot be read, or the platform does not answer.
        PurposeViolationError: See ``build_audience``.
    """
    with open_database(database) as engine:
        customers = read_customer_list(customer_list)
        for line_number, problem in customers.malformed:
            print(f"{customer_list.name}:{line_number}: row skipped: {problem}.", file=sys.stderr)
        audience = build_audience(read_candidates(engine), customers, skip_refused=skip_refused)
    try:
        with httpx.Client(base_url=platform_url) as platform:
            upload_audience(platform, audience.account_ids)
    except (httpx.TransportError, httpx.InvalidURL) as error:
        raise BadInputError(
            f"the ad platform at {platform_url!r} does not answer: {type(error).__name__}. Nothing more was sent. "
            "Start it, or correct --platform."
        ) from error
    return audience


def main() -> int:
    """Run the job from the command line; print what it did as a JSON object."""
    parser = argparse.ArgumentParser(prog="python -m examples.tailored_audiences.ads_job", description=__doc__)
    parser.add_argument("--database", required=True, help="the service's SQLite file, or the URL of its database")
    parser.add_argument("--customer-list", type=Path, required=True, help="the advertiser's CSV file")
    parser.add_argument("--platform", required=True, help="the ad platform's address, such as http://127.0.0.1:8001")
    parser.add_argument("--spans", type=Path, required=True, help="file to append spans to, one JSON object a line")
    parser.add_argument(
        "--skip-refused",
        action="store_true",
        help="go on when a contact detail must not be used for advertising, instead of stopping the job",
    )
    options = parser.parse_args()
    taint.install()
    with (
        tracing("ads-job", options.spans) as tracer_provider,
        tracer_provider.get_tracer(__name__).start_as_current_span("build and upload audience"),
    ):
        audience = run_job(options.database, options.customer_list, options.platform, skip_refused=options.skip_refused)
    summary = {"accounts": len(audience.account_ids), "compared": audience.compared, "refused": audience.refused}
    print(json.dumps(summary))
    return 0


if __name__ == "__main__":
    run_main(main)
