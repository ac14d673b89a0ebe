"""Purposes: dotted, hierarchical keys of why data was collected and what a sink uses it for.

`security` stands above `security.mfa`: data collected for the first may be used for the second, not
the other way round.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from taint.errors import ConfigurationError

__all__ = ["ancestors", "is_allowed", "purpose_key", "purpose_keys"]

# The syntax of fideslang's keys, https://ethyca.github.io/fideslang/: lower-case words joined by dots.
_KEY = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*")


def purpose_key(purpose: object) -> str:
    """Check one purpose key and give it as an exact `str`.

    Args:
        purpose: A dotted key such as `security.mfa`.

    Raises:
        ConfigurationError: It is not a key; the message suggests one where it can.
    """
    if isinstance(purpose, str):
        return _checked(purpose)
    msg = (
        f"purpose is not a text, but {type(purpose).__name__!r}. "
        "A purpose is a dotted key such as 'security.mfa'. Pass the key as a str."
    )
    raise ConfigurationError(msg)


@lru_cache(maxsize=4096)
def _checked(purpose: str) -> str:
    if _KEY.fullmatch(purpose):
        return str.__str__(purpose)
    guess = re.sub(r"[^a-z0-9_.]+", "_", purpose.strip().lower().replace("/", ".").replace(":", ".")).strip("_.")
    hint = f"Did you mean {guess!r}?" if _KEY.fullmatch(guess) else "Write it like 'security.mfa'."
    msg = f"not a purpose key: {purpose!r}. A key is lower-case words of letters, digits and '_', joined by '.'. {hint}"
    raise ConfigurationError(msg)


def purpose_keys(purpose: str | Iterable[str]) -> frozenset[str]:
    """Check one purpose or several.

    Args:
        purpose: One key, or an iterable of keys.

    Raises:
        ConfigurationError: One is not a key, or there is none.
    """
    if isinstance(purpose, str) or not isinstance(purpose, Iterable):
        return frozenset((purpose_key(purpose),))
    keys = frozenset(map(purpose_key, purpose))
    if not keys:
        msg = "a label without a purpose. It needs at least one key such as 'security.mfa'. Pass purpose='...'."
        raise ConfigurationError(msg)
    return keys


@lru_cache(maxsize=4096)
def ancestors(purpose: str) -> tuple[str, ...]:
    """Give a purpose and everything above it, nearest first.

    >>> ancestors("security.mfa.sms")
    ('security.mfa.sms', 'security.mfa', 'security')
    """
    words = purpose.split(".")
    return tuple(".".join(words[:count]) for count in range(len(words), 0, -1))


def is_allowed(collected_for: frozenset[str], purpose: str) -> bool:
    """Tell whether data collected for some purposes may be used for another.

    Args:
        collected_for: The purposes of one label.
        purpose: What a sink or zone uses data for.

    Returns:
        True where one of them is the purpose itself or an ancestor of it (purpose limitation,
        GDPR article 5(1)(b)).
    """
    return not collected_for.isdisjoint(ancestors(purpose))
