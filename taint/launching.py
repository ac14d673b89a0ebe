"""Launching: the library as the environment says, for programs that never mention it.

    TAINT_MODE=report TAINT_POLICY=taint.toml TAINT_PACKAGES=shop,crm TAINT_AUDIT=audit.jsonl
    TAINT_KNOWN_VALUES=true TAINT_INTEGRATIONS=sqlalchemy,orjson

`TAINT_MODE`, `TAINT_POLICY` and `TAINT_ENVIRONMENT` hold in every program; the others where somebody else
launches it: `python -m taint run`, `opentelemetry-instrument`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from taint.configuration import configure
from taint.errors import ConfigurationError, TaintError
from taint.installation import install, uninstall
from taint.modes import is_off
from taint.policy import current_policy

__all__ = ["launch"]

_TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def launch(packages: Iterable[str] = ()) -> bool:
    """Configure and install the library as the environment says.

    Labels: of sources are followed from here on.

    Args:
        packages: To make exact, besides those of `TAINT_PACKAGES`.

    Returns:
        Whether it is on; in mode `off` nothing is opened, wrapped or rewritten.

    Raises:
        ConfigurationError: A setting of the environment, or the policy, is not usable as written.
        IntegrationError: `TAINT_INTEGRATIONS` names one that is unknown, or whose library is not there.
    """
    current_policy()  # Its mode may be `off`.
    if is_off():
        return False
    integrations = _listed("TAINT_INTEGRATIONS") if "TAINT_INTEGRATIONS" in os.environ else None
    configure(known_values=_truth("TAINT_KNOWN_VALUES"), audit=os.environ.get("TAINT_AUDIT") or None)
    try:
        install(packages=[*packages, *_listed("TAINT_PACKAGES")], integrations=integrations)
    except TaintError:
        uninstall()
        configure(audit=False)
        raise
    return True


def _listed(setting: str) -> list[str]:
    return [name.strip() for name in os.environ.get(setting, "").split(",") if name.strip()]


def _truth(setting: str) -> bool | None:
    said = os.environ.get(setting)
    if not said:
        return None
    if said.lower() not in _TRUTHS:
        raise ConfigurationError(f"{setting} is neither true nor false: {said!r}. Write 'true', or leave it out.")
    return _TRUTHS[said.lower()]
