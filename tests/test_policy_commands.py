"""The commands about policies: explaining, replaying recorded flows, checking a file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import taint
from taint.cli import main
from taint.labels import Label, Labels
from taint.policy import flow_from_record, flow_record
from taint.testing import record

PHONE = "+14155550100"
INCIDENT = [
    *("explain", "--from", "security.mfa", "--category", "user.contact.phone_number"),
    *("--to", "advertising.audiences"),
]


def _policy(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "new.toml"
    file.write_text(text, encoding="utf-8")
    return ["--policy", str(file)]


def _flows(count: int = 1) -> list[taint.Flow]:
    with record(mode="report") as seen:
        for at in range(count):
            phone = taint.label(PHONE, purpose="security.mfa", subject=at, source="shop.enrol")
            taint.check({"phone": phone}, purpose="advertising.audiences", sink="ads.upload")
            taint.check(phone, purpose="security.mfa", sink="sms.send")
    return seen.flows


def _audit(tmp_path: Path, records: list[Any], tail: str = "") -> str:
    file = tmp_path / "audit.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in records) + tail, encoding="utf-8")
    return str(file)


def test_explain_says_why_and_what_would_allow_it(capsys: pytest.CaptureFixture[str]) -> None:
    """For the incident it names the rule, why it decides so, and the three ways to a use that is allowed."""
    assert main(INCIDENT) == 1
    said = capsys.readouterr().out
    assert "violation: user.contact.phone_number collected for security.mfa" in said
    assert "decided by: purpose-limitation" in said
    assert "collecting it for advertising.audiences too" in said
    assert "or for advertising" in said
    assert "taint.declassify(value, to='advertising.audiences', reason=..., approved_by=...)" in said
    assert 'effect = "allow", from = ["security.mfa"], to = ["advertising.audiences"]' in said
    assert main([*INCIDENT, "--from", "advertising"]) == 0
    assert capsys.readouterr().out.startswith("allowed: ")


def test_explain_by_a_policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It names a policy's rules, exceptions, suppressions and who may approve a declassification."""
    text = """
[[rules]]
name = "no-ads"
effect = "deny"
from = ["security"]
to = ["advertising"]
unless = { sinks = ["ads.safe"] }
message = "Ask first."
[[rules]]
name = "agreed"
effect = "allow"
to = ["advertising"]
consent = true
priority = -1
[declassification]
allow = [{ approvers = ["privacy-*"], to = ["advertising"] }]
[[suppressions]]
rule = "no-ads"
reason = "Ends in May."
owner = "ads-team"
expires = 2999-01-01
"""
    assert main([*INCIDENT, *_policy(tmp_path, text)]) == 1
    said = capsys.readouterr().out
    for expected in (
        "decided by: no-ads",
        "it says: Ask first.",
        "what rule 'no-ads' excepts: sinks ads.safe",
        "suppressed until 2999-01-01 (ads-team: Ends in May.)",
        "approved by privacy-*",
        "consent of the label's subject, which rule 'agreed' asks for",
    ):
        assert expected in said
    assert main([*INCIDENT, "--sink", "ads.safe", *_policy(tmp_path, text)]) == 1
    assert "gap: " in capsys.readouterr().out


@pytest.mark.parametrize(("sink", "mode"), [("crm.export", "report"), ("ads.upload", "redact")])
def test_explain_says_the_mode_of_the_policy(
    sink: str, mode: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The mode that it names is what the policy that is asked about would do, not what holds here."""
    policy = _policy(tmp_path, 'mode = "report"\n[sinks."ads.*"]\nmode = "redact"\n')
    assert main([*INCIDENT, "--sink", sink, *policy]) == 1
    assert f"mode here: {mode}\n" in capsys.readouterr().out


MISTAKES = [
    (["replay", "/"], "'/' cannot be read: Is a directory"),
    (["explain", "--from", "securty.mfa", "--to", "advertising"], "Did you mean 'security.mfa'"),
    ([*INCIDENT, "--policy", "none.toml"], "cannot be read"),
    (["explain", "--from", "security.mfa", "--to", "advertising", "--category", "user.phone"], "unknown category"),
    (["replay", "none.jsonl"], "none.jsonl"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES)
def test_mistakes_end_with_two(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be answered is said on standard error, in one message, with exit status 2."""
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_record_and_back() -> None:
    """A flow comes back from its record as it was, but for the subjects; and holds no value."""
    for flow in _flows():
        text = json.dumps(flow_record(flow))
        back = flow_from_record(json.loads(text))
        nameless = Labels(Label(one.purposes, one.category, one.source) for one in flow.labels)
        assert back.labels == nameless
        assert (back.sink, back.path, back.rule, back.call_site, back.mode) == (
            flow.sink,
            flow.path,
            flow.rule,
            flow.call_site,
            flow.mode,
        )
        assert PHONE not in text


@pytest.mark.parametrize("damage", ["outcome", "sink", "labels", "mode", "evidence"])
def test_damaged_record_is_refused(damage: str) -> None:
    """A record without a field, or with one of the wrong type, is an error and not a flow."""
    (first, *_) = map(flow_record, _flows())
    without = {key: value for key, value in first.items() if key != damage}
    with pytest.raises(ValueError, match=repr(damage)):
        flow_from_record(without)
    with pytest.raises(ValueError, match=r"not a flow record|is not a valid"):
        flow_from_record({**first, damage: 7})


def test_replay_says_what_changes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The flows whose verdict another policy would change are counted, by way and by rule."""
    audit = _audit(tmp_path, [flow_record(flow) for flow in _flows(3)])
    assert main(["replay", audit, *_policy(tmp_path, "")]) == 0
    assert capsys.readouterr().out.startswith("6 flows, 0 would change\n")
    allow = '[[rules]]\nname = "ok"\neffect = "allow"\nfrom = ["security"]\nto = ["advertising"]\n'
    assert main(["replay", audit, *_policy(tmp_path, allow)]) == 1
    said = capsys.readouterr().out
    assert said.startswith("6 flows, 3 would change\n  violation -> allowed: 3\n")
    assert "violation -> allowed at ads.upload for advertising.audiences, by ok (was: purpose-limitation)" in said
    deny = '[[rules]]\nname = "no"\neffect = "deny"\nsinks = ["sms.*"]\n'
    assert main(["replay", audit, "--json", *_policy(tmp_path, deny)]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["flows"], found["changed"], found["unreadable"], found["torn"]) == (6, 3, [], [])
    (change,) = found["changes"]
    assert (change["before"], change["after"], change["rule"], change["count"]) == ("allowed", "violation", "no", 3)
    assert {(row["rule"], row["outcome"]): row["count"] for row in found["by_rule"]} == {
        ("no", "violation"): 3,
        ("purpose-limitation", "violation"): 3,
    }


def test_replay_of_suppressions_and_unlabelled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A violation that a suppression would bear is a change, and so is unlabelled data that would be let through."""
    taint.configure(policy={"unlabelled": "gap"})
    with record() as seen:
        taint.check("plain", purpose="advertising", sink="ads.upload")
    audit = _audit(tmp_path, [flow_record(flow) for flow in (*_flows(), *seen.flows)])
    text = '[[suppressions]]\nrule = "purpose-limitation"\nreason = "r"\nowner = "o"\nexpires = 2999-01-01\n'
    assert main(["replay", audit, *_policy(tmp_path, text)]) == 1
    said = capsys.readouterr().out
    assert "violation -> suppressed: 1" in said
    assert "gap -> allowed: 1" in said


def test_replay_of_a_damaged_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Torn lines are passed over and said, wherever they are; lines that are no records are counted, and end with 2."""
    good = flow_record(_flows()[0])
    other = {"kind": "declassification"}
    torn = json.dumps(good)[:40]
    after = f"{torn}\n{json.dumps(good)}\n{torn}"
    assert main(["replay", _audit(tmp_path, [good, other], after), *_policy(tmp_path, "")]) == 0
    said = capsys.readouterr().out
    assert said.startswith("2 flows, 0 would change")
    assert "2 lines are cut off and were passed over: 3, 5" in said
    assert "1 record of another kind was passed over" in said
    damaged = [good, 7, {"no": "kind"}, {**good, "labels": 7}, {**good, "outcome": "fine"}]
    assert main(["replay", _audit(tmp_path, damaged, "\nnothing\n"), *_policy(tmp_path, "")]) == 2
    assert "5 lines are no records and were passed over: 2, 3, 4, 5, 7" in capsys.readouterr().out


def test_environment_of_the_policy_that_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--environment` holds for the policy of the working directory too; without any policy it is a mistake."""
    monkeypatch.chdir(tmp_path)
    assert main(["policy", "--environment", "production"]) == 2
    assert "an environment without a policy: 'production'" in capsys.readouterr().err
    (tmp_path / "taint.toml").write_text('mode = "report"\n[environments.production]\nmode = "block"\n')
    assert main(["policy", "--environment", "production"]) == 0
    assert "mode block" in capsys.readouterr().out
    assert main(["policy", "--environment", "prod"]) == 2
    assert "there is no environment 'prod'. Known are 'production'." in capsys.readouterr().err


def test_policy_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Checking a file says what is in it, or what is wrong with it."""
    file = tmp_path / "taint.toml"
    file.write_text('mode = "report"\n', encoding="utf-8")
    assert main(["policy", str(file)]) == 0
    assert "0 rules" in capsys.readouterr().out
    file.write_text('mode = "x"\n', encoding="utf-8")
    assert main(["policy", str(file)]) == 2
    assert ":1: mode: 'x' is none of" in capsys.readouterr().err


def test_policy_command_lists_addresses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each address that is a sink is listed with its sink, its purpose and its own mode; a sink without one is not."""
    file = tmp_path / "taint.toml"
    file.write_text(
        '[sinks."ads.api"]\npurpose = "advertising.audiences"\nmode = "redact"\n'
        'at = { http = ["https://b.example/*", "https://a.example/*"], file = ["/exports/*.csv"] }\n'
        '[sinks."app.log"]\npurpose = "service.operations"\nat = { logger = ["shop.*"] }\n'
        '[sinks."mailing"]\nmode = "report"\n',
        encoding="utf-8",
    )
    assert main(["policy", str(file)]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "  file '/exports/*.csv': sink 'ads.api' for 'advertising.audiences', mode redact",
        "  http 'https://a.example/*': sink 'ads.api' for 'advertising.audiences', mode redact",
        "  http 'https://b.example/*': sink 'ads.api' for 'advertising.audiences', mode redact",
        "  logger 'shop.*': sink 'app.log' for 'service.operations'",
    ]


def test_keys_that_may_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`policy --keys` lists purposes and categories with what they mean, those of the policy too; else none is."""
    file = tmp_path / "taint.toml"
    file.write_text('[purposes]\n"shop.loyalty" = { definition = "Give points." }\n', encoding="utf-8")
    assert main(["policy", str(file), "--keys"]) == 0
    purposes, _, categories = capsys.readouterr().out.partition("\ncategories\n")
    assert "\n  shop.loyalty: Give points.\n" in purposes
    assert "\n  security.mfa: " in purposes
    assert "  user.contact.phone_number: " in categories
    assert main(["policy", str(file)]) == 0
    assert "shop.loyalty" not in capsys.readouterr().out


def test_one_thing_is_said_as_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One rule is a rule, and two are rules."""
    rule = '[[rules]]\nname = "{}"\neffect = "allow"\nfrom = ["security"]\nto = ["advertising"]\n'
    file = tmp_path / "taint.toml"
    for names, said in ((["one"], "1 rule, 0 suppressions"), (["one", "two"], "2 rules, 0 suppressions")):
        file.write_text("".join(map(rule.format, names)), encoding="utf-8")
        assert main(["policy", str(file)]) == 0
        assert said in capsys.readouterr().out


def test_reader_that_has_seen_enough() -> None:
    """`policy --keys | head -1` ends without a word about pipes."""
    command = f"{sys.executable} -m taint policy --keys | head -1"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.startswith("no policy")
    assert done.stderr == ""
