"""Taxonomies: which purposes and categories there are, and which purpose stands below which.

Three are built in, as data with its source and licence beside it: `taint` (short keys, mapped to the
other two and to the IAB's Transparency and Consent Framework), `fideslang` and `dpv`. Categories are
fideslang's in all of them. A policy adds an organisation's own.
"""

from __future__ import annotations

import difflib
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from taint.errors import ConfigurationError

__all__ = ["TAXONOMIES", "Purpose", "Taxonomy", "built_in", "current_taxonomy", "set_preparation", "set_taxonomy"]

TAXONOMIES = ("taint", "fideslang", "dpv")

_DATA = Path(__file__).parent / "data"
_MISSPELT = 0.8  # As alike as a key and its misspelling are; below that what a key ends with tells more.
_REMEMBERED = 10_000  # Keys whose ancestors are kept: those that nobody declared may arrive from outside.


@dataclass(frozen=True, slots=True)
class Purpose:
    """One purpose, and what it is called elsewhere.

    Args:
        key: Its key in this taxonomy.
        definition: What it means, in a sentence or as the address of its definition.
        parents: Keys that stand above it, besides those that its dots name.
        fideslang: The nearest data uses of fideslang.
        dpv: The nearest purposes of the W3C Data Privacy Vocabulary.
        tcf: The purposes (`1` to `11`) and special purposes (`S1` to `S3`) of IAB Europe's TCF.
    """

    key: str
    definition: str = ""
    parents: tuple[str, ...] = ()
    fideslang: tuple[str, ...] = ()
    dpv: tuple[str, ...] = ()
    tcf: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Taxonomy:
    """Purposes and categories that may be named, immutable; `extended` gives another one.

    Args:
        name: Which of `TAXONOMIES` it is or began as.
        purposes: By key.
        categories: Definitions by key.
        aliases: Former keys and what they are called now.
    """

    name: str
    purposes: Mapping[str, Purpose]
    categories: Mapping[str, str]
    aliases: Mapping[str, str] = field(default_factory=dict)
    _ancestors: dict[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

    def ancestors(self, purpose: str) -> tuple[str, ...]:
        """Give a purpose and everything above it, nearest first; of an unknown one, what its dots say."""
        found = self._ancestors.get(purpose)
        if found is None:
            reached = [purpose]
            for key in reached:
                reached += [parent for parent in self.parents(key) if parent not in reached]
            found = tuple(reached)
            if len(self._ancestors) < _REMEMBERED:
                self._ancestors[purpose] = found
        return found

    def parents(self, key: str) -> Iterator[str]:
        """Give what stands directly above a purpose: what its dots say, then what was declared."""
        above, dot, _ = key.rpartition(".")
        if dot:
            yield above
        if key in self.purposes:
            yield from self.purposes[key].parents

    def nearest(self, key: str, *, of: Iterable[str] | None = None) -> str | None:
        """Give the known key that is spelled most like another, else one that ends as it does, if there is one.

        `email` is nearest to `user.contact.email`.
        """
        known = {one.lower(): one for one in (self.purposes if of is None else of)}
        found = difflib.get_close_matches(key.lower(), known, n=1, cutoff=0.6)
        if not found or difflib.SequenceMatcher(None, key.lower(), found[0]).ratio() < _MISSPELT:
            last = key.lower().rpartition(".")[2]
            alike = [one for one in known if last and f"{one.rpartition('.')[2]}_".startswith(f"{last}_")]
            found = sorted(alike, key=lambda one: (len(one), one)) or found
        return known[found[0]] if found else None

    def extended(self, purposes: Iterable[Purpose], categories: Mapping[str, str]) -> Taxonomy:
        """Add an organisation's own purposes and categories.

        Raises:
            ConfigurationError: A parent is unknown, or purposes stand above each other in a circle.
        """
        own = {purpose.key: purpose for purpose in purposes}
        wider = replace(
            self,
            purposes=MappingProxyType({**self.purposes, **own}),
            categories=MappingProxyType({**self.categories, **categories}),
            _ancestors={},
        )
        for purpose in own.values():
            for parent in purpose.parents:
                if parent not in wider.purposes:
                    near = wider.nearest(parent)
                    hint = f"Did you mean {near!r}?" if near else "Declare it too."
                    msg = f"purpose {purpose.key!r} has an unknown parent: {parent!r}. A parent is a known key. {hint}"
                    raise ConfigurationError(msg)
            above = [key for parent in wider.parents(purpose.key) for key in wider.ancestors(parent)]
            if purpose.key in above:
                msg = (
                    f"purpose {purpose.key!r} stands above itself, by way of {above[0]!r}. "
                    "Parents make a graph without circles. Take one of the parents out."
                )
                raise ConfigurationError(msg)
        return wider


@cache
def _table(name: str) -> Mapping[str, Any]:
    table: Mapping[str, Any] = json.loads((_DATA / f"{name}.json").read_text(encoding="utf-8"))
    return table


@cache
def built_in(name: str) -> Taxonomy:
    """Give a built-in taxonomy: `taint`, `fideslang` or `dpv`.

    Raises:
        ConfigurationError: There is none of that name.
    """
    if name not in TAXONOMIES:
        msg = f"not a taxonomy: {name!r}. The taxonomies are {', '.join(map(repr, TAXONOMIES))}. Name one of these."
        raise ConfigurationError(msg)
    table = _table(name)
    purposes = {
        key: Purpose(
            key,
            row["definition"],
            tuple(row.get("parents", ())),
            *(tuple(row.get(other, ())) for other in ("fideslang", "dpv", "tcf")),
        )
        for key, row in table["purposes"].items()
    }
    categories = _table("fideslang")["categories"]
    return Taxonomy(name, MappingProxyType(purposes), MappingProxyType(categories), table.get("aliases", {}))


_current: Taxonomy | None = None
_preparation: Callable[[], None] | None = None
_lock = threading.RLock()


def set_preparation(preparation: Callable[[], None]) -> None:
    """Have something done once, before the first key is looked up: reading the settings that were found."""
    global _preparation  # noqa: PLW0603  # What lies above this module cannot be imported by it.
    _preparation = preparation


def current_taxonomy() -> Taxonomy:
    """Give the taxonomy that holds for the process."""
    return _current or _prepared()


def _prepared() -> Taxonomy:
    global _preparation  # noqa: PLW0603  # Done once.
    with _lock:
        preparation, _preparation = _preparation, None
        if preparation is not None:
            try:
                preparation()
            except BaseException:
                _preparation = preparation  # It is wrong still: the next caller is told too.
                raise
        return _current or set_taxonomy(built_in("taint"))


def set_taxonomy(taxonomy: Taxonomy) -> Taxonomy:
    """Set the taxonomy for the process, and give it back."""
    global _current  # noqa: PLW0603  # One for the process, replaced as a whole.
    _current = taxonomy
    return taxonomy
