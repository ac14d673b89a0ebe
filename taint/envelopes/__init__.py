"""Envelopes: labels that travel beside a body to another process, signed and bound to that body.

docs/envelopes.md describes the format, with test vectors. What sends and receives them stands in the
integrations; what they share stands here.
"""

__all__: list[str] = []
