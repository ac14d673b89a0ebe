"""Hold the example to what it says: the incident without the library, and not with it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("phonenumbers", reason="the extra 'examples' is not installed")

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Link
from sqlalchemy.orm import Session

import taint
from examples.tailored_audiences.ads_job import (
    Audience,
    Candidate,
    build_audience,
    is_customer,
    run_job,
    upload_audience,
)
from examples.tailored_audiences.customer_list import CustomerList, read_customer_list
from examples.tailored_audiences.errors import BadInputError
from examples.tailored_audiences.expectations import Outcome, check
from examples.tailored_audiences.incident import VIOLATION, JobRun, make_cast
from examples.tailored_audiences.match_keys import email_key, phone_key
from examples.tailored_audiences.service import allow_marketing, enrol_two_factor
from examples.tailored_audiences.spans import personal_data, read_spans
from examples.tailored_audiences.store import EMAIL, PHONE, Contact, create_database
from examples.tailored_audiences.telemetry import JsonLinesExporter, tracing
from tests.otlp import receiving

ROOT = Path(__file__).resolve().parents[1]
PEOPLE = 60
NOBODY_LISTENS = "http://127.0.0.1:9"
MALFORMED_ROWS = 4


def run_example(*arguments: str, module: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the example, or one of its programs, as a user does."""
    command = [sys.executable, "-m", f"examples.tailored_audiences{module}", *arguments]
    environment = os.environ | {"PYTHONIOENCODING": "utf-8"} | variables
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False)


@dataclass(frozen=True)
class Played:
    """One run of the whole example: what it printed and what it left behind."""

    exit_code: int
    printed: str
    errors: str
    folder: Path
    received: list[tuple[str, bytes]]

    def row(self, name: str) -> tuple[int | None, ...]:
        """Return the three figures of a row of the table."""
        (line,) = [line for line in self.printed.splitlines() if line.strip().startswith(name)]
        cells = line.split(name)[1].split()
        return tuple(None if cell == "-" else int(cell.replace(",", "")) for cell in cells)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Run the whole example once, on few people, beside a collector that takes its spans."""
    folder = tmp_path_factory.mktemp("example")
    arguments = ["--people", str(PEOPLE), "--malformed-rows", str(MALFORMED_ROWS), "--data-dir", str(folder), "--keep"]
    with receiving() as (address, received):
        run = run_example(*arguments, OTEL_EXPORTER_OTLP_ENDPOINT=address)
    return Played(run.returncode, run.stdout, run.stderr, folder, received)


@pytest.mark.slow
class TestIncident:
    """The example from its first request to its last line."""

    def test_all_that_it_expects_held(self, played: Played) -> None:
        """The example ends with exit code 0 and no failed expectation."""
        assert played.exit_code == 0, played.errors
        assert "FAILED" not in played.printed
        assert played.printed.count("  ok  ") >= 10

    def test_security_numbers_are_matched_only_without_the_library(self, played: Played) -> None:
        """People are matched on a security number alone with the library off, and nobody is with it on."""
        off, on, stopped = played.row("matched on a security number alone")
        assert off
        assert (on, stopped) == (0, 0)

    def test_safe_twins_are_matched_in_both(self, played: Played) -> None:
        """Whoever gave a detail for advertising is matched as before when the library is on."""
        off, on, _ = played.row("matched on what they gave for advertising")
        assert off
        assert on == off

    def test_unhandled_error_stops_the_job_before_anything_leaves(self, played: Played) -> None:
        """A job that does not handle the error ends with a failure, and the ad platform receives nothing."""
        assert played.row("Exit code of the ads job") == (0, 0, 1)
        assert played.row("People in the audience that reached the ad platform")[2] == 0

    def test_each_security_number_is_one_violation(self, played: Played) -> None:
        """Each person's security number is refused once, and each refusal is one span; off, there are none."""
        assert played.row("Contact details refused") == (0, PEOPLE, None)
        assert played.row("Violation spans") == (0, PEOPLE, 1)

    def test_each_violation_links_to_the_request_that_collected(self, played: Played) -> None:
        """Each violation span links to a server span that the service wrote in another process, and to one only."""
        requests = {span.key: span for span in read_spans(played.folder / "on" / "service.spans.jsonl")}
        violations = [
            span for span in read_spans(played.folder / "on" / "ads_job.spans.jsonl") if span.name == VIOLATION
        ]
        linked = [requests[link] for violation in violations for link in violation.links]
        assert len(violations) == PEOPLE
        assert len({span.key for span in linked}) == PEOPLE
        assert {span.attributes["http.route"] for span in linked} == {"/two-factor"}

    def test_collector_receives_the_link_across_processes(self, played: Played) -> None:
        """What reaches a collector by OTLP: violations of one service, each linked to a request that another took."""
        spans: dict[str, dict[bytes, Any]] = {}
        for path, body in played.received:
            assert path == "/v1/traces"
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                (service,) = [one.value for one in resource.resource.attributes if one.key == "service.name"]
                found = spans.setdefault(service.string_value, {})
                found.update((span.span_id, span) for scope in resource.scope_spans for span in scope.spans)
        assert spans.keys() == {"accounts-service", "ads-job"}
        requests = spans["accounts-service"]
        violations = [span for span in spans["ads-job"].values() if span.name == VIOLATION]
        assert len(violations) == PEOPLE + 1  # The job that does not handle the error ends at its first.
        for violation in violations:
            (link,) = violation.links
            request = requests[link.span_id]
            assert request.trace_id == link.trace_id != violation.trace_id
            assert request.name == "POST /two-factor"
            assert [(one.key, one.value.string_value) for one in link.attributes] == [
                ("taint.link.kind", "taint.collection")
            ]
            assert violation.parent_span_id in spans["ads-job"]
            assert violation.status.code == violation.status.STATUS_CODE_ERROR
            values = {one.key: one.value for one in violation.attributes}
            assert values["taint.sink.purpose"].string_value == "advertising.audiences"
            assert [one.string_value for one in values["taint.purposes"].array_value.values] == ["security.mfa"]

    def test_trace_is_printed(self, played: Played) -> None:
        """The ids of a violation span and of the request that it links to are both on the screen."""
        printed = re.findall(r"trace ([0-9a-f]{32})  span ([0-9a-f]{16})", played.printed)
        written = {
            (span.key.trace_id, span.key.span_id): span.name
            for name in ("service", "ads_job")
            for span in read_spans(played.folder / "on" / f"{name}.spans.jsonl")
        }
        assert [written[ids] for ids in printed] == ["POST /two-factor", VIOLATION]
        assert "security.mfa" in played.printed
        assert "advertising.audiences" in played.printed

    def test_spans_are_json_lines(self, played: Played) -> None:
        """Every file that the example names at its end holds one span in each line."""
        named = [Path(line.strip()) for line in played.printed.splitlines() if line.strip().endswith(".jsonl")]
        assert len(named) == 5
        for path in named:
            assert all(json.loads(line)["context"]["span_id"] for line in path.read_text().splitlines())

    def test_no_value_is_in_any_span_or_message(self, played: Played) -> None:
        """No number, address, digest or name of anybody is in a span, in the table or in an error."""
        with sqlite3.connect(played.folder / "on" / "accounts.sqlite3") as database:
            contacts = [value for (value,) in database.execute("SELECT value FROM contacts")]
            names = [name for (name,) in database.execute("SELECT name FROM accounts")]
        database.close()
        assert len(contacts) > PEOPLE
        forbidden = {*names, *contacts, *(contact.lower() for contact in contacts)}
        for contact in contacts:
            forbidden.add(email_key(contact) if "@" in contact else phone_key(contact))
            if "@" not in contact:
                forbidden.add("+" + "".join(filter(str.isdigit, contact)))
        texts = [path.read_text() for path in played.folder.rglob("*.jsonl")] + [played.printed, played.errors]
        assert not [value for value in forbidden for text in texts if value in text]

    def test_malformed_rows_are_reported_and_the_others_used(self, played: Played) -> None:
        """Each row that cannot be read is reported with its line number, and the job goes on."""
        reported = [
            int(number) for number in re.findall(r"^customers\.csv:(\d+): row skipped", played.errors, re.MULTILINE)
        ]
        assert len(reported) == MALFORMED_ROWS
        lines = (played.folder / "customers.csv").read_text().splitlines()
        well_formed = re.compile(r"([0-9a-f]{64})?,([0-9a-f]{64})?")
        assert reported == [
            number
            for number, line in enumerate(lines, start=1)
            if number > 1 and (not well_formed.fullmatch(line) or line == ",")
        ]


@pytest.mark.slow
class TestBadInput:
    """What a user gets who gives something that cannot work."""

    def test_too_few_people(self) -> None:
        """Fewer people than countries is refused with the number that is enough."""
        run = run_example("--people", str(PEOPLE - 1))
        assert run.returncode == 2
        assert run.stderr.startswith("error: ")
        assert "--people 60" in run.stderr

    def test_port_in_use(self, tmp_path: Path) -> None:
        """A port that another program has is refused with what to do, and no personal data stays behind."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            run = run_example("--people", "60", "--port", str(port), "--data-dir", str(tmp_path / "new"))
        assert run.returncode == 2
        assert f"cannot listen on port {port}" in run.stderr
        assert "--port" in run.stderr
        assert "Traceback" not in run.stderr
        assert not [path for path in (tmp_path / "new").rglob("*") if path.is_file() and path.suffix != ".jsonl"]

    def test_folder_in_use(self, tmp_path: Path) -> None:
        """A folder that holds something is refused, and left as it is."""
        (tmp_path / "mine.txt").write_text("keep")
        run = run_example("--data-dir", str(tmp_path))
        assert run.returncode == 2
        assert "is not empty" in run.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]

    def test_database_missing(self, tmp_path: Path) -> None:
        """The ads job without a database says so, and does not make an empty one."""
        database = tmp_path / "none.sqlite3"
        arguments = ["--database", str(database), "--customer-list", "none.csv", "--platform", NOBODY_LISTENS]
        run = run_example(*arguments, "--spans", str(tmp_path / "spans.jsonl"), module=".ads_job")
        assert run.returncode == 2
        assert "there is no database file" in run.stderr
        assert "Start the service" in run.stderr
        assert not database.exists()


@pytest.fixture
def installed() -> None:
    """Have the library on, as the example's programs have."""
    taint.install()


@pytest.mark.usefixtures("installed")
class TestFlows:
    """Where the example's own code labels, compares and uploads."""

    @staticmethod
    def candidate(purpose: str, account_id: int = 1) -> Candidate:
        """Make a number that was given for a purpose."""
        return Candidate(account_id, PHONE, taint.label("+49 1512 3456789", purpose=purpose))

    customers = CustomerList(frozenset({phone_key("+4915123456789")}), rows=1, malformed=[])

    def test_comparing_a_security_number_is_refused(self) -> None:
        """A number that was given for security is not compared, not even to say that it is on the list."""
        with pytest.raises(taint.PurposeViolationError) as caught:
            is_customer(self.candidate("security.mfa"), self.customers)
        assert caught.value.violation.evidence == "comparison"

    @pytest.mark.parametrize("purpose", ["advertising", "advertising.audiences"])
    def test_comparing_a_marketing_number_is_not(self, purpose: str) -> None:
        """The same number is found if it was given for advertising."""
        assert is_customer(self.candidate(purpose), self.customers)

    def test_job_that_skips_keeps_the_others(self) -> None:
        """A job that handles the error finds everybody who allowed it, whoever comes before them."""
        candidates = [self.candidate("security.mfa", 1), self.candidate("advertising", 2)]
        audience = build_audience(candidates, self.customers, skip_refused=True)
        assert audience == Audience([2], compared=1, refused=1)

    def test_job_that_does_not_skip_stops(self) -> None:
        """A job that does not handle the error ends at the first number that it must not use."""
        candidates = [self.candidate("advertising", 2), self.candidate("security.mfa", 1)]
        with pytest.raises(taint.PurposeViolationError):
            build_audience(candidates, self.customers, skip_refused=False)

    def test_upload_of_a_security_number_is_refused(self) -> None:
        """What is sent is checked too: an account that is known by a security number is not sent."""
        with httpx.Client(base_url=NOBODY_LISTENS) as platform, pytest.raises(taint.PurposeViolationError):
            upload_audience(platform, [taint.label("17", purpose="security.mfa")])  # type: ignore[list-item]  # A label needs a text.

    def test_upload_of_what_is_allowed_is_sent(self) -> None:
        """What may be used for advertising goes on to the request."""
        with httpx.Client(base_url=NOBODY_LISTENS) as platform, pytest.raises(httpx.ConnectError):
            upload_audience(platform, [taint.label("17", purpose="advertising")])  # type: ignore[list-item]  # As above.

    def test_service_labels_what_it_collects(self, tmp_path: Path) -> None:
        """A number is labelled for what the form that it came with is for, and the row says the same."""
        with create_database(tmp_path / "accounts.sqlite3") as engine, Session(engine) as session:
            account = enrol_two_factor(session, "Ana", "+49 1512 3456789")
            allow_marketing(session, account, phone="+49 1512 3456789", email="ana@example.org")
            new = [one for one in session.new if isinstance(one, Contact)]
            session.flush()
            labelled = {(one.category, *taint.labels_of(one.value).purposes) for one in new}
            assert all(taint.labels_of(one.value).sources for one in new)
            session.expire_all()
            assert labelled == {(one.category, *taint.labels_of(one.value).purposes) for one in new}
            assert labelled == {(PHONE, "security.mfa"), (PHONE, "advertising"), (EMAIL, "advertising")}


DIGEST = hashlib.sha256(b"x").hexdigest()


class TestAdsJobInput:
    """What the ads job refuses to start with."""

    @pytest.fixture
    def database(self, tmp_path: Path) -> Path:
        """Make a database without anybody in it."""
        path = tmp_path / "accounts.sqlite3"
        with create_database(path):
            return path

    def test_not_a_database(self, tmp_path: Path) -> None:
        """A file of another kind is refused."""
        path = tmp_path / "text.sqlite3"
        path.write_text("This is not a database, and it is long enough to be looked at." * 10)
        with pytest.raises(BadInputError, match="not a database of this service"):
            run_job(path, tmp_path / "none.csv", NOBODY_LISTENS, skip_refused=True)

    @pytest.mark.parametrize("name", ["text.sqlite3", "no/folder/accounts.sqlite3"])
    def test_database_that_cannot_be_made(self, name: str, tmp_path: Path) -> None:
        """The service refuses a file of another kind, and one in a folder that is not there."""
        (tmp_path / "text.sqlite3").write_text("This is not a database, and it is long enough to be looked at." * 10)
        with pytest.raises(BadInputError, match="cannot be used as the database"), create_database(tmp_path / name):
            pass

    def test_spans_that_cannot_be_written(self, tmp_path: Path) -> None:
        """A file for spans in a folder that is not there is refused."""
        with pytest.raises(BadInputError, match="spans cannot be written"), tracing("test", tmp_path / "no" / "spans"):
            pass

    def test_customer_list_missing(self, database: Path, tmp_path: Path) -> None:
        """A customer list that is not there is refused."""
        with pytest.raises(BadInputError, match="cannot be read"):
            run_job(database, tmp_path / "none.csv", NOBODY_LISTENS, skip_refused=True)

    @pytest.mark.parametrize("text", ["", f"{DIGEST},{DIGEST}\n", "name,phone\n", "email;phone\n"])
    def test_customer_list_without_header(self, text: str, tmp_path: Path) -> None:
        """A customer list whose first line does not name its columns is refused."""
        path = tmp_path / "list.csv"
        path.write_text(text)
        with pytest.raises(BadInputError, match="names of its columns"):
            read_customer_list(path)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (f"{DIGEST},{DIGEST}", None),
        (f"{DIGEST},", None),
        (f",{DIGEST.upper()}", None),
        (f'"{DIGEST}", {DIGEST} ', None),
        ("", "cells"),
        (",", "empty"),
        (DIGEST, "cells"),
        (f"{DIGEST},{DIGEST},{DIGEST}", "cells"),
        ("+4930123456,", "SHA-256"),
        (f"{DIGEST[:-1]},", "SHA-256"),
        (f'"{DIGEST},{DIGEST}', "not valid CSV"),
        ("\ufffd\x00,", "SHA-256"),
    ],
)
def test_customer_list_row(row: str, problem: str | None, tmp_path: Path) -> None:
    """A malformed row is kept with its line number and what is wrong, and spoils no other row."""
    other = hashlib.sha256(b"other").hexdigest()
    path = tmp_path / "list.csv"
    path.write_text(f"email,phone\n{row}\n{other},\n", encoding="utf-8-sig")
    customers = read_customer_list(path)
    assert customers.digests == ({other} if problem else {other, DIGEST})
    assert [line_number for line_number, _ in customers.malformed] == ([2] if problem else [])
    assert problem is None or problem in customers.malformed[0][1]


@pytest.mark.parametrize(
    ("typed", "normal"),
    [
        ("+49 1512 3456789", "+4915123456789"),
        ("+1 (415) 555-0100", "+14155550100"),
        ("+33.6.12.34.56.78", "+33612345678"),
    ],
)
def test_phone_key(typed: str, normal: str) -> None:
    """The match key of a number is the SHA-256 of its E.164 form, however it was typed."""
    assert phone_key(typed) == hashlib.sha256(normal.encode()).hexdigest()


def test_email_key() -> None:
    """The match key of an address is the SHA-256 of it in small letters without outer spaces."""
    assert email_key(" Ana@Example.org\n") == hashlib.sha256(b"ana@example.org").hexdigest()


def test_people_are_of_many_countries_and_distinct(tmp_path: Path) -> None:
    """Sixty people have numbers of sixty countries and regions; as typed, each has the key of its E.164 form."""
    phones = [person.security_phone for person in make_cast(tmp_path, 60, seed=1, malformed_rows=0).people]
    assert len({phone.region for phone in phones}) == 60
    assert len({phone.e164 for phone in phones}) == 60
    assert all(phone_key(phone.typed) == phone_key(phone.e164) for phone in phones)


@pytest.fixture
def outcome(tmp_path: Path) -> Outcome:
    """Make three runs, in which all that is expected held, without running anything."""
    cast = make_cast(tmp_path, PEOPLE, seed=3, malformed_rows=0)
    collected, none, many, one = (tmp_path / f"{name}.jsonl" for name in ("service", "none", "many", "one"))
    request = write_spans(collected, ["POST /two-factor"], link_to=None)
    write_spans(none, ["job"], link_to=None)
    write_spans(many, [VIOLATION] * PEOPLE, link_to=request)
    write_spans(one, [VIOLATION], link_to=request)
    customers = cast.customers
    details = sum(bool(person.marketing_phone) + bool(person.marketing_email) for person in cast.people)
    everybody = customers.by_security | customers.by_marketing
    off = JobRun(
        "off", 0, 0, PEOPLE + details, "", ['{"user_ids":[1]}'], everybody, read_spans(collected), read_spans(none)
    )
    on = replace(off, refused=PEOPLE, compared=details, people=customers.by_marketing, spans=read_spans(many))
    error = "taint.errors.PurposeViolationError: ..."
    stopped = JobRun("stopped", 1, None, None, error, [], frozenset(), read_spans(collected), read_spans(one))
    return Outcome(cast, off, on, stopped)


def write_spans(path: Path, names: list[str], link_to: Link | None) -> Link:
    """Write real spans; return a link to the last."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(JsonLinesExporter(path)))
    link = None
    for name in names:
        with provider.get_tracer("test").start_as_current_span(name, links=[link_to] if link_to else []) as span:
            link = Link(span.get_span_context())
    provider.shutdown()
    assert link is not None
    return link


class TestExpectations:
    """The example would say so if one of its claims did not hold."""

    def test_all_hold(self, outcome: Outcome) -> None:
        """Nothing fails when all went well."""
        assert [expectation.fact for expectation in check(outcome) if not expectation.held] == []

    def failed(self, outcome: Outcome) -> str:
        """Return all that failed, in one text."""
        return "\n".join(expectation.fact for expectation in check(outcome) if not expectation.held)

    def test_incident_that_did_not_happen(self, outcome: Outcome) -> None:
        """It is noticed if the run without the library matches nobody on a security number."""
        off = replace(outcome.off, people=outcome.on.people)
        assert "the incident" in self.failed(replace(outcome, off=off))

    def test_match_that_was_not_stopped(self, outcome: Outcome) -> None:
        """It is noticed if the run with the library matches somebody on a security number."""
        on = replace(outcome.on, people=outcome.off.people)
        assert "With it nobody was." in self.failed(replace(outcome, on=on))

    def test_safe_twin_that_was_lost(self, outcome: Outcome) -> None:
        """It is noticed if one person who allowed advertising is not matched."""
        on = replace(outcome.on, people=frozenset(sorted(outcome.on.people)[1:]))
        assert "who allowed advertising" in self.failed(replace(outcome, on=on))

    def test_upload_before_the_error(self, outcome: Outcome) -> None:
        """It is noticed if something left before the job ended."""
        stopped = replace(outcome.stopped, received=['{"user_ids":[1]}'])
        assert "before anything left" in self.failed(replace(outcome, stopped=stopped))

    def test_upload_of_more_than_ids(self, outcome: Outcome) -> None:
        """It is noticed if a request carries anything but account ids."""
        on = replace(outcome.on, received=['{"user_ids":[1],"phones":["+1"]}'])
        assert "are account ids" in self.failed(replace(outcome, on=on))

    def test_violation_without_a_link(self, outcome: Outcome, tmp_path: Path) -> None:
        """It is noticed if a violation span does not say where the number was collected."""
        spans = tmp_path / "unlinked.jsonl"
        write_spans(spans, [VIOLATION] * PEOPLE, link_to=None)
        assert "links to the request" in self.failed(replace(outcome, on=replace(outcome.on, spans=read_spans(spans))))

    def test_value_in_an_error(self, outcome: Outcome) -> None:
        """It is noticed if somebody's number is in what the job writes to stderr."""
        stopped = replace(outcome.stopped, errors=f"failed for {outcome.cast.people[0].security_phone.typed}")
        assert "No number, address or digest" in self.failed(replace(outcome, stopped=stopped))


def test_search_for_personal_data(tmp_path: Path) -> None:
    """Numbers in any punctuation, addresses in any case, and digests are found; other text is not taken for one."""
    cast = make_cast(tmp_path, PEOPLE, seed=3, malformed_rows=0)
    values = personal_data(cast.people, cast.customers)
    phone, email = cast.people[6].security_phone, cast.people[6].marketing_email
    assert email is not None

    def texts() -> Iterator[str]:
        yield phone.typed
        yield f"tel:{phone.e164};ext=1"
        yield f'{{"to": "{email.upper()}"}}'
        yield f"key={phone_key(phone.e164)}"
        yield f"key={email_key(email).upper()}"

    assert [values.found_in([text]) for text in texts()] == [1] * 5
    assert values.found_in(["POST /two-factor 201", "+1 000 000", "nobody@example.org", "0" * 64, "2026-11-23"]) == 0


SLOW = """
import sys, time
from pathlib import Path
import taint
from taint import telemetry
from examples.tailored_audiences.telemetry import JsonLinesExporter, tracing

native = JsonLinesExporter.export
def export(self, spans):
    time.sleep(0.15)  # Longer than a sink waits for an exporter.
    return native(self, spans)
JsonLinesExporter.export = export
taint.configure(mode="report")
telemetry.set_up(repeat_seconds=0)
upload = taint.sink(purpose="advertising.audiences", name="ads.upload")(lambda phone: None)
with tracing("job", Path(sys.argv[1])):
    for _ in range(6):
        upload(taint.label("+14155550100", purpose="security.mfa"))
"""


def test_slow_exporter_loses_no_span(tmp_path: Path) -> None:
    """Violations that are still on their way when the job ends are written before its provider is shut down."""
    spans = tmp_path / "spans.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", SLOW, str(spans)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(spans.read_text(encoding="utf-8").splitlines()) == 6
