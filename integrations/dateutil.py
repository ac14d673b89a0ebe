"""dateutil: a date that is parsed from a labelled text is labelled.

Source: none. Sink: none.

Covered: `dateutil.parser.parse`, `isoparse`, and the methods of `parser` and `isoparser`: the date or
time comes back in a `TaintedProxy`, which is a `datetime` for `isinstance`; the tokens of
`fuzzy_with_tokens` are labelled too. `relativedelta` and date arithmetic keep the labels by themselves.
The text's labels go on the whole date.

Not covered: names imported before `install()` (`from dateutil.parser import parse`); `rrulestr` and time
zones, which are rules and not data of a person.

    import taint
    taint.install(integrations=["dateutil"])
    import dateutil.parser
    born = taint.label("1980-02-29", purpose="security.account_recovery")
    date = dateutil.parser.parse(born)
    taint.labels_of(date.strftime("%d %B"))                 # Labels of the text
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from taint.carriers.proxy import carry
from taint.integrations.base import Integration
from taint.integrations.calls import labels_given, plain_call
from taint.propagation.patches import Patch

__all__ = ["DateutilIntegration"]


class DateutilIntegration(Integration):
    """Keeps labels through the parsing of dates."""

    identifier = "dateutil"
    requires = ("python-dateutil>=2.8",)
    waits_for = "dateutil.parser"

    def _install(self) -> None:
        import dateutil.parser

        # Python functions, since 2.7; the library has no events. The module's `isoparse` is a bound method.
        owner = dateutil.parser
        self._wrap((Patch(owner, "parse", _labelled), Patch(owner, "isoparse", _labelled)))
        self._wrap((Patch(owner.parser, "parse", _labelled),))
        names = ("isoparse", "parse_isodate", "parse_isotime")
        self._wrap(Patch(owner.isoparser, name, _labelled) for name in names)


def _labelled(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return carry(plain_call(wrapped, args, kwargs), labels_given(args, kwargs))
