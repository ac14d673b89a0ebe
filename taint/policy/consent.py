"""Consent: what a policy may ask about the person whose data it is."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any, Protocol, runtime_checkable

from taint.carriers import observation
from taint.errors import ConfigurationError
from taint.guard import report_internal_error
from taint.purposes import ancestors, purpose_key

__all__ = ["ConsentStore", "InMemoryConsentStore", "ask_consent", "current_consent_store", "set_consent_store"]


@runtime_checkable
class ConsentStore(Protocol):
    """Knows what people have agreed to, now."""

    def is_given(self, *, subject: str | None, purpose: str, receipt: str | None) -> bool | None:
        """Tell whether a person agrees to a use.

        Args:
            subject: The label's opaque key of the person, if it has one.
            purpose: What the data is about to be used for.
            receipt: The consent receipt that the label or its declassification names, if any.

        Returns:
            None where it does not know: that is a gap, and never taken for either.
        """


class InMemoryConsentStore:
    """Consent in this process's memory: for tests, examples and small programs. Safe in threads."""

    def __init__(self) -> None:
        """Begin without any consent."""
        self._given: dict[tuple[str, str], tuple[bool, datetime | None]] = {}
        self._withdrawn_receipts: set[str] = set()
        self._lock = threading.Lock()

    def give(self, subject: object, purpose: str, *, expires: datetime | None = None) -> None:
        """Note that a person agrees to a use and to what stands below it.

        Raises:
            ConfigurationError: The purpose is unknown, or the expiry has no time zone.
        """
        if expires is not None and expires.tzinfo is None:
            msg = "expires has no time zone. Consent ends at one moment everywhere. Pass an aware datetime."
            raise ConfigurationError(msg)
        self._note(subject, purpose, is_given=True, expires=expires)

    def withdraw(self, subject: object, purpose: str) -> None:
        """Note that a person does not agree, or no longer, to a use and to what stands below it.

        Raises:
            ConfigurationError: The purpose is unknown.
        """
        self._note(subject, purpose, is_given=False, expires=None)

    def withdraw_receipt(self, receipt: str) -> None:
        """Note that what a receipt says is withdrawn, for whatever it was given."""
        with self._lock:
            self._withdrawn_receipts.add(receipt)

    def _note(self, subject: object, purpose: str, *, is_given: bool, expires: datetime | None) -> None:  # Private.
        key = (str(subject), purpose_key(purpose))
        with self._lock:
            for known in [one for one in self._given if one[0] == key[0] and key[1] in ancestors(one[1])]:
                del self._given[known]  # What was said of a part before is overtaken by what is said of the whole.
            self._given[key] = (is_given, expires)

    def is_given(self, *, subject: str | None, purpose: str, receipt: str | None) -> bool | None:
        """Tell whether a person agrees: what was said of the nearest purpose at or above it."""
        if receipt is not None and receipt in self._withdrawn_receipts:
            return False
        if subject is None:
            return None
        for key in ancestors(purpose):
            found = self._given.get((subject, key))
            if found is not None:
                is_given, expires = found
                return is_given and (expires is None or datetime.now(UTC) < expires)
        return False


_store: ConsentStore | None = None


def current_consent_store() -> ConsentStore | None:
    """Give the store that policies ask."""
    return _store


def set_consent_store(store: ConsentStore | None) -> ConsentStore | None:
    """Set the store that policies ask, for the process, and give the one before.

    Raises:
        ConfigurationError: It cannot be asked.
    """
    global _store  # One for the process.
    given: object = store  # What its type says is for those who check types.
    if given is not None and not isinstance(given, ConsentStore):
        msg = (
            f"not a consent store: {type(given).__name__!r}. A store has the method "
            "is_given(*, subject, purpose, receipt). Pass one that has it, or taint.InMemoryConsentStore()."
        )
        raise ConfigurationError(msg)
    before, _store = _store, store
    return before


def ask_consent(subject: str | None, purpose: str, receipt: str | None) -> bool | None:
    """Ask the store; None where there is none, where it fails, or where it does not know."""
    store = _store
    if store is None:
        return None
    token = observation.observer.set(None)  # What the store compares is its own work, not the zone's.
    try:
        answer: Any = store.is_given(subject=subject, purpose=purpose, receipt=receipt)
    except Exception as error:  # noqa: BLE001  # Whatever is wrong with the store, the answer is not known.
        report_internal_error("asking the consent store", error)
        answer = None
    finally:
        observation.observer.reset(token)
    return answer if isinstance(answer, bool) else None
