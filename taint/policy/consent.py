"""Consent: what a policy may ask about the person whose data it is."""

from __future__ import annotations

import contextvars
import queue
import threading
from datetime import UTC, datetime
from typing import Any, Protocol, runtime_checkable

from taint.carriers import observation
from taint.errors import ConfigurationError
from taint.guard import report_internal_error
from taint.purposes import ancestors, purpose_key

__all__ = [
    "BoundedConsentStore",
    "ConsentStore",
    "InMemoryConsentStore",
    "ask_consent",
    "current_consent_store",
    "set_consent_store",
]


@runtime_checkable
class ConsentStore(Protocol):
    """Knows what people have agreed to, now.

    It is asked at every check where it matters, on the thread that checks and before a sink's body runs: a
    store that is slow makes the sink slow, and one that hangs would make it hang. One that asks another
    machine waits for it only so long, by its own time limit or inside a `BoundedConsentStore`. Whatever it
    raises counts as no answer: a gap, that is said and, by default, stopped in mode `block`.
    """

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


class BoundedConsentStore:
    """Asks another store, and waits only so long: an answer that comes later is a gap.

    Each question is asked on a thread of its own, with the context of the check; that costs about as much as
    starting a thread. A store that does not come back keeps its threads, and at most so many at once: beyond
    that nothing is asked, and nothing waits.

    Args:
        store: The store that knows.
        seconds: How long to wait for it.
        at_once: How many questions may be under way.

    Raises:
        ConfigurationError: One of them is not usable.
    """

    def __init__(self, store: ConsentStore, *, seconds: float = 1.0, at_once: int = 32) -> None:
        """Begin without a question under way."""
        if seconds <= 0 or at_once < 1:
            msg = "a bounded consent store that never asks. Seconds are more than 0, and at_once is 1 or more."
            raise ConfigurationError(msg)
        self._store = _checked(store)
        self._seconds = seconds
        self._free = threading.BoundedSemaphore(at_once)

    def is_given(self, *, subject: str | None, purpose: str, receipt: str | None) -> bool | None:
        """Tell what the store tells in time.

        Raises:
            TimeoutError: It did not, or too many questions are under way.
        """
        if not self._free.acquire(blocking=False):
            msg = "the consent store has not answered the questions before"
            raise TimeoutError(msg)
        answers: queue.SimpleQueue[tuple[bool | None, BaseException | None]] = queue.SimpleQueue()
        context = contextvars.copy_context()

        def ask() -> None:
            try:
                answer = context.run(self._store.is_given, subject=subject, purpose=purpose, receipt=receipt)
            except BaseException as error:  # noqa: BLE001  # It is raised where the question was asked.
                answers.put((None, error))
            else:
                answers.put((answer, None))
            finally:
                self._free.release()

        threading.Thread(target=ask, name="taint-consent", daemon=True).start()
        try:
            answer, error = answers.get(timeout=self._seconds)
        except queue.Empty:
            msg = "the consent store did not answer in time"
            raise TimeoutError(msg) from None
        if error is not None:
            raise error
        return answer


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
    before, _store = _store, None if store is None else _checked(store)
    return before


def _checked(store: object) -> ConsentStore:
    if isinstance(store, ConsentStore):
        return store
    msg = (
        f"not a consent store: {type(store).__name__!r}. A store has the method "
        "is_given(*, subject, purpose, receipt). Pass one that has it, or taint.InMemoryConsentStore()."
    )
    raise ConfigurationError(msg)


def ask_consent(subject: str | None, purpose: str, receipt: str | None) -> bool | None:
    """Ask the store; None where there is none, where it fails, or where it does not know."""
    store = _store
    if store is None:
        return None
    token = observation.observer.set(observation.NOBODY)  # What the store compares is its own work, not the zone's.
    try:
        answer: Any = store.is_given(subject=subject, purpose=purpose, receipt=receipt)
    except Exception as error:  # noqa: BLE001  # Whatever is wrong with the store, the answer is not known.
        report_internal_error("asking the consent store", error)
        answer = None
    finally:
        observation.observer.reset(token)
    return answer if isinstance(answer, bool) else None
