"""dateutil: a date that comes from a labelled text is labelled, with the native value."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import dateutil.parser
import dateutil.relativedelta
import pytest

import taint
from tests.integrations.documents import secret


@pytest.fixture(autouse=True)
def installed(nothing_installed: None) -> None:
    """Wrap dateutil."""
    taint.install(integrations=["dateutil"])


@pytest.mark.parametrize(
    ("operation", "text"),
    [
        (lambda text: dateutil.parser.parse(text), "29 Feb 1980"),
        (lambda text: dateutil.parser.parse(timestr=text), "29 Feb 1980"),
        (lambda text: dateutil.parser.parser().parse(text), "29 Feb 1980"),
        (lambda text: dateutil.parser.parse(text, fuzzy_with_tokens=True), "born 29 Feb 1980 at home"),
        (lambda text: dateutil.parser.isoparse(text), "1980-02-29T01:02:03"),
        (lambda text: dateutil.parser.isoparser().isoparse(text), "1980-02-29"),
        (lambda text: dateutil.parser.isoparser().parse_isodate(text), "1980-02-29"),
        (lambda text: dateutil.parser.isoparser().parse_isotime(text), "01:02"),
        (lambda text: dateutil.parser.parse(text) + dateutil.relativedelta.relativedelta(years=1), "1980-02-29"),
        (lambda text: dateutil.relativedelta.relativedelta(years=1) + dateutil.parser.parse(text), "1980-02-29"),
        (lambda text: dateutil.parser.parse(text).strftime("%d %B"), "1980-02-29"),
        (lambda text: dateutil.parser.parse(text).date().isoformat(), "1980-02-29"),
    ],
)
def test_parse(operation: Callable[[Any], Any], text: str) -> None:
    """The value is the native one, labelled for a labelled text and plain for a plain one."""
    native = operation(text)
    labelled = operation(secret(text))
    assert labelled == native
    assert isinstance(labelled, type(native))
    assert taint.labels_of(labelled).purposes == {"security.mfa"}
    assert taint.labels_of(native) == frozenset()
    assert type(native) in (dt.datetime, dt.date, dt.time, str, tuple)


def test_difference_of_dates() -> None:
    """A relativedelta between labelled dates is computed as between plain ones."""
    delta = dateutil.relativedelta.relativedelta(
        dateutil.parser.parse(secret("2020-02-29")),
        dt.datetime(1980, 2, 28),  # noqa: DTZ001  # As the parsed one.
    )
    assert (delta.years, delta.days) == (40, 1)


def test_same_exceptions() -> None:
    """A text that is no date is refused with dateutil's own error."""
    with pytest.raises(dateutil.parser.ParserError, match="Unknown string format"):
        dateutil.parser.parse(secret("no date"))
    with pytest.raises(ValueError, match=r"."):
        dateutil.parser.isoparse(secret("no date"))
