"""Fields of web requests as sources: which are collected for what, and their labels.

What every web framework's integration needs and none of them knows: a table of patterns, from the policy and from
the program, and for each request the labels of its fields. How a request is read stays with the integration.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from taint import modes
from taint.carriers import values
from taint.carriers.containers import is_name
from taint.carriers.proxy import exact
from taint.carriers.text import carry_text
from taint.carriers.values import apply_labels, collected, current_trace
from taint.errors import ConfigurationError
from taint.flows.collected import Collected
from taint.guard import report_internal_error
from taint.labels import NO_LABELS, Labels
from taint.modes import Mode, is_off
from taint.policy import current as in_force
from taint.policy import current_policy
from taint.policy.collecting import PLACES, FieldRule, field_rule
from taint.policy.rules import matches_pattern
from taint.propagation.json_tree import json_written_from
from taint.purposes import category_key, purpose_keys

__all__ = ["CollectedFields", "Collection", "RouteFields", "Table"]

T = TypeVar("T")

Table = Mapping[str, Collected | Mapping[str, Collected]]
"""Patterns of fields and what they are collected for; or routes, each with such patterns."""

MAX_KEPT = 4096
"""For how many names of fields, or routes, answers are kept: names come from outside."""
LONGEST_KEPT = 256
MOST_NAMES = 64
"""Of one head of a request that an answer is kept for."""

_OFF = Mode.OFF

_OF_THE_PROTOCOL = frozenset(
    (
        *("accept", "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "cookie"),
        *(
            "date",
            "expect",
            "host",
            "keep-alive",
            "sec-websocket-extensions",
            "sec-websocket-key",
            "sec-websocket-protocol",
        ),
        *("sec-websocket-version", "te", "traceparent", "tracestate", "trailer", "transfer-encoding", "upgrade"),
    )
)
"""Headers that say how a message is sent, and nothing of anybody: meant by their name only, not by `*`. Cookies are a
place of their own."""


@dataclass(frozen=True, slots=True, eq=False)
class _Answer:
    """What is collected with one field of a route; one object for each, which is quickly looked up."""

    rule: FieldRule
    source: str


class RouteFields:
    """What is collected with the fields of one route.

    Args:
        method: Of the request; `WEBSOCKET` for messages.
        template: Of the route; None where no route was found.
        rules: Of all routes.

    Attributes:
        places: Where anything is collected: a request is left alone everywhere else.
        title: The route as sources name it.
        labels: Of its fields, where nothing tells one request from another.
        answers: What `find` has answered, by place.
        heads: What `is_any_of` has answered, by place.
        plain_headers: Names of headers as they were sent that are collected for nothing; never that of cookies.
    """

    __slots__ = ("_names", "_rules", "answers", "heads", "labels", "places", "plain_headers", "title")

    def __init__(self, method: str, template: str | None, rules: Iterable[FieldRule]) -> None:
        self.title = f"{method} {template or '*'}"
        held = [
            rule
            for rule in rules
            if rule.method in (None, method) and (rule.template == "*" or matches_pattern(template, (rule.template,)))
        ]
        self._rules = sorted(held, key=lambda rule: rule.precision, reverse=True)
        self.places = frozenset(place for rule in held for place in ((rule.place,) if rule.place else PLACES))
        self.answers: dict[str, dict[tuple[str, ...], _Answer | None]] = {place: {} for place in PLACES}
        self.labels: dict[_Answer, Labels] = {}
        self.heads: dict[str, dict[tuple[Any, ...], bool]] = {place: {} for place in PLACES}
        self.plain_headers: set[bytes] = set()
        self._names = {place: _occurring(self._named(place)) for place in self.places & {"query", "cookie"}}

    def is_any(self, place: str, names: Iterable[str]) -> bool:
        """Tell whether any of some fields is collected for anything: most requests have none."""
        return any(self.find(place, (name,)) is not None for name in names)

    def is_any_of(self, place: str, keys: tuple[Any, ...], name_of: Callable[[Any], str] = str) -> bool:
        """Tell as `is_any`, as quickly as may be for what looks the same with every request.

        Args:
            place: Where they stand.
            keys: The fields as they come: one client sends the same headers every time.
            name_of: Gives the name of one.
        """
        heads = self.heads[place]
        known = heads.get(keys)
        if known is None:
            known = place in self.places and self.is_any(place, map(name_of, keys))
            if len(keys) <= MOST_NAMES and sum(map(len, keys)) <= MAX_KEPT:
                if len(heads) >= LONGEST_KEPT:
                    heads.clear()
                heads[keys] = known
        return known

    def is_any_header(self, names: tuple[bytes, ...]) -> bool:
        """Tell as `is_any_of` of headers as ASGI has them, and remember the names of those that are none."""
        is_any = self.is_any_of("header", names, _text)
        if not is_any:
            if len(self.plain_headers) >= MAX_KEPT:
                self.plain_headers.clear()
            short = [name for name in names[:MOST_NAMES] if len(name) <= LONGEST_KEPT]
            self.plain_headers |= {*short} - {b"cookie"}  # Which is looked into.
        return is_any

    def may_be_in(self, place: str, sent: bytes) -> bool:
        """Tell, without taking it apart, whether a query string or a header with cookies may have a collected field.

        Args:
            place: `query` or `cookie`.
            sent: As it was sent.
        """
        names = self._names.get(place)
        if names is None:
            return False
        if names.search(sent) is not None:
            return True
        # A name of a query may be written otherwise: percent-encoded, `+` for a space.
        is_written = place == "query" and _WRITTEN.search(sent) is not None
        return is_written and _WRITTEN_NAME.search(sent) is not None

    def is_any_in(self, environ: Mapping[str, Any], parameters: tuple[str, ...]) -> bool:
        """Tell whether a request, as CGI has it, may have anything that is collected; else it may stay as it is.

        Args:
            environ: Of the request (PEP 3333), or what has the same keys.
            parameters: Names of those of the path.
        """
        length, query, cookie = map(environ.get, ("CONTENT_LENGTH", "QUERY_STRING", "HTTP_COOKIE"))
        has_body = (length and length != "0") or (
            # Without a length there is a body where it comes in pieces, or in a protocol that has no need of one.
            "HTTP_TRANSFER_ENCODING" in environ
            or ("wsgi.input_terminated" in environ and not environ.get("SERVER_PROTOCOL", "").startswith("HTTP/1."))
        )
        if has_body and not self.places.isdisjoint(("body", "form", "file")):
            return True
        if (query and self.may_be_in("query", query.encode("latin-1"))) or (
            cookie and self.may_be_in("cookie", cookie.encode("latin-1"))
        ):
            return True
        keys, heads = tuple(environ), self.heads
        return (heads["path"].get(parameters) is not False and self.is_any_of("path", parameters)) or (
            heads["header"].get(keys) is not False and self.is_any_of("header", keys, _header_name)
        )

    def _named(self, place: str) -> set[str]:
        return {rule.name for rule in self._rules if rule.place in (None, place)}

    def find(self, place: str, path: tuple[str, ...]) -> _Answer | None:
        """Give what a field is collected for, and its source.

        Args:
            place: One of `PLACES`.
            path: Its name; inside a document, the names on the way to it.
        """
        answers = self.answers[place]
        try:
            return answers[path]
        except KeyError:
            answer = self._find(place, path)
            if sum(map(len, path)) <= LONGEST_KEPT:
                if len(answers) >= MAX_KEPT:
                    answers.clear()
                answers[path] = answer
            return answer

    def all_of(self, place: str) -> list[_Answer]:
        """Give everything that may be collected in a place."""
        return [_Answer(rule, f"{self.title} {place}") for rule in self._rules if rule.place in (None, place)]

    def _find(self, place: str, path: tuple[str, ...]) -> _Answer | None:
        for rule in self._rules:
            if rule.place in (None, place) and _is_meant(rule, place, path):
                name = ".".join(step if is_name(step.replace("-", "_")) else "[*]" for step in path)
                return _Answer(rule, f"{self.title} {place}:{name}" if name else f"{self.title} {place}")
        return None


def _is_meant(rule: FieldRule, place: str, path: tuple[str, ...]) -> bool:
    if place == "header":
        name = path[0].lower()
        return matches_pattern(name, (rule.name.lower(),)) and (rule.is_named or name not in _OF_THE_PROTOCOL)
    if "." in rule.name:  # A way into a document; a name of a form's field may have a dot too.
        return any(matches_pattern(".".join(path[:stop]), (rule.name,)) for stop in range(len(path), 0, -1))
    return rule.name == "*" or any(matches_pattern(step, (rule.name,)) for step in path)


def _occurring(names: Iterable[str]) -> re.Pattern[bytes]:
    """Give a pattern that occurs wherever a field of these names may have been sent; it may elsewhere too."""
    if any(_WILD.search(name) or not name.isascii() for name in names):
        return re.compile(b"")
    return re.compile(b"|".join(re.escape(name).encode() for name in sorted(names)))


_WRITTEN = re.compile(rb"[%+\x80-\xff]")
_WRITTEN_NAME = re.compile(rb"(?:^|&)[^=&]*[%+\x80-\xff]")
_WILD = re.compile(r"[*?\[]")


def _header_name(key: str) -> str:
    """Give the name of a header as CGI has it; of what is none as well, which then is taken for one."""
    return key.removeprefix("HTTP_").replace("_", "-")


def _text(name: bytes) -> str:
    return name.decode("latin-1")


class Collection:
    """One request, as a collection: what gives its fields their labels.

    Args:
        fields: Of the request's route.
        subject: Gives whose request it is, as an opaque key; asked once, when something is collected.
    """

    __slots__ = ("_has_subject", "_labels", "_subject", "_trace", "fields")

    def __init__(self, fields: RouteFields, subject: Callable[[], object] | None = None) -> None:
        self.fields = fields
        self._has_subject = subject is None
        self._subject: object = subject
        self._trace = current_trace()
        # Where neither person nor span tells requests apart, all requests of a route have the same labels.
        is_shared = subject is None and self._trace is None
        self._labels: dict[_Answer, Labels] = fields.labels if is_shared else {}

    def labels(self, place: str, *path: str) -> Labels:
        """Give the labels of one field; none where it is collected for nothing."""
        answer = self.fields.find(place, path)
        return NO_LABELS if answer is None else self._labels_of(answer)

    def whole(self, *places: str) -> Labels:
        """Give the labels of everything that may be in some places, for what holds all of them."""
        labels = NO_LABELS
        for place in places:
            for answer in self.fields.all_of(place):
                labels |= self._labels_of(answer)
        return labels

    def value(self, value: T, place: str, *path: str) -> T:
        """Label one field. Labels: joined to those it has; a number only where a rule names its field.

        Args:
            value: A text, byte string or number; anything else is taken for a container.
            place: Where it stands.
            path: Its name.
        """
        answer = self.fields.find(place, path)
        return value if answer is None else self._labelled(value, answer)

    def _labelled(self, value: T, answer: _Answer) -> T:
        kind = type(value)
        if kind is str:
            labels = self._labels.get(answer) or self._labels_of(answer)
            if values.collector is None:
                return carry_text(value, labels)  # type: ignore[return-value, arg-type]  # T is str here.
        elif kind is bool or value is None or (kind in (int, float) and not answer.rule.is_named):
            return value  # Drivers and serialisers refuse a number that is not the exact type.
        else:
            labels = self._labels_of(answer)
        return apply_labels(value, labels, is_source=True)

    def document(self, value: Any, place: str = "body") -> Any:
        """Label the leaves of a document. Labels: on each, those of its name or of one on the way to it.

        Args:
            value: Lists and dicts as a parser gives them, which are changed in place; or one leaf.
            place: Where it stands.
        """
        if type(value) is not dict and type(value) is not list:
            return self.value(value, place)
        fields, known = self.fields, self._labels
        answers, is_seen = fields.answers[place], values.collector is not None
        stack: list[tuple[tuple[str, ...], Any]] = [((), value)]
        while stack:
            path, here = stack.pop()
            is_mapping = type(here) is dict
            items: Iterable[tuple[Any, Any]] = here.items() if is_mapping else enumerate(here)
            for key, item in items:
                kind = type(item)
                way = (*path, key) if is_mapping else path
                if kind is dict or kind is list:
                    stack.append((way, item))
                    continue
                try:
                    answer = answers[way]
                except KeyError:
                    answer = fields.find(place, way)
                if answer is None:
                    continue
                if kind is str and answer in known and not is_seen:
                    here[key] = carry_text(item, known[answer])  # As `_labelled`, without its call.
                else:
                    here[key] = self._labelled(item, answer)
        return value

    def header(self, name: str, value: T) -> T:
        """Label a header. Labels: on the one with the cookies, those of all cookies too."""
        if name.lower() == "cookie":
            text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
            names = (part.partition("=")[0].strip() for part in text.split(";"))
            value = self.together(value, "cookie", names)
        return self.value(value, "header", name)

    def together(self, value: T, place: str, names: Iterable[str]) -> T:
        """Label what holds several fields. Labels: those of all of them, on all of it."""
        labels = NO_LABELS
        for name in names:
            labels |= self.labels(place, name)
        return apply_labels(value, labels) if labels else value

    def body(self, data: T, media_type: str | None) -> T:
        """Label a body as it was sent.

        Labels: of a JSON document, where each field stands; of a form, those of its fields, on all of it; of a form
        with files, or a document that cannot be read, those of all that may be in it.

        Args:
            data: Text or bytes.
            media_type: What it is said to be; parameters are not looked at.
        """
        kind = (media_type or "").partition(";")[0].strip().lower()
        if not data or not isinstance(data, str | bytes):
            return data
        if kind == "application/x-www-form-urlencoded":
            text = exact(data) if isinstance(data, str) else exact(data).decode("latin-1")
            return self.together(data, "form", dict(parse_qsl(text, keep_blank_values=True)))
        if kind.startswith("multipart/"):
            return apply_labels(data, self.whole("form", "file"))
        if kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json")):
            try:
                return json_written_from(data, self.document(json.loads(data)))  # type: ignore[no-any-return]  # As it was given.
            except (ValueError, RecursionError):  # Not what it is said to be: its fields cannot be told.
                return apply_labels(data, self.whole("body"))
        return self.value(data, "body")

    def is_any(self, place: str, names: Iterable[str]) -> bool:
        """Tell whether any of some fields is collected for anything: most requests have none."""
        return self.fields.is_any(place, names)

    def pairs(self, pairs: Iterable[tuple[str, T]], place: str) -> list[tuple[str, T]]:
        """Label the fields of a form, a query string or a head."""
        return [(name, self.value(value, place, name)) for name, value in pairs]

    def _labels_of(self, answer: _Answer) -> Labels:
        try:
            return self._labels[answer]
        except KeyError:
            if len(self._labels) >= MAX_KEPT:
                self._labels.clear()
            rule = answer.rule
            labels = self._labels[answer] = collected(
                rule.purposes, category=rule.category, subject=self._who(), source=answer.source, trace=self._trace
            )
            return labels

    def _who(self) -> object:
        if not self._has_subject:
            ask: Any = self._subject
            self._has_subject, self._subject = True, None  # It may read fields of the request itself.
            try:
                self._subject = ask()
            except Exception as error:  # noqa: BLE001  # It is asked while the program reads a field.
                report_internal_error("asking whose request it is", error)
        return self._subject


class CollectedFields:
    """What a program's requests collect: by the policy in force, and by what the program says itself.

    Args:
        tables: Patterns of fields, such as `phone`, `header:x-phone`, `query:*`, `*`, each with its `Collected`;
            or routes such as `POST /enrol`, each with a table of those. A name means the field and all that is
            inside of it; of several patterns that match the most specific holds, and of two equal ones the policy's.

    Raises:
        ConfigurationError: A pattern, a route or what stands beside it is not usable as written.
    """

    def __init__(self, *tables: Table | None) -> None:
        self._own = tuple(rule for table in tables if table is not None for rule in _rules(table))
        self._decider: object = None
        self._routes: dict[tuple[str, str | None], RouteFields] = {}

    def __bool__(self) -> bool:
        """Tell whether anything is collected anywhere, as things stand now."""
        return bool(self._own or current_policy().collected) and not is_off()

    def of(self, method: str, template: str | None) -> RouteFields:
        """Give the fields of a route; those of a policy that was read again, as soon as it is."""
        decider = in_force.current_decider()
        if decider is not self._decider:
            self._routes, self._decider = {}, decider
        routes = self._routes
        if method == "HEAD":
            method = "GET"  # Frameworks answer it by the same handler.
        fields = routes.get((method, template))
        if fields is None:
            if len(routes) >= MAX_KEPT:
                routes.clear()
            rules = (*decider.policy.collected, *self._own)
            fields = routes[method, template] = RouteFields(method, template, rules)
        return fields

    def collecting(self, method: str, template: str | None) -> RouteFields | None:
        """Give what `of` gives, where anything is collected with the route now: asked by every request."""
        if modes._current is _OFF:  # noqa: SLF001  # As `is_off`, without its call; the next line as `current_decider`.
            return None
        is_known = in_force._current is self._decider is not None  # noqa: SLF001  # See above.
        fields = self._routes.get((method, template)) if is_known else None
        if fields is None:
            fields = self.of(method, template)
        return fields if fields.places else None


def _rules(table: Table) -> Iterable[FieldRule]:
    for name, given in _table(table, "collected").items():
        if isinstance(given, Collected):
            yield _rule("*", name, given)
        else:
            yield from (_rule(name, pattern, one) for pattern, one in _table(given, name).items())


def _table(given: object, name: str) -> Mapping[str, Any]:
    if isinstance(given, Mapping):
        return given
    raise ConfigurationError(
        f"{name!r} is neither a table nor a taint.Collected: {type(given).__name__!r}. Beside a field stands what it "
        "is collected for, beside a route a table of its fields. Write {'phone': taint.Collected('security.mfa')}."
    )


def _rule(route: str, pattern: str, given: object) -> FieldRule:
    if not isinstance(given, Collected):
        raise ConfigurationError(
            f"field {pattern!r} is collected for a {type(given).__name__!r}. It is for a taint.Collected. "
            "Write taint.Collected('security.mfa')."
        )
    category = None if given.category is None else category_key(given.category)
    return field_rule(route, pattern, purpose_keys(given.purpose), category)
