"""Django: fields of requests and forms are labelled, and so is what the ORM loads; queries in zones are decided.

Source: what `collected=`, or the policy's table `[collected]`, says of a request's fields: `GET`, `POST`, `FILES`
(names and contents), `body`, `headers`, `META` (headers and the query string), `COOKIES`, arguments of the view,
`get_full_path()`; a field of a form, or a model's column, whose annotation says so:
`phone: Annotated[str, taint.Collected("security.mfa")] = models.CharField(...)`.
Sink: none of its own. Inside a zone every query is decided before the database is asked (evidence `lineage`).

Covered: WSGI, ASGI and the test client; forms and model forms, after validation; a view under `taint.zone`. ORM and
`connection.cursor()`, each by the query's lineage, with sqlglot; a value's own labels, with a `LabelsField` of
`taint.integrations.django_labels` beside it. A request begins with no zone of another one.

Not covered: `path`, `build_absolute_uri()`, `read()` and the upload handlers' raw chunks; what middleware reads before
the route is known; a value's own labels in a column without a `LabelsField`; a primary key of several columns, for
other types than text and int; `Model.objects.raw` with columns that are renamed by `translations`; database functions
that read a labelled column; views on other databases than SQLite and PostgreSQL.

    import taint
    taint.configure(policy={"collected": {"*": {"phone": {"purpose": "security.mfa"}}}})
    taint.install(integrations=["django"])   # or DjangoIntegration(collected={...}) without a policy
    from django import conf, http, test, urls
    def view(request): return http.HttpResponse(taint.labels_of(request.GET["phone"]).purposes)
    conf.settings.configure(ROOT_URLCONF=(urls.path("", view),), ALLOWED_HOSTS=["*"])
    test.Client().get("/?phone=1").content == b"security.mfa"
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any

from taint.carriers import observation, values
from taint.carriers.proxy import exact, is_carrier
from taint.carriers.values import apply_labels
from taint.evidence.row_labels import set_seal_keys
from taint.flows.handover import clean_state, leave_all
from taint.flows.outcome import look_past
from taint.flows.requests import CollectedFields, Collection, RouteFields, Table
from taint.guard import report_internal_error
from taint.integrations.base import Integration
from taint.integrations.django_queries import declare_model, query_patches
from taint.integrations.django_requests import collected_in, label_request
from taint.integrations.enveloped import django_patches
from taint.propagation.patches import Patch, Swap

__all__ = ["DjangoIntegration"]


class DjangoIntegration(Integration):
    """Labels fields of requests and forms, and what the ORM loads.

    Args:
        collected: Patterns of fields, each with its `taint.Collected`, or routes, each with a table of those; see
            `docs/policy.md`, "Fields of requests". A route is written as in `urlpatterns`, after a slash:
            `POST /enrol/<int:id>/`. The policy's own table holds beside it.
        subject: Gives whose request it is, as an opaque key, from the `HttpRequest`; nobody's by default.
        seal_keys: What values' own labels are signed with, by key id: the first signs, each is accepted. All
            processes that share a database need the same. Without any, a seal finds mistakes and no forgery.

    Raises:
        ConfigurationError: `collected` is not usable as written.
    """

    identifier = "django"
    requires = ("Django>=4.2", "sqlglot>=26")

    def __init__(
        self,
        *,
        collected: Table | None = None,
        subject: Callable[[Any], object] | None = None,
        seal_keys: Mapping[str, bytes] | None = None,
    ) -> None:
        super().__init__()
        self._seal_keys = dict(seal_keys or {})
        self._before: dict[str, bytes] = {}
        self._fields = CollectedFields(collected)
        self._subject = subject

    def _install(self) -> None:
        from django.apps import apps
        from django.core.handlers.base import BaseHandler
        from django.db.models.signals import class_prepared
        from django.forms.forms import BaseForm

        from taint.integrations.django_labels import write_patches

        # Since 1.10. The signal `request_started` is sent before there is a request; middleware would have to be added
        # to the settings. The route is known when it is resolved, before the first view's middleware.
        self._wrap(
            (
                Swap(BaseHandler, "get_response", self._beginning),
                Swap(BaseHandler, "get_response_async", self._beginning_async),
                Swap(BaseHandler, "resolve_request", self._resolving),
                Patch(BaseForm, "_clean_fields", _cleaned),  # Since 1.0: before `clean` of the form, after all fields'.
            )
        )
        look_past("django.db", "django.core.handlers")
        self._wrap(query_patches())
        self._wrap(write_patches())
        if self._seal_keys:
            self._before = set_seal_keys(self._seal_keys)
        self._wrap(django_patches())
        class_prepared.connect(declare_model, weak=False)
        for models in list(apps.all_models.values()):  # Also of applications that are not among the installed ones.
            for model in list(models.values()):
                declare_model(model)

    def _uninstall(self) -> None:
        from django.db.models.signals import class_prepared

        class_prepared.disconnect(declare_model)
        if self._seal_keys:
            set_seal_keys(self._before)

    def _beginning(self, native: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(native)
        def begin(handler: Any, request: Any) -> Any:
            if not self._is_on:  # Somebody has wrapped it, and keeps it.
                return native(handler, request)
            if observation.active or values.collector is not None:
                with clean_state():
                    return _sendable(native(handler, request))
            try:  # As `clean_state`, which is quick only where nothing was ever entered.
                return _sendable(native(handler, request))
            finally:
                leave_all()

        return begin

    def _beginning_async(self, native: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(native)
        async def begin(handler: Any, request: Any) -> Any:
            if not self._is_on:
                return await native(handler, request)
            with clean_state():
                return _sendable(await native(handler, request))

        return begin

    def _resolving(self, native: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(native)
        def resolve(handler: Any, request: Any) -> Any:
            match = native(handler, request)
            if self._is_on:
                try:
                    fields = self._fields.collecting(request.method, f"/{match.route}")
                    if fields is not None and _is_any(request, match, fields):
                        subject = None if self._subject is None else functools.partial(self._subject, request)
                        label_request(request, match, Collection(fields, subject))
                except Exception as error:  # noqa: BLE001  # A request must not fail because of the library.
                    report_internal_error("labelling a request", error)
            return match

        return resolve


def _is_any(request: Any, match: Any, fields: RouteFields) -> bool:
    """Tell whether a request may have anything that is collected; of one over ASGI's HTTP/2 its body is not known."""
    names = (*match.kwargs, *map(str, range(len(match.args))))
    version = "1" if (scope := getattr(request, "scope", None)) is None else scope.get("http_version", "")
    return not version.startswith("1") or fields.is_any_in(request.META, names)


_EXACT = frozenset((str,))
_value = operator.itemgetter(1)


def _sendable(response: Any) -> Any:
    # Servers may refuse what is not an exact text (PEP 3333, "native strings"). `items()` looks for each by its name.
    if not _EXACT.issuperset(map(type, map(_value, response.headers._store.values()))):
        for name, value in list(response.items()):
            if is_carrier(value):
                response.headers[name] = exact(value)
    return response


def _cleaned(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    result = wrapped(*args, **kwargs)
    cleaned: dict[str, Any] | None = getattr(instance, "cleaned_data", None)
    kind: Any = type(instance)
    for name, annotation in collected_in(kind).items():
        if cleaned and name in cleaned:
            labels = annotation.labels(name)
            if labels:
                cleaned[name] = apply_labels(cleaned[name], labels, is_source=True)
    return result
