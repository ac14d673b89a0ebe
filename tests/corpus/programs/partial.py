"""What is used identifies nobody, or nothing of the value is used: no leak either way."""

from __future__ import annotations

from tests.corpus.engines import Engine
from tests.corpus.programs import EMAIL, PHONE, program


@program
def presence(engine: Engine, purpose: str) -> None:
    """Whether there is a number."""
    phone = engine.collect(PHONE, purpose)
    with engine.zone():
        engine.use({"has_phone": bool(phone) and phone is not None and phone != ""})


@program
def count(engine: Engine, purpose: str) -> None:
    """How many there are."""
    engine.use({"people": len([engine.collect(PHONE, purpose)])})


@program
def unrelated(engine: Engine, purpose: str) -> None:
    """A value beside it."""
    row = {"phone": engine.collect(PHONE, purpose), "country": "US"}
    engine.use(row["country"])


@program
def rest_of_a_text(engine: Engine, purpose: str) -> None:
    """The part of a text that does not come from it."""
    text = "tel:" + engine.collect(PHONE, purpose) + ";ext=1"
    engine.use(text.split(";")[1])


@program
def other_leaf(engine: Engine, purpose: str) -> None:
    """Another field of the same document."""
    import json  # As programs do.

    document = json.loads(json.dumps({"phone": engine.collect(PHONE, purpose), "plan": "premium"}))
    engine.use(document["plan"])


@program
def equal_by_chance(engine: Engine, purpose: str) -> None:
    """A constant that looks like part of it."""
    engine.collect(EMAIL, purpose)
    engine.use({"domain": "example.com", "area": "415"})


@program
def given_for_both(engine: Engine, purpose: str) -> None:
    """Another person gave the same kind of data for advertising."""
    engine.collect(PHONE, purpose)
    engine.use(engine.collect("+14155550177", "advertising"))


@program
def moved(engine: Engine, purpose: str) -> None:
    """It is moved about in a zone, and not used."""
    rows = [{"phone": engine.collect(PHONE, purpose)}]
    with engine.zone():
        copies = [dict(row) for row in rows]
        engine.use(len(copies))
