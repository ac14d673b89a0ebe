"""Which fields of requests hold data that is collected for something, as rules with patterns.

A rule names a field of a request, as `phone`, `header:x-phone`, `query:*`, and the routes where that holds. The
same words stand in a policy's table `[collected]` and in the `collected=` of the web integrations.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from taint.errors import ConfigurationError

__all__ = ["PLACES", "FieldRule", "field_rule"]

PLACES = ("body", "form", "query", "path", "header", "cookie", "file")
"""Where in a request a field stands; `body` is a JSON document, another body or a WebSocket's message."""

_ROUTE = re.compile(r"(?:(?P<method>[A-Za-z]+|\*) +)?(?P<template>/\S*|\*)")


@dataclass(frozen=True, slots=True)
class FieldRule:
    """What fields of requests are collected for.

    Args:
        method: In capitals, `WEBSOCKET` for messages; None for any.
        template: The route's template as its framework writes it, with `*` and `?`; `*` for any.
        place: One of `PLACES`; None for any.
        name: The field's, with `*` and `?`.
        purposes: What it is collected for.
        category: What kind of data it is.
    """

    method: str | None
    template: str
    place: str | None
    name: str
    purposes: frozenset[str]
    category: str | None = None

    @property
    def precision(self) -> tuple[int, ...]:
        """How much it says: of the rules that match a field, the one that says most holds.

        The route first, then the name, then the place: what is written for one route holds there.
        """
        return (
            *_literal(self.template),
            self.method is not None,
            *_literal(self.name),
            self.place is not None,
        )

    @property
    def is_named(self) -> bool:
        """Whether it names one field."""
        return bool(_literal(self.name)[0])


def _literal(pattern: str) -> tuple[bool, int]:
    """Tell whether a pattern is a name, and how much of it is."""
    wild = pattern.count("*") + pattern.count("?")
    return not wild, len(pattern) - wild


def field_rule(route: str, pattern: str, purposes: Iterable[str], category: str | None) -> FieldRule:
    """Read a rule.

    Args:
        route: `POST /enrol`, `/enrol` for any method, `*` for any route.
        pattern: A field's name, after a place and a colon where it is meant in one place only.
        purposes: What it is collected for.
        category: What kind of data it is.

    Raises:
        ConfigurationError: The route or the place is not usable as written.
    """
    found = _ROUTE.fullmatch(route)
    if found is None:
        raise ConfigurationError(
            f"not a route: {route!r}. A route is written as 'POST /enrol', as '/enrol' for any method, or as '*' for "
            "any route. Write it so, with the template as the application has it."
        )
    method = found["method"]
    place, colon, name = pattern.partition(":")
    if not colon:
        place, name = "*", pattern
    if place not in (*PLACES, "*"):
        near = difflib.get_close_matches(place.lower(), PLACES, n=1)
        hint = f"Did you mean '{near[0]}:{name}'?" if near else f"For a name with a colon in it write '*:{pattern}'."
        raise ConfigurationError(
            f"not a place in a request: {place!r} of {pattern!r}. The places are {', '.join(map(repr, PLACES))}. {hint}"
        )
    if not name:
        raise ConfigurationError(
            f"a field without a name: {pattern!r}. A field is written as 'phone' or 'header:x-phone', all of a place "
            f"as '{place}:*'. Name the field."
        )
    return FieldRule(
        None if method in (None, "*") else method.upper(),
        found["template"],
        None if place == "*" else place,
        name,
        frozenset(purposes),
        category,
    )
