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

from collections.abc import Callable, Iterator
from typing import Any

from taint.carriers.containers import is_bare
from taint.carriers.proxy import TaintedProxy, carry, is_carrier
from taint.carriers.text import TaintedBytes, TaintedStr, join_pieces
from taint.carriers.values import labels_of
from taint.integrations.base import Integration
from taint.integrations.markupsafe import MarkupsafeIntegration
from taint.labels import NO_LABELS
from taint.propagation.guards import on_others
from taint.propagation.patches import Patch, Standing

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
        import jinja2.runtime

        self._markupsafe.install()
        # Compiled templates end in environment.concat; the runtime and extensions have names of their own for it,
        # since 2.x. All are "".join, which asks no item for its labels; no events.
        owners = (jinja2.environment.Environment, jinja2.environment, jinja2.runtime, jinja2.ext)
        self._wrap(Patch(owner, "concat", _concat) for owner in owners)
        asked, joining = Standing(_filter, _before_filter), Standing(_join, _before_join)
        filters = jinja2.filters.FILTERS
        self._wrap(Patch(filters, name, joining if name == "join" else asked) for name in _IN_PIECES)

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


_PLAIN: frozenset[type] = frozenset((str, int, float, bool, type(None)))


def _before_filter(native: Callable[..., Any], concerned: Callable[..., Any]) -> Callable[..., Any]:
    """Let calls through whose arguments bring no label; what jinja2 passes first is no argument."""
    import markupsafe

    return on_others(native, concerned, _PLAIN | {markupsafe.Markup}, is_method=hasattr(native, "jinja_pass_arg"))


def _before_join(native: Callable[..., Any], concerned: Callable[..., Any]) -> Callable[..., Any]:
    """Let `join` through where all items of a list bring no label either."""
    import jinja2.nodes
    import markupsafe

    plain = _PLAIN | {markupsafe.Markup, jinja2.nodes.EvalContext}

    def join(*args: Any, **kwargs: Any) -> Any:
        for value in args:
            kind = type(value)
            if kind not in plain:
                if kind is not list:
                    return concerned(*args, **kwargs)
                for item in value:
                    if type(item) not in plain:
                        return concerned(*args, **kwargs)
        return concerned(*args, **kwargs) if kwargs else native(*args)

    return join


def _join(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Look into an iterator before it is used up; the native filter takes all of it too."""
    at = int(hasattr(wrapped, "jinja_pass_arg"))
    if isinstance(args[at] if len(args) > at else None, Iterator):
        args = (*args[:at], list(args[at]), *args[at + 1 :])
    return _filter(wrapped, instance, args, kwargs)


def _filter(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    result = wrapped(*args, **kwargs)
    labels = NO_LABELS
    given = args[1:] if hasattr(wrapped, "jinja_pass_arg") else args
    for value in (*given, *kwargs.values()) if kwargs else given:
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
