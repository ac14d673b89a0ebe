"""The policy in force: set and replaced as a whole, and read again from its file."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from taint.errors import ConfigurationError
from taint.modes import set_policy_mode
from taint.policy.decision import Decider
from taint.policy.loading import has_policy, load_policy
from taint.policy.making import make_policy
from taint.policy.rules import Policy
from taint.purposes import built_in, current_taxonomy, set_preparation, set_taxonomy

__all__ = [
    "PolicyState",
    "current_decider",
    "current_policy",
    "find_policy",
    "policy_state",
    "read_policy_again",
    "restore_policy",
    "set_policy",
    "use_policy",
]

_logger = logging.getLogger("taint")
_lock = threading.RLock()
_current: Decider | None = None
_file: Path | None = None
_environment: str | None = None


def current_decider() -> Decider:
    """Give what decides by the policy in force."""
    return _current or _begun()


def current_policy() -> Policy:
    """Give the policy in force; an empty one where none was found or configured."""
    return current_decider().policy


def _begun() -> Decider:
    current_taxonomy()  # Reads the settings that are found, if nobody has configured any.
    return _current or set_policy(Policy(taxonomy=current_taxonomy()))


def set_policy(policy: Policy) -> Decider:
    """Put a policy in force, for the process; checks that run meanwhile end under the one before."""
    global _current  # noqa: PLW0603  # Replaced as a whole.
    decider = Decider(policy)
    for warning in policy.warnings:
        _logger.warning("%s", warning)
    with _lock:
        set_taxonomy(policy.taxonomy)
        set_policy_mode(policy.mode)
        _current = decider
    return decider


def use_policy(
    policy: str | os.PathLike[str] | Mapping[str, Any] | Policy, *, environment: str | None = None
) -> Policy:
    """Read a policy and put it in force.

    Args:
        policy: A file, a table as a file gives it, or a policy.
        environment: Which of its environments holds; by default what `TAINT_ENVIRONMENT` says.

    Raises:
        ConfigurationError: As `load_policy`. The policy in force stays in force.
    """
    global _file, _environment  # What to read again.
    chosen = environment or os.environ.get("TAINT_ENVIRONMENT") or None
    if isinstance(policy, Policy):
        file, made = None, policy
    elif isinstance(policy, Mapping):
        file, made = None, make_policy(policy, environment=chosen)
    else:
        file = Path(policy)
        made = load_policy(file, environment=chosen)
    with _lock:
        set_policy(made)
        _file, _environment = file, chosen
    return made


def read_policy_again() -> Policy:
    """Read the policy's file again and put it in force, in one step.

    Raises:
        ConfigurationError: There is no file, or it is wrong; the policy in force stays in force, and a log
            record says so.
    """
    if _file is None:
        msg = "no policy file to read again. A policy is read from a file by configure(policy='taint.toml'). Name one."
        raise ConfigurationError(msg)
    try:
        return use_policy(_file, environment=_environment)
    except ConfigurationError as error:
        msg = f"{error}\nThe policy read before stays in force."
        _logger.error("%s", msg)  # noqa: TRY400  # What is wrong is in the file, not in this stack.
        raise ConfigurationError(msg) from None


class PolicyState(NamedTuple):
    """The policy in force and where it was read, to be put back."""

    decider: Decider
    file: Path | None
    environment: str | None


def policy_state() -> PolicyState:
    """Give the policy in force and where it was read."""
    return PolicyState(current_decider(), _file, _environment)


def restore_policy(state: PolicyState) -> None:
    """Put back what `policy_state` gave; the mode, which is a setting of its own, stays as it is."""
    global _current, _file, _environment  # As above.
    with _lock:
        _current, _file, _environment = state
        set_taxonomy(state.decider.policy.taxonomy)


def find_policy() -> Path | None:
    """Give the policy file that `TAINT_POLICY` names, else the one in the working directory, if there is one."""
    named = os.environ.get("TAINT_POLICY")
    if named:
        return Path(named)
    here = (Path.cwd() / name for name in ("taint.toml", "pyproject.toml"))
    return next((path for path in here if path.is_file() and has_policy(path)), None)


def _discover() -> None:
    """Put the policy that is found in force, or one that says nothing."""
    path = find_policy()
    if path is None:
        set_policy(Policy(taxonomy=built_in("taint")))
    else:
        use_policy(path)


set_preparation(_discover)
