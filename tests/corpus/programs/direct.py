"""The value itself is used, as it is or in a container."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from dataclasses import dataclass

from tests.corpus.engines import Engine
from tests.corpus.programs import EMAIL, PHONE, program


@dataclass
class Row:
    """A row of an audience."""

    phone: str


@program
def value(engine: Engine, purpose: str) -> None:
    """The value goes in as it is."""
    engine.use(engine.collect(PHONE, purpose))


@program
def row(engine: Engine, purpose: str) -> None:
    """It stands in a list of dicts."""
    engine.use([{"id": 1, "email": "", "phone": engine.collect(PHONE, purpose)}])


@program
def instance(engine: Engine, purpose: str) -> None:
    """It is a field of a dataclass."""
    engine.use([Row(engine.collect(PHONE, purpose))])


@program
def key(engine: Engine, purpose: str) -> None:
    """It is the key of a dict."""
    engine.use({engine.collect(EMAIL, purpose): 1})


@program
def collections(engine: Engine, purpose: str) -> None:
    """It goes through the containers of the standard library."""
    queue = deque([engine.collect(PHONE, purpose)])
    grouped: defaultdict[str, list[str]] = defaultdict(list)
    grouped["phones"].append(queue.popleft())
    engine.use(OrderedDict(grouped))


@program
def lazy(engine: Engine, purpose: str) -> None:
    """It is an item of a generator."""
    phones = [engine.collect(PHONE, purpose)]
    engine.use({"phone": phone} for phone in phones)


@program
def encoded(engine: Engine, purpose: str) -> None:
    """It is used as bytes."""
    engine.use(engine.collect(PHONE, purpose).encode("utf-16"))


@program
def among_others(engine: Engine, purpose: str) -> None:
    """One of a thousand values is of another purpose."""
    phones = [engine.collect(f"+1415555{number:04}", "advertising") for number in range(200, 1200)]
    phones.insert(777, engine.collect(PHONE, purpose))
    engine.use(phones)
