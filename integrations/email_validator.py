"""email-validator: the parts of a validated address are labelled as the address was.

Source: none. Sink: none.

Covered: `validate_email`: `normalized`, `original`, `local_part`, `domain`, `ascii_email` and the other
texts of the result; position for position where one is the address itself, apart from case, else on
all of it. The addresses of a domain literal and the MX records are labelled too.

Not covered: names imported before `install()`; the message of `EmailNotValidError`, which quotes no
whole address but may quote characters of it.

    import taint
    taint.install(integrations=["email_validator"])
    import email_validator
    address = taint.label("ann@example.org", purpose="security.mfa")
    checked = email_validator.validate_email(address, check_deliverability=False)
    taint.labels_of(checked.local_part)                     # Labels of the address
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from taint.carriers.proxy import is_carrier
from taint.integrations.base import Integration
from taint.integrations.calls import derived, plain_call
from taint.propagation.patches import Patch

__all__ = ["EmailValidatorIntegration"]


class EmailValidatorIntegration(Integration):
    """Keeps labels through the validation of addresses."""

    identifier = "email_validator"
    requires = ("email-validator>=2.0",)

    def _install(self) -> None:
        import email_validator

        # The package's one function, since 1.0; it has no events.
        self._wrap((Patch(email_validator, "validate_email", _validate_email),))


def _validate_email(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    checked = plain_call(wrapped, args, kwargs)
    address = args[0] if args else kwargs.get("email")  # By position only, in newer versions.
    if is_carrier(address):
        for name, part in vars(checked).items():
            if not isinstance(part, bool | int | float):
                setattr(checked, name, derived(part, address))
    return checked
