"""The form in which ad platforms compare people: normalised, then hashed with SHA-256.

The rules are those that the platforms publish for customer lists: an address without outer spaces and in small
letters; a telephone number in E.164; each as the SHA-256 of its UTF-8 text, in hexadecimal digits.
"""

from __future__ import annotations

import hashlib

_PUNCTUATION = str.maketrans("", "", " .-()/")


def email_key(email: str) -> str:
    """Return the match key of an address.

    Labels: the key carries those of the address.
    """
    return hashlib.sha256(email.strip().lower().encode()).hexdigest()


def phone_key(phone: str) -> str:
    """Return the match key of a telephone number that was typed with its country code.

    Labels: the key carries those of the number.
    """
    e164 = phone.translate(_PUNCTUATION)
    return hashlib.sha256(e164.encode()).hexdigest()
