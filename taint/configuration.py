"""`configure`: the settings of the process, checked before any of them takes effect."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, Literal

from taint.carriers.tracing import set_tracing
from taint.envelopes.keys import EnvelopeKeys, set_keys
from taint.errors import ConfigurationError
from taint.evidence import KnownValues, current_known_values, set_known_values
from taint.flows.auditing import audit_to
from taint.flows.discovery import discover as set_discovery
from taint.modes import Mode, set_mode
from taint.policy import ConsentStore, Policy, current_policy, read_policy_again, set_consent_store, use_policy
from taint.telemetry import observe_known_values, policy_reloaded
from taint.telemetry.audit import AuditFile

__all__ = ["configure", "reload_policy"]


def configure(
    *,
    mode: str | None = None,
    policy: str | os.PathLike[str] | Mapping[str, Any] | Policy | None = None,
    environment: str | None = None,
    consent: ConsentStore | None = None,
    known_values: bool | KnownValues | None = None,
    audit: str | os.PathLike[str] | AuditFile | Literal[False] | None = None,
    envelope_keys: Mapping[str, bytes | str] | None = None,
    discover: bool | None = None,
    trace: bool | None = None,
) -> None:
    """Change settings of the process. Call it before the first purpose is named: decorators check theirs.

    Labels: in mode `off` nothing is labelled or checked from here on; carriers that exist stay what they are.

    Args:
        mode: `block`, `report`, `redact` or `off`; it holds against what the policy says. Without it the mode is
            what the environment variable `TAINT_MODE` says, else the policy, else `block`.
        policy: A policy file, or a table as such a file holds it. Without it the policy is the file that
            `TAINT_POLICY` names, else `taint.toml` or `[tool.taint]` of `pyproject.toml` in the working
            directory, else purpose limitation alone.
        environment: Which of the policy's environments holds; else what `TAINT_ENVIRONMENT` says.
        consent: The store that rules about consent ask.
        known_values: Whether sources remember keyed fingerprints of what they label, so that it is found at
            sinks where no label arrives (evidence `content` and `digest`). True for the default bounds, a
            `KnownValues` for others, False to forget all. Off before this is called: remembering a new value
            costs about as much as ten labels.
        audit: A file to write every flow and declassification to, allowed ones too, as JSON lines without values;
            `python -m taint audit verify` checks it and `python -m taint replay` tries another policy on it.
            False ends it. A file that cannot be written stops nobody, and is said once.
        envelope_keys: Secrets by id, bytes or base64 text of at least 32 bytes, that labels are signed with when they
            cross to another process: the first one signs, all are accepted. Without it those of the environment
            variable `TAINT_ENVELOPE_KEYS`, `id:base64,id:base64`. See docs/envelopes.md.
        discover: Whether comparisons of labelled values outside every zone are remembered for the request or task,
            so that a sink for another purpose that is reached later in it gets a gap (evidence `comparison`): to
            find where zones are missing. Off until this is called; a comparison then costs some microseconds.
        trace: Whether labels keep the last operations from their source to here, so that findings show the way.
            What `TAINT_TRACE` says before this is called, else off; an operation then costs some ten microseconds.

    Raises:
        ConfigurationError: One of them is not usable; then none takes effect.
    """
    if environment is not None and policy is None:
        msg = (
            f"an environment without a policy: {environment!r}. Environments are those of a policy. "
            "Pass policy='taint.toml' too, or set TAINT_ENVIRONMENT."
        )
        raise ConfigurationError(msg)
    _check_switches(discover=discover, trace=trace)
    _check_known_values(known_values)
    wanted = None if mode is None else Mode.parse(mode, setting="mode")
    keys = None if envelope_keys is None else EnvelopeKeys(envelope_keys)
    with ExitStack() as undo:
        trail = _trail(audit)
        if isinstance(trail, AuditFile):
            undo.callback(trail.close)
        if consent is not None:
            undo.callback(set_consent_store, set_consent_store(consent))
        if policy is not None:
            use_policy(policy, environment=environment)
        undo.pop_all()  # Nothing was wrong.
    if wanted is not None:
        set_mode(wanted, is_explicit=True)
    if keys is not None:
        set_keys(keys)
    if known_values is not None:
        _use_known_values(known_values)
    if trail is not None:
        audit_to(trail or None)
    _set_switches(discover=discover, trace=trace)


def _check_switches(**given: object) -> None:
    for name, value in given.items():
        if value is not None and not isinstance(value, bool):
            msg = (
                f"{name} is neither on nor off: {type(value).__name__!r}. True and False are allowed. Pass {name}=True."
            )
            raise ConfigurationError(msg)


def _set_switches(*, discover: bool | None, trace: bool | None) -> None:
    if discover is not None:
        set_discovery(is_on=discover)
    if trace is not None:
        set_tracing(is_on=trace)


def _check_known_values(given: object) -> None:
    if given is not None and not isinstance(given, bool | KnownValues):
        msg = (
            f"known_values is neither on nor off: {type(given).__name__!r}. True, False and a KnownValues are allowed. "
            "Pass known_values=True."
        )
        raise ConfigurationError(msg)


def _trail(audit: object) -> AuditFile | Literal[False] | None:
    if audit is None or audit is False or isinstance(audit, AuditFile):
        return audit
    if isinstance(audit, str | os.PathLike):
        return AuditFile(audit)
    msg = (
        f"audit is no file: {type(audit).__name__!r}. A path, an AuditFile or False are allowed. "
        "Pass audit='audit.jsonl', or audit=False to end the trail."
    )
    raise ConfigurationError(msg)


def _use_known_values(known: bool | KnownValues) -> None:  # noqa: FBT001  # As `configure` takes it.
    if known is True:
        known = current_known_values() or KnownValues()
    set_known_values(known or None)
    observe_known_values(_known_count if current_known_values() is not None else None)


def _known_count() -> int:
    known = current_known_values()
    return 0 if known is None else known.statistics().values


def reload_policy() -> Policy:
    """Read the policy's file again and put it in force, in one step; telemetry is told.

    Labels: none are changed; the next check asks the new policy.

    Returns:
        The policy that is in force now.

    Raises:
        ConfigurationError: There is no file, or it is wrong; the policy in force stays in force, and a log
            record says so.
    """
    try:
        policy = read_policy_again()
    except ConfigurationError:
        policy_reloaded(current_policy().origin, is_accepted=False)
        raise
    policy_reloaded(policy.origin, is_accepted=True)
    return policy
