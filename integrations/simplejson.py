"""simplejson: a document keeps which part of it is labelled, and gives it back when it is loaded.

Source: none. Sink: none.

Covered: `dumps` and `dump` label the document where the labelled values stand; `loads` and `load`
label the leaves that the document's labels cover, and no others. Labelled numbers, dates and keys are
written as the plain ones. Where a hook (`object_hook`, `cls`, `for_json`, `namedtuple_as_object`)
makes the document unlike the values, all of the part is covered.

Not covered: names imported before `install()`; `JSONEncoder` and `JSONDecoder` used directly.

    import taint
    taint.install(integrations=["simplejson"])
    import simplejson
    phone = taint.label("+14155550100", purpose="security.mfa")
    document = simplejson.dumps({"id": 7, "phone": phone})
    taint.labels_of(simplejson.loads(document)["phone"])    # Labels of the phone; "id" has none
"""

from __future__ import annotations

from taint.integrations.base import Integration
from taint.integrations.json_calls import dump_wrapper, dumps_wrapper, load_wrapper, loads
from taint.propagation.patches import Patch

__all__ = ["SimplejsonIntegration"]


class SimplejsonIntegration(Integration):
    """Keeps labels through `simplejson.dumps`, `dump`, `loads` and `load`."""

    identifier = "simplejson"
    requires = ("simplejson>=3.17",)

    def _install(self) -> None:
        import simplejson

        # The module's four functions, since its first version; it has no events.
        self._wrap((Patch(simplejson, "dumps", dumps_wrapper("default", at=9)), Patch(simplejson, "loads", loads)))
        self._wrap(
            (
                Patch(simplejson, "dump", dump_wrapper(simplejson.dumps, "default")),
                Patch(simplejson, "load", load_wrapper(simplejson.loads)),
            )
        )
