"""Play the incident once: people enrol, the service stops, the ads job runs; and again with the library on.

The programs are the same each time, to the byte; only ``TAINT_MODE`` differs.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

import httpx

from examples.tailored_audiences.advertiser import Customers, make_customers, write_customer_list
from examples.tailored_audiences.enrolment import enrol_everybody
from examples.tailored_audiences.people import Person, make_people, make_phones
from examples.tailored_audiences.processes import run_program, server
from examples.tailored_audiences.spans import Span, read_spans

VIOLATION = "taint.violation"


@dataclass(frozen=True, slots=True)
class Cast:
    """Who takes part: the people, and the advertiser with its customers."""

    people: list[Person]
    customers: Customers
    customer_list: Path


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A database that the service has filled.

    Attributes:
        mode: The library's mode in the service.
        database: The SQLite file or the URL.
        folder: Where the files of this run are.
        requests: The spans of the requests that the service took.
        account_ids: The account of each person, in the order of the people.
    """

    mode: str
    database: str
    folder: Path
    requests: list[Span]
    account_ids: list[int]


@dataclass(frozen=True, slots=True)
class JobRun:
    """One run of the ads job, and what the ad platform has to say about it.

    Attributes:
        title: How this run is called in the table.
        exit_code: The job's.
        refused: How many contact details the job says it could not use; None if it did not come to its end.
        compared: How many contact details the job says it compared; None if it did not come to its end.
        errors: What the job wrote to stderr.
        received: The bodies of all requests that reached the platform.
        people: Positions of the people whose accounts reached the platform.
        requests: The spans of the requests that filled the database.
        spans: The spans of the job.
    """

    title: str
    exit_code: int
    refused: int | None
    compared: int | None
    errors: str
    received: list[str]
    people: frozenset[int]
    requests: list[Span]
    spans: list[Span]

    @property
    def violations(self) -> list[Span]:
        """The spans of what was refused."""
        return [span for span in self.spans if span.name == VIOLATION]


def make_cast(folder: Path, count: int, seed: int, malformed_rows: int) -> Cast:
    """Make the people, and write the advertiser's file.

    Args:
        folder: Where to write the file.
        count: How many people.
        seed: The same seed makes the same people.
        malformed_rows: How many rows of the file are to be spoiled.
    """
    rng = random.Random(seed)
    phones = make_phones(rng)
    people = make_people(count, phones, seed)
    customers = make_customers(people, phones, rng, seed)
    customer_list = folder / "customers.csv"
    write_customer_list(customer_list, customers, malformed_rows)
    return Cast(people, customers, customer_list)


def enrol(folder: Path, database: str, people: list[Person], mode: str, port: int) -> Enrolment:
    """Run the service, and let everybody enrol.

    Args:
        folder: Where to put the spans; it is made.
        database: The SQLite file, or the URL.
        people: Who enrols.
        mode: The library's mode in the service.
        port: The service's local port; 0 takes a free one.

    Raises:
        ProcessFailedError: If the service does not start.
    """
    folder.mkdir()
    spans = folder / "service.spans.jsonl"
    arguments = ("--database", database, "--spans", str(spans), "--port", str(port))
    with server("service", *arguments, mode=mode) as service_url:
        account_ids = enrol_everybody(people, service_url)
    return Enrolment(mode, database, folder, read_spans(spans), account_ids)


def run_ads_job(
    title: str, enrolment: Enrolment, customer_list: Path, platform_url: str, *, skip_refused: bool
) -> JobRun:
    """Run the ads job, and ask the ad platform what it received from it.

    Args:
        title: How to call this run.
        enrolment: The database to read. The job runs in the mode in which it was filled.
        customer_list: The advertiser's file.
        platform_url: The platform's address.
        skip_refused: Whether the job goes on after a contact detail that it must not use.
    """
    spans = enrolment.folder / ("ads_job.spans.jsonl" if skip_refused else "ads_job_stopped.spans.jsonl")
    arguments = ["--database", enrolment.database, "--customer-list", str(customer_list)]
    arguments += ["--platform", platform_url, "--spans", str(spans)]
    if skip_refused:
        arguments.append("--skip-refused")
    received_before = _received(platform_url)
    job = run_program("ads_job", *arguments, mode=enrolment.mode)
    received = _received(platform_url)[len(received_before) :]
    summary = json.loads(job.stdout) if job.returncode == 0 else {}
    person_of = {account_id: index for index, account_id in enumerate(enrolment.account_ids)}
    return JobRun(
        title=title,
        exit_code=job.returncode,
        refused=summary.get("refused"),
        compared=summary.get("compared"),
        errors=job.stderr,
        received=received,
        people=frozenset(person_of[account_id] for body in received for account_id in json.loads(body)["user_ids"]),
        requests=enrolment.requests,
        spans=read_spans(spans),
    )


def _received(platform_url: str) -> list[str]:
    received = httpx.get(f"{platform_url}/received").raise_for_status().json()
    return [request["body"] for request in received]
