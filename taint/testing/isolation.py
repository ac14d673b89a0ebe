"""Isolation: what one test sets for the process does not hold in the next."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

from taint.evidence import KnownValues, current_known_values, set_known_values
from taint.flows.auditing import audit_to, current_audit_file
from taint.modes import ModeState, mode_state, restore_mode
from taint.policy import (
    ConsentStore,
    PolicyState,
    current_consent_store,
    policy_state,
    restore_policy,
    set_consent_store,
)
from taint.telemetry.audit import AuditFile

__all__ = ["Settings"]


class Settings(NamedTuple):
    """What `configure` sets, as it stands at one moment.

    What `install` has wrapped is not part of it: an application installs once, for all of its tests.
    """

    mode: ModeState
    policy: PolicyState
    consent: ConsentStore | None
    known_values: KnownValues | None
    audit: AuditFile | None

    @classmethod
    def now(cls) -> Self:
        """Take them down.

        Raises:
            ConfigurationError: Nobody has configured a policy yet, and the one that is found is wrong.
        """
        policy = policy_state()  # First: where it is read now, its mode holds from now on.
        return cls(mode_state(), policy, current_consent_store(), current_known_values(), current_audit_file())

    def put(self) -> None:
        """Put them in force again."""
        restore_policy(self.policy)
        restore_mode(self.mode)
        set_consent_store(self.consent)
        set_known_values(self.known_values)
        if self.audit is not current_audit_file():
            audit_to(self.audit)

    def fresh(self) -> Self:
        """Give the same settings with nothing known: what other tests collected is not known in this one."""
        return self._replace(known_values=None if self.known_values is None else self.known_values.fresh())

    def rebased(self, old: Self, new: Self) -> Self:
        """Give these with what changed from `old` to `new`, apart from what they have of their own."""
        triples = zip(self, old, new, strict=True)
        made: list[Any] = [after if mine == before else mine for mine, before, after in triples]
        return type(self)(*made)
