"""Scanning: known values are found in every encoding and at their place; what is not known is not found."""

from __future__ import annotations

import base64
import csv
import gzip
import hashlib
import hmac
import html
import io
import json
import random
import string
import urllib.parse
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taint.carriers.containers import path_text
from taint.evidence import Evidence, KnownValues, scan
from taint.evidence.scan import BLOCK
from taint.labels import Label, Labels

SECURITY = Labels((Label(frozenset({"security.mfa"}), source="enrol"),))

PHONE, EMAIL, NAME, ADDRESS, UMLAUT = (
    "+14155550100",
    "Jane.Doe+shop@Gmail.com",
    "Jane Doe",
    "12 Elm Lane, Springfield",
    "J\u00fcrgen M\u00fcller",
)
USER = uuid.UUID("8f14e45f-ceea-467f-a9d1-6f3d8e9b0a11")


@pytest.fixture(scope="module")
def known() -> KnownValues:
    """A phone number, an email address, names, an address and an identifier, given for security."""
    found = KnownValues(default_region="US", max_values=10_000)
    for value in (PHONE, EMAIL, NAME, ADDRESS, UMLAUT, USER):
        assert found.remember(value, SECURITY)
    return found


def found_in(known: KnownValues, value: object) -> list[tuple[str, str]]:
    """Scan, and give paths and evidence."""
    return [(path_text(match.way), match.evidence.value) for match in scan(known, value, "rows")]


# A payload, and the same one of somebody else.
PLACES: list[tuple[str, Any, Any, str]] = [
    ("the value", PHONE, "+14155550101", "rows[0:]"),
    ("in a sentence", "call 415-555-0100.", "call 415-555-0101.", "rows[5:]"),
    ("brackets", "tel (415) 555-0100 now", "tel (415) 555-0101 now", "rows[5:]"),
    ("dots", "415.555.0100", "415.555.0101", "rows[0:]"),
    ("after another number", "12 (415) 555-0100", "12 (415) 555-0101", "rows[4:]"),
    ("before another number", "(415) 555-0100 12", "(415) 555-0101 12", "rows[1:]"),
    ("after a date", "2024-01-31 415 555 0100", "2024-01-31 415 555 0101", "rows[11:]"),
    ("among many", "1 2 3 415 555 0100 4 5 6", "1 2 3 415 555 0101 4 5 6", "rows[6:]"),
    ("a number", 14155550100, 14155550101, "rows[0:]"),
    ("a dict's key", {"4155550100": 1}, {"4155550101": 1}, "rows.keys()[0:]"),
    ("nested", [{"note": "x 4155550100"}], [{"note": "x 4155550101"}], "rows[0].note[2:]"),
    ("email", "<JANE.DOE@gmail.com>", "<JANE.ROE@gmail.com>", "rows[1:]"),
    ("email with another suffix", "janedoe+a@googlemail.com", "janeroe+a@googlemail.com", "rows[0:]"),
    ("end of a sentence", "Write to janedoe@gmail.com.", "Write to janeroe@gmail.com.", "rows[9:]"),
    ("name", "Dear JANE  DOE, hello", "Dear JANE  ROE, hello", "rows[5:]"),
    ("address", "to 12 Elm Lane Springfield!", "to 13 Elm Lane Springfield!", "rows[3:]"),
    ("umlaut", "Hr. J\u00dcRGEN M\u00dcLLER", "Hr. J\u00dcRGEN M\u00d6LLER", "rows[4:]"),
    ("decomposed", "\ufb01x Ju\u0308rgen Mu\u0308ller", "\ufb01x Ju\u0308rgen Mo\u0308ller", "rows[3:]"),
    ("identifier", f"id={USER}", f"id={uuid.UUID(int=USER.int + 1)}", "rows[3:]"),
    ("an identifier", USER, uuid.UUID(int=USER.int + 1), "rows[0:]"),
    ("a path's part", "/u/janedoe@gmail.com/x", "/u/janeroe@gmail.com/x", "rows[3:]"),
    ("bytes", b"to 415-555-0100", b"to 415-555-0101", "rows[3:]"),
    ("bytearray", bytearray(b"to 4155550100"), bytearray(b"to 4155550101"), "rows[3:]"),
]


@pytest.mark.parametrize(("payload", "other", "path"), [row[1:] for row in PLACES], ids=[row[0] for row in PLACES])
def test_found_where_it_stands(known: KnownValues, payload: object, other: object, path: str) -> None:
    """A known value is found in longer text with the path and offsets; the neighbour's is not."""
    assert found_in(known, payload) == [(path, "content")]
    assert found_in(known, other) == []


FOUND_IN_NOTHING = [
    "",
    "order 94155550100",
    "abc4155550100def",
    "a4155550100",
    "4155550100.25",
    "415555.0100",
    [{"amount": 415.5550100}],
    hashlib.sha256(b"4155550101").hexdigest(),
    "doe jane",
    "jane",
    "Springfield",
    "elm lane",
    "gmail.com",
    "555-0100",
    "415",
    "jane.doe",
    "2024-01-31",
    {"id": 415, "ok": True, "none": None, "ratio": 0.5},
    b"\x00\xff" * 100,
]


@pytest.mark.parametrize("payload", FOUND_IN_NOTHING, ids=repr)
def test_parts_and_longer_words_are_not_the_value(known: KnownValues, payload: object) -> None:
    """An area code, a domain, a first name, or the digits inside a longer word identify nobody."""
    assert found_in(known, payload) == []


FORMS = [
    "+14155550100",
    "14155550100",
    "4155550100",
    "janedoe@gmail.com",
    "jane.doe@gmail.com",
    EMAIL,
    "jane doe",
    NAME,
]
ALGORITHMS = ["md5", "sha1", "sha256", "sha512"]
SPELLINGS: dict[str, Callable[[bytes], object]] = {
    "hex": bytes.hex,
    "HEX": lambda data: data.hex().upper(),
    "base64": lambda data: base64.b64encode(data).decode(),
    "base64 for URLs": lambda data: base64.urlsafe_b64encode(data).decode(),
    "base64 without padding": lambda data: base64.b64encode(data).decode().rstrip("="),
    "raw": lambda data: data,
    "raw, in a row": lambda data: data + data,
    "a dict's key": lambda data: {data.hex(): 1},
    "hex in JSON": lambda data: json.dumps([{"h": data.hex()}]),
    "base64 in CSV": lambda data: f"1,{base64.b64encode(data).decode()},x\n",
    "hex, gzip": lambda data: gzip.compress(data.hex().encode()),
}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_digests_are_found(known: KnownValues, algorithm: str, spelling: str) -> None:
    """Each digest of each form is found in hex of either case, base64 and raw bytes; a stranger's is not."""
    for form in FORMS:
        digest = hashlib.new(algorithm, form.encode()).digest()
        matches = scan(known, SPELLINGS[spelling](digest))
        assert matches, form
        assert {match.evidence for match in matches} == {Evidence.DIGEST}
    stranger = hashlib.new(algorithm, b"+14155550101").digest()
    assert scan(known, SPELLINGS[spelling](stranger)) == []


def test_every_spelling_has_its_digests() -> None:
    """A second spelling of a value that is known already brings its own digests; one that nobody wrote has none."""
    known = KnownValues(max_values=1000)
    known.remember("jane.doe@example.org", SECURITY)
    known.remember("JANE.Doe@example.org", SECURITY)
    assert len(scan(known, hashlib.sha256(b"JANE.Doe@example.org").hexdigest())) == 1
    assert scan(known, hashlib.sha256(b"Jane.DOE@example.org").hexdigest()) == []


def test_digests_under_the_applications_keys() -> None:
    """HMACs under a registered key and digests with a registered salt are found; under other ones they are not."""
    known = KnownValues(max_values=1000)
    known.register_hmac(b"pepper", "sha384")
    known.register_salt(b"salt", ("sha256", "sha1"))
    known.remember(PHONE, SECURITY)
    for form in (b"+14155550100", b"14155550100"):
        for digest in (
            hmac.digest(b"pepper", form, "sha384"),
            hashlib.sha256(b"salt" + form).digest(),
            hashlib.sha1(form + b"salt").digest(),  # noqa: S324  # What is tested is that it is recognised.
        ):
            assert [match.evidence for match in scan(known, digest.hex())] == [Evidence.DIGEST]
        assert scan(known, hmac.digest(b"other", form, "sha384").hex()) == []
        assert scan(known, hashlib.sha256(b"sugar" + form).hexdigest()) == []


def _csv(text: str) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=";").writerows([["id", "value"], [1, text]])
    return out.getvalue()


ENCODINGS: dict[str, Callable[[str], object]] = {
    "plain": lambda text: text,
    "bytes": str.encode,
    "list": lambda text: [{"a": [text]}],
    "set": lambda text: {text},
    "JSON": lambda text: json.dumps({"rows": [{"v": text}]}),
    "JSON unescaped": lambda text: json.dumps({"v": text}, ensure_ascii=False),
    "JSON bytes": lambda text: json.dumps({"v": text}).encode(),
    "CSV": _csv,
    "URL-encoded": lambda text: urllib.parse.urlencode({"v": text, "w": "1"}),
    "URL-quoted": lambda text: urllib.parse.quote(text, safe=""),
    "HTML-escaped": lambda text: "<td>" + html.escape(text) + "</td>",
    "HTML references": lambda text: "".join(f"&#{ord(character)};" for character in text),
    "base64": lambda text: base64.b64encode(f"v={text};".encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(json.dumps({"v": text}).encode()).decode(),
    "gzip": lambda text: gzip.compress(json.dumps({"v": text}).encode()),
    "base64 of gzip": lambda text: base64.b64encode(gzip.compress(text.encode())).decode(),
    "in a sentence": lambda text: f"We wrote to {text}, who answered.",
    "upper case": str.upper,
}

ASCII_WORD = st.text(string.ascii_letters, min_size=4, max_size=12)
VALUES = st.one_of(
    st.builds(lambda a, b, n: f"{a}.{b}{n}@{b}.org", ASCII_WORD, ASCII_WORD, st.integers(100, 999)),
    st.builds(lambda n: f"+49{n}", st.integers(1_500_000_000, 1_799_999_999)),
    st.builds(lambda n: f"({n // 10**7}) {n // 10**4 % 1000:03d}-{n % 10**4:04d}", st.integers(2 * 10**9, 10**10 - 1)),
    st.builds(lambda a, b: f"Z{a} {b}q", ASCII_WORD, ASCII_WORD),
    st.builds(lambda a, n, b: f"{n} {a}w \u00e4{b}, Zqx", ASCII_WORD, st.integers(1, 999), ASCII_WORD),
    st.uuids().map(str),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=VALUES, other=VALUES, algorithm=st.sampled_from(ALGORITHMS))
def test_what_is_remembered_is_found_and_nothing_else(value: str, other: str, algorithm: str) -> None:
    """A remembered value and its digests are found in every encoding; another value in the same encoding is not."""
    known = KnownValues(max_values=1000)
    assert known.remember(value, SECURITY)
    for name, encode in ENCODINGS.items():
        assert Evidence.CONTENT in {match.evidence for match in scan(known, encode(value))}, name
        digest = hashlib.new(algorithm, value.encode()).hexdigest()
        assert {match.evidence for match in scan(known, encode(digest))} == {Evidence.DIGEST}, name
        if "".join(filter(str.isalnum, other)).casefold() != "".join(filter(str.isalnum, value)).casefold():
            assert scan(known, encode(other)) == [], name
            assert scan(known, encode(hashlib.new(algorithm, other.encode()).hexdigest())) == [], name


@pytest.mark.parametrize("filler", ["x ", '{"id": 12, "v": "lorem"}, ', "\u00e4 ", "0123456789abcdef"])
@pytest.mark.parametrize("shift", [-700, -20, -5, 0, 3, 600])
def test_found_across_blocks(known: KnownValues, filler: str, shift: int) -> None:
    """A value that stands where a payload is cut into blocks is found once, at its place."""
    before = (filler * BLOCK)[: BLOCK + shift] + " "
    for value in ("(415) 555-0100", "12 Elm Lane, Springfield", "janedoe@gmail.com"):
        text = before + value + " " + filler * BLOCK
        start = len(before) + value.startswith("(")
        assert found_in(known, text) == [(f"rows[{start}:]", "content")]


def test_real_looking_text_of_others_has_no_match() -> None:
    """Among 3 MB of made-up people and 20,000 known ones there is no match, unless one of the known is put in."""
    draw = random.Random(7)  # noqa: S311  # Made-up people.
    known = KnownValues(max_values=100_000)
    people = [person(draw) for _ in range(40_000)]
    ours, others = people[:20_000], people[20_000:]
    for one in ours:
        for value in (one["email"], one["phone"], one["name"], one["street"]):
            assert known.remember(value, SECURITY)
    texts = {value.casefold() for one in ours for value in one.values()}
    payload = [one for one in others if not any(value.casefold() in texts for value in one.values())]
    assert len(json.dumps(payload)) > 3_000_000
    assert scan(known, json.dumps(payload)) == []
    payload[777]["note"] = f"friend of {ours[5]['name']}"
    (match,) = scan(known, json.dumps(payload))
    assert match.labels == (SECURITY,)


def person(draw: random.Random) -> dict[str, str]:
    """Make up a person."""
    first = draw.choice(["Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Radia", "Ken"])
    last = draw.choice(["Lovel", "Hopp", "Turin", "Dijk", "Lisk", "Knut", "Perl", "Thomp"]) + draw.choice("aeiou")
    middle = "".join(draw.choices(string.ascii_lowercase, k=6))
    number = draw.randrange(10**7)
    return {
        "name": f"{first} {middle.title()} {last}",
        "email": f"{first}.{middle}{draw.randrange(100)}@example.org".lower(),
        "phone": f"+1 ({draw.randrange(200, 1000)}) {number // 10**4:03d}-{number % 10**4:04d}",
        "street": f"{draw.randrange(1, 9999)} {middle[::-1].title()} Street, Apt {draw.randrange(90)}",
        "note": f"since 2024-0{draw.randrange(1, 10)}-1{draw.randrange(10)}, {draw.random():.6f}",
        "digest": draw.randbytes(32).hex(),
    }


def test_decompression_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that unpacks to more than allowed is read up to there, and that is counted."""
    monkeypatch.setattr("taint.evidence.decoding.MAXIMUM_BYTES", 100_000)
    known = KnownValues(max_values=1000)
    known.remember(PHONE, SECURITY)
    assert scan(known, gzip.compress(b" 4155550100" * 5 + b" 14155550100" + b" " * 50_000)) != []
    assert known.statistics().unread == 0
    assert scan(known, gzip.compress(b" " * 200_000 + b"14155550100")) == []
    assert known.statistics().unread == 1
