"""Purposes and categories: the keys that labels, sinks and policies name, and how they stand to each other."""

from taint.purposes.keys import (
    ancestors,
    category_key,
    is_allowed,
    known_category,
    known_purpose,
    purpose_key,
    purpose_keys,
)
from taint.purposes.taxonomy import (
    TAXONOMIES,
    Purpose,
    Taxonomy,
    built_in,
    current_taxonomy,
    set_preparation,
    set_taxonomy,
)

__all__ = [
    "TAXONOMIES",
    "Purpose",
    "Taxonomy",
    "ancestors",
    "built_in",
    "category_key",
    "current_taxonomy",
    "is_allowed",
    "known_category",
    "known_purpose",
    "purpose_key",
    "purpose_keys",
    "set_preparation",
    "set_taxonomy",
]
