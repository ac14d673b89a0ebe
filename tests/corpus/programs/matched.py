"""The value never leaves: it selects what does. Used are ids."""

from __future__ import annotations

import bisect
import hashlib
import hmac
import itertools
import re
import sqlite3
from collections import Counter

from tests.corpus.engines import Engine
from tests.corpus.programs import PHONE, program

UPLOADED = ["+14155550199", PHONE, "+442079460000"]


@program
def by_dict(engine: Engine, purpose: str) -> None:
    """By a lookup in a dict of what was uploaded."""
    users = {7: engine.collect(PHONE, purpose)}
    uploaded = dict.fromkeys(UPLOADED, True)
    with engine.zone():
        engine.use([user for user, phone in users.items() if uploaded.get(phone)])


@program
def by_index(engine: Engine, purpose: str) -> None:
    """By a lookup of what was uploaded in a dict of users."""
    users = {engine.collect(PHONE, purpose): 7}
    with engine.zone():
        engine.use([users[phone] for phone in UPLOADED if phone in users])


@program
def by_set(engine: Engine, purpose: str) -> None:
    """By the intersection of two sets."""
    phones = {engine.collect(PHONE, purpose)}
    uploaded = set(UPLOADED)
    with engine.zone():
        engine.use(len(uploaded & phones))


@program
def by_loop(engine: Engine, purpose: str) -> None:
    """By two loops."""
    users = [(7, engine.collect(PHONE, purpose))]
    with engine.zone():
        engine.use([user for user, phone in users for other in UPLOADED if phone == other])


@program
def by_digest(engine: Engine, purpose: str) -> None:
    """By its digest."""
    uploaded = {hashlib.sha256(phone.encode()).hexdigest() for phone in UPLOADED}
    digests = {7: hashlib.sha256(engine.collect(PHONE, purpose).encode()).hexdigest()}
    with engine.zone():
        engine.use([user for user, digest in digests.items() if digest in uploaded])


@program
def by_merge(engine: Engine, purpose: str) -> None:
    """By sorting and merging."""
    phones = [engine.collect(PHONE, purpose), engine.collect("+14155550111", purpose)]
    with engine.zone():
        merged = sorted([*((phone, 7) for phone in phones), *((phone, 0) for phone in UPLOADED)])
        engine.use([user for (one, user), (other, _) in itertools.pairwise(merged) if one == other])


@program
def by_bisection(engine: Engine, purpose: str) -> None:
    """By a binary search."""
    phone = engine.collect(PHONE, purpose)
    uploaded = sorted(UPLOADED)
    with engine.zone():
        at = bisect.bisect_left(uploaded, phone)
        engine.use([7] if at < len(uploaded) else [])


@program
def by_regex(engine: Engine, purpose: str) -> None:
    """By a regular expression made of what was uploaded."""
    pattern = re.compile("|".join(map(re.escape, UPLOADED)))
    phone = engine.collect(PHONE, purpose)
    with engine.zone():
        engine.use([7] if pattern.fullmatch(phone) else [])


@program
def by_count(engine: Engine, purpose: str) -> None:
    """By counting."""
    phones = [engine.collect(PHONE, purpose), *UPLOADED]
    with engine.zone():
        engine.use([user for user, count in enumerate(Counter(phones).values()) if count > 1])


@program
def by_group(engine: Engine, purpose: str) -> None:
    """By grouping."""
    phones = [engine.collect(PHONE, purpose), PHONE]
    with engine.zone():
        engine.use([len(list(group)) for _, group in itertools.groupby(phones)])


@program
def by_match_statement(engine: Engine, purpose: str) -> None:
    """By a match statement."""
    phone = engine.collect(PHONE, purpose)
    with engine.zone():
        match phone:
            case "+14155550100":
                engine.use([7])
            case _:
                engine.use([])


@program
def by_constant_time_comparison(engine: Engine, purpose: str) -> None:
    """By `hmac.compare_digest`."""
    phone = engine.collect(PHONE, purpose)
    with engine.zone():
        engine.use([7] if any(hmac.compare_digest(phone, other) for other in UPLOADED) else [])


@program
def by_prefix(engine: Engine, purpose: str) -> None:
    """By its beginning."""
    phone = engine.collect(PHONE, purpose)
    with engine.zone():
        engine.use([7] if phone.startswith("+1415") else [])


@program
def by_bloom_filter(engine: Engine, purpose: str) -> None:
    """By the bits of a Bloom filter."""
    bits = 0
    for phone in UPLOADED:
        for byte in hashlib.sha256(phone.encode()).digest()[:3]:
            bits |= 1 << byte
    digest = hashlib.sha256(engine.collect(PHONE, purpose).encode()).digest()[:3]
    with engine.zone():
        engine.use([7] if all(bits >> byte & 1 for byte in digest) else [])


@program
def by_join(engine: Engine, purpose: str) -> None:
    """By a join in a database."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE users (id INTEGER, phone TEXT)")
    connection.execute("CREATE TABLE uploads (phone TEXT)")
    connection.execute("INSERT INTO users VALUES (7, ?)", (engine.collect(PHONE, purpose),))
    connection.executemany("INSERT INTO uploads VALUES (?)", [(phone,) for phone in UPLOADED])
    with engine.zone():
        engine.use(connection.execute("SELECT id FROM users JOIN uploads USING (phone)").fetchall())
    connection.close()
