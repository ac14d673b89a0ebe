"""Text for the web: `urllib.parse`, `html`, `http.cookies`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from taint.carriers.coverage import concatenated, cut
from taint.carriers.operations import coverage_of
from taint.carriers.text import TaintedStr, join_pieces
from taint.carriers.values import labels_of
from taint.propagation.follow import CARRIERS, carry_texts, covered, exact, followed, labels_in_call, through
from taint.propagation.patches import ForCarriers, Patch, Standing, Wrapper, patches_in
from taint.propagation.regex import TaintedPattern, seeing_patterns

__all__ = ["patches"]


@ForCarriers
def _uncached(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Go past the cache: it would give one text's labels to another that is equal."""
    return getattr(wrapped, "__wrapped__", wrapped)(*args, **kwargs)


def _urlencode(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Take note of each quoted key and value; between them stand `=` and `&`."""
    if not labels_in_call(args[:1], kwargs):
        return wrapped(*args, **kwargs)
    quoted: list[Any] = []
    given = list(args)
    quote_via = given.pop(5) if len(given) > 5 else kwargs.get("quote_via", wrapped.__globals__["quote_plus"])  # noqa: PLR2004  # Its place in the signature.

    def quote(*own: Any, **named: Any) -> Any:
        result = quote_via(*own, **named)
        quoted.append(result)
        return result

    value = wrapped(*given, **(kwargs | {"quote_via": quote}))
    pieces: list[Any] = []
    for at, piece in enumerate(quoted):
        pieces += ["" if not at else "=" if at % 2 else "&", piece]
    joined = join_pieces(pieces) if pieces else value
    return joined if joined == value else carry_texts(exact(value), labels_in_call(args[:1], kwargs))


def _with_parameters(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Put a path and its parameters together before `urlunparse` does it with `%`, which asks no carrier."""
    parts = args[0] if args else kwargs.get("components")
    if not isinstance(parts, tuple | list) or len(parts) != _PARTS or not parts[3] or not labels_of(list(parts)):
        return wrapped(*args, **kwargs)
    scheme, netloc, path, parameters, query, fragment = parts
    for kind in (str, bytes):
        if isinstance(path, kind) and isinstance(parameters, kind):
            pieces: list[Any] = [path, ";" if kind is str else b";", parameters]
            return wrapped((scheme, netloc, join_pieces(pieces), parameters[:0], query, fragment))
    return wrapped(*args, **kwargs)


_PARTS = 6  # scheme, netloc, path, parameters, query, fragment


def _joined(value: Any, _native: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Rule of `urljoin`: the beginning is the base's, the rest is the end of the other."""
    base, url = (*args, *kwargs.values())[:2]
    plain_base, plain_url = exact(base), exact(url)
    start = next(
        (at for at, (one, other) in enumerate(zip(plain_base, value, strict=False)) if one != other), len(base)
    )
    start = min(start, len(value))
    rest = len(value) - start
    if value[start:] != plain_url[len(plain_url) - rest :] or rest > len(plain_url):
        return carry_texts(value, labels_in_call(args, kwargs))
    first = (cut(coverage_of(base), 0, start), start)
    second = (cut(coverage_of(url), len(url) - rest, len(url)), rest)
    return covered(value, concatenated((first, second)))


def _output(wrapped: Callable[..., Any], morsel: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    value = wrapped(*args, **kwargs)
    return carry_texts(value, labels_of([morsel.key, morsel.value, morsel.coded_value, dict(morsel)]))


def _output_all(wrapped: Callable[..., Any], cookie: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    value = wrapped(*args, **kwargs)
    labels = labels_of([text for morsel in cookie.values() for text in (morsel.key, morsel.value, dict(morsel))])
    return carry_texts(value, labels)


def _cookies(wrapped: Callable[..., Any], _cookie: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Give the parser of cookies, whose pattern is a default argument, one that carries."""
    if len(args) == 1 and type(args[0]) in CARRIERS:
        args = (*args, TaintedPattern(wrapped.__globals__["_CookiePattern"]))
    return wrapped(*args, **kwargs)


def _parsing(wrapped: Callable[..., Any], parser: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Wrap the steps of a parser of HTML that take text out of what it was fed."""
    return (seeing_patterns(wrapped) if type(parser.rawdata) is TaintedStr else wrapped)(*args, **kwargs)


def _before_parsing(native: Callable[..., Any], concerned: Callable[..., Any]) -> Callable[..., Any]:
    """Parse what is plain."""

    def parse(parser: Any, /, *args: Any) -> Any:
        return native(parser, *args) if type(parser.rawdata) is str else concerned(parser, *args)

    return parse


_PARSING = Standing(_parsing, _before_parsing)
_QUOTING = ("quote", "quote_plus", "unquote", "unquote_plus", "quote_from_bytes", "unquote_to_bytes")
_WRAPPERS: dict[str, dict[str, Wrapper]] = {
    "urllib.parse": {
        **dict.fromkeys(_QUOTING, followed(through)),
        "urlsplit": _uncached,
        "urlencode": _urlencode,
        "urljoin": followed(_joined),
        "urlunparse": _with_parameters,
    },
    "html": dict.fromkeys(("escape", "unescape"), followed(through)),
    "html.parser": {f"HTMLParser.{name}": _PARSING for name in ("goahead", "parse_starttag", "parse_endtag")},
    "http.cookies": {
        "Morsel.OutputString": _output,
        "Morsel.output": _output,
        "BaseCookie.output": _output_all,
        "BaseCookie._BaseCookie__parse_string": _cookies,
    },
}


def patches(module: ModuleType) -> Iterator[Patch]:
    """Give what there is to wrap in one of these modules."""
    return patches_in(module, _WRAPPERS[module.__name__])
