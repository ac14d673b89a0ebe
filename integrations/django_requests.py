"""Django's requests: a class of requests whose fields are labelled, in the place of the native one."""

from __future__ import annotations

import copyreg
import functools
import typing
from collections.abc import Mapping
from typing import Any

from taint.carriers.proxy import exact
from taint.carriers.values import apply_labels
from taint.flows.collected import Collected
from taint.flows.requests import Collection
from taint.flows.uploads import labelled_file
from taint.guard import report_internal_error
from taint.integrations.reading import ReadsPlain

__all__ = ["collected_in", "label_request", "label_uploads", "labelled_query"]


def label_request(request: Any, match: Any, collection: Collection) -> None:
    """Have a request give labelled fields from here on."""
    places, own = collection.fields.places, vars(request)
    for name in ("GET", "COOKIES", "headers"):
        own.pop(name, None)  # They are made anew when they are asked for.
    kind: Any = type(request)
    request.__class__ = _labelling(kind)
    request._taint = collection
    if "header" in places or "query" in places:
        request.META = {name: _labelled_meta(name, value, collection) for name, value in request.META.items()}
    if "path" in places:
        match.kwargs = {name: collection.value(value, "path", name) for name, value in match.kwargs.items()}
        match.args = tuple(collection.value(value, "path", str(at)) for at, value in enumerate(match.args))
    if "_post" in own:  # Read already, by middleware.
        _label_form(request)


def _labelled_meta(name: str, value: Any, collection: Collection) -> Any:
    if type(value) is not str:
        return value
    if name.startswith("HTTP_"):
        return collection.value(value, "header", name.removeprefix("HTTP_").replace("_", "-").lower())
    return apply_labels(value, collection.whole("query")) if name == "QUERY_STRING" and value else value


def _label_form(request: Any) -> None:
    own, collection = vars(request), request._taint
    own["_post"] = labelled_query(own["_post"], collection, "form")
    label_uploads(own["_files"], collection)


def label_uploads(files: Any, collection: Collection) -> None:
    """Label the names and contents of uploaded files, in place."""
    for name, uploads in files.lists() if "file" in collection.fields.places else ():
        labels = collection.labels("file", name)
        for upload in uploads:
            if labels:
                upload._name = collection.value(upload.name, "file", name)
                upload.file = labelled_file(upload.file, labels)


def labelled_query(query: Any, collection: Collection, place: str) -> Any:
    """Give a `QueryDict` with its values labelled as a request's fields."""
    if place not in collection.fields.places:
        return query
    labelled = query.copy()
    for name, values in query.lists():
        # Of a form the labels of an envelope stay; those of a query are of all of it.
        own = values if place == "form" else map(exact, values)
        labelled.setlist(name, [collection.value(value, place, name) for value in own])
    labelled._mutable = query._mutable
    return labelled


@functools.cache
def _labelling(kind: Any) -> Any:
    """Give a class of requests whose fields are labelled."""
    from django.utils.functional import cached_property

    class Labelled(ReadsPlain, kind):  # type: ignore[misc]  # WSGIRequest, ASGIRequest, or a class of somebody's own.
        _taint: Collection

        def __reduce_ex__(self, _protocol: Any) -> Any:
            state: Any = self.__getstate__()
            state = {name: value for name, value in state.items() if not name.startswith("_taint")}
            return copyreg.__newobj__, (kind,), state  # type: ignore[attr-defined]  # As `object.__reduce_ex__` does.

        @cached_property  # type: ignore[untyped-decorator]  # Django is untyped.
        def GET(self) -> Any:  # noqa: N802  # Django's name.
            return labelled_query(super().GET, self._taint, "query")

        @cached_property  # type: ignore[untyped-decorator]  # Django is untyped.
        def COOKIES(self) -> Any:  # noqa: N802  # Django's name.
            return {name: self._taint.value(value, "cookie", name) for name, value in super().COOKIES.items()}

        @property
        def body(self) -> Any:
            data = super().body
            return data if self._taint_reads else self._taint.body(data, self.content_type)

        def _load_post_and_files(self) -> None:
            self._taint_native(super()._load_post_and_files)
            _label_form(self)

        def get_full_path(self, *args: Any, **kwargs: Any) -> Any:
            text = super().get_full_path(*args, **kwargs)
            labels = self._taint.whole("path", "query")
            return apply_labels(exact(text), labels) if labels else text

    Labelled.__name__, Labelled.__qualname__ = kind.__name__, kind.__qualname__
    Labelled.__module__, Labelled.__doc__ = kind.__module__, kind.__doc__
    return Labelled


@functools.lru_cache(maxsize=1024)
def collected_in(form: Any) -> Mapping[str, Collected]:
    """Find the fields of a form whose annotation says what they are collected for."""
    try:
        hints = typing.get_type_hints(form, include_extras=True)
    except Exception as error:  # noqa: BLE001  # An annotation that cannot be resolved; the program never asked for it.
        report_internal_error("reading the annotations of a form", error)
        return {}
    return {
        name: part
        for name, hint in hints.items()
        for part in getattr(hint, "__metadata__", ())
        if isinstance(part, Collected)
    }
