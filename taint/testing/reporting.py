"""What a test's report shows: plain text alone and, where that is asked for, no labelled value in it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from taint.carriers import ranges_of
from taint.carriers.proxy import exact, is_carrier
from taint.carriers.values import carriers_in
from taint.flows.redaction import REDACTED

__all__ = ["hide", "made_plain"]

MIN_CHARACTERS = 3
"""Anything shorter stands in text by chance, and replacing it would leave nothing to read."""
MAX_VALUES = 10_000
"""A traceback through a large store is looked at no further."""


def made_plain(value: Any) -> Any:
    """Give plain data with every carrier in it replaced by what it carries.

    Labels: left behind. Reports are sent between processes and written to files, which takes exact types;
    nothing is counted as lost, since no program goes on with them.

    Args:
        value: A report as plain data: dicts, lists and what stands in them.
    """
    if isinstance(value, dict):
        return {made_plain(key): made_plain(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(made_plain, value))
    return exact(value) if is_carrier(value) else value


def hide(report: pytest.TestReport, item: pytest.Item, error: BaseException | None) -> None:
    """Replace labelled values wherever a report shows them: traceback, assertion, captured output.

    They are those in the test's arguments and in the local variables of the frames of the error, where
    pytest keeps what an assertion compared.

    Args:
        report: Of one phase of a test.
        item: The test.
        error: What the phase ended with.
    """
    shown = [*_held(error), *getattr(item, "funcargs", {}).values()]
    texts = sorted({text for value in shown for text in _texts(value)}, key=len, reverse=True)
    if not texts:
        return

    def hidden(text: str) -> str:
        for one in texts:
            text = text.replace(one, REDACTED)
        return text

    report.longrepr = _hidden_in(report.longrepr, hidden)
    report.sections[:] = [(hidden(name), hidden(text)) for name, text in report.sections]


def _hidden_in(shown: Any, hidden: Callable[[str], str]) -> Any:
    """Change every text of what pytest shows: its own objects, and lists and tuples of them."""
    if isinstance(shown, str):
        return hidden(exact(shown))
    if type(shown) in (list, tuple):
        return type(shown)(_hidden_in(one, hidden) for one in shown)
    if type(shown).__module__.startswith("_pytest."):
        for name, value in vars(shown).items():
            setattr(shown, name, _hidden_in(value, hidden))
    return shown


def _held(error: BaseException | None) -> Iterator[object]:
    """Give the local variables of every frame of an error and of what caused it, and its arguments."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield from error.args
        traceback = error.__traceback__
        while traceback is not None:
            yield from list(traceback.tb_frame.f_locals.values())
            traceback = traceback.tb_next
        error = error.__cause__ or error.__context__


def _texts(value: object) -> Iterator[str]:
    """Give the labelled parts of all text in a value, as they would be shown."""
    for _, carrier in itertools.islice(carriers_in(value), MAX_VALUES):
        for text in _parts(carrier):
            if len(text) >= MIN_CHARACTERS:
                yield text
                yield repr(text)[1:-1]


def _parts(carrier: Any) -> Iterable[str]:
    if not isinstance(carrier, str | bytes):
        return (str(exact(carrier)),)
    whole = exact(carrier)
    parts = (whole[start:stop] for start, stop, _ in ranges_of(carrier))
    return (part if isinstance(part, str) else part.decode("utf-8", "replace") for part in parts)
