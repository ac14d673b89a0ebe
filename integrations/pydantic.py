"""Pydantic: labels on what a model is made of are on its fields, and on what it gives out again.

Source: a field annotated with `taint.Collected`, which needs no integration. Sink: none.

Covered: `Model(...)`, `model_validate`, `TypeAdapter.validate_python`: a labelled value that pydantic
copies, converts or refuses in a carrier (every `str` field makes an exact `str`) is labelled again on the
field it went to, through nested models, lists, dicts and aliases; where it cannot be told which, on all
that was made of it. `model_dump`, `model_copy` and nested models keep labels by themselves; what pydantic refuses to
write, or warns of, because it is a carrier (numbers and dates) is written as the plain value: a dump that fails or
warns is done once more. With
`PydanticIntegration(documents=True)`, `model_dump_json`, `TypeAdapter.dump_json`, `model_validate_json`
and `TypeAdapter.validate_json` keep which part of the JSON document is labelled; field serialisers run
a second time then, where there are labels.

Not covered: a field that a model validator makes of others; `model_dump(mode="json")`, which writes
exact texts; assignments, which pydantic takes as they are, unless they are validated; `RootModel` and
pydantic's dataclasses made by their constructors; `pydantic_core.to_json` of labelled numbers and dates.

    import taint
    taint.install(integrations=["pydantic"])
    import pydantic
    User = pydantic.create_model("User", phone=str)
    user = User(phone=taint.label("+14155550100", purpose="security.mfa"))
    taint.labels_of(user.model_dump()["phone"])             # Labels of the phone
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from taint.carriers.containers import is_atomic, map_leaves
from taint.carriers.proxy import TaintedProxy, bare, is_carrier
from taint.carriers.text import TaintedStr
from taint.carriers.values import apply_labels, carriers_in, labels_of
from taint.integrations.base import Integration
from taint.integrations.calls import derived
from taint.labels import Labels
from taint.propagation.follow import LEAVES, is_built_in
from taint.propagation.json_tree import label_json_values, labelled_json
from taint.propagation.pairing import detached
from taint.propagation.patches import Patch, Standing

__all__ = ["PydanticIntegration"]


class PydanticIntegration(Integration):
    """Keeps labels through validation, and through JSON documents on request.

    Args:
        documents: Follow labels into and out of JSON documents too.
    """

    identifier = "pydantic"
    requires = ("pydantic>=2.7",)

    def __init__(self, *, documents: bool = False) -> None:
        super().__init__()
        self.documents = documents

    def _install(self) -> None:
        import pydantic

        # Python methods around the compiled validator, the same since 2.0. A plugin, pydantic's own event, is
        # asked when a class is made only, which is too late for those that exist.
        model, adapter = pydantic.BaseModel, pydantic.TypeAdapter
        self._wrap(
            (
                Patch(model, "__init__", _init),
                Patch(model, "model_validate", Standing(_validate, _validating)),
                Patch(adapter, "validate_python", Standing(_validate, _validating_fields)),
                Patch(model, "model_dump", Standing(_dump_model, _dumping)),
                Patch(adapter, "dump_python", Standing(_dump_value, _dumping)),
            )
        )
        if not self.documents:
            self._wrap(
                (
                    Patch(model, "model_dump_json", Standing(_dump_model, _dumping)),
                    Patch(adapter, "dump_json", Standing(_dump_value, _dumping)),
                )
            )
        else:
            self._wrap(
                (
                    Patch(model, "model_dump_json", _document_of_model),
                    Patch(adapter, "dump_json", _document_of_value),
                    Patch(model, "model_validate_json", _validate_json),
                    Patch(adapter, "validate_json", _validate_json),
                )
            )


def _init(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if is_built_in(kwargs):
        wrapped(*args, **kwargs)
        return
    made = detached(kwargs)
    wrapped(*args, **made.value)
    if made.labels:
        _relabelled(instance, kwargs)


def _validating(native: Callable[..., Any], concerned: Callable[..., Any]) -> Callable[..., Any]:
    def validate(*args: Any, **kwargs: Any) -> Any:
        is_native = len(args) > 1 and (type(args[1]) in LEAVES or is_built_in(args[1]))
        return native(*args, **kwargs) if is_native else concerned(*args, **kwargs)

    return validate


def _validating_fields(native: Callable[..., Any], concerned: Callable[..., Any]) -> Callable[..., Any]:
    # As FastAPI asks for each parameter, and for each answer.
    def validate(adapter: Any, given: Any, /, *, from_attributes: bool | None = None, **kwargs: Any) -> Any:
        is_native = type(given) in LEAVES or is_built_in(given)
        if kwargs or not is_native:
            validated = native if is_native else concerned
            return validated(adapter, given, from_attributes=from_attributes, **kwargs)
        return native(adapter, given, from_attributes=from_attributes)

    return validate


def _validate(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if not args:
        return wrapped(*args, **kwargs)
    made = detached(args[0])
    value = wrapped(made.value, *args[1:], **kwargs)
    if value is made.value:  # Nothing was asked of it: `Any`.
        return args[0]
    # What has labels in attributes is read by pydantic where the call or the model's configuration says so.
    return _relabelled(value, args[0]) if made.labels or labels_of(args[0]) else value


def _relabelled(value: Any, given: Any) -> Any:
    """Label what was validated with the labels of what it was made from.

    Args:
        value: As pydantic made it: models, lists and dicts are its own, and labelled in place.
        given: What it was made from.
    """
    if type(given) is TaintedStr and type(value) is str:
        return given if str.__eq__(value, given) else derived(value, given)
    if value is given or is_atomic(given):
        return value
    if is_carrier(given):
        return derived(value, given) if isinstance(value, str | bytes) else _all(value, labels_of(given))
    fields = getattr(type(value), "__pydantic_fields__", None)
    if fields is not None:
        return _relabelled_model(value, fields, given)
    return _relabelled_items(value, given)


def _relabelled_items(value: Any, given: Any) -> Any:
    if isinstance(value, list | tuple) and isinstance(given, list | tuple) and len(value) == len(given):
        items = map(_relabelled, value, given)
        if isinstance(value, tuple):
            return getattr(type(value), "_make", type(value))(items)
        value[:] = items
        return value
    if isinstance(value, dict) and isinstance(given, Mapping) and len(value) == len(given):
        pairs = [
            (key if type(old) is str else _relabelled(key, old), _relabelled(item, was))
            for (key, item), (old, was) in zip(value.items(), given.items(), strict=True)
        ]
        value.clear()
        value.update(pairs)
        return value
    return _all(value, labels_of(given))


def _all(value: Any, labels: Labels) -> Any:
    # A truth value or an enum member is a kind, told apart by identity.
    return apply_labels(value, labels) if labels and not isinstance(value, bool) else value


def _relabelled_model(model: Any, fields: Mapping[str, Any], given: Any) -> Any:
    values = vars(model)
    extra = getattr(model, "__pydantic_extra__", None) or {}
    wanted = {name: _keys(name, field) for name, field in fields.items()}
    left = dict(given) if isinstance(given, Mapping) else _attributes(given, itertools.chain(*wanted.values()))
    for name, keys in wanted.items():
        for key in keys:
            if key in left:
                values[name] = _relabelled(values[name], left.pop(key))
                break
    for key in [key for key in left if key in extra]:
        extra[key] = _relabelled(extra[key], left.pop(key))
    if _has_paths(fields.values()):  # Which field a value went to cannot be told.
        labels = labels_of(left if isinstance(given, Mapping) else given)
        for name, value in values.items():
            values[name] = _all(value, labels)
    return model


def _attributes(value: Any, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(value, name) for name in names if hasattr(value, name)}


def _keys(name: str, field: Any) -> tuple[str, ...]:
    """Give what a field may be called in what a model is made of: its aliases, then its name."""
    alias = field.validation_alias
    if alias is None and field.alias is None:
        return (name,)
    choices = getattr(alias, "choices", (alias,))
    return (
        *(choice for choice in choices if isinstance(choice, str)),
        *((field.alias,) if field.alias else ()),
        name,
    )


def _has_paths(fields: Iterable[Any]) -> bool:
    aliases = [alias for field in fields if (alias := field.validation_alias) is not None]
    choices = itertools.chain(*(getattr(alias, "choices", (alias,)) for alias in aliases))
    return not all(isinstance(choice, str) for choice in choices)


def _dumping(native: Callable[..., Any], concerned: Callable[..., Any]) -> Callable[..., Any]:
    from pydantic_core import PydanticSerializationError

    def dump(*args: Any, **kwargs: Any) -> Any:
        is_warning = kwargs.get("warnings", True) in (True, "warn")
        try:
            return native(*args, **(kwargs | {"warnings": "error"} if is_warning else kwargs))
        except PydanticSerializationError:  # Of a carrier, or one that the program is to have, as a warning or raised.
            return concerned(*args, **kwargs)

    return dump


def _dump_model(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    def dump(value: Any, **options: Any) -> Any:
        return wrapped.__func__(value, *args, **options)  # type: ignore[attr-defined]  # A method.

    return _dumped(dump, instance, kwargs)


def _dump_value(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return _dumped(wrapped, args[0], kwargs) if args else wrapped(**kwargs)


def _dumped(dump: Callable[..., Any], value: Any, kwargs: dict[str, Any]) -> Any:
    """Dump what pydantic refused: it takes numbers and dates of the exact type only."""
    twin = _twin(value)
    if twin is value:
        return dump(value, **kwargs)
    dumped = dump(twin, **kwargs)  # With each warning that the program is to have.
    if isinstance(dumped, str | bytes) or kwargs.get("mode", "python") != "python":
        return dumped
    return dump(value, **(kwargs | {"warnings": False}))


def _twin(value: Any) -> Any:
    """Give a copy without carriers; the value itself where none of it is one that pydantic refuses."""
    if not any(type(carrier) is TaintedProxy for _, carrier in carriers_in(value)):
        return value
    return map_leaves(copy.deepcopy(value), bare, objects=True)  # Others hold the value.


def _document_of_model(
    wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    if not labels_of(instance):
        return wrapped(*args, **kwargs)
    document = _dump_model(wrapped, instance, args, kwargs)
    shape = {name: value for name, value in kwargs.items() if name not in ("indent", "ensure_ascii")}
    return labelled_json(document, detached(instance.model_dump(*args, **shape)))


def _document_of_value(
    wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    if not args or not labels_of(args[0]):
        return wrapped(*args, **kwargs)
    document = _dump_value(wrapped, instance, args, kwargs)
    shape = {name: value for name, value in kwargs.items() if name not in ("indent", "ensure_ascii")}
    return labelled_json(document, detached(instance.dump_python(*args, **shape)))


def _validate_json(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if not args or not is_carrier(args[0]):
        return wrapped(*args, **kwargs)
    import pydantic_core

    plain = bare(args[0])
    value = wrapped(plain, *args[1:], **kwargs)
    # The model's shape is not the document's: the document is read once more, labelled, and laid beside it.
    return _relabelled(value, label_json_values(pydantic_core.from_json(plain), args[0]))
