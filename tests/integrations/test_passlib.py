"""passlib: labelled passwords are hashed and verified as plain ones, and their hashes are labelled."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("passlib", reason="the extra 'test' is not installed")

from passlib.context import CryptContext
from passlib.hash import bcrypt, htdigest, mssql2000, pbkdf2_sha256, plaintext, scram, sha256_crypt

import taint
from taint.integrations.registry import uninstall_integrations
from taint.testing import record
from tests.integrations.documents import marked, secret

CHECKOUT = Path(__file__).resolve().parent.parent.parent

CHEAP: list[tuple[Any, dict[str, Any]]] = [
    (bcrypt.using(rounds=4), {}),
    (pbkdf2_sha256.using(rounds=1), {}),
    (sha256_crypt.using(rounds=1000), {}),
    (scram.using(rounds=1), {}),
    (mssql2000, {}),
    (htdigest, {"user": "ada", "realm": "here"}),
    (plaintext, {}),
]


@pytest.fixture(autouse=True)
def installed(nothing_installed: None) -> None:
    """Wrap passlib."""
    taint.install(integrations=["passlib"])


@pytest.mark.parametrize(("hasher", "context"), CHEAP, ids=lambda value: getattr(value, "name", ""))
@pytest.mark.parametrize("is_stored_labelled", [False, True])
@pytest.mark.parametrize("is_given_labelled", [False, True])
def test_verify(hasher: Any, context: dict[str, Any], is_stored_labelled: bool, is_given_labelled: bool) -> None:
    """A password is verified, and another refused, whichever of password and stored hash is labelled."""
    uninstall_integrations()
    stored = hasher.hash("lovelace", **context)
    taint.install(integrations=["passlib"])
    stored = secret(stored) if is_stored_labelled else stored
    for given, is_right in (("lovelace", True), ("babbage", False)):
        assert hasher.verify(secret(given) if is_given_labelled else given, stored, **context) is is_right


@pytest.mark.parametrize("hasher", [hasher for hasher, context in CHEAP[:4]], ids=lambda hasher: str(hasher.name))
def test_hash(hasher: Any) -> None:
    """A hash is labelled as a whole for a labelled password, and plain for a plain one."""
    hashed = hasher.hash(secret("lovelace"))
    assert marked(hashed) == [hashed]
    assert not taint.labels_of(hasher.hash("lovelace"))


def test_context() -> None:
    """A context verifies what it hashed, finds the scheme of a labelled hash, and hashes it anew where it should."""
    context = CryptContext(["pbkdf2_sha256", "sha256_crypt"], deprecated=["sha256_crypt"], pbkdf2_sha256__rounds=1)
    old = secret(sha256_crypt.using(rounds=1000).hash("lovelace"))
    is_right, anew = context.verify_and_update(secret("lovelace"), old)
    assert is_right
    assert context.verify("lovelace", anew)
    assert marked(anew) == [anew]


CODES = """
import taint
taint.install(packages=["passlib"], integrations=["passlib"])
from passlib.totp import TOTP
code = TOTP("GEZDGNBVGY3TQOJQ").generate(time=1_000_000)
for token in (code.token, taint.label(code.token, purpose="security")):
    assert TOTP("GEZDGNBVGY3TQOJQ").match(token, time=1_000_000).counter == code.counter
wrong = taint.label(f"{(int(code.token) + 1) % 1_000_000:06}", purpose="security")
try:
    TOTP("GEZDGNBVGY3TQOJQ").match(wrong, time=1_000_000, window=0)
except ValueError as error:
    print(type(error).__name__)
import passlib.utils.handlers
wrapped = passlib.totp.consteq
taint.uninstall()
print(wrapped is passlib.totp.consteq, passlib.totp.consteq is passlib.utils.consteq is passlib.utils.handlers.consteq)
"""


def test_totp() -> None:
    """In a program that rewrites passlib a labelled code is matched, a wrong one refused, and all is put back."""
    done = subprocess.run(
        [sys.executable, "-c", CODES], capture_output=True, text=True, check=False, timeout=60, cwd=CHECKOUT
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["InvalidTokenError", "False True"]


@pytest.mark.parametrize(("purpose", "is_told"), [("security.mfa", False), ("advertising", True)])
def test_verifying_is_a_comparison_in_a_zone(purpose: str, is_told: bool) -> None:
    """A labelled hash that is verified for another purpose is a violation; the safe twin is not."""
    stored = taint.label(pbkdf2_sha256.using(rounds=1).hash("lovelace"), purpose="security")
    with record(mode="report") as seen, taint.zone(purpose):
        assert pbkdf2_sha256.verify("lovelace", stored)
    assert ("comparison" in {flow.evidence for flow in seen.violations}) is is_told


def test_same_exceptions() -> None:
    """What is no hash is refused with passlib's own error."""
    with pytest.raises(ValueError, match="not a valid pbkdf2_sha256 hash"):
        pbkdf2_sha256.verify(secret("lovelace"), secret("?"))
