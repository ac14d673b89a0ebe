"""Hypothesis strategies: labels, text, bytes and containers that carry them, and policies.

Registered with Hypothesis through its entry point, so that `st.from_type(taint.TaintedStr)` works in any
test where the library is installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from taint.carriers.values import apply_labels
from taint.errors import ConfigurationError
from taint.labels import Label, Labels
from taint.policy import Policy, make_policy

__all__ = [
    "label_sets",
    "labelled_bytes",
    "labelled_containers",
    "labelled_text",
    "labels",
    "policies",
    "purposes",
    "rule_tables",
]

PURPOSES = (
    "security",
    "security.mfa",
    "security.account_recovery",
    "advertising",
    "advertising.audiences",
    "analytics",
    "service.delivery",
)
CATEGORIES = (None, "user.contact.phone_number", "user.contact.email", "user.name")
SOURCES = (None, "shop.enrol", "shop.newsletter")
SINKS = ("ads.upload", "ads.match", "crm.export")


def purposes() -> st.SearchStrategy[str]:
    """Draw purpose keys, some of them ancestors of others."""
    return st.sampled_from(PURPOSES)


def labels(*, purpose: Sequence[str] | None = None) -> st.SearchStrategy[Label]:
    """Draw single labels.

    Args:
        purpose: The purposes to draw from; a few by default.
    """
    return st.builds(
        Label,
        purposes=st.frozensets(st.sampled_from(tuple(purpose or PURPOSES)), min_size=1, max_size=3),
        category=st.sampled_from(CATEGORIES),
        source=st.sampled_from(SOURCES),
        subject=st.none(),
        consent=st.none(),
        trace=st.none(),
    )


def label_sets(*, purpose: Sequence[str] | None = None) -> st.SearchStrategy[Labels]:
    """Draw sets of one to three labels; arguments as `labels`."""
    return st.frozensets(labels(purpose=purpose), min_size=1, max_size=3).map(Labels)


def labelled_text(
    text: st.SearchStrategy[str] | None = None, *, purpose: Sequence[str] | None = None
) -> st.SearchStrategy[str]:
    """Draw text that carries labels.

    Args:
        text: What to draw the text from; any text by default. Empty text has nothing to label and is not drawn.
        purpose: As for `labels`.
    """
    plain = st.text(min_size=1) if text is None else text.filter(bool)
    return st.builds(apply_labels, plain, label_sets(purpose=purpose))


def labelled_bytes(
    data: st.SearchStrategy[bytes] | None = None, *, purpose: Sequence[str] | None = None
) -> st.SearchStrategy[bytes]:
    """Draw bytes that carry labels; arguments as `labelled_text`."""
    plain = st.binary(min_size=1) if data is None else data.filter(bool)
    return st.builds(apply_labels, plain, label_sets(purpose=purpose))


def labelled_containers(
    leaves: st.SearchStrategy[Any] | None = None, *, max_leaves: int = 10
) -> st.SearchStrategy[list[Any] | dict[str, Any] | tuple[Any, ...]]:
    """Draw lists, tuples and dicts, nested, with labelled and plain values inside.

    Args:
        leaves: What stands inside; labelled and plain text, bytes, numbers and None by default.
        max_leaves: How many.
    """
    mixed = st.one_of(labelled_text(), labelled_bytes(), st.text(), st.integers(), st.none())
    inside = mixed if leaves is None else leaves

    def around(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return st.one_of(
            st.lists(inner, max_size=4),
            st.lists(inner, max_size=4).map(tuple),
            st.dictionaries(st.text(max_size=8), inner, max_size=4),
        )

    return around(st.recursive(inside, around, max_leaves=max_leaves))


def rule_tables(*, sinks: Sequence[str] = SINKS) -> st.SearchStrategy[dict[str, Any]]:
    """Draw rules as a policy file gives them, allow and deny, without a name.

    Args:
        sinks: The names of sinks to draw from; a few by default.
    """

    def some(of: Sequence[str | None], *more: str) -> st.SearchStrategy[list[str]]:
        known = [*(one for one in of if one is not None), *more]
        return st.lists(st.sampled_from(known), min_size=1, max_size=2, unique=True)

    conditions = st.fixed_dictionaries(
        {},
        optional={
            "from": some(PURPOSES),
            "to": some(PURPOSES),
            "categories": some(CATEGORIES),
            "sources": some(SOURCES, "shop.*", "*"),
            "sinks": some(sinks, "ads.*"),
            "consent": st.just(value=True),
        },
    )
    return st.builds(
        lambda body, effect, priority, unless: {
            **body,
            "effect": effect,
            "priority": priority,
            **({"unless": unless} if unless else {}),
        },
        conditions,
        st.sampled_from(["allow", "deny"]),
        st.integers(0, 2),
        st.none() | conditions,
    )


def policies(*, sinks: Sequence[str] = SINKS, max_rules: int = 6) -> st.SearchStrategy[Policy]:
    """Draw policies whose rules do not contradict each other; `taint.configure(policy=...)` takes them.

    Args:
        sinks: As for `rule_tables`.
        max_rules: How many rules at most.
    """

    def made(rows: list[dict[str, Any]]) -> st.SearchStrategy[Policy]:
        try:
            return st.just(make_policy({"rules": [{"name": f"rule-{at}", **row} for at, row in enumerate(rows)]}))
        except ConfigurationError:
            return st.nothing()  # An allow rule that a deny rule covers wholly.

    return st.lists(rule_tables(sinks=sinks), max_size=max_rules).flatmap(made)
