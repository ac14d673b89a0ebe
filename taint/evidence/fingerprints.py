"""Keyed fingerprints: 64 bits that say nothing about a value to anyone without the key.

Two functions, one shape (bytes to a signed or unsigned 64-bit number):

- *of the process*: CPython's own `hash` of bytes, which is SipHash-1-3 under a random 128-bit key that
  every interpreter draws at its start (PEP 456; Aumasson and Bernstein, "SipHash", 2012). It costs
  50 ns, is kept over a fork, and means nothing in another process.
- *shared*: BLAKE2b with a key of the application's (RFC 7693, section 2.9), cut to 64 bits; 0.6 µs.
  It is what a file for other processes is made with. It also stands in for the first where
  PYTHONHASHSEED takes the randomness away, or this Python hashes otherwise.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable
from functools import partial
from hashlib import blake2b, new
from hmac import digest as hmac_digest
from importlib import import_module
from typing import Any

from taint.errors import ConfigurationError

__all__ = [
    "MINIMUM_KEY_BYTES",
    "PLATFORM_HASHES",
    "Digester",
    "Fingerprint",
    "hmac_digester",
    "key_check",
    "process_fingerprint",
    "salted_digesters",
    "shared_fingerprint",
]

Fingerprint = Callable[[bytes], int]
Digester = Callable[[bytes], bytes]

MINIMUM_KEY_BYTES = 16
MAXIMUM_KEY_BYTES = 64
"""BLAKE2b takes no longer key (RFC 7693)."""


def _built_in(name: str) -> Callable[[bytes], Any]:
    """Give CPython's own implementation, where it has a module of that name: it needs none of OpenSSL's set-up.

    For 20 bytes on 3.11: MD5 202 ns for 369, SHA-256 288 for 338, SHA-512 373 for 459, SHA-1 381 for 331.
    """
    try:
        found: Callable[[bytes], Any] = getattr(import_module(f"_{name}"), name)
    except ImportError:  # A Python that was built to have OpenSSL's alone.
        return partial(new, name, usedforsecurity=False)  # To recognise a digest, not to rely on it.
    return found


PLATFORM_HASHES: tuple[Callable[[bytes], Any], ...] = (
    _built_in("md5"),
    _built_in("sha1"),
    _built_in("sha256"),
    _built_in("sha512"),
)
"""What platforms match by: SHA-256 everywhere; LinkedIn also SHA-512; MD5 and SHA-1 in older lists.

Taken from hashlib before anything wraps it: these digests must not become carriers.
"""


def process_fingerprint() -> Fingerprint:
    """Give the quick fingerprint of this process, or one as good under a key drawn now."""
    info = sys.hash_info
    is_random = os.environ.get("PYTHONHASHSEED", "random") == "random" and sys.flags.hash_randomization
    if is_random and info.algorithm.startswith("siphash") and info.hash_bits == 64:  # noqa: PLR2004
        return hash
    return shared_fingerprint(secrets.token_bytes(MAXIMUM_KEY_BYTES))


def shared_fingerprint(key: bytes) -> Fingerprint:
    """Give the fingerprint under a key that processes share.

    Raises:
        ConfigurationError: The key is not bytes of a usable length.
    """
    if not _is_bytes(key) or not MINIMUM_KEY_BYTES <= len(key) <= MAXIMUM_KEY_BYTES:
        raise ConfigurationError(
            f"key is not usable. It is {MINIMUM_KEY_BYTES} to {MAXIMUM_KEY_BYTES} random bytes. "
            "Draw it once with secrets.token_bytes(32) and keep it where the application's secrets are."
        )
    from_bytes = int.from_bytes

    def fingerprint(data: bytes) -> int:
        return from_bytes(blake2b(data, digest_size=8, key=key).digest(), "little")

    return fingerprint


def key_check(key: bytes) -> bytes:
    """Give 16 bytes that tell whether a file was written with the same key."""
    return blake2b(b"known values, version 1", digest_size=16, key=key, person=b"taint.key-check").digest()


def hmac_digester(key: bytes, algorithm: str) -> Digester:
    """Give the HMAC (RFC 2104) under a key of the application's.

    Raises:
        ConfigurationError: The key is empty, or there is no such algorithm.
    """
    _check_secret(key, "the HMAC key")
    _check_algorithm(algorithm)
    return lambda data: hmac_digest(key, data, algorithm)


def salted_digesters(salt: bytes, algorithms: tuple[str, ...]) -> tuple[Digester, ...]:
    """Give the digests of salt and value, and of value and salt.

    Raises:
        ConfigurationError: The salt is empty or no bytes, or there is no such algorithm.
    """
    _check_secret(salt, "the salt")
    found: list[Digester] = []
    for algorithm in algorithms:
        _check_algorithm(algorithm)
        found += _salted(salt, algorithm)
    return tuple(found)


def _salted(salt: bytes, algorithm: str) -> tuple[Digester, Digester]:
    make = partial(new, algorithm, usedforsecurity=False)
    return lambda data: make(salt + data).digest(), lambda data: make(data + salt).digest()


def _is_bytes(value: object) -> bool:
    return isinstance(value, bytes)


def _check_secret(secret: bytes, what: str) -> None:
    if not _is_bytes(secret) or not secret:
        raise ConfigurationError(
            f"{what} is not usable. It is bytes, and not empty. Pass the very bytes that the application uses."
        )


def _check_algorithm(algorithm: str) -> None:
    try:
        size = new(algorithm, b"", usedforsecurity=False).digest_size
    except (TypeError, ValueError):
        size = 0
    if not size:
        raise ConfigurationError(
            f"not a digest algorithm: {algorithm!r}. It is a name that hashlib knows, with digests of one length. "
            "Write it like 'sha256'."
        )
