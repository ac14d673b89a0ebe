"""Jinja2: a rendered text is labelled where the labelled values stand in it, autoescaped or not.

Source: none. Sink: none.

Covered: `Template.render`, `render_async`, `generate`, `stream`, blocks, macros, calls, includes and
imports, `~`; filters that keep positions, exactly; those that build their text in pieces (`join`,
`replace`, `format`, `indent`, `wordwrap`, `truncate`, `urlize`, `xmlattr`, `tojson`, `title`,
`urlencode`, `pprint`, `striptags`), on all of their result. It needs MarkupSafe's integration, and
installs it.

Not covered: filters of environments that were made before `install()`, and custom filters that lose
labels by themselves; `NativeEnvironment`, whose results are objects; `{% trans %}`.

    import taint
    taint.install(integrations=["jinja2"])
    import jinja2
    name = taint.label("<Ann>", purpose="security.mfa")
    page = jinja2.Environment(autoescape=True).from_string("<p>{{ name }}</p>").render(name=name)
    taint.ranges_of(page)                                   # one range, over '&lt;Ann&gt;'
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from taint.carriers.containers import is_bare
from taint.carriers.proxy import TaintedProxy, carry, is_carrier
from taint.carriers.text import TaintedBytes, TaintedStr, join_pieces
from taint.carriers.values import labels_of
from taint.integrations.base import Integration
from taint.integrations.markupsafe import MarkupsafeIntegration
from taint.labels import NO_LABELS
from taint.propagation.patches import Patch, Unless

__all__ = ["Jinja2Integration"]

_IN_PIECES = (
    *("format", "indent", "join", "pprint", "replace", "striptags", "title", "tojson", "truncate", "urlencode"),
    *("urlize", "wordwrap", "xmlattr"),
)


class Jinja2Integration(Integration):
    """Keeps labels through templates."""

    identifier = "jinja2"
    requires = ("Jinja2>=3.1", "MarkupSafe>=3.0")

    def __init__(self) -> None:
        super().__init__()
        self._markupsafe = MarkupsafeIntegration()

    def _install(self) -> None:
        import jinja2.environment
        import jinja2.ext
        import jinja2.filters
        import jinja2.nodes
        import jinja2.runtime
        import markupsafe

        self._markupsafe.install()
        # Compiled templates end in environment.concat; the runtime and extensions have names of their own for it,
        # since 2.x. All are "".join, which asks no item for its labels; no events.
        owners = (jinja2.environment.Environment, jinja2.environment, jinja2.runtime, jinja2.ext)
        self._wrap(Patch(owner, "concat", _concat) for owner in owners)
        # What filters are mostly given, the environment or context that they may be given first among it.
        passed = (jinja2.Environment, jinja2.nodes.EvalContext, jinja2.runtime.Context, markupsafe.Markup)
        asked = Unless(_filter, frozenset((str, int, float, bool, *passed)))
        self._wrap(Patch(jinja2.filters.FILTERS, name, asked) for name in _IN_PIECES)

    def _uninstall(self) -> None:
        self._markupsafe.uninstall()


_CARRYING = (TaintedStr, TaintedBytes, TaintedProxy)
_HOLDING = (list, tuple, dict, set)


def _concat(wrapped: Callable[..., str], _instance: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Any:
    pieces: list[Any] = list(*args)
    if not any(issubclass(kind, _CARRYING) for kind in set(map(type, pieces))):
        return wrapped(pieces)
    # A proxy holds a subclass of str, such as a Markup, which join refuses: it is its text that is joined.
    texts = [
        carry(str.__str__(piece.__wrapped__), labels_of(piece)) if type(piece) is TaintedProxy else piece
        for piece in pieces
    ]
    wrapped(texts)  # For what it refuses.
    return join_pieces(texts)


def _filter(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    result = wrapped(*args, **kwargs)
    labels = NO_LABELS
    for value in (*args, *kwargs.values()) if kwargs else args:
        # Not the environment or context.
        if not is_bare(value) and (isinstance(value, _HOLDING) or is_carrier(value)):
            labels |= labels_of(value)
    if not labels:
        return result
    if not isinstance(result, str) or labels_of(result) >= labels:
        return result
    if hasattr(result, "__html__"):
        from taint.integrations.markup_carrier import labelled_markup

        return labelled_markup(str.__str__(result), labels)
    return carry(str.__str__(result), labels)
