"""Keys: dotted names of purposes and categories, checked against the taxonomy.

`security` stands above `security.mfa`: data collected for the first may be used for the second, not
the other way round.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from taint.errors import ConfigurationError
from taint.guard import HIDDEN, shown
from taint.purposes.taxonomy import Taxonomy, current_taxonomy

__all__ = ["ancestors", "category_key", "is_allowed", "known_category", "known_purpose", "purpose_key", "purpose_keys"]

# The syntax of fideslang's keys, https://ethyca.github.io/fideslang/: words joined by dots. DPV's are in CamelCase.
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z][A-Za-z0-9_]*)*", re.ASCII)


_NOT_SHOWN = "(not shown, it may be data)"
_LONGEST_SHOWN = 64
_MOST_DIGITS = 5


def purpose_key(purpose: object) -> str:
    """Check one purpose key and give it as an exact `str`.

    Args:
        purpose: A key of the taxonomy, such as `security.mfa`, or one that the policy declares.

    Returns:
        The key; for a former key of fideslang, what it is called now.

    Raises:
        ConfigurationError: It is not a key, or not known; the message suggests the nearest.
    """
    if isinstance(purpose, str):
        return known_purpose(purpose, current_taxonomy())
    msg = (
        f"purpose is not a text, but {type(purpose).__name__!r}. "
        "A purpose is a dotted key such as 'security.mfa'. Pass the key as a str."
    )
    raise ConfigurationError(msg)


def known_purpose(purpose: str, taxonomy: Taxonomy) -> str:
    """Check a purpose key against a taxonomy; as `purpose_key`."""
    if purpose in taxonomy.purposes:
        return str.__str__(purpose)
    if purpose in taxonomy.aliases:
        return taxonomy.aliases[purpose]
    if not _KEY.fullmatch(purpose):
        guess = re.sub(r"[^a-z0-9_.]+", "_", purpose.strip().lower().replace("/", ".").replace(":", ".")).strip("_.")
        said = _said(purpose)
        is_near = said is not _NOT_SHOWN and _KEY.fullmatch(guess)
        hint = f"Did you mean {guess!r}?" if is_near else "Write it like 'security.mfa'."
        msg = (
            f"not a purpose key: {said}. A key is words of letters, digits and '_', "
            f"lower-case in most taxonomies, joined by '.'. {hint}"
        )
        raise ConfigurationError(msg)
    near, said = taxonomy.nearest(purpose), _said(purpose)
    hint = f"Did you mean {near!r}? If not, declare it" if near else "Declare it"
    msg = (
        f"unknown purpose: {said}. Purposes are those of the {taxonomy.name!r} taxonomy and those that the policy "
        f"declares. {hint} in taint.toml: [purposes] {said} = {{ definition = '...' }}."
    )
    raise ConfigurationError(msg)


def _said(key: str) -> str:
    """Show what was given for a key, but not what looks as if a value had been passed in its place."""
    said = shown(key)
    is_data = said is HIDDEN or "@" in said or len(said) > _LONGEST_SHOWN
    return _NOT_SHOWN if is_data or sum(map(str.isdigit, said)) > _MOST_DIGITS else repr(said)


def purpose_keys(purpose: str | Iterable[str]) -> frozenset[str]:
    """Check one purpose or several.

    Args:
        purpose: One key, or an iterable of keys.

    Raises:
        ConfigurationError: One is not a known key, or there is none.
    """
    if isinstance(purpose, str) or not isinstance(purpose, Iterable):
        return frozenset((purpose_key(purpose),))
    keys = frozenset(map(purpose_key, purpose))
    if not keys:
        msg = "a label without a purpose. It needs at least one key such as 'security.mfa'. Pass purpose='...'."
        raise ConfigurationError(msg)
    return keys


def category_key(category: object) -> str:
    """Check one category key and give it as an exact `str`.

    Args:
        category: A data category of fideslang, such as `user.contact.phone_number`, or one that the policy declares.

    Raises:
        ConfigurationError: It is not known; the message suggests the nearest.
    """
    if isinstance(category, str):
        return known_category(category, current_taxonomy())
    msg = (
        f"category is not a text, but {type(category).__name__!r}. A category is a key such as "
        "'user.contact.phone_number'. Pass the key as a str."
    )
    raise ConfigurationError(msg)


def known_category(category: str, taxonomy: Taxonomy) -> str:
    """Check a category key against a taxonomy; as `category_key`."""
    if category in taxonomy.categories:
        return str.__str__(category)
    near, said = taxonomy.nearest(category, of=taxonomy.categories), _said(category)
    hint = f"Did you mean {near!r}? If not, declare it" if near else "Declare it"
    msg = (
        f"unknown category: {said}. Categories are fideslang's, such as 'user.contact.email', and those that "
        f"the policy declares. {hint} in taint.toml: [categories] {said} = '...'."
    )
    raise ConfigurationError(msg)


def ancestors(purpose: str) -> tuple[str, ...]:
    """Give a purpose and everything above it, nearest first.

    >>> ancestors("security.mfa.sms")
    ('security.mfa.sms', 'security.mfa', 'security')
    """
    return current_taxonomy().ancestors(purpose)


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
