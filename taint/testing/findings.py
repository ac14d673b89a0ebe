"""Findings of a test run: plain data without any value, that can be sent between processes and written to a file."""

from __future__ import annotations

import json
import linecache
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from taint.errors import ConfigurationError
from taint.evidence import Evidence
from taint.policy import Flow
from taint.report.kinds import without_indices

__all__ = ["Baseline", "Finding", "as_data", "explain", "finding_of", "from_data", "is_allowed_by", "name_matches"]

BASELINE_VERSION = 1


@dataclass(frozen=True, slots=True)
class Finding:
    """One violation, as reports have it.

    Args:
        test: The node id of the test.
        sink: The sink's name; for a comparison the zone's.
        purpose: What the sink uses data for.
        sources: Where the data was collected.
        collected_for: For which purposes.
        categories: What kinds of data.
        evidence: How it is known.
        path: Where in the arguments.
        rule: The rule that decided.
        message: What happened, what is allowed, what to do.
        function: The function that called the sink.
        file: Its file, relative to the root of the run where it is below.
        line: The line of the call.
        steps: Where the data has been, from its source to here, where tracing was on.
    """

    test: str
    sink: str
    purpose: str
    sources: tuple[str, ...]
    collected_for: tuple[str, ...]
    categories: tuple[str, ...]
    evidence: str
    path: str
    rule: str
    message: str
    function: str
    file: str
    line: int
    steps: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, ...]:
        """What stays the same when lines move and rows change: by this a baseline knows it again."""
        place = without_indices(self.path)
        return (self.sink, self.purpose, *self.sources, *self.collected_for, self.evidence, place, self.rule, self.file)

    @property
    def pair(self) -> str:
        """Say from where to where."""
        return f"{', '.join(self.sources)} -> {self.sink}" if self.sources else self.sink

    @property
    def title(self) -> str:
        """Say it in a line."""
        return f"{self.pair} ({self.evidence}) at {self.file}:{self.line}"


MEANINGS = {
    Evidence.LABEL: "the value itself carries the label",
    Evidence.LINEAGE: "a query uses a column that holds such data",
    Evidence.COMPARISON: "a value with the label was compared, looked up or hashed for that purpose",
    Evidence.CONTENT: "the value has no label, but equals one that was collected",
    Evidence.DIGEST: "the value is a digest of one that was collected",
}
"""What each kind of evidence means, for who meets it for the first time."""


def finding_of(flow: Flow, test: str, root: Path) -> Finding:
    """Make a finding of a violation."""
    site = flow.call_site
    file = site.file if site is not None else ""
    if file and Path(file).is_relative_to(root):
        file = Path(file).relative_to(root).as_posix()
    return Finding(
        test=test,
        sink=flow.sink,
        purpose=flow.purpose,
        sources=tuple(sorted(flow.labels.sources)),
        collected_for=tuple(sorted(flow.purposes)),
        categories=tuple(sorted(flow.labels.categories)),
        evidence=flow.evidence.value,
        path=flow.path,
        rule=flow.rule,
        message=flow.message,
        function=site.function if site is not None else "",
        file=file,
        line=site.line if site is not None else 0,
        steps=tuple(map(str, flow.steps)),
    )


def explain(findings: Sequence[Finding], root: Path) -> str:
    """Say for people what a test let through: path, source, sink, evidence and the line of the sink's call."""
    first = findings[0]
    more = f" and {len(findings) - 1} more" * (len(findings) > 1)
    lines = [f"violation: {first.pair}{more}"]
    for number, one in enumerate(findings, 1):
        code = linecache.getline(os.path.join(root, one.file), one.line).strip()  # noqa: PTH118  # linecache's own form.
        lines += [
            "",
            f"{number}. {one.message}",
            f"   sink      {one.sink} (uses data for {one.purpose})",
            f"   source    {', '.join(one.sources) or '?'} (collected for {', '.join(one.collected_for) or '?'})",
            f"   path      {one.path}",
            f"   evidence  {one.evidence}: {MEANINGS[Evidence(one.evidence)]}",
            f"   rule      {one.rule}",
            f"   call      {one.file}:{one.line} in {one.function}",
            *([f"             {code}"] if code else []),
            *(f"   {'way' if at == 1 else '   '}       {at}. {step}" for at, step in enumerate(one.steps, 1)),
        ]
    if not any(one.steps for one in findings):
        lines += ["", "Where has the data been? Run it again with TAINT_TRACE=1."]
    pattern = first.pair if len(first.sources) == 1 else first.sink
    expected = f"Is it what the test tries? with expect_violation(sink={first.sink!r}): ..., from taint.testing."
    allowed = f"Is it fine in this test? @pytest.mark.taint(allow=[{pattern!r}])."
    lines += ["", expected, allowed, "Is it known for long? --taint-baseline=FILE."]
    return "\n".join(lines)


def is_allowed_by(flow: Flow, patterns: Iterable[str]) -> bool:
    """Tell whether a test says that a flow is fine there.

    Args:
        flow: A violation.
        patterns: Names of sinks, or `source -> sink`, with `*` for any part of a name.
    """
    for pattern in patterns:
        source, arrow, sink = pattern.rpartition("->")
        sources = flow.labels.sources or {""}
        if name_matches(flow.sink, sink) and (not arrow or all(name_matches(one, source) for one in sources)):
            return True
    return False


def name_matches(name: str, pattern: str) -> bool:
    """Tell whether a name is as a pattern has it, with `*` for any part."""
    return re.fullmatch(".*".join(map(re.escape, pattern.strip().split("*"))), name) is not None


class Baseline:
    """Findings that were there when the plugin was adopted: listed until they are fixed, while new ones fail.

    Args:
        path: A JSON file; one that does not exist yet knows none.

    Raises:
        ConfigurationError: The file cannot be read as a baseline.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[tuple[str, ...], dict[str, Any]] = {}
        if not path.exists():
            return
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if data["version"] != BASELINE_VERSION:
                raise ValueError  # noqa: TRY301  # Said below, with everything else that may be wrong.
            self.entries = {tuple(one["key"]): {**one, "tests": list(one["tests"])} for one in data["known"]}
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(
                f"not a baseline: {str(path)!r}. A baseline is JSON of version {BASELINE_VERSION}, as "
                "--taint-baseline-update writes it. Write it anew."
            ) from error

    def __contains__(self, finding: Finding) -> bool:
        return finding.key in self.entries

    def write(self, findings: Iterable[Finding], tests: set[str]) -> int:
        """Replace what is known by these findings and give their number.

        Args:
            findings: Of this run.
            tests: Which tests ran: what was known from others alone stays known.
        """
        found: dict[tuple[str, ...], list[Finding]] = {}
        for one in findings:
            found.setdefault(one.key, []).append(one)
        known = {key: one for key, one in self.entries.items() if tests.isdisjoint(one["tests"])}
        for key, ones in found.items():
            kept = [test for test in self.entries.get(key, {}).get("tests", ()) if test not in tests]
            seen = sorted({*kept, *(one.test for one in ones)})
            known[key] = {"key": list(key), "title": ones[0].title, "tests": seen}
        data = {"version": BASELINE_VERSION, "known": [known[key] for key in sorted(known)]}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
        return len(known)

    def fixed(self, findings: Iterable[Finding], tests: set[str]) -> list[str]:
        """Give the titles of entries that no finding matches any more, though one of their tests ran."""
        seen = {one.key for one in findings}
        return [
            str(one["title"])
            for key, one in self.entries.items()
            if key not in seen and not tests.isdisjoint(one["tests"])
        ]


def as_data(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Give findings as plain data."""
    return [asdict(one) for one in findings]


def from_data(data: Iterable[dict[str, Any]]) -> list[Finding]:
    """Read what `as_data` gave, also through JSON or another process."""
    return [Finding(**{name: _frozen(value) for name, value in one.items()}) for one in data]


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
