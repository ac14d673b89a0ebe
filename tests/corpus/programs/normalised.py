"""The value is brought into the form that a platform asks for."""

from __future__ import annotations

import html
import re
import unicodedata
import urllib.parse

from tests.corpus.engines import Engine
from tests.corpus.programs import EMAIL, program

LOCAL = " (415) 555-0100 "


@program
def digits(engine: Engine, purpose: str) -> None:
    """Only its digits are left, one by one."""
    engine.use("".join(character for character in engine.collect(LOCAL, purpose) if character.isdigit()))


@program
def substituted(engine: Engine, purpose: str) -> None:
    """Everything but digits is taken out by a regular expression."""
    engine.use(re.sub(r"\D", "", engine.collect(LOCAL, purpose)))


@program
def replaced(engine: Engine, purpose: str) -> None:
    """By `replace` and `strip`."""
    phone = engine.collect(LOCAL, purpose).strip()
    for mark in "()- ":
        phone = phone.replace(mark, "")
    engine.use("+1" + phone)


@program
def translated(engine: Engine, purpose: str) -> None:
    """By `translate`."""
    engine.use(engine.collect(LOCAL, purpose).translate(str.maketrans("", "", "()- ")))


@program
def lowered(engine: Engine, purpose: str) -> None:
    """An address in lower case, without its suffix."""
    local, _, domain = engine.collect(EMAIL, purpose).lower().partition("@")
    engine.use(local.split("+")[0].replace(".", "") + "@" + domain)


@program
def matched(engine: Engine, purpose: str) -> None:
    """By the groups of a match."""
    found = re.search(r"\((\d+)\) (\d+)-(\d+)", engine.collect(LOCAL, purpose))
    assert found is not None
    engine.use("1" + found[1] + found[2] + found[3])


@program
def composed(engine: Engine, purpose: str) -> None:
    """By Unicode's normal form."""
    engine.use(unicodedata.normalize("NFKC", engine.collect("Zoë.Example@example.com", purpose)))


@program
def quoted(engine: Engine, purpose: str) -> None:
    """Quoted for a URL."""
    engine.use("https://ads.example/?" + urllib.parse.urlencode({"em": engine.collect(EMAIL, purpose)}))


@program
def escaped(engine: Engine, purpose: str) -> None:
    """Escaped for HTML."""
    engine.use(html.escape(engine.collect("<" + EMAIL + ">", purpose)))


@program
def numbered(engine: Engine, purpose: str) -> None:
    """As a number, and as text again."""
    engine.use(str(int(engine.collect("14155550100", purpose))))
