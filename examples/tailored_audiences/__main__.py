"""Play the 2019 incident without and with the library, and show what each run did."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from examples.tailored_audiences.advertiser import ROWS_PER_PERSON
from examples.tailored_audiences.databases import Places, places
from examples.tailored_audiences.errors import BadInputError, run_main
from examples.tailored_audiences.expectations import Outcome, check
from examples.tailored_audiences.incident import Cast, enrol, make_cast, run_ads_job
from examples.tailored_audiences.people import MINIMUM_PEOPLE
from examples.tailored_audiences.processes import ProcessFailedError, server
from examples.tailored_audiences.report import render_expectations, render_table, render_trace

_SEED = 2019


def main() -> int:
    """Run the example from the command line.

    Returns:
        0 if all that this example says held, 1 if not.
    """
    options = _parse_options()
    if options.people < MINIMUM_PEOPLE:
        raise BadInputError(
            f"{options.people} people are too few. At least {MINIMUM_PEOPLE} are needed, for numbers of that many "
            f"countries. Give --people {MINIMUM_PEOPLE} or more."
        )
    # A terminal that cannot show a line of the table shows a question mark, and the run goes on.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    folder = _data_folder(options.data_dir)
    started = time.monotonic()
    try:
        cast = make_cast(folder, options.people, _SEED, options.malformed_rows)
        with places(options.database, folder, keep=options.keep) as place:
            outcome = _play(folder, cast, options.port, place)
        held = _show(outcome, folder)
    except ProcessFailedError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    finally:
        if not options.keep:
            _remove_personal_data(folder)
    print(f"Done in {time.monotonic() - started:.0f} s.")
    return 0 if held else 1


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.tailored_audiences", description=__doc__)
    parser.add_argument("--people", type=int, default=2000, help="how many enrol; at least 60 (default: 2000)")
    parser.add_argument(
        "--database",
        default="sqlite",
        help="sqlite; postgresql, which starts a server; or the URL of a PostgreSQL database (default: sqlite)",
    )
    parser.add_argument("--port", type=int, default=0, help="local port of the service (default: 0, a free one)")
    parser.add_argument("--data-dir", type=Path, help="empty folder for all files (default: a new temporary folder)")
    parser.add_argument("--malformed-rows", type=int, default=0, help="rows of the list to spoil (default: 0)")
    parser.add_argument("--keep", action="store_true", help="keep databases and customer list, not only the spans")
    return parser.parse_args()


def _data_folder(chosen: Path | None) -> Path:
    if chosen is None:
        return Path(tempfile.mkdtemp(prefix="tailored-audiences-"))
    try:
        chosen.mkdir(parents=True, exist_ok=True)
        in_use = any(chosen.iterdir())
    except OSError as error:
        raise BadInputError(
            f"--data-dir {str(chosen)!r} cannot be used: {error.strerror}. Give a folder that may be written."
        ) from error
    if in_use:
        raise BadInputError(f"--data-dir {str(chosen)!r} is not empty. Give an empty or a new folder.")
    return chosen.resolve()


def _play(folder: Path, cast: Cast, port: int, place: Places) -> Outcome:
    rows = int(len(cast.people) * ROWS_PER_PERSON)
    print(f"{len(cast.people):,} people enrol; an advertiser has a list of {rows:,} customers.")
    with server("ad_platform", mode="off") as platform_url:
        print("Library off: the service takes the enrolments, then the ads job matches and uploads ...", flush=True)
        enrolment = enrol(folder / "off", place("off"), cast.people, "off", port)
        off = run_ads_job("off", enrolment, cast.customer_list, platform_url, skip_refused=True)
        print("Library on: the same programs ...", flush=True)
        enrolment = enrol(folder / "on", place("on"), cast.people, "block", port)
        on = run_ads_job("on", enrolment, cast.customer_list, platform_url, skip_refused=True)
        stopped = run_ads_job("on, error not handled", enrolment, cast.customer_list, platform_url, skip_refused=False)
    return Outcome(cast, off, on, stopped)


def _show(outcome: Outcome, folder: Path) -> bool:
    skipped = [line for line in outcome.on.errors.splitlines() if "row skipped" in line]
    expectations = list(check(outcome))
    sections = {
        "The library": render_table(outcome),
        "Expected": render_expectations(expectations),
        "One refused comparison, across two processes": render_trace(outcome.on),
        "All spans, one JSON object a line": (f"  {path}" for path in sorted(folder.glob("*/*.jsonl"))),
    }
    for title, lines in sections.items():
        print(f"\n{title}\n")
        print("\n".join(lines))
    print()
    for line in skipped:
        print(line, file=sys.stderr)
    failed = [expectation.fact for expectation in expectations if not expectation.held]
    for run in outcome.runs[:2]:
        if run.exit_code != 0:
            print(f"error: the ads job with the library {run.title} failed:\n{run.errors}", file=sys.stderr)
    for fact in failed:
        print(f"error: this did not hold: {fact}", file=sys.stderr)
    return not failed


def _remove_personal_data(folder: Path) -> None:
    for path in (*folder.glob("customers.csv"), *folder.glob("*/accounts.sqlite3*")):
        path.unlink()


if __name__ == "__main__":
    run_main(main)
