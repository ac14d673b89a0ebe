"""A value's own labels in Django's models: a field that keeps those of another one, written with it and read with it.

For a column that holds data of several purposes, such as numbers given for security and numbers given for marketing:

    class Person(models.Model):
        phone = models.CharField(max_length=40)
        phone_labels = LabelsField(of="phone")

Labels: of each value, written by the statement that writes the value, by `save`, `create`, `bulk_create`, `update` and
`bulk_update`; on it again when both columns are read. What an expression of SQL gives, and what SQL text writes, has no
labels that Django knows: that is a gap when it is written, and found by the seal when it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.db import models

from taint.carriers.values import labels_of
from taint.evidence.row_labels import sealed
from taint.propagation.patches import Patch

__all__ = ["LabelsField", "companions_of", "write_patches"]


class LabelsField(models.TextField):  # type: ignore[misc]  # Django is untyped.
    """A column that keeps the labels of another field's values.

    Args:
        of: The name of the other field, in the same model.
    """

    description = "Labels of the values of %(of)s"

    def __init__(self, *args: Any, of: str, **kwargs: Any) -> None:
        """See the class."""
        self.of = of
        super().__init__(*args, **{"null": True, "blank": True, "editable": False, **kwargs})

    def deconstruct(self) -> tuple[Any, ...]:
        """Say how it is made again, in a migration."""
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {**kwargs, "of": self.of}

    def pre_save(self, model_instance: Any, add: bool) -> Any:  # noqa: ARG002, FBT001  # Django's signature.
        """Give what is written: the labels that the other field's value has now."""
        value = getattr(model_instance, self.of)
        if hasattr(value, "resolve_expression"):
            return getattr(model_instance, self.attname)  # Which the seal finds not to belong to what comes of it.
        written = sealed(labels_of(value), value)
        setattr(model_instance, self.attname, written)
        return written


def companions_of(model: Any) -> dict[str, LabelsField]:
    """Find the fields that keep others' labels, by the name of the other."""
    return {field.of: field for field in model._meta.concrete_fields if isinstance(field, LabelsField)}


def write_patches() -> Iterator[Patch]:
    """Give what to wrap so that the labels are written wherever Django writes some fields and not all."""
    from django.db.models.query import QuerySet
    from django.db.models.sql.subqueries import UpdateQuery

    yield Patch(models.Model, "save_base", _save)
    yield Patch(QuerySet, "bulk_create", _create_many)
    yield Patch(QuerySet, "bulk_update", _update_many)
    yield Patch(UpdateQuery, "add_update_fields", _update)


def _with_companions(model: Any, names: Iterable[str] | None) -> Any:
    if names is None:
        return None
    wanted = list(names)
    return [
        *wanted,
        *(field.name for of, field in companions_of(model).items() if of in wanted and field.name not in wanted),
    ]


def _save(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if kwargs.get("update_fields"):
        kwargs = {**kwargs, "update_fields": frozenset(_with_companions(type(instance), kwargs["update_fields"]))}
    return wrapped(*args, **kwargs)


def _create_many(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if kwargs.get("update_fields"):
        kwargs = {**kwargs, "update_fields": _with_companions(instance.model, kwargs["update_fields"])}
    return wrapped(*args, **kwargs)


def _update_many(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    companions = companions_of(instance.model)
    if not companions:
        return wrapped(*args, **kwargs)
    objects, names, *rest = (*args, *(kwargs.pop(name) for name in ("objs", "fields")[len(args) :]))
    objects, names = tuple(objects), list(names)
    for of in set(companions) & set(names):
        for one in objects:
            companions[of].pre_save(one, add=False)
    return wrapped(objects, _with_companions(instance.model, names), *rest, **kwargs)


def _update(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    (triples,) = (*args, *kwargs.values())
    written = list(triples)
    given = {field.name for field, _, _ in written}
    for field, model, value in list(written):
        companion = companions_of(field.model).get(field.name)
        if companion is not None and companion.name not in given and not hasattr(value, "resolve_expression"):
            written.append((companion, model, sealed(labels_of(value), value)))
    return wrapped(written)
