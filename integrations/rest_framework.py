"""Django REST framework: what a request's body and a serializer give is labelled.

Source: what the integration `django` collects of a request's fields, where a view reads `request.data`; a body that
came with an envelope, where `taint.envelopes` has its middleware; a serializer's field whose annotation says so:
`phone: Annotated[str, taint.Collected("security.mfa")] = CharField()`.
Sink: none. A response goes to whoever asked.

Covered: JSON (each leaf by its name), forms and files, whatever parser reads them; serializers, nested ones and lists
of them, after their fields' validation and before their own `validate`. Everything else is the integration `django`.

Not covered: `request.stream`; fields that a serializer makes of a model, which have no annotation: there the model's
columns and the request's fields say what is collected.

    import taint
    taint.install(integrations=["rest_framework"])
    from django import conf
    conf.settings.configure()
    from rest_framework.serializers import CharField, Serializer
    Enrol = type("Enrol", (Serializer,), {"phone": CharField(), "__annotations__": {"phone": taint.Collected}})
    enrol = Enrol(data={"phone": taint.label("+14155550100", purpose="security.mfa")})
    enrol.is_valid() and taint.labels_of(enrol.validated_data)   # keeps its labels; Annotated[...] gives its own
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from taint.carriers.values import apply_labels
from taint.integrations.base import Integration
from taint.integrations.django_requests import collected_in, label_uploads, labelled_query
from taint.integrations.enveloped import with_labelled_data
from taint.propagation.patches import Patch

__all__ = ["RestFrameworkIntegration"]


class RestFrameworkIntegration(Integration):
    """Labels `request.data` and what serializers validate."""

    identifier = "rest_framework"
    requires = ("djangorestframework>=3.15",)
    waits_for = "rest_framework.request"

    def _install(self) -> None:
        from rest_framework.request import Request
        from rest_framework.serializers import Serializer

        # Since 3.0; a parser is the program's own, and there is no event for what it gives.
        self._wrap((Patch(Request, "_parse", _parsed), Patch(Serializer, "to_internal_value", _validated)))


def _parsed(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    request = instance._request
    collection = getattr(request, "_taint", None)
    if collection is None:
        data, files = wrapped(*args, **kwargs)
        return with_labelled_data(request, data, files, instance.content_type), files
    data, files = request._taint_native(lambda: wrapped(*args, **kwargs))
    data = with_labelled_data(request, data, files, instance.content_type)
    label_uploads(files, collection)
    is_form = hasattr(data, "setlist")
    return labelled_query(data, collection, "form") if is_form else collection.document(data), files


def _validated(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    values = wrapped(*args, **kwargs)
    kind: Any = type(instance)
    for name, annotation in collected_in(kind).items():
        if name in values and (labels := annotation.labels(name)):
            values[name] = apply_labels(values[name], labels, is_source=True)
    return values
