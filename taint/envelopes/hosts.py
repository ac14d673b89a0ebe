"""Which hosts are our own: those that the policy's table `[envelopes]` names, and no other."""

from __future__ import annotations

from taint.policy import current_policy
from taint.policy.rules import matches_pattern

__all__ = ["is_own_host"]


def is_own_host(host: str | None, port: int | None) -> bool:
    """Tell whether labels may be sent to a host, and are read from it.

    Args:
        host: Its name or address as the client's own parser gives it, without brackets.
        port: Its port. A pattern with a colon is about the host with its port, any other about the host at
            every port.
    """
    patterns = current_policy().envelope_hosts
    if not patterns or not host:
        return False
    name = host.lower().rstrip(".").strip("[]")
    shown = f"[{name}]" if ":" in name else name
    for pattern in patterns:
        wanted = pattern.lower()
        address = wanted.rpartition(":")[0]
        has_port = bool(address) and not wanted.endswith("]") and (address.count(":") == 0 or address.endswith("]"))
        if matches_pattern(f"{shown}:{port}" if has_port else shown, (_escaped(wanted),)):
            return True
    return False


def _escaped(pattern: str) -> str:
    return pattern.replace("[", "[[]")
