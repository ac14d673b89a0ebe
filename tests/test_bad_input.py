"""Bad input: each mistake gets an error that says what is allowed and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

import taint
from taint.testing import record


def _upload(rows: object) -> object:
    return rows


def _on_class() -> object:
    return taint.sink(purpose="advertising")(type("Upload", (), {}))


MISTAKES: list[tuple[str, Callable[[], object], tuple[str, ...]]] = [
    ("purpose with spaces", lambda: taint.label("x", purpose="Security MFA"), ("'Security MFA'", "'security_mfa'")),
    ("purpose with slash", lambda: taint.sink(purpose="ads/upload"), ("'ads/upload'", "'ads.upload'")),
    ("purpose that ends in a dot", lambda: taint.zone("ads."), ("'ads.'", "'ads'")),
    ("empty purpose", lambda: taint.label("x", purpose=""), ("''", "'security.mfa'")),
    ("no purpose", lambda: taint.label("x", purpose=[]), ("without a purpose", "purpose='...'")),
    ("purpose that is no text", lambda: taint.label("x", purpose=7), ("'int'", "'security.mfa'")),  # type: ignore[arg-type]
    ("one of several", lambda: taint.source(purpose=["security.mfa", "A B"]), ("'A B'", "'a_b'")),
    ("check without a key", lambda: taint.check("x", purpose="?", sink="s"), ("'?'", "'security.mfa'")),
    ("sink on a number", lambda: taint.sink(purpose="advertising")(7), ("not callable", "'int'", "@taint.sink")),
    ("sink without parentheses", lambda: taint.sink(_upload), ("input._upload'", "parentheses", "purpose='")),  # type: ignore[arg-type, call-arg]
    ("source without parentheses", lambda: taint.source(_upload), ("parentheses", "@taint.source(purpose='")),  # type: ignore[arg-type, call-arg]
    ("zone without parentheses", lambda: taint.zone(_upload), ("'tests.test_bad_input._upload'", "@taint.zone('")),  # type: ignore[arg-type]
    ("sink with a purpose only", lambda: taint.sink("advertising"), ("by name", "@taint.sink(purpose='")),  # type: ignore[call-arg]
    ("source on a class method", lambda: taint.source(classmethod(_upload)), ("_upload'", "parentheses")),  # type: ignore[arg-type, call-arg]
    ("sink on a property", lambda: taint.sink(purpose="advertising")(property(_upload)), ("a property", "below")),
    ("sink on a class", _on_class, ("a class", "'Upload'", "Decorate the function")),
    ("source on a text", lambda: taint.source(purpose="security")("x"), ("not callable", "'str'", "@taint.source")),
    ("zone on None", lambda: taint.zone("advertising")(None), ("not callable", "'NoneType'", "@taint.zone")),
    (
        "arguments in one text",
        lambda: taint.source(purpose="security", arguments="phone")(lambda phone: phone),
        ("'phone'", "arguments=['phone']"),
    ),
    (
        "argument that is no parameter",
        lambda: taint.source(purpose="security", arguments=["fone"])(lambda phone: phone),
        ("'fone'", "'phone'"),
    ),
    (
        "subject that is no parameter",
        lambda: taint.source(purpose="security", subject="who")(lambda: ""),
        ("'who'", "none"),
    ),
    ("known", lambda: taint.configure(known_values="yes"), ("'str'", "True, False", "KnownValues")),  # type: ignore[arg-type]  # The error is the point.
    ("mode", lambda: taint.configure(mode="reprot"), ("'reprot'", "'block'", "Did you mean 'report'")),
    ("mode of a sink", lambda: taint.sink(purpose="advertising", mode="loud"), ("'loud'", "'block'")),
    ("mode of a record", lambda: record(mode="loud").__enter__(), ("'loud'", "'block'")),
    ("trace", lambda: taint.label("x", purpose="security", trace="abc"), ("not a traceparent", "32 and 16 hex")),
    (
        "trace of zeros",
        lambda: taint.label("x", purpose="security", trace=f"00-{'0' * 32}-{'1' * 16}-01"),
        ("traceparent",),
    ),
]


@pytest.mark.parametrize(("mistake", "parts"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_mistake_is_an_error_that_helps(mistake: Callable[[], object], parts: tuple[str, ...]) -> None:
    """The message names what was given, what is allowed and what to do."""
    with pytest.raises(taint.ConfigurationError) as raised:
        mistake()
    assert isinstance(raised.value, taint.TaintError)
    for part in parts:
        assert part in str(raised.value)
    assert str(raised.value).endswith(".") or str(raised.value).endswith("?")


VALUES = {
    "a number": "+1 415 555 0100",
    "an address": "jane@example.com",
    "digits and letters": "user_4155550100",
    "a long text": "who_is_it_" * 7,
    "a labelled name": taint.label("doe", purpose="security.mfa"),
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("named", ["purpose", "category"])
def test_a_value_in_the_place_of_a_key_is_not_shown(named: str, value: str) -> None:
    """Whoever mixes up the arguments of label reads what is wrong, and the log gets no value."""
    with pytest.raises(taint.ConfigurationError) as raised:
        taint.label("security.mfa", **{"purpose": "security.mfa", named: value})
    assert "not shown" in str(raised.value)
    assert str.__str__(value).lower() not in str(raised.value).lower()
    assert not any(part in str(raised.value) for part in ("415", "jane", "who_is"))


@pytest.mark.parametrize("key", ["security.mf", "Security MFA", "gdpr.art6_1_a"])
def test_a_misspelt_key_is_shown(key: str) -> None:
    """The safe twin: what nobody could take for a value is named."""
    with pytest.raises(taint.ConfigurationError, match=f"purpose.*: '{key}'"):
        taint.label("x", purpose=key)


def test_integrations_in_one_text_are_said() -> None:
    """A text is not a list of its letters."""
    with pytest.raises(taint.IntegrationError, match=r"integrations=\['orjson'\]"):
        taint.install(integrations="orjson")


@pytest.mark.parametrize("purpose", ["security.mfa", "advertising"])
def test_a_verdict_is_neither_true_nor_false(purpose: str) -> None:
    """`if check(...)` would be true of a violation: it is an error that names what can be asked."""
    verdict = taint.check(taint.label("x", purpose=purpose), purpose="advertising", sink="crm")
    with pytest.raises(TypeError, match=r"\.is_allowed"):
        bool(verdict)
    assert verdict.is_allowed is (purpose == "advertising")


def test_failed_configuration_changes_nothing() -> None:
    """A mode that does not exist leaves the one that holds."""
    taint.configure(mode="report")
    with pytest.raises(taint.ConfigurationError):
        taint.configure(mode="loud")
    assert taint.sink(purpose="advertising")(lambda x: x)(taint.label("x", purpose="security")) == "x"


@pytest.mark.parametrize(
    "ask",
    [
        lambda text: taint.configure(mode=text),
        lambda text: taint.zone("advertising", mode=text),
        lambda text: taint.install(packages=[text]),
        lambda text: taint.install(packages=text),
        lambda text: taint.install(integrations=[text]),
        lambda text: taint.install(integrations=text),
    ],
)
def test_data_in_the_place_of_a_setting(ask: Callable[[str], object]) -> None:
    """What is labelled is not shown where a setting of another name was expected; a name with a mistake in it is."""
    with pytest.raises((taint.ConfigurationError, taint.IntegrationError)) as shown:
        ask("not a name")
    with pytest.raises((taint.ConfigurationError, taint.IntegrationError)) as hidden:
        ask(taint.label("+14155550100", purpose="security"))
    assert "'not a name'" in str(shown.value)
    assert "1415" not in str(hidden.value)
    assert "(labelled text)" in str(hidden.value)


@pytest.mark.parametrize("mode", ["block", "report", "off"])
def test_mode_comes_from_the_environment(mode: str) -> None:
    """TAINT_MODE is the mode of a process that does not configure another."""
    assert _python("import taint.modes; print(taint.modes.current_mode())", TAINT_MODE=mode).stdout.strip() == mode


def test_wrong_mode_in_the_environment_is_said() -> None:
    """A TAINT_MODE that does not exist is an error at import, and names the variable."""
    failed = _python("import taint", TAINT_MODE="blok")
    assert failed.returncode != 0
    assert "TAINT_MODE is not a mode: 'blok'" in failed.stderr
    assert "Did you mean 'block'?" in failed.stderr


def _python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
