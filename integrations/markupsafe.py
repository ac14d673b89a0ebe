"""MarkupSafe: escaped and marked-up text keeps its labels, at the right ranges, and stays `Markup`.

Source: none. Sink: none.

Covered: `escape`, `escape_silent`, `Markup.escape`; `Markup(...)` of a labelled text or of an object
whose `__html__` is labelled; on a `Markup`, labelled or not, `+`, `%`, `*`, `join`, `format`,
`format_map`, `replace`, slicing and all other methods of `str`, with `Markup`'s own escaping;
`unescape` and `striptags` (on all of the result). A labelled `Markup` is a `Markup` for `isinstance`;
`repr`, pickle and copies are those of `Markup`.

Not covered: subclasses of `Markup` by others, which give back their own type without labels.

    import taint
    taint.install(integrations=["markupsafe"])
    from markupsafe import Markup, escape
    name = taint.label("<Ann>", purpose="security.mfa")
    page = Markup("<p>%s</p>") % name                       # Markup('<p>&lt;Ann&gt;</p>')
    taint.ranges_of(page)                                   # one range, over '&lt;Ann&gt;'
"""

from __future__ import annotations

from taint.integrations.base import Integration
from taint.propagation.patches import Patch, Standing, Swap

__all__ = ["MarkupsafeIntegration"]


class MarkupsafeIntegration(Integration):
    """Keeps labels through escaping and through `Markup`."""

    identifier = "markupsafe"
    requires = ("MarkupSafe>=3.0",)

    def _install(self) -> None:
        import markupsafe

        from taint.integrations import markup_carrier as hooks

        # Since 3.0 escape is a Python function around _escape_inner; wrapping that one reaches whoever has
        # imported escape before. Markup's constructor and its methods that take others' text; no events.
        methods = ("__add__", "__mod__", "replace")
        self._wrap(
            (
                Swap(markupsafe, "_escape_inner", hooks.escaper),
                Patch(markupsafe.Markup, "__new__", Standing(hooks.making, hooks.before_making)),
                *(Patch(markupsafe.Markup, name, hooks.promoting) for name in methods),
                Patch(markupsafe.Markup, "join", hooks.joining),
                Patch(markupsafe.Markup, "format", hooks.formatting),
                Patch(markupsafe.Markup, "format_map", hooks.formatting_map),
            )
        )
