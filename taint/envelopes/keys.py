"""The keys that envelopes are signed with: several are accepted, the first one signs.

They come from `taint.configure(envelope_keys=...)` or the environment variable `TAINT_ENVELOPE_KEYS`,
never from a policy file, and are never shown.
"""

from __future__ import annotations

import binascii
import os
import re
from collections.abc import Mapping

from taint.errors import ConfigurationError

__all__ = ["MIN_KEY_BYTES", "EnvelopeKeys", "current_keys", "set_keys"]

MIN_KEY_BYTES = 32
"""The length of SHA-256's output, below which RFC 2104, section 3, discourages a key."""
VARIABLE = "TAINT_ENVELOPE_KEYS"

_ID = re.compile("[A-Za-z0-9_-]{1,32}", re.ASCII)
_HELP = (
    "Keys are {id: secret}, the first one signs; an id is up to 32 letters, digits, '-' and '_', a secret is bytes or "
    f"base64 text of at least {MIN_KEY_BYTES} bytes. Make one with: "
    'python -c "import base64, os; print(base64.b64encode(os.urandom(32)).decode())"'
)


class EnvelopeKeys:
    """Accepted keys by their ids; the first signs. Its `repr` shows ids only.

    Args:
        keys: Secrets by id, as bytes or as base64 text.

    Raises:
        ConfigurationError: One is not usable. The message never shows a secret.
    """

    __slots__ = ("_secrets",)

    def __init__(self, keys: Mapping[str, bytes | str]) -> None:
        self._secrets: dict[str, bytes] = {}
        for key_id, secret in keys.items():
            if _ID.fullmatch(str(key_id)) is None:
                raise ConfigurationError(f"an envelope key has an id that is not usable. {_HELP}.")
            self._secrets[key_id] = _secret(key_id, secret)

    @property
    def signing(self) -> tuple[str, bytes] | None:
        """The id and secret that sign; None where there is no key."""
        return next(iter(self._secrets.items()), None)

    def secret(self, key_id: str) -> bytes | None:
        """Give the secret of an accepted key; None for an unknown id."""
        return self._secrets.get(key_id)

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """Every accepted secret, the signing one first."""
        return tuple(self._secrets.values())

    def __repr__(self) -> str:
        return f"EnvelopeKeys({list(self._secrets)})"


def _secret(key_id: str, secret: object) -> bytes:
    if isinstance(secret, str):
        try:
            secret = binascii.a2b_base64(secret.replace("-", "+").replace("_", "/").rstrip("=") + "==")
        except (ValueError, binascii.Error):
            raise ConfigurationError(f"envelope key {key_id!r} is not base64 text. {_HELP}.") from None
    if not isinstance(secret, bytes | bytearray):
        raise ConfigurationError(f"envelope key {key_id!r} is no bytes, but {type(secret).__name__!r}. {_HELP}.")
    if len(secret) < MIN_KEY_BYTES:
        raise ConfigurationError(f"envelope key {key_id!r} is too short. {_HELP}.")
    return bytes(secret)


_current: EnvelopeKeys | None = None


def current_keys() -> EnvelopeKeys:
    """Give the keys of the process, those of `TAINT_ENVELOPE_KEYS` where none were configured.

    Raises:
        ConfigurationError: The variable is not `id:base64,id:base64`.
    """
    global _current  # noqa: PLW0603  # Replaced as a whole.
    if _current is None:
        _current = _from_environment(os.environ.get(VARIABLE, ""))
    return _current


def set_keys(keys: EnvelopeKeys | None) -> EnvelopeKeys | None:
    """Exchange the keys of the process; None for those of the environment. The ones before are given back."""
    global _current  # As above.
    before, _current = _current, keys
    return before


def _from_environment(text: str) -> EnvelopeKeys:
    pairs = [entry.strip().partition(":") for entry in text.split(",") if entry.strip()]
    if any(not colon for _, colon, _ in pairs):
        raise ConfigurationError(f"{VARIABLE} is not a list of keys: 'id:base64,id:base64' is expected. {_HELP}.")
    return EnvelopeKeys({key_id: secret for key_id, _, secret in pairs})
