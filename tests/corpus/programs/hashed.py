"""The value is hashed, as platforms ask for. Hashing does not declassify."""

from __future__ import annotations

import base64
import hashlib
import hmac
import sqlite3
import zlib

from tests.corpus.engines import Engine
from tests.corpus.programs import EMAIL, PHONE, program


@program
def sha256(engine: Engine, purpose: str) -> None:
    """By `hashlib`, in one go."""
    engine.use(hashlib.sha256(engine.collect(PHONE, purpose).encode()).hexdigest())


@program
def incremental(engine: Engine, purpose: str) -> None:
    """By `hashlib`, bit by bit."""
    digest = hashlib.new("sha512")
    digest.update(b"salt")
    digest.update(engine.collect(PHONE, purpose).encode())
    engine.use(digest.copy().hexdigest().upper())


@program
def raw(engine: Engine, purpose: str) -> None:
    """As raw bytes, in base64."""
    engine.use(base64.b64encode(hashlib.sha1(engine.collect(EMAIL, purpose).lower().encode()).digest()).decode())  # noqa: S324


@program
def keyed(engine: Engine, purpose: str) -> None:
    """By `hmac`."""
    engine.use(hmac.new(b"key", engine.collect(PHONE, purpose).encode(), "sha256").hexdigest())


@program
def keyed_at_once(engine: Engine, purpose: str) -> None:
    """By `hmac.digest`."""
    engine.use(hmac.digest(b"key", engine.collect(PHONE, purpose).encode(), "sha256").hex())


@program
def in_sql(engine: Engine, purpose: str) -> None:
    """By a function of the database."""
    connection = sqlite3.connect(":memory:")
    connection.create_function("sha256", 1, lambda text: hashlib.sha256(text.encode()).hexdigest())
    ((digest,),) = connection.execute("SELECT sha256(?)", (engine.collect(PHONE, purpose),)).fetchall()
    connection.close()
    engine.use(digest)


@program
def checksum(engine: Engine, purpose: str) -> None:
    """By a checksum, in hex."""
    engine.use(f"{zlib.crc32(engine.collect(PHONE, purpose).encode()):08x}")


@program
def stretched(engine: Engine, purpose: str) -> None:
    """By a key derivation."""
    engine.use(hashlib.pbkdf2_hmac("sha256", engine.collect(PHONE, purpose).encode(), b"salt", 10).hex())


@program
def normalised_first(engine: Engine, purpose: str) -> None:
    """After its normalisation."""
    phone = engine.collect(" +1 415 555-0100", purpose).strip().replace(" ", "").replace("-", "")
    engine.use([{"em": "", "ph": hashlib.sha256(phone.encode("ascii")).hexdigest().lower()}])
