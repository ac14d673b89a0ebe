"""Policy files: what is accepted, what a mistake is answered, reloading, and the JSON Schema."""

from __future__ import annotations

import datetime as dt
import fnmatch
import json
import logging
import os
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped,unused-ignore]  # Its types are a distribution of their own.
import pytest

import taint
from taint.modes import Mode, current_mode
from taint.policy import current_policy, load_policy, make_policy
from taint.policy.loading import MAX_BYTES
from taint.policy.structure import SCHEMA_FILE, schema, structural_errors

EVERYTHING = """
mode = "report"
taxonomy = "taint"
unlabelled = "gap"
consent_unavailable = "report"

[envelopes]
hosts = ["*.internal", "127.0.0.1:*"]

[environments.production]
mode = "block"
unlabelled = "allow"
rules = { no-health = "redact" }

[purposes]
"shop.loyalty" = { definition = "Points.", parents = ["marketing"], fideslang = ["marketing"], dpv = ["Marketing"] }
"shop.receipts" = { definition = "Send receipts.", tcf = ["1"] }

[categories]
"user.shoe_size" = "The size of somebody's shoes."

[sources."shop.eu.*"]
jurisdiction = "eu"

[sinks."ads.*"]
mode = "block"
unlabelled = "block"
jurisdiction = "us"

[collected."POST /enrol"]
phone = { purpose = ["security.mfa", "marketing"], category = "user.contact.phone_number" }
"header:x-*" = { purpose = "service.operations" }
[collected."*"]
email = { purpose = "security.mfa" }
[sinks."ads.api"]
purpose = "advertising"
[sinks."ads.api".at]
http = ["https://api.ads.example/*"]
file = ["exports/*"]
bucket = ["ads-exports"]
topic = ["ads-*"]
mail = ["*@ads.example"]
logger = ["ads.*"]
command = ["curl"]

[[rules]]
name = "no-health"
effect = "deny"
from = ["healthcare"]
to = ["advertising"]
categories = ["user.health_and_medical"]
sources = ["clinic.*"]
sinks = ["*"]
evidence = ["label", "content"]
from_jurisdictions = ["eu"]
to_jurisdictions = ["us"]
consent = true
unless = { sinks = ["ads.safe"], consent = true }
message = "Ask the privacy team."
priority = 10
mode = "block"

[rollout.no-health]
starts = 2026-01-01
share = 0.5
by = "trace"

[[suppressions]]
rule = "no-*"
sinks = ["ads.legacy"]
reason = "Ends with the contract."
owner = "ads-team"
expires = 2999-01-01

[[zones]]
inside = "advertising"
may_enter = ["service.operations"]
reason = "Jobs alert those on call."

[declassification]
forbidden = false
[[declassification.allow]]
approvers = ["privacy-*"]
from = ["security"]
to = ["advertising"]
needs_consent = true
max_days = 30
"""


def _written(tmp_path: Path, text: str, name: str = "taint.toml") -> Path:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return file


def _as_json(table: object) -> Any:
    return json.loads(json.dumps(table, default=lambda day: day.isoformat()))


def test_everything_can_be_said(tmp_path: Path) -> None:
    """A file that uses every key is read, and the shipped schema accepts it."""
    policy = load_policy(_written(tmp_path, EVERYTHING))
    (rule,) = policy.rules
    assert (rule.name, rule.priority, rule.mode, rule.conditions.consent) == ("no-health", 10, Mode.BLOCK, True)
    assert rule.unless is not None
    assert rule.unless.sinks == ("ads.safe",)
    assert policy.mode is Mode.REPORT
    assert policy.rollout["no-health"].starts == dt.date(2026, 1, 1)
    assert "shop.loyalty" in policy.taxonomy.purposes
    assert "user.shoe_size" in policy.taxonomy.categories
    assert policy.warnings == ()
    shipped = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(shipped)
    jsonschema.Draft202012Validator(shipped).validate(_as_json(tomllib.loads(EVERYTHING)))
    used = set(re.findall(r"^\[*([a-z_]+)|^([a-z_]+) =", EVERYTHING, flags=re.MULTILINE))
    assert set(shipped["properties"]) <= {first or second for first, second in used}


def test_environment_overrides(tmp_path: Path) -> None:
    """An environment changes the default mode, what is unlabelled, and modes of rules; no other does."""
    file = _written(tmp_path, EVERYTHING)
    there = load_policy(file, environment="production")
    assert (there.mode, there.unlabelled, there.rules[0].mode) == (Mode.BLOCK, "allow", Mode.REDACT)
    here = load_policy(file)
    assert (here.mode, here.unlabelled, here.rules[0].mode) == (Mode.REPORT, "gap", Mode.BLOCK)


ENVIRONMENTS = "[environments.production]\n[environments.staging]\n"


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        (
            ENVIRONMENTS,
            "prodution",
            "there is no environment 'prodution'. Known are 'production', 'staging'. Did *",
        ),
        (ENVIRONMENTS, "laptop", "*Name one of these, or declare it: [[]environments.laptop], which may be empty*"),
        (ENVIRONMENTS + "[environments.laptop]\n", "laptop", None),
        ('mode = "block"\n', "laptop", None),
        (ENVIRONMENTS, None, None),
    ],
)
def test_unknown_environment(tmp_path: Path, text: str, name: str | None, message: str | None) -> None:
    """A name that is none of the policy's environments is an error that says which are; an empty one is no mistake."""
    file = _written(tmp_path, text)
    if message is None:
        load_policy(file, environment=name)
        return
    with pytest.raises(taint.ConfigurationError) as caught:
        load_policy(file, environment=name)
    assert fnmatch.fnmatchcase(str(caught.value), f"{file}:1: environments: {message}")


def _in_process(folder: Path, code: str, **variables: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(taint.__path__[0]).parent), **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return ran.stdout.strip() or ran.stderr.strip().splitlines()[-1]


PATCHED = "import hashlib, taint; before = hashlib.sha256; {call}; print(hashlib.sha256 is before)"
AUTOMATIC = "from taint.instrumentor import TaintInstrumentor; TaintInstrumentor().instrument()"


@pytest.mark.parametrize("call", ["taint.install()", AUTOMATIC], ids=["install", "instrumentor"])
def test_off_in_a_discovered_file_patches_nothing(tmp_path: Path, call: str) -> None:
    """`install()` reads the policy that stands in the working directory first: with `off` in it nothing is patched."""
    code = PATCHED.format(call=call)
    _written(tmp_path, 'mode = "off"\n')
    assert _in_process(tmp_path, code) == "True"
    _written(tmp_path, 'mode = "report"\n[environments.laptop]\nmode = "off"\n')
    assert _in_process(tmp_path, code) == "False"
    assert _in_process(tmp_path, code, TAINT_ENVIRONMENT="laptop") == "True"


def test_wrong_discovered_file_is_said_by_install(tmp_path: Path) -> None:
    """A policy that was found and is wrong is an error of `install()`; auto-instrumentation says it and goes on."""
    _written(tmp_path, 'mode = "of"\n')
    assert "Did you mean 'off'?" in _in_process(tmp_path, PATCHED.format(call="taint.install()"))
    assert _in_process(tmp_path, PATCHED.format(call=AUTOMATIC)) == "True"


def test_pyproject(tmp_path: Path) -> None:
    """A policy in pyproject.toml is its table [tool.taint], and lines are those of the whole file."""
    text = '[project]\nname = "x"\n\n[tool.taint]\nmode = "report"\n'
    assert load_policy(_written(tmp_path, text, "pyproject.toml")).mode is Mode.REPORT
    with pytest.raises(taint.ConfigurationError, match=r"pyproject\.toml:5: mode: 'reprot' is none of.*'report'"):
        load_policy(_written(tmp_path, text.replace("report", "reprot"), "pyproject.toml"))


RULE = '[[rules]]\nname = "a"\neffect = "deny"\n'
MISTAKES = [
    ("unknown key", 'mod = "report"', 1, "mod: unknown key 'mod'. Known are .*Did you mean 'mode'"),
    ("unknown table", "[rule]\nx = 1", 1, "rule: unknown key 'rule'.*Did you mean 'rules'"),
    ("mode", '\n\nmode = "warn"', 3, "mode: 'warn' is none of 'block', 'report', 'redact', 'off'"),
    ("type", RULE + 'to = "advertising"', 4, r"rules\[0\].to: an array is expected, not 'advertising'"),
    ("number for text", RULE + "message = 7", 4, r"rules\[0\].message: a text is expected, not 7"),
    ("text for number", RULE + 'priority = "high"', 4, r"rules\[0\].priority: a whole number is expected, not 'high'"),
    ("truth for number", RULE + "priority = true", 4, r"rules\[0\].priority: a whole number is expected, not True"),
    ("empty list", RULE + "to = []", 4, r"rules\[0\].to: at least one is expected"),
    ("empty text", '[[rules]]\nname = ""\neffect = "deny"', 2, r"rules\[0\].name: a text that is not empty"),
    ("missing effect", 'mode = "report"\n\n[[rules]]\nname = "a"', 3, r"rules\[0\]: the key 'effect' is missing"),
    (
        "second rule",
        RULE + '[[rules]]\nname = "b"\neffect = "dney"',
        6,
        r"rules\[1\].effect: 'dney' is none of.*'deny'",
    ),
    (
        "purpose",
        RULE + 'to = [\n "advertising",\n "advertisng.audiences"\n]',
        4,
        r"rules\[0\].to: unknown purpose: .*'advertising.audiences'",
    ),
    ("category", RULE + 'categories = ["user.contakt"]', 4, r"unknown category: 'user.contakt'.*'user.contact'"),
    ("collected purpose", '[collected."*"]\nphone = { purpose = "security.mfaa" }', 2, r"Did you mean 'security.mfa'"),
    ("collected kind", '[collected."*"]\nphone = { purpose = 1 }', 2, "a text or an array is expected, not 1"),
    ("collected nothing", '[collected."*"]\nphone = {}', 2, "the key 'purpose' is missing"),
    ("collected category", '[collected."*"]\nx = { purpose = "security", category = "user.nam" }', 2, "'user.name'"),
    ("collected place", '[collected."*"]\n"headers:x" = { purpose = "security" }', 2, "Did you mean 'header:x'"),
    ("collected route", '[collected."POST enrol"]\nx = { purpose = "security" }', 2, "not a route: 'POST enrol'"),
    ("inside unless", RULE + 'unless = { sink = ["x"] }', 4, r"rules\[0\].unless.sink: unknown key 'sink'.*'sinks'"),
    ("empty unless", RULE + "unless = {}", 4, r"rules\[0\].unless: an 'unless' without conditions always holds"),
    ("consent false", RULE + "consent = false", 4, r"rules\[0\].consent: true is expected, or nothing"),
    ("share", "[rollout.a]\nshare = 1.5\n" + RULE, 2, r"rollout.a.share: a number from 0 to 1 is expected"),
    ("date", '[rollout.a]\nstarts = "soon"\n' + RULE, 2, r"rollout.a.starts: a day such as 2026-01-31 is expected"),
    ("unknown rollout", "[rollout.b]\nshare = 0.5\n" + RULE, 1, r"rollout.b: there is no rule 'b'"),
    ("name twice", RULE + RULE, 5, r"rules\[1\].name: another rule has the name 'a'"),
    (
        "suppression without owner",
        '[[suppressions]]\nrule = "purpose-limitation"\nreason = "r"\nexpires = 2999-01-01',
        1,
        r"suppressions\[0\]: the key 'owner' is missing",
    ),
    (
        "suppression of nothing",
        '[[suppressions]]\nrule = "x"\nreason = "r"\nowner = "o"\nexpires = 2999-01-01',
        2,
        r"suppressions\[0\].rule: there is no rule 'x'",
    ),
    (
        "circle",
        '[purposes]\na = { definition = "a", parents = ["b"] }\nb = { definition = "b", parents = ["a"] }',
        1,
        "'a' stands above itself",
    ),
    ("built in", '[purposes]\n"security.mfa" = { definition = "x" }', 2, "'security.mfa' is built in"),
    (
        "mapping",
        '[purposes]\na = { definition = "x", dpv = ["Marketng"] }',
        2,
        "a.dpv: unknown purpose: 'Marketng'.*'Marketing'",
    ),
    (
        "contradiction",
        RULE + 'to = ["advertising"]\n[[rules]]\nname = "b"\neffect = "allow"\nto = ["advertising.audiences"]',
        5,
        r"rules\[1\]: allow rule 'b' contradicts deny rule 'a', which has the same priority \(0\)",
    ),
    ("no such environment rule", '[environments.p]\nrules = { b = "block" }\n' + RULE, 2, "there is no rule 'b'"),
    ("not toml", 'mode = "report"\nrules = [', 2, "not TOML"),
    ("key twice", 'mode = "report"\nmode = "block"', 2, "not TOML: .*overwrite"),
]


@pytest.mark.parametrize(("text", "line", "message"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_mistakes_name_file_line_and_key(tmp_path: Path, text: str, line: int, message: str) -> None:
    """A mistake is named with its file, line and key, and with what was expected; the policy in force stays."""
    file = _written(tmp_path, text)
    before = current_policy()
    with pytest.raises(taint.ConfigurationError, match=re.escape(f"{file}:{line}:") + ".*" + message):
        taint.configure(policy=file)
    assert current_policy() is before


def test_contradiction_ends_with_a_priority() -> None:
    """An allow rule of higher priority than the deny rule around it is an exception, not a contradiction."""
    deny = {"name": "a", "effect": "deny", "to": ["advertising"]}
    allow = {"name": "b", "effect": "allow", "to": ["advertising.audiences"], "priority": 1}
    assert len(make_policy({"rules": [deny, allow]}).rules) == 2
    narrow = {"name": "b", "effect": "allow", "to": ["advertising"]}
    assert len(make_policy({"rules": [{**deny, "to": ["advertising.audiences"]}, narrow]}).rules) == 2


def test_all_mistakes_are_said_at_once(tmp_path: Path) -> None:
    """A file with several mistakes is answered once, with all of them."""
    file = _written(tmp_path, 'mode = "x"\ntaxonomy = "y"\nunlabelled = "z"\n')
    with pytest.raises(taint.ConfigurationError) as caught:
        load_policy(file)
    assert [line.split(": ")[0].rpartition(":")[2] for line in str(caught.value).splitlines()] == ["1", "2", "3"]


def test_unreadable_files(tmp_path: Path) -> None:
    """A file that is missing, not UTF-8 or far too large is refused, at once and with its name."""
    with pytest.raises(taint.ConfigurationError, match=r"none\.toml: the policy file cannot be read: No such file"):
        load_policy(tmp_path / "none.toml")
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'mode = "report"\n# caf\xe9\n')
    with pytest.raises(taint.ConfigurationError, match=r"latin\.toml:2: not UTF-8 at byte 21"):
        load_policy(latin)
    large = tmp_path / "large.toml"
    with large.open("wb") as file:
        file.truncate(50_000_000)
    begun = time.process_time()  # Others may have the processor meanwhile.
    with pytest.raises(taint.ConfigurationError, match=f"50000000 bytes. At most {MAX_BYTES} are read"):
        load_policy(large)
    assert time.process_time() - begun < 1


def test_line_of_a_mistake_in_a_long_file(tmp_path: Path) -> None:
    """The line of a mistake is found in a file of thousands of lines, between statements of several lines."""
    rows = [f'[[rules]]\nname = "r{at}"\neffect = "deny"\nto = [\n  "advertising", # why\n]\n\n' for at in range(500)]
    rows[321] = rows[321].replace('"deny"', '"dny"')
    file = _written(tmp_path, "".join(rows))
    with pytest.raises(taint.ConfigurationError, match=rf":{321 * 7 + 3}: rules\[321\]\.effect"):
        load_policy(file)


def test_expired_suppression_is_said_and_does_not_hold(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """A suppression past its day is named when the file is read, and its violations stop again."""
    text = '[[suppressions]]\nrule = "purpose-limitation"\nreason = "r"\nowner = "ads-team"\nexpires = 2020-01-01\n'
    with caplog.at_level(logging.WARNING, logger="taint"):
        taint.configure(policy=_written(tmp_path, text))
    assert "taint.toml:1: suppressions[0]: the suppression of 'purpose-limitation' expired" in caplog.text
    assert "'ads-team'" in caplog.text
    verdict = taint.check(taint.label("x1", purpose="security"), purpose="advertising", sink="ads")
    assert verdict.violations[0].suppressed is None


def test_reload_is_all_or_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that is read again takes effect as a whole; a bad one changes nothing, and says so."""
    deny = '[[rules]]\nname = "no-ads"\neffect = "deny"\nto = ["advertising"]\n'
    file = _written(tmp_path, "")
    data = taint.label("x1", purpose="advertising")
    taint.configure(policy=file)
    assert taint.check(data, purpose="advertising", sink="ads").is_allowed
    file.write_text(deny, encoding="utf-8")
    taint.reload_policy()
    assert taint.check(data, purpose="advertising", sink="ads").violations[0].rule == "no-ads"
    file.write_text(deny.replace("deny", "dney"), encoding="utf-8")
    with pytest.raises(taint.ConfigurationError, match=r":3: rules\[0\](.|\n)*The policy read before stays"):
        taint.reload_policy()
    assert "stays in force" in caplog.text
    assert taint.check(data, purpose="advertising", sink="ads").violations[0].rule == "no-ads"


def test_configure_is_all_or_nothing(tmp_path: Path) -> None:
    """Where one setting is wrong, none takes effect."""
    before = current_policy()
    with pytest.raises(taint.ConfigurationError, match="mode is not a mode"):
        taint.configure(policy={}, mode="blok")
    assert current_policy() is before
    with pytest.raises(taint.ConfigurationError, match="cannot be read"):
        taint.configure(policy=tmp_path / "none.toml", mode="report")
    assert current_mode() is Mode.BLOCK
    with pytest.raises(taint.ConfigurationError, match="an environment without a policy: 'production'"):
        taint.configure(environment="production")
    with pytest.raises(taint.ConfigurationError, match="not a consent store: 'int'"):
        taint.configure(consent=7)  # type: ignore[arg-type]  # The mistake that is tested.


@pytest.mark.parametrize("text", [row[1] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_schema_and_loader_agree(text: str) -> None:
    """What the shipped schema refuses in an editor, the loader refuses too, and the other way round."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    validator = jsonschema.Draft202012Validator(schema(), format_checker=jsonschema.FormatChecker())
    assert validator.is_valid(_as_json(table)) is (list(structural_errors(table)) == [])


def test_documented_policy_is_one() -> None:
    """The policy that the documentation shows is read as it stands."""
    page = (Path(taint.__path__[0]).parent / "docs" / "policy.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```toml\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    assert len(make_policy(tomllib.loads(shown)).rules) == 1
