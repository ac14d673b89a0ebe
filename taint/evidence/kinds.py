"""The kinds of evidence: each finding says which net caught it."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Evidence"]


class Evidence(StrEnum):
    """How it is known that a sink received labelled data."""

    LABEL = "label"
    """The value at the sink carries the label. Exact."""
    LINEAGE = "lineage"
    """A query or plan derives the column at the sink from a labelled column. Exact for the plan."""
    COMPARISON = "comparison"
    """Inside a zone, a labelled value was compared, looked up or hashed for the zone's purpose. Exact for the zone."""
    CONTENT = "content"
    """An unlabelled value at the sink equals a value known to carry a label. Inferred."""
    DIGEST = "digest"
    """An unlabelled value at the sink is a digest of a value known to carry a label. Inferred."""
