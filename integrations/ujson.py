"""ujson: a document keeps which part of it is labelled, and gives it back when it is loaded.

Source: none. Sink: none.

Covered: `dumps` and `dump` (and their other names `encode`) label the document where the labelled
values stand; `loads` and `load` (`decode`) label the leaves that the document's labels cover, and no
others. Labelled numbers, dates and keys are written as the plain ones.

Not covered: names imported before `install()`; what an object's `__json__` gives is covered as a
whole by the labels of the object.

    import taint
    taint.install(integrations=["ujson"])
    import ujson
    phone = taint.label("+14155550100", purpose="security.mfa")
    document = ujson.dumps({"id": 7, "phone": phone})
    taint.labels_of(ujson.loads(document)["phone"])         # Labels of the phone; "id" has none
"""

from __future__ import annotations

from taint.integrations.base import Integration
from taint.integrations.json_calls import dump_wrapper, dumps_wrapper, load_wrapper, loads
from taint.propagation.patches import Patch

__all__ = ["UjsonIntegration"]


class UjsonIntegration(Integration):
    """Keeps labels through `ujson.dumps`, `dump`, `loads` and `load`."""

    identifier = "ujson"
    requires = ("ujson>=5.4",)

    def _install(self) -> None:
        import ujson

        # Functions of a compiled module, since its first version; it has no events.
        dumps = dumps_wrapper("default", at=100)  # By name only.
        self._wrap(Patch(ujson, name, dumps) for name in ("dumps", "encode"))
        self._wrap(Patch(ujson, name, loads) for name in ("loads", "decode"))
        self._wrap(
            (
                Patch(ujson, "dump", dump_wrapper(ujson.dumps, "default")),
                Patch(ujson, "load", load_wrapper(ujson.loads)),
            )
        )
