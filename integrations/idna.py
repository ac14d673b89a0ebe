"""idna: a domain name keeps its labels when it is encoded or decoded.

Source: none. Sink: none.

Covered: `encode`, `decode`, `alabel`, `ulabel`, `uts46_remap`: position for position where the name
stays as it is, apart from case; on all of the result where it changes.

Not covered: names imported before `install()` (`from idna import encode`); the `idna` codec of
`str.encode`, which asks the carrier itself.

    import taint
    taint.install(integrations=["idna"])
    import idna
    domain = taint.label("bücher.example", purpose="security.account_recovery")
    encoded = idna.encode(domain)
    taint.labels_of(encoded)                                # Labels of the domain
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from taint.carriers.proxy import carry
from taint.integrations.base import Integration
from taint.integrations.calls import derived, labels_given, plain_call
from taint.propagation.patches import Patch

__all__ = ["IdnaIntegration"]


class IdnaIntegration(Integration):
    """Keeps labels through the encoding of domain names."""

    identifier = "idna"
    requires = ("idna>=3.0",)

    def _install(self) -> None:
        import idna

        # The package's functions, the same since 2.0; what calls them inside idna.core stays native. No events.
        names = ("encode", "decode", "alabel", "ulabel", "uts46_remap")
        self._wrap(Patch(idna, name, _derived) for name in names)


def _derived(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    value = plain_call(wrapped, args, kwargs)
    return derived(value, args[0]) if args else carry(value, labels_given(args, kwargs))
