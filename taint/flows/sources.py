"""Sources: the functions where personal data enters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from taint.carriers import observation
from taint.carriers.values import apply_labels, collected, labels_of
from taint.errors import ConfigurationError
from taint.flows.calls import LAZY, Around, Bound, Parameters, around_calls, by_name, function_name
from taint.flows.declared import SOURCES, declare
from taint.guard import shown
from taint.purposes import category_key, purpose_keys

__all__ = ["source"]

F = TypeVar("F")


@by_name("@taint.source(purpose='security.mfa')")
def source(
    *,
    purpose: str | Iterable[str] | None = None,
    category: str | None = None,
    arguments: Sequence[str] = (),
    subject: str | None = None,
    name: str | None = None,
) -> Callable[[F], F]:
    """Label what a function returns, or what it receives, with the purpose it is collected for.

    Labels: joined to those that the values have, deep in containers, as `label` does; of a generator, and of
    `map`, `filter` and their like that the function returns, on every item. The label keeps the span that is
    current in the call. In a zone, what is loaded is used for the zone's purpose: where the labels do not allow
    that, it is a violation (evidence `comparison`).

    Args:
        purpose: One key such as `security.mfa`, or several; that of the `zone(..., collects=True)` around the call
            by default.
        category: The kind of data, a fideslang key such as `user.contact.phone_number`.
        arguments: Names of parameters: these are labelled as the body receives them, and the result is not.
        subject: The name of the parameter that says whose data it is, such as `user_id`.
        name: What findings name; the function's dotted name by default.

    Raises:
        ConfigurationError: A purpose or category is not a key, a parameter does not exist, or it stands on
            something that is not a function.
    """
    if isinstance(arguments, str):
        raise ConfigurationError(
            f"arguments is one text: {shown(arguments)!r}. It is a list of names of parameters. "
            f"Write arguments=[{shown(arguments)!r}]."
        )
    purposes = None if purpose is None else purpose_keys(purpose)
    kind = None if category is None else category_key(category)

    def decorate(function: F) -> F:
        source_name = name or function_name(function)
        declare(SOURCES, source_name, function)
        _check_parameters(function, (*arguments, *((subject,) if subject else ())), source_name)

        def labelled(value: Any, bound: Bound) -> Any:
            if isinstance(value, LAZY):
                return (labelled(item, bound) for item in value)
            SOURCES.reached.add(source_name)
            who = None if subject is None else bound.get(subject)
            labels = collected(purposes, category=kind, subject=who, source=source_name)
            return apply_labels(value, labels, is_source=True, objects=True)

        def loaded(value: Any, bound: Bound) -> Any:
            result = labelled(value, bound)
            if observation.active:
                observation.observe(labels_of(result), "load")
            return result

        def label_arguments(bound: Bound) -> None:
            bound.args = tuple(
                labelled(value, bound) if bound.name_at(index) in arguments else value
                for index, value in enumerate(bound.args)
            )
            bound.kwargs = {
                key: labelled(value, bound) if key in arguments else value for key, value in bound.kwargs.items()
            }

        around = Around(before=label_arguments) if arguments else Around(after=loaded)
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
