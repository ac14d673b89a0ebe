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

from collections.abc import Callable
from typing import Any

from taint.carriers.coverage import concatenated, spans_of
from taint.carriers.operations import coverage_of
from taint.carriers.proxy import TaintedProxy, is_carrier, labels_of_carrier
from taint.carriers.text import carry_text
from taint.carriers.values import labels_of
from taint.integrations.base import Integration
from taint.propagation.patches import Patch

__all__ = ["MarkupsafeIntegration"]


class MarkupsafeIntegration(Integration):
    """Keeps labels through escaping and through `Markup`."""

    identifier = "markupsafe"
    requires = ("MarkupSafe>=3.0",)

    def _install(self) -> None:
        import markupsafe

        # Since 3.0 escape is a Python function around _escape_inner; wrapping that one reaches whoever has
        # imported escape before. Markup's constructor and its methods that take others' text; no events.
        methods = {"__add__": _promote, "__mod__": _promote, "replace": _promote, "join": _join}
        self._wrap(
            (
                Patch(markupsafe, "_escape_inner", _escape_inner),
                Patch(markupsafe.Markup, "__new__", _new),
                *(Patch(markupsafe.Markup, name, wrapper) for name, wrapper in methods.items()),
                Patch(markupsafe.Markup, "format", _format),
                Patch(markupsafe.Markup, "format_map", _format_map),
            )
        )


def _escape_inner(wrapped: Callable[[str], str], _instance: Any, args: tuple[Any, ...], _kwargs: Any) -> Any:
    (text,) = args
    coverage = coverage_of(text)
    if coverage is None:
        return wrapped(text)
    plain = str.__str__(text)
    pieces: list[tuple[Any, int]] = []
    at = 0
    for start, stop, labels in spans_of(coverage, len(plain)):
        pieces += ((None, len(wrapped(plain[at:start]))), (labels, len(wrapped(plain[start:stop]))))
        at = stop
    return carry_text(wrapped(plain), concatenated(pieces))


def _new(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    import markupsafe

    from taint.integrations.markup_carrier import labelled_markup

    if args[0] is not markupsafe.Markup or not args[1:]:
        return wrapped(*args, **kwargs)
    given = args[1]
    if type(given) is str:
        return wrapped(*args, **kwargs)
    if type(given) is TaintedProxy and isinstance(given, str):  # Another's subclass of str, such as a Markup.
        return labelled_markup(str.__str__(given.__wrapped__), labels_of_carrier(given))
    if hasattr(given, "__html__"):
        given = given.__html__()
    elif isinstance(given, bytes) and is_carrier(given) and (args[2:] or kwargs):
        given = given.decode(*args[2:], **kwargs)
    if not is_carrier(given):
        return wrapped(args[0], given, *args[2:], **kwargs)
    text = str(given)
    return labelled_markup(str.__str__(text), coverage_of(text))


def _promote(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Let `Markup`'s own method run on a markup that looks at its arguments' labels."""
    from markupsafe import Markup

    from taint.integrations.markup_carrier import promoted

    # A labelled markup looks at them by itself; another's subclass keeps its type.
    if type(instance) is not Markup or not labels_of(args):
        return wrapped(*args, **kwargs)
    return wrapped.__func__(promoted(instance), *args, **kwargs)  # type: ignore[attr-defined]  # It is bound.


def _join(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return _promote(wrapped, instance, tuple(map(list, args)), kwargs)


def _format(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return _formatted(wrapped, instance, args, kwargs, (args, kwargs))


def _format_map(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return _formatted(wrapped, instance, args, kwargs, ((), *args))


def _formatted(
    wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any], fields: tuple[Any, ...]
) -> Any:
    from markupsafe import Markup

    from taint.integrations.markup_carrier import TaintedMarkup, formatted

    is_ours = type(instance) is TaintedMarkup or (type(instance) is Markup and bool(labels_of(fields)))
    return formatted(instance, *fields) if is_ours and len(fields) == 2 else wrapped(*args, **kwargs)  # noqa: PLR2004
