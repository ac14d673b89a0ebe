"""`Collected`: the label of a field, written where the field is declared.

    class Enrolment(pydantic.BaseModel):
        phone: Annotated[str, taint.Collected("security.mfa", category="user.contact.phone_number")]

pydantic asks the annotation for its schema, so that every validated value is labelled; dataclasses and
attrs classes have no such question, and are decorated with `taint.collects`.
"""

from __future__ import annotations

import functools
import sys
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from taint.carriers.proxy import TaintedProxy, carry
from taint.carriers.values import apply_labels, collected, labels_of
from taint.errors import ConfigurationError
from taint.labels import NO_LABELS, Labels
from taint.modes import is_off
from taint.purposes import purpose_keys

__all__ = ["Collected", "collects"]

C = TypeVar("C", bound=type)


@dataclass(frozen=True, slots=True)
class Collected:
    """Say, in an `Annotated` type, for which purpose a field's values are collected.

    Labels: put on each value after it was validated (pydantic) or set by `__init__` (`collects`). The
    source is the class and field where the annotation stands.

    Args:
        purpose: One key such as `security.mfa`, or several.
        category: The kind of data, a fideslang key such as `user.contact.phone_number`.
        source: Where the value enters; the class, or module, that the annotation stands in by default.

    Raises:
        ConfigurationError: The purpose is not usable as written.
    """

    purpose: str | Iterable[str]
    category: str | None = None
    source: str | None = None

    def __post_init__(self) -> None:
        """Check the purpose, and find out where the annotation stands."""
        object.__setattr__(self, "purpose", purpose_keys(self.purpose))
        if self.source is None:
            # Over the generated __init__ to the class body or module.
            caller = sys._getframe(2)  # noqa: SLF001  # As for `label`: there is no quicker way.
            where = caller.f_code.co_qualname
            module = caller.f_globals.get("__name__", "?")
            object.__setattr__(self, "source", module if where == "<module>" else f"{module}.{where}")

    def labels(self, field: str | None = None) -> Labels:
        """Give the labels for a value of a field that is collected now; none in mode `off`."""
        if is_off():
            return NO_LABELS
        source = self.source if field is None else f"{self.source}.{field}"
        return collected(self.purpose, category=self.category, source=source)

    def __get_pydantic_core_schema__(self, annotated: Any, handler: Callable[[Any], Any]) -> Any:
        """Answer pydantic: label after validation, and serialise as the plain value."""
        from pydantic_core import core_schema  # noqa: PLC0415  # pydantic is here, since it asks.

        def label(value: Any, validate: Callable[[Any], Any], info: Any) -> Any:
            labels = self.labels(info.field_name)
            if type(value) is TaintedProxy:
                labels |= labels_of(value)
                value = value.__wrapped__
            validated = validate(value)
            return apply_labels(validated, labels) if labels else validated

        # pydantic-core takes and writes exact numbers and dates only: it is given the plain value both ways.
        return core_schema.with_info_wrap_validator_function(
            label,
            handler(annotated),
            serialization=core_schema.wrap_serializer_function_ser_schema(_serialized, info_arg=True),
        )


def _serialized(value: Any, handler: Callable[[Any], Any], info: Any) -> Any:
    if type(value) is not TaintedProxy:
        return handler(value)
    written = handler(value.__wrapped__)
    if info.mode_is_json() and not isinstance(written, str):
        return written
    return carry(written, labels_of(value))


def collects(cls: C) -> C:
    """Label the `Collected` fields of a dataclass or attrs class when an instance is made.

    Labels: those of the annotations, on what `__init__` has set. A field that is set later has the
    labels of what it is set to.

    Args:
        cls: The class; put the decorator above `@dataclass` or `@attrs.define`. A subclass that is made
            by one of those has an `__init__` of its own, and is decorated too.

    Raises:
        ConfigurationError: The class is neither, or none of its fields is `Collected`.
    """
    if not hasattr(cls, "__dataclass_fields__") and not hasattr(cls, "__attrs_attrs__"):
        raise ConfigurationError(
            f"collects() has nothing to do on {cls.__qualname__!r}. It is for dataclasses and attrs classes. "
            "Put it above @dataclass or @attrs.define; a pydantic model needs the annotation only."
        )
    native: Callable[..., None] = vars(cls).get("__init__", cls.__init__)  # type: ignore[misc]  # Of the class.
    fields: dict[str, Collected] | None = None

    @functools.wraps(native)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807  # It takes the place of that one.
        nonlocal fields
        native(self, *args, **kwargs)
        if fields is None:
            fields = _fields(cls)
        for name, annotation in fields.items():
            value = getattr(self, name, None)
            labels = annotation.labels(name)
            labelled = apply_labels(value, labels) if labels else value
            if labelled is not value:
                object.__setattr__(self, name, labelled)

    cls.__init__ = __init__  # type: ignore[misc]  # As above.
    return cls


def _fields(cls: type) -> dict[str, Collected]:
    """Find the fields with the annotation, once their types can be resolved."""
    found = {}
    for name, hint in typing.get_type_hints(cls, include_extras=True).items():
        for part in getattr(hint, "__metadata__", ()):
            if isinstance(part, Collected):
                found[name] = part
    if not found:
        raise ConfigurationError(
            f"collects() has nothing to do on {cls.__qualname__!r}: no field of it is annotated. "
            "A field is Annotated[str, taint.Collected('security.mfa')]. Annotate one, or leave the decorator out."
        )
    return found
