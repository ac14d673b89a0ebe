"""Print the table of docs/applications.md: `python -m tests.applications`, or with names of suites."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.applications.running import Ran, prepare, summary
from tests.applications.suites import SUITES


def _counts(ran: Ran) -> str:
    return ", ".join(f"{number} {kind}" for kind, number in summary(ran).most_common())


def main() -> None:
    """Run every suite in its ways."""
    print("| suite | without | labelled | labelled, rewritten | fields | columns | violations | allowed |")
    print("|---|---|---|---|---|---|---|---|")
    for suite in SUITES:
        if len(sys.argv) > 1 and not any(name in suite.title for name in sys.argv[1:]):
            continue
        with tempfile.TemporaryDirectory() as folder:
            prepared = prepare(suite, Path(folder))
            native, labelled, rewritten = prepared.native(), prepared.labelled(), prepared.labelled(suite.packages)
            same = ["same" if one.outcomes == native.outcomes else _counts(one) for one in (labelled, rewritten)]
            found = labelled.found
            seen = [str(len(found["fields"])), str(len(found["columns"])), str(found["violations"])]
            seen.append(str(prepared.labelled(use="security.mfa").found["allowed"]))
            print(f"| {' | '.join([suite.title, _counts(native), *same, *seen])} |", flush=True)


if __name__ == "__main__":
    main()
