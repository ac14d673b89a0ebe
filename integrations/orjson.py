"""orjson: a document keeps which part of it is labelled, and gives it back when it is loaded.

Source: none. Sink: none.

Covered: `dumps` gives bytes that are labelled where the labelled values stand, escapes, sorted keys,
dataclasses and `default=` included; labelled keys, which orjson refuses in a subclass of `str`, and
labelled dates, UUIDs and numbers are written as the plain ones, and so are labelled texts under
`OPT_PASSTHROUGH_SUBCLASS`. `loads` labels the leaves that the document's labels cover, and no others.

Not covered: names imported before `install()` (`from orjson import dumps`); `orjson.Fragment`, whose
labels go on all of the document's part; numpy arrays, which cannot carry labels.

    import taint
    taint.install(integrations=["orjson"])
    import orjson
    phone = taint.label("+14155550100", purpose="security.mfa")
    document = orjson.dumps({"id": 7, "phone": phone})
    taint.labels_of(orjson.loads(document)["phone"])        # Labels of the phone; "id" has none
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from taint.integrations.base import Integration
from taint.integrations.json_calls import dumps_wrapper, loads
from taint.propagation.patches import Patch

__all__ = ["OrjsonIntegration"]


class OrjsonIntegration(Integration):
    """Keeps labels through `orjson.dumps` and `orjson.loads`."""

    identifier = "orjson"
    requires = ("orjson>=3.9",)

    def _install(self) -> None:
        import orjson

        # Functions of a compiled module, since its first version; it has no events.
        self._wrap((Patch(orjson, "dumps", _dumps), Patch(orjson, "loads", loads)))


_labelled_dumps = dumps_wrapper("default", at=1, looks_into_objects=False)


def _dumps(wrapped: Callable[..., bytes], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    import orjson

    if len(args) == 1 and kwargs.keys() <= {"option"}:
        try:
            # A value that has no subclass of anything in it has no carrier, and this is its document.
            return wrapped(args[0], _refuse, (kwargs.get("option") or 0) | orjson.OPT_PASSTHROUGH_SUBCLASS)
        except Exception:  # noqa: BLE001, S110  # Either there is one, or the native call below raises its error.
            pass
    return _labelled_dumps(wrapped, instance, args, kwargs)


def _refuse(_value: Any) -> NoReturn:
    raise TypeError
