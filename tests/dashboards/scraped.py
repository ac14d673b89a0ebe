"""A process that Prometheus scrapes: the example's enrolment and its ads job, over and over, with its metrics exported.

Prints the port of its metrics, and ends with its standard input.
"""

from __future__ import annotations

import datetime as dt
import select
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from opentelemetry import metrics
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import start_http_server
from sqlalchemy.orm import Session

import taint
from examples.tailored_audiences.ads_job import build_audience, read_candidates
from examples.tailored_audiences.customer_list import CustomerList
from examples.tailored_audiences.service import allow_marketing, enrol_two_factor
from examples.tailored_audiences.store import create_database
from taint import telemetry

ROUND_SECONDS = 0.2
SUPPRESSION = {
    "rule": "purpose-limitation",
    "sinks": ["crm.export"],
    "reason": "till the export is rewritten",
    "owner": "crm",
    "expires": dt.date(2999, 1, 1),
}


@taint.sink(purpose="marketing", name="crm.export")
def export(value: str) -> None:
    """Export to a system where every value must be labelled; what is not is undecided, what is, is borne."""


@taint.sink(purpose="advertising.audiences", name="ads.upload", mode="block")
def upload(value: str) -> None:
    """Upload to an ad platform; it is stopped."""


@contextmanager
def exporting() -> Iterator[None]:
    """Export metrics on a free port, and print it."""
    metrics.set_meter_provider(MeterProvider([PrometheusMetricReader()]))
    server, serving = start_http_server(0, "127.0.0.1")
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    yield
    server.shutdown()
    serving.join()


def main() -> None:
    """Run until standard input ends."""
    taint.install()
    policy = {"suppressions": [SUPPRESSION], "sinks": {"crm.export": {"unlabelled": "gap"}}}
    taint.configure(mode="report", known_values=True, policy=policy)
    customers = CustomerList(frozenset({"0" * 64}), 1, [])
    with tempfile.TemporaryDirectory() as folder, create_database(Path(folder, "db")) as engine, exporting():
        while not select.select([sys.stdin], [], [], ROUND_SECONDS)[0]:
            with Session(engine) as session, session.begin():
                account = enrol_two_factor(session, "Ada", "+14155550100")
                allow_marketing(session, account, None, "ada@example.com")
            candidates = list(read_candidates(engine))[-2:]
            build_audience(candidates, customers, skip_refused=True)
            phone = candidates[0].value
            export(phone)
            export("unlabelled")
            with suppress(taint.PurposeViolationError):
                upload(phone)
            taint.plain(phone)
            taint.declassify(phone, to="advertising.audiences", reason="opted in", approved_by="review-118")
            telemetry.metrics.count_dropped()


if __name__ == "__main__":
    main()
