"""The value is put into a longer text."""

from __future__ import annotations

import string
import textwrap

from tests.corpus.engines import Engine
from tests.corpus.programs import EMAIL, PHONE, program


@program
def concatenated(engine: Engine, purpose: str) -> None:
    """With `+`."""
    engine.use("tel:" + engine.collect(PHONE, purpose) + ";ext=1")


@program
def fstring(engine: Engine, purpose: str) -> None:
    """With an f-string of several parts."""
    engine.use(f"tel:{engine.collect(PHONE, purpose)};ext={1}")


@program
def percent(engine: Engine, purpose: str) -> None:
    """With `%` and a tuple."""
    engine.use("tel:%s;ext=%d" % (engine.collect(PHONE, purpose), 1))  # noqa: UP031  # As older code has it.


@program
def format_method(engine: Engine, purpose: str) -> None:
    """With `format`."""
    engine.use("tel:{phone};ext={ext}".format(phone=engine.collect(PHONE, purpose), ext=1))  # noqa: UP032  # What is tested.


@program
def joined(engine: Engine, purpose: str) -> None:
    """With `join` on a plain separator."""
    engine.use(",".join(["1", engine.collect(PHONE, purpose), EMAIL[:3]]))


@program
def template(engine: Engine, purpose: str) -> None:
    """With a `string.Template`."""
    engine.use(string.Template("tel:$phone").substitute(phone=engine.collect(PHONE, purpose)))


@program
def wrapped(engine: Engine, purpose: str) -> None:
    """In a paragraph that is wrapped."""
    text = "You can be reached under " + engine.collect(PHONE, purpose) + " until the end of the year"
    engine.use(textwrap.wrap(text, 30))


@program
def shown(engine: Engine, purpose: str) -> None:
    """As its `repr`."""
    engine.use(repr(engine.collect(PHONE, purpose)) + "!")


@program
def grown(engine: Engine, purpose: str) -> None:
    """Line by line, with `+=`."""
    text = ""
    for phone in ("+14155550199", engine.collect(PHONE, purpose)):
        text += phone + "\n"
    engine.use(text)
