"""What the tests of serialisers share: one record, labelled or plain, and what is labelled in a result."""

from collections.abc import Callable, Iterator
from typing import Any

import taint

__all__ = ["LEAVES", "leaves", "marked", "record", "secret"]


def secret(value: Any) -> Any:
    """Label a value as collected for security."""
    return taint.label(value, purpose="security.mfa", source="enrolment")


def record(label: Callable[[Any], Any]) -> dict[str, Any]:
    """Give a record in which some leaves, and a part of one, are what `label` gives; with `str`, a plain one."""
    return {
        "id": 7,
        "phone": label("+14155550100"),
        "nested": ["clean", label('é"\\\n\U0001f600'), {"deep": label("a b")}, None, True, 1.5],
        "uri": "tel:" + label("55") + ";x",
        "yes": label("yes"),
        "empty": "",
    }


LEAVES = {
    ".phone": ["+14155550100"],
    ".nested[1]": ['é"\\\n\U0001f600'],
    ".nested[2].deep": ["a b"],
    ".uri": ["55"],
    ".yes": ["yes"],
}
"""The labelled leaves of `record(secret)`, and what is labelled in each."""


def marked(value: Any) -> list[Any]:
    """Give the labelled parts of a text or bytes."""
    return [value[part.start : part.stop] for part in taint.ranges_of(value)]


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            if taint.labels_of(key):
                yield f"{path}.keys()", [key]
            yield from _leaves(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}[{index}]")
    elif taint.labels_of(value):
        yield path, marked(value) if isinstance(value, str | bytes) else [value]


def leaves(value: Any) -> dict[str, Any]:
    """Give the labelled leaves inside a value, each with its labelled parts."""
    return dict(_leaves(value, ""))
