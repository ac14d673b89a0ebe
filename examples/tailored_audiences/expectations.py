"""What must have happened, held against what the ad platform received and what the processes wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from examples.tailored_audiences.incident import Cast, JobRun
from examples.tailored_audiences.people import MINIMUM_PEOPLE, Person
from examples.tailored_audiences.spans import Span, SpanKey, personal_data


@dataclass(frozen=True, slots=True)
class Expectation:
    """A fact that this example shows, and whether it held."""

    fact: str
    held: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """The three runs of the ads job: library off, library on, library on and its error not handled."""

    cast: Cast
    off: JobRun
    on: JobRun
    stopped: JobRun

    @property
    def runs(self) -> tuple[JobRun, JobRun, JobRun]:
        """All three, in the order of the table."""
        return self.off, self.on, self.stopped


def check(outcome: Outcome) -> Iterator[Expectation]:
    """Hold the three runs against the truth about who is on the advertiser's list and why.

    Args:
        outcome: The runs.

    Yields:
        Each fact, with whether it held.
    """
    cast, off, on, stopped = outcome.cast, outcome.off, outcome.on, outcome.stopped
    customers = cast.customers
    security_only = customers.by_security - customers.by_marketing
    countries = len({person.security_phone.region for person in cast.people})
    yield Expectation(f"Numbers of {countries} countries and regions took part.", countries >= MINIMUM_PEOPLE)

    yield Expectation(
        f"Without the library {len(security_only):,} people were matched on a security number alone: the incident.",
        bool(security_only) and off.exit_code == 0 and off.people == customers.by_security | customers.by_marketing,
    )
    yield Expectation("With it nobody was.", on.exit_code == 0 and not on.people & security_only)
    yield Expectation(
        f"The {len(customers.by_marketing):,} customers who allowed advertising were matched all the same, "
        "also those whose one number serves both.",
        bool(customers.by_marketing) and on.people == customers.by_marketing,
    )
    yield Expectation(
        "Every security number was refused, and every detail given for advertising compared.",
        on.refused == len(cast.people) and on.compared == _marketing_details(cast.people),
    )
    yield Expectation(
        "Where the job does not handle the error, it ended before anything left.",
        stopped.exit_code == 1 and "PurposeViolationError" in stopped.errors and not stopped.received,
    )
    yield Expectation(
        "All that the ad platform received are account ids.",
        all(set(json.loads(body)) == {"user_ids"} for run in outcome.runs for body in run.received),
    )

    yield Expectation(
        "Each refusal is a violation span; there is none with the library off.",
        [len(run.violations) for run in outcome.runs] == [0, on.refused, 1],
    )
    requests = {span.key for span in on.requests}
    yield Expectation(
        "Each violation span links to the request in which the number was collected.",
        all(len(span.links) == 1 and span.links[0] in requests for span in on.violations + stopped.violations),
    )
    values = personal_data(cast.people, customers)
    texts = [span.text for run in outcome.runs for span in run.requests + run.spans]
    texts += [run.errors for run in outcome.runs]
    yield Expectation(
        "No number, address or digest of anybody is in a span or an error message.", values.found_in(texts) == 0
    )


def linked_pair(run: JobRun) -> tuple[Span, Span] | None:
    """Return a span in which something was collected, and the violation span that links to it, if there are."""
    requests: dict[SpanKey, Span] = {span.key: span for span in run.requests}
    for violation in run.violations:
        for link in violation.links:
            if link in requests:
                return requests[link], violation
    return None


def _marketing_details(people: list[Person]) -> int:
    return sum((person.marketing_phone is not None) + (person.marketing_email is not None) for person in people)
