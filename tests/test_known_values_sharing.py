"""The file: written by one process, looked up by another with the same key, of no use without it."""

from __future__ import annotations

import hashlib
import mmap
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from taint.errors import ConfigurationError
from taint.evidence import Evidence, KnownValues, scan
from taint.evidence.fingerprints import process_fingerprint
from taint.labels import Label, Labels

CHECKOUT = Path(__file__).resolve().parent.parent
KEY = bytes(range(32))
LABEL = Label(frozenset({"security.mfa"}), "user.contact.phone_number", "enrol", subject="person-17", consent="r-1")
LABELS = Labels((LABEL,))
VALUES = ["+14155550100", "Jane.Doe@example.org", "Jane Doe", "12 Elm Lane, Springfield"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of four values."""
    known = KnownValues(key=KEY, max_values=1000)
    for value in VALUES:
        assert known.remember(value, LABELS)
    known.export(tmp_path / "known")
    return tmp_path / "known"


def test_another_set_finds_what_the_file_holds(file: Path) -> None:
    """Values and digests in the file are found, with purpose, category and source; strangers are not."""
    known = KnownValues(key=KEY, base=file, max_values=1000)
    for value in VALUES:
        (match,) = scan(known, f"to {value} now")
        assert match.labels == (Labels((Label(LABEL.purposes, LABEL.category, LABEL.source),)),)
    (digest,) = scan(known, hashlib.sha256(b"14155550100").hexdigest())
    assert digest.evidence is Evidence.DIGEST
    assert scan(known, "+14155550101, Jane Roe, 13 Elm Lane, jane.roe@example.org") == []
    assert scan(known, hashlib.sha256(b"14155550101").hexdigest()) == []


def test_what_is_learned_is_looked_up_beside_the_file(file: Path) -> None:
    """A set with a file remembers on, in memory; what it exports is its own."""
    known = KnownValues(key=KEY, base=file, max_values=1000)
    known.remember("ken@example.org", LABELS)
    assert len(scan(known, "ken@example.org and jane.doe@example.org")) == 2
    known.export(file.with_name("second"))
    second = KnownValues(key=KEY, base=file.with_name("second"), max_values=1000)
    assert len(scan(second, "ken@example.org and jane.doe@example.org")) == 1


def test_another_process_reads_it(file: Path) -> None:
    """Another interpreter, with another hash seed, finds the same."""
    program = (
        "import sys\n"
        "from taint.evidence import KnownValues, scan\n"
        "known = KnownValues(key=bytes(range(32)), base=sys.argv[1], max_values=1000)\n"
        "print(len(scan(known, '1-415-555-0100 JANE DOE')), len(scan(known, '1-415-555-0101 JANE ROE')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(file)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONHASHSEED": "5"},
    )
    assert done.stdout == "2 0\n"


def test_it_holds_no_plaintext_and_no_person(file: Path) -> None:
    """Neither a value, a digest of one, the subject, the consent nor the key stands in the file."""
    held = file.read_bytes()
    for value in [*VALUES, "jane", "4155550100", "person-17", "r-1"]:
        assert value.encode() not in held
        assert value.lower().encode() not in held
        for algorithm in ("md5", "sha1", "sha256", "sha512"):
            digest = hashlib.new(algorithm, value.encode()).digest()
            assert digest[:5] not in held
            assert digest[:5][::-1] not in held
    assert KEY not in held
    assert b"security.mfa" in held


def test_it_is_mapped(file: Path) -> None:
    """The file is looked up where it lies: what it holds is not copied into the process."""
    known = KnownValues(key=KEY, base=file, max_values=1000)
    assert known._shared is not None
    assert type(known._shared._map) is mmap.mmap
    assert type(known._shared.filter_bytes) is memoryview


def _changed(path: Path, at: int, data: bytes) -> Path:
    held = bytearray(path.read_bytes())
    held[at : at + len(data)] = data
    path.write_bytes(held)
    return path


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: _changed(path, 0, b"nonsense"), "not a file of known values"),
        (lambda path: _changed(path, 8, b"\x01\x00"), "has version 1"),
        (lambda path: _changed(path, 16, bytes(16)), "another key"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "shorter"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "longer"),
        (lambda path: path.write_bytes(b""), "not a file of known values"),
    ],
    ids=["no magic", "version", "key check", "cut short", "too long", "empty"],
)
def test_a_file_that_cannot_be_read_is_an_error(file: Path, damage: object, message: str) -> None:
    """Another format, version or key, and a damaged file, are each said clearly."""
    assert callable(damage)
    damage(file)
    with pytest.raises(ConfigurationError, match=message):
        KnownValues(key=KEY, base=file, max_values=1000)


def test_another_key_is_an_error(file: Path) -> None:
    """With another key the file is refused, and not found empty."""
    with pytest.raises(ConfigurationError, match="was written with another key"):
        KnownValues(key=secrets.token_bytes(32), base=file, max_values=1000)


def test_a_file_without_a_key_is_an_error(file: Path) -> None:
    """A file is not read with the key of the process."""
    with pytest.raises(ConfigurationError, match="Pass key="):
        KnownValues(base=file)


def test_the_key_of_a_process_is_not_exported(tmp_path: Path) -> None:
    """Without a key of the application's there is nothing that another process could read."""
    with pytest.raises(ConfigurationError, match=r"KnownValues\(key="):
        KnownValues(max_values=1000).export(tmp_path / "known")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", [b"", b"short", bytes(65), "x" * 32])
def test_a_bad_key_is_an_error(key: bytes) -> None:
    """A key that is too short, too long or text is refused, and not shown."""
    with pytest.raises(ConfigurationError, match="token_bytes") as error:
        KnownValues(key=key)
    assert "short" not in str(error.value)


def test_a_fixed_hash_seed_is_not_relied_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PYTHONHASHSEED is fixed, fingerprints are keyed with a key drawn at random instead."""
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    assert process_fingerprint() is hash
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    assert process_fingerprint()(b"value") != process_fingerprint()(b"value")
    known = KnownValues(max_values=1000)
    known.remember("+14155550100", LABELS)
    assert len(scan(known, "1-415-555-0100")) == 1
    assert scan(known, "1-415-555-0101") == []


def test_an_export_replaces_in_one_step(file: Path) -> None:
    """Who has the old file mapped goes on reading it; nothing is left beside the new one."""
    old = KnownValues(key=KEY, base=file, max_values=1000)
    KnownValues(key=KEY, max_values=1000).export(file)
    assert len(scan(old, VALUES[0])) == 1
    assert scan(KnownValues(key=KEY, base=file, max_values=1000), VALUES[0]) == []
    assert [path.name for path in file.parent.iterdir()] == ["known"]


@pytest.mark.parametrize("algorithm", ["sha-nothing", "shake_128", ""])
def test_an_unknown_algorithm_is_an_error(algorithm: str) -> None:
    """An algorithm that hashlib does not know, or without a length of its own, is refused by name."""
    known = KnownValues(max_values=1000)
    with pytest.raises(ConfigurationError, match="not a digest algorithm"):
        known.register_hmac(b"key", algorithm)
    with pytest.raises(ConfigurationError, match="not a digest algorithm"):
        known.register_salt(b"salt", (algorithm,))


def test_an_empty_secret_is_an_error() -> None:
    """An empty key or salt is refused: it would be the plain digest."""
    known = KnownValues(max_values=1000)
    with pytest.raises(ConfigurationError, match="HMAC key"):
        known.register_hmac(b"")
    with pytest.raises(ConfigurationError, match="salt"):
        known.register_salt(b"")
