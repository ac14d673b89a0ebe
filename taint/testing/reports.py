"""Reports of a test run as files: JSON, SARIF for code scanning, JUnit for CI servers, HTML for people."""

from __future__ import annotations

import json
import os
import re
import urllib.parse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

from taint.errors import ConfigurationError
from taint.policy import Outcome
from taint.report.kinds import SUPPRESSED, Kind, Origin, Tally, without_indices
from taint.report.page import Page, render
from taint.testing.findings import Finding
from taint.version import __version__
from taint.wording import counted

__all__ = ["KINDS", "Report", "parse_report"]

Known = Iterable[tuple[str, ...]]
REPORT_VERSION = 1


def _json(findings: Sequence[Finding], known: Known) -> str:
    rows = [{**asdict(one), "is_known": one.key in known} for one in findings]
    return json.dumps({"version": REPORT_VERSION, "tool": f"purpose-taint {__version__}", "violations": rows}, indent=1)


def _sarif(findings: Sequence[Finding], known: Known) -> str:
    """Write SARIF 2.1.0 (https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html)."""
    rules = sorted({one.rule for one in findings})
    results = [
        {
            "ruleId": one.rule,
            "ruleIndex": rules.index(one.rule),
            "level": "error",
            "message": {"text": one.message},
            "locations": [_sarif_location(one)] if one.file else [],
            "partialFingerprints": {"taint/v1": "|".join(one.key)},
            "baselineState": "unchanged" if one.key in known else "new",
            "properties": {"test": one.test, "evidence": one.evidence, "sink": one.sink, "sources": list(one.sources)},
        }
        for one in findings
    ]
    driver = {
        "name": "purpose-taint",
        "version": __version__,
        "rules": [{"id": rule, "shortDescription": {"text": f"Policy rule {rule}"}} for rule in rules],
    }
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    schema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
    return json.dumps({"$schema": schema, "version": "2.1.0", "runs": [run]}, indent=1)


def _sarif_location(finding: Finding) -> dict[str, Any]:
    file = finding.file.replace(os.sep, "/")
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": urllib.parse.quote(file, errors="surrogateescape")},
            "region": {"startLine": max(1, finding.line)},
        },
        "logicalLocations": [{"fullyQualifiedName": finding.function, "kind": "function"}],
    }


def _junit(findings: Sequence[Finding], known: Known) -> str:
    """Write JUnit's XML as CI servers read it: one case for each violation, skipped where it is known.

    The form is that of Jenkins' schema (https://github.com/jenkinsci/xunit-plugin, junit-10.xsd).
    """
    failures = sum(one.key not in known for one in findings)
    counts = {"tests": str(len(findings)), "failures": str(failures), "skipped": str(len(findings) - failures)}
    suite = ET.Element("testsuite", {"name": "taint", "errors": "0", **counts})
    for one in findings:
        about = {"classname": one.test, "name": one.title, "time": "0", "file": one.file, "line": str(one.line)}
        case = ET.SubElement(suite, "testcase", {name: _in_xml(text) for name, text in about.items()})
        if one.key in known:
            ET.SubElement(case, "skipped", message="known: in the baseline")
        else:
            failure = ET.SubElement(case, "failure", type=one.rule, message=_in_xml(one.message))
            failure.text = _in_xml(f"{one.path} at {one.file}:{one.line} in {one.function}")
    suites = ET.Element("testsuites")
    suites.append(suite)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True)


def _in_xml(text: str) -> str:
    """Give text without the control characters that XML 1.0 has no way to write."""
    return _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text)


_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _html(findings: Sequence[Finding], known: Known) -> str:
    """Write the page that `python -m taint report` writes, of a run's findings."""
    tally = Tally()
    for one in findings:
        tally.of(_kind(one, is_known=one.key in known)).add()
    about = counted(len({one.test for one in findings}), "test")
    names = {SUPPRESSED: "known"}
    return render(Page("Violations in tests", about, tally.seen, verdict_names=names)).rstrip("\n")


def _kind(finding: Finding, *, is_known: bool) -> Kind:
    """Give a finding as the kind of flow that it is; whose purpose is whose is not kept apart in a finding."""
    sources, category = finding.sources or ("",), " and ".join(finding.categories)
    return Kind(
        verdict=SUPPRESSED if is_known else Outcome.VIOLATION.value,
        origins=tuple(Origin(source, finding.collected_for, category) for source in sources),
        sink=finding.sink,
        purpose=finding.purpose,
        evidence=finding.evidence,
        path=without_indices(finding.path),
        rule=finding.rule,
        function=finding.function,
        file=finding.file,
        line=finding.line,
        note=finding.message,
        test=finding.test,
    )


KINDS: Final[dict[str, tuple[str, Callable[[Sequence[Finding], Known], str]]]] = {
    "html": ("taint-report.html", _html),
    "json": ("taint-report.json", _json),
    "sarif": ("taint-report.sarif", _sarif),
    "junit": ("taint-report.xml", _junit),
}


@dataclass(frozen=True, slots=True)
class Report:
    """One report to write.

    Args:
        kind: One of `KINDS`.
        path: Where.
    """

    kind: str
    path: Path

    def write(self, findings: Sequence[Finding], known: Known) -> None:
        """Write it: all findings, those of the baseline marked as known."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(KINDS[self.kind][1](findings, known) + "\n", encoding="utf-8", errors="replace")


def parse_report(option: str, root: Path) -> Report:
    """Read `KIND` or `KIND:FILE`.

    Args:
        option: As given to `--taint-report`.
        root: What the file is relative to.

    Raises:
        ConfigurationError: There is no such kind.
    """
    kind, _, file = option.partition(":")
    if kind not in KINDS:
        kinds = ", ".join(map(repr, KINDS))
        raise ConfigurationError(
            f"no such report: {kind!r}. The kinds are {kinds}. Give one, as in --taint-report=json:leaks.json."
        )
    return Report(kind, root / (file or KINDS[kind][0]))
