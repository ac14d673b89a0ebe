"""Sources: the functions where personal data enters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from taint.carriers.values import apply_labels, collected
from taint.errors import ConfigurationError
from taint.flows.calls import Around, Bound, Parameters, around_calls, function_name
from taint.flows.declared import SOURCES, declare
from taint.purposes import purpose_keys

__all__ = ["source"]

F = TypeVar("F")


def source(
    *,
    purpose: str | Iterable[str],
    category: str | None = None,
    arguments: Sequence[str] = (),
    subject: str | None = None,
    name: str | None = None,
) -> Callable[[F], F]:
    """Label what a function returns, or what it receives, with the purpose it is collected for.

    Labels: joined to those that the values have, deep in containers, as `label` does; of a generator,
    on every item. The label keeps the span that is current in the call.

    Args:
        purpose: One key such as `security.mfa`, or several.
        category: The kind of data, a fideslang key such as `user.contact.phone_number`.
        arguments: Names of parameters: these are labelled as the body receives them, and the result is not.
        subject: The name of the parameter that says whose data it is, such as `user_id`.
        name: What findings name; the function's dotted name by default.

    Raises:
        ConfigurationError: A purpose is not a key, a parameter does not exist, or it stands on something that
            is not a function.
    """
    purposes = purpose_keys(purpose)

    def decorate(function: F) -> F:
        source_name = name or function_name(function)
        declare(SOURCES, source_name, function)
        _check_parameters(function, (*arguments, *((subject,) if subject else ())), source_name)

        def labelled(value: Any, bound: Bound) -> Any:
            SOURCES.reached.add(source_name)
            who = None if subject is None else bound.get(subject)
            return apply_labels(value, collected(purposes, category=category, subject=who, source=source_name))

        def label_arguments(bound: Bound) -> None:
            bound.args = tuple(
                labelled(value, bound) if bound.name_at(index) in arguments else value
                for index, value in enumerate(bound.args)
            )
            bound.kwargs = {
                key: labelled(value, bound) if key in arguments else value for key, value in bound.kwargs.items()
            }

        around = Around(before=label_arguments) if arguments else Around(after=labelled)
        return around_calls(function, around, decorator="source")

    return decorate


def _check_parameters(function: object, names: Iterable[str], source_name: str) -> None:
    inner: Any = getattr(function, "__func__", function)
    if not callable(inner):
        return  # Said by `around_calls`, for every decorator.
    parameters = Parameters.of(inner)
    for name in names:
        if name not in parameters.named:
            known = ", ".join(repr(one) for one in sorted(parameters.named)) or "none"
            raise ConfigurationError(
                f"source {source_name!r} has no parameter {name!r}. Its parameters are {known}. Name one of these."
            )
