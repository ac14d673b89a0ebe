"""phonenumbers: a number that is parsed from a labelled text is labelled, and so is every way to write it.

Source: none. Sink: none.

Covered: `parse` gives a `PhoneNumber` in a `TaintedProxy` (a `PhoneNumber` for `isinstance`), whose
attributes are labelled; all functions of the package take it and label what they derive from it:
`format_number` and its kin, `normalize_digits_only`, `national_significant_number`,
`region_code_for_number`, `example` functions excepted. `PhoneNumberMatcher` labels a match with the
labels of the part of the text in which it was found. A question that is answered by yes or no, or by a
kind, is not labelled. The labels of the text go on the whole number.

Not covered: names imported before `install()`; `AsYouTypeFormatter`; the `geocoder`, `carrier` and
`timezone` modules, which work but give plain text; `parse(..., numobj=...)`, which writes into an
object of the caller's.

    import taint
    taint.install(integrations=["phonenumbers"])
    import phonenumbers
    text = taint.label("+1 415 555 0100", purpose="security.mfa")
    number = phonenumbers.parse(text)
    taint.labels_of(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))   # Labels of the text
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from taint.carriers.operations import coverage_of
from taint.carriers.proxy import TaintedProxy, carry
from taint.carriers.values import labels_of
from taint.integrations.base import Integration
from taint.integrations.calls import labels_given, plain_call
from taint.labels import Labels
from taint.propagation.patches import Patch

__all__ = ["PhonenumbersIntegration"]

_DERIVING = (
    *("convert_alpha_characters_in_number", "format_by_pattern", "format_in_original_format", "format_number"),
    *("format_national_number_with_carrier_code", "format_national_number_with_preferred_carrier_code"),
    *("format_number_for_mobile_dialing", "format_out_of_country_calling_number"),
    *("format_out_of_country_keeping_alpha_chars", "national_significant_number", "normalize_digits_only"),
    *("normalize_diallable_chars_only", "parse", "region_code_for_number"),
)
_ASKING = (
    *("can_be_internationally_dialled", "is_alpha_number", "is_number_geographical", "is_number_match"),
    *("is_possible_number", "is_possible_number_for_type", "is_possible_number_for_type_with_reason"),
    *("is_possible_number_string", "is_possible_number_with_reason", "is_valid_number"),
    *("is_valid_number_for_region", "length_of_geographical_area_code", "length_of_national_destination_code"),
    *("number_type", "truncate_too_long_number"),
)


class PhonenumbersIntegration(Integration):
    """Keeps labels through parsing, finding and formatting phone numbers."""

    identifier = "phonenumbers"
    requires = ("phonenumbers>=8.12",)

    def _install(self) -> None:
        import phonenumbers

        # Python functions of the package, since 8; those inside its modules call each other natively. No events.
        self._wrap(Patch(phonenumbers, name, _deriving) for name in _DERIVING)
        self._wrap(Patch(phonenumbers, name, _asking) for name in _ASKING)
        matcher = phonenumbers.PhoneNumberMatcher
        self._wrap((Patch(matcher, "__init__", _begin), Patch(matcher, "next", _next)))


def _deriving(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return _labelled(plain_call(wrapped, args, kwargs), labels_given(args, kwargs))


def _labelled(value: Any, labels: Labels) -> Any:
    import phonenumbers

    if labels and isinstance(value, phonenumbers.PhoneNumber):
        return TaintedProxy(value, labels)
    return carry(value, labels)


def _asking(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return plain_call(wrapped, args, kwargs)


def _begin(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    plain_call(wrapped, args, kwargs)
    text = args[0] if args else kwargs.get("text")
    if coverage_of(text) is not None:
        instance._taint_text = text


def _next(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    match = wrapped(*args, **kwargs)
    text = getattr(instance, "_taint_text", None)
    if text is not None:
        match.raw_string = text[match.start : match.end]
        match.number = _labelled(match.number, labels_of(match.raw_string))
    return match
