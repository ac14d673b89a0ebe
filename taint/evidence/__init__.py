"""How the library knows that a sink received labelled data."""

from taint.evidence.kinds import Evidence

__all__ = ["Evidence"]
